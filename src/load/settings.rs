//! What load to make.

use std::net::SocketAddr;
use std::time::Duration;

use super::error::LoadError;
use super::process::Process;
use super::stamp::Stamp;
use crate::auth::Secret;
use crate::stun::Family;

/// Permissions of the relay end after five minutes, and are not renewed here.
const LONGEST: Duration = Duration::from_secs(240);

/// Longer payloads would not be UDP's any more, with what goes before them.
const LONGEST_PAYLOAD: usize = 60_000;

/// Which way packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// From each client to an echoing peer and back: two crossings of the server.
    Echo,
    /// From each client to a peer.
    Oneway,
    /// Between pairs of clients, each the other's peer by its relayed address.
    Relay,
    /// None: allocations are made and kept.
    Idle,
}

/// How packets follow each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// This many under way at a time, in turn by all clients.
    Saturate {
        /// How many.
        window: usize,
    },
    /// This many a second, by all clients together.
    Rate(f64),
    /// One client sends this many at once, and the next ones when all have arrived.
    Bursts(usize),
}

/// How a client marks its packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carriage {
    /// ChannelData, on a bound channel.
    Channels,
    /// Send and Data indications.
    Indications,
}

/// How clients show who they are.
#[derive(Clone, Debug)]
pub enum Login {
    /// With time-limited credentials of this secret, each client a name of its own.
    Secret(Secret),
    /// All as one user.
    User {
        /// The name.
        username: String,
        /// The password.
        password: Secret,
    },
}

/// Of which family relayed addresses are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Families {
    /// All IPv4.
    V4,
    /// All IPv6.
    V6,
    /// Every other one IPv6: one address of each has room for no more than 65,535.
    Both,
}

impl Families {
    /// That of the client with this number.
    pub(super) fn of(self, client: usize) -> Family {
        match self {
            Self::V4 => Family::V4,
            Self::Both if client.is_multiple_of(2) => Family::V4,
            Self::V6 | Self::Both => Family::V6,
        }
    }
}

/// What the server speaks.
#[derive(Clone, Debug)]
pub enum Protocol {
    /// TURN.
    Turn(Login),
    /// ChannelData without any request: the bare forwarder that benchmarks compare with.
    Forwarder,
}

/// A load.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the server is.
    pub server: SocketAddr,
    /// What it speaks.
    pub protocol: Protocol,
    /// Which way packets go.
    pub mode: Mode,
    /// How clients mark them.
    pub carriage: Carriage,
    /// Bytes of each packet, without what TURN adds.
    pub payload: usize,
    /// How many clients.
    pub allocations: usize,
    /// Of which family their relayed addresses are.
    pub families: Families,
    /// How many packets a client sends at once, as video does.
    pub train: usize,
    /// How packets follow each other.
    pub pace: Pace,
    /// For how long is measured, after the allocations have been made.
    pub duration: Duration,
    /// Where the peer of the first thread is; those of others follow on the next ports. `None`
    /// for a free port of the address from which this machine reaches the server.
    pub peer: Option<SocketAddr>,
    /// How many threads.
    pub threads: usize,
    /// Whether the clients of a thread share a socket and have an address of 127.0.0.0/8 each,
    /// instead of a socket each.
    pub shared_socket: bool,
    /// The server's process, if it runs here.
    pub process: Option<Process>,
}

impl Settings {
    /// Clients of one thread belong together only if they are two in relay mode.
    pub(super) fn clients_of_thread(&self, thread: usize) -> usize {
        let unit = if self.mode == Mode::Relay { 2 } else { 1 };
        let units = self.allocations / unit;
        let more = usize::from(thread < units % self.threads);
        (units / self.threads + more) * unit
    }

    /// Whether all this is possible.
    ///
    /// # Errors
    /// [`LoadError::Settings`], with what is allowed.
    pub(super) fn check(&self) -> Result<(), LoadError> {
        let is_forwarder = matches!(self.protocol, Protocol::Forwarder);
        let faults = [
            (
                !(Stamp::LENGTH..=LONGEST_PAYLOAD).contains(&self.payload),
                format!("payload: {} to {LONGEST_PAYLOAD} bytes", Stamp::LENGTH),
            ),
            (self.allocations == 0, "allocations: at least 1".to_owned()),
            (
                self.mode == Mode::Relay && !self.allocations.is_multiple_of(2),
                "allocations: an even number, as clients are each other's peers".to_owned(),
            ),
            (
                !(1..=64).contains(&self.train),
                "train: 1 to 64 packets".to_owned(),
            ),
            (
                self.threads == 0 || self.threads > self.allocations,
                "threads: at least 1, and no more than allocations".to_owned(),
            ),
            (
                self.duration > LONGEST,
                format!("seconds: at most {}", LONGEST.as_secs()),
            ),
            (
                self.shared_socket && !(self.server.is_ipv4() && self.server.ip().is_loopback()),
                "a shared socket needs a server on 127.0.0.0/8".to_owned(),
            ),
            (
                self.families != Families::V4 && self.mode != Mode::Idle,
                "relayed addresses of IPv6 are for idle allocations".to_owned(),
            ),
            (
                is_forwarder && matches!(self.mode, Mode::Relay | Mode::Idle),
                "the forwarder only knows echo and oneway".to_owned(),
            ),
            (
                self.carriage == Carriage::Indications && (is_forwarder || self.server.is_ipv6()),
                "indications are for TURN servers with IPv4".to_owned(),
            ),
        ];
        let fault = faults.into_iter().find(|(is_fault, _)| *is_fault);
        fault.map_or(Ok(()), |(_, text)| Err(LoadError::Settings(text)))
    }
}
