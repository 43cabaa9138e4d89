//! All rooms of a session as they are, in place of what it has missed.

use std::sync::Arc;

use super::message::RoomSnapshot;
use super::{Hub, Message, Permissions, RoomName, SessionId};
use crate::time::Now;

impl Hub {
    /// What the session has missed is replaced by a snapshot of its rooms. What others have said to
    /// it stays, and follows.
    pub(super) fn replace_by_snapshot(&mut self, id: SessionId, now: Now) {
        let rooms = self.snapshots(id);
        if let Some(session) = self.sessions.get_mut(&id) {
            let knocking = session.knocks.clone();
            let snapshot = Arc::new(Message::Snapshot { rooms, knocking });
            session.mailbox.begin_anew(snapshot, now);
        }
    }

    fn snapshots(&self, id: SessionId) -> Vec<RoomSnapshot> {
        let session = self.sessions.get(&id);
        let rooms = session.map_or(&[][..], |session| &session.rooms);
        let accounts = rooms.iter().filter_map(|name| self.account(name, id));
        accounts.collect()
    }

    /// A room as one of its members is told of it.
    pub(super) fn account(&self, name: &RoomName, of: SessionId) -> Option<RoomSnapshot> {
        let (name, room) = self.rooms.get(name)?;
        let member = room.find(of)?;
        let may_admit = room.may(of, Permissions::MODERATE);
        Some(RoomSnapshot {
            room: Arc::clone(name),
            version: room.version(),
            standing: member.standing,
            settings: room.settings(&self.config),
            members: self.others(name, member),
            knocks: may_admit.then(|| room.knocks.profiles()),
            state: room.state.entries(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{World, offer};
    use super::super::{Command, Config, Input, Offset, Reject, Resumed, State};
    use super::*;

    #[test]
    fn a_snapshot_that_is_lost_with_its_connection_is_announced_again() {
        let config = Config {
            mailbox_messages: 4,
            ..Config::default()
        };
        let mut world = World::new(config);
        let (ada, grace) = (world.member("blue"), world.member("blue"));
        for _ in 0..5 {
            world.ask(&ada, offer("blue", &grace, 2));
        }
        assert_eq!(world.error(&ada), Some(Reject::AddresseeOverloaded));
        // It has taken in everything that it could, and the snapshot comes next.
        for _ in 0..3 {
            let grace = world.resume(&grace, 5);
            assert_eq!(grace.resumed, Resumed::Snapshot);
            let got = world.got(grace.connection);
            let last = got.last().expect("the snapshot");
            assert!(matches!(**last, Message::Snapshot { .. }), "{last:?}");
        }
        let next = world.resume(&grace, 8);
        assert_eq!(next.resumed, Resumed::Full);
    }

    #[test]
    fn who_has_missed_too_much_gets_all_rooms_at_once_and_what_was_said_to_it() {
        let config = Config {
            mailbox_messages: 4,
            ..Config::default()
        };
        let mut world = World::new(config);
        let grace = world.member("blue");
        let ada = world.member("blue");
        world.input(ada.connection, Input::Closed);
        let mut others = Vec::new();
        for _ in 0..3 {
            world.say(grace.connection, Command::Ack(Offset(9)));
            others.push(world.member("blue"));
        }
        world.say(grace.connection, Command::Ack(Offset(9)));
        world.ask(&grace, offer("blue", &ada, 2));
        assert_eq!(world.error(&grace), None);
        world.say(others[0].connection, Command::Bye);
        let back = world.resume(&ada, 1);
        assert_eq!(back.resumed, Resumed::Snapshot);
        assert_eq!(back.session, ada.session);
        let got = world.got(back.connection);
        let Message::Snapshot { rooms, .. } = &*got[1] else {
            panic!("no snapshot: {got:?}");
        };
        let [blue] = &rooms[..] else {
            panic!("one room: {rooms:?}");
        };
        let members = blue.members.iter();
        let members: Vec<_> = members.map(|it| (it.profile.session, it.state)).collect();
        let here = [&grace, &others[1], &others[2]].map(|it| (it.session, State::Joined));
        assert_eq!(members, here);
        assert!(matches!(&*got[2], Message::Delivery(it) if it.from == grace.session));
        assert_eq!(got.len(), 3);
        // From here on it is as if nothing had been missed.
        world.input(back.connection, Input::Closed);
        assert_eq!(world.resume(&back, 0).resumed, Resumed::Snapshot);
    }

    #[test]
    fn a_room_is_always_of_a_later_version() {
        let mut world = World::new(Config::default());
        let ada = world.member("blue");
        let mut versions = Vec::new();
        for _ in 0..3 {
            let grace = world.member("blue");
            world.input(grace.connection, Input::Left);
            for message in world.got(ada.connection) {
                match &*message {
                    Message::Presence { version, .. } => versions.push(*version),
                    Message::Joined { room, .. } => versions.push(room.version),
                    _ => {}
                }
            }
        }
        assert_eq!(versions, [1, 2, 3, 4, 5, 6, 7]);
    }
}
