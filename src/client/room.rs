//! The rooms that the session is in: what to join again, and the epoch of each pair.

use std::collections::{BTreeMap, HashMap};

use super::member::{Member, MemberState, RoomMembers};
use super::outbox::Entry;
use super::request::{Profile, Request, RequestId};
use crate::signal::SessionId;

#[derive(Debug)]
struct Room {
    re: RequestId,
    profile: Profile,
    epochs: HashMap<SessionId, u64>,
}

#[derive(Debug, Default)]
pub(super) struct Rooms {
    by_name: BTreeMap<Box<str>, Room>,
}

impl Rooms {
    pub(super) fn enter(
        &mut self,
        re: RequestId,
        name: &str,
        profile: Profile,
        members: &[Member],
    ) {
        let room = Room {
            re,
            profile,
            epochs: epochs(members),
        };
        self.by_name.insert(name.into(), room);
    }

    pub(super) fn update(&mut self, name: &str, profile: Profile) {
        if let Some(room) = self.by_name.get_mut(name) {
            let before = std::mem::take(&mut room.profile);
            room.profile = Profile {
                name: profile.name.or(before.name),
                data: profile.data.or(before.data),
            };
        }
    }

    pub(super) fn leave(&mut self, name: &str) {
        self.by_name.remove(name);
    }

    pub(super) fn presence(&mut self, name: &str, member: &Member) {
        let Some(room) = self.by_name.get_mut(name) else {
            return;
        };
        if member.state == MemberState::Left {
            room.epochs.remove(&member.session);
        } else {
            room.epochs.insert(member.session, member.epoch);
        }
    }

    /// The epoch of this session and another member; `None` if there is no such member.
    pub(super) fn epoch(&self, room: &str, member: SessionId) -> Option<u64> {
        self.by_name.get(room)?.epochs.get(&member).copied()
    }

    /// A snapshot: these are all the rooms.
    pub(super) fn replace(&mut self, rooms: &[RoomMembers]) {
        let is_listed = |name: &str| rooms.iter().any(|room| &*room.room == name);
        self.by_name.retain(|name, _| is_listed(name));
        for listed in rooms {
            if let Some(room) = self.by_name.get_mut(&listed.room) {
                room.epochs = epochs(&listed.members);
            }
        }
    }

    /// Forgets all rooms and gives what it takes to be in them again.
    pub(super) fn joins(&mut self) -> impl Iterator<Item = Entry> + use<> {
        let rooms = std::mem::take(&mut self.by_name);
        rooms.into_iter().map(|(room, known)| {
            let profile = known.profile;
            Entry::new(known.re, Request::Join { room, profile })
        })
    }
}

fn epochs(members: &[Member]) -> HashMap<SessionId, u64> {
    let epochs = members.iter().map(|member| (member.session, member.epoch));
    epochs.collect()
}
