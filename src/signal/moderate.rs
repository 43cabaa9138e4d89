//! Hosts look after their room: lock, limit, roles, removal.

use std::sync::Arc;

use super::message::SettingsChange;
use super::room::Barred;
use super::settings::Duplicates;
use super::{Hub, Message, Permissions, Reason, Reject, Role, RoomName, SessionId};
use crate::time::Now;

/// What hosts want to change: whether it is locked, how many members it may have
/// (`Some(None)`: as many as the server allows), and what becomes of second sessions.
type RoomRequest = (Option<bool>, Option<Option<usize>>, Option<Duplicates>);

impl Hub {
    /// Changes what hosts decide about a room. Who is in it stays. Where all is like that already,
    /// nobody else is told.
    pub(super) fn set_room(
        &mut self,
        by: SessionId,
        re: u64,
        room: &str,
        (locked, limit, duplicates): RoomRequest,
        now: Now,
    ) -> Result<(), Reject> {
        let room = self.room_of(by, room)?;
        self.check_may(by, &room, Permissions::MODERATE)?;
        let allowed = 1..=self.config.room_members;
        if limit.flatten().is_some_and(|it| !allowed.contains(&it)) {
            return Err(Reject::InvalidLimit);
        }
        let members = self.rooms.find_mut(&room).ok_or(Reject::NotInRoom)?;
        let before = members.settings(&self.config);
        members.locked = locked.unwrap_or(members.locked);
        members.limit = limit.unwrap_or(members.limit);
        members.duplicates = duplicates.or(members.duplicates);
        let settings = members.settings(&self.config);
        let is_new = settings != before;
        let version = if is_new {
            members.change()
        } else {
            members.version()
        };
        let change = |re| SettingsChange {
            re,
            room: Arc::clone(&room),
            version,
            settings,
        };
        self.post(by, Message::Room(change(Some(re))), now);
        if !is_new {
            return Ok(());
        }
        let message = Arc::new(Message::Room(change(None)));
        for member in self.all_but(&room, by) {
            self.post_shared(member, Arc::clone(&message), now);
        }
        Ok(())
    }

    /// Gives a member another role.
    pub(super) fn set_role(
        &mut self,
        by: SessionId,
        re: u64,
        room: &str,
        (member, role): (Option<SessionId>, Role),
        now: Now,
    ) -> Result<(), Reject> {
        let (room, member) = self.check_moderates(by, room, member)?;
        let known = self.rooms.get(&room).map(|(_, room)| room);
        let is_last = known.is_some_and(|room| room.is_last_host(member));
        if is_last && role != Role::Host {
            return Err(Reject::LastHost);
        }
        self.give_standing(&room, member, role.into(), now);
        self.post(by, Message::Done { re, room }, now);
        Ok(())
    }

    /// Puts a member out of the room, and keeps it from coming back as long as the room lives if
    /// `bar` says so.
    pub(super) fn remove(
        &mut self,
        by: SessionId,
        re: u64,
        room: &str,
        (member, bar): (Option<SessionId>, bool),
        now: Now,
    ) -> Result<(), Reject> {
        let others = member.filter(|&member| member != by);
        let (room, member) = self.check_moderates(by, room, others)?;
        let mut out = vec![member];
        if bar && let Barred::Subject(_) = self.bar(by, &room, member)? {
            out.extend(self.doubles(member, &room));
        }
        for member in out {
            self.put_out(member, &room, Reason::Removed, now);
        }
        self.post(by, Message::Done { re, room }, now);
        Ok(())
    }

    /// Puts a member out of a room, and tells it and the others why.
    pub(super) fn put_out(&mut self, id: SessionId, room: &RoomName, reason: Reason, now: Now) {
        self.expel(id, room, reason, now);
        self.close_if_empty(room, now);
    }

    /// The same where the room stays open even if nobody is left.
    pub(super) fn expel(&mut self, id: SessionId, room: &RoomName, reason: Reason, now: Now) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.rooms.retain(|name| name != room);
        }
        let put_out = Message::PutOut {
            room: Arc::clone(room),
            reason,
        };
        self.post(id, put_out, now);
        self.take_out(room, id, reason, now);
    }

    fn check_moderates(
        &self,
        by: SessionId,
        room: &str,
        member: Option<SessionId>,
    ) -> Result<(RoomName, SessionId), Reject> {
        let room = self.room_of(by, room)?;
        self.check_may(by, &room, Permissions::MODERATE)?;
        let known = self.rooms.get(&room).map(|(_, room)| room);
        let is_in = |&member: &SessionId| known.is_some_and(|it| it.find(member).is_some());
        let member = member.filter(is_in).ok_or(Reject::NoSuchMember)?;
        Ok((room, member))
    }

    /// Keeps somebody out as long as the room lives.
    pub(super) fn bar(
        &mut self,
        by: SessionId,
        room: &RoomName,
        session: SessionId,
    ) -> Result<Barred, Reject> {
        let barred = self.barred_as(session, by);
        let members = self.rooms.find_mut(room).ok_or(Reject::NotInRoom)?;
        let is_barred = members.bar(barred.clone());
        is_barred.then_some(barred).ok_or(Reject::TooManyBarred)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Client, World, broadcast, join, leave};
    use super::super::{Config, Input, Request, State};
    use super::*;

    fn set_room(limit: Option<usize>) -> Request {
        Request::SetRoom {
            room: "blue".into(),
            locked: None,
            limit: Some(limit),
            duplicates: None,
        }
    }

    fn set_role(client: &Client, role: Role) -> Request {
        Request::SetRole {
            room: "blue".into(),
            session: Some(client.session),
            role,
        }
    }

    fn remove(client: &Client, bar: bool) -> Request {
        Request::Remove {
            room: "blue".into(),
            session: Some(client.session),
            bar,
        }
    }

    #[test]
    fn only_who_may_moderate_looks_after_the_room() {
        let mut world = World::new(Config::default());
        let [ada, grace] = ["blue"; 2].map(|room| world.member(room));
        for request in [
            set_room(None),
            set_role(&grace, Role::Host),
            remove(&ada, false),
        ] {
            world.ask(&grace, request);
            assert_eq!(world.error(&grace), Some(Reject::NotPermitted));
        }
    }

    #[test]
    fn a_host_sets_a_limit_below_that_of_the_server() {
        let mut world = World::new(Config {
            room_members: 3,
            ..Config::default()
        });
        let [ada, grace] = ["blue"; 2].map(|room| world.member(room));
        for limit in [0, 4] {
            world.ask(&ada, set_room(Some(limit)));
            assert_eq!(world.error(&ada), Some(Reject::InvalidLimit));
        }
        world.ask(&ada, set_room(Some(1)));
        let got = world.got(grace.connection);
        let Some(Message::Room(change)) = got.last().map(|it| &**it) else {
            panic!("not told: {got:?}");
        };
        assert_eq!((change.re, change.settings.limit), (None, 1));
        // Who is in stays; nobody else comes in.
        let alan = world.member("blue");
        assert_eq!(world.error(&alan), Some(Reject::RoomFull));
        world.ask(&ada, set_room(None));
        world.ask(&alan, join("blue"));
        assert_eq!(world.error(&alan), None);
    }

    #[test]
    fn what_a_room_has_already_is_confirmed_and_told_to_nobody_else() {
        let mut world = World::new(Config {
            room_members: 3,
            ..Config::default()
        });
        let [ada, grace] = ["blue"; 2].map(|room| world.member(room));
        let mut set = |limit| {
            world.ask(&ada, set_room(limit));
            let told = world.got(ada.connection);
            let Some(Message::Room(change)) = told.last().map(|it| &**it) else {
                panic!("not told: {told:?}");
            };
            let heard = world.got(grace.connection);
            let others = heard.iter().filter(|it| matches!(***it, Message::Room(_)));
            (change.re.is_some(), change.version, others.count())
        };
        let (is_answered, version, others) = set(Some(2));
        assert_eq!((is_answered, others), (true, 1));
        assert_eq!(set(Some(2)), (true, version, 0));
        assert_eq!(set(None), (true, version + 1, 1));
        // As many as the server allows, said in another way.
        assert_eq!(set(Some(3)), (true, version + 1, 0));
    }

    #[test]
    fn a_role_changes_what_one_may_do() {
        let mut world = World::new(Config::default());
        let [ada, grace] = ["blue"; 2].map(|room| world.member(room));
        world.ask(&ada, set_role(&grace, Role::Guest));
        world.ask(&grace, broadcast("blue"));
        assert_eq!(world.error(&grace), Some(Reject::NotPermitted));
        world.ask(&ada, set_role(&grace, Role::Host));
        world.ask(&grace, set_role(&ada, Role::Member));
        assert_eq!(world.error(&grace), None);
        world.ask(&ada, set_role(&ada, Role::Host));
        assert_eq!(world.error(&ada), Some(Reject::NotPermitted));
        world.ask(&grace, set_role(&grace, Role::Member));
        assert_eq!(world.error(&grace), Some(Reject::LastHost));
        let stranger = world.member("green");
        world.ask(&grace, set_role(&stranger, Role::Host));
        assert_eq!(world.error(&grace), Some(Reject::NoSuchMember));
    }

    #[test]
    fn who_is_removed_is_told_and_so_are_the_others() {
        let mut world = World::new(Config::default());
        let [ada, grace, alan] = ["blue"; 3].map(|room| world.member(room));
        world.input(grace.connection, Input::Closed);
        world.ask(&ada, remove(&grace, false));
        let got = world.got(alan.connection);
        assert!(
            matches!(&**got.last().expect("presence"), Message::Presence { member, .. }
            if member.profile.session == grace.session
                && member.state == State::Left(Reason::Removed))
        );
        let grace = world.resume(&grace, 1);
        let got = world.got(grace.connection);
        let is_out = |it: &Arc<Message>| matches!(**it, Message::PutOut { reason, .. } if reason == Reason::Removed);
        assert!(got.iter().any(is_out));
        world.ask(&grace, broadcast("blue"));
        assert_eq!(world.error(&grace), Some(Reject::NotInRoom));
        world.ask(&grace, join("blue"));
        assert_eq!(world.error(&grace), None);
        world.ask(&ada, remove(&ada, false));
        assert_eq!(world.error(&ada), Some(Reject::NoSuchMember));
    }

    #[test]
    fn who_is_barred_stays_out_as_long_as_the_room_lives() {
        let mut world = World::new(Config::default());
        let [ada, grace] = ["blue"; 2].map(|room| world.member(room));
        world.ask(&ada, remove(&grace, true));
        world.ask(&grace, join("blue"));
        assert_eq!(world.error(&grace), Some(Reject::Barred));
        world.ask(&ada, leave("blue"));
        world.ask(&grace, join("blue"));
        assert_eq!(world.error(&grace), Some(Reject::Barred));
    }

    #[test]
    fn those_who_are_barred_are_bounded() {
        let mut world = World::new(Config::default());
        let ada = world.member("blue");
        let mut last = None;
        for _ in 0..257 {
            let grace = world.member("blue");
            world.ask(&ada, remove(&grace, true));
            last = world.error(&ada);
            world.say(
                ada.connection,
                super::super::Command::Ack(super::super::Offset(u64::MAX)),
            );
            world.wait(std::time::Duration::from_millis(40));
        }
        assert_eq!(last, Some(Reject::TooManyBarred));
    }
}
