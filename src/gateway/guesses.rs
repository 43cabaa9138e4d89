//! How often somebody at an address has tried what is not theirs.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::net::network;

/// How long it takes until a guess is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(6);
/// Addresses that are remembered at a time.
const MOST: usize = 65_536;

/// Guesses of each address (/32, /64), as the time at which all are forgotten.
#[derive(Debug)]
pub(super) struct Guesses {
    at_once: u32,
    of_address: Mutex<HashMap<IpAddr, Instant>>,
}

impl Guesses {
    /// So many may be made at once; 0 is no limit.
    pub(super) fn new(at_once: u32) -> Self {
        Self {
            at_once,
            of_address: Mutex::default(),
        }
    }

    /// Somebody there has guessed. Nothing is held against loopback, where a proxy may be.
    pub(super) fn add(&self, address: IpAddr, now: Instant) {
        if self.at_once == 0 || address.to_canonical().is_loopback() {
            return;
        }
        let mut guesses = self.lock();
        if guesses.len() >= MOST {
            guesses.retain(|_, forgotten| *forgotten > now);
        }
        let address = network(address);
        if guesses.len() < MOST || guesses.contains_key(&address) {
            let forgotten = guesses.entry(address).or_insert(now);
            *forgotten = (*forgotten).max(now) + FORGOTTEN_AFTER;
        }
    }

    /// For how long nobody there is let in, if so.
    pub(super) fn barred_for(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let allowed = FORGOTTEN_AFTER * self.at_once;
        let forgotten = *self.lock().get(&network(address))?;
        let barred = forgotten.saturating_duration_since(now + allowed);
        (!barred.is_zero()).then_some(barred)
    }

    /// Nothing panics while it is held, so it is right whoever panicked elsewhere.
    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Instant>> {
        self.of_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_that_has_guessed_too_often_is_barred_for_a_while() {
        let guesses = Guesses::new(100);
        let now = Instant::now();
        let (one, other) = (address("192.0.2.1"), address("192.0.2.2"));
        for _ in 0..100 {
            guesses.add(one, now);
        }
        assert_eq!(guesses.barred_for(one, now), None);
        guesses.add(one, now);
        assert_eq!(guesses.barred_for(one, now), Some(FORGOTTEN_AFTER));
        assert_eq!(guesses.barred_for(other, now), None);
        assert_eq!(guesses.barred_for(one, now + FORGOTTEN_AFTER), None);
    }

    #[test]
    fn one_network_of_ipv6_is_one_address_and_loopback_is_none() {
        let guesses = Guesses::new(1);
        let now = Instant::now();
        for host in [
            "2001:db8::1",
            "2001:db8::2",
            "127.0.0.1",
            "127.0.0.1",
            "::1",
            "::1",
        ] {
            guesses.add(address(host), now);
        }
        assert!(guesses.barred_for(address("2001:db8::3"), now).is_some());
        assert!(
            guesses
                .barred_for(address("2001:db8:0:1::1"), now)
                .is_none()
        );
        assert!(guesses.barred_for(address("127.0.0.1"), now).is_none());
        assert!(guesses.barred_for(address("::1"), now).is_none());
    }

    #[test]
    fn no_more_addresses_are_remembered_than_there_is_room_for() {
        let guesses = Guesses::new(1);
        let now = Instant::now();
        let many =
            |count: u32| (0..count).map(|it| IpAddr::from((0x0a00_0000_u32 + it).to_be_bytes()));
        for address in many(MOST as u32 + 10) {
            guesses.add(address, now);
        }
        assert_eq!(guesses.lock().len(), MOST);
        guesses.add(address("192.0.2.1"), now + FORGOTTEN_AFTER);
        assert_eq!(guesses.lock().len(), 1);
    }
}
