//! The clock of the shell.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::time::{Instant, Now};

/// Tells the time to the layers that cannot ask for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    start: tokio::time::Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self {
            start: tokio::time::Instant::now(),
        }
    }

    pub(super) fn now(&self) -> Now {
        Now {
            instant: Instant::from_start(self.start.elapsed()),
            unix: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or(Duration::ZERO),
        }
    }

    /// The same moment for the runtime's timers.
    pub(super) fn runtime(&self, instant: Instant) -> tokio::time::Instant {
        self.start + instant.since_start()
    }
}
