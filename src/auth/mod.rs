//! Credentials: who may use the relay, and with which key.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

mod long_term;
mod secret;

pub use long_term::{Credentials, Key, RelayCredentials, account};
pub use secret::{Secret, TimeLimited};
