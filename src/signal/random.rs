//! Randomness from a seed.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Numbers that nobody can guess who does not know the seed: HMAC-SHA256 over a counter.
pub(super) struct Random {
    keyed: Hmac<Sha256>,
    counter: u64,
}

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
}
