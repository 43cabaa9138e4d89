//! How many HTTP connections there may be.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Counts connections, all of them and those of each address (/32, /64). A connection that
/// becomes a WebSocket counts no more; the gateway has its own bound for these.
#[derive(Debug)]
pub(in crate::server) struct Admission {
    free: Arc<Semaphore>,
    most: u32,
    most_per_address: usize,
    of_address: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// The place of one connection; it is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    _place: OwnedSemaphorePermit,
    address: Option<IpAddr>,
    of_address: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Admission {
    /// At most `most` connections, and `most_per_address` of one address (0 is no limit). The
    /// limit of an address does not hold for loopback, where a reverse proxy may be.
    pub(in crate::server) fn new(most: usize, most_per_address: usize) -> Self {
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        Self {
            free: Arc::new(Semaphore::new(most as usize)),
            most,
            most_per_address,
            of_address: Arc::default(),
        }
    }

    /// A place for a connection from `peer`, if there is one.
    pub(super) fn admit(&self, peer: IpAddr) -> Option<Permit> {
        let place = Arc::clone(&self.free).try_acquire_owned().ok()?;
        let limited = self.most_per_address > 0 && !peer.is_loopback();
        let address = limited.then(|| network(peer));
        if let Some(address) = address {
            let mut counts = lock(&self.of_address);
            let count = counts.entry(address).or_default();
            if *count >= self.most_per_address {
                return None;
            }
            *count += 1;
        }
        Some(Permit {
            _place: place,
            address,
            of_address: Arc::clone(&self.of_address),
        })
    }

    /// Returns once there is no connection.
    pub(in crate::server) async fn all_gone(&self) {
        // The semaphore is never closed, so this only ends with all permits.
        drop(self.free.acquire_many(self.most).await);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(address) = self.address else { return };
        let mut counts = lock(&self.of_address);
        if let Some(count) = counts.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&address);
            }
        }
    }
}

/// A count is right whoever panicked elsewhere: nothing panics while it is held.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What counts as one address: IPv4 whole, IPv6 by its first 64 bits.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_place_is_free_again_when_its_connection_ends() {
        let admission = Admission::new(1, 0);
        let first = admission.admit(address("192.0.2.1"));
        assert!(first.is_some());
        assert!(admission.admit(address("192.0.2.2")).is_none());
        drop(first);
        assert!(admission.admit(address("192.0.2.2")).is_some());
    }

    #[test]
    fn one_network_does_not_take_the_places_of_others() {
        let admission = Admission::new(10, 1);
        let held = admission.admit(address("2001:db8::1"));
        assert!(held.is_some());
        assert!(admission.admit(address("2001:db8::2")).is_none());
        assert!(admission.admit(address("2001:db8:0:1::1")).is_some());
        drop(held);
        assert!(admission.admit(address("2001:db8::2")).is_some());
        assert!(lock(&admission.of_address).is_empty());
    }
}
