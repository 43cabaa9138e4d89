//! How fast a client may send.

use std::time::Duration;

use super::Config;
use crate::time::Instant;

/// What a session has left of its rates. Each bucket is one point in time: that at which it will
/// be full again (the generic cell rate algorithm), so an idle one costs eight bytes and no timer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Buckets {
    messages: Instant,
    bytes: Instant,
}

impl Buckets {
    /// Takes one message of `length` bytes out, or says after which time it would fit; then
    /// nothing is taken.
    pub(super) fn take(
        &mut self,
        length: usize,
        config: &Config,
        now: Instant,
    ) -> Result<(), Duration> {
        let messages = Rate::new(config.messages_per_second, config.message_burst);
        let bytes = Rate::new(config.bytes_per_second, config.byte_burst);
        let messages_full = messages.after(self.messages, 1, now)?;
        let bytes_full = bytes.after(self.bytes, length as u64, now)?;
        self.messages = messages_full;
        self.bytes = bytes_full;
        Ok(())
    }
}

#[derive(Clone, Debug)]
pub(super) struct Rate {
    per_second: u64,
    burst: u64,
}

impl Rate {
    pub(super) fn new(per_second: u32, burst: u32) -> Self {
        Self {
            per_second: u64::from(per_second.max(1)),
            burst: u64::from(burst.max(1)),
        }
    }

    pub(super) fn time_for(&self, amount: u64) -> Duration {
        Duration::from_nanos(amount.saturating_mul(1_000_000_000) / self.per_second)
    }

    /// When the bucket that is full at `full` is full again if `amount` is taken now; otherwise
    /// after which time it can be.
    pub(super) fn after(
        &self,
        full: Instant,
        amount: u64,
        now: Instant,
    ) -> Result<Instant, Duration> {
        let full = full.max(now) + self.time_for(amount);
        let missing = full.saturating_since(now);
        match missing.checked_sub(self.time_for(self.burst)) {
            None | Some(Duration::ZERO) => Ok(full),
            Some(too_much) => Err(too_much),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Instant {
        Instant::from_start(Duration::from_millis(milliseconds))
    }

    fn taken(buckets: &mut Buckets, length: usize, now: Instant) -> usize {
        let config = Config::default();
        (0..10_000)
            .take_while(|_| buckets.take(length, &config, now).is_ok())
            .count()
    }

    #[test]
    fn a_full_bucket_gives_the_burst_and_then_the_rate() {
        let mut buckets = Buckets::default();
        assert_eq!(taken(&mut buckets, 10, at(0)), 200);
        assert_eq!(taken(&mut buckets, 10, at(1_000)), 50);
        assert_eq!(taken(&mut buckets, 10, at(60_000)), 200);
    }

    #[test]
    fn long_messages_are_bounded_by_their_bytes() {
        let mut buckets = Buckets::default();
        assert_eq!(taken(&mut buckets, 65_536, at(0)), 16);
        assert_eq!(taken(&mut buckets, 65_536, at(1_000)), 4);
    }

    #[test]
    fn who_waits_as_told_is_let_through() {
        let mut buckets = Buckets::default();
        taken(&mut buckets, 10, at(0));
        let wait = buckets
            .take(10, &Config::default(), at(0))
            .expect_err("the bucket is empty");
        assert_eq!(wait, Duration::from_millis(20));
        assert_eq!(taken(&mut buckets, 10, at(20)), 1);
    }

    #[test]
    fn what_is_refused_takes_nothing() {
        let mut buckets = Buckets::default();
        taken(&mut buckets, 10, at(0));
        for _ in 0..100 {
            assert!(buckets.take(10, &Config::default(), at(0)).is_err());
        }
        assert_eq!(taken(&mut buckets, 10, at(1_000)), 50);
    }
}
