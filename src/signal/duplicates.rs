//! Several sessions of one subject in a room.

use super::room::Barred;
use super::settings::Duplicates;
use super::{Hub, Reason, Reject, RoomName, SessionId};
use crate::time::Now;

impl Hub {
    /// Who makes way for a session that wants to come into a room: where the newest session of a
    /// subject replaces the others, all of them; where it is refused, those of which the
    /// connection is lost, since nobody is to be kept out by its own ghost. Without access tokens
    /// nobody is anybody's double.
    ///
    /// # Errors
    /// The subject is there already.
    pub(super) fn who_makes_way(
        &self,
        newcomer: SessionId,
        room: &str,
    ) -> Result<Vec<SessionId>, Reject> {
        let known = self.rooms.get(room).map(|(_, room)| room);
        let policy = known.map(|room| room.settings(&self.config).duplicates);
        let doubles = match policy {
            None | Some(Duplicates::Allow) => return Ok(Vec::new()),
            Some(_) => self.doubles(newcomer, room),
        };
        let is_there = |&session: &SessionId| self.connection_of(session).is_some();
        if policy == Some(Duplicates::Reject) && doubles.iter().any(is_there) {
            return Err(Reject::DuplicateMember);
        }
        Ok(doubles)
    }

    /// The other members of a room that are of the session's subject.
    pub(super) fn doubles(&self, session: SessionId, room: &str) -> Vec<SessionId> {
        let Some((_, members)) = self.rooms.get(room) else {
            return Vec::new();
        };
        let subject = self.grant_of(session).map(|grant| grant.subject());
        let sessions = subject.map_or(&[][..], |subject| self.subjects.sessions(subject));
        let others = sessions.iter().copied().filter(|&other| other != session);
        let is_in = |&other: &SessionId| members.find(other).is_some();
        others.filter(is_in).collect()
    }

    /// Puts those out who make way. The room stays: somebody comes in.
    pub(super) fn make_way(&mut self, newcomer: SessionId, room: &RoomName, now: Now) {
        // Whether it may come in has been looked at.
        for older in self.who_makes_way(newcomer, room).unwrap_or_default() {
            self.expel(older, room, Reason::Replaced, now);
        }
    }

    /// As whom a session is kept out of a room: a bearer as what its tokens are for, since it
    /// could begin another session, unless that is who keeps it out.
    pub(super) fn barred_as(&self, session: SessionId, by: SessionId) -> Barred {
        let subject = |id| self.grant_of(id).map(|grant| grant.subject());
        match subject(session) {
            Some(bearer) if subject(by) != Some(bearer) => Barred::Subject(bearer.clone()),
            _ => Barred::Session(session),
        }
    }

    /// Whether a session may not come back into a room.
    pub(super) fn is_barred(&self, session: SessionId, room: &str) -> bool {
        let subject = self.grant_of(session).map(|grant| &**grant.subject());
        let known = self.rooms.get(room).map(|(_, room)| room);
        known.is_some_and(|room| room.is_barred(session, subject))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use serde_json::value::RawValue;

    use super::super::testing::{Client, World, join, knock};
    use super::super::{AccessConfig, Config, Grant, Input, Message, Request, State};
    use super::*;
    use crate::auth::jwt::Claims;

    fn grant(subject: &str, role: &str) -> Arc<Grant> {
        let peerage = format!(r#"{{"rooms":[{{"room":"blue","role":"{role}"}}]}}"#);
        let grant = Grant::new(Claims {
            subject: subject.into(),
            expires: Duration::from_secs(1_000),
            issued: None,
            token_id: None,
            peerage: RawValue::from_string(peerage).expect("JSON"),
        });
        Arc::new(grant.expect("a grant"))
    }

    /// A world in which rooms begin with this policy.
    fn world(duplicates: Duplicates) -> World {
        World::new(Config {
            duplicates,
            room_members: 3,
            access: AccessConfig {
                by_token: true,
                ..AccessConfig::default()
            },
            ..Config::default()
        })
    }

    fn member(world: &mut World, subject: &str, role: &str) -> Client {
        let client = world.bearer(&grant(subject, role));
        world.ask(&client, join("blue"));
        client
    }

    fn set_duplicates(duplicates: Duplicates) -> Request {
        Request::SetRoom {
            room: "blue".into(),
            locked: None,
            limit: None,
            duplicates: Some(duplicates),
        }
    }

    /// How many others the room has for who has just joined; `None` if it has not.
    fn others(world: &mut World, client: &Client) -> Option<usize> {
        let got = world.got(client.connection);
        got.iter().find_map(|message| match &**message {
            Message::Joined { room, .. } => Some(room.members.len()),
            _ => None,
        })
    }

    /// Who has left, as a client was told, and why.
    fn left(world: &mut World, client: &Client) -> Vec<(SessionId, Reason)> {
        let got = world.got(client.connection);
        let left = got.iter().filter_map(|message| match &**message {
            Message::Presence { member, .. } => match member.state {
                State::Left(reason) => Some((member.profile.session, reason)),
                _ => None,
            },
            _ => None,
        });
        left.collect()
    }

    fn why_put_out(world: &mut World, client: &Client) -> Option<Reason> {
        let got = world.got(client.connection);
        got.iter().find_map(|message| match **message {
            Message::PutOut { reason, .. } => Some(reason),
            _ => None,
        })
    }

    #[test]
    fn two_sessions_of_a_subject_are_two_members_unless_somebody_wants_it_otherwise() {
        let mut world = world(Duplicates::Allow);
        let older = member(&mut world, "ada", "member");
        let newer = member(&mut world, "ada", "member");
        assert_eq!(others(&mut world, &newer), Some(1));
        assert_eq!(why_put_out(&mut world, &older), None);
    }

    #[test]
    fn the_newer_takes_the_place_of_the_older_though_the_room_is_full() {
        let mut world = world(Duplicates::Replace);
        let host = member(&mut world, "grace", "host");
        let older = member(&mut world, "ada", "member");
        member(&mut world, "alan", "member");
        let newer = member(&mut world, "ada", "member");
        assert_eq!(others(&mut world, &newer), Some(2));
        assert_eq!(why_put_out(&mut world, &older), Some(Reason::Replaced));
        let gone = vec![(older.session, Reason::Replaced)];
        assert_eq!(left(&mut world, &host), gone);
        let stranger = member(&mut world, "eve", "member");
        assert_eq!(world.error(&stranger), Some(Reject::RoomFull));
    }

    #[test]
    fn who_replaces_itself_alone_finds_the_room_as_it_was() {
        let mut world = world(Duplicates::Allow);
        let older = member(&mut world, "ada", "host");
        world.ask(&older, set_duplicates(Duplicates::Replace));
        let newer = member(&mut world, "ada", "host");
        assert_eq!(others(&mut world, &newer), Some(0));
        assert_eq!((world.hub.rooms(), world.hub.empty_rooms()), (1, 0));
        let newest = member(&mut world, "ada", "host");
        assert_eq!(others(&mut world, &newest), Some(0), "the policy stays");
    }

    #[test]
    fn the_newer_is_refused_while_the_older_is_connected() {
        let mut world = world(Duplicates::Reject);
        let older = member(&mut world, "ada", "member");
        let newer = member(&mut world, "ada", "member");
        assert_eq!(world.error(&newer), Some(Reject::DuplicateMember));
        world.input(older.connection, Input::Closed);
        world.ask(&newer, join("blue"));
        assert_eq!(others(&mut world, &newer), Some(0), "it is its own ghost");
    }

    #[test]
    fn who_knocks_is_no_double_until_it_is_let_in() {
        let mut world = world(Duplicates::Reject);
        let host = member(&mut world, "grace", "host");
        let [older, newer] = [(); 2].map(|()| world.bearer(&grant("ada", "guest")));
        for client in [&older, &newer] {
            world.ask(client, knock("blue"));
        }
        assert_eq!(world.hub.knocks(), 2);
        let admit = |client: &Client| Request::Admit {
            room: "blue".into(),
            session: Some(client.session),
        };
        world.ask(&host, admit(&older));
        assert_eq!(others(&mut world, &older), Some(1));
        world.ask(&host, admit(&newer));
        assert_eq!(world.error(&host), Some(Reject::DuplicateMember));
        assert_eq!(world.hub.knocks(), 1);
    }

    #[test]
    fn in_open_mode_nobody_is_a_double() {
        let mut world = World::new(Config {
            duplicates: Duplicates::Reject,
            ..Config::default()
        });
        world.member("blue");
        let other = world.member("blue");
        assert_eq!(others(&mut world, &other), Some(1));
    }

    #[test]
    fn who_is_barred_stays_out_with_every_session_of_its_subject() {
        let mut world = world(Duplicates::Allow);
        let host = member(&mut world, "grace", "host");
        let [one, other] = [(); 2].map(|()| member(&mut world, "ada", "member"));
        let remove = Request::Remove {
            room: "blue".into(),
            session: Some(one.session),
            bar: true,
        };
        world.ask(&host, remove);
        for client in [&one, &other] {
            assert_eq!(why_put_out(&mut world, client), Some(Reason::Removed));
        }
        let third = member(&mut world, "ada", "member");
        assert_eq!(world.error(&third), Some(Reject::Barred));
        let alan = member(&mut world, "alan", "member");
        assert_eq!(others(&mut world, &alan), Some(1));
    }

    #[test]
    fn a_host_that_bars_another_session_of_its_own_does_not_bar_itself() {
        let mut world = world(Duplicates::Allow);
        let [host, other] = [(); 2].map(|()| member(&mut world, "grace", "host"));
        let remove = Request::Remove {
            room: "blue".into(),
            session: Some(other.session),
            bar: true,
        };
        world.ask(&host, remove);
        assert_eq!(why_put_out(&mut world, &host), None);
        world.ask(&other, join("blue"));
        assert_eq!(world.error(&other), Some(Reject::Barred));
        let third = member(&mut world, "grace", "host");
        assert_eq!(others(&mut world, &third), Some(1));
    }
}
