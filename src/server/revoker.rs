//! Takes back what somebody has, in signaling and on the relay.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use tracing::{info, warn};

use super::now;
use super::relay_users::RelayUsers;
use crate::gateway::Gateway;
use crate::relay::{self, Relay};
use crate::signal::Revocation;

/// Takes back what somebody has.
#[derive(Clone, Debug)]
pub(super) struct Revoker {
    pub(super) gateway: Gateway,
    pub(super) users: Arc<Mutex<RelayUsers>>,
    /// The present terms of the relay, without its users.
    pub(super) terms: Arc<Mutex<relay::Terms>>,
    /// Whoever stops the server waits for the relay to end.
    pub(super) relay: Weak<Relay>,
}

/// Why nothing, or not everything, was taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotRevoked;

impl Revoker {
    /// Ends the sessions that `revocation` names, and within a second the allocations that were
    /// made with their credentials. Gives how many sessions it meant.
    pub(super) fn revoke(&self, revocation: Revocation) -> Result<usize, NotRevoked> {
        let revoked = self.gateway.revoke(revocation).ok_or(NotRevoked)?;
        let count = revoked.sessions.len();
        let credentials = {
            // The users are whole whoever panicked elsewhere.
            let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
            users.revoke(&revoked, now().unix);
            users.credentials()
        };
        let mut terms = self
            .terms
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        terms.credentials = Some(credentials);
        if let Some(relay) = self.relay.upgrade()
            && let Err(error) = relay.change(terms)
        {
            warn!("the relay has not taken over a revocation: {error}");
            return Err(NotRevoked);
        }
        info!("revoked, with {count} sessions");
        Ok(count)
    }
}
