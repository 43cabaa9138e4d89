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
    kept: VecDeque<Kept>,
    /// What is kept counts so many bytes.
    bytes: usize,
    /// How many accounts of whole rooms are kept that count nothing.
    accounts: usize,
    /// The position of the last message ever put in.
    last: Offset,
    /// Whether something after the first of what is kept has been forgotten.
    has_gaps: bool,
    /// What became of the session's own words, and is not acknowledged. At most two for each whom
    /// it has said something, and as many of broadcasts as may wait.
    receipts: Vec<Arc<Message>>,
    /// Since when nothing has been acknowledged of what is kept.
    waits_since: Instant,
}

/// A message, and how many bytes it counts.
#[derive(Debug)]
struct Kept {
    offset: Offset,
    counts: usize,
    message: Arc<Message>,
}

/// A mailbox that held much and is empty gives its memory back.
const IDLE_CAPACITY: usize = 4;

impl Mailbox {
    /// Whether a message can be kept beside what is there. A message that is alone always can.
    pub(super) fn has_room_for(&self, message: &Message, config: &Config) -> bool {
        self.kept.is_empty()
            || (self.kept.len() < config.mailbox_messages
                && self.bytes + self.counts(message, config) <= config.mailbox_bytes)
    }

    /// How many bytes a message counts. The account of a whole room counts nothing: it may be
    /// larger than the mailbox, and must leave room for what comes after it. There are no more of
    /// them than rooms that a session may be in.
    fn counts(&self, message: &Message, config: &Config) -> usize {
        let is_free = is_account(message) && self.accounts < config.rooms_per_session;
        if is_free { 0 } else { message.size() }
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
        if !self.has_room_for(&message, config) {
            self.forget_presence();
        }
        if !self.has_gaps || is_said(&message) {
            let counts = self.counts(&message, config);
            self.keep(counts, message);
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
        self.kept.retain(|kept| is_said(&kept.message));
        self.bytes = self.kept.iter().map(|kept| kept.counts).sum();
        self.accounts = 0;
    }

    fn keep(&mut self, counts: usize, message: Arc<Message>) {
        self.bytes += counts;
        self.accounts += usize::from(counts == 0);
        self.kept.push_back(Kept {
            offset: self.last,
            counts,
            message,
        });
    }

    /// Forgets everything up to and including `seen`, and gives it to `of`.
    pub(super) fn acknowledge(&mut self, seen: Offset, now: Now, mut of: impl FnMut(&Message)) {
        while let Some(kept) = self.kept.pop_front_if(|kept| kept.offset <= seen) {
            self.bytes -= kept.counts;
            self.accounts -= usize::from(kept.counts == 0);
            if is_receipt(&kept.message) {
                let receipts = &mut self.receipts;
                receipts.retain(|known| !Arc::ptr_eq(known, &kept.message));
            }
            self.waits_since = now.instant;
            of(&kept.message);
        }
        if self.kept.is_empty() && self.kept.capacity() > IDLE_CAPACITY {
            self.kept = VecDeque::new();
        }
    }

    /// Whether everything after `seen` is still here, and no snapshot is among it.
    pub(super) fn can_resume_after(&self, seen: Offset) -> bool {
        let is_here = !self.has_gaps && (self.before_first()..=self.last).contains(&seen);
        is_here && !self.begins_with_snapshot_after(seen)
    }

    /// A snapshot that may not have arrived comes before all that is kept.
    fn begins_with_snapshot_after(&self, seen: Offset) -> bool {
        let is_snapshot = |kept: &Kept| matches!(*kept.message, Message::Snapshot { .. });
        let first = self.kept.front();
        first.is_some_and(|kept| kept.offset > seen && is_snapshot(kept))
    }

    /// What is kept, with its positions.
    pub(super) fn kept(&self) -> impl Iterator<Item = (Offset, &Arc<Message>)> {
        self.kept.iter().map(|kept| (kept.offset, &kept.message))
    }

    /// What is kept is said again, and can be acknowledged only from now on.
    pub(super) fn wait_from(&mut self, now: Now) {
        self.waits_since = now.instant;
    }

    /// Since when nothing has been acknowledged of what is kept; `None` if nothing is.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        (!self.kept.is_empty()).then_some(self.waits_since)
    }

    /// How many are kept that tell what became of the session's own words.
    pub(super) fn receipts(&self) -> usize {
        self.receipts.len()
    }

    /// The position of the last message ever put in.
    pub(super) fn last(&self) -> Offset {
        self.last
    }

    /// Puts `first` in the place of all that is kept. What became of the session's own words
    /// follows, and what others have said.
    pub(super) fn begin_anew(&mut self, first: Arc<Message>, now: Now) {
        let kept = std::mem::take(&mut self.kept);
        let said = kept.into_iter().map(|kept| kept.message);
        let said = said.filter(|message| is_said(message));
        let receipts = self.receipts.clone();
        (self.bytes, self.accounts) = (0, 0);
        (self.has_gaps, self.waits_since) = (false, now.instant);
        self.last = self.last.next();
        self.keep(0, first);
        for message in receipts.into_iter().chain(said) {
            self.last = self.last.next();
            self.keep(message.size(), message);
        }
    }

    fn before_first(&self) -> Offset {
        let first = self.kept.front();
        first.map_or(self.last, |kept| Offset(kept.offset.0 - 1))
    }
}

/// Whether this tells all there is to know of a room, or of all.
fn is_account(message: &Message) -> bool {
    matches!(message, Message::Joined { .. } | Message::Snapshot { .. })
}

/// Whether this is something that another member has said.
fn is_said(message: &Message) -> bool {
    matches!(message, Message::Delivery(_) | Message::Broadcast(_))
}

/// Whether this tells what became of something that the session has said.
fn is_receipt(message: &Message) -> bool {
    matches!(
        message,
        Message::Delivered { .. } | Message::Undeliverable { .. } | Message::BroadcastDelivered(_)
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
        let snapshot = Arc::new(Message::Snapshot {
            rooms: Vec::new(),
            knocking: Vec::new(),
        });
        mailbox.begin_anew(snapshot, Now::default());
        assert_eq!(positions(&mailbox), [5]);
        // Whoever has not got the snapshot has to be told that one comes.
        assert!(!mailbox.can_resume_after(Offset(4)));
        assert!(mailbox.can_resume_after(Offset(5)));
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
        let snapshot = || {
            Arc::new(Message::Snapshot {
                rooms: Vec::new(),
                knocking: Vec::new(),
            })
        };
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
    fn the_account_of_a_large_room_leaves_room_for_what_comes_after_it() {
        use super::super::message::RoomSnapshot;
        use super::super::{Member, Profile, Role, State};
        let data = format!("\"{}\"", "x".repeat(4_000));
        let profile = Arc::new(Profile {
            session: SessionId::from_random([7; 16]),
            name: None,
            data: serde_json::value::RawValue::from_string(data).ok(),
        });
        let member = Member {
            profile,
            state: State::Joined,
            role: Role::Member,
            polite: true,
            epoch: 1,
            continues: None,
        };
        let joined = |name: &str| {
            let room = RoomSnapshot {
                room: name.into(),
                version: 1,
                standing: Role::Member.into(),
                settings: super::super::Settings {
                    locked: false,
                    limit: 64,
                    duplicates: super::super::Duplicates::Allow,
                },
                members: vec![member.clone(); 80],
                knocks: None,
                state: Vec::new(),
            };
            Arc::new(Message::Joined { re: 1, room })
        };
        let config = Config {
            rooms_per_session: 2,
            ..Config::default()
        };
        assert!(joined("blue").size() > config.mailbox_bytes);
        let mut mailbox = Mailbox::default();
        let snapshot = Arc::new(Message::Snapshot {
            rooms: Vec::new(),
            knocking: Vec::new(),
        });
        mailbox.begin_anew(snapshot, Now::default());
        mailbox.push(joined("blue"), &config, Now::default());
        push(&mut mailbox, &config);
        assert_eq!(positions(&mailbox), [1, 2, 3]);
        // No more of them than rooms that a session may be in.
        assert!(!mailbox.has_room_for(&joined("green"), &config));
        mailbox.acknowledge(Offset(1), Now::default(), |_| {});
        assert!(mailbox.has_room_for(&joined("green"), &config));
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
        assert!(!mailbox.has_room_for(&Message::Pong, &config));
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
