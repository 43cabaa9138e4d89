//! A TURN server with allocations, without sockets.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use peerage::auth::{Key, RelayCredentials, Secret};
use peerage::stun::{
    Attribute, ChannelNumber, Class, Integrity, Message, Method, PasswordAlgorithm, TransactionId,
    Writer,
};
use peerage::time::{Instant, Now};
use peerage::turn::{
    Action, AllocationId, Config, FiveTuple, Machine, PeerPolicy, QuotaReached, Reachable,
    RelayAddress, Reservation, ReservationToken, Server, SharedMeter, Siblings, Transport,
};

const REALM: &str = "example.org";
const USER: (&str, &str) = ("alice", "alice's password");

/// Where relayed addresses are.
const RELAY: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 9);

/// A public address: it is relayed to.
pub(crate) const PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(8, 8, 4, 4)), 5_000);

/// Who is bound to the first channel of every client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peers {
    /// [`PEER`], for all.
    Outside,
    /// Two clients are each other's.
    EachOther,
}

/// One worker without limits: what stands behind each relayed port.
#[derive(Default)]
pub(crate) struct Alone(RefCell<Vec<Option<Arc<Reachable>>>>);

impl Siblings for Alone {
    fn claim(&self, _username: &str) -> Result<(), QuotaReached> {
        Ok(())
    }

    fn release(&self, _username: &str) {}

    fn meter_of(&self, _username: &str) -> Option<Arc<dyn SharedMeter>> {
        None
    }

    fn admit_peers(&self, _username: &str, _count: u32, _now: Instant) -> bool {
        true
    }

    fn own(&self, _client: FiveTuple) {}

    fn disown(&self, _client: FiveTuple) {}

    fn hold(&self, _token: ReservationToken, _reservation: Reservation) -> bool {
        false
    }

    fn redeem(&self, _token: ReservationToken) -> Option<Reservation> {
        None
    }

    fn publish(&self, relayed: SocketAddr, reachable: Option<Arc<Reachable>>) {
        let mut ports = self.0.borrow_mut();
        ports.resize(usize::from(u16::MAX) + 1, None);
        ports[usize::from(relayed.port())] = reachable;
    }

    fn reach<R>(&self, relayed: SocketAddr, look: impl FnOnce(&Reachable) -> R) -> Option<R> {
        let ports = self.0.borrow();
        ports.get(usize::from(relayed.port()))?.as_deref().map(look)
    }
}

pub(crate) struct Loaded {
    pub(crate) server: Server<RelayCredentials, Alone>,
    pub(crate) clients: Vec<(FiveTuple, AllocationId)>,
    pub(crate) now: Now,
}

impl Loaded {
    /// A server whose clients all have the first channel bound.
    pub(crate) fn new(allocations: u32, peers: Peers) -> Self {
        let own = IpAddr::V4(RELAY);
        let relay = RelayAddress {
            bound: own,
            advertised: own,
        };
        let config = Config {
            realm: REALM.to_owned(),
            policy: PeerPolicy::new(vec![relay], Machine::default(), vec![]),
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
        let credentials = RelayCredentials::new(REALM).with_user(USER.0, &Secret::new(USER.1));
        let mut this = Self {
            server: Server::new(config, credentials, Alone::default()),
            clients: Vec::new(),
            now: Now::default().after(Duration::from_secs(1_000_000)),
        };
        for number in 0..allocations {
            this.allocate(number);
        }
        for number in 0..this.clients.len() {
            let peer = match peers {
                Peers::Outside => PEER,
                Peers::EachOther => relayed(number ^ 1),
            };
            this.bind(number, peer);
        }
        this
    }

    fn bind(&mut self, number: usize, peer: SocketAddr) {
        let (client, _) = self.clients[number];
        let nonce = self.ask(client, None, Method::CHANNEL_BIND, peer).1;
        self.ask(client, Some(&nonce), Method::CHANNEL_BIND, peer);
    }

    fn allocate(&mut self, number: u32) {
        let ip = Ipv4Addr::from_bits(0x5000_0000 + number);
        let client = FiveTuple {
            client: SocketAddr::from((ip, 40_000)),
            server: "198.51.100.9:3478".parse().expect("an address"),
            transport: Transport::Udp,
        };
        let nonce = self.ask(client, None, Method::ALLOCATE, PEER).1;
        let (allocation, _) = self.ask(client, Some(&nonce), Method::ALLOCATE, PEER);
        let allocation = allocation.expect("a request with credentials is granted");
        self.clients.push((client, allocation));
    }

    /// A request; gives the allocation that was made, if one was, and the answer's nonce.
    fn ask(
        &mut self,
        client: FiveTuple,
        nonce: Option<&[u8]>,
        method: Method,
        peer: SocketAddr,
    ) -> (Option<AllocationId>, Vec<u8>) {
        let mut buffer = [0; 1_500];
        let length = request(&mut buffer, method, peer, nonce);
        self.server
            .handle_client(client, &buffer[..length], self.now);
        let mut made = None;
        while let Some(action) = self.server.poll_action() {
            if let Action::Bind {
                allocation,
                address,
                ..
            } = action
            {
                made = Some(allocation);
                let port = relayed(self.clients.len()).port();
                self.server
                    .handle_bound(allocation, address, Ok(port), self.now);
            }
        }
        let answer = self.server.poll_transmit(&mut buffer).expect("an answer");
        let answer = Message::parse(&buffer[..answer.length]).expect("well formed");
        let is_right = (answer.class() == Class::Success) == nonce.is_some();
        assert!(is_right, "the server plays along");
        (
            made,
            answer.find(Attribute::NONCE).unwrap_or_default().to_vec(),
        )
    }
}

/// The relayed address of the client of this number.
fn relayed(number: usize) -> SocketAddr {
    SocketAddr::from((RELAY, 50_000 + number as u16))
}

/// A request of [`USER`] as a client writes it; gives its length.
pub(crate) fn request(
    buffer: &mut [u8],
    method: Method,
    peer: SocketAddr,
    nonce: Option<&[u8]>,
) -> usize {
    let mut writer = Writer::new(buffer, Class::Request, method, TransactionId([9; 12]));
    if method == Method::CHANNEL_BIND {
        writer.u32(
            Attribute::CHANNEL_NUMBER,
            u32::from(ChannelNumber::MIN) << 16,
        );
        writer.xor_address(Attribute::XOR_PEER_ADDRESS, peer);
    } else {
        writer.u32(Attribute::REQUESTED_TRANSPORT, 17 << 24);
    }
    if let Some(nonce) = nonce {
        writer.text(Attribute::USERNAME, USER.0);
        writer.text(Attribute::REALM, REALM);
        writer.attribute(Attribute::NONCE, nonce);
        writer.integrity(Integrity::Sha1, key().as_bytes());
    }
    writer.finish().expect("it fits")
}

pub(crate) fn key() -> Key {
    Key::new(PasswordAlgorithm::Md5, USER.0, REALM, USER.1)
}
