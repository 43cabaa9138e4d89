//! How often an address that has not authenticated gets an answer.
//!
//! Whoever forges a source address makes the server send to a victim. So answers before
//! authentication are counted for each /32 or /64, in a table whose size never changes. A nonce is
//! made for one address and port: who shows it gets what is sent there. Such clients are counted
//! by themselves, so that a forger takes no answers from them, and one who guesses passwords takes
//! none from those who ask for their first nonce.

use std::net::IpAddr;
use std::time::Duration;

use super::buckets::Buckets;
use crate::time::Instant;

/// In which the answers are counted.
const SECOND: Duration = Duration::from_secs(1);

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
    unproven: Buckets,
    proven: Buckets,
}

impl Strangers {
    /// `rate` answers a second, and at once; 0 is no limit.
    pub(super) fn new(rate: u32, seed: u64) -> Self {
        Self {
            unproven: Buckets::new(rate, SECOND, seed),
            proven: Buckets::new(rate, SECOND, seed),
        }
    }

    /// Whether `address` may have an answer now; if so, it is counted.
    pub(super) fn admit(&mut self, address: IpAddr, stranger: Stranger, now: Instant) -> bool {
        let buckets = match stranger {
            Stranger::Unproven => &mut self.unproven,
            Stranger::Proven => &mut self.proven,
        };
        buckets.take(prefix(address), 1, now)
    }
}

/// The /32 or /64 as a number; that of an IPv4 address is one that no /64 in use has.
fn prefix(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => u64::from(address.to_bits()) | 0xff << 56,
        IpAddr::V6(address) => (address.to_bits() >> 64) as u64,
    }
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
    fn no_limit_is_no_limit() {
        let mut strangers = Strangers::new(0, 7);
        assert_eq!(admitted(&mut strangers, "192.0.2.1", at(0)), 100);
    }
}
