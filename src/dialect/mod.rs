//! How clients spell what the hub understands.
//!
//! Today there is one spelling, [`native`], that of `docs/protocol.md`. Another is another file
//! beside it, with the same two functions.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

pub mod native;
