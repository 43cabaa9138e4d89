//! What the members of a room are told of each other.

use std::sync::Arc;

use super::message::Member;
use super::room::Membership;
use super::{Hub, Message, RoomName, SessionId, State};
use crate::time::Now;

impl Hub {
    /// How `member` sees all others of its room.
    pub(super) fn others(&self, room: &RoomName, member: &Membership) -> Vec<Member> {
        let Some((_, room)) = self.rooms.get(room) else {
            return Vec::new();
        };
        let others = room.members().iter();
        others
            .filter(|other| other.session() != member.session())
            .map(|other| member.sees(other, self.state(other.session())))
            .collect()
    }

    fn state(&self, session: SessionId) -> State {
        match self.connection_of(session) {
            Some(_) => State::Joined,
            None => State::Suspended,
        }
    }

    /// Tells all other members of the room how `about` is.
    pub(super) fn broadcast(
        &mut self,
        room: &RoomName,
        about: &Membership,
        state: State,
        now: Now,
    ) {
        let Some(members) = self.rooms.find_mut(room) else {
            return;
        };
        let version = members.change();
        let receivers = members.members().iter();
        let receivers: Vec<_> = receivers
            .filter(|receiver| receiver.session() != about.session())
            .map(|receiver| (receiver.session(), receiver.sees(about, state)))
            .collect();
        for (receiver, member) in receivers {
            let presence = Message::Presence {
                room: Arc::clone(room),
                version,
                member,
            };
            self.post(receiver, presence, now);
        }
    }

    /// Tells all rooms of a session how it is.
    pub(super) fn announce(&mut self, id: SessionId, state: State, now: Now) {
        let session = self.sessions.get(&id);
        let rooms = session.map(|session| session.rooms.clone());
        for room in rooms.unwrap_or_default() {
            let membership = self.rooms.get(&room).and_then(|(_, room)| {
                let mut members = room.members().iter();
                members.find(|member| member.session() == id).cloned()
            });
            if let Some(membership) = membership {
                self.broadcast(&room, &membership, state, now);
            }
        }
    }
}
