//! The server, its time, and relay sockets that are only numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::client::{Client, REALM};
use super::shared::Shared;
use crate::auth::{RelayCredentials, Secret, TimeLimited};
use crate::stun::{Attribute, Family, Integrity, Message, Method};
use crate::time::Now;
use crate::turn::route::{Destination, Header};
use crate::turn::{
    Action, AllocationId, BindFailed, Config, FiveTuple, Machine, Party, PeerPolicy, RelayAddress,
    Server, SharedMeter, TcpAction, Transport, WantedPort,
};

pub(crate) const SECRET: &str = "north";

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// What leaves a relayed address: where to, and the bytes.
pub(crate) type Relayed = (SocketAddr, Vec<u8>);

fn relay(ip: &str) -> RelayAddress {
    let ip = ip.parse().expect("an address");
    RelayAddress {
        bound: ip,
        advertised: ip,
    }
}

pub(crate) struct World {
    pub(crate) server: Server<RelayCredentials, Shared>,
    pub(crate) shared: Shared,
    pub(crate) now: Now,
    pub(crate) sockets: BTreeMap<SocketAddr, AllocationId>,
    /// Addresses that are bound and reserved.
    held: BTreeSet<SocketAddr>,
    clients: u16,
    pub(crate) transactions: u64,
    /// For which families no socket can be bound.
    fail_binds: Vec<Family>,
    /// What was wanted for TCP allocations beside listeners.
    pub(crate) wanted: Vec<TcpAction>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// A world whose relayed addresses have no sockets.
    pub(crate) fn portless() -> Self {
        Self::with(|config| config.portless = true)
    }

    /// A world whose relayed addresses are on these.
    pub(crate) fn on(relay_addresses: &[&str]) -> Self {
        let relay = relay_addresses.iter().map(|ip| relay(ip)).collect();
        Self::with(|config| config.policy = PeerPolicy::new(relay, Machine::default(), vec![]))
    }

    /// The same world, in which account is kept.
    pub(crate) fn recording(mut self) -> Self {
        self.server = self.server.with_records();
        self
    }

    /// A world with another configuration.
    pub(crate) fn with(adapt: impl FnOnce(&mut Config)) -> Self {
        let shared = Shared::default();
        let mut config = Config {
            realm: REALM.to_owned(),
            policy: PeerPolicy::new(
                vec![relay("198.51.100.9"), relay("2001:db8::9")],
                Machine::default(),
                vec![],
            )
            .with_listeners(vec![address("198.51.100.9:3478")]),
            portless: false,
            unauthenticated_rate: 0,
            max_bandwidth_per_allocation: 0,
            strict_expiry: false,
            mobility_key: None,
            nonce_keys: vec![[1; 32]],
            username_anonymity: false,
            alternate_servers: vec![],
            nat_discovery: None,
            seed: 7,
        };
        adapt(&mut config);
        let credentials = RelayCredentials::new(REALM)
            .with_secret(Secret::new(SECRET))
            .with_user("alice", &Secret::new("alice's"))
            .with_user("bob", &Secret::new("bob's"))
            .with_user("carol", &Secret::new("carol's"));
        Self {
            server: Server::new(config, credentials, shared.clone()),
            shared,
            now: Now {
                unix: Duration::from_secs(1_800_000_000),
                ..Now::default()
            },
            sockets: BTreeMap::new(),
            held: BTreeSet::new(),
            clients: 0,
            transactions: 1_000,
            fail_binds: Vec::new(),
            wanted: Vec::new(),
        }
    }

    /// A world in which there are TCP allocations.
    pub(crate) fn relaying_tcp() -> Self {
        let mut world = Self::new();
        world.server = world.server.with_tcp_relay();
        world
    }

    /// A new client with the password `<name>'s` and a fresh nonce.
    pub(crate) fn client(&mut self, username: &str) -> Client {
        let mut client = self.anybody(username);
        client.nonce = self.nonce(&client);
        client
    }

    /// A new client with the password `<name>'s` that has said nothing so far.
    pub(crate) fn anybody(&mut self, username: &str) -> Client {
        self.clients += 1;
        Client {
            five_tuple: FiveTuple {
                client: SocketAddr::from(([203, 0, 113, 1], 10_000 + self.clients)),
                server: address("198.51.100.9:3478"),
                transport: Transport::Udp,
            },
            username: username.to_owned(),
            password: format!("{username}'s"),
            nonce: None,
            algorithm: None,
            integrity: Integrity::Sha1,
            is_anonymous: false,
            relayed: address("0.0.0.0:0"),
        }
    }

    /// A new client whose credentials end after `seconds`.
    pub(crate) fn time_limited_client(&mut self, name: &str, seconds: u64) -> Client {
        let lifetime = Duration::from_secs(seconds);
        let minted = TimeLimited::mint(&Secret::new(SECRET), name, lifetime, self.now);
        let mut client = self.client("");
        client.username = minted.username;
        client.password = minted.password.expose().to_owned();
        client
    }

    /// A client with an allocation.
    pub(crate) fn allocated(&mut self, username: &str) -> Client {
        let mut client = self.client(username);
        client.relayed = self.allocate(&client).expect("allocated");
        client
    }

    /// A client with an allocation of an IPv6 address.
    pub(crate) fn allocated_v6(&mut self, username: &str) -> Client {
        let mut client = self.client(username);
        let v6 = [(Attribute::REQUESTED_ADDRESS_FAMILY, &[2, 0, 0, 0][..])];
        let granted = self.allocate_with(&client, &v6).expect("allocated");
        client.relayed = granted.relayed[0];
        client
    }

    /// The nonce of a fresh challenge.
    pub(crate) fn nonce(&mut self, client: &Client) -> Option<Vec<u8>> {
        let answer = self.unsigned(client, Method::ALLOCATE)?;
        let message = Message::parse(&answer).expect("well formed");
        message.find(Attribute::NONCE).map(<[u8]>::to_vec)
    }

    pub(crate) fn pass(&mut self, seconds: u64) {
        self.now = self.now.after(Duration::from_secs(seconds));
        if self
            .server
            .poll_timeout()
            .is_some_and(|at| at <= self.now.instant)
        {
            self.server.handle_timeout(self.now);
        }
        self.carry_out();
    }

    /// From now on, what new allocations of this user relay is measured.
    pub(crate) fn set_meter(&mut self, username: &str, meter: impl SharedMeter + 'static) {
        let meters = &mut self.shared.0.borrow_mut().meters;
        meters.insert(username.to_owned(), Arc::new(meter));
    }

    /// From now on, new allocations of this user belong to `party`.
    pub(crate) fn set_party(&mut self, username: &str, party: impl Party + 'static) {
        let parties = &mut self.shared.0.borrow_mut().parties;
        parties.insert(username.to_owned(), Arc::new(party));
    }

    pub(crate) fn set_quota(&mut self, quota: usize) {
        self.shared.0.borrow_mut().quota = Some(quota);
    }

    /// From now on, `username` may have so many new peers.
    pub(crate) fn set_new_peers(&mut self, username: &str, count: u32) {
        let new_peers = &mut self.shared.0.borrow_mut().new_peers;
        new_peers.insert(username.to_owned(), count);
    }

    pub(crate) fn set_capacity(&mut self, capacity: usize) {
        self.shared.0.borrow_mut().capacity = Some(capacity);
    }

    /// From now on, no socket of these families can be bound.
    pub(crate) fn fail_binds(&mut self, families: &[Family]) {
        self.fail_binds = families.to_vec();
    }

    /// From now on, there is room for connections to peers, or none.
    pub(crate) fn refuse_connections(&mut self, refuse: bool) {
        self.shared.0.borrow_mut().no_connections = refuse;
    }

    /// From now on, there is room for reservations, or none.
    pub(crate) fn refuse_reservations(&mut self, refuse: bool) {
        self.shared.0.borrow_mut().no_reservations = refuse;
    }

    /// What must be nothing when nobody is served: bound and held sockets, quota in use, owned
    /// five-tuples, and what stands behind relayed addresses.
    pub(crate) fn left_behind(&self) -> usize {
        let state = self.shared.0.borrow();
        let claimed: usize = state.claimed.values().sum();
        let kept = state.owned.len() + state.reachable.len() + state.reservations.len();
        let for_tcp = state.listening.len() + state.listeners.len() + state.connections.len();
        self.sockets.len() + self.held.len() + claimed + kept + for_tcp
    }

    /// Fixes the transaction id of the next request.
    pub(crate) fn transaction(&mut self, number: u64) {
        self.transactions = number;
    }

    pub(crate) fn allocations(&self) -> u64 {
        let tally = self.server.tally();
        tally.allocations_made - tally.allocations_ended
    }

    pub(crate) fn bound_sockets(&self) -> usize {
        self.sockets.len()
    }

    /// Does what the server wants done with sockets.
    pub(crate) fn carry_out(&mut self) {
        while let Some(action) = self.server.poll_action() {
            match action {
                Action::Bind {
                    allocation,
                    address,
                    port,
                } => {
                    let port = self.bind(allocation, address, port);
                    self.server
                        .handle_bound(allocation, address, port, self.now);
                }
                Action::Tcp(TcpAction::Listen {
                    allocation,
                    address,
                }) => {
                    let port = self.bind(allocation, address, WantedPort::Any);
                    self.server
                        .handle_bound(allocation, address, port, self.now);
                }
                Action::Tcp(action @ (TcpAction::Connect { .. } | TcpAction::Close { .. })) => {
                    self.wanted.push(action);
                }
                Action::Unbind { relayed, .. } | Action::Tcp(TcpAction::Unlisten { relayed }) => {
                    assert!(self.sockets.remove(&relayed).is_some(), "bound before");
                }
                Action::Release { relayed } => {
                    assert!(self.held.remove(&relayed), "held before");
                }
            }
        }
    }

    fn bind(
        &mut self,
        allocation: AllocationId,
        ip: IpAddr,
        wanted: WantedPort,
    ) -> Result<u16, BindFailed> {
        if self.fail_binds.contains(&Family::of(ip)) {
            return Err(BindFailed);
        }
        let free = |port: u16| {
            let taken = self.sockets.keys().chain(&self.held);
            !taken.into_iter().any(|relayed| relayed.port() == port)
        };
        let even = |port: &u16| port.is_multiple_of(2) && free(*port);
        let mut ports = 50_000..;
        let port = match wanted {
            WantedPort::Any => ports.find(|&port| free(port)),
            WantedPort::Even => ports.find(even),
            WantedPort::EvenAndNext => ports.find(|port| even(port) && free(port + 1)),
            WantedPort::Reserved(port) => {
                assert!(self.held.remove(&SocketAddr::new(ip, port)), "held before");
                Some(port)
            }
        };
        let port = port.expect("few");
        if wanted == WantedPort::EvenAndNext {
            self.held.insert(SocketAddr::new(ip, port + 1));
        }
        self.sockets.insert(SocketAddr::new(ip, port), allocation);
        Ok(port)
    }

    /// Gives the server a datagram; what it relays, and what it answers.
    pub(crate) fn deliver(
        &mut self,
        from: FiveTuple,
        datagram: &[u8],
    ) -> (Option<Relayed>, Option<Vec<u8>>) {
        let route = self.server.handle_client(from, datagram, self.now);
        let relayed = route.map(|route| {
            let payload = datagram[route.payload].to_vec();
            match route.to {
                Destination::Peer { peer, .. } => (peer, payload),
                Destination::Client(to) => (to.client.client, with_header(to.header, &payload)),
            }
        });
        self.carry_out();
        let mut buffer = [0xee; 1_500];
        let answer = self.server.poll_transmit(&mut buffer).map(|transmit| {
            assert_eq!(transmit.client, from);
            buffer[..transmit.length].to_vec()
        });
        assert_eq!(
            self.server.poll_transmit(&mut buffer),
            None,
            "one answer at most"
        );
        (relayed, answer)
    }

    /// Gives the server a datagram: the way of its answer, and the answer.
    pub(crate) fn probe(
        &mut self,
        from: FiveTuple,
        datagram: &[u8],
    ) -> Option<(FiveTuple, Vec<u8>)> {
        self.server.handle_client(from, datagram, self.now);
        let mut buffer = [0xee; 2_000];
        let transmit = self.server.poll_transmit(&mut buffer)?;
        Some((transmit.client, buffer[..transmit.length].to_vec()))
    }

    /// Everything that clients are told without having asked, or long after.
    pub(crate) fn told(&mut self) -> Vec<(FiveTuple, Vec<u8>)> {
        let mut buffer = [0xee; 1_500];
        let mut told = Vec::new();
        while let Some(transmit) = self.server.poll_transmit(&mut buffer) {
            told.push((transmit.client, buffer[..transmit.length].to_vec()));
        }
        told
    }
}

/// What arrives at a client.
pub(crate) fn with_header(header: Header, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).expect("short");
    let header = header.encode(length);
    let mut bytes = [header.as_bytes(), payload].concat();
    bytes.resize(bytes.len() + header.padding, 0);
    bytes
}
