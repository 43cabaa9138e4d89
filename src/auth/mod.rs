//! Credentials: who may use the relay, and with which key; and access tokens, who may use
//! signaling ([`jwt`]).

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

pub mod jwt;

mod access_token;
mod credentials;
mod key;
mod listed;
mod long_term;
mod opaque_string;
mod secret;
mod username;

pub use access_token::{TokenKeyError, TokenKeys};
pub use credentials::{Claim, Credentials, Verified};
pub use key::Key;
pub use long_term::{RelayCredentials, userhash};
pub use opaque_string::prepare;
pub use secret::{Secret, TimeLimited, holder};
pub use username::{account, session_of};
