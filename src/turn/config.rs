//! What the operator decides.

use std::net::SocketAddr;

use super::nat_discovery::NatDiscovery;
use super::policy::PeerPolicy;

/// What a server needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// The realm of the long-term credentials; at most 127 characters.
    pub realm: String,
    /// Which peers are refused, and on which addresses relayed addresses are made.
    pub policy: PeerPolicy,
    /// Whether relayed addresses have no sockets: then only each other can be reached, and an
    /// [`Action::Bind`](super::Action::Bind) is answered by a port that is free in the table of the caller.
    pub portless: bool,
    /// Answers a second to one address before it authenticates; 0 is no limit.
    pub unauthenticated_rate: u32,
    /// Bytes a second of application data that an allocation may relay in each direction; 0 is
    /// no limit. What goes straight to another client of this process counts with the sender.
    pub max_bandwidth_per_allocation: u64,
    /// Whether an allocation ends with the credentials that it is used with. Otherwise it may go
    /// on, but no new one can be made.
    pub strict_expiry: bool,
    /// What mobility tickets are made with (RFC 8016); the same for all servers of the process.
    /// `None`: allocations do not move.
    pub mobility_key: Option<[u8; 32]>,
    /// What nonces are made with, the first key, and checked with, all of them; there is at least
    /// one. Servers that a client may reach at one address share them.
    pub nonce_keys: Vec<[u8; 32]>,
    /// Whether clients are asked to hide the user's name behind USERHASH (RFC 8489 section 9.2).
    pub username_anonymity: bool,
    /// Where clients are sent that this server has no room for; they need the same users. Only
    /// those of the client's own family can be its first choice.
    pub alternate_servers: Vec<SocketAddr>,
    /// Where clients may find out what NATs they are behind (RFC 5780), if anywhere.
    pub nat_discovery: Option<NatDiscovery>,
    /// Randomness for transaction ids and tables; different for every server.
    pub seed: u64,
}
