//! The five-tuple: what tells one client from another.

use std::net::SocketAddr;

/// How a client's bytes arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// Datagrams.
    Udp,
}

/// A client's address, the address of ours that it speaks to, and the transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FiveTuple {
    /// The client, as seen here.
    pub client: SocketAddr,
    /// Where the client's packets arrive, and answers leave from.
    pub server: SocketAddr,
    /// The transport.
    pub transport: Transport,
}
