//! What a relay is started with, and why it may not start.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::ops::RangeInclusive;

use super::audit::AuditSink;
use super::listener::Listener;
use crate::auth::RelayCredentials;
use crate::net::{DtlsConfig, TlsConfig};
use crate::turn::{Cidr, RelayAddress};

/// What the relay needs to know to start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where clients are served. Port 0 takes any free port.
    pub listen: Vec<Listener>,
    /// The realm of the long-term credentials.
    pub realm: String,
    /// The users.
    pub credentials: RelayCredentials,
    /// Whether clients are asked to hide the user's name behind USERHASH. Only listed users can be
    /// found by it.
    pub username_anonymity: bool,
    /// On which addresses relayed addresses are made, at most one of each family.
    pub relay_addresses: Vec<RelayAddress>,
    /// The ports of relayed addresses. `None`: they have no sockets, and only each other can be
    /// reached; nothing but the listeners must be open then.
    pub relay_ports: Option<RangeInclusive<u16>>,
    /// Where clients are sent that there is no room for here.
    pub alternate_servers: Vec<SocketAddr>,
    /// The second address and port of NAT behaviour discovery (RFC 5780); the first ones are those
    /// of [`Listener::discovery_primary`]. `None`: it is not served.
    pub nat_discovery_alternate: Option<SocketAddr>,
    /// Exceptions to the built-in list of refused peers.
    pub allow_peers: Vec<Cidr>,
    /// Whether an allocation talks only to those who are in a room with the session that its
    /// credentials name, and to what they have announced there.
    pub within_rooms: bool,
    /// Allocations that there may be at a time, of all users; 0 is no limit.
    pub max_allocations: u32,
    /// Allocations that one user may have at a time; 0 is no limit.
    pub max_allocations_per_user: u32,
    /// Answers a second to one address (/32, /64) before it authenticates; 0 is no limit.
    pub unauthenticated_rate: u32,
    /// Bytes a second that an allocation may relay in each direction; 0 is no limit.
    pub max_bandwidth_per_allocation: u64,
    /// The same for all allocations of a user together; 0 is no limit.
    pub max_bandwidth_per_user: u64,
    /// Peers a minute that one user may have permissions for and had none before; 0 is no limit.
    pub max_new_peers_per_user: u32,
    /// Whether an allocation ends with the credentials that it is used with.
    pub strict_expiry: bool,
    /// Whether clients may move their allocations to other addresses of theirs (RFC 8016).
    pub mobility: bool,
    /// Whether there are TCP allocations (RFC 6062), and within which bounds.
    pub tcp_relay: Option<TcpRelay>,
    /// Connections of clients at a time, DTLS associations included.
    pub connections: usize,
    /// The same for one address (/32, /64); 0 is no limit. Loopback has none.
    pub connections_per_address: usize,
    /// What TLS is spoken with at every listener for streams; the first byte tells it from plain
    /// STUN. `None`: it is not spoken.
    pub tls: Option<TlsConfig>,
    /// What DTLS is spoken with at the listeners for it. `None`: it is not spoken.
    pub dtls: Option<DtlsConfig>,
    /// Proxies in front of the listeners for streams: they must say by a header of the PROXY
    /// protocol whose connection it is, and nobody else may.
    pub proxies: Vec<Cidr>,
    /// Whether DSCP and ECN of what arrives as a datagram are put on what leaves as one; otherwise
    /// what leaves has the system's default. Only on Linux.
    pub copy_traffic_class: bool,
    /// Worker threads; 0 is one a core.
    pub workers: usize,
    /// Whether each worker stays on a core of its own, as far as there are cores.
    pub pin_workers: bool,
    /// Who must be told of every allocation, if anybody.
    pub audit: Option<AuditSink>,
    /// Whether datagrams are taken and given many a call, and trains joined and cut by the kernel.
    pub batching: bool,
}

impl Settings {
    /// Where else than at the relay's listeners this process is reached by TCP, as far as that
    /// matters.
    pub(super) fn services(&self) -> &[SocketAddr] {
        self.tcp_relay.as_ref().map_or(&[], |relay| &relay.services)
    }
}

/// What there may be of TCP allocations (RFC 6062).
#[derive(Clone, Debug)]
pub struct TcpRelay {
    /// Connections to peers at a time.
    pub connections: usize,
    /// The same for one user; 0 is no limit.
    pub connections_per_user: usize,
    /// Where else than at the relay's listeners this process is reached by TCP: no connection may
    /// lead there.
    pub services: Vec<SocketAddr>,
}

/// Why the relay did not start.
#[derive(Debug)]
pub enum StartError {
    /// A listener could not be bound.
    Listen {
        /// The listener.
        listener: Listener,
        /// What the operating system says.
        source: io::Error,
    },
    /// What NAT behaviour discovery needs beside the listeners could not be bound.
    NatDiscovery {
        /// One of its addresses.
        address: SocketAddr,
        /// What the operating system says; [`io::ErrorKind::InvalidInput`] if no listener fits the
        /// alternate address.
        source: io::Error,
    },
    /// Something else that the operating system did not give: threads, randomness.
    System(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen { listener, source } => {
                write!(f, "cannot listen on {listener}: {source}")
            }
            Self::NatDiscovery { address, source } => {
                write!(
                    f,
                    "cannot serve NAT behaviour discovery at {address}: {source}"
                )
            }
            Self::System(source) => write!(f, "cannot start the relay: {source}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Listen { source, .. }
            | Self::NatDiscovery { source, .. }
            | Self::System(source) => Some(source),
        }
    }
}
