//! Randomness from a seed, and the tokens made from it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::SessionId;
use crate::auth::Secret;

/// Numbers that nobody can guess who does not know the seed: HMAC-SHA256 over a counter.
///
/// Tokens come from the same key and are not stored: the token of a session's n-th connection
/// is the HMAC of the session's id and n. So an idle session costs no bytes for it, and the
/// comparison is that of a MAC, which takes the same time wherever the first difference is.
pub(super) struct Random {
    keyed: Hmac<Sha256>,
    counter: u64,
}

const TOKEN_BYTES: usize = 16;

impl Random {
    pub(super) fn new(seed: [u8; 32]) -> Self {
        Self {
            keyed: Hmac::new_from_slice(&seed).expect("HMAC takes a key of any length"),
            counter: 0,
        }
    }

    /// The next sixteen bytes.
    pub(super) fn next(&mut self) -> [u8; 16] {
        self.counter += 1;
        let mut mac = self.keyed.clone();
        mac.update(b"number");
        mac.update(&self.counter.to_be_bytes());
        first_half(mac)
    }

    /// A number from 0 up to and including `most`.
    pub(super) fn up_to(&mut self, most: u64) -> u64 {
        let mut number = [0; 8];
        number.copy_from_slice(&self.next()[..8]);
        u64::from_be_bytes(number) % most.saturating_add(1).max(1)
    }

    /// The proof of being `session` after it has been welcomed `welcomes` times.
    pub(super) fn token(&self, session: SessionId, welcomes: u64) -> Secret {
        let token = first_half(self.token_mac(session, welcomes));
        Secret::new(URL_SAFE_NO_PAD.encode(token))
    }

    /// Whether `presented` is that proof.
    pub(super) fn is_token(&self, presented: &Secret, session: SessionId, welcomes: u64) -> bool {
        let Ok(presented) = URL_SAFE_NO_PAD.decode(presented.expose()) else {
            return false;
        };
        // The length first: a shorter one would be compared as a prefix.
        presented.len() == TOKEN_BYTES
            && self
                .token_mac(session, welcomes)
                .verify_truncated_left(&presented)
                .is_ok()
    }

    fn token_mac(&self, session: SessionId, welcomes: u64) -> Hmac<Sha256> {
        let mut mac = self.keyed.clone();
        mac.update(b"token");
        mac.update(session.as_bytes());
        mac.update(&welcomes.to_be_bytes());
        mac
    }
}

fn first_half(mac: Hmac<Sha256>) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&mac.finalize().into_bytes()[..16]);
    half
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_differ_and_come_again_from_the_same_seed() {
        let mut random = Random::new([1; 32]);
        let mut again = Random::new([1; 32]);
        let mut other = Random::new([2; 32]);
        let first = random.next();
        assert_eq!(first, again.next());
        assert_ne!(first, random.next());
        assert_ne!(first, other.next());
    }

    #[test]
    fn a_number_stays_within_its_bound() {
        let mut random = Random::new([1; 32]);
        assert!((0..1_000).all(|_| random.up_to(3) <= 3));
        assert_eq!(random.up_to(0), 0);
        random.up_to(u64::MAX);
    }

    #[test]
    fn a_token_proves_one_session_after_one_welcome() {
        let random = Random::new([1; 32]);
        let session = SessionId::from_random([1; 16]);
        let other = SessionId::from_random([2; 16]);
        let token = random.token(session, 1);
        assert!(random.is_token(&token, session, 1));
        assert!(!random.is_token(&token, session, 2));
        assert!(!random.is_token(&token, other, 1));
    }

    #[test]
    fn a_part_of_a_token_proves_nothing() {
        let random = Random::new([1; 32]);
        let session = SessionId::from_random([1; 16]);
        let token = random.token(session, 1);
        for part in ["", "AAAA", &token.expose()[..4], "not base64!"] {
            assert!(!random.is_token(&Secret::new(part), session, 1), "{part:?}");
        }
    }
}
