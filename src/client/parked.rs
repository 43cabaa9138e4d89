//! What is to be said again after a restart of the server, once those are back who are to hear it.

use std::collections::VecDeque;

use super::outbox::Entry;
use super::request::Request;
use crate::signal::SessionId;

/// Entries whose addressees have not come back, in the order in which they were asked for.
#[derive(Debug, Default)]
pub(super) struct Parked {
    entries: VecDeque<Entry>,
}

impl Parked {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Puts an entry behind what was asked for before it. What waits already may be newer: it was
    /// asked for behind something that waited when a restart came once more.
    pub(super) fn park(&mut self, entry: Entry) {
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

    /// Takes out what is for all of a room.
    pub(super) fn take_broadcasts(&mut self, room: &str) -> VecDeque<Entry> {
        self.take(|entry| is_broadcast(entry, room))
    }

    /// What is for all of a room, to be said to those who are back: what becomes of that is nobody's
    /// concern.
    pub(super) fn copies(&self, room: &str) -> Vec<Entry> {
        let entries = self.entries.iter().filter(|it| is_broadcast(it, room));
        entries.map(Entry::copy).collect()
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

fn is_broadcast(entry: &Entry, room: &str) -> bool {
    matches!(&entry.request, Request::Broadcast { room: of, .. } if &**of == room)
}
