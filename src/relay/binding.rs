//! Relayed addresses as a worker gets them and lets them go.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use mio::Registry;

use super::ports::RelayedPorts;
use super::siblings::Siblings;
use super::sockets::{Sockets, take_port};
use crate::net::{Buffers, UdpSocket};
use crate::turn::{AllocationId, WantedPort};

/// What may wait at a relay socket: some seconds of a video stream.
const RELAY_BUFFERS: Buffers = Buffers {
    receive: 1 << 20,
    send: 1 << 20,
};

/// The ports of relayed addresses that have no sockets: all that anybody may use.
pub(super) const PORTLESS_RANGE: RangeInclusive<u16> = 1_024..=u16::MAX;

/// All that it takes to get a relayed address.
pub(super) struct Binding<'w> {
    pub(super) sockets: &'w mut Sockets,
    pub(super) registry: &'w Registry,
    pub(super) siblings: &'w Siblings,
    /// `None`: relayed addresses have no sockets.
    pub(super) range: Option<&'w RangeInclusive<u16>>,
}

/// What stands for a port that has been taken: its socket, where there are sockets.
type Taken = Option<UdpSocket>;

impl Binding<'_> {
    /// Gets a relayed address on `address`; gives its port.
    pub(super) fn bind(
        &mut self,
        allocation: AllocationId,
        address: IpAddr,
        wanted: WantedPort,
    ) -> Option<u16> {
        let ports = self.siblings.ports(address)?;
        let (port, socket) = match wanted {
            WantedPort::Any => self.take(ports, false)?,
            WantedPort::Even => self.take(ports, true)?,
            WantedPort::EvenAndNext => self.take_pair(ports)?,
            WantedPort::Reserved(port) => self.take_reserved(ports, port)?,
        };
        let Some(socket) = socket else {
            return Some(port);
        };
        // One that stays small works, too.
        let _ = socket.enlarge_buffers(RELAY_BUFFERS);
        let inserted = self.sockets.insert_relay(allocation, socket, self.registry);
        if inserted.is_err() {
            ports.give_back(port);
            if wanted == WantedPort::EvenAndNext {
                self.release(SocketAddr::new(address, port + 1));
            }
            return None;
        }
        Some(port)
    }

    /// Closes the socket of a relayed address, and gives its port back.
    pub(super) fn unbind(&mut self, allocation: AllocationId, relayed: SocketAddr) {
        self.sockets
            .remove_relay(allocation, relayed, self.registry);
        self.give_back(relayed);
    }

    /// Gives a reserved address back that nobody has used.
    pub(super) fn release(&self, relayed: SocketAddr) {
        drop(self.siblings.reserved().take(relayed));
        self.give_back(relayed);
    }

    fn give_back(&self, relayed: SocketAddr) {
        if let Some(ports) = self.siblings.ports(relayed.ip()) {
            ports.give_back(relayed.port());
        }
    }

    fn range(&self) -> &RangeInclusive<u16> {
        self.range.unwrap_or(&PORTLESS_RANGE)
    }

    /// What stands for `port`, if the system has it to give.
    fn open(&self, address: IpAddr, port: u16) -> Option<Taken> {
        if self.range.is_none() {
            return Some(None);
        }
        let socket = UdpSocket::relay(SocketAddr::new(address, port)).ok()?;
        Some(Some(socket))
    }

    fn take(&self, ports: &RelayedPorts, even: bool) -> Option<(u16, Taken)> {
        take_port(ports, self.range(), even, |address, port| {
            Some((port, self.open(address, port)?))
        })
    }

    /// Takes an even port and the one above it, which is kept for later.
    fn take_pair(&self, ports: &RelayedPorts) -> Option<(u16, Taken)> {
        take_port(ports, self.range(), true, |address, port| {
            let next = port + 1;
            if !self.range().contains(&next) || !ports.take(next) {
                return None;
            }
            let both = self.open(address, port).zip(self.open(address, next));
            let Some((taken, kept)) = both else {
                ports.give_back(next);
                return None;
            };
            if let Some(kept) = kept {
                self.siblings.reserved().keep(kept);
            }
            Some((port, taken))
        })
    }

    fn take_reserved(&self, ports: &RelayedPorts, port: u16) -> Option<(u16, Taken)> {
        if self.range.is_none() {
            return Some((port, None));
        }
        let relayed = SocketAddr::new(ports.address(), port);
        let socket = self.siblings.reserved().take(relayed);
        if socket.is_none() {
            ports.give_back(port);
        }
        Some((port, Some(socket?)))
    }
}
