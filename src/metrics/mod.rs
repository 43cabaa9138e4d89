//! What the process counts, and how a scraper reads it.
//!
//! Counters are plain atomics that their owners bump; they are summed only when somebody asks.
//! No label ever carries an address, a name or an id.

mod exposition;
mod key_set;
mod labelled;
mod ports;
mod relay;
mod signal;
mod tally;

pub use exposition::Registry;
pub use key_set::KeySetCounters;
pub use ports::Ports;
pub use relay::{
    Counter, FAILURES, FAMILIES, LOSSES, ORIGINS, PROGRESS, REFUSALS, RelayCounters, RelaySnapshot,
    TRANSPORTS,
};
pub use signal::SignalCounters;
pub use tally::Tally;
