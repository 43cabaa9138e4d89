//! Reservations of relayed addresses (RFC 8656 section 7.2, EVEN-PORT with R).

use std::net::SocketAddr;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::time::{Deadlines, Instant};

/// How long an address is held for whoever shows the token.
const LIFETIME: Duration = Duration::from_secs(30);

/// What RESERVATION-TOKEN carries: eight bytes that nobody guesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReservationToken(pub [u8; 8]);

/// A relayed address that waits for the allocation that is to use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// The address, as bound.
    pub relayed: SocketAddr,
    /// Whose quota it counts on until it is used.
    pub username: Box<str>,
}

/// The reservations that a server has made, and when they end.
pub(super) struct Reservations {
    tokens: Hmac<Sha256>,
    made: u64,
    expiries: Deadlines<ReservationToken>,
}

impl Reservations {
    /// None yet. `key` is secret; `seed` differs from those of other servers with the same key.
    pub(super) fn new(key: &[u8; 32], seed: u64) -> Self {
        let mut tokens =
            Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
        tokens.update(b"reservation");
        tokens.update(&seed.to_be_bytes());
        Self {
            tokens,
            made: 0,
            expiries: Deadlines::default(),
        }
    }

    /// A new token, good from now on.
    pub(super) fn make(&mut self, now: Instant) -> ReservationToken {
        self.made += 1;
        let mut mac = self.tokens.clone();
        mac.update(&self.made.to_be_bytes());
        let bytes = mac.finalize().into_bytes();
        let token = bytes.first_chunk().expect("SHA-256 gives 32 bytes");
        let token = ReservationToken(*token);
        self.expiries.set(token, now + LIFETIME);
        token
    }

    /// The reservation never came about.
    pub(super) fn forget(&mut self, token: ReservationToken) {
        self.expiries.clear(token);
    }

    /// A token whose time is over.
    pub(super) fn pop_expired(&mut self, now: Instant) -> Option<ReservationToken> {
        self.expiries.pop_due(now)
    }

    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.expiries.next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_tokens_are_alike_and_each_lasts_half_a_minute() {
        let start = Instant::from_start(Duration::ZERO);
        let mut reservations = Reservations::new(&[1; 32], 7);
        let mut others = Reservations::new(&[1; 32], 8);
        let first = reservations.make(start);
        let second = reservations.make(start + Duration::from_secs(1));
        assert_ne!(first, second);
        assert_ne!(first, others.make(start));
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        assert_eq!(reservations.pop_expired(at(29_999)), None);
        assert_eq!(reservations.pop_expired(at(30_000)), Some(first));
        assert_eq!(reservations.pop_expired(at(31_000)), Some(second));
    }
}
