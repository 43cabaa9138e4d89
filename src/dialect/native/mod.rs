//! The protocol of `docs/protocol.md`: one JSON object a message.

mod decode;
mod encode;

pub use decode::{DecodeError, decode};
pub use encode::encode;
