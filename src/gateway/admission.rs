//! Whether one more connection is let in, so that those who have one do not suffer: by how many
//! come, and by how long inputs wait for the hub.

use std::time::Duration;

use crate::signal::Turnstile;
use crate::time::Instant;

/// Once the hub is behind, it has caught up when inputs wait for less than this part of what they
/// may wait for.
const CAUGHT_UP: u32 = 4;

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Too many come.
    Rate,
    /// The hub is behind.
    Delay,
    /// There are as many as there may be.
    Places,
    /// There are as many of this address as there may be.
    Address,
    /// The server stops.
    Stopping,
}

impl Refused {
    /// The value of the label in the metrics.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Delay => "delay",
            Self::Places => "connections",
            Self::Address => "address",
            Self::Stopping => "stopping",
        }
    }
}

/// The policy, without a clock: `observe` takes what was measured, the rest answers.
#[derive(Debug)]
pub(super) struct Admission {
    turnstile: Turnstile,
    /// How long inputs may wait; zero is no limit.
    max_delay: Duration,
    /// Whether the last measurement was too long: one alone may be a hiccup of the machine.
    is_late: bool,
    is_behind: bool,
}

impl Admission {
    /// Lets in `rate` a second (0 is no limit), as long as inputs wait no longer than `max_delay`
    /// (zero is no limit).
    pub(super) fn new(rate: u32, max_delay: Duration) -> Self {
        Self {
            turnstile: Turnstile::new(rate),
            max_delay,
            is_late: false,
            is_behind: false,
        }
    }

    /// An input has waited for so long. Two in a row that have waited too long show that the hub is
    /// behind, and it is until one has waited for much less.
    pub(super) fn observe(&mut self, delay: Duration) {
        if self.max_delay.is_zero() {
            return;
        }
        let is_late = delay >= self.max_delay;
        if self.is_behind {
            self.is_behind = delay >= self.max_delay / CAUGHT_UP;
        } else {
            self.is_behind = is_late && self.is_late;
        }
        self.is_late = is_late;
    }

    /// One more wants to be let in. If it is not, it is told when to come back.
    pub(super) fn admit(&mut self, now: Instant) -> Result<(), (Refused, Duration)> {
        if self.is_behind {
            return Err((Refused::Delay, self.turnstile.come_back(now)));
        }
        let passed = self.turnstile.pass(now);
        passed.map_err(|wait| (Refused::Rate, wait))
    }

    /// When one may come back that is refused for another reason.
    pub(super) fn come_back(&mut self, now: Instant) -> Duration {
        self.turnstile.come_back(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_millis(500);

    fn at(milliseconds: u64) -> Instant {
        Instant::from_start(Duration::from_millis(milliseconds))
    }

    fn is_let_in(admission: &mut Admission) -> bool {
        admission.admit(at(0)).is_ok()
    }

    #[test]
    fn nobody_is_let_in_while_the_hub_is_behind() {
        let mut admission = Admission::new(0, LONG);
        admission.observe(LONG);
        assert!(is_let_in(&mut admission), "once may be a hiccup");
        admission.observe(LONG);
        let refused = admission.admit(at(0)).expect_err("it is behind");
        assert_eq!(refused.0, Refused::Delay);
        assert!(refused.1 >= Duration::from_secs(1));
    }

    #[test]
    fn a_hub_that_is_behind_has_caught_up_when_inputs_wait_for_much_less() {
        let mut admission = Admission::new(0, LONG);
        admission.observe(LONG);
        admission.observe(LONG);
        admission.observe(LONG / 2);
        assert!(!is_let_in(&mut admission), "that is not much less");
        admission.observe(LONG / 5);
        assert!(is_let_in(&mut admission));
        admission.observe(LONG);
        assert!(is_let_in(&mut admission), "it has to be late twice again");
    }

    #[test]
    fn a_hiccup_between_good_times_refuses_nobody() {
        let mut admission = Admission::new(0, LONG);
        for _ in 0..100 {
            admission.observe(LONG * 10);
            admission.observe(Duration::ZERO);
            assert!(is_let_in(&mut admission));
        }
    }

    #[test]
    fn without_limits_everybody_is_let_in() {
        let mut admission = Admission::new(0, Duration::ZERO);
        for _ in 0..10_000 {
            admission.observe(Duration::from_secs(60));
            assert!(is_let_in(&mut admission));
        }
    }

    #[test]
    fn those_who_are_refused_come_back_one_after_the_other() {
        let mut admission = Admission::new(10, Duration::ZERO);
        let refused: Vec<_> = (0..50)
            .filter_map(|_| admission.admit(at(0)).err())
            .collect();
        assert_eq!(refused.len(), 30);
        for (index, (why, wait)) in refused.into_iter().enumerate() {
            assert_eq!(why, Refused::Rate);
            let turn = Duration::from_millis(1_000 + 100 * index as u64);
            assert_eq!(wait, turn);
        }
    }
}
