//! Names of connections to peers (RFC 6062 section 6.2.1).

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What CONNECTION-ID carries: four bytes that nobody guesses, of no other connection of the
/// process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub [u8; 4]);

/// Makes names.
pub(super) struct ConnectionIds {
    names: Hmac<Sha256>,
    made: u64,
}

impl ConnectionIds {
    /// `key` is secret; `seed` differs from those of other servers with the same key.
    pub(super) fn new(key: &[u8; 32], seed: u64) -> Self {
        let mut names =
            Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
        names.update(b"connection");
        names.update(&seed.to_be_bytes());
        Self { names, made: 0 }
    }

    /// A name; another server may have made the same.
    pub(super) fn make(&mut self) -> ConnectionId {
        self.made += 1;
        let mut mac = self.names.clone();
        mac.update(&self.made.to_be_bytes());
        let bytes = mac.finalize().into_bytes();
        ConnectionId(*bytes.first_chunk().expect("SHA-256 gives 32 bytes"))
    }
}
