//! The way in: how it stands with admission, and the task that measures how far the hub is behind.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};

use super::admission::{Admission, Refused};
use super::settings::Settings;
use super::switchboard::Switchboard;
use crate::metrics::SignalCounters;
use crate::net::Clock;

/// How often it is measured how long inputs wait.
const EVERY: Duration = Duration::from_millis(250);

/// What decides whether one more connection is let in.
#[derive(Debug)]
pub(super) struct Gate {
    admission: Mutex<Admission>,
    clock: Clock,
    counters: Arc<SignalCounters>,
}

/// A connection that is not let in.
#[derive(Clone, Copy, Debug)]
pub(super) struct TurnedBack {
    pub(super) why: Refused,
    /// When to come back.
    pub(super) after: Duration,
}

impl TurnedBack {
    /// What `Retry-After` says, in seconds.
    pub(super) fn seconds(self) -> u64 {
        self.after.as_millis().div_ceil(1_000) as u64
    }
}

impl Gate {
    pub(super) fn new(settings: &Settings, counters: Arc<SignalCounters>) -> Self {
        Self {
            admission: Mutex::new(Admission::new(settings.connect_rate, settings.max_delay)),
            clock: Clock::start(),
            counters,
        }
    }

    /// One more wants to be let in.
    pub(super) fn admit(&self) -> Result<(), TurnedBack> {
        let now = self.clock.now().instant;
        let admitted = self.admission().admit(now);
        admitted.map_err(|(why, after)| self.turned_back(why, after))
    }

    /// One is refused for another reason than how many come.
    pub(super) fn turn_back(&self, why: Refused) -> TurnedBack {
        let now = self.clock.now().instant;
        let after = self.admission().come_back(now);
        self.turned_back(why, after)
    }

    fn turned_back(&self, why: Refused, after: Duration) -> TurnedBack {
        self.counters.refused.count(why.word());
        TurnedBack { why, after }
    }

    /// Measures until the hub is gone. It waits like an input that has just come: until its time
    /// is noticed, behind all other tasks, and for the hub.
    pub(super) async fn watch(self: Arc<Self>, hub: Weak<Switchboard>) {
        loop {
            let due = Instant::now() + EVERY;
            sleep_until(due).await;
            yield_now().await;
            let reached = hub.upgrade().map(|hub| hub.ask(|_, _| ()));
            let Some(Ok(())) = reached else {
                return;
            };
            self.observe(due.elapsed());
        }
    }

    fn observe(&self, delay: Duration) {
        let microseconds = usize::try_from(delay.as_micros()).unwrap_or(usize::MAX);
        SignalCounters::set(&self.counters.hub_delay, microseconds);
        self.admission().observe(delay);
    }

    /// Nothing panics while it is held, so it is right whoever panicked elsewhere.
    fn admission(&self) -> MutexGuard<'_, Admission> {
        self.admission
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
