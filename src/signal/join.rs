//! Join, update, leave.

use std::sync::Arc;

use super::ids::is_room_name;
use super::meetings::Meetings;
use super::message::{Profile, RoomSnapshot};
use super::room::NameAndData;
use super::{
    Config, Hub, Meeting, Message, Permissions, Reason, Reject, Role, RoomName, SessionId,
    Standing, State,
};
use crate::time::Now;

/// The longest name of a member, in characters.
const NAME_CHARACTERS: usize = 64;

impl Hub {
    pub(super) fn join(
        &mut self,
        session: SessionId,
        re: u64,
        (room, knock): (Box<str>, bool),
        (profile, meetings): (NameAndData, Vec<Meeting>),
        now: Now,
    ) -> Result<(), Reject> {
        if is_room_name(&room) {
            self.check_granted(session, &room, now)?;
        }
        self.check_join(session, &room, &profile)?;
        let name = match self.rooms.get(&room) {
            Some((name, _)) => Arc::clone(name),
            None => RoomName::from(room),
        };
        let meetings = self.meetings_that_count(session, meetings, now);
        let profile = Profile {
            session,
            name: profile.0,
            data: profile.1,
        };
        let standing = self.standing_in(session, &name);
        if !self.has_to_knock(&name, standing) {
            self.enter(re, &name, (Arc::new(profile), meetings), standing, now);
        } else if knock {
            self.knock(re, &name, (profile, meetings), now)?;
        } else {
            return Err(Reject::RoomLocked);
        }
        Ok(())
    }

    /// What somebody is who comes into the room.
    pub(super) fn standing_in(&self, session: SessionId, room: &str) -> Standing {
        if let Some(granted) = self.granted_in(session, room) {
            return granted;
        }
        match self.rooms.get(room) {
            Some((_, room)) => room.standing_of_newcomer(),
            None => Role::Host.into(),
        }
    }

    /// Whether who comes as this has to be let in: anybody where it is locked, and guests always.
    /// Who may let in need not knock.
    fn has_to_knock(&self, room: &str, standing: Standing) -> bool {
        let is_locked = self.rooms.get(room).is_some_and(|(_, room)| room.locked);
        let is_moderator = standing.permissions.contains(Permissions::MODERATE);
        (is_locked || standing.role == Role::Guest) && !is_moderator
    }

    /// Makes a session a member, and tells it and the others.
    pub(super) fn enter(
        &mut self,
        re: u64,
        name: &RoomName,
        (profile, meetings): (Arc<Profile>, Meetings),
        standing: Standing,
        now: Now,
    ) {
        let id = profile.session;
        if let Some(session) = self.sessions.get_mut(&id) {
            session.rooms.push(Arc::clone(name));
        }
        self.make_way(id, name, now);
        let made = self.rooms.open(name);
        let meetings = meetings.present(&made.given_up(now.unix), now.unix);
        let newcomer = made.add(profile, standing, meetings);
        // The newcomer's own coming is the next change, and part of what it is told.
        let version = made.version() + 1;
        self.announce_entry(id, name);
        if let Some(room) = self.account(name, id) {
            let room = RoomSnapshot { version, ..room };
            self.post(id, Message::Joined { re, room }, now);
        }
        let state = self.state(id);
        self.broadcast(name, &newcomer, state, now);
        self.look_after_room(name, now);
    }

    fn check_join(
        &self,
        session: SessionId,
        room: &str,
        profile: &NameAndData,
    ) -> Result<(), Reject> {
        if !is_room_name(room) {
            return Err(Reject::InvalidRoom);
        }
        check_profile(profile, &self.config)?;
        let known = self.rooms.get(room).map(|(_, room)| room);
        if known.is_some_and(|it| it.find(session).is_some() || it.knocks.contains(session)) {
            return Err(Reject::AlreadyJoined);
        }
        if self.is_barred(session, room) {
            return Err(Reject::Barred);
        }
        let id = session;
        let session = self.sessions.get(&session);
        let rooms = session.map_or(0, |session| session.rooms.len() + session.knocks.len());
        if rooms >= self.rooms_at_once(id) {
            return Err(Reject::TooManyRooms);
        }
        self.check_room_for(id, room)
    }

    /// In how many rooms a session may be: as many as its grant says, or as any.
    pub(super) fn rooms_at_once(&self, session: SessionId) -> usize {
        self.grant_of(session)
            .and_then(|grant| grant.rooms_at_once())
            .unwrap_or(self.config.rooms_per_session)
    }

    /// Whether the room may have one more member, and this one.
    pub(super) fn check_room_for(&self, newcomer: SessionId, room: &str) -> Result<(), Reject> {
        let Some((_, known)) = self.rooms.get(room) else {
            return Ok(());
        };
        let making_way = self.who_makes_way(newcomer, room)?.len();
        if known.members().len() - making_way >= known.settings(&self.config).limit {
            return Err(Reject::RoomFull);
        }
        Ok(())
    }

    pub(super) fn update(
        &mut self,
        session: SessionId,
        re: u64,
        room: &str,
        profile: NameAndData,
        now: Now,
    ) -> Result<(), Reject> {
        let room = self.room_of(session, room)?;
        check_profile(&profile, &self.config)?;
        let member = self.rooms.get_or_make(&room).replace(session, profile);
        let updated = Message::Updated {
            re,
            room: Arc::clone(&room),
        };
        self.post(session, updated, now);
        if let Some(member) = member {
            self.broadcast(&room, &member, State::Joined, now);
        }
        Ok(())
    }

    pub(super) fn leave(
        &mut self,
        id: SessionId,
        re: u64,
        room: &str,
        now: Now,
    ) -> Result<(), Reject> {
        let left = |room: &RoomName| Message::Left {
            re,
            room: Arc::clone(room),
        };
        if let Some(room) = self.knocks_at(id, room) {
            self.withdraw_knock(id, &room, now);
            self.post(id, left(&room), now);
            return Ok(());
        }
        let room = self.room_of(id, room)?;
        if let Some(session) = self.sessions.get_mut(&id) {
            session.rooms.retain(|name| *name != room);
        }
        self.post(id, left(&room), now);
        self.remove_member(&room, id, Reason::Left, now);
        Ok(())
    }

    /// Takes a member out of a room, tells the others, and closes the room if it was the last one.
    pub(super) fn remove_member(
        &mut self,
        room: &RoomName,
        session: SessionId,
        reason: Reason,
        now: Now,
    ) {
        self.take_out(room, session, reason, now);
        self.close_if_empty(room, now);
    }

    pub(super) fn take_out(
        &mut self,
        room: &RoomName,
        session: SessionId,
        reason: Reason,
        now: Now,
    ) {
        let members = self.rooms.get_or_make(room);
        let held = members.state.held_by(session);
        if let Some(member) = members.remove(session) {
            self.announce_leave(session, room);
            self.broadcast(room, &member, State::Left(reason), now);
            if !self.config.access.by_token {
                self.see_that_there_is_a_host(room, now);
            }
            self.drop_state(room, held, Some(session), now);
        }
    }

    /// Whether the session is a member of the room that may do this.
    pub(super) fn check_may(
        &self,
        session: SessionId,
        room: &str,
        what: Permissions,
    ) -> Result<(), Reject> {
        let room = self.rooms.get(room).map(|(_, room)| room);
        let may = room.is_some_and(|room| room.may(session, what));
        may.then_some(()).ok_or(Reject::NotPermitted)
    }

    /// The name of a room at which the session knocks.
    fn knocks_at(&self, session: SessionId, room: &str) -> Option<RoomName> {
        let mut rooms = self.sessions.get(&session)?.knocks.iter();
        rooms.find(|name| &***name == room).cloned()
    }

    /// The name of a room in which the session is.
    pub(super) fn room_of(&self, session: SessionId, room: &str) -> Result<RoomName, Reject> {
        let session = self.sessions.get(&session).ok_or(Reject::NotInRoom)?;
        let mut rooms = session.rooms.iter();
        let name = rooms.find(|name| &***name == room);
        name.cloned().ok_or(Reject::NotInRoom)
    }
}

fn check_profile((name, data): &NameAndData, config: &Config) -> Result<(), Reject> {
    if let Some(name) = name
        && (name.chars().count() > NAME_CHARACTERS || name.chars().any(char::is_control))
    {
        return Err(Reject::InvalidName);
    }
    if let Some(data) = data
        && data.get().len() > config.data_bytes
    {
        return Err(Reject::DataTooLarge);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Client, World, join, leave};
    use super::super::{Config, Member, Message, Reject, State};

    /// The members that the last `joined` of this client has listed.
    fn snapshot(world: &mut World, client: &Client) -> Vec<Member> {
        let got = world.got(client.connection);
        let members = got.iter().rev().find_map(|message| match &**message {
            Message::Joined { room, .. } => Some(room.members.clone()),
            _ => None,
        });
        members.expect("it has joined")
    }

    #[test]
    fn who_comes_later_is_polite_and_gives_the_epoch() {
        let mut world = World::new(Config::default());
        let ada = world.member("blue");
        world.got(ada.connection);
        let grace = world.member("blue");
        let seen = snapshot(&mut world, &grace).remove(0);
        assert_eq!((seen.polite, seen.epoch), (true, 2));
        let Message::Presence { member, .. } = &*world.got(ada.connection)[0] else {
            panic!("no presence");
        };
        assert_eq!((member.polite, member.epoch), (false, 2));
        assert_eq!(member.state, State::Joined);
    }

    #[test]
    fn an_epoch_never_comes_again_though_the_room_was_gone() {
        let mut world = World::new(Config::default());
        let (ada, grace) = (world.member("blue"), world.member("blue"));
        world.ask(&ada, leave("blue"));
        world.ask(&grace, leave("blue"));
        assert_eq!(world.hub.rooms(), 0);
        world.ask(&ada, join("blue"));
        world.ask(&grace, join("blue"));
        assert!(snapshot(&mut world, &grace)[0].epoch > 2);
    }

    #[test]
    fn rooms_and_their_members_are_bounded() {
        let config = Config {
            room_members: 1,
            rooms_per_session: 1,
            ..Config::default()
        };
        let mut world = World::new(config);
        let ada = world.member("blue");
        world.ask(&ada, join("green"));
        assert_eq!(world.error(&ada), Some(Reject::TooManyRooms));
        let grace = world.member("blue");
        assert_eq!(world.error(&grace), Some(Reject::RoomFull));
        assert_eq!(world.hub.rooms(), 1);
    }

    #[test]
    fn an_update_keeps_what_it_leaves_out() {
        use super::super::Request;
        let mut world = World::new(Config::default());
        let ada = world.client();
        world.ask(
            &ada,
            Request::Join {
                room: "blue".into(),
                name: Some("Ada".into()),
                data: serde_json::value::RawValue::from_string("1".to_owned()).ok(),
                meetings: Vec::new(),
                knock: false,
            },
        );
        world.ask(
            &ada,
            Request::Update {
                room: "blue".into(),
                name: Some("Ada L.".into()),
                data: None,
            },
        );
        let grace = world.member("blue");
        let profile = snapshot(&mut world, &grace).remove(0).profile;
        assert_eq!(profile.name.as_deref(), Some("Ada L."));
        assert_eq!(profile.data.as_ref().map(|data| data.get()), Some("1"));
    }
}
