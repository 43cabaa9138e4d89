//! Where clients are served, and how.

use std::fmt;
use std::net::SocketAddr;

use crate::turn::Transport;

/// An address for clients of one transport, as `udp://0.0.0.0:3478`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// How clients reach it.
    pub transport: Transport,
    /// Where it is bound.
    pub address: SocketAddr,
}

impl Listener {
    /// The first of `listeners` that can be half of NAT behaviour discovery (RFC 5780) beside
    /// `alternate`: it takes datagrams at one address of the same family, and neither address nor
    /// port is that of `alternate`.
    #[must_use]
    pub fn discovery_primary(listeners: &[Self], alternate: SocketAddr) -> Option<SocketAddr> {
        let mut by_datagrams = listeners.iter().filter(|it| it.transport == Transport::Udp);
        let found = by_datagrams.find(|Self { address, .. }| {
            address.is_ipv4() == alternate.is_ipv4()
                && !address.ip().is_unspecified()
                && address.ip() != alternate.ip()
                && address.port() != alternate.port()
        });
        found.map(|listener| listener.address)
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.transport.name(), self.address)
    }
}
