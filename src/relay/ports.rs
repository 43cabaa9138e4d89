//! The ports of relayed addresses, as all workers see them. Looking takes no lock.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;

use crate::metrics::{FAMILIES, Ports};
use crate::turn::Reachable;

const PORTS: usize = u16::MAX as usize + 1;

/// The ports of one address: which are taken, and what stands behind them.
pub(super) struct RelayedPorts {
    address: IpAddr,
    /// A bit a port.
    taken: Box<[AtomicU64]>,
    reachable: Box<[ArcSwapOption<Reachable>]>,
    /// The ports that relayed addresses may have.
    range: RangeInclusive<u16>,
    gauge: Arc<Ports>,
}

impl std::fmt::Debug for RelayedPorts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RelayedPorts")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl RelayedPorts {
    /// All ports of `address`, of which those in `range` are for relayed addresses.
    pub(super) fn new(address: IpAddr, range: RangeInclusive<u16>) -> Self {
        let family = FAMILIES[usize::from(address.is_ipv6())];
        Self {
            address,
            gauge: Arc::new(Ports::new(family, range.len() as u64)),
            range,
            taken: (0..PORTS / 64).map(|_| AtomicU64::new(0)).collect(),
            reachable: (0..PORTS).map(|_| ArcSwapOption::empty()).collect(),
        }
    }

    pub(super) fn address(&self) -> IpAddr {
        self.address
    }

    /// Takes a port; `false` if it was taken.
    pub(super) fn take(&self, port: u16) -> bool {
        let (word, bit) = place(port);
        let is_free = self.taken[word].fetch_or(bit, Ordering::Relaxed) & bit == 0;
        if is_free && self.range.contains(&port) {
            self.gauge.take();
        }
        is_free
    }

    /// Gives a port back.
    pub(super) fn give_back(&self, port: u16) {
        let (word, bit) = place(port);
        let was_taken = self.taken[word].fetch_and(!bit, Ordering::Relaxed) & bit != 0;
        if was_taken && self.range.contains(&port) {
            self.gauge.give_back();
        }
    }

    /// How many are free.
    pub(super) fn gauge(&self) -> Arc<Ports> {
        Arc::clone(&self.gauge)
    }

    fn slot(&self, port: u16) -> &ArcSwapOption<Reachable> {
        &self.reachable[usize::from(port)]
    }
}

fn place(port: u16) -> (usize, u64) {
    (usize::from(port) / 64, 1 << (port % 64))
}

/// The ports of `address`, if relayed addresses are made on it.
pub(super) fn ports_of(all: &[RelayedPorts], address: IpAddr) -> Option<&RelayedPorts> {
    all.iter().find(|ports| ports.address() == address)
}

/// Puts something, or nothing, behind a relayed address.
pub(super) fn publish(
    all: &[RelayedPorts],
    relayed: SocketAddr,
    reachable: Option<Arc<Reachable>>,
) {
    if let Some(ports) = ports_of(all, relayed.ip()) {
        ports.slot(relayed.port()).store(reachable);
    }
}

/// Looks at what stands behind a relayed address.
pub(super) fn reach<R>(
    all: &[RelayedPorts],
    relayed: SocketAddr,
    look: impl FnOnce(&Reachable) -> R,
) -> Option<R> {
    let ports = ports_of(all, relayed.ip())?;
    ports.slot(relayed.port()).load().as_deref().map(look)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_taken_once_until_it_is_given_back() {
        let ports = RelayedPorts::new(IpAddr::from([192, 0, 2, 1]), 49_152..=65_535);
        for port in [0, 63, 64, 49_152, u16::MAX] {
            assert!(ports.take(port));
            assert!(!ports.take(port));
            ports.give_back(port);
            assert!(ports.take(port));
        }
        // Of these, two are for relayed addresses.
        assert_eq!(ports.gauge().free(), 16_384 - 2);
        ports.give_back(49_152);
        ports.give_back(49_152);
        assert_eq!(ports.gauge().free(), 16_384 - 1);
    }

    #[test]
    fn nothing_stands_behind_an_address_of_no_relay() {
        let all = [RelayedPorts::new(IpAddr::from([192, 0, 2, 1]), 1..=9)];
        for address in ["192.0.2.1:50000", "192.0.2.2:50000"] {
            let address = address.parse().expect("an address");
            assert_eq!(reach(&all, address, |_| ()), None);
        }
    }
}
