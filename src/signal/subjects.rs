//! Which sessions belong to whom.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ids::SessionId;

/// The sessions of each subject. Empty in open mode.
#[derive(Default)]
pub(super) struct Subjects(BTreeMap<Arc<str>, Vec<SessionId>>);

impl Subjects {
    pub(super) fn add(&mut self, subject: &Arc<str>, session: SessionId) {
        self.0.entry(Arc::clone(subject)).or_default().push(session);
    }

    pub(super) fn remove(&mut self, subject: &str, session: SessionId) {
        if let Some(sessions) = self.0.get_mut(subject) {
            sessions.retain(|known| *known != session);
            if sessions.is_empty() {
                self.0.remove(subject);
            }
        }
    }

    /// The sessions of all of them.
    pub(super) fn all(&self) -> impl Iterator<Item = SessionId> {
        self.0.values().flatten().copied()
    }

    pub(super) fn sessions(&self, subject: &str) -> &[SessionId] {
        self.0.get(subject).map_or(&[], Vec::as_slice)
    }
}
