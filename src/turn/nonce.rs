//! Nonces that need no memory (RFC 8489 section 9.2).
//!
//! A nonce is an HMAC over the second of its making and the client's address, so that only the
//! server could have made it and only that client can use it. It begins with the cookie of
//! RFC 8489 section 9.2, and is short: it goes to strangers. So of the second it carries only the
//! last 16 bits; the rest is the present.

use std::net::{IpAddr, SocketAddr};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::time::Now;

/// What every nonce of RFC 8489 begins with; four characters for 24 feature bits follow.
const COOKIE: &[u8; 9] = b"obMatJos2";
const COOKIE_LENGTH: usize = COOKIE.len() + 4;

/// That there are several password algorithms: the first bit.
const PASSWORD_ALGORITHMS: u8 = 0x80;
/// That clients should send USERHASH: the second bit.
const USERNAME_ANONYMITY: u8 = 0x40;

/// How long a nonce may be used, in seconds.
const LIFETIME: u64 = 600;

/// How far a nonce may be ahead of this server's clock, in seconds, where servers share a key.
const SKEW: u64 = 5;

const STAMP_LENGTH: usize = 2;
/// 72 bits. Who guesses one has gained nothing yet: the request must be signed, too.
const MAC_LENGTH: usize = 9;
const LENGTH: usize = STAMP_LENGTH + MAC_LENGTH;
/// 11 bytes in base64 without padding; with the cookie 28 characters, a multiple of four.
const ENCODED_LENGTH: usize = 15;

/// The text of a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Nonce([u8; COOKIE_LENGTH + ENCODED_LENGTH]);

impl Nonce {
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Makes and checks nonces.
pub(super) struct Nonces {
    /// What nonces begin with: the cookie and the features.
    cookie: [u8; COOKIE_LENGTH],
    /// The first makes nonces, all check them.
    keys: Vec<Hmac<Sha256>>,
}

impl Nonces {
    /// With `keys`, of which there is at least one; whether clients are asked to send USERHASH in
    /// place of USERNAME.
    pub(super) fn new(keys: &[[u8; 32]], username_anonymity: bool) -> Self {
        let anonymity = if username_anonymity {
            USERNAME_ANONYMITY
        } else {
            0
        };
        let mut cookie = [0; COOKIE_LENGTH];
        cookie[..COOKIE.len()].copy_from_slice(COOKIE);
        URL_SAFE_NO_PAD
            .encode_slice(
                [PASSWORD_ALGORITHMS | anonymity, 0, 0],
                &mut cookie[COOKIE.len()..],
            )
            .expect("3 bytes are 4 characters");
        let key = |key| Hmac::new_from_slice(key).expect("HMAC takes a key of any length");
        Self {
            cookie,
            keys: keys.iter().map(|bytes| key(bytes)).collect(),
        }
    }

    /// A nonce for `client`.
    pub(super) fn make(&self, client: SocketAddr, now: Now) -> Nonce {
        let made = now.unix_seconds();
        let mac = mac(&self.keys[0], client, made).finalize().into_bytes();
        let mut bytes = [0; LENGTH];
        bytes[..STAMP_LENGTH].copy_from_slice(&stamp(made).to_be_bytes());
        bytes[STAMP_LENGTH..].copy_from_slice(&mac[..MAC_LENGTH]);
        let mut text = [0; COOKIE_LENGTH + ENCODED_LENGTH];
        text[..COOKIE_LENGTH].copy_from_slice(&self.cookie);
        URL_SAFE_NO_PAD
            .encode_slice(bytes, &mut text[COOKIE_LENGTH..])
            .expect("11 bytes are 15 characters");
        Nonce(text)
    }

    /// Whether `nonce` was made for `client` with one of the keys, not too long ago.
    pub(super) fn is_fresh(&self, nonce: &[u8], client: SocketAddr, now: Now) -> bool {
        let mut decoded = [0; LENGTH];
        let Some(encoded) = nonce.strip_prefix(&self.cookie) else {
            return false;
        };
        if encoded.len() != ENCODED_LENGTH
            || URL_SAFE_NO_PAD.decode_slice(encoded, &mut decoded).is_err()
        {
            return false;
        }
        let (low, value) = decoded.split_at(STAMP_LENGTH);
        let low = u16::from_be_bytes(low.try_into().expect("two bytes"));
        // The second nearest to the present that ends in these bits.
        let latest = now.unix_seconds() + SKEW;
        let age = u64::from(stamp(latest).wrapping_sub(low));
        let Some(made) = latest.checked_sub(age) else {
            return false;
        };
        let is_ours = |key| mac(key, client, made).verify_truncated_left(value).is_ok();
        self.keys.iter().any(is_ours) && age <= LIFETIME + SKEW
    }
}

fn mac(key: &Hmac<Sha256>, client: SocketAddr, made: u64) -> Hmac<Sha256> {
    let mut mac = key.clone();
    mac.update(&made.to_be_bytes());
    mac.update(&client.port().to_be_bytes());
    match client.ip() {
        IpAddr::V4(ip) => mac.update(&ip.octets()),
        IpAddr::V6(ip) => mac.update(&ip.octets()),
    }
    mac
}

/// The last 16 bits of a second: 18 hours.
fn stamp(second: u64) -> u16 {
    (second & u64::from(u16::MAX)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn nonces(key: u8) -> Nonces {
        Nonces::new(&[[key; 32]], false)
    }

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
        let ours = nonces(1);
        let nonce = ours.make(client(1), at(0));
        assert!(ours.is_fresh(nonce.as_bytes(), client(1), at(0)));
        assert!(ours.is_fresh(nonce.as_bytes(), client(1), at(600)));
        assert!(!ours.is_fresh(nonce.as_bytes(), client(1), at(601)));
    }

    #[test]
    fn a_nonce_is_of_no_use_to_another_client_or_server() {
        let ours = nonces(1);
        let nonce = ours.make(client(1), at(0));
        assert!(!ours.is_fresh(nonce.as_bytes(), client(2), at(0)));
        assert!(!nonces(2).is_fresh(nonce.as_bytes(), client(1), at(0)));
    }

    #[test]
    fn a_nonce_begins_with_the_cookie_of_the_rfc_and_the_features() {
        for (anonymity, cookie) in [(false, b"obMatJos2gAAA"), (true, b"obMatJos2wAAA")] {
            let nonce = Nonces::new(&[[1; 32]], anonymity).make(client(1), at(0));
            assert!(nonce.as_bytes().starts_with(cookie));
            assert_eq!(nonce.as_bytes().len(), 28);
        }
    }

    #[test]
    fn no_two_clients_and_no_two_seconds_share_a_nonce() {
        let ours = nonces(1);
        let mut seen = std::collections::BTreeSet::new();
        for port in 1..100 {
            for second in 0..100 {
                assert!(seen.insert(ours.make(client(port), at(second)).0));
            }
        }
    }

    /// How far 256 counts are from all being alike: about 255, and in one of a thousand million
    /// cases above 413, if chance has made them.
    fn chi_square(counts: &[u32; 256]) -> f64 {
        let expected = f64::from(counts.iter().sum::<u32>()) / 256.0;
        let squares = counts
            .iter()
            .map(|&count| (f64::from(count) - expected).powi(2));
        squares.sum::<f64>() / expected
    }

    #[test]
    fn who_sees_many_nonces_learns_nothing_of_the_next() {
        let ours = nonces(1);
        let mut seen = std::collections::BTreeSet::new();
        // Each byte, and in what it differs from that of the neighbour's nonce.
        let mut counts = vec![[0; 256]; 2 * MAC_LENGTH];
        let mut before = [0; LENGTH];
        for number in 0..100_000_u32 {
            let ip = std::net::Ipv4Addr::from_bits(0xc000_0200 + number / 1_000);
            let client = SocketAddr::from((ip, (number % 1_000) as u16));
            let nonce = ours.make(client, at(0));
            let mut bytes = [0; LENGTH];
            URL_SAFE_NO_PAD
                .decode_slice(&nonce.as_bytes()[COOKIE_LENGTH..], &mut bytes)
                .expect("base64");
            assert!(seen.insert(bytes), "no nonce comes twice");
            for (at, (byte, earlier)) in bytes.iter().zip(before).skip(STAMP_LENGTH).enumerate() {
                counts[2 * at][usize::from(*byte)] += 1;
                counts[2 * at + 1][usize::from(byte ^ earlier)] += 1;
            }
            before = bytes;
        }
        for counts in &counts {
            let distance = chi_square(counts);
            assert!((150.0..413.0).contains(&distance), "{distance}");
        }
    }

    #[test]
    fn a_nonce_does_not_come_back_when_its_stamp_does() {
        let ours = nonces(1);
        let nonce = ours.make(client(1), at(0));
        for lap in 1..10 {
            assert!(!ours.is_fresh(nonce.as_bytes(), client(1), at(lap * 65_536)));
        }
    }

    #[test]
    fn nonces_of_all_keys_are_taken_and_the_first_makes_them() {
        let both = Nonces::new(&[[1; 32], [2; 32]], false);
        for key in [1, 2] {
            let nonce = nonces(key).make(client(1), at(0));
            assert!(both.is_fresh(nonce.as_bytes(), client(1), at(0)));
        }
        let nonce = both.make(client(1), at(0));
        assert!(nonces(1).is_fresh(nonce.as_bytes(), client(1), at(0)));
        assert!(!nonces(2).is_fresh(nonce.as_bytes(), client(1), at(0)));
    }

    #[test]
    fn a_nonce_from_the_future_is_stale_but_for_a_little_skew() {
        let ours = nonces(1);
        let nonce = ours.make(client(1), at(100));
        assert!(ours.is_fresh(nonce.as_bytes(), client(1), at(95)));
        assert!(!ours.is_fresh(nonce.as_bytes(), client(1), at(94)));
    }

    proptest! {
        #[test]
        fn no_bytes_pass_or_panic(nonce: Vec<u8>, tail: Vec<u8>) {
            let ours = nonces(1);
            prop_assert!(!ours.is_fresh(&nonce, client(1), at(0)));
            let with_cookie = [&COOKIE[..], &tail].concat();
            prop_assert!(!ours.is_fresh(&with_cookie, client(1), at(0)));
        }
    }
}
