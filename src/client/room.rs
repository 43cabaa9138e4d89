//! The rooms that the session is in: what to join again, and how this session and each of the others have met.

use std::collections::{BTreeMap, HashMap};

use super::member::{Member, MemberState, RoomMembers};
use super::outbox::Entry;
use super::pair::{Meeting, Pair};
use super::request::{Profile, Request, RequestId};
use crate::signal::SessionId;

#[derive(Debug)]
struct Room {
    re: RequestId,
    profile: Profile,
    pairs: HashMap<SessionId, Pair>,
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
            pairs: pairs(members),
        };
        self.by_name.insert(name.into(), room);
    }

    pub(super) fn update(&mut self, name: &str, profile: Profile) {
        if let Some(room) = self.by_name.get_mut(name) {
            room.profile.change(profile);
        }
    }

    /// What this session says of itself in a room.
    pub(super) fn profile(&self, name: &str) -> Option<Profile> {
        self.by_name.get(name).map(|room| room.profile.clone())
    }

    pub(super) fn leave(&mut self, name: &str) {
        self.by_name.remove(name);
    }

    pub(super) fn presence(&mut self, name: &str, member: &Member) {
        let Some(room) = self.by_name.get_mut(name) else {
            return;
        };
        if member.state == MemberState::Left {
            room.pairs.remove(&member.session);
        } else {
            room.pairs.insert(member.session, pair(member));
        }
    }

    /// How this session and another member have met; `None` if there is no such member.
    pub(super) fn pair(&self, room: &str, member: SessionId) -> Option<&Pair> {
        self.by_name.get(room)?.pairs.get(&member)
    }

    /// All meetings that there are, by room.
    pub(super) fn meetings(&self) -> Vec<(Box<str>, Vec<Meeting>)> {
        let rooms = self.by_name.iter();
        let meetings = rooms.map(|(name, room)| (name.clone(), room.meetings()));
        meetings.collect()
    }

    /// A snapshot: these are all the rooms.
    pub(super) fn replace(&mut self, rooms: &[RoomMembers]) {
        let is_listed = |name: &str| rooms.iter().any(|room| &*room.room == name);
        self.by_name.retain(|name, _| is_listed(name));
        for listed in rooms {
            if let Some(room) = self.by_name.get_mut(&listed.room) {
                room.pairs = pairs(&listed.members);
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

impl Room {
    fn meetings(&self) -> Vec<Meeting> {
        let pairs = self.pairs.iter();
        let meetings = pairs.map(|(&session, &Pair { epoch, polite, .. })| Meeting {
            session,
            epoch,
            polite,
        });
        meetings.collect()
    }
}

fn pairs(members: &[Member]) -> HashMap<SessionId, Pair> {
    let pairs = members.iter().map(|member| (member.session, pair(member)));
    pairs.collect()
}

fn pair(member: &Member) -> Pair {
    Pair {
        epoch: member.epoch,
        polite: member.polite,
        continues: member.continues,
    }
}
