//! What the owner of the sockets has to do for TCP allocations (RFC 6062).

use std::net::{IpAddr, SocketAddr};

use super::connection_id::ConnectionId;
use super::five_tuple::FiveTuple;
use super::table::AllocationId;

/// Something to be done with listeners at relayed addresses and with connections to peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpAction {
    /// Listen on a relay port of `address` and call [`Server::handle_bound`] with it. Each
    /// connection that comes is told by [`Server::handle_peer_connection`].
    ///
    /// [`Server::handle_bound`]: super::Server::handle_bound
    /// [`Server::handle_peer_connection`]: super::Server::handle_peer_connection
    Listen {
        /// Whose relayed address it will be.
        allocation: AllocationId,
        /// On which address of this machine.
        address: IpAddr,
    },
    /// Close the listener of a relayed address; its port is free.
    Unlisten {
        /// The address, as bound.
        relayed: SocketAddr,
    },
    /// Open a connection to a peer and call [`Server::handle_connected`] with what becomes of it.
    ///
    /// [`Server::handle_connected`]: super::Server::handle_connected
    Connect {
        /// Its name.
        connection: ConnectionId,
        /// The relayed address that it leaves from, as bound.
        from: SocketAddr,
        /// The peer.
        to: SocketAddr,
    },
    /// Close a connection to a peer, and that of the client which belongs to it.
    Close {
        /// Its name.
        connection: ConnectionId,
    },
}

/// A client's connection has become a data connection: from now on its bytes, those behind the
/// request that has bound it included, are the peer's, and the peer's are its.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The connection to the peer.
    pub connection: ConnectionId,
    /// The client's.
    pub client: FiveTuple,
}

/// A peer could not be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectFailed;

/// Why there can be no more connection to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoConnection {
    /// The name is in use; another one may be free.
    NameInUse,
    /// There are as many as there may be, of the user or of all.
    Full,
}
