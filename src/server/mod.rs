//! The composition: configuration, start, drain, stop.
//!
//! [`config`] says what is wanted, [`Server::start`] brings it up, [`Server::stop`] takes it down.
//! Everything is owned by the [`Server`]; there is no global state.

pub mod config;
pub mod dtls;
pub mod interfaces;
pub mod state;
pub mod tls;

mod addresses;
mod audit;
mod bind;
mod claims;
mod error;
mod holder;
mod http;
mod journal;
mod key_fetch;
mod key_keeper;
mod key_schedule;
mod own_certificate;
mod parting;
mod redemption_log;
mod relay_settings;
mod relay_users;
mod revocation_log;
mod revoker;
mod running;
mod serving;
mod signaling;
mod signaling_settings;
mod sockets;

pub use addresses::Addresses;
pub use claims::{Bearer, access_claims};
pub use error::StartError;
pub use relay_users::relay_secret;
pub use running::Server;

/// What the time is.
#[must_use]
pub fn now() -> crate::time::Now {
    crate::net::Clock::start().now()
}
