//! What has come from the server, and how much of it is acknowledged.

use std::time::Duration;

use crate::time::Instant;

/// Acknowledge at the latest after so many messages …
const EVERY: u64 = 32;
/// … or so long after one has come.
const WITHIN: Duration = Duration::from_millis(300);

/// Where a message belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Next,
    Repeated,
    Gap,
}

#[derive(Debug, Default)]
pub(super) struct Inbox {
    seq: u64,
    acknowledged: u64,
    may_jump: bool,
    due: Option<Instant>,
}

impl Inbox {
    /// The last that has been taken in.
    pub(super) fn seq(&self) -> u64 {
        self.seq
    }

    pub(super) fn take(&mut self, seq: u64, now: Instant) -> Place {
        if !self.may_jump {
            if seq <= self.seq {
                return Place::Repeated;
            }
            if seq > self.seq + 1 {
                return Place::Gap;
            }
        }
        self.may_jump = false;
        self.seq = seq;
        if self.seq.saturating_sub(self.acknowledged) >= EVERY {
            self.due = Some(now);
        } else {
            self.due.get_or_insert(now + WITHIN);
        }
        Place::Next
    }

    /// When to acknowledge.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// What to acknowledge now, if it is time.
    pub(super) fn acknowledge(&mut self, now: Instant) -> Option<u64> {
        self.due.filter(|due| *due <= now)?;
        self.suspend();
        Some(self.seq)
    }

    /// The connection is gone; what a resume says in `seq` acknowledges as well.
    pub(super) fn suspend(&mut self) {
        self.due = None;
        self.acknowledged = self.seq;
    }

    /// A snapshot comes next.
    pub(super) fn jump(&mut self) {
        self.may_jump = true;
    }

    /// The next session counts from the start.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_before_is_repeated_and_what_skips_one_leaves_a_gap() {
        let (mut inbox, now) = (Inbox::default(), Instant::default());
        assert_eq!(inbox.take(2, now), Place::Gap);
        assert_eq!(inbox.take(1, now), Place::Next);
        assert_eq!(inbox.take(1, now), Place::Repeated);
        inbox.jump();
        assert_eq!(inbox.take(7, now), Place::Next);
        assert_eq!(inbox.take(9, now), Place::Gap);
    }

    #[test]
    fn the_thirty_second_message_is_acknowledged_at_once_and_a_single_one_soon() {
        let (mut inbox, now) = (Inbox::default(), Instant::default());
        inbox.take(1, now);
        assert_eq!(inbox.acknowledge(now), None);
        assert_eq!(inbox.acknowledge(now + WITHIN), Some(1));
        assert_eq!(inbox.due(), None);
        for seq in 2..=33 {
            inbox.take(seq, now);
        }
        assert_eq!(inbox.acknowledge(now), Some(33));
    }
}
