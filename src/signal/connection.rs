//! What the hub knows of a connection.

use std::sync::Arc;
use std::time::Duration;

use super::config::Config;
use super::grant::Grant;
use super::ids::SessionId;
use crate::time::{Instant, Now};

/// What the hub knows of a connection.
pub(super) struct Connection {
    /// The session it carries, once it has said hello.
    pub(super) session: Option<SessionId>,
    pub(super) pulse: Pulse,
    /// What it has been let in by, until a session takes it over.
    pub(super) grant: Option<Arc<Grant>>,
    pub(super) malformed: u8,
    pub(super) limited: u8,
}

/// What is known of whether a connection lives.
pub(super) struct Pulse {
    heard: Instant,
    /// When it is given up, if it has been asked and not heard since.
    end: Option<Instant>,
    /// Until when somebody waits for what it says.
    urgent_until: Instant,
}

impl Pulse {
    pub(super) fn new(now: Now) -> Self {
        Self {
            heard: now.instant,
            end: None,
            urgent_until: now.instant,
        }
    }

    /// Something has come: whether it was asked for.
    pub(super) fn heard(&mut self, now: Now) -> bool {
        self.heard = now.instant;
        self.end.take().is_some()
    }

    /// Somebody waits for what it says, until then.
    pub(super) fn hasten(&mut self, until: Instant) {
        self.urgent_until = self.urgent_until.max(until);
    }

    pub(super) fn is_urgent(&self, now: Now) -> bool {
        now.instant < self.urgent_until
    }

    /// Whether it has been asked, and not been heard since.
    pub(super) fn is_asked(&self) -> bool {
        self.end.is_some()
    }

    /// It is asked, and has this long to be heard. A question that it has not answered still
    /// counts: nobody is given more time by the next one.
    pub(super) fn ask(&mut self, config: &Config, now: Now) -> Duration {
        let (_, patience) = self.parts(config, now);
        let end = now.instant + patience;
        self.end = Some(self.end.map_or(end, |before| before.min(end)));
        patience
    }

    /// When to ask, or to give it up.
    pub(super) fn due(&self, config: &Config, now: Now) -> Instant {
        let (silence, _) = self.parts(config, now);
        self.end.unwrap_or(self.heard + silence)
    }

    /// How long it may be silent before it is asked, and afterwards.
    fn parts(&self, config: &Config, now: Now) -> (Duration, Duration) {
        if self.is_urgent(now) {
            parts(config.negotiation_timeout, 2)
        } else {
            parts(config.silence_timeout, 3)
        }
    }
}

/// So much of a time passes before a connection is asked, in fifths, and so much afterwards.
fn parts(timeout: Duration, fifths: u32) -> (Duration, Duration) {
    let silence = timeout / 5 * fifths;
    (silence, timeout.saturating_sub(silence))
}
