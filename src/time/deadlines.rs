//! Keyed deadlines, on a hierarchical timing wheel.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use super::Instant;

/// Deadlines come due at the next full millisecond.
const TICK: Duration = Duration::from_millis(1);

/// Slots of a wheel; each wheel turns this many times slower than the one below.
const SLOTS: usize = 64;
const SLOT_BITS: u32 = 6;

/// So many wheels span more than two years. What is further away waits in the last slot of all
/// and is put in again when that comes.
const LEVELS: usize = 6;

/// No entry.
const NONE: u32 = u32::MAX;

/// At most one deadline for each key. Setting, clearing and finding the next one take the same
/// time however many there are. Two runs with the same calls give the same keys in the same order.
#[derive(Debug)]
pub struct Deadlines<K> {
    by_key: HashMap<K, u32>,
    entries: Vec<Entry<K>>,
    free: Vec<u32>,
    /// The first entry of each slot's list.
    heads: Box<[[u32; SLOTS]; LEVELS]>,
    /// A bit for each slot that has an entry.
    occupied: [u64; LEVELS],
    /// Up to which tick entries have been taken out of the wheels.
    elapsed: u64,
    /// The first entry of those that are due and have not been popped.
    due: u32,
}

#[derive(Clone, Copy, Debug)]
struct Entry<K> {
    key: K,
    tick: u64,
    place: Place,
    next: u32,
    previous: u32,
}

/// In whose list an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Slot { level: u8, slot: u8 },
    Due,
}

impl<K> Default for Deadlines<K> {
    fn default() -> Self {
        Self {
            by_key: HashMap::new(),
            entries: Vec::new(),
            free: Vec::new(),
            heads: Box::new([[NONE; SLOTS]; LEVELS]),
            occupied: [0; LEVELS],
            elapsed: 0,
            due: NONE,
        }
    }
}

impl<K: Copy + Ord + Hash> Deadlines<K> {
    /// Sets the deadline of `key`, in place of any it had.
    pub fn set(&mut self, key: K, at: Instant) {
        let tick = u64::try_from(at.since_start().as_nanos().div_ceil(TICK.as_nanos()))
            .unwrap_or(u64::MAX);
        let index = match self.by_key.get(&key) {
            Some(&index) => {
                self.unlink(index);
                self.entries[index as usize].tick = tick;
                index
            }
            None => self.take_in(key, tick),
        };
        self.link(index);
    }

    /// Forgets the deadline of `key`, if it has one.
    pub fn clear(&mut self, key: K) {
        if let Some(index) = self.by_key.remove(&key) {
            self.unlink(index);
            self.free.push(index);
        }
    }

    /// When to call [`Deadlines::pop_due`]: never later than the next deadline, and at times a
    /// little earlier, when the wheels have to be turned.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        if self.due != NONE {
            return Some(instant(self.elapsed));
        }
        let level = (0..LEVELS).find(|&level| self.occupied[level] != 0)?;
        Some(instant(self.next_slot(level).1))
    }

    /// Takes out one key whose deadline is at or before `now`. Call it until it gives `None`.
    pub fn pop_due(&mut self, now: Instant) -> Option<K> {
        let tick = now.since_start().as_nanos() / TICK.as_nanos();
        self.turn_to(u64::try_from(tick).unwrap_or(u64::MAX));
        let index = self.due;
        if index == NONE {
            return None;
        }
        let key = self.entries[index as usize].key;
        self.clear(key);
        Some(key)
    }

    fn take_in(&mut self, key: K, tick: u64) -> u32 {
        let entry = Entry {
            key,
            tick,
            place: Place::Due,
            next: NONE,
            previous: NONE,
        };
        let index = match self.free.pop() {
            Some(index) => {
                self.entries[index as usize] = entry;
                index
            }
            None => {
                self.entries.push(entry);
                u32::try_from(self.entries.len() - 1).expect("fewer deadlines than 32 bits count")
            }
        };
        self.by_key.insert(key, index);
        index
    }

    /// Empties every slot whose time has come by `tick`, the earliest first: its entries are due,
    /// or move to a faster wheel.
    fn turn_to(&mut self, tick: u64) {
        while let Some(level) = (0..LEVELS).find(|&level| self.occupied[level] != 0) {
            let (slot, start) = self.next_slot(level);
            if start > tick {
                break;
            }
            self.elapsed = self.elapsed.max(start);
            let mut index = self.heads[level][slot];
            while index != NONE {
                let next = self.entries[index as usize].next;
                self.unlink(index);
                self.link(index);
                index = next;
            }
        }
        self.elapsed = self.elapsed.max(tick);
    }

    /// The slot of `level`, which has one with an entry, that comes first, and the tick at which
    /// it begins.
    fn next_slot(&self, level: usize) -> (usize, u64) {
        let shift = SLOT_BITS * level as u32;
        let current = (self.elapsed >> shift) % SLOTS as u64;
        let ahead = u64::from(
            self.occupied[level]
                .rotate_right(current as u32)
                .trailing_zeros(),
        );
        let start = ((self.elapsed >> shift) + ahead) << shift;
        (((current + ahead) % SLOTS as u64) as usize, start)
    }

    /// Puts an entry where its time says.
    fn link(&mut self, index: u32) {
        let tick = self.entries[index as usize].tick;
        if tick <= self.elapsed {
            let first = self.due;
            self.due = index;
            return self.put_first(index, Place::Due, first);
        }
        // The highest bit in which the two differ tells the wheel: below it, all slots of a wheel
        // are still ahead.
        let differing = (tick ^ self.elapsed).ilog2();
        let level = ((differing / SLOT_BITS) as usize).min(LEVELS - 1);
        let shift = SLOT_BITS * level as u32;
        let distance = ((tick >> shift) - (self.elapsed >> shift)).min(SLOTS as u64 - 1);
        let slot = (((self.elapsed >> shift) + distance) % SLOTS as u64) as usize;
        let first = self.heads[level][slot];
        self.heads[level][slot] = index;
        self.occupied[level] |= 1 << slot;
        self.put_first(
            index,
            Place::Slot {
                level: level as u8,
                slot: slot as u8,
            },
            first,
        );
    }

    /// Makes `index` the entry before `first` in a list whose head is it already.
    fn put_first(&mut self, index: u32, place: Place, first: u32) {
        if let Some(first) = self.entries.get_mut(first as usize) {
            first.previous = index;
        }
        let entry = &mut self.entries[index as usize];
        (entry.place, entry.next, entry.previous) = (place, first, NONE);
    }

    /// Takes an entry out of its list.
    fn unlink(&mut self, index: u32) {
        let Entry {
            place,
            next,
            previous,
            ..
        } = self.entries[index as usize];
        if let Some(next) = self.entries.get_mut(next as usize) {
            next.previous = previous;
        }
        if let Some(previous) = self.entries.get_mut(previous as usize) {
            previous.next = next;
            return;
        }
        match place {
            Place::Due => self.due = next,
            Place::Slot { level, slot } => {
                let (level, slot) = (usize::from(level), usize::from(slot));
                self.heads[level][slot] = next;
                if next == NONE {
                    self.occupied[level] &= !(1 << slot);
                }
            }
        }
    }
}

fn instant(tick: u64) -> Instant {
    Instant::from_start(Duration::from_millis(tick))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn at(milliseconds: u64) -> Instant {
        instant(milliseconds)
    }

    fn due(deadlines: &mut Deadlines<u8>, now: u64) -> Vec<u8> {
        let mut keys: Vec<u8> = std::iter::from_fn(|| deadlines.pop_due(at(now))).collect();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn keys_come_due_at_their_time_and_not_before() {
        let mut deadlines = Deadlines::default();
        for (key, time) in [(1, 1), (2, 63), (3, 64), (4, 600_000), (5, 3_600_000)] {
            deadlines.set(key, at(time));
        }
        assert_eq!(deadlines.next(), Some(at(1)));
        assert_eq!(due(&mut deadlines, 0), [0_u8; 0]);
        assert_eq!(due(&mut deadlines, 63), [1, 2]);
        assert_eq!(due(&mut deadlines, 64), [3]);
        assert_eq!(due(&mut deadlines, 599_999), [0_u8; 0]);
        assert_eq!(due(&mut deadlines, 600_000), [4]);
        assert_eq!(due(&mut deadlines, 9_999_999), [5]);
        assert_eq!(deadlines.next(), None);
    }

    #[test]
    fn a_deadline_between_two_ticks_is_never_early() {
        let mut deadlines = Deadlines::default();
        let time = Duration::from_micros(1_500);
        deadlines.set(1, Instant::from_start(time));
        assert_eq!(deadlines.pop_due(Instant::from_start(time)), None);
        assert_eq!(due(&mut deadlines, 2), [1]);
    }

    #[test]
    fn a_deadline_set_again_replaces_the_first() {
        let mut deadlines = Deadlines::default();
        deadlines.set(1, at(1));
        deadlines.set(1, at(5));
        assert_eq!(due(&mut deadlines, 4), [0_u8; 0]);
        assert_eq!(due(&mut deadlines, 5), [1]);
        assert_eq!(deadlines.next(), None);
    }

    #[test]
    fn a_cleared_deadline_never_comes_due() {
        let mut deadlines = Deadlines::default();
        deadlines.set(1, at(1));
        deadlines.clear(1);
        deadlines.clear(1);
        assert_eq!(due(&mut deadlines, 9), [0_u8; 0]);
    }

    #[test]
    fn what_is_years_away_is_kept() {
        let mut deadlines = Deadlines::default();
        let years = 10 * 365 * 24 * 3_600_000;
        deadlines.set(1, at(years));
        deadlines.set(2, Instant::from_start(Duration::MAX));
        assert_eq!(due(&mut deadlines, years - 1), [0_u8; 0]);
        assert_eq!(due(&mut deadlines, years), [1]);
        assert!(deadlines.next().is_some());
    }

    proptest! {
        #[test]
        fn keys_come_due_as_in_a_sorted_list(
            steps in prop::collection::vec(
                (0..3_u8, any::<u8>(), prop_oneof![0..100_u64, 0..100_000_u64, 0..9_000_000_u64]),
                1..200,
            ),
        ) {
            let (mut deadlines, mut now) = (Deadlines::default(), 0);
            let mut model: BTreeMap<u8, u64> = BTreeMap::new();
            for (step, key, time) in steps {
                match step {
                    0 => {
                        deadlines.set(key, at(now + time));
                        model.insert(key, now + time);
                    }
                    1 => {
                        deadlines.clear(key);
                        model.remove(&key);
                    }
                    _ => {
                        now += time;
                        let expected: Vec<u8> = model
                            .iter()
                            .filter(|&(_, &time)| time <= now)
                            .map(|(&key, _)| key)
                            .collect();
                        model.retain(|_, time| *time > now);
                        prop_assert_eq!(due(&mut deadlines, now), expected);
                    }
                }
                let earliest = model.values().min().map(|&time| at(time.max(now)));
                prop_assert_eq!(deadlines.next().is_some(), earliest.is_some());
                prop_assert!(deadlines.next() <= earliest);
            }
        }
    }
}
