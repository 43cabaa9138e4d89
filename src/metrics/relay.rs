//! What a relay worker counts.

use std::sync::atomic::{AtomicU64, Ordering};

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
    /// Datagrams that were not relayed: no permission, no channel, malformed.
    pub packets_refused: Counter,
    /// Those of them that were more than their allocation may relay.
    pub packets_over_bandwidth: Counter,
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
    /// Requests without credentials, or with wrong ones.
    pub unauthenticated: Counter,
    /// Connections of clients taken.
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
    /// See [`RelayCounters::packets_refused`].
    pub packets_refused: u64,
    /// See [`RelayCounters::packets_over_bandwidth`].
    pub packets_over_bandwidth: u64,
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
    /// See [`RelayCounters::unauthenticated`].
    pub unauthenticated: u64,
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
        self.packets_refused += worker.packets_refused.read();
        self.packets_over_bandwidth += worker.packets_over_bandwidth.read();
        self.packets_unsent += worker.packets_unsent.read();
        self.packets_shed += worker.packets_shed.read();
        self.packets_dropped += worker.packets_dropped.read();
        self.packets_posted += worker.packets_posted.read();
        self.allocations_made += worker.allocations_made.read();
        self.allocations_ended += worker.allocations_ended.read();
        self.unauthenticated += worker.unauthenticated.read();
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
