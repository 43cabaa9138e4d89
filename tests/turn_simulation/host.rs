//! What stands around a [`Server`] in a process: the clock, the relay sockets and the quota, all
//! of them only numbers. The simulation and the fuzz targets drive the server through it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use peerage::auth::{RelayCredentials, Secret};
use peerage::time::{Instant, Now};
use peerage::turn::{
    Action, AllocationId, BindFailed, Config, Destination, FiveTuple, Header, Machine, PeerPolicy,
    QuotaReached, Reachable, RelayAddress, Reservation, ReservationToken, Server, SharedMeter,
    Siblings, Transport, WantedPort,
};

pub(crate) const REALM: &str = "example.org";

/// Users and their passwords.
pub(crate) const USERS: [(&str, &str); 3] =
    [("alice", "alice's"), ("bob", "bob's"), ("carol", "carol's")];

/// Where the server listens, and makes its relayed addresses.
pub(crate) const SERVER: [&str; 2] = ["198.51.100.9", "2001:db8::9"];

/// What differs from host to host.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// How many allocations a user may have.
    pub(crate) quota: usize,
    /// From which ports relayed addresses are made.
    pub(crate) ports: RangeInclusive<u16>,
    /// Whether relayed addresses have no sockets.
    pub(crate) portless: bool,
    /// Whether allocations may move to other addresses of their clients.
    pub(crate) mobile: bool,
    /// Bytes a second that an allocation may relay in each direction; 0 is no limit.
    pub(crate) bandwidth: u64,
    pub(crate) seed: u64,
}

/// A datagram that left the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// To a client: an answer.
    Answer { client: FiveTuple, bytes: Vec<u8> },
    /// To a client: a payload with its header.
    Data { client: FiveTuple, bytes: Vec<u8> },
    /// Out of a relayed address.
    ToPeer {
        relayed: SocketAddr,
        peer: SocketAddr,
        payload: Vec<u8>,
    },
}

/// What the servers of a process share.
#[derive(Clone, Debug, Default)]
struct Shared(Rc<RefCell<SharedState>>);

#[derive(Debug, Default)]
struct SharedState {
    quota: usize,
    claimed: BTreeMap<String, usize>,
    reachable: BTreeMap<SocketAddr, Arc<Reachable>>,
    reservations: BTreeMap<ReservationToken, Reservation>,
}

impl Siblings for Shared {
    fn claim(&self, username: &str) -> Result<(), QuotaReached> {
        let mut state = self.0.borrow_mut();
        let quota = state.quota;
        let claimed = state.claimed.entry(username.to_owned()).or_default();
        if *claimed >= quota {
            return Err(QuotaReached::OfUser);
        }
        *claimed += 1;
        Ok(())
    }

    fn release(&self, username: &str) {
        let mut state = self.0.borrow_mut();
        let claimed = state.claimed.get_mut(username).expect("claimed before");
        *claimed = claimed.checked_sub(1).expect("no more than was claimed");
    }

    fn meter_of(&self, _username: &str) -> Option<Arc<dyn SharedMeter>> {
        None
    }

    fn admit_peers(&self, _username: &str, _count: u32, _now: Instant) -> bool {
        true
    }

    fn own(&self, _client: FiveTuple) {}

    fn disown(&self, _client: FiveTuple) {}

    fn hold(&self, token: ReservationToken, reservation: Reservation) -> bool {
        let mut state = self.0.borrow_mut();
        state.reservations.insert(token, reservation);
        true
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
        let state = self.0.borrow();
        state
            .reachable
            .get(&relayed)
            .map(|reachable| look(reachable))
    }
}

/// The address of a client, and the server's address that it speaks to.
pub(crate) fn five_tuple(client: SocketAddr) -> FiveTuple {
    let own = SERVER[usize::from(client.is_ipv6())];
    FiveTuple {
        client,
        server: SocketAddr::new(own.parse().expect("an address"), 3_478),
        transport: Transport::Udp,
    }
}

pub(crate) struct Host {
    server: Server<RelayCredentials, Shared>,
    shared: Shared,
    ports: RangeInclusive<u16>,
    sockets: BTreeMap<SocketAddr, AllocationId>,
    /// Addresses that are bound and reserved.
    held: BTreeSet<SocketAddr>,
    now: Now,
}

impl Host {
    pub(crate) fn new(setting: &Setting) -> Self {
        let relay_addresses = SERVER.map(|address| {
            let address = address.parse().expect("an address");
            RelayAddress {
                bound: address,
                advertised: address,
            }
        });
        let policy = PeerPolicy::new(relay_addresses.to_vec(), Machine::default(), vec![]);
        let listeners = SERVER.map(|own| SocketAddr::new(own.parse().expect("an address"), 3_478));
        let config = Config {
            realm: REALM.to_owned(),
            policy: policy.with_listeners(listeners.to_vec()),
            portless: setting.portless,
            unauthenticated_rate: 0,
            max_bandwidth_per_allocation: setting.bandwidth,
            strict_expiry: false,
            mobility_key: setting.mobile.then_some([2; 32]),
            nonce_keys: vec![[1; 32]],
            username_anonymity: false,
            alternate_servers: vec![],
            nat_discovery: None,
            seed: setting.seed,
        };
        let credentials = USERS
            .iter()
            .fold(RelayCredentials::new(REALM), |known, (user, password)| {
                known.with_user(user, &Secret::new(*password))
            });
        let shared = Shared::default();
        shared.0.borrow_mut().quota = setting.quota;
        Self {
            server: Server::new(config, credentials, shared.clone()),
            shared,
            ports: setting.ports.clone(),
            sockets: BTreeMap::new(),
            held: BTreeSet::new(),
            now: Now {
                unix: Duration::from_secs(1_800_000_000),
                ..Now::default()
            },
        }
    }

    /// Lets time pass; what is due is done.
    pub(crate) fn pass(&mut self, duration: Duration) {
        self.now = self.now.after(duration);
        let due = self.server.poll_timeout();
        if due.is_some_and(|due| due <= self.now.instant) {
            self.server.handle_timeout(self.now);
        }
        let left = self.carry_out();
        assert_eq!(left, [], "the passing of time answers nobody");
    }

    /// A datagram of a client arrives. What leaves the host for it.
    pub(crate) fn client_sends(&mut self, client: SocketAddr, datagram: &[u8]) -> Vec<Sent> {
        let route = self
            .server
            .handle_client(five_tuple(client), datagram, self.now);
        let relayed = route.map(|route| {
            let payload = &datagram[route.payload];
            match route.to {
                Destination::Peer { via, peer, .. } => Sent::ToPeer {
                    relayed: self.socket(via, peer).expect("a socket to send from"),
                    peer,
                    payload: payload.to_vec(),
                },
                Destination::Client(to) => data(to.client, to.header, payload),
            }
        });
        let mut sent = self.carry_out();
        sent.extend(relayed);
        sent
    }

    /// A datagram of a peer arrives at a relayed address. What leaves the host for it; nothing
    /// if there is no such relayed address.
    pub(crate) fn peer_sends(
        &mut self,
        peer: SocketAddr,
        relayed: SocketAddr,
        payload: &[u8],
    ) -> Vec<Sent> {
        let Some(&id) = self.sockets.get(&relayed) else {
            return Vec::new();
        };
        let to = self.server.handle_peer(id, peer, payload.len(), self.now);
        let mut sent = self.carry_out();
        sent.extend(to.map(|to| data(to.client, to.header, payload)));
        sent
    }

    /// How many allocations there are, by the server's count.
    pub(crate) fn allocations(&self) -> usize {
        let tally = self.server.tally();
        usize::try_from(tally.allocations_made - tally.allocations_ended).expect("few")
    }

    /// The relayed addresses that have a socket.
    pub(crate) fn relayed(&self) -> impl Iterator<Item = SocketAddr> {
        self.sockets.keys().copied()
    }

    /// How many allocations and reservations are counted against the quotas of all users.
    pub(crate) fn claimed(&self) -> usize {
        self.shared.0.borrow().claimed.values().sum()
    }

    /// How many relayed addresses are reserved; as many ports are held.
    pub(crate) fn reserved(&self) -> usize {
        let reserved = self.shared.0.borrow().reservations.len();
        assert_eq!(self.held.len(), reserved, "a port for every reservation");
        reserved
    }

    /// How many relayed addresses the process can be reached at.
    pub(crate) fn reachable(&self) -> usize {
        self.shared.0.borrow().reachable.len()
    }

    /// Does what the server wants done with sockets, and gives its answers.
    fn carry_out(&mut self) -> Vec<Sent> {
        while let Some(action) = self.server.poll_action() {
            match action {
                Action::Bind {
                    allocation,
                    address,
                    port,
                } => {
                    let port = self.bind(allocation, address, port).ok_or(BindFailed);
                    self.server
                        .handle_bound(allocation, address, port, self.now);
                }
                Action::Unbind { relayed, .. } => {
                    self.sockets.remove(&relayed).expect("bound before");
                }
                Action::Tcp(action) => panic!("nobody has asked for {action:?}"),
                Action::Release { relayed } => {
                    assert!(self.held.remove(&relayed), "held before");
                }
            }
        }
        let mut buffer = [0xee; 1_500];
        let mut answers = Vec::new();
        while let Some(transmit) = self.server.poll_transmit(&mut buffer) {
            answers.push(Sent::Answer {
                client: transmit.client,
                bytes: buffer[..transmit.length].to_vec(),
            });
        }
        answers
    }

    fn bind(&mut self, allocation: AllocationId, ip: IpAddr, wanted: WantedPort) -> Option<u16> {
        let free = |port: u16| {
            let relayed = SocketAddr::new(ip, port);
            self.ports.contains(&port)
                && !self.sockets.contains_key(&relayed)
                && !self.held.contains(&relayed)
        };
        let even = |port: &u16| port.is_multiple_of(2) && free(*port);
        let mut ports = self.ports.clone();
        let port = match wanted {
            WantedPort::Any => ports.find(|&port| free(port)),
            WantedPort::Even => ports.find(even),
            WantedPort::EvenAndNext => ports.find(|port| even(port) && free(port + 1)),
            WantedPort::Reserved(port) => {
                assert!(self.held.remove(&SocketAddr::new(ip, port)), "held before");
                Some(port)
            }
        }?;
        if wanted == WantedPort::EvenAndNext {
            self.held.insert(SocketAddr::new(ip, port + 1));
        }
        self.sockets.insert(SocketAddr::new(ip, port), allocation);
        Some(port)
    }

    /// The relayed address of `allocation` that has the family of `peer`.
    fn socket(&self, allocation: AllocationId, peer: SocketAddr) -> Option<SocketAddr> {
        let all = self.sockets.iter();
        let mut own = all.filter(|&(_, &id)| id == allocation);
        own.find(|(relayed, _)| relayed.is_ipv4() == peer.is_ipv4())
            .map(|(&relayed, _)| relayed)
    }
}

fn data(client: FiveTuple, header: Header, payload: &[u8]) -> Sent {
    let length = u16::try_from(payload.len()).expect("no longer than a datagram");
    let header = header.encode(length);
    let mut bytes = [header.as_bytes(), payload].concat();
    bytes.resize(bytes.len() + header.padding, 0);
    Sent::Data { client, bytes }
}
