//! Sessions that a server before this one had: they come back by their tickets.

use std::time::Duration;

use super::meetings::Meetings;
use super::session::Session;
use super::ticket::{Issued, Ticket};
use super::{ConnectionId, Hub, Meeting, Message, Reason, Resume, Resumed, SessionId};
use crate::time::Now;

/// How long after the last session has been restored its `join` may come.
const JOINED_WITHIN: Duration = Duration::from_secs(15);

/// What a client has proven that wants to go on.
pub(super) enum Claim {
    /// To be a session that lives here.
    Living(SessionId),
    /// To be a session that a server before this one had.
    Former(Ticket),
    /// Nothing.
    Nothing,
}

impl Hub {
    /// What the client has proven.
    pub(super) fn claim(&self, resume: &Resume, bearer: Option<&str>, now: Now) -> Claim {
        let ticket = self.tickets.read(&resume.token, bearer);
        let Some(ticket) = ticket.filter(|ticket| resume.session == Some(ticket.session)) else {
            return Claim::Nothing;
        };
        if self.revocations.has_session(ticket.session) {
            return Claim::Nothing;
        }
        let session = self.sessions.get(&ticket.session);
        let is_former = ticket.is_handed_over || ticket.number <= self.config.first_number();
        match session {
            Some(session) if !is_former && session.issued.is_good(ticket.number) => {
                Claim::Living(ticket.session)
            }
            Some(session) if is_former && session.issued.is_outdone_by(ticket.number) => {
                Claim::Former(ticket)
            }
            None if is_former && self.is_in_time(&ticket, now) => Claim::Former(ticket),
            _ => Claim::Nothing,
        }
    }

    /// With the start of this server it is as if it had suspended all sessions of the one before,
    /// and where that one hands a session over, as if it had done so then.
    fn is_in_time(&self, ticket: &Ticket, now: Now) -> bool {
        let is_soon = now.unix <= self.config.started + self.config.resume_window;
        (is_soon || ticket.is_handed_over) && now.unix_seconds() < ticket.expires
    }

    /// Brings back a session that a server before this one had, under its name and with nothing
    /// else. One that has come by an older ticket makes way.
    pub(super) fn restore(&mut self, connection: ConnectionId, ticket: &Ticket, now: Now) {
        let id = ticket.session;
        self.close_carrier(id, now);
        self.end(id, Reason::Expired, now);
        let session = Session {
            issued: Issued::after(ticket),
            restored: now.unix,
            ..Session::default()
        };
        if self.admit(connection, id, session, now) {
            self.welcome(connection, id, Resumed::Restored, now);
        }
    }

    /// Of what a client says of meetings, as much as a room has members; and nothing when it is so
    /// long ago that the session was restored, or this server began, that all who come back are
    /// there. Clients wait for each other a little longer than that, so nobody is told of a meeting
    /// that it has given up.
    pub(super) fn meetings_that_count(
        &self,
        session: SessionId,
        mut meetings: Vec<Meeting>,
        now: Now,
    ) -> Meetings {
        let restored = self.sessions.get(&session).map(|it| it.restored);
        let since = self.config.started.max(restored.unwrap_or_default());
        let until = since + self.config.resume_window + JOINED_WITHIN;
        if now.unix > until {
            return Meetings::default();
        }
        meetings.truncate(self.config.room_members);
        Meetings::new(meetings, until)
    }

    /// Gives a session a ticket that is good for longer, if the last one is not for long.
    pub(super) fn renew_ticket(&mut self, connection: ConnectionId, id: SessionId, now: Now) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let lifetime = self.config.ticket_lifetime;
        let expires = (now.unix + lifetime).as_secs();
        let least = lifetime.as_secs() / 2;
        let renewed = session.issued.renew(now.unix_seconds(), least, expires);
        if let Some(number) = renewed {
            let ticket = Ticket {
                session: id,
                number,
                expires,
                is_handed_over: false,
            };
            let token = self.tickets.write(&ticket, session.bearer());
            self.tell(connection, Message::Token(token));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Client, World, offer};
    use super::super::{Close, Command, Config, Input, Resumed};
    use super::*;
    use crate::auth::Secret;

    fn config() -> Config {
        Config {
            ticket_keys: vec![Secret::new("north")],
            ..Config::default()
        }
    }

    /// A world whose hub has begun at a time of its own.
    fn world() -> World {
        let mut world = World::new(Config::default());
        world.now = world.now.after(Duration::from_secs(1_000));
        world.restart(config());
        world
    }

    /// The hub dies and another one begins, three seconds later.
    fn restart(world: &mut World) {
        world.now = world.now.after(Duration::from_secs(3));
        world.restart(config());
    }

    #[test]
    fn a_ticket_brings_a_session_back_after_a_restart_under_its_name_and_with_nothing_else() {
        let mut world = world();
        let (ada, grace) = (world.member("blue"), world.member("blue"));
        restart(&mut world);
        let back = world.resume(&ada, 7);
        assert_eq!(back.resumed, Resumed::Restored);
        assert_eq!(back.session, ada.session);
        assert_eq!(world.hub.rooms(), 0);
        assert_eq!(world.resume(&grace, 2).session, grace.session);
        assert_eq!(world.hub.sessions(), 2);
        world.ask(&back, super::super::testing::join("green"));
        assert_eq!(world.offsets(back.connection), [1], "offsets begin anew");
    }

    #[test]
    fn from_then_on_it_is_a_session_like_any_other() {
        let mut world = world();
        let ada = world.member("blue");
        restart(&mut world);
        let ada = world.resume(&ada, 1);
        world.say(ada.connection, Command::Ping);
        let ada = world.resume(&ada, 0);
        assert_eq!(ada.resumed, Resumed::Full);
        restart(&mut world);
        assert_eq!(world.resume(&ada, 0).resumed, Resumed::Restored);
    }

    #[test]
    fn epochs_and_versions_are_larger_after_every_restart() {
        let mut world = world();
        let mut last = (0, 0);
        for _ in 0..3 {
            let _ada = world.member("blue");
            let grace = world.member("blue");
            let got = world.got(grace.connection);
            let joined = got.iter().find_map(|message| match &**message {
                Message::Joined { room, .. } => Some((room.version, room.members[0].epoch)),
                _ => None,
            });
            let (version, epoch) = joined.expect("it has joined");
            assert!(version > last.0 && epoch > last.1);
            assert!(epoch < 1 << 53);
            last = (version, epoch);
            restart(&mut world);
        }
    }

    #[test]
    fn a_restored_welcome_that_is_lost_costs_nothing() {
        let mut world = world();
        let ada = world.member("blue");
        restart(&mut world);
        for _ in 0..3 {
            let lost = world.resume(&ada, 1);
            assert_eq!(lost.resumed, Resumed::Restored);
            world.input(lost.connection, Input::Closed);
        }
        assert_eq!(world.hub.sessions(), 1);
    }

    #[test]
    fn once_the_client_is_heard_the_ticket_of_before_is_void() {
        let mut world = world();
        let ada = world.client();
        restart(&mut world);
        let back = world.resume(&ada, 0);
        world.say(back.connection, Command::Ping);
        let thief = world.resume(&ada, 0);
        assert_eq!(thief.resumed, Resumed::None);
        assert!(world.closed.is_empty());
    }

    #[test]
    fn a_ticket_of_before_that_is_void_stays_so_while_a_later_welcome_is_on_its_way() {
        let mut world = world();
        let ada = world.client();
        restart(&mut world);
        let back = world.resume(&ada, 0);
        world.say(back.connection, Command::Ping);
        let again = world.resume(&back, 0);
        assert_eq!(again.resumed, Resumed::Full);
        assert_eq!(world.resume(&ada, 0).resumed, Resumed::None);
        assert!(!world.closed.contains_key(&again.connection));
    }

    #[test]
    fn of_two_tickets_of_one_session_the_newer_one_wins_in_either_order() {
        for thief_is_first in [true, false] {
            let mut world = world();
            let stolen = world.client();
            world.say(stolen.connection, Command::Ping);
            let ada = world.resume(&stolen, 0);
            world.say(ada.connection, Command::Ping);
            restart(&mut world);
            let enter = |world: &mut World, client: &Client| {
                let back = world.resume(client, 0);
                world.say(back.connection, Command::Ping);
                back
            };
            if thief_is_first {
                let thief = enter(&mut world, &stolen);
                let back = enter(&mut world, &ada);
                assert_eq!(back.resumed, Resumed::Restored);
                assert_eq!(world.closed[&thief.connection], Close::Replaced);
            } else {
                enter(&mut world, &ada);
                assert_eq!(enter(&mut world, &stolen).resumed, Resumed::None);
                assert!(!world.closed.contains_key(&ada.connection));
            }
        }
    }

    #[test]
    fn who_does_not_come_back_within_the_window_of_the_start_is_nobody() {
        let mut world = world();
        let ada = world.client();
        restart(&mut world);
        world.wait(Duration::from_secs(60));
        assert_eq!(world.resume(&ada, 0).resumed, Resumed::Restored);
        restart(&mut world);
        world.wait(Duration::from_secs(61));
        assert_eq!(world.resume(&ada, 0).resumed, Resumed::None);
    }

    #[test]
    fn a_session_that_has_ended_here_does_not_come_back() {
        let mut world = world();
        let ada = world.client();
        world.say(ada.connection, Command::Bye);
        assert_eq!(world.resume(&ada, 0).resumed, Resumed::None);
    }

    #[test]
    fn a_ticket_under_another_key_or_of_another_session_is_none() {
        let mut world = world();
        let (ada, grace) = (world.client(), world.client());
        restart(&mut world);
        let forged = Client {
            session: grace.session,
            ..ada.clone()
        };
        assert_eq!(world.resume(&forged, 0).resumed, Resumed::None);
        world.restart(Config {
            ticket_keys: vec![Secret::new("south")],
            ..config()
        });
        assert_eq!(world.resume(&ada, 0).resumed, Resumed::None);
    }

    #[test]
    fn tickets_are_renewed_while_the_client_is_connected_and_old_ones_expire() {
        let mut world = world();
        let ada = world.client();
        world.got(ada.connection);
        for _ in 0..300 {
            world.wait(Duration::from_secs(20));
            world.input(ada.connection, Input::Alive);
        }
        let tokens = world.got(ada.connection);
        let tokens = tokens.iter().filter_map(|message| match &**message {
            Message::Token(token) => Some(token.clone()),
            _ => None,
        });
        let tokens: Vec<_> = tokens.collect();
        assert!((2..=4).contains(&tokens.len()), "{}", tokens.len());
        restart(&mut world);
        assert_eq!(world.resume(&ada, 0).resumed, Resumed::None);
        let newest = Client {
            token: tokens.last().expect("two or more").clone(),
            ..ada
        };
        assert_eq!(world.resume(&newest, 0).resumed, Resumed::Restored);
    }

    #[test]
    fn what_is_said_again_carries_the_number_under_which_it_was_said_first() {
        let mut world = world();
        let (ada, grace) = (world.member("blue"), world.member("blue"));
        let epoch = world.epoch(&grace);
        let mut again = offer("blue", &grace, epoch);
        world.ask(&ada, again.clone());
        let first = world.last_request();
        if let super::super::Request::Directed(directed) = &mut again {
            directed.number = Some(first);
        }
        world.ask(&ada, again);
        let got = world.got(grace.connection);
        let said = got.iter().filter_map(|message| match &**message {
            Message::Delivery(delivery) => Some((delivery.id, delivery.number)),
            _ => None,
        });
        let said: Vec<_> = said.collect();
        assert_eq!(said, [(first, first), (first + 1, first)]);
    }
}
