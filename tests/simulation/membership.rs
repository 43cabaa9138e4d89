//! Who is in which room, and what a member may do there: as the protocol has it, and told by
//! nobody but who asks.

use std::collections::BTreeMap;

use peerage::signal::SessionId;

/// A room, by what has been asked for so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Room {
    /// In the order in which they came.
    pub(crate) members: Vec<SessionId>,
    pub(crate) knocking: Vec<SessionId>,
    pub(crate) host: Option<SessionId>,
    pub(crate) is_locked: bool,
}

impl Room {
    pub(crate) fn has(&self, session: SessionId) -> bool {
        self.members.contains(&session)
    }

    pub(crate) fn enter(&mut self, session: SessionId) {
        self.host.get_or_insert(session);
        self.members.push(session);
    }

    fn leave(&mut self, session: SessionId) {
        self.members.retain(|it| *it != session);
        self.knocking.retain(|it| *it != session);
        if self.host == Some(session) {
            self.host = self.members.first().copied();
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Membership {
    rooms: BTreeMap<&'static str, Room>,
    most: usize,
}

impl Membership {
    pub(crate) fn new(most: usize) -> Self {
        let rooms = BTreeMap::new();
        Self { rooms, most }
    }

    /// What there is of a room; an empty one is as good as none.
    pub(crate) fn room(&self, name: &str) -> Room {
        self.rooms.get(name).cloned().unwrap_or_default()
    }

    pub(crate) fn join(&mut self, session: SessionId, name: &'static str, knock: bool) {
        let room = self.rooms.entry(name).or_default();
        let is_there = room.has(session) || room.knocking.contains(&session);
        if is_there || room.members.len() == self.most {
            return;
        }
        // Nobody has to let in whoever comes first.
        if !room.is_locked || room.members.is_empty() {
            room.enter(session);
        } else if knock {
            room.knocking.push(session);
        }
    }

    pub(crate) fn leave(&mut self, session: SessionId, name: &str) {
        if let Some(room) = self.rooms.get_mut(name) {
            room.leave(session);
            let is_empty = room.members.is_empty() && room.knocking.is_empty();
            if is_empty {
                self.rooms.remove(name);
            }
        }
    }

    pub(crate) fn end(&mut self, session: SessionId) {
        let names: Vec<_> = self.rooms.keys().copied().collect();
        for name in names {
            self.leave(session, name);
        }
    }

    /// The room, if `host` looks after it.
    fn looked_after(&mut self, name: &str, host: SessionId) -> Option<&mut Room> {
        let room = self.rooms.get_mut(name)?;
        (room.host == Some(host)).then_some(room)
    }

    pub(crate) fn lock(&mut self, host: SessionId, name: &str, locked: bool) {
        if let Some(room) = self.looked_after(name, host) {
            room.is_locked = locked;
        }
    }

    pub(crate) fn admit(&mut self, host: SessionId, name: &str, knocker: SessionId) {
        let most = self.most;
        let room = self.looked_after(name, host);
        let room = room.filter(|it| it.knocking.contains(&knocker) && it.members.len() < most);
        if let Some(room) = room {
            room.knocking.retain(|it| *it != knocker);
            room.enter(knocker);
        }
    }

    pub(crate) fn deny(&mut self, host: SessionId, name: &str, knocker: SessionId) {
        if let Some(room) = self.looked_after(name, host) {
            room.knocking.retain(|it| *it != knocker);
        }
    }

    pub(crate) fn remove(&mut self, host: SessionId, name: &str, member: SessionId) {
        let room = self.looked_after(name, host);
        if room.is_some_and(|room| room.has(member) && member != host) {
            self.leave(member, name);
        }
    }
}
