//! What a relay worker counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// Why packets and requests are refused: the values of the label `reason`.
pub const REFUSALS: [&str; 9] = [
    "malformed",
    "allocation",
    "permission",
    "channel",
    "peer",
    "bandwidth",
    "quota",
    "capacity",
    "unsupported",
];

/// Why requests are not authenticated: the values of the label `reason`.
pub const FAILURES: [&str; 4] = ["unsigned", "wrong", "stale", "malformed"];

/// What carries a client's messages: the values of the label `transport`.
pub const TRANSPORTS: [&str; 4] = ["udp", "tcp", "tls", "dtls"];

/// Address families: the values of the label `family`.
pub const FAMILIES: [&str; 2] = ["ipv4", "ipv6"];

/// Who has opened a connection between a TCP allocation and a peer: the values of the label
/// `origin`.
pub const ORIGINS: [&str; 2] = ["client", "peer"];

/// How far a connection to a peer is: the values of the label `progress`.
pub const PROGRESS: [&str; 3] = ["connecting", "waiting", "bound"];

/// Why there is no connection to a peer: the values of the label `reason`.
pub const LOSSES: [&str; 4] = ["unreachable", "unbound", "permission", "capacity"];

/// A worker's counters. One thread writes them, so an increment costs a load and a store.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct RelayCounters {
    /// Datagrams from clients that were sent on to a peer.
    pub packets_to_peers: Counter,
    /// Application bytes of these.
    pub bytes_to_peers: Counter,
    /// Datagrams from peers that were sent on to a client.
    pub packets_to_clients: Counter,
    /// Application bytes of these.
    pub bytes_to_clients: Counter,
    /// Datagrams that were not relayed, by [`REFUSALS`].
    pub packets_refused: [Counter; REFUSALS.len()],
    /// Authenticated requests that were refused, by [`REFUSALS`].
    pub requests_refused: [Counter; REFUSALS.len()],
    /// Authenticated requests that were refused for a peer outside the rooms of whoever asks.
    pub peers_outside_rooms: Counter,
    /// Datagrams that the operating system did not take, or a client that does not read.
    pub packets_unsent: Counter,
    /// Datagrams of clients that sent more than their share while there was more than could be
    /// relayed.
    pub packets_shed: Counter,
    /// Datagrams that found no room in a socket's receive buffer.
    pub packets_dropped: Counter,
    /// Datagrams that arrived at another worker than their client's, and were handed over.
    pub packets_posted: Counter,
    /// Allocations made.
    pub allocations_made: Counter,
    /// Allocations ended, for whatever reason.
    pub allocations_ended: Counter,
    /// Relayed addresses that live now, by [`TRANSPORTS`] of their client and [`FAMILIES`].
    pub relayed: [[Counter; FAMILIES.len()]; TRANSPORTS.len()],
    /// TCP allocations that live now.
    pub tcp_allocations: Counter,
    /// Connections of TCP allocations to peers that live now, by [`PROGRESS`].
    pub peers: [Counter; PROGRESS.len()],
    /// Such connections that were opened, by [`ORIGINS`].
    pub peers_opened: [Counter; ORIGINS.len()],
    /// Such connections that came to nothing, by [`LOSSES`].
    pub peers_lost: [Counter; LOSSES.len()],
    /// Requests that were not authenticated, by [`FAILURES`].
    pub failures: [Counter; FAILURES.len()],
    /// Answers that strangers did not get, since their address had enough.
    pub unanswered: Counter,
    /// Records of the audit log for which there was no room.
    pub records_lost: Counter,
    /// Connections of clients taken, DTLS associations included.
    pub connections_made: Counter,
    /// Connections of clients ended, for whatever reason.
    pub connections_ended: Counter,
    /// Connections of clients for which there was no place.
    pub connections_refused: Counter,
}

/// A number with one writer and any number of readers.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. Only the owner of the counter calls this.
    pub fn add(&self, n: u64) {
        // One writer: no read-modify-write is needed.
        self.0.store(
            self.0.load(Ordering::Relaxed).wrapping_add(n),
            Ordering::Relaxed,
        );
    }

    /// Replaces the number. Only the owner of the counter calls this.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The number now.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The sum of several workers' counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelaySnapshot {
    /// See [`RelayCounters::packets_to_peers`].
    pub packets_to_peers: u64,
    /// See [`RelayCounters::bytes_to_peers`].
    pub bytes_to_peers: u64,
    /// See [`RelayCounters::packets_to_clients`].
    pub packets_to_clients: u64,
    /// See [`RelayCounters::bytes_to_clients`].
    pub bytes_to_clients: u64,
    /// The sum of [`RelayCounters::packets_refused`].
    pub packets_refused: u64,
    /// See [`RelayCounters::peers_outside_rooms`].
    pub peers_outside_rooms: u64,
    /// See [`RelayCounters::packets_unsent`].
    pub packets_unsent: u64,
    /// See [`RelayCounters::packets_shed`].
    pub packets_shed: u64,
    /// See [`RelayCounters::packets_dropped`].
    pub packets_dropped: u64,
    /// See [`RelayCounters::packets_posted`].
    pub packets_posted: u64,
    /// See [`RelayCounters::allocations_made`].
    pub allocations_made: u64,
    /// See [`RelayCounters::allocations_ended`].
    pub allocations_ended: u64,
    /// See [`RelayCounters::tcp_allocations`].
    pub tcp_allocations: u64,
    /// The sum of [`RelayCounters::peers`].
    pub peers: u64,
    /// The sum of [`RelayCounters::failures`].
    pub unauthenticated: u64,
    /// See [`RelayCounters::unanswered`].
    pub unanswered: u64,
    /// See [`RelayCounters::records_lost`].
    pub records_lost: u64,
    /// See [`RelayCounters::connections_made`].
    pub connections_made: u64,
    /// See [`RelayCounters::connections_ended`].
    pub connections_ended: u64,
    /// See [`RelayCounters::connections_refused`].
    pub connections_refused: u64,
}

impl RelaySnapshot {
    /// Adds what one worker has counted.
    #[must_use]
    pub fn plus(mut self, worker: &RelayCounters) -> Self {
        self.packets_to_peers += worker.packets_to_peers.read();
        self.bytes_to_peers += worker.bytes_to_peers.read();
        self.packets_to_clients += worker.packets_to_clients.read();
        self.bytes_to_clients += worker.bytes_to_clients.read();
        self.packets_refused += sum(&worker.packets_refused);
        self.peers_outside_rooms += worker.peers_outside_rooms.read();
        self.packets_unsent += worker.packets_unsent.read();
        self.packets_shed += worker.packets_shed.read();
        self.packets_dropped += worker.packets_dropped.read();
        self.packets_posted += worker.packets_posted.read();
        self.allocations_made += worker.allocations_made.read();
        self.allocations_ended += worker.allocations_ended.read();
        self.tcp_allocations += worker.tcp_allocations.read();
        self.peers += sum(&worker.peers);
        self.unauthenticated += sum(&worker.failures);
        self.unanswered += worker.unanswered.read();
        self.records_lost += worker.records_lost.read();
        self.connections_made += worker.connections_made.read();
        self.connections_ended += worker.connections_ended.read();
        self.connections_refused += worker.connections_refused.read();
        self
    }

    /// Allocations that live now.
    #[must_use]
    pub fn allocations(&self) -> u64 {
        self.allocations_made.saturating_sub(self.allocations_ended)
    }

    /// Connections of clients that live now.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.connections_made.saturating_sub(self.connections_ended)
    }
}

fn sum(counters: &[Counter]) -> u64 {
    counters.iter().map(Counter::read).sum()
}
