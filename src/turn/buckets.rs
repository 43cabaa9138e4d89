//! Token buckets for whoever comes, in a table whose size never changes.

use std::time::Duration;

use crate::time::Instant;

/// Keys that are remembered at a time.
const SLOTS: usize = 4_096;

/// So many share a place in the table; the one that has asked least makes room.
const WAYS: usize = 4;

/// A bucket a key. Who is not in the table has a full one.
#[derive(Debug)]
pub struct Buckets {
    seed: u64,
    /// So many tokens come in a period, and so many a bucket holds; 0 is no limit.
    rate: u32,
    period: Duration,
    slots: Box<[Slot]>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    key: u64,
    /// When the bucket was, or will be, empty: the later, the emptier it is.
    empty_at: Instant,
}

impl Buckets {
    /// Full buckets, into which `rate` tokens come in each `period`; 0 is no limit. `seed` is
    /// random, so that nobody can aim at a place of the table.
    #[must_use]
    pub fn new(rate: u32, period: Duration, seed: u64) -> Self {
        let slots = if rate == 0 { 0 } else { SLOTS };
        Self {
            seed,
            rate,
            period,
            slots: vec![Slot::default(); slots].into(),
        }
    }

    /// Takes `count` tokens from the bucket of `key`; `false`, and none is taken, if it has fewer.
    pub fn take(&mut self, key: u64, count: u32, now: Instant) -> bool {
        if self.rate == 0 {
            return true;
        }
        // A period's worth may be taken at once, counted from a period after the clock's start so
        // that a young clock does not make the bucket small.
        let (full, now) = (now, now + self.period);
        let spent = (self.period / self.rate).saturating_mul(count);
        let slot = self.slot(key);
        if slot.key != key {
            *slot = Slot {
                key,
                empty_at: full,
            };
        }
        let next = slot.empty_at.max(full) + spent;
        if next > now {
            return false;
        }
        slot.empty_at = next;
        true
    }

    /// The slot of `key`, or the one that it takes over: the fullest bucket in its place.
    fn slot(&mut self, key: u64) -> &mut Slot {
        let first = place_of(key, self.seed) * WAYS;
        let place = &mut self.slots[first..first + WAYS];
        let known = place.iter().position(|slot| slot.key == key);
        let at = known.unwrap_or_else(|| {
            let fullest = (0..WAYS).min_by_key(|&at| place[at].empty_at);
            fullest.expect("a place has slots")
        });
        &mut place[at]
    }
}

/// Mixes the bits so that nobody without the seed can aim at a place.
fn place_of(key: u64, seed: u64) -> usize {
    let mut mixed = key ^ seed;
    for _ in 0..2 {
        mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ (seed | 1));
    }
    (mixed >> 40) as usize % (SLOTS / WAYS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(seconds: u64) -> Instant {
        Instant::from_start(Duration::from_secs(seconds))
    }

    fn taken(buckets: &mut Buckets, key: u64, now: Instant) -> usize {
        (0..100).filter(|_| buckets.take(key, 1, now)).count()
    }

    #[test]
    fn a_bucket_holds_a_periods_worth_and_fills_again() {
        let mut buckets = Buckets::new(60, MINUTE, 7);
        assert_eq!(taken(&mut buckets, 1, at(0)), 60);
        assert_eq!(taken(&mut buckets, 1, at(0)), 0);
        assert_eq!(taken(&mut buckets, 2, at(0)), 60);
        assert_eq!(taken(&mut buckets, 1, at(10)), 10);
        assert_eq!(taken(&mut buckets, 1, at(500)), 60);
    }

    #[test]
    fn several_tokens_are_taken_or_none() {
        let mut buckets = Buckets::new(60, MINUTE, 7);
        assert!(buckets.take(1, 50, at(0)));
        assert!(!buckets.take(1, 11, at(0)));
        assert!(buckets.take(1, 10, at(0)));
        assert!(buckets.take(1, 0, at(0)));
        assert!(!buckets.take(2, u32::MAX, at(0)));
    }

    #[test]
    fn those_that_share_a_place_do_not_fill_each_others_buckets() {
        let mut buckets = Buckets::new(10, MINUTE, 7);
        let mut neighbours = (1..).filter(|&key| place_of(key, 7) == place_of(1, 7));
        let neighbours: [u64; WAYS] = std::array::from_fn(|_| neighbours.next().expect("endless"));
        let taken = (0..1_000).filter(|turn| buckets.take(neighbours[turn % WAYS], 1, at(0)));
        assert_eq!(taken.count(), 10 * WAYS);
    }

    #[test]
    fn any_number_of_keys_takes_no_more_memory() {
        let mut buckets = Buckets::new(10, MINUTE, 7);
        for key in 0..100_000 {
            buckets.take(key, 1, at(0));
        }
        assert_eq!(buckets.slots.len(), SLOTS);
        assert_eq!(taken(&mut buckets, 1 << 40, at(0)), 10);
    }

    #[test]
    fn no_limit_is_no_limit_and_needs_no_table() {
        let mut buckets = Buckets::new(0, MINUTE, 7);
        assert!(buckets.take(1, u32::MAX, at(0)));
        assert!(buckets.slots.is_empty());
    }
}
