//! The whole TURN server, and people who sign what they send: requests with any attributes, data
//! in every form, peers, and time that passes.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use peerage::auth::Key;
use peerage::stun::{
    Attribute, Class, Integrity, Message, Method, PasswordAlgorithm, TransactionId, Writer,
};

use super::bytes::Bytes;
use super::credentials::nonce_for;
use super::host::{Host, REALM, SERVER, Sent, Setting, USERS, five_tuple};

/// Longer than an allocation can last without a refresh.
const LONG: Duration = Duration::from_secs(3_700);

struct World {
    host: Host,
    /// Of each client, and for how many seconds more it is used.
    nonces: BTreeMap<SocketAddr, (Vec<u8>, u64)>,
    transactions: u32,
    /// The tokens of reservations, and the tickets of allocations, that answers have brought.
    tokens: Vec<Vec<u8>>,
    tickets: Vec<Vec<u8>>,
}

pub(crate) fn run(input: &[u8]) {
    let mut input = Bytes(input);
    let setting = input.u8();
    let mut world = World {
        host: Host::new(&Setting {
            quota: 3,
            ports: 50_000..=50_004,
            portless: setting & 1 == 1,
            mobile: setting & 2 == 2,
            bandwidth: u64::from(setting & 4) * 10,
            seed: 1,
        }),
        nonces: BTreeMap::new(),
        transactions: 0,
        tokens: Vec::new(),
        tickets: Vec::new(),
    };
    while !input.is_empty() {
        world.step(&mut input);
        world.check();
    }
    world.host.pass(LONG);
    world.check();
    assert_eq!((world.host.allocations(), world.host.claimed()), (0, 0));
    assert_eq!(world.host.relayed().count() + world.host.reserved(), 0);
}

impl World {
    fn step(&mut self, input: &mut Bytes<'_>) {
        let step = input.u8();
        let client = input.client();
        let sent = match step % 8 {
            0..=2 => return self.request(client, input),
            3 => {
                let indication = self.send_indication(input);
                self.host.client_sends(client, &indication)
            }
            4 => {
                let number = 0x4000 | u16::from(input.u8() % 4);
                let payload = input.short();
                let length = u16::try_from(payload.len()).expect("short");
                let (number, length) = (number.to_be_bytes(), length.to_be_bytes());
                let datagram = [&number[..], &length, payload].concat();
                self.host.client_sends(client, &datagram)
            }
            5 => self.host.client_sends(client, input.short()),
            6 => {
                let (peer, relayed) = (self.peer(input), self.peer(input));
                self.host.peer_sends(peer, relayed, input.short())
            }
            _ => return self.pass(u64::from(input.u16() % 1_000)),
        };
        assert!(sent.len() <= 1, "{sent:?}");
        if let [Sent::ToPeer { peer, .. }] = &sent[..] {
            assert_may_be_reached(*peer);
        }
    }

    fn pass(&mut self, seconds: u64) {
        self.host.pass(Duration::from_secs(seconds));
        self.nonces.retain(|_, (_, left)| {
            *left = left.saturating_sub(seconds);
            *left > 0
        });
    }

    /// A request that is signed as it should be, by whoever; it has exactly one answer.
    fn request(&mut self, client: SocketAddr, input: &mut Bytes<'_>) {
        const METHODS: [Method; 6] = [
            Method::ALLOCATE,
            Method::REFRESH,
            Method::CREATE_PERMISSION,
            Method::CHANNEL_BIND,
            Method::ALLOCATE,
            Method::BINDING,
        ];
        let (name, password) = input.pick(&USERS);
        let method = input.pick(&METHODS);
        let key = Key::new(PasswordAlgorithm::Md5, name, REALM, password);
        let nonce = self.nonce(client);
        let id = self.transaction();
        let mut buffer = [0; 4_000];
        let mut writer = Writer::new(&mut buffer, Class::Request, method, id);
        writer.text(Attribute::USERNAME, name);
        writer.text(Attribute::REALM, REALM);
        writer.attribute(Attribute::NONCE, &nonce);
        if input.u8() & 1 == 0 && method == Method::ALLOCATE {
            writer.attribute(Attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
        }
        for _ in 0..input.u8() % 6 {
            self.attribute(&mut writer, input);
        }
        writer.integrity(Integrity::Sha1, key.as_bytes());
        let length = writer.finish().expect("it fits");
        let sent = self.host.client_sends(client, &buffer[..length]);
        let [Sent::Answer { client: to, bytes }] = &sent[..] else {
            panic!("one answer, not {sent:?}");
        };
        assert_eq!(*to, five_tuple(client));
        let answer = Message::parse(bytes).expect("well formed");
        assert_eq!((answer.method(), answer.transaction_id()), (method, id));
        if answer.class() == Class::Success && method != Method::BINDING {
            assert!(answer.verify_integrity(key.as_bytes()));
        }
        let token = answer.find(Attribute::RESERVATION_TOKEN);
        self.tokens.extend(token.map(<[u8]>::to_vec));
        let ticket = answer.find(Attribute::MOBILITY_TICKET);
        self.tickets.extend(ticket.map(<[u8]>::to_vec));
    }

    fn nonce(&mut self, client: SocketAddr) -> Vec<u8> {
        let host = &mut self.host;
        let known = self.nonces.entry(client);
        known
            .or_insert_with(|| (nonce_for(host, client), 300))
            .0
            .clone()
    }

    /// An attribute that makes sense, or any other but those that end a message or are there
    /// already.
    fn attribute(&self, writer: &mut Writer<'_>, input: &mut Bytes<'_>) {
        const KINDS: [Attribute; 8] = [
            Attribute::LIFETIME,
            Attribute::CHANNEL_NUMBER,
            Attribute::REQUESTED_TRANSPORT,
            Attribute::REQUESTED_ADDRESS_FAMILY,
            Attribute::EVEN_PORT,
            Attribute(0x001a),
            Attribute::RESERVATION_TOKEN,
            Attribute::ADDITIONAL_ADDRESS_FAMILY,
        ];
        match input.u8() % 9 {
            0 => writer.xor_address(Attribute::XOR_PEER_ADDRESS, self.peer(input)),
            1 => {
                let number = 0x4000 | u32::from(input.u8() % 4);
                writer.u32(Attribute::CHANNEL_NUMBER, number << 16);
            }
            2 => {
                let kind = input.pick(&KINDS);
                let length = usize::from(input.u8() % 9);
                writer.attribute(kind, input.take(length));
            }
            3 => writer.attribute(Attribute::ADDITIONAL_ADDRESS_FAMILY, &[2, 0, 0, 0]),
            4 => writer.attribute(Attribute::EVEN_PORT, &[input.u8() & 0x80]),
            5 => {
                let known = self.tokens.get(usize::from(input.u8()));
                let token = known.map_or_else(|| input.take(8), Vec::as_slice);
                writer.attribute(Attribute::RESERVATION_TOKEN, token);
            }
            6 => writer.attribute(Attribute::MOBILITY_TICKET, &[]),
            7 => {
                let known = self.tickets.get(usize::from(input.u8()));
                let ticket = known.map_or_else(|| input.take(32), Vec::as_slice);
                writer.attribute(Attribute::MOBILITY_TICKET, ticket);
            }
            _ => {
                let kind = Attribute(input.u16());
                let ends = [
                    Attribute::MESSAGE_INTEGRITY,
                    Attribute::MESSAGE_INTEGRITY_SHA256,
                    Attribute::FINGERPRINT,
                ];
                if !ends.contains(&kind) {
                    writer.attribute(kind, input.short());
                }
            }
        }
    }

    fn send_indication(&mut self, input: &mut Bytes<'_>) -> Vec<u8> {
        let mut buffer = [0; 4_000];
        let id = self.transaction();
        let mut writer = Writer::new(&mut buffer, Class::Indication, Method::SEND, id);
        writer.xor_address(Attribute::XOR_PEER_ADDRESS, self.peer(input));
        writer.attribute(Attribute::DATA, input.short());
        for _ in 0..input.u8() % 3 {
            self.attribute(&mut writer, input);
        }
        let length = writer.finish().expect("it fits");
        buffer[..length].to_vec()
    }

    /// A peer: a relayed address, or one of those that matter.
    fn peer(&self, input: &mut Bytes<'_>) -> SocketAddr {
        const PEERS: [&str; 10] = [
            "8.8.8.8:1000",
            "8.8.8.8:1001",
            "9.9.9.9:0",
            "[2a00::1]:1000",
            "10.0.0.1:1000",
            "127.0.0.1:3478",
            "198.51.100.9:3478",
            "[::ffff:127.0.0.1]:80",
            "[64:ff9b::7f00:1]:80",
            "[2001:db8::9]:3478",
        ];
        let choice = usize::from(input.u8());
        match self.host.relayed().nth(choice % 16) {
            Some(relayed) => relayed,
            None => PEERS[choice % PEERS.len()].parse().expect("an address"),
        }
    }

    fn transaction(&mut self) -> TransactionId {
        self.transactions += 1;
        let mut id = [0; 12];
        id[..4].copy_from_slice(&self.transactions.to_be_bytes());
        TransactionId(id)
    }

    /// What must hold at all times.
    fn check(&self) {
        let count = self.host.allocations();
        let relayed = self.host.relayed().count();
        let counted = count + self.host.reserved();
        assert_eq!(self.host.claimed(), counted, "the quota balances");
        assert!(count <= relayed && relayed <= 2 * count, "ports balance");
        assert_eq!(self.host.reachable(), relayed, "what is published balances");
    }
}

/// Of our own addresses none but relayed ones is reached, and those without a socket in between;
/// and nothing that is not of the public internet.
fn assert_may_be_reached(peer: SocketAddr) {
    let is_own = SERVER.iter().any(|own| peer.ip().to_string() == *own);
    let is_public = match peer.ip() {
        IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_private(),
        IpAddr::V6(ip) => !ip.is_loopback() && ip.to_ipv4().is_none(),
    };
    assert!(!is_own && is_public, "{peer} must not be reached");
}
