//! What the signaling side counts.

use std::sync::atomic::{AtomicU64, Ordering};

use super::tally::Tally;

/// Counters of the hub and its transports.
#[derive(Debug, Default)]
pub struct SignalCounters {
    /// Connections open now.
    pub connections: AtomicU64,
    /// Sessions that live now, suspended ones included.
    pub sessions: AtomicU64,
    /// Rooms that have a member now.
    pub rooms: AtomicU64,
    /// Rooms that are kept without a member now.
    pub empty_rooms: AtomicU64,
    /// How many knock at a room now.
    pub knocks: AtomicU64,
    /// Messages taken in from clients.
    pub messages_in: AtomicU64,
    /// Messages given out to clients.
    pub messages_out: AtomicU64,
    /// Connections that were not let in, by the reason.
    pub refused: Tally,
    /// How long an input has last waited for the hub, in microseconds.
    pub hub_delay: AtomicU64,
    /// Messages answered with an error, by its code.
    pub rejected: Tally,
    /// Connections that the server has ended, by the reason that it gave.
    pub closed: Tally,
    /// Access tokens that were refused.
    pub tokens_refused: AtomicU64,
    /// Joins that no access token allowed.
    pub joins_refused: AtomicU64,
    /// Connections refused to addresses that have guessed too often.
    pub barred: AtomicU64,
    /// Sessions suspended because their client did not read.
    pub slow_consumers: AtomicU64,
}

impl SignalCounters {
    /// Adds one to a counter.
    pub fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Sets a gauge.
    pub fn set(gauge: &AtomicU64, value: usize) {
        gauge.store(value as u64, Ordering::Relaxed);
    }
}
