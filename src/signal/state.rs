//! What a room keeps for its members: small values by their keys.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::Config;
use super::ids::SessionId;
use crate::time::Instant;

/// A value that a room keeps, or that it keeps no more. All who are told share it.
#[derive(Debug)]
pub struct StateEntry {
    /// Its key.
    pub key: Box<str>,
    /// The value, byte for byte; `None` if it is gone.
    pub value: Option<Box<RawValue>>,
    /// The room's version with which it was set or went.
    pub version: u64,
    /// Who has set or removed it; `None` if its time was over.
    pub by: Option<SessionId>,
}

/// How long an entry stays.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stay {
    /// Until then.
    pub(super) until: Option<Instant>,
    /// As long as this one is a member.
    pub(super) with: Option<SessionId>,
}

/// The longest key, in bytes.
pub(super) const KEY_BYTES: usize = 64;

/// The entries of a room, by their keys.
#[derive(Default)]
pub(super) struct RoomState {
    entries: BTreeMap<Box<str>, (Arc<StateEntry>, Stay)>,
    bytes: usize,
}

impl RoomState {
    /// Whether this may be a key: 1 to 64 bytes without control characters.
    pub(super) fn is_key(key: &str) -> bool {
        (1..=KEY_BYTES).contains(&key.len()) && !key.chars().any(char::is_control)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All entries, in the order of their keys.
    pub(super) fn entries(&self) -> Vec<Arc<StateEntry>> {
        self.entries.values().map(|it| Arc::clone(&it.0)).collect()
    }

    /// The version of the entry; 0 if there is none.
    pub(super) fn version(&self, key: &str) -> u64 {
        self.entries.get(key).map_or(0, |(entry, _)| entry.version)
    }

    /// Whether there is room for this value in the place of what is there.
    pub(super) fn has_room_for(&self, key: &str, value: &RawValue, config: &Config) -> bool {
        let before = self.entries.get(key);
        let count = self.entries.len() + usize::from(before.is_none());
        let freed = before.map_or(0, |(entry, _)| entry.bytes());
        let bytes = self.bytes - freed + key.len() + value.get().len();
        count <= config.state_entries && bytes <= config.state_bytes
    }

    /// Puts an entry in the place of the one with the same key, or takes that one out.
    pub(super) fn put(&mut self, entry: &Arc<StateEntry>, stay: Stay) {
        let before = match entry.value {
            Some(_) => {
                self.bytes += entry.bytes();
                let key = entry.key.clone();
                self.entries.insert(key, (Arc::clone(entry), stay))
            }
            None => self.entries.remove(&entry.key),
        };
        self.bytes -= before.map_or(0, |(entry, _)| entry.bytes());
    }

    /// When the first entry goes by itself.
    pub(super) fn next_end(&self) -> Option<Instant> {
        let ends = self.entries.values().filter_map(|(_, stay)| stay.until);
        ends.min()
    }

    /// The keys of the entries whose time is over.
    pub(super) fn over(&self, now: Instant) -> Vec<Box<str>> {
        self.keys_of(|stay| stay.until.is_some_and(|until| until <= now))
    }

    /// The keys of the entries that go with a member.
    pub(super) fn held_by(&self, session: SessionId) -> Vec<Box<str>> {
        self.keys_of(|stay| stay.with == Some(session))
    }

    fn keys_of(&self, which: impl Fn(&Stay) -> bool) -> Vec<Box<str>> {
        let entries = self.entries.iter().filter(|(_, (_, stay))| which(stay));
        entries.map(|(key, _)| key.clone()).collect()
    }
}

impl StateEntry {
    /// How many bytes key and value have.
    pub(super) fn bytes(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, |value| value.get().len())
    }
}
