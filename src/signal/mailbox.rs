//! What has been said to a session and may have to be said again.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Config, Message, Offset};
use crate::time::{Instant, Now};

/// The messages of a session that it has not acknowledged, in order.
///
/// Where there is no room, presence is forgotten: a snapshot of the rooms takes its place. What
/// others have said, and what became of what the session has said itself, never is.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    kept: VecDeque<(Offset, Arc<Message>)>,
    bytes: usize,
    /// The position of the last message ever put in.
    last: Offset,
    /// Whether something after the first of what is kept has been forgotten.
    has_gaps: bool,
    /// What became of the session's own words, and is not acknowledged. At most two for each whom
    /// it has said something.
    receipts: Vec<Arc<Message>>,
    /// Since when nothing has been acknowledged of what is kept.
    waits_since: Instant,
}

/// A mailbox that held much and is empty gives its memory back.
const IDLE_CAPACITY: usize = 4;

impl Mailbox {
    /// Whether a message of this size can be kept beside what is there. A message that is alone
    /// always can, so that the snapshot of a large room is not refused for its size.
    pub(super) fn has_room_for(&self, size: usize, config: &Config) -> bool {
        self.kept.is_empty()
            || (self.kept.len() < config.mailbox_messages
                && self.bytes + size <= config.mailbox_bytes)
    }

    /// Puts a message in and says at which position. Where there is no room, what a snapshot will
    /// tell as well is forgotten.
    pub(super) fn push(&mut self, message: Arc<Message>, config: &Config, now: Now) -> Offset {
        self.last = self.last.next();
        if self.kept.is_empty() {
            self.waits_since = now.instant;
        }
        if is_receipt(&message) {
            self.receipts.retain(|known| !replaces(&message, known));
            self.receipts.push(Arc::clone(&message));
        }
        if !self.has_room_for(message.size(), config) {
            self.forget_presence();
        }
        if !self.has_gaps || is_said(&message) {
            self.keep(self.last, message);
        }
        self.last
    }

    /// Forgets all that a snapshot will tell as well.
    pub(super) fn forget_presence(&mut self) {
        if self.has_gaps {
            // Since then nothing of it has been kept.
            return;
        }
        self.has_gaps = true;
        self.kept.retain(|(_, kept)| is_said(kept));
        self.bytes = self.kept.iter().map(|(_, kept)| kept.size()).sum();
    }

    fn keep(&mut self, offset: Offset, message: Arc<Message>) {
        self.bytes += message.size();
        self.kept.push_back((offset, message));
    }

    /// Forgets everything up to and including `seen`, and gives it to `of`.
    pub(super) fn acknowledge(&mut self, seen: Offset, now: Now, mut of: impl FnMut(&Message)) {
        while let Some((_, message)) = self.kept.pop_front_if(|(offset, _)| *offset <= seen) {
            self.bytes -= message.size();
            self.receipts.retain(|known| !Arc::ptr_eq(known, &message));
            self.waits_since = now.instant;
            of(&message);
        }
        if self.kept.is_empty() && self.kept.capacity() > IDLE_CAPACITY {
            self.kept = VecDeque::new();
        }
    }

    /// Whether everything after `seen` is still here.
    pub(super) fn can_resume_after(&self, seen: Offset) -> bool {
        !self.has_gaps && (self.before_first()..=self.last).contains(&seen)
    }

    /// What is kept, with its positions.
    pub(super) fn kept(&self) -> impl Iterator<Item = (Offset, &Arc<Message>)> {
        self.kept.iter().map(|(offset, message)| (*offset, message))
    }

    /// Since when nothing has been acknowledged of what is kept; `None` if nothing is.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        (!self.kept.is_empty()).then_some(self.waits_since)
    }

    /// The position of the last message ever put in.
    pub(super) fn last(&self) -> Offset {
        self.last
    }

    /// Puts `first` in the place of all that is kept. What became of the session's own words
    /// follows, and what others have said.
    pub(super) fn begin_anew(&mut self, first: Arc<Message>, now: Now) {
        let kept = std::mem::take(&mut self.kept);
        let said = kept.into_iter().map(|(_, message)| message);
        let said = said.filter(|message| is_said(message));
        let receipts = self.receipts.clone();
        (self.bytes, self.has_gaps, self.waits_since) = (0, false, now.instant);
        for message in [first].into_iter().chain(receipts).chain(said) {
            self.last = self.last.next();
            self.keep(self.last, message);
        }
    }

    fn before_first(&self) -> Offset {
        let first = self.kept.front();
        first.map_or(self.last, |(offset, _)| Offset(offset.0 - 1))
    }
}

/// Whether this is something that another member has said.
fn is_said(message: &Message) -> bool {
    matches!(message, Message::Delivery(_))
}

/// Whether this tells what became of something that the session has said.
fn is_receipt(message: &Message) -> bool {
    matches!(
        message,
        Message::Delivered { .. } | Message::Undeliverable { .. }
    )
}

/// Whether one who has got `new` need not get `old`.
fn replaces(new: &Message, old: &Message) -> bool {
    match (new, old) {
        (Message::Delivered { to, .. }, Message::Delivered { to: before, .. }) => to == before,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Reason, SessionId};
    use super::*;
    use proptest::prelude::*;

    fn push(mailbox: &mut Mailbox, config: &Config) -> Offset {
        mailbox.push(Arc::new(Message::Pong), config, Now::default())
    }

    fn positions(mailbox: &Mailbox) -> Vec<u64> {
        mailbox.kept().map(|(offset, _)| offset.0).collect()
    }

    fn of_three() -> Config {
        Config {
            mailbox_messages: 3,
            ..Config::default()
        }
    }

    #[test]
    fn positions_count_from_one() {
        let mut mailbox = Mailbox::default();
        assert_eq!(push(&mut mailbox, &of_three()), Offset(1));
        assert_eq!(push(&mut mailbox, &of_three()), Offset(2));
        assert_eq!(positions(&mailbox), [1, 2]);
    }

    #[test]
    fn what_is_acknowledged_is_forgotten() {
        let mut mailbox = Mailbox::default();
        for _ in 0..3 {
            push(&mut mailbox, &of_three());
        }
        mailbox.acknowledge(Offset(2), Now::default(), |_| {});
        assert_eq!(positions(&mailbox), [3]);
        mailbox.acknowledge(Offset(1), Now::default(), |_| {});
        assert_eq!(positions(&mailbox), [3]);
        mailbox.acknowledge(Offset(u64::MAX), Now::default(), |_| {});
        assert!(positions(&mailbox).is_empty());
        assert_eq!(push(&mut mailbox, &of_three()), Offset(4));
    }

    #[test]
    fn a_full_mailbox_forgets_presence_and_knows_it() {
        let mut mailbox = Mailbox::default();
        for _ in 0..4 {
            push(&mut mailbox, &of_three());
        }
        assert!(positions(&mailbox).is_empty());
        assert!((0..=4).all(|seen| !mailbox.can_resume_after(Offset(seen))));
        let snapshot = Arc::new(Message::Snapshot { rooms: Vec::new() });
        mailbox.begin_anew(snapshot, Now::default());
        assert_eq!(positions(&mailbox), [5]);
        assert!(mailbox.can_resume_after(Offset(4)));
    }

    #[test]
    fn what_became_of_ones_own_words_is_told_after_a_snapshot_until_it_is_acknowledged() {
        let mut mailbox = Mailbox::default();
        let to = SessionId::from_random([7; 16]);
        let say = |mailbox: &mut Mailbox, message| {
            mailbox.push(Arc::new(message), &of_three(), Now::default());
        };
        for through in 1..=9 {
            say(&mut mailbox, Message::Delivered { to, through });
        }
        let reason = Reason::Bye;
        say(&mut mailbox, Message::Undeliverable { to, reason });
        let snapshot = || Arc::new(Message::Snapshot { rooms: Vec::new() });
        mailbox.begin_anew(snapshot(), Now::default());
        let kept: Vec<_> = mailbox.kept().map(|(_, message)| message).collect();
        assert!(matches!(
            kept[..],
            [snapshot, delivered, undeliverable]
                if matches!(**snapshot, Message::Snapshot { .. })
                    && matches!(**delivered, Message::Delivered { through: 9, .. })
                    && matches!(**undeliverable, Message::Undeliverable { .. })
        ));
        mailbox.acknowledge(Offset(12), Now::default(), |_| {});
        mailbox.begin_anew(snapshot(), Now::default());
        assert_eq!(mailbox.kept().count(), 2);
        mailbox.acknowledge(Offset(99), Now::default(), |_| {});
        mailbox.begin_anew(snapshot(), Now::default());
        assert_eq!(mailbox.kept().count(), 1);
    }

    #[test]
    fn a_message_that_is_larger_than_the_mailbox_is_kept_alone() {
        let mut mailbox = Mailbox::default();
        let config = Config {
            mailbox_bytes: 1,
            ..Config::default()
        };
        push(&mut mailbox, &config);
        assert_eq!(positions(&mailbox), [1]);
        assert!(!mailbox.has_room_for(0, &config));
    }

    proptest! {
        #[test]
        fn a_mailbox_keeps_its_bounds_and_has_no_gaps(
            steps in prop::collection::vec((any::<bool>(), 0_u64..40), 0..200)
        ) {
            let config = Config {
                mailbox_messages: 7,
                mailbox_bytes: 6 * Message::Pong.size(),
                ..Config::default()
            };
            let mut mailbox = Mailbox::default();
            for (is_push, seen) in steps {
                if is_push {
                    push(&mut mailbox, &config);
                } else {
                    mailbox.acknowledge(Offset(seen), Now::default(), |_| {});
                }
                let positions = positions(&mailbox);
                prop_assert!(positions.len() <= 6);
                prop_assert!(mailbox.bytes <= config.mailbox_bytes);
                prop_assert!(positions.windows(2).all(|pair| pair[1] == pair[0] + 1));
                prop_assert!(positions.last().is_none_or(|&last| last == mailbox.last.0));
            }
        }
    }
}
