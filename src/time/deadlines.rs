//! Keyed deadlines.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use super::Instant;

/// At most one deadline for each key, in the order of time; equal times in the order of keys, so
/// that a run can be repeated.
#[derive(Debug)]
pub struct Deadlines<K> {
    by_key: HashMap<K, Instant>,
    by_time: BTreeSet<(Instant, K)>,
}

impl<K> Default for Deadlines<K> {
    fn default() -> Self {
        Self {
            by_key: HashMap::new(),
            by_time: BTreeSet::new(),
        }
    }
}

impl<K: Copy + Ord + Hash> Deadlines<K> {
    /// Sets the deadline of `key`, in place of any it had.
    pub fn set(&mut self, key: K, at: Instant) {
        if let Some(before) = self.by_key.insert(key, at) {
            self.by_time.remove(&(before, key));
        }
        self.by_time.insert((at, key));
    }

    /// Forgets the deadline of `key`, if it has one.
    pub fn clear(&mut self, key: K) {
        if let Some(at) = self.by_key.remove(&key) {
            self.by_time.remove(&(at, key));
        }
    }

    /// When the next deadline is.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|&(at, _)| at)
    }

    /// Takes out one key whose deadline is at or before `now`. Call it until it gives `None`.
    pub fn pop_due(&mut self, now: Instant) -> Option<K> {
        let &(at, key) = self.by_time.first()?;
        if at > now {
            return None;
        }
        self.by_time.pop_first();
        self.by_key.remove(&key);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(seconds: u64) -> Instant {
        Instant::from_start(Duration::from_secs(seconds))
    }

    #[test]
    fn keys_come_due_in_the_order_of_time() {
        let mut deadlines = Deadlines::default();
        deadlines.set('b', at(2));
        deadlines.set('a', at(1));
        deadlines.set('c', at(3));
        assert_eq!(deadlines.next(), Some(at(1)));
        assert_eq!(deadlines.pop_due(at(2)), Some('a'));
        assert_eq!(deadlines.pop_due(at(2)), Some('b'));
        assert_eq!(deadlines.pop_due(at(2)), None);
        assert_eq!(deadlines.next(), Some(at(3)));
    }

    #[test]
    fn a_deadline_set_again_replaces_the_first() {
        let mut deadlines = Deadlines::default();
        deadlines.set('a', at(1));
        deadlines.set('a', at(5));
        assert_eq!(deadlines.pop_due(at(4)), None);
        assert_eq!(deadlines.pop_due(at(5)), Some('a'));
        assert_eq!(deadlines.next(), None);
    }

    #[test]
    fn a_cleared_deadline_never_comes_due() {
        let mut deadlines = Deadlines::default();
        deadlines.set('a', at(1));
        deadlines.clear('a');
        deadlines.clear('a');
        assert_eq!(deadlines.pop_due(at(9)), None);
    }
}
