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

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.transport.name(), self.address)
    }
}
