//! Who waits at the door of a room.

use std::sync::Arc;

use super::ids::SessionId;
use super::meetings::Meetings;
use super::message::Profile;
use crate::time::Instant;

/// Somebody who waits to be let in.
pub(super) struct Knock {
    pub(super) profile: Arc<Profile>,
    pub(super) meetings: Meetings,
    /// The id of the `join`.
    pub(super) re: u64,
    /// Until when it waits.
    pub(super) until: Instant,
}

/// Those who wait, in the order in which they came. Few, so a list.
#[derive(Default)]
pub(super) struct Knocks {
    waiting: Vec<Knock>,
}

impl Knocks {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn add(&mut self, knock: Knock) {
        self.waiting.push(knock);
    }

    /// What they say of themselves.
    pub(super) fn profiles(&self) -> Vec<Arc<Profile>> {
        let waiting = self.waiting.iter();
        waiting.map(|knock| Arc::clone(&knock.profile)).collect()
    }

    pub(super) fn contains(&self, session: SessionId) -> bool {
        self.find(session).is_some()
    }

    pub(super) fn take(&mut self, session: SessionId) -> Option<Knock> {
        self.find(session).map(|at| self.waiting.remove(at))
    }

    fn find(&self, session: SessionId) -> Option<usize> {
        let mut waiting = self.waiting.iter();
        waiting.position(|knock| knock.profile.session == session)
    }

    /// When the first one has waited long enough.
    pub(super) fn next_end(&self) -> Option<Instant> {
        self.waiting.iter().map(|knock| knock.until).min()
    }

    /// Those who have waited long enough.
    pub(super) fn over(&self, now: Instant) -> Vec<SessionId> {
        let over = self.waiting.iter().filter(|knock| knock.until <= now);
        over.map(|knock| knock.profile.session).collect()
    }
}
