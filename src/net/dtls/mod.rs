//! The server's side of DTLS 1.2 (RFC 6347), without its sockets.
//!
//! Nothing is remembered of a client before it has shown that it is where its datagrams say
//! (section 4.2.1): a [`ClientHello`] without a good cookie is answered from nothing but itself.
//! One with a good cookie begins a [`DtlsSession`].

mod accepted;
mod cookie;
mod hello;
mod identity;
mod session;

pub use cookie::Cookies;
pub use hello::{ClientHello, Refusal, VERIFY_REQUEST};
pub use identity::{DtlsConfig, DtlsIdentity, UnfitKey};
pub use session::{DtlsFailed, DtlsOutput, DtlsSession};
