//! What all allocations of a user together may relay.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::time::Instant;
use crate::turn::{Direction, SharedMeter, pause, through_at};

/// A token bucket for each direction, for workers to share without a lock.
#[derive(Debug)]
pub(super) struct UserMeter {
    /// Bytes a second, not 0.
    rate: u64,
    from_client: Bucket,
    to_client: Bucket,
}

/// When what has passed would be through at the rate, in nanoseconds since the start.
#[derive(Debug, Default)]
struct Bucket(AtomicU64);

impl UserMeter {
    /// Full buckets; `None` if there is no limit.
    pub(super) fn new(rate: u64) -> Option<Self> {
        (rate > 0).then(|| Self {
            rate,
            from_client: Bucket::default(),
            to_client: Bucket::default(),
        })
    }
}

impl SharedMeter for UserMeter {
    fn admit(&self, direction: Direction, length: usize, now: Instant) -> bool {
        let Bucket(bucket) = match direction {
            Direction::FromClient => &self.from_client,
            Direction::ToClient => &self.to_client,
        };
        let pass = |before: u64| {
            let before = Instant::from_start(Duration::from_nanos(before));
            let after = through_at(before, self.rate, length, now)?.since_start();
            Some(u64::try_from(after.as_nanos()).unwrap_or(u64::MAX))
        };
        // Nothing else is read by what is found here.
        let relaxed = Ordering::Relaxed;
        bucket.fetch_update(relaxed, relaxed, pass).is_ok()
    }

    fn pause(&self, direction: Direction, now: Instant) -> Option<Instant> {
        let Bucket(bucket) = match direction {
            Direction::FromClient => &self.from_client,
            Direction::ToClient => &self.to_client,
        };
        let before = Duration::from_nanos(bucket.load(Ordering::Relaxed));
        pause(Instant::from_start(before), now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_that_share_one_share_its_rate() {
        let meter = UserMeter::new(1_000_000).expect("a limit");
        for direction in [Direction::FromClient, Direction::ToClient] {
            let passed: usize = std::thread::scope(|scope| {
                let pass = || {
                    let admits = |_: &i32| meter.admit(direction, 100, Instant::default());
                    (0..8_000).filter(admits).count() * 100
                };
                let threads = [(); 4].map(|()| scope.spawn(pass));
                threads.map(|it| it.join().expect("it counts")).iter().sum()
            });
            assert_eq!(passed, 1_000_000);
        }
        let later = Instant::from_start(Duration::from_millis(300));
        let passed = (0..8_000).filter(|_| meter.admit(Direction::ToClient, 100, later));
        assert_eq!(passed.count(), 3_000);
    }

    #[test]
    fn no_limit_needs_no_meter() {
        assert!(UserMeter::new(0).is_none());
    }
}
