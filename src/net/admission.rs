//! How many connections of clients there may be, over all threads. Only asked when one comes or
//! goes.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts connections, all of them and those of each address (/32, /64).
#[derive(Debug)]
pub struct Admission {
    most: usize,
    most_per_address: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    of_address: HashMap<IpAddr, usize>,
}

/// There is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Full;

/// The place of one connection; it is free again when this is dropped.
#[derive(Debug)]
pub struct Place {
    address: Option<IpAddr>,
    admission: Arc<Admission>,
}

impl Admission {
    /// At most `most` connections, and `most_per_address` of one address (0 is no limit). The
    /// limit of an address does not hold for loopback, where a proxy may be.
    #[must_use]
    pub fn new(most: usize, most_per_address: usize) -> Self {
        Self {
            most,
            most_per_address,
            taken: Mutex::default(),
        }
    }

    /// A place for a connection from `client`, if there is one.
    pub fn admit(self: &Arc<Self>, client: IpAddr) -> Option<Place> {
        let mut taken = self.lock();
        if taken.all >= self.most {
            return None;
        }
        let address = self.count(&mut taken, client).ok()?;
        taken.all += 1;
        drop(taken);
        Some(Place {
            address,
            admission: Arc::clone(self),
        })
    }

    /// A place for a connection that a proxy has passed on; whose it is, [`Place::settle`] is told.
    pub fn admit_proxied(self: &Arc<Self>) -> Option<Place> {
        let mut taken = self.lock();
        if taken.all >= self.most {
            return None;
        }
        taken.all += 1;
        drop(taken);
        Some(Place {
            address: None,
            admission: Arc::clone(self),
        })
    }

    /// Counts one more connection of `client`, unless there are as many as there may be.
    fn count(&self, taken: &mut Taken, client: IpAddr) -> Result<Option<IpAddr>, Full> {
        if self.most_per_address == 0 || client.is_loopback() {
            return Ok(None);
        }
        let address = network(client);
        let count = taken.of_address.entry(address).or_default();
        if *count >= self.most_per_address {
            return Err(Full);
        }
        *count += 1;
        Ok(Some(address))
    }

    /// A count is right whoever panicked elsewhere: nothing panics while it is held.
    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Says whose connection it is, after all; `false` if that address has too many.
    pub fn settle(&mut self, client: IpAddr) -> bool {
        let counted = {
            let mut taken = self.admission.lock();
            self.admission.count(&mut taken, client)
        };
        match counted {
            Ok(address) if self.address.is_none() => {
                self.address = address;
                true
            }
            _ => false,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.admission.lock();
        taken.all -= 1;
        let Some(address) = self.address else { return };
        if let Some(count) = taken.of_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                taken.of_address.remove(&address);
            }
        }
    }
}

/// What counts as one address: IPv4 whole, IPv6 by its first 64 bits.
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_place_is_free_again_when_its_connection_ends() {
        let admission = Arc::new(Admission::new(1, 0));
        let first = admission.admit(address("192.0.2.1"));
        assert!(first.is_some());
        assert!(admission.admit(address("192.0.2.2")).is_none());
        drop(first);
        assert!(admission.admit(address("192.0.2.2")).is_some());
    }

    #[test]
    fn one_network_does_not_take_the_places_of_others() {
        let admission = Arc::new(Admission::new(10, 1));
        let held = admission.admit(address("2001:db8::1"));
        assert!(held.is_some());
        assert!(admission.admit(address("2001:db8::2")).is_none());
        assert!(admission.admit(address("2001:db8:0:1::1")).is_some());
        drop(held);
        assert!(admission.lock().of_address.is_empty());
        assert_eq!(admission.lock().all, 0);
    }

    #[test]
    fn a_proxied_connection_counts_for_its_client() {
        let admission = Arc::new(Admission::new(3, 1));
        let mut first = admission.admit_proxied().expect("a place");
        let mut second = admission.admit_proxied().expect("a place");
        assert!(first.settle(address("192.0.2.1")));
        assert!(!second.settle(address("192.0.2.1")));
        drop((first, second));
        assert!(admission.lock().of_address.is_empty());
        assert_eq!(admission.lock().all, 0);
    }

    #[test]
    fn loopback_has_no_limit_of_its_own() {
        let admission = Arc::new(Admission::new(3, 1));
        let held: Vec<_> = (0..4)
            .filter_map(|_| admission.admit(address("127.0.0.1")))
            .collect();
        assert_eq!(held.len(), 3);
    }
}
