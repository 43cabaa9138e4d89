//! STUN and TURN on the wire (RFC 8489, RFC 8656): borrowed views for reading, one writer.
//!
//! Reading never allocates and never copies; [`Message::parse`] checks the whole structure once,
//! so that nothing after it can fail for the form. What a message *means* is decided by the
//! `turn` layer.
//!
//! A Binding request with a SOFTWARE attribute, byte by byte:
//!
//! ```
//! use peerage::stun::{Attribute, Class, Message, Method};
//!
//! let datagram = [
//!     0x00, 0x01, // two zero bits, then method and class: a Binding request
//!     0x00, 0x08, // 8 bytes follow the header
//!     0x21, 0x12, 0xa4, 0x42, // the magic cookie
//!     1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, // the transaction id
//!     0x80, 0x22, // SOFTWARE, which a receiver may ignore
//!     0x00, 0x03, // 3 bytes long
//!     b'h', b'i', b'!', 0, // the value, and padding to a multiple of 4
//! ];
//! let message = Message::parse(&datagram).expect("well formed");
//! assert_eq!((message.class(), message.method()), (Class::Request, Method::BINDING));
//! assert_eq!(message.find(Attribute::SOFTWARE), Some(&b"hi!"[..]));
//! ```

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

mod address;
mod attribute;
mod channel_data;
mod classic;
mod demux;
mod framing;
mod header;
mod integrity;
mod message;
mod password_algorithm;
mod writer;

pub use address::{AddressError, Family, decode_address, decode_xor_address};
pub use attribute::{Attribute, ErrorCode};
pub use channel_data::{ChannelData, ChannelNumber};
pub use classic::refuse_classic;
pub use demux::{Protocol, classify};
pub use framing::{Frame, FramingError};
pub use header::{Class, HEADER_LENGTH, MAGIC_COOKIE, Method, TransactionId};
pub use integrity::Integrity;
pub use message::{Attributes, Message, ParseError};
pub use password_algorithm::{PasswordAlgorithm, decode_password_algorithm};
pub use writer::{Full, Writer, data_indication_header, padding};
