//! What a server asks of the owner of its sockets.

use std::net::{IpAddr, SocketAddr};

use super::table::AllocationId;
use super::tcp_action::TcpAction;

/// What the owner of the sockets has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Bind a UDP socket on a relay port of `address` and call [`Server::handle_bound`](super::Server::handle_bound) with it.
    Bind {
        /// Whose relayed address it will be.
        allocation: AllocationId,
        /// On which address of this machine.
        address: IpAddr,
        /// Which port.
        port: WantedPort,
    },
    /// Close the socket of a relayed address; its port is free.
    Unbind {
        /// Whose relayed address it was.
        allocation: AllocationId,
        /// The address, as bound.
        relayed: SocketAddr,
    },
    /// Let go of an address that was held beside [`WantedPort::EvenAndNext`]; its port is free.
    Release {
        /// The address, as bound.
        relayed: SocketAddr,
    },
    /// What TCP allocations need; only of a server [`with_tcp_relay`](super::Server::with_tcp_relay).
    Tcp(TcpAction),
}

/// The port that a relayed address shall have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WantedPort {
    /// Any free one.
    Any,
    /// A free one that is even.
    Even,
    /// The same, and the next higher port must be free and is held for later.
    EvenAndNext,
    /// This one, which was held.
    Reserved(u16),
}

/// No port could be bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindFailed;
