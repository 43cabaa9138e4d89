//! What the servers of a process share, in a map.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use crate::time::Instant;
use crate::turn::{
    ConnectionId, FiveTuple, NoConnection, Party, QuotaReached, Reachable, Reservation,
    ReservationToken, SharedMeter, Siblings,
};

/// What the servers of a process share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shared(pub(crate) Rc<RefCell<SharedState>>);

#[derive(Debug, Default)]
pub(crate) struct SharedState {
    pub(crate) reachable: BTreeMap<SocketAddr, Arc<Reachable>>,
    pub(crate) claimed: BTreeMap<String, usize>,
    /// How many new peers a user may still have, where there is a limit.
    pub(crate) new_peers: BTreeMap<String, u32>,
    pub(crate) quota: Option<usize>,
    pub(crate) capacity: Option<usize>,
    pub(crate) owned: BTreeSet<FiveTuple>,
    pub(crate) reservations: BTreeMap<ReservationToken, Reservation>,
    pub(crate) no_reservations: bool,
    pub(crate) meters: BTreeMap<String, Arc<dyn SharedMeter>>,
    /// Relayed addresses for TCP.
    pub(crate) listening: BTreeSet<SocketAddr>,
    /// To whom these belong.
    pub(crate) listeners: BTreeMap<SocketAddr, Arc<dyn Party>>,
    /// Of users, where they do not talk to everybody.
    pub(crate) parties: BTreeMap<String, Arc<dyn Party>>,
    pub(crate) connections: BTreeSet<ConnectionId>,
    pub(crate) no_connections: bool,
}

impl Siblings for Shared {
    fn claim(&self, username: &str) -> Result<(), QuotaReached> {
        let mut state = self.0.borrow_mut();
        let all: usize = state.claimed.values().sum();
        if all >= state.capacity.unwrap_or(usize::MAX) {
            return Err(QuotaReached::OfServer);
        }
        let quota = state.quota.unwrap_or(usize::MAX);
        let claimed = state.claimed.entry(username.to_owned()).or_default();
        if *claimed >= quota {
            return Err(QuotaReached::OfUser);
        }
        *claimed += 1;
        Ok(())
    }

    fn release(&self, username: &str) {
        *self
            .0
            .borrow_mut()
            .claimed
            .get_mut(username)
            .expect("claimed before") -= 1;
    }

    fn meter_of(&self, username: &str) -> Option<Arc<dyn SharedMeter>> {
        self.0.borrow().meters.get(username).cloned()
    }

    fn admit_peers(&self, username: &str, count: u32, _now: Instant) -> bool {
        let mut state = self.0.borrow_mut();
        let Some(left) = state.new_peers.get_mut(username) else {
            return true;
        };
        let rest = left.checked_sub(count);
        *left = rest.unwrap_or(*left);
        rest.is_some()
    }

    fn own(&self, client: FiveTuple) {
        assert!(self.0.borrow_mut().owned.insert(client), "owned once");
    }

    fn disown(&self, client: FiveTuple) {
        self.0.borrow_mut().owned.remove(&client);
    }

    fn hold(&self, token: ReservationToken, reservation: Reservation) -> bool {
        let mut state = self.0.borrow_mut();
        if !state.no_reservations {
            state.reservations.insert(token, reservation);
        }
        !state.no_reservations
    }

    fn redeem(&self, token: ReservationToken) -> Option<Reservation> {
        self.0.borrow_mut().reservations.remove(&token)
    }

    fn publish(&self, relayed: SocketAddr, reachable: Option<Arc<Reachable>>) {
        let known = &mut self.0.borrow_mut().reachable;
        match reachable {
            Some(reachable) => known.insert(relayed, reachable),
            None => known.remove(&relayed),
        };
    }

    fn reach<R>(&self, relayed: SocketAddr, look: impl FnOnce(&Reachable) -> R) -> Option<R> {
        self.0
            .borrow()
            .reachable
            .get(&relayed)
            .map(|reachable| look(reachable))
    }

    fn party_of(&self, username: &str, _: FiveTuple) -> Option<Arc<dyn Party>> {
        self.0.borrow().parties.get(username).cloned()
    }

    fn set_party(&self, relayed: SocketAddr, party: Option<Arc<dyn Party>>) {
        let listeners = &mut self.0.borrow_mut().listeners;
        match party {
            Some(party) => listeners.insert(relayed, party),
            None => listeners.remove(&relayed),
        };
    }

    fn party_at(&self, relayed: SocketAddr) -> Option<Arc<dyn Party>> {
        self.0.borrow().listeners.get(&relayed).cloned()
    }

    fn set_listening(&self, relayed: SocketAddr, is_listening: bool) {
        let listening = &mut self.0.borrow_mut().listening;
        if is_listening {
            listening.insert(relayed);
        } else {
            listening.remove(&relayed);
        }
    }

    fn is_listening(&self, relayed: SocketAddr) -> bool {
        self.0.borrow().listening.contains(&relayed)
    }

    fn claim_connection(&self, name: ConnectionId, _: &str) -> Result<(), NoConnection> {
        let mut state = self.0.borrow_mut();
        if state.no_connections {
            return Err(NoConnection::Full);
        }
        let is_new = state.connections.insert(name);
        is_new.then_some(()).ok_or(NoConnection::NameInUse)
    }

    fn release_connection(&self, name: ConnectionId, _: &str) {
        assert!(self.0.borrow_mut().connections.remove(&name), "claimed");
    }
}
