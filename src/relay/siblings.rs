//! What the workers share: quotas, and what stands behind relayed addresses. A relayed packet
//! touches neither, but for a look, without a lock, where its peer is an address of this server.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use super::ports::{self, RelayedPorts};
use crate::auth::account;
use crate::turn::{self, Reachable};

/// The shared state of all workers.
#[derive(Debug)]
pub(super) struct Siblings {
    max_allocations_per_user: u32,
    claimed: Mutex<HashMap<String, u32>>,
    relayed: Vec<RelayedPorts>,
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
        }
    }

    /// The relayed ports of one of the relay addresses.
    pub(super) fn ports(&self, address: IpAddr) -> Option<&RelayedPorts> {
        ports::ports_of(&self.relayed, address)
    }
}

impl turn::Siblings for Siblings {
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

    fn publish(&self, relayed: SocketAddr, reachable: Option<Arc<Reachable>>) {
        ports::publish(&self.relayed, relayed, reachable);
    }

    fn reach<R>(&self, relayed: SocketAddr, look: impl FnOnce(&Reachable) -> R) -> Option<R> {
        ports::reach(&self.relayed, relayed, look)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::turn::Siblings as _;

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
