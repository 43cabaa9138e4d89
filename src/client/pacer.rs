//! Keeping within the rate that the server allows, so that it drops nothing in the first place.

use std::time::Duration;

use crate::time::Instant;

/// The share of the allowed rate that is used: pings and acknowledgements count as well.
const SHARE: f64 = 0.8;

/// A token bucket.
#[derive(Debug, Default)]
pub(super) struct Pacer {
    per_second: f64,
    burst: f64,
    tokens: f64,
    at: Instant,
}

impl Pacer {
    /// Takes the server's rates. A session that goes on has used some of its tokens already.
    pub(super) fn configure(&mut self, per_second: u32, burst: u32, is_new: bool, now: Instant) {
        self.refill(now);
        self.per_second = (f64::from(per_second) * SHARE).max(1.0);
        self.burst = (f64::from(burst) * SHARE).max(1.0);
        if is_new {
            self.tokens = self.burst;
        }
    }

    /// Takes a token, or says when there will be one.
    pub(super) fn take(&mut self, now: Instant) -> Result<(), Instant> {
        self.refill(now);
        if self.tokens < 1.0 {
            let wait = (1.0 - self.tokens) / self.per_second;
            return Err(now + Duration::from_secs_f64(wait) + Duration::from_millis(1));
        }
        self.tokens -= 1.0;
        Ok(())
    }

    /// Nothing goes out for that long.
    pub(super) fn pause(&mut self, time: Duration, now: Instant) {
        self.refill(now);
        self.tokens = self.tokens.min(1.0 - time.as_secs_f64() * self.per_second);
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * self.per_second).min(self.burst);
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Instant {
        Instant::from_start(Duration::from_millis(milliseconds))
    }

    fn taken(pacer: &mut Pacer, now: Instant) -> usize {
        (0..10_000).take_while(|_| pacer.take(now).is_ok()).count()
    }

    #[test]
    fn a_burst_goes_out_at_once_and_the_rest_at_the_rate() {
        let mut pacer = Pacer::default();
        pacer.configure(50, 200, true, at(0));
        assert_eq!(taken(&mut pacer, at(0)), 160);
        assert_eq!(taken(&mut pacer, at(1_000)), 40);
        let next = pacer.take(at(1_000)).expect_err("it is empty");
        assert_eq!(taken(&mut pacer, next), 1);
    }

    #[test]
    fn another_connection_of_the_same_session_gives_no_second_burst() {
        let mut pacer = Pacer::default();
        pacer.configure(50, 200, true, at(0));
        taken(&mut pacer, at(0));
        pacer.configure(50, 200, false, at(100));
        assert_eq!(taken(&mut pacer, at(100)), 4);
    }

    #[test]
    fn a_pause_is_kept() {
        let mut pacer = Pacer::default();
        pacer.configure(50, 200, true, at(0));
        pacer.pause(Duration::from_secs(2), at(0));
        assert_eq!(taken(&mut pacer, at(1_990)), 0);
        assert_eq!(taken(&mut pacer, at(2_001)), 1);
    }
}
