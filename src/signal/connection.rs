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
    /// When it was asked, if it has not been heard since.
    pub(super) asked: Option<Instant>,
    /// Until when somebody waits for what it says.
    pub(super) urgent_until: Instant,
}

impl Pulse {
    pub(super) fn new(now: Now) -> Self {
        Self {
            heard: now.instant,
            asked: None,
            urgent_until: now.instant,
        }
    }

    /// Something has come: whether it was asked for.
    pub(super) fn heard(&mut self, now: Now) -> bool {
        self.heard = now.instant;
        self.asked.take().is_some()
    }

    /// When to ask, or to give it up.
    pub(super) fn due(&self, config: &Config, now: Now) -> Instant {
        let is_urgent = now.instant < self.urgent_until;
        let (silence, patience) = if is_urgent {
            parts(config.negotiation_timeout, 2)
        } else {
            parts(config.silence_timeout, 3)
        };
        match self.asked {
            None => self.heard + silence,
            Some(asked) => asked + patience,
        }
    }
}

/// So much of a time passes before a connection is asked, in fifths, and so much afterwards.
fn parts(timeout: Duration, fifths: u32) -> (Duration, Duration) {
    let silence = timeout / 5 * fifths;
    (silence, timeout.saturating_sub(silence))
}
