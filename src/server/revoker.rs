//! Takes back what somebody has, in signaling and on the relay.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use tracing::{info, warn};

use super::now;
use super::relay_users::RelayUsers;
use super::revocation_log::RevocationLog;
use crate::gateway::Gateway;
use crate::relay::{self, Relay};
use crate::signal::{Revocation, Revoked};

/// Takes back what somebody has.
#[derive(Clone, Debug)]
pub(super) struct Revoker {
    pub(super) gateway: Gateway,
    pub(super) users: Arc<Mutex<RelayUsers>>,
    /// The present terms of the relay, without its users.
    pub(super) terms: Arc<Mutex<relay::Terms>>,
    /// Whoever stops the server waits for the relay to end.
    pub(super) relay: Weak<Relay>,
    pub(super) log: Arc<Mutex<RevocationLog>>,
}

/// Why nothing, or not everything, was taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotRevoked {
    /// The server stops, or remembers as many revocations as it may.
    Refused,
    /// What was meant has ended, so many sessions with it, and the next start of the server will
    /// not know of it.
    NotKept(usize),
}

impl Revoker {
    /// Ends the sessions that `revocation` names, and within a second the allocations that were
    /// made with their credentials, and sees to it that a server after this one knows. Gives how
    /// many sessions it meant.
    pub(super) async fn revoke(&self, revocation: Revocation) -> Result<usize, NotRevoked> {
        let revoked = self.gateway.revoke(revocation.clone());
        let revoked = revoked.ok_or(NotRevoked::Refused)?;
        let count = revoked.sessions.len();
        // What is to be kept is kept, whatever becomes of the relay.
        let relayed = self.tell_relay(&revoked);
        self.keep(revocation, revoked).await?;
        relayed?;
        info!("revoked, with {count} sessions");
        Ok(count)
    }

    fn tell_relay(&self, revoked: &Revoked) -> Result<(), NotRevoked> {
        let credentials = {
            // The users are whole whoever panicked elsewhere.
            let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
            users.revoke(revoked, now().unix);
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
            return Err(NotRevoked::Refused);
        }
        Ok(())
    }

    /// Writes it down, which may take as long as the disk does.
    async fn keep(&self, revocation: Revocation, revoked: Revoked) -> Result<(), NotRevoked> {
        let log = Arc::clone(&self.log);
        let count = revoked.sessions.len();
        let write = move || {
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            log.add(revocation, revoked, now().unix)
        };
        let problem = match tokio::task::spawn_blocking(write).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        warn!("a revocation holds until the server stops, and no longer: {problem}");
        Err(NotRevoked::NotKept(count))
    }
}
