//! How much data an allocation, or a user, may relay (RFC 8656 section 5).

use std::fmt::Debug;
use std::time::Duration;

use crate::time::Instant;

/// How far ahead of its rate a direction may be.
const BURST: Duration = Duration::from_secs(1);

/// A token bucket for each direction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meter {
    /// Bytes a second, not 0.
    rate: u64,
    from_client: Bucket,
    to_client: Bucket,
}

/// What all allocations of a user share, on whichever worker they are.
pub trait SharedMeter: Debug + Send + Sync {
    /// Whether `length` bytes may pass now; if so, they are counted.
    fn admit(&self, direction: Direction, length: usize, now: Instant) -> bool;
    /// When something may pass in this direction again; `None` if it may now.
    fn pause(&self, direction: Direction, now: Instant) -> Option<Instant>;
}

/// Which way data go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To a peer.
    FromClient,
    /// From a peer.
    ToClient,
}

/// When what has passed would be through at the rate.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    through_at: Instant,
}

impl Meter {
    /// Full buckets; `None` if there is no limit.
    pub(super) fn new(rate: u64) -> Option<Self> {
        (rate > 0).then(|| Self {
            rate,
            from_client: Bucket::default(),
            to_client: Bucket::default(),
        })
    }

    /// Whether `length` bytes may pass now; if so, they are counted.
    pub(super) fn admit(&mut self, direction: Direction, length: usize, now: Instant) -> bool {
        let bucket = match direction {
            Direction::FromClient => &mut self.from_client,
            Direction::ToClient => &mut self.to_client,
        };
        let passed = through_at(bucket.through_at, self.rate, length, now);
        bucket.through_at = passed.unwrap_or(bucket.through_at);
        passed.is_some()
    }

    /// When something may pass in this direction again; `None` if it may now.
    pub(super) fn pause(&self, direction: Direction, now: Instant) -> Option<Instant> {
        let bucket = match direction {
            Direction::FromClient => self.from_client,
            Direction::ToClient => self.to_client,
        };
        pause(bucket.through_at, now)
    }
}

/// What has passed at `rate` bytes a second is through at `before`. When it will be with `length`
/// bytes more, if these may pass now: a second's worth may be ahead of its time.
#[must_use]
pub fn through_at(before: Instant, rate: u64, length: usize, now: Instant) -> Option<Instant> {
    let before = before.max(now);
    // What is longer than a whole second's worth may pass alone.
    if before.saturating_since(now) >= BURST {
        return None;
    }
    let nanoseconds = (length as u64).saturating_mul(1_000_000_000) / rate;
    Some(before + Duration::from_nanos(nanoseconds))
}

/// When something may pass again, if what has passed is through at `before`; `None` if it may now.
#[must_use]
pub fn pause(before: Instant, now: Instant) -> Option<Instant> {
    let ahead = before.saturating_since(now);
    let excess = ahead.checked_sub(BURST)?;
    // Only what is less than a burst ahead lets something pass.
    Some(now + excess + Duration::from_millis(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Instant {
        Instant::from_start(Duration::from_millis(milliseconds))
    }

    fn passed(meter: &mut Meter, direction: Direction, now: Instant) -> usize {
        let tries = (0..100).filter(|_| meter.admit(direction, 100, now));
        tries.count() * 100
    }

    #[test]
    fn each_direction_gets_a_burst_and_then_its_rate() {
        let mut meter = Meter::new(1_000).expect("a limit");
        for direction in [Direction::FromClient, Direction::ToClient] {
            assert_eq!(passed(&mut meter, direction, at(5_000)), 1_000);
            assert_eq!(passed(&mut meter, direction, at(5_000)), 0);
            assert_eq!(passed(&mut meter, direction, at(5_300)), 300);
            assert_eq!(passed(&mut meter, direction, at(90_000)), 1_000);
        }
    }

    #[test]
    fn a_datagram_of_more_than_a_second_passes_alone() {
        let mut meter = Meter::new(100).expect("a limit");
        assert!(meter.admit(Direction::FromClient, 1_000, at(0)));
        assert!(!meter.admit(Direction::FromClient, 1, at(9_000)));
        assert!(meter.admit(Direction::FromClient, 1, at(9_001)));
    }

    #[test]
    fn no_limit_needs_no_meter() {
        assert!(Meter::new(0).is_none());
    }
}
