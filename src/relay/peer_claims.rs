//! What the workers share of TCP allocations (RFC 6062). No relayed byte touches it.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::settings::TcpRelay;
use crate::auth::account;
use crate::turn::{ConnectionId, NoConnection, Party};

/// Which relayed addresses take connections, whose the connections to peers are, and how many there
/// may be.
#[derive(Debug, Default)]
pub(super) struct PeerClaims {
    most: usize,
    /// 0 is no limit.
    most_of_user: usize,
    claimed: Mutex<Claimed>,
}

#[derive(Debug, Default)]
struct Claimed {
    listening: HashSet<SocketAddr>,
    /// To whom these belong, where that matters.
    parties: HashMap<SocketAddr, Arc<dyn Party>>,
    owners: HashMap<ConnectionId, usize>,
    of_user: HashMap<String, usize>,
}

impl PeerClaims {
    /// None yet, and no more than these bounds allow; none at all without them.
    pub(super) fn within(bounds: Option<&TcpRelay>) -> Self {
        Self {
            most: bounds.map_or(0, |bounds| bounds.connections),
            most_of_user: bounds.map_or(0, |bounds| bounds.connections_per_user),
            claimed: Mutex::default(),
        }
    }

    pub(super) fn set_listening(&self, relayed: SocketAddr, is_listening: bool) {
        let listening = &mut self.lock().listening;
        if is_listening {
            listening.insert(relayed);
        } else {
            listening.remove(&relayed);
        }
    }

    pub(super) fn is_listening(&self, relayed: SocketAddr) -> bool {
        self.lock().listening.contains(&relayed)
    }

    pub(super) fn set_party(&self, relayed: SocketAddr, party: Option<Arc<dyn Party>>) {
        let parties = &mut self.lock().parties;
        match party {
            Some(party) => parties.insert(relayed, party),
            None => parties.remove(&relayed),
        };
    }

    pub(super) fn party_at(&self, relayed: SocketAddr) -> Option<Arc<dyn Party>> {
        self.lock().parties.get(&relayed).cloned()
    }

    /// One more connection of `username`, which belongs to `worker`.
    pub(super) fn claim(
        &self,
        name: ConnectionId,
        username: &str,
        worker: usize,
    ) -> Result<(), NoConnection> {
        let mut claimed = self.lock();
        let account = account(username);
        let count = claimed.of_user.get(account).copied().unwrap_or_default();
        let user_is_full = self.most_of_user != 0 && count >= self.most_of_user;
        if user_is_full || claimed.owners.len() >= self.most {
            return Err(NoConnection::Full);
        }
        if claimed.owners.contains_key(&name) {
            return Err(NoConnection::NameInUse);
        }
        claimed.owners.insert(name, worker);
        claimed.of_user.insert(account.to_owned(), count + 1);
        Ok(())
    }

    pub(super) fn release(&self, name: ConnectionId, username: &str) {
        let mut claimed = self.lock();
        if claimed.owners.remove(&name).is_none() {
            return;
        }
        let account = account(username);
        if let Some(count) = claimed.of_user.get_mut(account) {
            *count -= 1;
            if *count == 0 {
                claimed.of_user.remove(account);
            }
        }
    }

    /// The worker that has a connection.
    pub(super) fn owner(&self, name: ConnectionId) -> Option<usize> {
        self.lock().owners.get(&name).copied()
    }

    /// It is whole whoever panicked elsewhere: nothing panics while it is held.
    fn lock(&self) -> MutexGuard<'_, Claimed> {
        self.claimed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn within(connections: usize, connections_per_user: usize) -> PeerClaims {
        PeerClaims::within(Some(&TcpRelay {
            connections,
            connections_per_user,
            services: Vec::new(),
        }))
    }

    fn name(number: u8) -> ConnectionId {
        ConnectionId([number; 4])
    }

    #[test]
    fn connections_to_peers_are_bounded_for_a_person_and_for_all() {
        let claims = within(3, 2);
        assert_eq!(claims.claim(name(1), "1000:ada", 0), Ok(()));
        assert_eq!(
            claims.claim(name(1), "bob", 0),
            Err(NoConnection::NameInUse)
        );
        assert_eq!(claims.claim(name(2), "2000:ada", 1), Ok(()));
        assert_eq!(claims.claim(name(3), "ada", 0), Err(NoConnection::Full));
        assert_eq!(claims.claim(name(3), "bob", 0), Ok(()));
        assert_eq!(claims.claim(name(4), "eve", 0), Err(NoConnection::Full));
        assert_eq!(
            (claims.owner(name(2)), claims.owner(name(4))),
            (Some(1), None)
        );
        claims.release(name(1), "1000:ada");
        claims.release(name(1), "1000:ada");
        assert_eq!(claims.claim(name(4), "ada", 0), Ok(()));
        for (number, user) in [(2, "ada"), (3, "bob"), (4, "ada")] {
            claims.release(name(number), user);
        }
        assert!(claims.lock().of_user.is_empty() && claims.lock().owners.is_empty());
    }

    #[test]
    fn a_relayed_address_takes_connections_until_it_does_not() {
        let claims = within(1, 0);
        let relayed = "192.0.2.1:50000".parse().expect("an address");
        assert!(!claims.is_listening(relayed));
        claims.set_listening(relayed, true);
        assert!(claims.is_listening(relayed));
        claims.set_listening(relayed, false);
        assert!(!claims.is_listening(relayed));
    }
}
