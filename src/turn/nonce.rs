//! Nonces that need no memory (RFC 8489 section 9.2).
//!
//! A nonce is the second of its making and an HMAC over that and the client's address, so that
//! only the server could have made it and only that client can use it. It begins with the cookie
//! of RFC 8489 section 9.2; the security features that it announces are none so far.

use std::net::{IpAddr, SocketAddr};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::time::Now;

/// "obMatJos2" and 24 feature bits, all zero, in base64.
const COOKIE: &[u8; 13] = b"obMatJos2AAAA";

/// How long a nonce may be used, in seconds.
const LIFETIME: u32 = 600;

/// How far a nonce may be ahead of this server's clock, in seconds, where servers share a key.
const SKEW: u32 = 5;

const STAMP_LENGTH: usize = 4;
const MAC_LENGTH: usize = 14;
const ENCODED_LENGTH: usize = (STAMP_LENGTH + MAC_LENGTH) / 3 * 4;

/// The text of a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Nonce([u8; COOKIE.len() + ENCODED_LENGTH]);

impl Nonce {
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Makes and checks nonces.
pub(super) struct Nonces {
    key: Hmac<Sha256>,
}

impl Nonces {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        let key = Hmac::new_from_slice(key).expect("HMAC takes a key of any length");
        Self { key }
    }

    /// A nonce for `client`.
    pub(super) fn make(&self, client: SocketAddr, now: Now) -> Nonce {
        self.make_at(client, stamp(now))
    }

    /// Whether `nonce` was made here for `client`, not too long ago.
    pub(super) fn is_fresh(&self, nonce: &[u8], client: SocketAddr, now: Now) -> bool {
        let mut decoded = [0; STAMP_LENGTH + MAC_LENGTH];
        let Some(encoded) = nonce.strip_prefix(COOKIE) else {
            return false;
        };
        if encoded.len() != ENCODED_LENGTH
            || URL_SAFE_NO_PAD.decode_slice(encoded, &mut decoded).is_err()
        {
            return false;
        }
        let (made, mac) = decoded.split_at(STAMP_LENGTH);
        let made = u32::from_be_bytes(made.try_into().expect("four bytes"));
        let is_ours = self.mac(client, made).verify_truncated_left(mac).is_ok();
        // Wrapping, as the stamp does in 2106.
        let age = stamp(now).wrapping_add(SKEW).wrapping_sub(made);
        is_ours && age <= LIFETIME + SKEW
    }

    fn make_at(&self, client: SocketAddr, made: u32) -> Nonce {
        let mac = self.mac(client, made).finalize().into_bytes();
        let mut bytes = [0; STAMP_LENGTH + MAC_LENGTH];
        bytes[..STAMP_LENGTH].copy_from_slice(&made.to_be_bytes());
        bytes[STAMP_LENGTH..].copy_from_slice(&mac[..MAC_LENGTH]);
        let mut text = [0; COOKIE.len() + ENCODED_LENGTH];
        text[..COOKIE.len()].copy_from_slice(COOKIE);
        URL_SAFE_NO_PAD
            .encode_slice(bytes, &mut text[COOKIE.len()..])
            .expect("18 bytes are 24 characters");
        Nonce(text)
    }

    fn mac(&self, client: SocketAddr, made: u32) -> Hmac<Sha256> {
        let mut mac = self.key.clone();
        mac.update(&made.to_be_bytes());
        mac.update(&client.port().to_be_bytes());
        match client.ip() {
            IpAddr::V4(ip) => mac.update(&ip.octets()),
            IpAddr::V6(ip) => mac.update(&ip.octets()),
        }
        mac
    }
}

fn stamp(now: Now) -> u32 {
    (now.unix_seconds() & u64::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn client(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    fn at(seconds: u64) -> Now {
        Now {
            unix: Duration::from_secs(1_800_000_000 + seconds),
            ..Now::default()
        }
    }

    #[test]
    fn a_nonce_is_good_for_ten_minutes() {
        let nonces = Nonces::new(&[1; 32]);
        let nonce = nonces.make(client(1), at(0));
        assert!(nonces.is_fresh(nonce.as_bytes(), client(1), at(0)));
        assert!(nonces.is_fresh(nonce.as_bytes(), client(1), at(600)));
        assert!(!nonces.is_fresh(nonce.as_bytes(), client(1), at(601)));
    }

    #[test]
    fn a_nonce_is_of_no_use_to_another_client_or_server() {
        let nonces = Nonces::new(&[1; 32]);
        let nonce = nonces.make(client(1), at(0));
        assert!(!nonces.is_fresh(nonce.as_bytes(), client(2), at(0)));
        assert!(!Nonces::new(&[2; 32]).is_fresh(nonce.as_bytes(), client(1), at(0)));
    }

    #[test]
    fn a_nonce_begins_with_the_cookie_of_the_rfc() {
        let nonce = Nonces::new(&[1; 32]).make(client(1), at(0));
        assert!(nonce.as_bytes().starts_with(b"obMatJos2AAAA"));
        assert!(nonce.as_bytes().len() < 128);
    }

    #[test]
    fn a_nonce_from_the_future_is_stale_but_for_a_little_skew() {
        let nonces = Nonces::new(&[1; 32]);
        let nonce = nonces.make(client(1), at(100));
        assert!(nonces.is_fresh(nonce.as_bytes(), client(1), at(95)));
        assert!(!nonces.is_fresh(nonce.as_bytes(), client(1), at(94)));
    }

    proptest! {
        #[test]
        fn no_bytes_pass_or_panic(nonce: Vec<u8>, tail: Vec<u8>) {
            let nonces = Nonces::new(&[1; 32]);
            prop_assert!(!nonces.is_fresh(&nonce, client(1), at(0)));
            let with_cookie = [&COOKIE[..], &tail].concat();
            prop_assert!(!nonces.is_fresh(&with_cookie, client(1), at(0)));
        }
    }
}
