//! What the workers share: quotas, and what stands behind relayed addresses. A relayed packet
//! touches neither, but for a look, without a lock, where its peer is an address of this server.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use super::ports::{self, RelayedPorts};
use super::post::Owners;
use crate::auth::account;
use crate::turn::{self, FiveTuple, Reachable};

/// The shared state of all workers.
#[derive(Debug)]
pub(super) struct Siblings {
    max_allocations_per_user: u32,
    claimed: Mutex<HashMap<String, u32>>,
    relayed: Vec<RelayedPorts>,
    owners: Owners,
}

impl Siblings {
    pub(super) fn new(
        max_allocations_per_user: u32,
        relay_addresses: impl Iterator<Item = IpAddr>,
    ) -> Self {
        Self {
            max_allocations_per_user,
            claimed: Mutex::default(),
            relayed: relay_addresses.map(RelayedPorts::new).collect(),
            owners: Owners::default(),
        }
    }

    /// The worker that has the allocation of `client`.
    pub(super) fn owner(&self, client: FiveTuple) -> Option<usize> {
        self.owners.of(client)
    }

    /// The relayed ports of one of the relay addresses.
    pub(super) fn ports(&self, address: IpAddr) -> Option<&RelayedPorts> {
        ports::ports_of(&self.relayed, address)
    }
}

/// The siblings as the server of worker `number` sees them.
#[derive(Clone, Debug)]
pub(super) struct OfWorker {
    pub(super) number: usize,
    pub(super) siblings: Arc<Siblings>,
}

impl turn::Siblings for OfWorker {
    fn claim(&self, username: &str) -> bool {
        self.siblings.claim(username)
    }

    fn release(&self, username: &str) {
        self.siblings.release(username);
    }

    fn publish(&self, relayed: SocketAddr, reachable: Option<Arc<Reachable>>) {
        let client = reachable.as_ref().map(|reachable| reachable.client());
        let before = ports::publish(&self.siblings.relayed, relayed, reachable);
        match (before, client) {
            (None, Some(client)) => self.siblings.owners.insert(client, self.number),
            (Some(before), None) => self.siblings.owners.remove(before.client()),
            _ => {}
        }
    }

    fn reach<R>(&self, relayed: SocketAddr, look: impl FnOnce(&Reachable) -> R) -> Option<R> {
        ports::reach(&self.siblings.relayed, relayed, look)
    }
}

impl Siblings {
    fn claim(&self, username: &str) -> bool {
        let mut claimed = self.claimed.lock().unwrap_or_else(PoisonError::into_inner);
        let count = claimed.entry(account(username).to_owned()).or_default();
        let is_free = self.max_allocations_per_user == 0 || *count < self.max_allocations_per_user;
        *count += u32::from(is_free);
        is_free
    }

    fn release(&self, username: &str) {
        let mut claimed = self.claimed.lock().unwrap_or_else(PoisonError::into_inner);
        let account = account(username);
        if let Some(count) = claimed.get_mut(account) {
            *count -= 1;
            if *count == 0 {
                claimed.remove(account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quota_is_the_persons_whatever_the_expiry_says() {
        let siblings = Siblings::new(2, std::iter::empty());
        assert!(siblings.claim("1000:ada"));
        assert!(siblings.claim("2000:ada"));
        assert!(!siblings.claim("3000:ada"));
        assert!(siblings.claim("3000:grace"));
        siblings.release("1000:ada");
        assert!(siblings.claim("3000:ada"));
    }

    #[test]
    fn a_quota_of_zero_is_no_limit() {
        let siblings = Siblings::new(0, std::iter::empty());
        assert!((0..1_000).all(|_| siblings.claim("ada")));
    }
}
