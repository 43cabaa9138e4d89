//! A world for the tests of the server: virtual time, clients that sign as they should or not,
//! and relay sockets that are only numbers.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::route::{Destination, Header};
use super::{
    Action, AllocationId, BindFailed, Config, ConnectFailed, ConnectionId, FiveTuple, Icmp,
    Machine, NoConnection, Party, PeerPolicy, QuotaReached, Reachable, RelayAddress, Reservation,
    ReservationToken, Server, SharedMeter, Siblings, TcpAction, Transport, WantedPort,
};
use crate::auth::{Key, RelayCredentials, Secret, TimeLimited, userhash};
use crate::stun::{
    Attribute, Class, Family, Integrity, Message, Method, PasswordAlgorithm, TransactionId, Writer,
    decode_xor_address,
};
use crate::time::{Instant, Now};

pub(super) const REALM: &str = "example.org";
pub(super) const SECRET: &str = "north";

pub(super) fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// What leaves a relayed address: where to, and the bytes.
pub(super) type Relayed = (SocketAddr, Vec<u8>);

fn relay(ip: &str) -> RelayAddress {
    let ip = ip.parse().expect("an address");
    RelayAddress {
        bound: ip,
        advertised: ip,
    }
}

/// What the servers of a process share.
#[derive(Clone, Debug, Default)]
pub(super) struct Shared(Rc<RefCell<SharedState>>);

#[derive(Debug, Default)]
pub(super) struct SharedState {
    reachable: BTreeMap<SocketAddr, Arc<Reachable>>,
    claimed: BTreeMap<String, usize>,
    /// How many new peers a user may still have, where there is a limit.
    new_peers: BTreeMap<String, u32>,
    quota: Option<usize>,
    capacity: Option<usize>,
    owned: BTreeSet<FiveTuple>,
    reservations: BTreeMap<ReservationToken, Reservation>,
    no_reservations: bool,
    meters: BTreeMap<String, Arc<dyn SharedMeter>>,
    /// Relayed addresses for TCP.
    listening: BTreeSet<SocketAddr>,
    /// To whom these belong.
    listeners: BTreeMap<SocketAddr, Arc<dyn Party>>,
    /// Of users, where they do not talk to everybody.
    parties: BTreeMap<String, Arc<dyn Party>>,
    connections: BTreeSet<ConnectionId>,
    no_connections: bool,
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

/// A client as the tests see it; each field may be spoilt.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) five_tuple: FiveTuple,
    pub(super) username: String,
    pub(super) password: String,
    pub(super) nonce: Option<Vec<u8>>,
    /// `None`: a client that knows no password algorithms.
    pub(super) algorithm: Option<PasswordAlgorithm>,
    pub(super) integrity: Integrity,
    /// Whether it sends USERHASH in place of USERNAME.
    pub(super) is_anonymous: bool,
    /// Once it has an allocation.
    pub(super) relayed: SocketAddr,
}

impl Client {
    pub(super) fn key(&self) -> Key {
        let algorithm = self.algorithm.unwrap_or(PasswordAlgorithm::Md5);
        Key::new(algorithm, &self.username, REALM, &self.password)
    }

    fn sign(&self, writer: &mut Writer<'_>) {
        if self.is_anonymous {
            writer.attribute(Attribute::USERHASH, &userhash(&self.username, REALM));
        } else {
            writer.text(Attribute::USERNAME, &self.username);
        }
        writer.text(Attribute::REALM, REALM);
        if let Some(nonce) = &self.nonce {
            writer.attribute(Attribute::NONCE, nonce);
        }
        if let Some(algorithm) = self.algorithm {
            writer.attribute(Attribute::PASSWORD_ALGORITHMS, &PasswordAlgorithm::ALL);
            writer.attribute(Attribute::PASSWORD_ALGORITHM, &algorithm.value());
        }
        writer.integrity(self.integrity, self.key().as_bytes());
    }
}

pub(super) struct World {
    pub(super) server: Server<RelayCredentials, Shared>,
    shared: Shared,
    now: Now,
    sockets: BTreeMap<SocketAddr, AllocationId>,
    /// Addresses that are bound and reserved.
    held: BTreeSet<SocketAddr>,
    clients: u16,
    transactions: u64,
    /// For which families no socket can be bound.
    fail_binds: Vec<Family>,
    /// What was wanted for TCP allocations beside listeners.
    wanted: Vec<TcpAction>,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    /// A world whose relayed addresses have no sockets.
    pub(super) fn portless() -> Self {
        Self::with(|config| config.portless = true)
    }

    /// A world whose relayed addresses are on these.
    pub(super) fn on(relay_addresses: &[&str]) -> Self {
        let relay = relay_addresses.iter().map(|ip| relay(ip)).collect();
        Self::with(|config| config.policy = PeerPolicy::new(relay, Machine::default(), vec![]))
    }

    /// The same world, in which account is kept.
    pub(super) fn recording(mut self) -> Self {
        self.server = self.server.with_records();
        self
    }

    /// A world with another configuration.
    pub(super) fn with(adapt: impl FnOnce(&mut Config)) -> Self {
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
    pub(super) fn relaying_tcp() -> Self {
        let mut world = Self::new();
        world.server = world.server.with_tcp_relay();
        world
    }

    /// A new client with the password `<name>'s` and a fresh nonce.
    pub(super) fn client(&mut self, username: &str) -> Client {
        let mut client = self.anybody(username);
        client.nonce = self.nonce(&client);
        client
    }

    /// A new client with the password `<name>'s` that has said nothing so far.
    pub(super) fn anybody(&mut self, username: &str) -> Client {
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
    pub(super) fn time_limited_client(&mut self, name: &str, seconds: u64) -> Client {
        let lifetime = Duration::from_secs(seconds);
        let minted = TimeLimited::mint(&Secret::new(SECRET), name, lifetime, self.now);
        let mut client = self.client("");
        client.username = minted.username;
        client.password = minted.password.expose().to_owned();
        client
    }

    /// A client with an allocation.
    pub(super) fn allocated(&mut self, username: &str) -> Client {
        let mut client = self.client(username);
        client.relayed = self.allocate(&client).expect("allocated");
        client
    }

    /// A client with an allocation of an IPv6 address.
    pub(super) fn allocated_v6(&mut self, username: &str) -> Client {
        let mut client = self.client(username);
        let v6 = [(Attribute::REQUESTED_ADDRESS_FAMILY, &[2, 0, 0, 0][..])];
        let granted = self.allocate_with(&client, &v6).expect("allocated");
        client.relayed = granted.relayed[0];
        client
    }

    /// The nonce of a fresh challenge.
    pub(super) fn nonce(&mut self, client: &Client) -> Option<Vec<u8>> {
        let answer = self.unsigned(client, Method::ALLOCATE)?;
        let message = Message::parse(&answer).expect("well formed");
        message.find(Attribute::NONCE).map(<[u8]>::to_vec)
    }

    pub(super) fn pass(&mut self, seconds: u64) {
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
    pub(super) fn set_meter(&mut self, username: &str, meter: impl SharedMeter + 'static) {
        let meters = &mut self.shared.0.borrow_mut().meters;
        meters.insert(username.to_owned(), Arc::new(meter));
    }

    /// From now on, new allocations of this user belong to `party`.
    pub(super) fn set_party(&mut self, username: &str, party: impl Party + 'static) {
        let parties = &mut self.shared.0.borrow_mut().parties;
        parties.insert(username.to_owned(), Arc::new(party));
    }

    pub(super) fn set_quota(&mut self, quota: usize) {
        self.shared.0.borrow_mut().quota = Some(quota);
    }

    /// From now on, `username` may have so many new peers.
    pub(super) fn set_new_peers(&mut self, username: &str, count: u32) {
        let new_peers = &mut self.shared.0.borrow_mut().new_peers;
        new_peers.insert(username.to_owned(), count);
    }

    pub(super) fn set_capacity(&mut self, capacity: usize) {
        self.shared.0.borrow_mut().capacity = Some(capacity);
    }

    /// From now on, no socket of these families can be bound.
    pub(super) fn fail_binds(&mut self, families: &[Family]) {
        self.fail_binds = families.to_vec();
    }

    /// From now on, there is room for connections to peers, or none.
    pub(super) fn refuse_connections(&mut self, refuse: bool) {
        self.shared.0.borrow_mut().no_connections = refuse;
    }

    /// From now on, there is room for reservations, or none.
    pub(super) fn refuse_reservations(&mut self, refuse: bool) {
        self.shared.0.borrow_mut().no_reservations = refuse;
    }

    /// What must be nothing when nobody is served: bound and held sockets, quota in use, owned
    /// five-tuples, and what stands behind relayed addresses.
    pub(super) fn left_behind(&self) -> usize {
        let state = self.shared.0.borrow();
        let claimed: usize = state.claimed.values().sum();
        let kept = state.owned.len() + state.reachable.len() + state.reservations.len();
        let for_tcp = state.listening.len() + state.listeners.len() + state.connections.len();
        self.sockets.len() + self.held.len() + claimed + kept + for_tcp
    }

    /// Fixes the transaction id of the next request.
    pub(super) fn transaction(&mut self, number: u64) {
        self.transactions = number;
    }

    pub(super) fn allocations(&self) -> u64 {
        let tally = self.server.tally();
        tally.allocations_made - tally.allocations_ended
    }

    pub(super) fn bound_sockets(&self) -> usize {
        self.sockets.len()
    }

    /// Does what the server wants done with sockets.
    fn carry_out(&mut self) {
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
    pub(super) fn deliver(
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
    pub(super) fn probe(
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
    pub(super) fn told(&mut self) -> Vec<(FiveTuple, Vec<u8>)> {
        let mut buffer = [0xee; 1_500];
        let mut told = Vec::new();
        while let Some(transmit) = self.server.poll_transmit(&mut buffer) {
            told.push((transmit.client, buffer[..transmit.length].to_vec()));
        }
        told
    }

    /// What was wanted for TCP allocations beside listeners since the last call.
    pub(super) fn wanted(&mut self) -> Vec<TcpAction> {
        std::mem::take(&mut self.wanted)
    }

    /// What becomes of a connection to a peer that was wanted.
    pub(super) fn connected(&mut self, connection: ConnectionId, is_there: bool) {
        let outcome = is_there.then_some(()).ok_or(ConnectFailed);
        self.server.handle_connected(connection, outcome, self.now);
        self.carry_out();
    }

    /// A peer connects to a client's relayed address.
    pub(super) fn peer_connects(
        &mut self,
        client: &Client,
        peer: SocketAddr,
    ) -> Option<ConnectionId> {
        let id = *self.sockets.get(&client.relayed).expect("bound");
        self.server.handle_peer_connection(id, peer, self.now)
    }

    /// Whether the relayed address of a client is still there.
    pub(super) fn is_bound(&self, client: &Client) -> bool {
        self.sockets.contains_key(&client.relayed)
    }

    /// How many connections to peers are claimed.
    pub(super) fn claimed_connections(&self) -> usize {
        self.shared.0.borrow().connections.len()
    }

    /// A client with a TCP allocation.
    pub(super) fn allocated_for_tcp(&mut self, username: &str) -> Client {
        let mut client = self.connected_client(username);
        client.relayed = self.allocate_tcp(&client, &[]).expect("allocated");
        client
    }

    /// A new client over TCP.
    pub(super) fn connected_client(&mut self, username: &str) -> Client {
        let mut client = self.anybody(username);
        client.five_tuple.transport = Transport::Tcp;
        client.nonce = self.nonce(&client);
        client
    }

    pub(super) fn allocate_tcp(
        &mut self,
        client: &Client,
        attributes: &[(Attribute, &[u8])],
    ) -> Result<SocketAddr, u16> {
        let answer = self.request(client, Method::ALLOCATE, |writer| {
            writer.attribute(Attribute::REQUESTED_TRANSPORT, &[6, 0, 0, 0]);
            for (kind, value) in attributes {
                writer.attribute(*kind, value);
            }
        });
        let answer = answer.expect("an answer");
        Self::code(&answer)?;
        let granted = Granted::read(&answer);
        assert_eq!(granted.token, None);
        Ok(granted.relayed[0])
    }

    /// A Connect request; its answer may come later.
    pub(super) fn connect(&mut self, client: &Client, peer: SocketAddr) -> Option<Result<(), u16>> {
        let answer = self.request(client, Method::CONNECT, |writer| {
            writer.xor_address(Attribute::XOR_PEER_ADDRESS, peer);
        });
        answer.map(|answer| Self::code(&answer))
    }

    /// A ConnectionBind request.
    pub(super) fn bind_connection(
        &mut self,
        client: &Client,
        connection: ConnectionId,
    ) -> Result<(), u16> {
        let answer = self.request(client, Method::CONNECTION_BIND, |writer| {
            writer.attribute(Attribute::CONNECTION_ID, &connection.0);
        });
        Self::code(&answer.expect("an answer"))
    }

    fn next_transaction(&mut self) -> TransactionId {
        let mut id = [0; 12];
        id[4..].copy_from_slice(&self.transactions.to_be_bytes());
        self.transactions += 1;
        TransactionId(id)
    }

    /// A request without credentials.
    pub(super) fn unsigned(&mut self, client: &Client, method: Method) -> Option<Vec<u8>> {
        let mut buffer = [0; 1_500];
        let writer = Writer::new(&mut buffer, Class::Request, method, self.next_transaction());
        let length = writer.finish().expect("it fits");
        self.deliver(client.five_tuple, &buffer[..length]).1
    }

    /// A signed request with some attributes.
    pub(super) fn request(
        &mut self,
        client: &Client,
        method: Method,
        fill: impl FnOnce(&mut Writer<'_>),
    ) -> Option<Vec<u8>> {
        let request = self.signed(client, method, fill);
        self.deliver(client.five_tuple, &request).1
    }

    /// All that anybody is told after a signed request.
    pub(super) fn request_that_tells_many(
        &mut self,
        client: &Client,
        method: Method,
        fill: impl FnOnce(&mut Writer<'_>),
    ) -> Vec<(FiveTuple, Vec<u8>)> {
        let request = self.signed(client, method, fill);
        self.server
            .handle_client(client.five_tuple, &request, self.now);
        self.carry_out();
        self.told()
    }

    fn signed(
        &mut self,
        client: &Client,
        method: Method,
        fill: impl FnOnce(&mut Writer<'_>),
    ) -> Vec<u8> {
        let mut buffer = [0; 1_500];
        let mut writer = Writer::new(&mut buffer, Class::Request, method, self.next_transaction());
        fill(&mut writer);
        client.sign(&mut writer);
        let length = writer.finish().expect("it fits");
        buffer[..length].to_vec()
    }

    /// The outcome in an answer.
    pub(super) fn code(answer: &[u8]) -> Result<(), u16> {
        let message = Message::parse(answer).expect("well formed");
        match message.find(Attribute::ERROR_CODE) {
            Some(value) => Err(u16::from(value[2]) * 100 + u16::from(value[3])),
            None => Ok(()),
        }
    }

    pub(super) fn allocate(&mut self, client: &Client) -> Result<SocketAddr, u16> {
        let answer = self.request(client, Method::ALLOCATE, |writer| {
            writer.attribute(Attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
        });
        let answer = answer.expect("an answer");
        Self::code(&answer)?;
        let message = Message::parse(&answer).expect("well formed");
        let relayed = message
            .find_xor_address(Attribute::XOR_RELAYED_ADDRESS)
            .expect("there");
        Ok(relayed.expect("an address"))
    }

    /// Allocates with these attributes beside REQUESTED-TRANSPORT.
    pub(super) fn allocate_with(
        &mut self,
        client: &Client,
        attributes: &[(Attribute, &[u8])],
    ) -> Result<Granted, u16> {
        let answer = self.request(client, Method::ALLOCATE, |writer| {
            writer.attribute(Attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
            for (kind, value) in attributes {
                writer.attribute(*kind, value);
            }
        });
        let answer = answer.expect("an answer");
        Self::code(&answer)?;
        Ok(Granted::read(&answer))
    }

    pub(super) fn refresh(&mut self, client: &Client, lifetime: Option<u32>) -> Result<u32, u16> {
        let answer = self.request(client, Method::REFRESH, |writer| {
            if let Some(lifetime) = lifetime {
                writer.u32(Attribute::LIFETIME, lifetime);
            }
        });
        let answer = answer.expect("an answer");
        Self::code(&answer)?;
        let message = Message::parse(&answer).expect("well formed");
        Ok(message.find_u32(Attribute::LIFETIME).expect("there"))
    }

    /// Ends the allocation of a client.
    pub(super) fn release(&mut self, client: &Client) {
        assert_eq!(self.refresh(client, Some(0)), Ok(0));
    }

    pub(super) fn create_permission(
        &mut self,
        client: &Client,
        peers: &[SocketAddr],
    ) -> Result<(), u16> {
        let answer = self.request(client, Method::CREATE_PERMISSION, |writer| {
            for &peer in peers {
                writer.xor_address(Attribute::XOR_PEER_ADDRESS, peer);
            }
        });
        Self::code(&answer.expect("an answer"))
    }

    pub(super) fn permit(&mut self, client: &Client, peer: SocketAddr) {
        assert_eq!(self.create_permission(client, &[peer]), Ok(()));
    }

    pub(super) fn try_bind_channel(
        &mut self,
        client: &Client,
        number: u16,
        peer: SocketAddr,
    ) -> Result<(), u16> {
        let answer = self.request(client, Method::CHANNEL_BIND, |writer| {
            writer.u32(Attribute::CHANNEL_NUMBER, u32::from(number) << 16);
            writer.xor_address(Attribute::XOR_PEER_ADDRESS, peer);
        });
        Self::code(&answer.expect("an answer"))
    }

    pub(super) fn bind_channel(&mut self, client: &Client, number: u16, peer: SocketAddr) {
        assert_eq!(self.try_bind_channel(client, number, peer), Ok(()));
    }

    /// A Send indication: what leaves the relayed address, and where to.
    pub(super) fn send(
        &mut self,
        client: &Client,
        peer: SocketAddr,
        data: &[u8],
    ) -> Option<Relayed> {
        let mut buffer = [0; 1_500];
        let id = self.next_transaction();
        let mut writer = Writer::new(&mut buffer, Class::Indication, Method::SEND, id);
        writer.xor_address(Attribute::XOR_PEER_ADDRESS, peer);
        writer.attribute(Attribute::DATA, data);
        let length = writer.finish().expect("it fits");
        self.deliver(client.five_tuple, &buffer[..length]).0
    }

    /// ChannelData: what leaves the relayed address, and where to.
    pub(super) fn channel(&mut self, client: &Client, number: u16, data: &[u8]) -> Option<Relayed> {
        let length = u16::try_from(data.len()).expect("short");
        let datagram = [&number.to_be_bytes(), &length.to_be_bytes(), data].concat();
        self.deliver(client.five_tuple, &datagram).0
    }

    /// What `client` gets when a datagram that it had relayed to `peer` brings `icmp`.
    pub(super) fn icmp(
        &mut self,
        client: &Client,
        peer: SocketAddr,
        icmp: Icmp,
    ) -> Option<(FiveTuple, Vec<u8>)> {
        let id = *self.sockets.get(&client.relayed).expect("bound");
        self.server.handle_icmp(id, peer, icmp, self.now);
        let mut buffer = [0xee; 1_500];
        let transmit = self.server.poll_transmit(&mut buffer)?;
        Some((transmit.client, buffer[..transmit.length].to_vec()))
    }

    /// How many indications wait after `count` such messages; they are taken out.
    pub(super) fn icmp_flood(
        &mut self,
        client: &Client,
        peer: SocketAddr,
        icmp: Icmp,
        count: usize,
    ) -> usize {
        let id = *self.sockets.get(&client.relayed).expect("bound");
        for _ in 0..count {
            self.server.handle_icmp(id, peer, icmp, self.now);
        }
        let mut buffer = [0xee; 1_500];
        std::iter::from_fn(|| self.server.poll_transmit(&mut buffer)).count()
    }

    /// A peer's datagram at a client's relayed address: what the client gets.
    pub(super) fn at_relayed(
        &mut self,
        client: &Client,
        peer: SocketAddr,
        data: &[u8],
    ) -> Option<(FiveTuple, Vec<u8>)> {
        let id = *self.sockets.get(&client.relayed).expect("bound");
        let route = self.server.handle_peer(id, peer, data.len(), self.now)?;
        Some((route.client, with_header(route.header, data)))
    }
}

/// What an Allocate success says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Granted {
    pub(super) relayed: Vec<SocketAddr>,
    /// The value of ADDRESS-ERROR-CODE: family and code.
    pub(super) refused: Option<(u8, u16)>,
    pub(super) token: Option<Vec<u8>>,
    pub(super) lifetime: Option<u32>,
}

impl Granted {
    fn read(answer: &[u8]) -> Self {
        let message = Message::parse(answer).expect("well formed");
        let id = message.transaction_id();
        let all = message.attributes();
        let relayed = all.filter(|(kind, _)| *kind == Attribute::XOR_RELAYED_ADDRESS);
        let refused = message.find(Attribute::ADDRESS_ERROR_CODE);
        Self {
            relayed: relayed
                .map(|(_, value)| decode_xor_address(value, id).expect("an address"))
                .collect(),
            refused: refused
                .map(|value| (value[0], u16::from(value[2]) * 100 + u16::from(value[3]))),
            token: message
                .find(Attribute::RESERVATION_TOKEN)
                .map(<[u8]>::to_vec),
            lifetime: message.find_u32(Attribute::LIFETIME),
        }
    }
}

/// What arrives at a client.
fn with_header(header: Header, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).expect("short");
    let header = header.encode(length);
    let mut bytes = [header.as_bytes(), payload].concat();
    bytes.resize(bytes.len() + header.padding, 0);
    bytes
}
