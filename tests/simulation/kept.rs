//! What the server keeps for a session, as far as the connection that carries it shows this.

use std::collections::BTreeMap;
use std::time::Duration;

use peerage::signal::{Message, Offset};
use peerage::time::Instant;

/// How many messages the server may keep for a session, and how many bytes.
pub(crate) const MESSAGES: usize = 10;
pub(crate) const BYTES: usize = 1_800;
/// How long a connected client may acknowledge nothing.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(30);

/// What has been sent on a connection and not acknowledged on it.
#[derive(Default)]
pub(crate) struct Kept {
    messages: BTreeMap<u64, Count>,
    /// Since when nothing of it has been acknowledged.
    waits_since: Instant,
}

#[derive(Clone, Copy)]
struct Count {
    bytes: usize,
    is_said: bool,
}

impl Kept {
    pub(crate) fn add(&mut self, offset: Offset, message: &Message, now: Instant) {
        if self.messages.is_empty() {
            self.waits_since = now;
        }
        // The account of a whole room may be larger than all that is kept beside it.
        let is_account = matches!(message, Message::Joined { .. } | Message::Snapshot { .. });
        let count = Count {
            bytes: if is_account { 0 } else { message.size() },
            is_said: matches!(message, Message::Delivery(_) | Message::Broadcast(_)),
        };
        let before = self.messages.insert(offset.0, count);
        assert!(before.is_none(), "sent once");
    }

    pub(crate) fn acknowledge(&mut self, seen: Offset, now: Instant) {
        let rest = self.messages.split_off(&seen.0.saturating_add(1));
        let acknowledged = std::mem::replace(&mut self.messages, rest);
        if !acknowledged.is_empty() {
            self.waits_since = now;
        }
    }

    /// What is said to who does not keep up is bounded at any time; with what follows a snapshot
    /// (`is_again`) there may be more, but not more of what others have said.
    pub(crate) fn check_bound(&self, is_again: bool, most_again: usize) {
        let counts = self.messages.values();
        let counts: Vec<_> = counts.filter(|it| it.is_said || !is_again).collect();
        let bytes: usize = counts.iter().map(|it| it.bytes).sum();
        assert!(counts.len() <= MESSAGES, "a mailbox holds so many");
        assert!(bytes <= BYTES || counts.len() == 1, "and so many bytes");
        assert!(self.messages.len() <= most_again, "and a bound with all");
    }

    /// A connection on which nothing is acknowledged is not kept.
    pub(crate) fn check_heeded(&self, now: Instant, late: Duration) {
        let until = self.waits_since + ACKNOWLEDGED_WITHIN + late;
        let is_heeded = self.messages.is_empty() || now <= until;
        assert!(is_heeded, "who acknowledges nothing is suspended in time");
    }
}
