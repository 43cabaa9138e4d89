//! The composition: configuration, start, drain, stop.
//!
//! [`config`] says what is wanted, [`Server::start`] brings it up, [`Server::stop`] takes it down.
//! Everything is owned by the [`Server`]; there is no global state.

pub mod config;
pub mod dtls;
pub mod interfaces;
pub mod state;
pub mod tls;

mod audit;
mod bind;
mod error;
mod holder;
mod http;
mod relay_users;
mod running;
mod signaling;

pub use error::StartError;
pub use running::{Addresses, Server};
