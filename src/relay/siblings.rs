//! What the workers share: quotas, and what stands behind relayed addresses. A relayed packet
//! touches neither, but for a look, without a lock, where its peer is an address of this server.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::bandwidth::UserMeter;
use super::new_peers::NewPeers;
use super::peer_claims::PeerClaims;
use super::ports::{self, RelayedPorts};
use super::post::Owners;
use super::reserved::Reserved;
use super::rooms::Rooms;
use crate::auth::account;
use crate::metrics::Ports;
use crate::time::Instant;
use crate::turn::{
    self, ConnectionId, FiveTuple, NoConnection, Party, QuotaReached, Reachable, Reservation,
    ReservationToken, SharedMeter,
};

/// The shared state of all workers.
#[derive(Debug)]
pub(super) struct Siblings {
    claimed: Mutex<Claimed>,
    /// Bytes a second that a user may relay in each direction; 0 is no limit.
    bandwidth_of_user: u64,
    new_peers: NewPeers,
    relayed: Vec<RelayedPorts>,
    owners: Owners,
    reserved: Reserved,
    peers: PeerClaims,
    /// `None`: allocations talk to everybody.
    rooms: Option<Arc<Rooms>>,
    is_draining: AtomicBool,
}

/// How many allocations there may be; 0 is no limit.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Quota {
    pub(super) of_user: u32,
    pub(super) of_server: u32,
}

/// How many allocations there may be, and are.
#[derive(Debug, Default)]
struct Claimed {
    quota: Quota,
    all: u32,
    of_user: HashMap<String, OfUser>,
}

/// What a user has.
#[derive(Debug)]
struct OfUser {
    allocations: u32,
    meter: Option<Arc<UserMeter>>,
}

impl Siblings {
    /// Relayed addresses are made on `relay_addresses`, on ports of `range`.
    pub(super) fn new(
        quota: Quota,
        relay_addresses: impl Iterator<Item = IpAddr>,
        range: &RangeInclusive<u16>,
    ) -> Self {
        Self {
            claimed: Mutex::new(Claimed {
                quota,
                ..Claimed::default()
            }),
            relayed: relay_addresses
                .map(|address| RelayedPorts::new(address, range.clone()))
                .collect(),
            bandwidth_of_user: 0,
            new_peers: NewPeers::new(0),
            owners: Owners::default(),
            reserved: Reserved::default(),
            peers: PeerClaims::default(),
            rooms: None,
            is_draining: AtomicBool::new(false),
        }
    }

    /// All allocations of a user together may relay so many bytes a second in each direction; 0 is
    /// no limit.
    pub(super) fn with_bandwidth_of_user(self, bandwidth_of_user: u64) -> Self {
        Self {
            bandwidth_of_user,
            ..self
        }
    }

    /// Each user may reach so many new peers a minute; 0 is no limit.
    pub(super) fn with_new_peers_of_user(self, rate: u32) -> Self {
        Self {
            new_peers: NewPeers::new(rate),
            ..self
        }
    }

    /// The same with connections to peers.
    pub(super) fn with_peers(self, peers: PeerClaims) -> Self {
        Self { peers, ..self }
    }

    /// Allocations talk only to those whom their session is in a room with.
    pub(super) fn with_rooms(self, rooms: Option<Arc<Rooms>>) -> Self {
        Self { rooms, ..self }
    }

    /// Who is in which room, where that matters.
    pub(super) fn rooms(&self) -> Option<&Arc<Rooms>> {
        self.rooms.as_ref()
    }

    /// The connections to peers.
    pub(super) fn peers(&self) -> &PeerClaims {
        &self.peers
    }

    /// Sees to it that no relayed address is ever the address of one of `listeners`.
    pub(super) fn keep_free_of(&self, listeners: &[SocketAddr]) {
        for listener in listeners {
            let (ip, port) = (listener.ip(), listener.port());
            let here = |ports: &&RelayedPorts| ip.is_unspecified() || ip == ports.address();
            for ports in self.relayed.iter().filter(here) {
                ports.take(port);
            }
        }
    }

    /// From now on there is no room for any more allocation.
    pub(super) fn drain(&self) {
        self.is_draining.store(true, Ordering::Relaxed);
    }

    /// From now on there may be so many allocations; those that are more stay.
    pub(super) fn set_quota(&self, quota: Quota) {
        self.claimed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .quota = quota;
    }

    /// How many ports are free, by address.
    pub(super) fn gauges(&self) -> Vec<Arc<Ports>> {
        self.relayed.iter().map(RelayedPorts::gauge).collect()
    }

    /// What waits for those who show a token.
    pub(super) fn reserved(&self) -> &Reserved {
        &self.reserved
    }

    /// The relayed ports of one of the relay addresses.
    pub(super) fn ports(&self, address: IpAddr) -> Option<&RelayedPorts> {
        ports::ports_of(&self.relayed, address)
    }
}

/// The siblings as the server of worker `number` sees them.
#[derive(Clone, Debug)]
pub(super) struct OfWorker {
    pub(super) number: usize,
    pub(super) siblings: Arc<Siblings>,
}

impl OfWorker {
    /// The other worker that has the allocation of `client`, where there is one.
    pub(super) fn other_owner(&self, client: FiveTuple) -> Option<usize> {
        let owner = self.siblings.owners.of(client);
        owner.filter(|&owner| owner != self.number)
    }
}

impl turn::Siblings for OfWorker {
    fn claim(&self, username: &str) -> Result<(), QuotaReached> {
        self.siblings.claim(username)?;
        if let Some(rooms) = &self.siblings.rooms {
            rooms.claim(username);
        }
        Ok(())
    }

    fn release(&self, username: &str) {
        self.siblings.release(username);
        if let Some(rooms) = &self.siblings.rooms {
            rooms.release(username);
        }
    }

    fn party_of(&self, username: &str, client: FiveTuple) -> Option<Arc<dyn Party>> {
        let rooms = self.siblings.rooms.as_ref()?;
        Some(rooms.party_of(username, client, self.number))
    }

    fn meter_of(&self, username: &str) -> Option<Arc<dyn SharedMeter>> {
        self.siblings.meter_of(username)
    }

    fn admit_peers(&self, username: &str, count: u32, now: Instant) -> bool {
        self.siblings.new_peers.admit(username, count, now)
    }

    fn own(&self, client: FiveTuple) {
        self.siblings.owners.insert(client, self.number);
    }

    fn disown(&self, client: FiveTuple) {
        self.siblings.owners.remove(client, self.number);
        if let Some(rooms) = &self.siblings.rooms {
            rooms.forget(client, self.number);
        }
    }

    fn publish(&self, relayed: SocketAddr, reachable: Option<Arc<Reachable>>) {
        ports::publish(&self.siblings.relayed, relayed, reachable);
    }

    fn hold(&self, token: ReservationToken, reservation: Reservation) -> bool {
        self.siblings.reserved.hold(token, reservation)
    }

    fn redeem(&self, token: ReservationToken) -> Option<Reservation> {
        self.siblings.reserved.redeem(token)
    }

    fn reach<R>(&self, relayed: SocketAddr, look: impl FnOnce(&Reachable) -> R) -> Option<R> {
        ports::reach(&self.siblings.relayed, relayed, look)
    }

    fn set_party(&self, relayed: SocketAddr, party: Option<Arc<dyn Party>>) {
        self.siblings.peers.set_party(relayed, party);
    }

    fn party_at(&self, relayed: SocketAddr) -> Option<Arc<dyn Party>> {
        self.siblings.peers.party_at(relayed)
    }

    fn set_listening(&self, relayed: SocketAddr, is_listening: bool) {
        self.siblings.peers.set_listening(relayed, is_listening);
    }

    fn is_listening(&self, relayed: SocketAddr) -> bool {
        self.siblings.peers.is_listening(relayed)
    }

    fn claim_connection(&self, name: ConnectionId, username: &str) -> Result<(), NoConnection> {
        self.siblings.peers.claim(name, username, self.number)
    }

    fn release_connection(&self, name: ConnectionId, username: &str) {
        self.siblings.peers.release(name, username);
    }
}

impl Siblings {
    fn claim(&self, username: &str) -> Result<(), QuotaReached> {
        let reached = |count: u32, quota: u32| quota != 0 && count >= quota;
        let mut claimed = self.claimed.lock().unwrap_or_else(PoisonError::into_inner);
        let account = account(username);
        let of_user = claimed.of_user.get(account);
        let count = of_user.map_or(0, |of_user| of_user.allocations);
        if reached(count, claimed.quota.of_user) {
            return Err(QuotaReached::OfUser);
        }
        let is_draining = self.is_draining.load(Ordering::Relaxed);
        if is_draining || reached(claimed.all, claimed.quota.of_server) {
            return Err(QuotaReached::OfServer);
        }
        claimed.all += 1;
        match claimed.of_user.get_mut(account) {
            Some(of_user) => of_user.allocations += 1,
            None => {
                let of_user = OfUser {
                    allocations: 1,
                    meter: UserMeter::new(self.bandwidth_of_user).map(Arc::new),
                };
                claimed.of_user.insert(account.to_owned(), of_user);
            }
        }
        Ok(())
    }

    fn meter_of(&self, username: &str) -> Option<Arc<dyn SharedMeter>> {
        if self.bandwidth_of_user == 0 {
            return None;
        }
        let claimed = self.claimed.lock().unwrap_or_else(PoisonError::into_inner);
        let meter = claimed.of_user.get(account(username))?.meter.clone()?;
        Some(meter)
    }

    fn release(&self, username: &str) {
        let mut claimed = self.claimed.lock().unwrap_or_else(PoisonError::into_inner);
        let account = account(username);
        let Some(of_user) = claimed.of_user.get_mut(account) else {
            return;
        };
        of_user.allocations -= 1;
        if of_user.allocations == 0 {
            claimed.of_user.remove(account);
        }
        claimed.all -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Instant;
    use crate::turn::Direction;

    const NO_QUOTA: Quota = Quota {
        of_user: 0,
        of_server: 0,
    };

    fn limited(of_user: u32, of_server: u32) -> Siblings {
        Siblings::new(Quota { of_user, of_server }, std::iter::empty(), &(1..=9))
    }

    #[test]
    fn the_quota_is_the_persons_whatever_the_expiry_says() {
        let siblings = limited(2, 0);
        assert_eq!(siblings.claim("1000:ada"), Ok(()));
        assert_eq!(siblings.claim("2000:ada"), Ok(()));
        assert_eq!(siblings.claim("3000:ada"), Err(QuotaReached::OfUser));
        assert_eq!(siblings.claim("3000:grace"), Ok(()));
        siblings.release("1000:ada");
        assert_eq!(siblings.claim("3000:ada"), Ok(()));
    }

    #[test]
    fn the_quota_of_the_server_is_for_all() {
        let siblings = limited(0, 2);
        assert_eq!(siblings.claim("ada"), Ok(()));
        assert_eq!(siblings.claim("grace"), Ok(()));
        assert_eq!(siblings.claim("mary"), Err(QuotaReached::OfServer));
        siblings.release("grace");
        assert_eq!(siblings.claim("mary"), Ok(()));
        assert!(
            !siblings
                .claimed
                .lock()
                .expect("whole")
                .of_user
                .contains_key("grace")
        );
    }

    #[test]
    fn all_allocations_of_a_user_have_one_meter() {
        let siblings = limited(0, 0).with_bandwidth_of_user(1_000);
        for name in ["1000:ada", "2000:ada", "grace"] {
            assert_eq!(siblings.claim(name), Ok(()));
        }
        let admits = |name| {
            let meter = siblings.meter_of(name).expect("there is a limit");
            meter.admit(Direction::ToClient, 1_000, Instant::default())
        };
        assert!(admits("1000:ada"));
        assert!(!admits("2000:ada"));
        assert!(admits("grace"));
        assert!(limited(0, 0).meter_of("ada").is_none());
    }

    #[test]
    fn no_relayed_address_is_a_listeners() {
        let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
        let relays = ["192.0.2.1", "2001:db8::1"].map(|ip| ip.parse().expect("an address"));
        let siblings = Siblings::new(NO_QUOTA, relays.into_iter(), &(1..=9));
        siblings.keep_free_of(&[address("0.0.0.0:3478"), address("192.0.2.2:5349")]);
        let free = |ip: IpAddr, port| siblings.ports(ip).expect("a relay address").take(port);
        assert!(!free(relays[0], 3_478) && !free(relays[1], 3_478));
        assert!(free(relays[0], 5_349) && free(relays[0], 3_479));
    }

    #[test]
    fn a_server_that_drains_has_no_room_for_anybody_new() {
        let siblings = Siblings::new(NO_QUOTA, std::iter::empty(), &(1..=9));
        assert_eq!(siblings.claim("ada"), Ok(()));
        siblings.drain();
        assert_eq!(siblings.claim("ada"), Err(QuotaReached::OfServer));
        siblings.release("ada");
        assert_eq!(siblings.claim("ada"), Err(QuotaReached::OfServer));
    }

    #[test]
    fn a_quota_of_zero_is_no_limit() {
        let siblings = limited(0, 0);
        assert!((0..1_000).all(|_| siblings.claim("ada").is_ok()));
    }
}
