//! The protocol of `docs/protocol.md`: one JSON object a message.

mod decode;
mod encode;
mod ending;
mod fields;
mod rooms;

pub use decode::{DecodeError, decode};
pub use encode::encode;
pub use ending::{encode_closed, encode_reason};

/// The JSON schema (2020-12) of every message: of a client's in `$defs/client_…`, of the server's
/// in `$defs/server_…`. The tests hold it against what is written and read here.
pub const SCHEMA: &str = include_str!("schema.json");
