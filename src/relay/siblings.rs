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

    /// Sees to it that no relayed address is ever the address of one of `listeners`.
    pub(super) fn keep_free_of(&self, listeners: &[SocketAddr]) {
        for listener in listeners {
            let (ip, port) = (listener.ip(), listener.port());
            let here = |ports: &&RelayedPorts| ip.is_unspecified() || ip == ports.address();
            for ports in self.relayed.iter().filter(here) {
                ports.take(port);
            }
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
    fn no_relayed_address_is_a_listeners() {
        let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
        let relays = ["192.0.2.1", "2001:db8::1"].map(|ip| ip.parse().expect("an address"));
        let siblings = Siblings::new(0, relays.into_iter());
        siblings.keep_free_of(&[address("0.0.0.0:3478"), address("192.0.2.2:5349")]);
        let free = |ip: IpAddr, port| siblings.ports(ip).expect("a relay address").take(port);
        assert!(!free(relays[0], 3_478) && !free(relays[1], 3_478));
        assert!(free(relays[0], 5_349) && free(relays[0], 3_479));
    }

    #[test]
    fn a_quota_of_zero_is_no_limit() {
        let siblings = Siblings::new(0, std::iter::empty());
        assert!((0..1_000).all(|_| siblings.claim("ada")));
    }
}
