//! What is counted where keys of access tokens are fetched.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How fetching a set of keys goes.
#[derive(Debug, Default)]
pub struct KeySetCounters {
    fetched: AtomicU64,
    failures: AtomicU64,
}

impl KeySetCounters {
    /// A set has come at `now`, in time since 1970.
    pub fn fetched(&self, now: Duration) {
        self.fetched.store(now.as_secs(), Ordering::Relaxed);
    }

    /// An attempt has failed.
    pub fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// When a set has last come, in seconds since 1970, and how many attempts have failed.
    #[must_use]
    pub fn read(&self) -> (u64, u64) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (read(&self.fetched), read(&self.failures))
    }
}
