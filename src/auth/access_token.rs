//! Access tokens of third-party authorization (RFC 7635): an authorization server that shares a
//! key with this one tells it, through the client, what the client signs with and for how long.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::key::Key;
use super::secret::Secret;
use crate::time::Now;

/// How far the clocks of the two servers may differ (RFC 7635 section 7).
const DELTA: Duration = Duration::from_secs(5);

/// Timestamps have so many parts of a second.
const FRACTIONS: u64 = 64_000;

/// Length of the tag that AES-GCM puts behind what it encrypts.
const TAG: usize = 16;

/// Length of the timestamp and the lifetime behind the key.
const TIMES: usize = 12;

/// The longest token that is looked at; the key within has 32 bytes at most.
const MOST: usize = 2 + NONCE_LEN + 2 + 32 + TIMES + TAG;

/// A key must have 16 bytes, for AES-128-GCM, or 32, for AES-256-GCM, in base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenKeyError;

/// What opens access tokens.
pub struct TokenKeys {
    server_name: String,
    /// The keys as they were given, to compare them.
    written: Vec<(String, Secret)>,
    keys: HashMap<String, LessSafeKey>,
    /// What tokens of unknown key ids are tried with.
    nobody: LessSafeKey,
}

impl PartialEq for TokenKeys {
    fn eq(&self, other: &Self) -> bool {
        (&self.server_name, &self.written) == (&other.server_name, &other.written)
    }
}

impl Eq for TokenKeys {}

impl fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenKeys({})", self.server_name)
    }
}

/// What a token says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Grant {
    /// What the client signs with.
    pub(super) key: Key,
    /// For how long from now.
    pub(super) remaining: Duration,
}

impl TokenKeys {
    /// None yet. Tokens are made for the server of this name, and are of no use to another.
    #[must_use]
    pub fn new(server_name: impl Into<String>) -> Self {
        Self {
            server_name: server_name.into(),
            written: Vec::new(),
            keys: HashMap::new(),
            nobody: aead_key(&[0; 32]).expect("32 bytes are a key"),
        }
    }

    /// Also takes tokens made with `key`, given in base64, which the client names `kid`.
    ///
    /// # Errors
    /// If the key has not the length of one, or is not base64.
    pub fn with_key(mut self, kid: &str, key: &Secret) -> Result<Self, TokenKeyError> {
        let bytes = STANDARD.decode(key.expose()).map_err(|_| TokenKeyError)?;
        self.keys.insert(kid.to_owned(), aead_key(&bytes)?);
        self.written.push((kid.to_owned(), key.clone()));
        Ok(self)
    }

    /// The name that clients give to the authorization server.
    #[must_use]
    pub fn server_name(&self) -> &str {
        &self.server_name
    }

    /// What `token` says, if it was made for this server with the key of this id, and is good now.
    /// It takes as long for an id that nobody has.
    pub(super) fn open(&self, kid: &[u8], token: &[u8], now: Now) -> Option<Grant> {
        let known = std::str::from_utf8(kid).ok();
        let known = known.and_then(|kid| self.keys.get(kid));
        let mut buffer = [0; MOST];
        let copy = buffer.get_mut(..token.len())?;
        copy.copy_from_slice(token);
        let ([n0, n1], rest) = copy.split_first_chunk_mut()?;
        if usize::from(u16::from_be_bytes([*n0, *n1])) != NONCE_LEN {
            return None;
        }
        let (nonce, sealed) = rest.split_first_chunk_mut::<NONCE_LEN>()?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let block = known
            .unwrap_or(&self.nobody)
            .open_in_place(nonce, Aad::from(self.server_name.as_bytes()), sealed)
            .ok()?;
        read(block, now).filter(|_| known.is_some())
    }
}

fn aead_key(key: &[u8]) -> Result<LessSafeKey, TokenKeyError> {
    let algorithm = match key.len() {
        16 => &AES_128_GCM,
        32 => &AES_256_GCM,
        _ => return Err(TokenKeyError),
    };
    let key = UnboundKey::new(algorithm, key).map_err(|_| TokenKeyError)?;
    Ok(LessSafeKey::new(key))
}

/// What the decrypted part of a token says (RFC 7635 section 6.2), if it is good now.
fn read(block: &[u8], now: Now) -> Option<Grant> {
    let (&length, rest) = block.split_first_chunk()?;
    let (key, times) = rest.split_at_checked(usize::from(u16::from_be_bytes(length)))?;
    let times: &[u8; TIMES] = times.try_into().ok()?;
    let (stamp, lifetime) = times.split_first_chunk()?;
    let made = unix_time(u64::from_be_bytes(*stamp));
    let lifetime = u32::from_be_bytes(lifetime.try_into().ok()?);
    let lifetime = Duration::from_secs(u64::from(lifetime)) + DELTA;
    let remaining = lifetime.checked_sub(made.abs_diff(now.unix))?;
    Some(Grant {
        key: Key::of_token(key)?,
        remaining,
    })
    .filter(|grant| !grant.remaining.is_zero())
}

/// 48 bits of seconds, and 16 of parts of one.
fn unix_time(stamp: u64) -> Duration {
    let parts = stamp & 0xffff;
    Duration::from_secs(stamp >> 16) + Duration::from_micros(parts * 1_000_000 / FRACTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = &[7; 32];
    const MAC_KEY: &[u8] = &[5; 20];

    fn keys() -> TokenKeys {
        let in_base64 = |key: &[u8]| Secret::new(STANDARD.encode(key));
        let keys = TokenKeys::new("turn.example.org").with_key("north", &in_base64(KEY));
        let keys = keys.expect("a key").with_key("south", &in_base64(&[8; 16]));
        keys.expect("a key")
    }

    fn at(unix: u64) -> Now {
        Now {
            unix: Duration::from_secs(unix),
            ..Now::default()
        }
    }

    fn block(mac_key: &[u8], made: u64, lifetime: u32) -> Vec<u8> {
        let length = u16::try_from(mac_key.len()).expect("short");
        let stamp = made << 16;
        [
            &length.to_be_bytes()[..],
            mac_key,
            &stamp.to_be_bytes(),
            &lifetime.to_be_bytes(),
        ]
        .concat()
    }

    fn sealed(key: &[u8], server_name: &str, block: &[u8]) -> Vec<u8> {
        let key = aead_key(key).expect("a key");
        let nonce = [3; NONCE_LEN];
        let mut sealed = block.to_vec();
        key.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(server_name.as_bytes()),
            &mut sealed,
        )
        .expect("short");
        [&[0, 12], &nonce[..], &sealed].concat()
    }

    fn token(made: u64, lifetime: u32) -> Vec<u8> {
        sealed(KEY, "turn.example.org", &block(MAC_KEY, made, lifetime))
    }

    fn remaining(token: &[u8], now: u64) -> Option<u64> {
        let grant = keys().open(b"north", token, at(now))?;
        assert_eq!(grant.key.as_bytes(), MAC_KEY);
        Some(grant.remaining.as_secs())
    }

    #[test]
    fn a_token_is_good_for_its_lifetime_and_five_seconds() {
        let token = token(1_000, 600);
        assert_eq!(remaining(&token, 1_000), Some(605));
        assert_eq!(remaining(&token, 1_604), Some(1));
        assert_eq!(remaining(&token, 1_605), None);
        // The other clock may be ahead, by as much (RFC 7635 section 7).
        assert_eq!(remaining(&token, 900), Some(505));
        assert_eq!(remaining(&token, 395), None);
    }

    #[test]
    fn a_key_has_16_or_32_bytes_in_base64() {
        for wrong in ["", "short", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "?"] {
            let keys = TokenKeys::new("turn.example.org").with_key("north", &Secret::new(wrong));
            assert_eq!(keys.err(), Some(TokenKeyError), "{wrong:?}");
        }
    }

    #[test]
    fn a_key_of_16_bytes_opens_tokens_too() {
        let token = sealed(&[8; 16], "turn.example.org", &block(MAC_KEY, 1_000, 600));
        assert!(keys().open(b"south", &token, at(1_000)).is_some());
        assert!(keys().open(b"north", &token, at(1_000)).is_none());
    }

    #[test]
    fn a_token_that_coturns_client_has_made_is_read() {
        let token = concat!(
            "000ccad4ff755bf3c6876db742aff693aca8e439754f9c888b44d9f28686d9a1e89c7c9864f5effd",
            "407a120b5d8fdb1bc6f3951ce4ee4a584e202237b94e444e"
        );
        let token: Vec<u8> = (0..token.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&token[at..at + 2], 16).expect("hex"))
            .collect();
        let key = Secret::new("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=");
        let keys = TokenKeys::new("turn.example.org").with_key("north", &key);
        let keys = keys.expect("a key");
        let grant = keys.open(b"north", &token, at(1_795_247_850));
        let grant = grant.expect("good for 470 seconds from ten seconds ago");
        assert_eq!(grant.remaining, Duration::from_secs(465));
        assert_eq!(
            grant.key.as_bytes(),
            b"\x82\xfe\x70\x5b\x76\x51\x9e\x4b\x9d\x48\x63\x24\x4d\x79\xe4\x8d\x82\x9f\x3a\x90"
        );
    }

    #[test]
    fn tokens_of_others_and_for_others_open_nothing() {
        let block = block(MAC_KEY, 1_000, 600);
        let right = sealed(KEY, "turn.example.org", &block);
        assert!(keys().open(b"north", &right, at(1_000)).is_some());
        for kid in [&b"south"[..], b"", b"\xff"] {
            assert!(keys().open(kid, &right, at(1_000)).is_none());
        }
        let elsewhere = sealed(KEY, "other.example.org", &block);
        assert!(keys().open(b"north", &elsewhere, at(1_000)).is_none());
        // Nor does the key open anything that stands in for an unknown one.
        let nobody = sealed(&[0; 32], "turn.example.org", &block);
        assert!(keys().open(b"nobody", &nobody, at(1_000)).is_none());
    }

    #[test]
    fn a_token_that_is_malformed_within_is_refused() {
        let good = block(MAC_KEY, 1_000, 600);
        let longer = [&good[..], &[0]].concat();
        let claims_more = [&[0xff, 0xff], &good[2..]].concat();
        for block in [
            &good[..good.len() - 1],
            &longer,
            &claims_more,
            &[],
            &block(&[1; 33], 1_000, 600),
            &block(&[], 1_000, 600),
        ] {
            let token = sealed(KEY, "turn.example.org", block);
            assert!(keys().open(b"north", &token, at(1_000)).is_none());
        }
    }

    #[test]
    fn no_token_with_a_byte_changed_added_or_missing_is_taken() {
        let token = token(1_000, 600);
        for at_byte in 0..token.len() {
            let mut changed = token.clone();
            changed[at_byte] ^= 1;
            assert_eq!(remaining(&changed, 1_000), None, "byte {at_byte}");
            assert_eq!(remaining(&token[..at_byte], 1_000), None);
        }
        assert_eq!(remaining(&[&token[..], &[0]].concat(), 1_000), None);
        assert_eq!(remaining(&[0xff; 3_000], 1_000), None);
    }
}
