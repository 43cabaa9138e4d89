//! The ports of relayed addresses, as all workers see them.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};

const WORDS: usize = (u16::MAX as usize + 1) / 64;

/// Which ports of one address are relayed addresses now: a bit a port.
#[derive(Debug)]
pub(super) struct RelayedPorts {
    address: IpAddr,
    bits: Box<[AtomicU64]>,
}

impl RelayedPorts {
    pub(super) fn new(address: IpAddr) -> Self {
        Self {
            address,
            bits: (0..WORDS).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    pub(super) fn address(&self) -> IpAddr {
        self.address
    }

    pub(super) fn contains(&self, port: u16) -> bool {
        let (word, bit) = place(port);
        self.bits[word].load(Ordering::Relaxed) & bit != 0
    }

    pub(super) fn insert(&self, port: u16) {
        let (word, bit) = place(port);
        self.bits[word].fetch_or(bit, Ordering::Relaxed);
    }

    pub(super) fn remove(&self, port: u16) {
        let (word, bit) = place(port);
        self.bits[word].fetch_and(!bit, Ordering::Relaxed);
    }
}

fn place(port: u16) -> (usize, u64) {
    (usize::from(port) / 64, 1 << (port % 64))
}

/// The ports of one address in which `socket_address` falls.
pub(super) fn ports_of(all: &[RelayedPorts], address: IpAddr) -> Option<&RelayedPorts> {
    all.iter().find(|ports| ports.address() == address)
}

/// Whether `address` is a relayed address.
pub(super) fn is_relayed(all: &[RelayedPorts], address: SocketAddr) -> bool {
    ports_of(all, address.ip()).is_some_and(|ports| ports.contains(address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_relayed_from_insert_to_remove() {
        let all = [RelayedPorts::new(IpAddr::from([192, 0, 2, 1]))];
        for port in [0, 63, 64, 49_152, u16::MAX] {
            let address = SocketAddr::from(([192, 0, 2, 1], port));
            assert!(!is_relayed(&all, address));
            all[0].insert(port);
            assert!(is_relayed(&all, address));
            assert!(!is_relayed(&all, SocketAddr::from(([192, 0, 2, 2], port))));
            all[0].remove(port);
            assert!(!is_relayed(&all, address));
        }
    }
}
