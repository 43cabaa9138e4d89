//! What has been said to a session and may have to be said again.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Config, Message, Offset};

/// The messages of a session that it has not acknowledged, in order.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    kept: VecDeque<Arc<Message>>,
    bytes: usize,
    /// The position of the last message ever put in.
    last: Offset,
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

    /// Puts a message in and says at which position; forgets the oldest where there is no room.
    pub(super) fn push(&mut self, message: Arc<Message>, config: &Config) -> Offset {
        let size = message.size();
        while !self.has_room_for(size, config) {
            self.forget_oldest();
        }
        self.bytes += size;
        self.kept.push_back(message);
        self.last = self.last.next();
        self.last
    }

    /// Forgets everything up to and including `seen`.
    pub(super) fn acknowledge(&mut self, seen: Offset) {
        while self.before_first() < seen && !self.kept.is_empty() {
            self.forget_oldest();
        }
        if self.kept.is_empty() && self.kept.capacity() > IDLE_CAPACITY {
            self.kept = VecDeque::new();
        }
    }

    /// Whether everything after `seen` is still here.
    pub(super) fn can_resume_after(&self, seen: Offset) -> bool {
        (self.before_first()..=self.last).contains(&seen)
    }

    /// What is kept, with its positions.
    pub(super) fn kept(&self) -> impl Iterator<Item = (Offset, &Arc<Message>)> {
        let first = self.before_first().0 + 1;
        (first..).map(Offset).zip(&self.kept)
    }

    fn before_first(&self) -> Offset {
        Offset(self.last.0 - self.kept.len() as u64)
    }

    fn forget_oldest(&mut self) {
        if let Some(message) = self.kept.pop_front() {
            self.bytes -= message.size();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn push(mailbox: &mut Mailbox, config: &Config) -> Offset {
        mailbox.push(Arc::new(Message::Pong), config)
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
        mailbox.acknowledge(Offset(2));
        assert_eq!(positions(&mailbox), [3]);
        mailbox.acknowledge(Offset(1));
        assert_eq!(positions(&mailbox), [3]);
        mailbox.acknowledge(Offset(u64::MAX));
        assert!(positions(&mailbox).is_empty());
        assert_eq!(push(&mut mailbox, &of_three()), Offset(4));
    }

    #[test]
    fn a_full_mailbox_forgets_the_oldest_and_knows_it() {
        let mut mailbox = Mailbox::default();
        for _ in 0..5 {
            push(&mut mailbox, &of_three());
        }
        assert_eq!(positions(&mailbox), [3, 4, 5]);
        assert!(!mailbox.can_resume_after(Offset(1)));
        assert!(mailbox.can_resume_after(Offset(2)));
        assert!(mailbox.can_resume_after(Offset(5)));
        assert!(!mailbox.can_resume_after(Offset(6)));
    }

    #[test]
    fn a_message_that_is_larger_than_the_mailbox_is_kept_alone() {
        let mut mailbox = Mailbox::default();
        let config = Config {
            mailbox_bytes: 1,
            ..Config::default()
        };
        push(&mut mailbox, &config);
        push(&mut mailbox, &config);
        assert_eq!(positions(&mailbox), [2]);
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
                    mailbox.acknowledge(Offset(seen));
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
