//! How often an address that has not authenticated gets an answer.
//!
//! Whoever forges a source address makes the server send to a victim. So answers before
//! authentication are counted for each /32 or /64, in a table whose size never changes. A nonce is
//! made for one address and port: who shows it gets what is sent there. Such clients are counted
//! by themselves, so that a forger takes no answers from them, and one who guesses passwords takes
//! none from those who ask for their first nonce.

use std::net::IpAddr;
use std::time::Duration;

use crate::time::Instant;

/// Addresses that are remembered at a time.
const SLOTS: usize = 4_096;

/// So many share a place in the table; the one that has asked least makes room.
const WAYS: usize = 4;

/// What is known of somebody who has not authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stranger {
    /// Nothing: the address may be forged.
    Unproven,
    /// It has shown a nonce that was made for it.
    Proven,
}

/// Answers to strangers.
pub(super) struct Strangers {
    /// Answers a second, and at once; 0 is no limit.
    rate: u32,
    unproven: Buckets,
    proven: Buckets,
}

impl Strangers {
    pub(super) fn new(rate: u32, seed: u64) -> Self {
        let buckets = || Buckets::new(if rate == 0 { 0 } else { SLOTS }, seed);
        Self {
            rate,
            unproven: buckets(),
            proven: buckets(),
        }
    }

    /// Whether `address` may have an answer now; if so, it is counted.
    pub(super) fn admit(&mut self, address: IpAddr, stranger: Stranger, now: Instant) -> bool {
        if self.rate == 0 {
            return true;
        }
        let buckets = match stranger {
            Stranger::Unproven => &mut self.unproven,
            Stranger::Proven => &mut self.proven,
        };
        buckets.take(prefix(address), self.rate, now)
    }
}

/// Token buckets, one a slot.
struct Buckets {
    seed: u64,
    slots: Box<[Slot]>,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    prefix: u64,
    /// When the bucket was, or will be, empty: the later, the emptier it is.
    empty_at: Instant,
}

impl Buckets {
    fn new(slots: usize, seed: u64) -> Self {
        Self {
            seed,
            slots: vec![Slot::default(); slots].into(),
        }
    }

    /// Takes a token from the bucket of `prefix`; `false` if it is empty.
    fn take(&mut self, prefix: u64, rate: u32, now: Instant) -> bool {
        // A second's worth of answers may come at once, counted from a second after the clock's
        // start so that a young clock does not make the bucket small.
        let now = now + Duration::from_secs(1);
        let full = now - Duration::from_secs(1);
        let slot = self.slot(prefix);
        if slot.prefix != prefix {
            *slot = Slot {
                prefix,
                empty_at: full,
            };
        }
        let next = slot.empty_at.max(full) + Duration::from_secs(1) / rate;
        if next > now {
            return false;
        }
        slot.empty_at = next;
        true
    }

    /// The slot of `prefix`, or the one that it takes over: the fullest bucket in its place.
    fn slot(&mut self, prefix: u64) -> &mut Slot {
        let first = place_of(prefix, self.seed) * WAYS;
        let place = &mut self.slots[first..first + WAYS];
        let known = place.iter().position(|slot| slot.prefix == prefix);
        let at = known.unwrap_or_else(|| {
            let fullest = (0..WAYS).min_by_key(|&at| place[at].empty_at);
            fullest.expect("a place has slots")
        });
        &mut place[at]
    }
}

/// The /32 or /64 as a number; that of an IPv4 address is one that no /64 in use has.
fn prefix(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => u64::from(address.to_bits()) | 0xff << 56,
        IpAddr::V6(address) => (address.to_bits() >> 64) as u64,
    }
}

/// Mixes the bits so that nobody without the seed can aim at a place.
fn place_of(prefix: u64, seed: u64) -> usize {
    let mut mixed = prefix ^ seed;
    for _ in 0..2 {
        mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ (seed | 1));
    }
    (mixed >> 40) as usize % (SLOTS / WAYS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Instant {
        Instant::from_start(Duration::from_millis(milliseconds))
    }

    fn admitted(strangers: &mut Strangers, address: &str, now: Instant) -> usize {
        let address = address.parse().expect("an address");
        (0..100)
            .filter(|_| strangers.admit(address, Stranger::Unproven, now))
            .count()
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
    fn who_has_shown_a_nonce_is_counted_apart() {
        let mut strangers = Strangers::new(10, 7);
        assert_eq!(admitted(&mut strangers, "192.0.2.1", at(0)), 10);
        let address = "192.0.2.1".parse().expect("an address");
        let proven = |strangers: &mut Strangers| {
            let answers = (0..100).filter(|_| strangers.admit(address, Stranger::Proven, at(0)));
            answers.count()
        };
        assert_eq!(proven(&mut strangers), 10);
        assert_eq!(proven(&mut strangers), 0);
    }

    #[test]
    fn addresses_that_share_a_place_do_not_free_each_other() {
        let mut strangers = Strangers::new(10, 7);
        let place = |number: u32| place_of(prefix(std::net::Ipv4Addr::from(number).into()), 7);
        let mut neighbours = (0..).filter(|&number| place(number) == place(0));
        let neighbours: [u32; WAYS] = std::array::from_fn(|_| neighbours.next().expect("endless"));
        let answers = (0..1_000).map(|turn| {
            let address = std::net::Ipv4Addr::from(neighbours[turn % WAYS]).into();
            usize::from(strangers.admit(address, Stranger::Unproven, at(0)))
        });
        assert_eq!(answers.sum::<usize>(), 10 * WAYS);
    }

    #[test]
    fn a_flood_from_everywhere_takes_no_memory_and_stops_nobody_for_long() {
        let mut strangers = Strangers::new(10, 7);
        for number in 0..100_000_u32 {
            let address = std::net::Ipv4Addr::from(number).into();
            strangers.admit(address, Stranger::Unproven, at(0));
        }
        assert_eq!(strangers.unproven.slots.len(), SLOTS);
        assert_eq!(admitted(&mut strangers, "192.0.2.1", at(0)), 10);
    }

    #[test]
    fn no_limit_is_no_limit() {
        let mut strangers = Strangers::new(0, 7);
        assert_eq!(admitted(&mut strangers, "192.0.2.1", at(0)), 100);
    }
}
