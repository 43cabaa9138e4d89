//! What was asked for and is not settled: it waits to be sent, for its answer or for its receipt.

use std::collections::VecDeque;

use super::request::{Request, RequestId};
use crate::signal::SessionId;

/// Something that was asked for, under its id of the session.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) re: RequestId,
    pub(super) id: u64,
    /// The id under which it was said first, to a server that has been restarted since.
    pub(super) nr: Option<u64>,
    pub(super) request: Request,
    /// Whether it is only said ahead, to some, and said again to all: nobody waits for its receipt.
    pub(super) is_copy: bool,
    /// Whom it has not reached since they have not come back after a restart of the server.
    pub(super) missed: Vec<SessionId>,
}

impl Entry {
    /// What has not been said yet; it gets its id in the outbox.
    pub(super) fn new(re: RequestId, request: Request) -> Self {
        Self {
            re,
            id: 0,
            nr: None,
            request,
            is_copy: false,
            missed: Vec::new(),
        }
    }

    /// The same, to be said ahead.
    pub(super) fn copy(&self) -> Self {
        Self {
            request: self.request.clone(),
            is_copy: true,
            missed: Vec::new(),
            ..*self
        }
    }

    /// Whether others hear it, and its sender of what becomes of it.
    pub(super) fn is_said(&self) -> bool {
        matches!(
            self.request,
            Request::Say { .. } | Request::Broadcast { .. }
        )
    }

    /// To whom it is said, if it is to one.
    pub(super) fn addressee(&self) -> Option<SessionId> {
        match self.request {
            Request::Say { to, .. } => Some(to),
            _ => None,
        }
    }
}

/// Entries in the order of their ids. Each stays until it is settled.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    entries: VecDeque<Entry>,
    last: u64,
    /// Up to which id the present connection has carried them, or the server applied them.
    sent: u64,
}

impl Outbox {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// What is not settled, up to this id.
    pub(super) fn through(&self, id: u64) -> impl Iterator<Item = &Request> {
        let entries = self.entries.iter().take_while(move |entry| entry.id <= id);
        entries.map(|entry| &entry.request)
    }

    /// The oldest that the present connection has not carried.
    pub(super) fn unsent(&self) -> Option<&Entry> {
        self.entries.get(self.position_after(self.sent))
    }

    /// The connection has carried this one.
    pub(super) fn note_sent(&mut self, id: u64) {
        self.sent = id;
    }

    /// Another connection: whatever the server has not applied may have been lost with the old.
    pub(super) fn send_again_after(&mut self, applied: u64) {
        self.sent = applied;
    }

    /// Takes out the one that the server has answered.
    pub(super) fn answered(&mut self, id: u64) -> Option<Entry> {
        let index = self.entries.binary_search_by_key(&id, |entry| entry.id);
        self.entries.remove(index.ok()?)
    }

    /// Takes out what was said to `to` and has arrived.
    pub(super) fn delivered(&mut self, to: SessionId, through: u64) -> Vec<Entry> {
        self.take_out(through, |entry| entry.addressee() == Some(to))
    }

    /// Takes out what was said to `to` and will not arrive.
    pub(super) fn undeliverable(&mut self, to: SessionId) -> Vec<Entry> {
        self.take_out(self.sent, |entry| entry.addressee() == Some(to))
    }

    /// Takes out what is applied, and whose answers a snapshot stands for.
    pub(super) fn unanswered(&mut self, applied: u64) -> Vec<Entry> {
        self.take_out(applied, |entry| !entry.is_said())
    }

    /// The server dropped `id` unapplied. An id that is smaller than one applied already would be
    /// dropped again, so it gets a new one, and with it all that were to follow.
    pub(super) fn renumber(&mut self, id: u64) {
        let unsent = self.entries.split_off(self.position_after(self.sent));
        let refused = self.answered(id);
        for mut entry in refused.into_iter().chain(unsent) {
            self.last += 1;
            entry.id = self.last;
            self.entries.push_back(entry);
        }
    }

    /// Takes everything out. Ids count on, or, for a new session, from the start.
    pub(super) fn clear(&mut self, is_new: bool) -> VecDeque<Entry> {
        if is_new {
            self.last = 0;
        }
        self.sent = self.last;
        std::mem::take(&mut self.entries)
    }

    /// Puts an entry in, under a new id.
    pub(super) fn add(&mut self, entry: Entry) {
        self.last += 1;
        let id = self.last;
        self.entries.push_back(Entry { id, ..entry });
    }

    fn position_after(&self, id: u64) -> usize {
        self.entries.partition_point(|entry| entry.id <= id)
    }

    fn take_out(&mut self, through: u64, is_meant: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        let rest = self.entries.split_off(self.position_after(through));
        let (taken, mut kept): (VecDeque<_>, VecDeque<_>) =
            self.entries.drain(..).partition(is_meant);
        kept.extend(rest);
        self.entries = kept;
        taken.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Body, Kind};

    fn addressee(last: u8) -> SessionId {
        let id = format!("6f0c7c1e-5d0b-4c55-9a3e-1f6c2f6f3c{last:02x}");
        SessionId::parse(&id).expect("an id")
    }

    fn say(outbox: &mut Outbox, to: u8) {
        let body = Body::new(&1).expect("JSON");
        let request = Request::say("blue", addressee(to), Kind::Offer, body);
        let re = RequestId(100 + outbox.last);
        outbox.add(Entry::new(re, request));
    }

    fn sent(outbox: &mut Outbox) -> Vec<u64> {
        std::iter::from_fn(|| {
            let id = outbox.unsent()?.id;
            outbox.note_sent(id);
            Some(id)
        })
        .collect()
    }

    #[test]
    fn what_was_said_waits_for_its_receipt_and_is_sent_again_until_it_is_applied() {
        let mut outbox = Outbox::default();
        for to in [1, 2, 1] {
            say(&mut outbox, to);
        }
        assert_eq!(sent(&mut outbox), [1, 2, 3]);
        outbox.send_again_after(1);
        assert_eq!(sent(&mut outbox), [2, 3]);
        let arrived = outbox.delivered(addressee(1), 2);
        assert_eq!(arrived.iter().map(|it| it.id).collect::<Vec<_>>(), [1]);
        assert_eq!(outbox.undeliverable(addressee(1)).len(), 1);
        assert_eq!(outbox.len(), 1);
    }

    #[test]
    fn what_came_too_fast_goes_out_again_before_all_that_was_to_follow() {
        let mut outbox = Outbox::default();
        say(&mut outbox, 1);
        say(&mut outbox, 1);
        assert_eq!(sent(&mut outbox), [1, 2]);
        say(&mut outbox, 1);
        outbox.renumber(2);
        assert_eq!(sent(&mut outbox), [4, 5]);
        let asked: Vec<_> = outbox.clear(true).iter().map(|it| it.re.0).collect();
        assert_eq!(asked, [100, 101, 102]);
    }

    #[test]
    fn an_answer_settles_one_and_a_snapshot_all_that_were_applied() {
        let mut outbox = Outbox::default();
        for room in ["blue", "green", "red"] {
            let join = Request::leave(room);
            outbox.add(Entry::new(RequestId(0), join));
        }
        say(&mut outbox, 1);
        let broadcast = Request::broadcast("blue", Body::new(&1).expect("JSON"));
        outbox.add(Entry::new(RequestId(0), broadcast));
        assert_eq!(outbox.answered(2).map(|it| it.id), Some(2));
        assert!(outbox.answered(2).is_none());
        assert_eq!(outbox.unanswered(5).len(), 2);
        // Receipts come all the same.
        assert_eq!(outbox.len(), 2);
    }
}
