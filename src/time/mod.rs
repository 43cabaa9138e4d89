//! Time, as the sans-IO layers know it: they are told [`Now`] with every input and say by
//! [`Deadlines`] when they want to be called next. No clock is ever read here.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

mod deadlines;

pub use deadlines::Deadlines;

use std::ops::{Add, Sub};
use std::time::Duration;

/// A point on a clock that only ever goes forward, in nanoseconds since an arbitrary start.
///
/// It has the role of [`std::time::Instant`], but can be made at will, so that tests run under
/// virtual time. Arithmetic saturates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The point `since_start` after the clock's start.
    #[must_use]
    pub const fn from_start(since_start: Duration) -> Self {
        let nanoseconds = since_start.as_nanos();
        if nanoseconds > u64::MAX as u128 {
            return Self(u64::MAX);
        }
        Self(nanoseconds as u64)
    }

    /// How long after the clock's start this is.
    #[must_use]
    pub const fn since_start(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// How long after `earlier` this is; zero if it is not after it.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanoseconds))
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(nanoseconds))
    }
}

/// What the time is: on the monotonic clock, for timers, and on the wall, for credentials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// The monotonic clock. Every timer counts on this.
    pub instant: Instant,
    /// Since 1970-01-01T00:00:00Z. For what has a date: the expiry of credentials, nonces.
    pub unix: Duration,
}

impl Now {
    /// The same moment `duration` later, on both clocks.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self {
            instant: self.instant + duration,
            unix: self.unix + duration,
        }
    }

    /// Whole seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn unix_seconds(self) -> u64 {
        self.unix.as_secs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        let start = Instant::default();
        assert_eq!(start - Duration::from_secs(1), start);
        let end = Instant::from_start(Duration::MAX);
        assert_eq!(end + Duration::from_secs(1), end);
        assert_eq!(start.saturating_since(end), Duration::ZERO);
    }

    #[test]
    fn both_clocks_move_together() {
        let later = Now::default().after(Duration::from_millis(1_500));
        assert_eq!(later.instant.since_start(), Duration::from_millis(1_500));
        assert_eq!(later.unix_seconds(), 1);
    }
}
