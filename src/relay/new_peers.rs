//! How many new peers the users reach.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ahash::RandomState;

use crate::auth::account;
use crate::time::Instant;
use crate::turn::Buckets;

/// In which new peers are counted.
const MINUTE: Duration = Duration::from_secs(60);

/// A count for each user, whatever allocations and workers the user has.
pub(super) struct NewPeers {
    hasher: RandomState,
    /// `None`: there is no limit.
    buckets: Option<Mutex<Buckets>>,
}

impl NewPeers {
    /// Each user may reach `rate` new peers a minute; 0 is no limit.
    pub(super) fn new(rate: u32) -> Self {
        let hasher = RandomState::new();
        let seed = hasher.hash_one(MINUTE);
        let buckets = || Mutex::new(Buckets::new(rate, MINUTE, seed));
        Self {
            buckets: (rate > 0).then(buckets),
            hasher,
        }
    }

    /// Whether `username` may reach `count` more now; they are counted then.
    pub(super) fn admit(&self, username: &str, count: u32, now: Instant) -> bool {
        let Some(buckets) = &self.buckets else {
            return true;
        };
        let key = self.hasher.hash_one(account(username));
        let mut buckets = buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.take(key, count, now)
    }
}

impl fmt::Debug for NewPeers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewPeers").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_the_persons_whatever_the_expiry_says() {
        let new_peers = NewPeers::new(60);
        let now = Instant::default();
        assert!(new_peers.admit("1000:ada", 60, now));
        assert!(!new_peers.admit("2000:ada", 1, now));
        assert!(new_peers.admit("2000:grace", 60, now));
        assert!(new_peers.admit("2000:ada", 1, now + MINUTE / 60));
    }

    #[test]
    fn no_limit_is_no_limit() {
        let new_peers = NewPeers::new(0);
        assert!(new_peers.admit("ada", u32::MAX, Instant::default()));
    }
}
