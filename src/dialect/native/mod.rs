//! The protocol of `docs/protocol.md`: one JSON object a message.

mod decode;
mod encode;
mod fields;
mod rooms;

pub use decode::{DecodeError, decode};
pub use encode::encode;

/// The JSON schema (2020-12) of every message: of a client's in `$defs/client_…`, of the server's
/// in `$defs/server_…`. The tests hold it against what is written and read here.
pub const SCHEMA: &str = include_str!("schema.json");
