//! How often an address that has not authenticated gets an answer.
//!
//! Whoever forges a source address makes the server send to a victim. So answers before
//! authentication are counted for each /32 or /64, in a table whose size never changes.

use std::net::IpAddr;
use std::time::Duration;

use crate::time::Instant;

const SLOTS: usize = 4_096;

/// Token buckets, one a slot; addresses that fall into one slot take turns in it.
pub(super) struct Strangers {
    /// Answers a second, and at once; 0 is no limit.
    rate: u32,
    seed: u64,
    slots: Box<[Slot]>,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    prefix: u64,
    /// When the bucket was, or will be, empty: the later, the emptier it is.
    empty_at: Instant,
}

impl Strangers {
    pub(super) fn new(rate: u32, seed: u64) -> Self {
        let slots = if rate == 0 { 0 } else { SLOTS };
        Self {
            rate,
            seed,
            slots: vec![Slot::default(); slots].into(),
        }
    }

    /// Whether `address` may have an answer now; if so, it is counted.
    pub(super) fn admit(&mut self, address: IpAddr, now: Instant) -> bool {
        if self.rate == 0 {
            return true;
        }
        let prefix = prefix(address);
        let slot = &mut self.slots[slot_of(prefix, self.seed)];
        // A second's worth of answers may come at once, counted from a second after the clock's
        // start so that a young clock does not make the bucket small.
        let now = now + Duration::from_secs(1);
        let full = now - Duration::from_secs(1);
        if slot.prefix != prefix {
            *slot = Slot {
                prefix,
                empty_at: full,
            };
        }
        let next = slot.empty_at.max(full) + Duration::from_secs(1) / self.rate;
        if next > now {
            return false;
        }
        slot.empty_at = next;
        true
    }
}

/// The /32 or /64 as a number; that of an IPv4 address is one that no /64 in use has.
fn prefix(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => u64::from(address.to_bits()) | 0xff << 56,
        IpAddr::V6(address) => (address.to_bits() >> 64) as u64,
    }
}

/// Mixes the bits so that nobody without the seed can aim at a slot.
fn slot_of(prefix: u64, seed: u64) -> usize {
    let mut mixed = prefix ^ seed;
    for _ in 0..2 {
        mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ (seed | 1));
    }
    (mixed >> 40) as usize % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Instant {
        Instant::from_start(Duration::from_millis(milliseconds))
    }

    fn admitted(strangers: &mut Strangers, address: &str, now: Instant) -> usize {
        let address = address.parse().expect("an address");
        (0..100).filter(|_| strangers.admit(address, now)).count()
    }

    #[test]
    fn an_address_gets_a_burst_and_then_its_rate() {
        let mut strangers = Strangers::new(10, 7);
        assert_eq!(admitted(&mut strangers, "192.0.2.1", at(0)), 10);
        assert_eq!(admitted(&mut strangers, "192.0.2.1", at(500)), 5);
        assert_eq!(admitted(&mut strangers, "192.0.2.1", at(60_000)), 10);
    }

    #[test]
    fn another_address_is_not_slowed() {
        let mut strangers = Strangers::new(10, 7);
        assert_eq!(admitted(&mut strangers, "192.0.2.1", at(0)), 10);
        assert_eq!(admitted(&mut strangers, "192.0.2.2", at(0)), 10);
    }

    #[test]
    fn a_network_of_ipv6_is_one_stranger() {
        let mut strangers = Strangers::new(10, 7);
        assert_eq!(admitted(&mut strangers, "2001:db8::1", at(0)), 10);
        assert_eq!(admitted(&mut strangers, "2001:db8::2", at(0)), 0);
        assert_eq!(admitted(&mut strangers, "2001:db8:0:1::2", at(0)), 10);
    }

    #[test]
    fn no_limit_is_no_limit() {
        let mut strangers = Strangers::new(0, 7);
        assert_eq!(admitted(&mut strangers, "192.0.2.1", at(0)), 100);
    }
}
