//! The clock that shells tell the time by.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::time::{self, Now};

/// Makes [`Now`] from the system's clocks. Copies agree with each other.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that starts now.
    #[must_use]
    pub fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// When `instant` is, or was, on the system's clock.
    #[must_use]
    pub fn system(&self, instant: time::Instant) -> Instant {
        self.start + instant.since_start()
    }

    /// The same the other way round; the clock's start for what was before it.
    #[must_use]
    pub fn instant(&self, system: Instant) -> time::Instant {
        time::Instant::from_start(system.saturating_duration_since(self.start))
    }

    /// What the time is.
    #[must_use]
    pub fn now(&self) -> Now {
        Now {
            instant: time::Instant::from_start(self.start.elapsed()),
            // A clock set before 1970 makes credentials expire late, and harms nothing else.
            unix: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
        }
    }
}
