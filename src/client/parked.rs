//! What is to be said again after a restart of the server, once its addressee is back.

use std::collections::VecDeque;

use super::outbox::Entry;
use super::request::Request;
use crate::signal::SessionId;
use crate::time::Instant;

/// Entries whose addressees have not come back, in the order in which they were said.
#[derive(Debug, Default)]
pub(super) struct Parked {
    entries: VecDeque<Entry>,
    /// Who is not back by then never will be.
    until: Option<Instant>,
}

impl Parked {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn until(&self) -> Option<Instant> {
        self.until.filter(|_| !self.entries.is_empty())
    }

    /// The server has been restarted; who comes back does so before `until`.
    pub(super) fn begin(&mut self, until: Instant) {
        self.until = Some(until);
    }

    /// Puts an entry behind what was asked for before it. What waits already may be newer: it was
    /// asked for behind something that waited when a restart came once more.
    pub(super) fn park(&mut self, mut entry: Entry) {
        // The pair meets again; the epoch of the meeting before means nothing any more.
        if let Request::Say { epoch, .. } = &mut entry.request {
            *epoch = None;
        }
        let place = self.entries.partition_point(|it| it.re < entry.re);
        self.entries.insert(place, entry);
    }

    /// Whether something for the same addressee in the same room waits, which this must not
    /// overtake.
    pub(super) fn has_before(&self, entry: &Entry) -> bool {
        let is_before = |it: &Entry| {
            it.addressee() == entry.addressee() && it.request.room() == entry.request.room()
        };
        entry.addressee().is_some() && self.entries.iter().any(is_before)
    }

    /// Takes out what is for a member that is back in a room.
    pub(super) fn take_for(&mut self, room: &str, member: SessionId) -> VecDeque<Entry> {
        self.take(|entry| entry.addressee() == Some(member) && entry.request.room() == Some(room))
    }

    /// Takes out all, if it is too late for them.
    pub(super) fn take_late(&mut self, now: Instant) -> VecDeque<Entry> {
        if self.until.is_some_and(|until| until <= now) {
            return std::mem::take(&mut self.entries);
        }
        VecDeque::new()
    }

    /// Takes out everything.
    pub(super) fn take_all(&mut self) -> VecDeque<Entry> {
        std::mem::take(&mut self.entries)
    }

    fn take(&mut self, is_meant: impl Fn(&Entry) -> bool) -> VecDeque<Entry> {
        if self.entries.is_empty() {
            return VecDeque::new();
        }
        let (taken, kept) = self.entries.drain(..).partition(is_meant);
        self.entries = kept;
        taken
    }
}
