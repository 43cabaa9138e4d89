//! Credentials: who may use the relay, and with which key; and access tokens, who may use
//! signaling ([`jwt`]).

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

pub mod jwt;

mod access_token;
mod key;
mod long_term;
mod opaque_string;
mod secret;

pub use access_token::{TokenKeyError, TokenKeys};
pub use key::Key;
pub use long_term::{
    Claim, Credentials, RelayCredentials, Verified, account, session_of, userhash,
};
pub use opaque_string::prepare;
pub use secret::{Secret, TimeLimited, holder};
