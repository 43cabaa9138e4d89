//! What may change while the relay runs, and how its workers learn of it.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::auth::RelayCredentials;
use crate::turn::{self, Cidr};

/// What may change while the relay runs.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The users; `None` leaves them as they are.
    pub credentials: Option<RelayCredentials>,
    /// See [`Settings::allow_peers`](super::Settings::allow_peers).
    pub allow_peers: Vec<Cidr>,
    /// See [`Settings::max_allocations`](super::Settings::max_allocations).
    pub max_allocations: u32,
    /// See [`Settings::max_allocations_per_user`](super::Settings::max_allocations_per_user).
    pub max_allocations_per_user: u32,
    /// See [`Settings::unauthenticated_rate`](super::Settings::unauthenticated_rate).
    pub unauthenticated_rate: u32,
}

/// What a worker's server takes.
pub(super) type ServerTerms = turn::Terms<Arc<RelayCredentials>>;

/// Where a worker finds new terms when it is woken. Newer ones take the place of those that it
/// has not looked at.
#[derive(Debug, Default)]
pub(super) struct Notice(ArcSwapOption<ServerTerms>);

impl Notice {
    pub(super) fn post(&self, terms: ServerTerms) {
        let mut terms = terms;
        // Users that the worker has not heard of yet must not get lost.
        if let Some(unread) = self.0.swap(None)
            && terms.users.is_none()
        {
            terms.users.clone_from(&unread.users);
        }
        self.0.store(Some(Arc::new(terms)));
    }

    pub(super) fn take(&self) -> Option<ServerTerms> {
        self.0.swap(None).map(Arc::unwrap_or_clone)
    }
}
