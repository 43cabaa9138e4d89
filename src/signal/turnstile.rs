//! How fast newcomers are let through, and when those who are not may come back.

use std::time::Duration;

use super::limits::Rate;
use crate::time::Instant;

/// Nobody who is sent away comes back sooner.
const SOONEST: Duration = Duration::from_secs(1);
/// Nobody is kept away for longer: then the times are given out once more from the beginning.
const LATEST: Duration = Duration::from_secs(30);
/// How much of the rate may pass at once, in seconds of it.
const AT_ONCE: u32 = 2;
/// How many come back a second where there is no rate.
const USUAL: u32 = 1_000;

/// Lets so many through a second, and two seconds' worth at once. Who is sent away is told a time
/// of its own, one behind the other at the same rate, so that they do not all come back together.
///
/// Like the rest of this layer it is told the time. `pass` takes what has happened, `come_back`
/// gives an answer for who was refused, be it for another reason.
#[derive(Clone, Debug)]
pub struct Turnstile {
    /// `None` lets everybody through.
    rate: Option<Rate>,
    /// When as many may pass at once as ever.
    full: Instant,
    /// When the last one of those who were sent away comes back.
    last: Instant,
}

impl Turnstile {
    /// One for so many a second; 0 is no limit.
    #[must_use]
    pub fn new(per_second: u32) -> Self {
        let rate = || Rate::new(per_second, per_second.saturating_mul(AT_ONCE));
        Self {
            rate: (per_second > 0).then(rate),
            full: Instant::default(),
            last: Instant::default(),
        }
    }

    /// Lets one through.
    ///
    /// # Errors
    /// There are too many now. It may come back after this time.
    pub fn pass(&mut self, now: Instant) -> Result<(), Duration> {
        let Some(rate) = &self.rate else {
            return Ok(());
        };
        match rate.after(self.full, 1, now) {
            Ok(full) => {
                self.full = full;
                Ok(())
            }
            Err(_) => Err(self.come_back(now)),
        }
    }

    /// After which time one more that is sent away may come back.
    pub fn come_back(&mut self, now: Instant) -> Duration {
        let usual = Rate::new(USUAL, USUAL);
        let between = self.rate.as_ref().unwrap_or(&usual).time_for(1);
        let next = self.last + between;
        let is_given_out = next > now + SOONEST && next <= now + LATEST;
        self.last = if is_given_out { next } else { now + SOONEST };
        self.last.saturating_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Instant {
        Instant::from_start(Duration::from_millis(milliseconds))
    }

    fn passing(turnstile: &mut Turnstile, now: Instant) -> usize {
        (0..10_000)
            .take_while(|_| turnstile.pass(now).is_ok())
            .count()
    }

    #[test]
    fn two_seconds_worth_pass_at_once_and_then_the_rate() {
        let mut turnstile = Turnstile::new(100);
        assert_eq!(passing(&mut turnstile, at(0)), 200);
        assert_eq!(passing(&mut turnstile, at(500)), 50);
        assert_eq!(passing(&mut turnstile, at(60_000)), 200);
    }

    #[test]
    fn without_a_rate_everybody_passes() {
        assert_eq!(passing(&mut Turnstile::new(0), at(0)), 10_000);
    }

    #[test]
    fn who_comes_back_as_told_is_let_through() {
        let mut turnstile = Turnstile::new(100);
        for _ in 0..200 {
            assert_eq!(turnstile.pass(at(0)), Ok(()));
        }
        let mut returns: Vec<_> = (0..500)
            .map(|_| at(0) + turnstile.pass(at(0)).expect_err("too many"))
            .collect();
        returns.sort();
        // From the first second on, a hundred in each.
        assert_eq!(returns[0], at(1_000));
        let within = |until| returns.iter().filter(|&&time| time < at(until)).count();
        assert_eq!((within(2_000), within(6_000)), (100, 500));
        for time in returns {
            assert_eq!(turnstile.pass(time), Ok(()), "{time:?}");
        }
    }

    #[test]
    fn nobody_is_kept_away_for_longer_than_half_a_minute() {
        let mut turnstile = Turnstile::new(1);
        passing(&mut turnstile, at(0));
        for _ in 0..200 {
            let wait = turnstile.pass(at(0)).expect_err("too many");
            assert!((SOONEST..=LATEST).contains(&wait), "{wait:?}");
        }
    }
}
