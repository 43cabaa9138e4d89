//! A room as the relay knows it, and who is in it.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;

use crate::turn::Party;

/// How many addresses of a member are known in a room: the newest. A client has a few for each of
/// its networks.
pub(super) const ADDRESSES: usize = 64;

/// A room, and what its members have announced there.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) number: u64,
    announced: Mutex<Announced>,
}

#[derive(Debug, Default)]
struct Announced {
    /// By the number of the member; the last is the newest.
    of_member: HashMap<u64, VecDeque<IpAddr>>,
    /// Who has announced an address.
    by_address: HashMap<IpAddr, Vec<u64>>,
}

impl Room {
    /// One without members. No other room, and no session, has its number.
    pub(super) fn new(number: u64) -> Self {
        Self {
            number,
            announced: Mutex::default(),
        }
    }

    /// A member has said that it is at `address`.
    pub(super) fn announce(&self, member: u64, address: IpAddr) {
        let mut announced = self.lock();
        let addresses = announced.of_member.entry(member).or_default();
        let known = addresses.iter().position(|known| *known == address);
        if let Some(known) = known {
            addresses.remove(known);
            addresses.push_back(address);
            return;
        }
        addresses.push_back(address);
        let oldest = match addresses.len() > ADDRESSES {
            true => addresses.pop_front(),
            false => None,
        };
        announced
            .by_address
            .entry(address)
            .or_default()
            .push(member);
        if let Some(oldest) = oldest {
            announced.take_back(member, oldest);
        }
    }

    /// Forgets what a member has said.
    pub(super) fn forget(&self, member: u64) {
        let mut announced = self.lock();
        for address in announced.of_member.remove(&member).unwrap_or_default() {
            announced.take_back(member, address);
        }
    }

    /// Whether another member than `one` has said that it is at `address`.
    fn has_at(&self, address: IpAddr, one: u64) -> bool {
        let announced = self.lock();
        let members = announced.by_address.get(&address);
        members.is_some_and(|members| members.iter().any(|member| *member != one))
    }

    /// It is whole whoever panicked elsewhere: nothing panics while it is held.
    fn lock(&self) -> MutexGuard<'_, Announced> {
        self.announced
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Announced {
    fn take_back(&mut self, member: u64, address: IpAddr) {
        if let Some(members) = self.by_address.get_mut(&address) {
            members.retain(|known| *known != member);
            if members.is_empty() {
                self.by_address.remove(&address);
            }
        }
    }
}

/// To whom all allocations of a session belong.
#[derive(Debug)]
pub(super) struct SessionParty {
    /// That of no other session, and of no room.
    pub(super) number: u64,
    /// The rooms that it is in, by their numbers. Packets look at it without a lock.
    rooms: ArcSwap<Vec<(u64, Arc<Room>)>>,
}

impl SessionParty {
    /// One that is in no room.
    pub(super) fn new(number: u64) -> Self {
        Self {
            number,
            rooms: ArcSwap::default(),
        }
    }

    /// From now on it is in `room`. Whoever changes its rooms does so alone.
    pub(super) fn enter(&self, room: &Arc<Room>) {
        let mut rooms = Vec::clone(&self.rooms.load());
        rooms.push((room.number, Arc::clone(room)));
        self.rooms.store(Arc::new(rooms));
    }

    /// The same, no more.
    pub(super) fn leave(&self, room: u64) {
        let mut rooms = Vec::clone(&self.rooms.load());
        rooms.retain(|(number, _)| *number != room);
        self.rooms.store(Arc::new(rooms));
    }

    /// It is at `address`, as all its rooms are to know.
    pub(super) fn announce(&self, address: IpAddr) {
        for (_, room) in self.rooms.load().iter() {
            room.announce(self.number, address);
        }
    }
}

impl Party for SessionParty {
    fn meets(&self, other: &dyn Party) -> bool {
        let rooms = self.rooms.load();
        other.is_in(self.number) || rooms.iter().any(|(number, _)| other.is_in(*number))
    }

    /// A session is alone in the room of its own number.
    fn is_in(&self, room: u64) -> bool {
        let rooms = self.rooms.load();
        room == self.number || rooms.iter().any(|(number, _)| *number == room)
    }

    fn may_reach(&self, peer: IpAddr) -> bool {
        let rooms = self.rooms.load();
        rooms.iter().any(|(_, room)| room.has_at(peer, self.number))
    }
}

/// To whom allocations belong whose credentials are no session's: they are in no room, and so there
/// is nobody whom they may talk to.
#[derive(Debug)]
pub(super) struct Nobody;

impl Party for Nobody {
    fn meets(&self, _: &dyn Party) -> bool {
        false
    }

    fn is_in(&self, _: u64) -> bool {
        false
    }

    fn may_reach(&self, _: IpAddr) -> bool {
        false
    }
}
