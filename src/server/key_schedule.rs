//! When to ask for a set of keys again.

use std::time::Duration;

use tokio::time::Instant;

/// How long a set is good where nobody says.
const USUAL: Duration = Duration::from_secs(3_600);
/// Whatever is said, it is asked for again no sooner and no later than this.
const LEAST: Duration = Duration::from_secs(60);
const MOST: Duration = Duration::from_secs(86_400);
/// For tokens of unknown keys it is asked for no sooner after the last time.
const WINDOW: Duration = Duration::from_secs(5);
/// After a failure it is asked for again so soon, and then after twice as long each time.
const RETRY: Duration = Duration::from_secs(2);

/// When to ask again; it is told the time.
#[derive(Debug)]
pub(super) struct Schedule {
    due: Instant,
    /// From when on somebody who brings an unknown key is a reason to ask.
    window: Instant,
    failures: u32,
}

impl Schedule {
    /// To ask for the first time now.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            due: now,
            window: now,
            failures: 0,
        }
    }

    /// When to ask.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// Somebody has brought a token of a key that is not there.
    pub(super) fn is_missed(&mut self, now: Instant) {
        self.due = self.due.min(self.window.max(now));
    }

    /// It was asked at `asked`, and there are keys, good for `max_age`.
    pub(super) fn has_come(&mut self, asked: Instant, max_age: Option<Duration>) {
        self.failures = 0;
        self.window = asked + WINDOW;
        self.due = asked + max_age.unwrap_or(USUAL).clamp(LEAST, MOST);
    }

    /// It was asked in vain, as has turned out now.
    pub(super) fn has_failed(&mut self, now: Instant) {
        let pause = RETRY * 2_u32.pow(self.failures.min(5));
        self.failures = self.failures.saturating_add(1);
        self.window = now + WINDOW;
        self.due = now + pause.min(LEAST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(schedule: &Schedule, asked: Instant) -> u64 {
        (schedule.due() - asked).as_secs()
    }

    #[test]
    fn what_the_server_says_counts_within_bounds() {
        let now = Instant::now();
        let mut schedule = Schedule::new(now);
        assert_eq!(schedule.due(), now);
        for (said, then) in [
            (None, 3_600),
            (Some(600), 600),
            (Some(0), 60),
            (Some(u64::MAX), 86_400),
        ] {
            schedule.has_come(now, said.map(Duration::from_secs));
            assert_eq!(after(&schedule, now), then, "{said:?}");
        }
    }

    #[test]
    fn however_many_keys_are_missed_it_is_asked_once_in_five_seconds() {
        let now = Instant::now();
        let mut schedule = Schedule::new(now);
        schedule.has_come(now, None);
        for second in 0..5 {
            schedule.is_missed(now + Duration::from_secs(second));
            assert_eq!(after(&schedule, now), 5);
        }
        let later = now + Duration::from_secs(100);
        schedule.has_come(now, None);
        schedule.is_missed(later);
        assert_eq!(schedule.due(), later);
    }

    #[test]
    fn failures_are_further_and_further_apart_until_it_works() {
        let now = Instant::now();
        let mut schedule = Schedule::new(now);
        let pauses = [0; 7].map(|_| {
            schedule.has_failed(now);
            after(&schedule, now)
        });
        assert_eq!(pauses, [2, 4, 8, 16, 32, 60, 60]);
        schedule.has_come(now, None);
        schedule.has_failed(now);
        assert_eq!(after(&schedule, now), 2);
    }
}
