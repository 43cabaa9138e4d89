//! All allocations of a server, found by five-tuple or by id.

use std::collections::HashMap;

use ahash::RandomState;

use super::allocation::Allocation;
use super::five_tuple::FiveTuple;
use crate::time::{Deadlines, Instant};

/// Names an allocation for its lifetime; never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AllocationId {
    index: u32,
    generation: u32,
}

impl AllocationId {
    /// A small number that no other living allocation has: a place in the owner's own table.
    #[must_use]
    pub fn index(self) -> usize {
        self.index as usize
    }
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    allocation: Option<Box<Allocation>>,
}

#[derive(Debug)]
pub(super) struct Table {
    slots: Vec<Slot>,
    free: Vec<u32>,
    by_client: HashMap<FiveTuple, AllocationId, RandomState>,
    expiries: Deadlines<AllocationId>,
    /// The client that was looked for last: packets come in bursts.
    recent: Option<(FiveTuple, AllocationId)>,
}

impl Table {
    /// An empty table. Nobody who does not know `seed` can choose addresses that collide in it.
    pub(super) fn new(seed: u64) -> Self {
        let by_seed = RandomState::with_seeds(seed, !seed, seed.rotate_left(32), 0);
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_client: HashMap::with_hasher(by_seed),
            expiries: Deadlines::default(),
            recent: None,
        }
    }

    /// Takes in an allocation; its five-tuple must have none.
    pub(super) fn insert(&mut self, allocation: Allocation) -> AllocationId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            u32::try_from(self.slots.len() - 1).expect("fewer allocations than client addresses")
        });
        let slot = &mut self.slots[index as usize];
        let id = AllocationId {
            index,
            generation: slot.generation,
        };
        self.by_client.insert(allocation.client(), id);
        self.expiries.set(id, allocation.next_expiry());
        slot.allocation = Some(Box::new(allocation));
        id
    }

    pub(super) fn remove(&mut self, id: AllocationId) -> Option<Box<Allocation>> {
        let slot = self.slots.get_mut(id.index())?;
        if slot.generation != id.generation {
            return None;
        }
        let allocation = slot.allocation.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.index);
        self.by_client.remove(&allocation.client());
        self.recent = None;
        self.expiries.clear(id);
        Some(allocation)
    }

    /// The expiry of one of the relayed addresses of `id` has changed.
    pub(super) fn reschedule(&mut self, id: AllocationId) {
        if let Some(expires) = self.allocation(id).map(Allocation::next_expiry) {
            self.expiries.set(id, expires);
        }
    }

    pub(super) fn allocation(&self, id: AllocationId) -> Option<&Allocation> {
        let slot = self.slots.get(id.index())?;
        if slot.generation == id.generation {
            slot.allocation.as_deref()
        } else {
            None
        }
    }

    pub(super) fn allocation_mut(&mut self, id: AllocationId) -> Option<&mut Allocation> {
        let slot = self.slots.get_mut(id.index())?;
        if slot.generation == id.generation {
            slot.allocation.as_deref_mut()
        } else {
            None
        }
    }

    pub(super) fn of_client(&self, client: FiveTuple) -> Option<AllocationId> {
        self.by_client.get(&client).copied()
    }

    /// The same on the way of a packet: quick where the client is the one of the packet before.
    pub(super) fn sender(&mut self, client: FiveTuple) -> Option<(AllocationId, &Allocation)> {
        let id = match self.recent {
            Some((recent, id)) if recent == client => id,
            _ => {
                let id = self.of_client(client)?;
                self.recent = Some((client, id));
                id
            }
        };
        self.allocation(id).map(|allocation| (id, allocation))
    }

    /// An allocation of which a relayed address has come to its end.
    pub(super) fn pop_expired(&mut self, now: Instant) -> Option<AllocationId> {
        self.expiries.pop_due(now)
    }

    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.expiries.next()
    }
}
