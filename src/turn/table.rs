//! All allocations of a server, found by five-tuple or by id.

use std::collections::HashMap;

use ahash::RandomState;
use hashbrown::HashTable;

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

impl Slot {
    fn client(&self) -> Option<FiveTuple> {
        self.allocation.as_deref().map(Allocation::client)
    }
}

#[derive(Debug)]
pub(super) struct Table {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Indexes of slots. The five-tuples themselves are only in the allocations.
    by_client: HashTable<u32>,
    hasher: RandomState,
    /// Where clients are about to move to.
    next: HashMap<FiveTuple, AllocationId, RandomState>,
    expiries: Deadlines<AllocationId>,
}

impl Table {
    /// An empty table. Nobody who does not know `seed` can choose addresses that collide in it.
    pub(super) fn new(seed: u64) -> Self {
        let hasher = RandomState::with_seeds(seed, !seed, seed.rotate_left(32), 0);
        Self {
            next: HashMap::with_hasher(hasher.clone()),
            slots: Vec::new(),
            free: Vec::new(),
            by_client: HashTable::new(),
            hasher,
            expiries: Deadlines::default(),
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
        self.expiries.set(id, allocation.next_expiry());
        slot.allocation = Some(Box::new(allocation));
        self.link(id);
        id
    }

    /// From now on the allocation is found by its client.
    pub(super) fn link(&mut self, id: AllocationId) {
        let Some(client) = self.allocation(id).map(Allocation::client) else {
            return;
        };
        let (slots, hasher) = (&self.slots, &self.hasher);
        let hash_again = |&index: &u32| {
            let client = slots[index as usize].client();
            client.map_or(0, |client| hasher.hash_one(client))
        };
        self.by_client
            .insert_unique(hasher.hash_one(client), id.index, hash_again);
    }

    /// From now on the allocation is not found by its client.
    pub(super) fn unlink(&mut self, id: AllocationId) {
        let Some(client) = self.allocation(id).map(Allocation::client) else {
            return;
        };
        let hash = self.hasher.hash_one(client);
        if let Ok(entry) = self.by_client.find_entry(hash, |&index| index == id.index) {
            entry.remove();
        }
    }

    /// From now on the allocation is also found by where its client moves to.
    pub(super) fn expect_from(&mut self, client: FiveTuple, id: AllocationId) {
        self.next.insert(client, id);
    }

    /// The same, no more.
    pub(super) fn forget_next(&mut self, client: FiveTuple) {
        self.next.remove(&client);
    }

    pub(super) fn remove(&mut self, id: AllocationId) -> Option<Box<Allocation>> {
        self.unlink(id);
        let slot = self.slots.get_mut(id.index())?;
        if slot.generation != id.generation {
            return None;
        }
        let allocation = slot.allocation.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.index);
        if let Some(next) = allocation.next_client() {
            self.forget_next(next);
        }
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

    /// How many places there are, with and without an allocation.
    pub(super) fn places(&self) -> usize {
        self.slots.len()
    }

    /// The allocation at a place.
    pub(super) fn at(&self, index: usize) -> Option<AllocationId> {
        let slot = self.slots.get(index)?;
        slot.allocation.as_ref()?;
        Some(AllocationId {
            index: u32::try_from(index).expect("fewer allocations than client addresses"),
            generation: slot.generation,
        })
    }

    /// The allocation of `client`. It is on the way of every packet.
    pub(super) fn of_client(&self, client: &FiveTuple) -> Option<AllocationId> {
        let hash = self.hasher.hash_one(client);
        let is_its = |&index: &u32| {
            let allocation = self.slots[index as usize].allocation.as_deref();
            allocation.is_some_and(|allocation| allocation.is_of(client))
        };
        let Some(&index) = self.by_client.find(hash, is_its) else {
            return self.of_next(*client);
        };
        Some(AllocationId {
            index,
            generation: self.slots[index as usize].generation,
        })
    }

    /// The allocation that is about to be that of `client`.
    #[cold]
    fn of_next(&self, client: FiveTuple) -> Option<AllocationId> {
        self.next.get(&client).copied()
    }

    /// An allocation of which a relayed address has come to its end.
    pub(super) fn pop_expired(&mut self, now: Instant) -> Option<AllocationId> {
        self.expiries.pop_due(now)
    }

    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.expiries.next()
    }
}
