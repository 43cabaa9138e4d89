//! The TURN server as a state machine.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

mod cidr;

pub use cidr::{Cidr, CidrError};
