//! Knocking at the door of a room, and being let in or not.

use std::sync::Arc;

use super::knock::Knock;
use super::meetings::Meetings;
use super::message::{KnockNews, Profile};
use super::{Hub, KnockState, Message, Permissions, Reject, Rejection, RoomName, SessionId};
use crate::time::Now;

impl Hub {
    /// Waits to be let in.
    pub(super) fn knock(
        &mut self,
        re: u64,
        room: &RoomName,
        (profile, meetings): (Profile, Meetings),
        now: Now,
    ) -> Result<(), Reject> {
        let session = profile.session;
        let until = now.instant + self.config.knock_life;
        let known = self.rooms.get(room).map_or(0, |(_, it)| it.knocks.len());
        if known >= self.config.knocks {
            return Err(Reject::TooManyKnocks);
        }
        let profile = Arc::new(profile);
        self.rooms.get_or_make(room).knocks.add(Knock {
            profile: Arc::clone(&profile),
            meetings,
            re,
            until,
        });
        self.knocks += 1;
        if let Some(session) = self.sessions.get_mut(&session) {
            session.knocks.push(Arc::clone(room));
        }
        let knocking = Message::Knocking {
            re,
            room: Arc::clone(room),
            expires_in: self.config.knock_life,
        };
        self.post(session, knocking, now);
        self.tell_of_knock(room, profile, KnockState::Waiting, now);
        // A room that nobody is in yet counts as empty from now on.
        self.close_if_empty(room, now);
        Ok(())
    }

    /// Lets somebody in who knocks.
    pub(super) fn admit_knocker(
        &mut self,
        by: SessionId,
        re: u64,
        room: &str,
        knocker: Option<SessionId>,
        now: Now,
    ) -> Result<(), Reject> {
        let (room, knocker) = self.check_knock(by, room, knocker)?;
        self.check_room_for(knocker, &room)?;
        let standing = self.standing_in(knocker, &room);
        if let Some(knock) = self.end_knock(&room, knocker, KnockState::Admitted, now) {
            let newcomer = (knock.profile, knock.meetings);
            self.enter(knock.re, &room, newcomer, standing, now);
        }
        self.post(by, Message::Done { re, room }, now);
        Ok(())
    }

    /// Sends somebody away who knocks.
    pub(super) fn deny_knocker(
        &mut self,
        by: SessionId,
        re: u64,
        room: &str,
        (knocker, bar): (Option<SessionId>, bool),
        now: Now,
    ) -> Result<(), Reject> {
        let (room, knocker) = self.check_knock(by, room, knocker)?;
        if bar {
            self.bar(by, &room, knocker)?;
        }
        self.refuse_knock(&room, knocker, KnockState::Denied, now);
        self.post(by, Message::Done { re, room }, now);
        Ok(())
    }

    fn check_knock(
        &self,
        by: SessionId,
        room: &str,
        knocker: Option<SessionId>,
    ) -> Result<(RoomName, SessionId), Reject> {
        let room = self.room_of(by, room)?;
        self.check_may(by, &room, Permissions::MODERATE)?;
        let known = self.rooms.get(&room).map(|(_, room)| room);
        let is_there = |&knocker: &SessionId| known.is_some_and(|it| it.knocks.contains(knocker));
        let knocker = knocker.filter(is_there).ok_or(Reject::NoSuchKnock)?;
        Ok((room, knocker))
    }

    /// The knocker goes by itself, if it knocks there.
    pub(super) fn withdraw_knock(&mut self, session: SessionId, room: &RoomName, now: Now) {
        self.end_knock(room, session, KnockState::Withdrawn, now);
        self.close_if_empty(room, now);
    }

    /// Ends a knock without letting in, and tells the knocker.
    pub(super) fn refuse_knock(
        &mut self,
        room: &RoomName,
        knocker: SessionId,
        state: KnockState,
        now: Now,
    ) {
        let reject = match state {
            KnockState::Denied => Reject::KnockDenied,
            _ => Reject::KnockExpired,
        };
        if let Some(knock) = self.end_knock(room, knocker, state, now) {
            let error = Rejection::new(Some(knock.re), reject);
            self.post(knocker, Message::Error(error), now);
        }
    }

    fn end_knock(
        &mut self,
        room: &RoomName,
        knocker: SessionId,
        state: KnockState,
        now: Now,
    ) -> Option<Knock> {
        let knock = self.rooms.find_mut(room)?.knocks.take(knocker)?;
        self.knocks -= 1;
        if let Some(session) = self.sessions.get_mut(&knocker) {
            session.knocks.retain(|name| name != room);
        }
        let profile = Arc::clone(&knock.profile);
        self.tell_of_knock(room, profile, state, now);
        self.look_after_room(room, now);
        Some(knock)
    }

    /// Tells all who may let in what has become of a knock.
    fn tell_of_knock(
        &mut self,
        room: &RoomName,
        profile: Arc<Profile>,
        state: KnockState,
        now: Now,
    ) {
        let news = Arc::new(Message::Knock(KnockNews {
            room: Arc::clone(room),
            profile,
            state,
        }));
        for moderator in self.all_who_may(room, Permissions::MODERATE) {
            self.post_shared(moderator, Arc::clone(&news), now);
        }
    }

    /// Tells one who may let in from now on who waits.
    pub(super) fn tell_who_knocks(&mut self, room: &RoomName, to: SessionId, now: Now) {
        let known = self.rooms.get(room).map(|(_, it)| it.knocks.profiles());
        for profile in known.unwrap_or_default() {
            let news = KnockNews {
                room: Arc::clone(room),
                profile,
                state: KnockState::Waiting,
            };
            self.post(to, Message::Knock(news), now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::testing::{Client, World, join, knock, leave};
    use super::super::{Command, Config, Input, Offset, Request, Role};
    use super::*;

    fn set_locked(locked: bool) -> Request {
        Request::SetRoom {
            room: "blue".into(),
            locked: Some(locked),
            limit: None,
            duplicates: None,
        }
    }

    fn admit(client: &Client) -> Request {
        Request::Admit {
            room: "blue".into(),
            session: Some(client.session),
        }
    }

    fn deny(client: &Client, bar: bool) -> Request {
        Request::Deny {
            room: "blue".into(),
            session: Some(client.session),
            bar,
        }
    }

    /// A host and a member of a locked room, and somebody who knocks there.
    fn locked(config: Config) -> (World, [Client; 3]) {
        let mut world = World::new(config);
        let [ada, grace] = ["blue"; 2].map(|room| world.member(room));
        world.ask(&ada, set_locked(true));
        let alan = world.client();
        world.ask(&alan, knock("blue"));
        (world, [ada, grace, alan])
    }

    /// The knocks that a client has been told of.
    fn knocks(world: &mut World, client: &Client) -> Vec<(SessionId, KnockState)> {
        let got = world.got(client.connection);
        let knocks = got.iter().filter_map(|message| match &**message {
            Message::Knock(news) => Some((news.profile.session, news.state)),
            _ => None,
        });
        knocks.collect()
    }

    fn has_joined(world: &mut World, client: &Client) -> bool {
        let got = world.got(client.connection);
        got.iter().any(|it| matches!(**it, Message::Joined { .. }))
    }

    #[test]
    fn a_locked_room_is_entered_by_nobody_who_does_not_knock() {
        let (mut world, [ada, grace, alan]) = locked(Config::default());
        assert!(!has_joined(&mut world, &alan));
        let edsger = world.member("blue");
        assert_eq!(world.error(&edsger), Some(Reject::RoomLocked));
        assert_eq!(
            knocks(&mut world, &grace),
            [],
            "only who may let in is told"
        );
        let waiting = [(alan.session, KnockState::Waiting)];
        assert_eq!(knocks(&mut world, &ada), waiting);
        world.ask(&grace, admit(&alan));
        assert_eq!(world.error(&grace), Some(Reject::NotPermitted));
        world.ask(&ada, set_locked(false));
        world.ask(&edsger, join("blue"));
        assert!(has_joined(&mut world, &edsger));
    }

    #[test]
    fn who_is_let_in_has_joined() {
        let (mut world, [ada, grace, alan]) = locked(Config::default());
        world.got(ada.connection);
        world.ask(&ada, admit(&alan));
        assert!(has_joined(&mut world, &alan));
        let admitted = [(alan.session, KnockState::Admitted)];
        assert_eq!(knocks(&mut world, &ada), admitted);
        let got = world.got(grace.connection);
        assert!(
            matches!(&**got.last().expect("presence"), Message::Presence { member, .. }
            if member.profile.session == alan.session)
        );
        world.ask(&ada, admit(&alan));
        assert_eq!(world.error(&ada), Some(Reject::NoSuchKnock));
    }

    #[test]
    fn who_is_not_let_in_is_told_though_it_was_away() {
        let (mut world, [ada, _, alan]) = locked(Config::default());
        world.input(alan.connection, Input::Closed);
        world.ask(&ada, deny(&alan, false));
        let alan = world.resume(&alan, 1);
        assert_eq!(world.error(&alan), Some(Reject::KnockDenied));
        world.ask(&alan, knock("blue"));
        world.got(ada.connection);
        world.ask(&ada, deny(&alan, true));
        world.ask(&alan, knock("blue"));
        assert_eq!(world.error(&alan), Some(Reject::Barred));
    }

    #[test]
    fn a_knock_ends_with_its_knocker_and_with_its_time() {
        let (mut world, [ada, _, alan]) = locked(Config::default());
        world.ask(&alan, leave("blue"));
        world.ask(&alan, knock("blue"));
        world.say(alan.connection, Command::Bye);
        let edsger = world.client();
        world.ask(&edsger, knock("blue"));
        world.ask(&edsger, knock("blue"));
        assert_eq!(world.error(&edsger), Some(Reject::AlreadyJoined));
        for _ in 0..15 {
            for client in [&ada, &edsger] {
                world.input(client.connection, Input::Alive);
                world.say(client.connection, Command::Ack(Offset(99)));
            }
            world.wait(Duration::from_secs(20));
        }
        assert_eq!(world.error(&edsger), Some(Reject::KnockExpired));
        use KnockState::{Expired, Waiting, Withdrawn};
        let told = [Waiting, Withdrawn, Waiting, Withdrawn, Waiting, Expired];
        let states = knocks(&mut world, &ada).into_iter().map(|(_, state)| state);
        assert_eq!(states.collect::<Vec<_>>(), told);
    }

    #[test]
    fn knocks_are_bounded_in_number() {
        let (mut world, _) = locked(Config {
            knocks: 2,
            ..Config::default()
        });
        let clients = [(); 2].map(|()| world.client());
        for client in &clients {
            world.ask(client, knock("blue"));
        }
        let errors = clients.map(|client| world.error(&client));
        assert_eq!(errors, [None, Some(Reject::TooManyKnocks)]);
    }

    #[test]
    fn a_knock_outlives_the_connections_of_both_sides() {
        let (mut world, [ada, _, alan]) = locked(Config::default());
        world.input(alan.connection, Input::Closed);
        world.input(ada.connection, Input::Closed);
        let ada = world.resume(&ada, 0);
        let alan = world.resume(&alan, 0);
        let waiting = [(alan.session, KnockState::Waiting)];
        assert_eq!(knocks(&mut world, &ada), waiting);
        world.ask(&ada, admit(&alan));
        assert!(has_joined(&mut world, &alan));
    }

    #[test]
    fn who_comes_to_let_in_is_told_who_waits() {
        let (mut world, [ada, grace, alan]) = locked(Config::default());
        world.ask(&ada, leave("blue"));
        let waiting = [(alan.session, KnockState::Waiting)];
        assert_eq!(knocks(&mut world, &grace), waiting);
        world.ask(&grace, admit(&alan));
        assert!(has_joined(&mut world, &alan));
    }

    #[test]
    fn who_comes_into_a_locked_room_without_anybody_is_its_host() {
        let (mut world, [ada, grace, alan]) = locked(Config::default());
        for client in [&ada, &grace] {
            world.ask(client, leave("blue"));
        }
        let edsger = world.member("blue");
        let got = world.got(edsger.connection);
        let joined = got.iter().find_map(|message| match &**message {
            Message::Joined { room, .. } => Some(room),
            _ => None,
        });
        let joined = joined.expect("it has joined");
        assert_eq!(joined.standing.role, Role::Host);
        assert!(joined.settings.locked);
        let knocks = joined.knocks.as_ref().expect("a host is told");
        assert_eq!(knocks[0].session, alan.session);
        world.ask(&edsger, admit(&alan));
        assert!(has_joined(&mut world, &alan));
    }

    #[test]
    fn a_full_room_lets_nobody_in() {
        let (mut world, [ada, grace, alan]) = locked(Config::default());
        let limit = Request::SetRoom {
            room: "blue".into(),
            locked: None,
            limit: Some(Some(2)),
            duplicates: None,
        };
        world.ask(&ada, limit);
        world.ask(&ada, admit(&alan));
        assert_eq!(world.error(&ada), Some(Reject::RoomFull));
        world.ask(&grace, leave("blue"));
        world.ask(&ada, admit(&alan));
        assert!(has_joined(&mut world, &alan));
    }
}
