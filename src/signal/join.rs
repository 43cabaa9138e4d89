//! Join, update, leave.

use std::sync::Arc;

use super::ids::is_room_name;
use super::message::{Profile, RoomSnapshot};
use super::room::NameAndData;
use super::{
    Config, Hub, Meeting, Message, Permissions, Reason, Reject, RoomName, SessionId, State,
};
use crate::time::Now;

/// The longest name of a member, in characters.
const NAME_CHARACTERS: usize = 64;

impl Hub {
    pub(super) fn join(
        &mut self,
        session: SessionId,
        re: u64,
        room: Box<str>,
        (profile, meetings): (NameAndData, Vec<Meeting>),
        now: Now,
    ) -> Result<(), Reject> {
        self.check_join(session, &room, &profile)?;
        let name = match self.rooms.get(&room) {
            Some((name, _)) => Arc::clone(name),
            None => RoomName::from(room),
        };
        if let Some(session) = self.sessions.get_mut(&session) {
            session.rooms.push(Arc::clone(&name));
        }
        let meetings = self.meetings_that_count(meetings, now);
        let made = self.rooms.get_or_make(&name);
        let standing = made.standing_of_newcomer();
        let profile = Profile {
            session,
            name: profile.0,
            data: profile.1,
        };
        let newcomer = made.add(profile, standing, meetings);
        // The newcomer's own coming is the next change, and part of what it is told.
        let version = made.version() + 1;
        let room = RoomSnapshot {
            room: Arc::clone(&name),
            version,
            standing,
            members: self.others(&name, &newcomer),
        };
        self.post(session, Message::Joined { re, room }, now);
        self.broadcast(&name, &newcomer, State::Joined, now);
        Ok(())
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
        if self.is_in(session, room) {
            return Err(Reject::AlreadyJoined);
        }
        let session = self.sessions.get(&session);
        let rooms = session.map_or(0, |session| session.rooms.len());
        if rooms >= self.config.rooms_per_session {
            return Err(Reject::TooManyRooms);
        }
        let members = self
            .rooms
            .get(room)
            .map_or(0, |(_, room)| room.members().len());
        if members >= self.config.room_members {
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
        let room = self.room_of(id, room)?;
        if let Some(session) = self.sessions.get_mut(&id) {
            session.rooms.retain(|name| *name != room);
        }
        let left = Message::Left {
            re,
            room: Arc::clone(&room),
        };
        self.post(id, left, now);
        self.remove_member(&room, id, Reason::Left, now);
        Ok(())
    }

    /// Takes a member out of a room and tells the others.
    pub(super) fn remove_member(
        &mut self,
        room: &RoomName,
        session: SessionId,
        reason: Reason,
        now: Now,
    ) {
        if let Some(member) = self.rooms.get_or_make(room).remove(session) {
            self.broadcast(room, &member, State::Left(reason), now);
            self.see_that_there_is_a_host(room, now);
        }
        self.rooms.remove_if_empty(room);
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

    fn is_in(&self, session: SessionId, room: &str) -> bool {
        self.room_of(session, room).is_ok()
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
