//! How many HTTP connections there may be.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::net::{self, Place};

/// Counts connections, all of them and those of each address (/32, /64). A connection that
/// becomes a WebSocket counts no more; the gateway has its own bound for these.
#[derive(Debug)]
pub(in crate::server) struct Admission {
    free: Arc<Semaphore>,
    most: u32,
    of_address: Arc<net::Admission>,
}

/// The place of one connection; it is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    _place: OwnedSemaphorePermit,
    _of_address: Place,
}

impl Admission {
    /// At most `most` connections, and `most_per_address` of one address (0 is no limit). The
    /// limit of an address does not hold for loopback, where a reverse proxy may be.
    pub(in crate::server) fn new(most: usize, most_per_address: usize) -> Self {
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        Self {
            free: Arc::new(Semaphore::new(most as usize)),
            most,
            of_address: Arc::new(net::Admission::new(most as usize, most_per_address)),
        }
    }

    /// A place for a connection from `peer`, if there is one.
    pub(super) fn admit(&self, peer: IpAddr) -> Option<Permit> {
        Some(Permit {
            _place: Arc::clone(&self.free).try_acquire_owned().ok()?,
            _of_address: self.of_address.admit(peer)?,
        })
    }

    /// Returns once there is no connection.
    pub(in crate::server) async fn all_gone(&self) {
        // The semaphore is never closed, so this only ends with all permits.
        drop(self.free.acquire_many(self.most).await);
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
}
