//! The configuration, checked and typed.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::key_source::RemoteKeys;
use crate::auth::jwt::AccessTokens;
use crate::auth::{Secret, TokenKeys};
use crate::relay::{Listener, RelayAddress};
use crate::signal::Duplicates;
use crate::turn::Cidr;

/// All that the server is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the server keeps what it generates: the local CA and the relay's secret.
    pub state_directory: PathBuf,
    /// How much is logged.
    pub log_level: LogLevel,
    /// `[http]`
    pub http: Http,
    /// `[signal]`
    pub signal: Signal,
    /// `[turn]`
    pub turn: Turn,
    /// `[auth]`
    pub auth: Auth,
    /// `[metrics]`
    pub metrics: Metrics,
}

/// The web side: page, signaling, health.
#[derive(Clone, Debug)]
pub struct Http {
    /// Addresses for plain HTTP.
    pub listen: Vec<SocketAddr>,
    /// Addresses for HTTPS.
    pub tls_listen: Vec<SocketAddr>,
    /// What links carry.
    pub public_url: Option<PublicUrl>,
    /// Origins that may open signaling connections beside the server's own.
    pub allowed_origins: Vec<AllowedOrigin>,
    /// Servers besides this one that the page may connect to.
    pub other_servers: Vec<PublicUrl>,
    /// A folder that is served instead of the page within the binary.
    pub web_root: Option<PathBuf>,
    /// HTTP connections at a time; those that became WebSockets count no more.
    pub connections: usize,
    /// The same for one address (/32, /64); 0 is no limit. Loopback has none.
    pub connections_per_address: usize,
    /// Where HTTPS takes its certificate from.
    pub certificate: CertificateSource,
}

/// Where HTTPS takes its certificate from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateSource {
    /// From a CA of this machine's own, made at the first start.
    LocalCa,
    /// From the operator.
    Files {
        /// The chain in PEM, leaf first.
        certificate: PathBuf,
        /// The private key in PEM.
        key: PathBuf,
    },
}

/// Limits of signaling.
#[derive(Clone, Debug)]
pub struct Signal {
    /// WebSockets at a time.
    pub connections: usize,
    /// Sessions at a time, suspended ones included.
    pub sessions: usize,
    /// Connections that may come a second; 0 is no limit.
    pub connect_rate: u32,
    /// Sessions that may begin a second; 0 is no limit.
    pub session_rate: u32,
    /// How long inputs may wait before nobody else is let in; zero is no limit.
    pub max_delay: Duration,
    /// Members of a room.
    pub room_members: usize,
    /// What becomes of a second session of a subject in a room.
    pub duplicates: Duplicates,
    /// How long a session outlives its connection.
    pub resume_window: Duration,
    /// For how long a room without members keeps what it has been told to keep.
    pub empty_room_life: Duration,
    /// For how long a lost connection is kept from the other members.
    pub presence_grace: Duration,
    /// Over how long a stop spreads the return of its clients, or their going elsewhere.
    pub drain: Duration,
    /// Where a stop sends all clients.
    pub elsewhere: Option<PublicUrl>,
}

/// The relay.
#[derive(Clone, Debug)]
pub struct Turn {
    /// The realm of the long-term credentials.
    pub realm: String,
    /// Where clients are served; none switches the relay off.
    pub listen: Vec<Listener>,
    /// Whether the HTTPS listeners serve TURN over TLS, too.
    pub share_https: bool,
    /// Where relayed addresses are made, and how the world sees them: one a family at most.
    pub relay_addresses: Vec<RelayAddress>,
    /// The ports of relayed addresses.
    pub relay_ports: RelayPorts,
    /// The secrets of time-limited credentials: new ones are made with the first, all are taken.
    /// None: one from the state directory.
    pub secrets: Vec<Secret>,
    /// For how long the credentials that signaling hands out are good.
    pub credential_lifetime: Duration,
    /// Whether RFC 8489 clients are asked to send USERHASH in place of USERNAME.
    pub username_anonymity: bool,
    /// Static users.
    pub users: Vec<(String, Secret)>,
    /// What opens access tokens (RFC 7635), if any are taken.
    pub token_keys: Option<Arc<TokenKeys>>,
    /// Where clients are sent that there is no room for here.
    pub alternate_servers: Vec<SocketAddr>,
    /// The second address and port of NAT behaviour discovery, if it is served.
    pub nat_discovery_alternate: Option<SocketAddr>,
    /// Exceptions to the built-in list of refused peers.
    pub allow_peers: Vec<Cidr>,
    /// Whom allocations may talk to, of those who are not refused.
    pub peer_policy: Peers,
    /// Allocations that there may be at a time, of all users; 0 is no limit.
    pub max_allocations: u32,
    /// Allocations that one user may have at a time; 0 is no limit.
    pub max_allocations_per_user: u32,
    /// Answers a second to one address before it authenticates; 0 is no limit.
    pub unauthenticated_rate: u32,
    /// Bytes a second that an allocation may relay in each direction; 0 is no limit.
    pub max_bandwidth_per_allocation: u64,
    /// The same for all allocations of a user together; 0 is no limit.
    pub max_bandwidth_per_user: u64,
    /// New peers a minute that one user may reach; 0 is no limit.
    pub max_new_peers_per_user: u32,
    /// Whether an allocation ends with the credentials that it is used with.
    pub strict_expiry: bool,
    /// Whether clients may move their allocations to other addresses of theirs.
    pub mobility: bool,
    /// Whether there are TCP allocations.
    pub tcp_relay: bool,
    /// Connections of TCP allocations to peers at a time.
    pub peer_connections: usize,
    /// The same for one user; 0 is no limit.
    pub peer_connections_per_user: usize,
    /// Connections of clients at a time, DTLS associations included.
    pub connections: usize,
    /// The same for one address (/32, /64); 0 is no limit. Loopback has none.
    pub connections_per_address: usize,
    /// Where allocations are accounted for, if anywhere.
    pub audit_log: Option<AuditTarget>,
    /// Proxies that say by the PROXY protocol whose connection it is.
    pub proxy_protocol_from: Vec<Cidr>,
    /// Whether DSCP and ECN of what arrives are put on what leaves.
    pub copy_traffic_class: bool,
    /// Worker threads; 0 is one a core.
    pub workers: usize,
    /// Whether each worker stays on a core of its own.
    pub pin_workers: bool,
    /// Whether datagrams are taken and given many a call.
    pub batching: bool,
}

/// Ports from `first` to `last`, both included; `first` is not above `last` and not 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayPorts {
    /// One port a relayed address, each with a socket.
    Range {
        /// The lowest.
        first: u16,
        /// The highest.
        last: u16,
    },
    /// Relayed addresses have no sockets: only relayed addresses of this server can be reached.
    None,
}

/// Whom allocations may talk to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peers {
    /// Everybody.
    Any,
    /// Those who are in a room with the session whose credentials they were made with, and what is
    /// announced there.
    Room,
}

/// Where the audit log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditTarget {
    /// Beside the other logs.
    Stderr,
    /// To the end of this file.
    File(PathBuf),
}

/// Who may use signaling.
#[derive(Clone, Debug)]
pub struct Auth {
    /// Whether only who shows a token may come in; otherwise everybody may.
    pub by_token: bool,
    /// Secrets of HS256: `peerage token` signs with the first, all are taken.
    pub secrets: Vec<Secret>,
    /// What checks tokens: these and the keys of the files.
    pub tokens: Arc<AccessTokens>,
    /// Where more keys are fetched from, if anywhere.
    pub remote: Option<RemoteKeys>,
    /// The files that keys and authorities were read from.
    pub files: Vec<PathBuf>,
    /// For how long after its token has expired a session keeps its connection.
    pub grace: Duration,
    /// Sessions of one subject at a time; 0 is no limit.
    pub sessions_per_subject: usize,
    /// Wrong tokens and rooms that one address may try at once; 0 is no limit.
    pub guesses_per_address: u32,
}

/// Where metrics are read.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Addresses of the metrics listener.
    pub listen: Vec<SocketAddr>,
    /// What a reader must show as `Authorization: Bearer …`.
    pub token: Option<Secret>,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Only what needs somebody to act.
    Error,
    /// Also what is odd.
    Warn,
    /// Also one line a change of the server's life.
    Info,
    /// Also what clients do, with their addresses.
    Debug,
    /// All.
    Trace,
}

/// The address under which people reach the server: scheme, host and perhaps a port, without a
/// path and without a slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(pub(super) String);

impl PublicUrl {
    /// As text, such as `https://call.example.org`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host alone, without a port and without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        let authority = self
            .0
            .split_once("://")
            .map_or(self.0.as_str(), |(_, rest)| rest);
        match authority.strip_prefix('[') {
            Some(v6) => v6.split(']').next().unwrap_or(v6),
            None => authority.split(':').next().unwrap_or(authority),
        }
    }
}

/// An origin whose pages may open signaling connections: `https://app.example.org`, or `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedOrigin(pub(super) String);

impl AllowedOrigin {
    /// As a browser writes it in `Origin`, or `*` for all.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Config {
    /// What clients are told of the relay's listeners, without repetition.
    #[must_use]
    pub fn advertised_turn(&self, bound: &[Listener]) -> Vec<Listener> {
        let mut told = Vec::new();
        for listener in bound {
            let address = self.told_for(listener.address.ip());
            let advertised = address.map(|address| Listener {
                address: SocketAddr::new(address, listener.address.port()),
                ..*listener
            });
            told.extend(advertised.filter(|advertised| !told.contains(advertised)));
        }
        told
    }

    /// What clients are told for a listener on `bound`: the relay's address of that family if it
    /// listens on all, else the address itself or what stands for it outside.
    fn told_for(&self, bound: IpAddr) -> Option<IpAddr> {
        let relay = self.turn.relay_addresses.iter().find(|relay| {
            relay.bound == bound
                || bound.is_unspecified() && relay.bound.is_ipv4() == bound.is_ipv4()
        });
        match relay {
            Some(relay) => Some(relay.advertised),
            None if bound.is_unspecified() => None,
            None => Some(bound),
        }
    }
}
