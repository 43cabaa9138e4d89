//! What the process counts, and how a scraper reads it.
//!
//! Counters are plain atomics that their owners bump; they are summed only when somebody asks.
//! No label ever carries an address, a name or an id.

mod exposition;
mod relay;
mod signal;

pub use exposition::Registry;
pub use relay::{Counter, RelayCounters, RelaySnapshot};
pub use signal::SignalCounters;
