//! The network, and all that is on it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use peerage::stun::{Attribute, ChannelData, Class, Family, Message, Method, Writer};

use super::ask::{Answer, Port, Time, Token, Wanted, What, answered, transaction_id};
use super::client::Client;
use super::host::{Host, Sent, Setting, USERS, five_tuple};
use super::model::{Delivery, Model, Outcome};
use super::random::Random;

/// Peers beyond the relay: two of one address, one that nobody may reach, and a port of the
/// server's own that is no relayed address.
const PEERS: [&str; 6] = [
    "8.8.8.8:1000",
    "8.8.8.8:1001",
    "9.9.9.9:1000",
    "[2a00::1]:1000",
    "10.0.0.1:1000",
    "198.51.100.9:22",
];

/// What is on its way, or will happen.
#[derive(Clone, Debug)]
enum Event {
    /// A request of a client arrives at the server.
    Request { client: usize, id: u64 },
    /// An answer arrives at a client.
    Answer { client: usize, bytes: Vec<u8> },
    /// The wait of a client for an answer is over.
    Overdue { client: usize, id: u64 },
    /// ChannelData of a client arrives at the server.
    Channel {
        client: usize,
        number: u16,
        payload: u8,
    },
    /// A Send indication of a client arrives at the server.
    Send {
        client: usize,
        peer: SocketAddr,
        payload: u8,
    },
    /// A peer's datagram arrives at a relayed address.
    Peer {
        peer: SocketAddr,
        relayed: SocketAddr,
        payload: u8,
    },
    /// A client does something.
    Act { client: usize },
    /// A peer does something.
    PeerActs,
}

pub(crate) struct World {
    random: Random,
    host: Host,
    model: Model,
    clients: Vec<Client>,
    now: Time,
    /// By time, and then in the order in which they were scheduled.
    events: BTreeMap<(Time, u64), Event>,
    scheduled: u64,
    transactions: u64,
    /// The tokens that answers have brought.
    tokens: Vec<Token>,
    /// One datagram in so many is lost, and one in so many repeated; 0 is none.
    lost: usize,
    repeated: usize,
    /// No client and no peer begins anything any more.
    is_ending: bool,
    seen: BTreeMap<String, u64>,
    history: Vec<(Time, String)>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let ports = 50_000..=50_000 + random.below(8) as u16;
        let setting = Setting {
            quota: 1 + random.below(3),
            ports,
            portless: random.one_in(4),
            mobile: false,
            bandwidth: 0,
            seed,
        };
        let clients = (0..3 + random.below(5))
            .map(|number| {
                let address = match random.one_in(4) {
                    true => format!("[2001:db8:1::{number}]:4000"),
                    false => format!("203.0.113.{number}:4000"),
                };
                let address = address.parse().expect("an address");
                Client::new(address, random.below(USERS.len()), !random.one_in(8))
            })
            .collect();
        let mut world = Self {
            host: Host::new(&setting),
            model: Model::new(&setting),
            clients,
            now: 0,
            events: BTreeMap::new(),
            scheduled: 0,
            transactions: 0,
            tokens: Vec::new(),
            lost: random.below(4) * 4,
            repeated: random.below(3) * 5,
            is_ending: false,
            seen: BTreeMap::new(),
            history: Vec::new(),
            random,
        };
        for client in 0..world.clients.len() {
            world.schedule(client as Time, Event::Act { client });
        }
        world.schedule(5_000, Event::PeerActs);
        world
    }

    /// Lets so many events happen.
    pub(crate) fn run(&mut self, events: usize) {
        for _ in 0..events {
            self.step();
        }
    }

    /// The network is good again and nobody begins anything new: every request is answered.
    pub(crate) fn heal(&mut self) {
        (self.lost, self.repeated, self.is_ending) = (0, 0, true);
        while self.step() {}
        for client in &self.clients {
            assert!(client.pending.is_none(), "never answered: {client:?}");
        }
    }

    /// When all lifetimes are over, nothing is left.
    pub(crate) fn check_that_all_ends(&mut self) {
        self.pass_to(self.now + 3_700_000);
        self.check();
        assert_eq!(self.host.allocations(), 0);
    }

    /// What has happened, and how often.
    pub(crate) fn seen(&self) -> &BTreeMap<String, u64> {
        &self.seen
    }

    /// What has happened, and when.
    pub(crate) fn history(&self) -> &[(Time, String)] {
        &self.history
    }

    fn saw(&mut self, what: &str) {
        *self.seen.entry(what.to_owned()).or_default() += 1;
        self.history.push((self.now, what.to_owned()));
    }

    fn schedule(&mut self, after: Time, event: Event) {
        self.scheduled += 1;
        self.events
            .insert((self.now + after, self.scheduled), event);
    }

    /// Puts a datagram on the network: it may be lost, come late, or come twice.
    fn post(&mut self, event: &Event) {
        if self.lost > 0 && self.random.one_in(self.lost) {
            return self.saw("lost");
        }
        let copies = if self.repeated > 0 && self.random.one_in(self.repeated) {
            self.saw("repeated");
            2
        } else {
            1
        };
        for _ in 0..copies {
            // Now and then long enough to come after much that was sent later.
            let latest = if self.random.one_in(10) { 20_000 } else { 200 };
            let after = self.random.below(latest) as Time;
            self.schedule(after, event.clone());
        }
    }

    fn step(&mut self) -> bool {
        let Some(((at, _), event)) = self.events.pop_first() else {
            return false;
        };
        self.pass_to(at);
        match event {
            Event::Request { client, id } => self.serve(client, id),
            Event::Answer { client, bytes } => self.answer_arrives(client, &bytes),
            Event::Overdue { client, id } => self.overdue(client, id),
            Event::Channel {
                client,
                number,
                payload,
            } => self.channel_data(client, number, payload),
            Event::Send {
                client,
                peer,
                payload,
            } => self.send_indication(client, peer, payload),
            Event::Peer {
                peer,
                relayed,
                payload,
            } => self.peer_data(peer, relayed, payload),
            Event::Act { client } => self.act(client),
            Event::PeerActs => self.peer_acts(),
        }
        self.check();
        true
    }

    /// Time passes; what ends on the way ends on time.
    fn pass_to(&mut self, at: Time) {
        while let Some(expiry) = self.model.next_expiry().filter(|&expiry| expiry <= at) {
            let just_before = (expiry - 1).max(self.now);
            self.tick(just_before);
            self.check();
            self.tick(expiry);
            self.check();
            self.saw("expired");
        }
        self.tick(at);
    }

    fn tick(&mut self, at: Time) {
        self.host.pass(Duration::from_millis(at - self.now));
        self.now = at;
        self.model.pass_to(at);
    }

    /// The server and the reference know the same allocations; ports and quotas balance.
    fn check(&self) {
        let mut expected: Vec<_> = self.model.relayed().collect();
        let mut bound: Vec<_> = self.host.relayed().collect();
        expected.sort();
        bound.sort();
        assert_eq!(bound, expected, "at {}", self.now);
        let (count, reserved) = (self.model.allocations(), self.model.reservations());
        assert_eq!(self.host.allocations(), count, "at {}", self.now);
        assert_eq!(self.host.reserved(), reserved, "at {}", self.now);
        assert_eq!(self.host.claimed(), count + reserved, "at {}", self.now);
        assert_eq!(self.host.reachable(), expected.len(), "at {}", self.now);
    }

    /// A client's request arrives at the server: it has one answer, that of the reference.
    fn serve(&mut self, client: usize, id: u64) {
        let ask = self.clients[client].made[&id].clone();
        let address = self.clients[client].address;
        let expected = self.model.outcome(address, &ask, self.now);
        let sent = self.host.client_sends(address, &ask.encode());
        let [Sent::Answer { client: to, bytes }] = &sent[..] else {
            panic!("{ask:?} has {sent:?}");
        };
        assert_eq!(*to, five_tuple(address));
        let answer = ask.read(bytes);
        assert_eq!(answer.id, id);
        self.compare(&answer, &expected);
        if let Some(nonce) = &answer.nonce {
            self.model.note_nonce(address, nonce, self.now);
        }
        self.model
            .apply(address, &ask, &expected, &answer, self.now);
        self.tokens.extend(answer.token);
        self.post(&Event::Answer {
            client,
            bytes: bytes.clone(),
        });
    }

    fn compare(&mut self, answer: &Answer, expected: &Outcome) {
        let code = match expected {
            Outcome::Refused(code) => Some(*code),
            _ => None,
        };
        assert_eq!(answer.code, code, "{expected:?} at {}", self.now);
        let is_challenge = matches!(code, Some(401 | 438));
        assert_eq!(answer.is_signed, !is_challenge, "{expected:?}");
        assert_eq!(answer.nonce.is_some(), is_challenge, "{expected:?}");
        match expected {
            Outcome::Refused(code) => self.saw(&code.to_string()),
            Outcome::Allocated {
                families,
                refused,
                port,
                lifetime,
            } => {
                self.compare_new(answer, families, *port);
                assert_eq!(answer.refused, *refused);
                assert_eq!(answer.lifetime, Some(*lifetime));
                self.saw(match (families.len(), refused) {
                    (_, Some(_)) => "one family of two",
                    (2, None) => "both families",
                    _ => "allocated",
                });
            }
            Outcome::Redeemed { relayed, lifetime } => {
                assert_eq!(answer.relayed, [*relayed]);
                assert_eq!(answer.lifetime, Some(*lifetime));
                self.saw("redeemed");
            }
            Outcome::AllocatedBefore { relayed, lifetime } => {
                assert_eq!(&answer.relayed, relayed);
                assert_eq!(answer.lifetime, Some(*lifetime));
                self.saw("allocated before");
            }
            Outcome::Refreshed { lifetime } => {
                assert_eq!(answer.lifetime, Some(*lifetime));
                self.saw(if *lifetime == 0 { "ended" } else { "refreshed" });
            }
            Outcome::Done => self.saw("done"),
        }
    }

    /// New addresses are of the families that were expected, nobody else's, and on the ports that
    /// were asked for.
    fn compare_new(&mut self, answer: &Answer, families: &[Family], port: Port) {
        let of = |relayed: &SocketAddr| Family::of(relayed.ip());
        assert_eq!(answer.relayed.iter().map(of).collect::<Vec<_>>(), families);
        for relayed in &answer.relayed {
            assert!(port == Port::Any || relayed.port().is_multiple_of(2));
            assert!(self.model.relayed().all(|known| known != *relayed));
        }
        assert_eq!(answer.token.is_some(), port == Port::Pair);
        if port == Port::Pair {
            self.saw("reserved");
        }
    }

    fn answer_arrives(&mut self, client: usize, bytes: &[u8]) {
        let known = &mut self.clients[client];
        let ask = known
            .made
            .get(&answered(bytes))
            .expect("only what was asked is answered");
        let answer = ask.read(bytes);
        self.transactions += 1;
        if known.take_in(&answer, self.transactions) {
            self.transmit(client);
        }
    }

    fn transmit(&mut self, client: usize) {
        let Some(ask) = &self.clients[client].pending else {
            return;
        };
        let id = ask.id;
        let wait = self.clients[client].next_wait();
        self.post(&Event::Request { client, id });
        self.schedule(wait, Event::Overdue { client, id });
    }

    fn overdue(&mut self, client: usize, id: u64) {
        let pending = self.clients[client].pending.as_ref();
        if pending.is_some_and(|ask| ask.id == id) {
            self.transmit(client);
        }
    }

    fn act(&mut self, client: usize) {
        if self.is_ending {
            return;
        }
        // Mostly busy, sometimes away for as long as a permission or an allocation lasts.
        let pause = match self.random.below(12) {
            0 => 900_000,
            1 => 250_000,
            _ => 4_000,
        };
        let after = self.random.below(pause) as Time;
        self.schedule(after, Event::Act { client });
        if self.random.one_in(2) && self.clients[client].pending.is_none() {
            let what = self.choose(client);
            self.transactions += 1;
            let id = self.transactions;
            self.clients[client].ask(what, id, &mut self.random, USERS.len());
            self.transmit(client);
        } else {
            self.say(client);
        }
    }

    fn choose(&mut self, client: usize) -> What {
        let lifetimes = [
            None,
            Some(0),
            Some(30),
            Some(700),
            Some(1_000),
            Some(100_000),
        ];
        let lifetime = lifetimes[self.random.below(lifetimes.len())];
        let has = !self.clients[client].relayed.is_empty();
        match self.random.below(if has { 12 } else { 2 }) {
            0 | 1 => What::Allocate(self.wanted(lifetime)),
            2 | 3 => What::Refresh {
                family: self.family(),
                lifetime,
            },
            4..=7 => What::CreatePermission {
                peers: (0..1 + self.random.below(3)).map(|_| self.peer()).collect(),
            },
            _ => What::ChannelBind {
                number: self.channel(),
                peer: self.peer(),
            },
        }
    }

    fn family(&mut self) -> Option<Family> {
        [None, None, Some(Family::V4), Some(Family::V6)][self.random.below(4)]
    }

    /// An allocation of some kind, which now and then contradicts itself.
    fn wanted(&mut self, lifetime: Option<u32>) -> Wanted {
        let mut wanted = Wanted {
            family: None,
            both: false,
            port: Port::Any,
            token: None,
            lifetime,
        };
        match self.random.below(5) {
            0 => wanted.both = true,
            1 => wanted.token = self.tokens.last().copied(),
            2 => wanted.port = Port::Pair,
            _ => wanted.family = self.family(),
        }
        if self.random.one_in(6) {
            wanted.port = Port::Even;
        }
        if self.random.one_in(20) {
            wanted.family = self.family();
        }
        wanted
    }

    fn channel(&mut self) -> u16 {
        0x4000 + self.random.below(3) as u16
    }

    /// A peer: somebody beyond the relay, or somebody's relayed address.
    fn peer(&mut self) -> SocketAddr {
        let relayed: Vec<_> = self
            .clients
            .iter()
            .flat_map(|client| client.relayed.iter().copied())
            .collect();
        if !relayed.is_empty() && self.random.one_in(2) {
            return relayed[self.random.below(relayed.len())];
        }
        PEERS[self.random.below(PEERS.len())]
            .parse()
            .expect("an address")
    }

    /// A peer that the client has had a permission for, or any.
    fn known_peer(&mut self, client: usize) -> SocketAddr {
        let known = &self.clients[client].peers;
        if known.is_empty() || self.random.one_in(4) {
            return self.peer();
        }
        known[self.random.below(known.len())]
    }

    /// A client sends some data.
    fn say(&mut self, client: usize) {
        for payload in 0..1 + self.random.below(3) as u8 {
            let event = if self.random.one_in(2) {
                let number = self.channel();
                Event::Channel {
                    client,
                    number,
                    payload,
                }
            } else {
                let peer = self.known_peer(client);
                Event::Send {
                    client,
                    peer,
                    payload,
                }
            };
            self.post(&event);
        }
    }

    fn peer_acts(&mut self) {
        if self.is_ending {
            return;
        }
        let after = self.random.below(20_000) as Time;
        self.schedule(after, Event::PeerActs);
        let relayed: Vec<_> = self.model.relayed().collect();
        if let Some(&relayed) = relayed.get(self.random.below(relayed.len().max(1))) {
            // Not those of the server itself: they come through it.
            let peer = PEERS[self.random.below(4)].parse().expect("an address");
            self.post(&Event::Peer {
                peer,
                relayed,
                payload: 1,
            });
        }
    }

    fn channel_data(&mut self, client: usize, number: u16, payload: u8) {
        let address = self.clients[client].address;
        let [a, b] = number.to_be_bytes();
        let sent = self.host.client_sends(address, &[a, b, 0, 1, payload]);
        let expected = self.model.channel_data(address, number, self.now);
        self.compare_data(&sent, expected.as_ref(), payload);
    }

    fn send_indication(&mut self, client: usize, peer: SocketAddr, payload: u8) {
        let address = self.clients[client].address;
        let mut buffer = [0; 200];
        let id = transaction_id(0);
        let mut writer = Writer::new(&mut buffer, Class::Indication, Method::SEND, id);
        writer.xor_address(Attribute::XOR_PEER_ADDRESS, peer);
        writer.attribute(Attribute::DATA, &[payload]);
        let length = writer.finish().expect("it fits");
        let sent = self.host.client_sends(address, &buffer[..length]);
        let expected = self.model.send(address, peer, self.now);
        self.compare_data(&sent, expected.as_ref(), payload);
    }

    fn peer_data(&mut self, peer: SocketAddr, relayed: SocketAddr, payload: u8) {
        let sent = self.host.peer_sends(peer, relayed, &[payload]);
        let expected = self.model.peer_data(peer, relayed, self.now);
        self.compare_data(&sent, expected.as_ref(), payload);
    }

    /// What the server relays is what the reference says, and nothing else.
    fn compare_data(&mut self, sent: &[Sent], expected: Option<&Delivery>, payload: u8) {
        let relayed = match sent {
            [] => None,
            [
                Sent::ToPeer {
                    relayed,
                    peer,
                    payload: bytes,
                },
            ] => {
                assert_eq!(bytes, &[payload]);
                Some(Delivery::ToPeer {
                    relayed: *relayed,
                    peer: *peer,
                })
            }
            [Sent::Data { client, bytes }] => {
                let (channel, peer) = read_data(bytes, payload);
                let Some(Delivery::ToClient { peer: from, .. }) = expected else {
                    panic!("{sent:?} and not {expected:?}");
                };
                Some(Delivery::ToClient {
                    client: client.client,
                    channel,
                    peer: peer.unwrap_or(*from),
                })
            }
            _ => panic!("{sent:?} and not {expected:?}"),
        };
        assert_eq!(relayed.as_ref(), expected, "at {}", self.now);
        self.saw(match expected {
            None => "dropped",
            Some(Delivery::ToPeer { .. }) => "to a peer",
            Some(Delivery::ToClient { channel: None, .. }) => "to a client",
            Some(Delivery::ToClient { .. }) => "through a channel",
        });
    }
}

/// The channel, or the peer, by which data came to a client.
fn read_data(bytes: &[u8], payload: u8) -> (Option<u16>, Option<SocketAddr>) {
    if let Some(data) = ChannelData::parse(bytes) {
        assert_eq!(data.payload, [payload]);
        return (Some(data.number.value()), None);
    }
    let message = Message::parse(bytes).expect("a Data indication");
    assert_eq!(
        (message.class(), message.method()),
        (Class::Indication, Method::DATA)
    );
    assert_eq!(message.find(Attribute::DATA), Some(&[payload][..]));
    let peer = message.find_xor_address(Attribute::XOR_PEER_ADDRESS);
    (None, Some(peer.expect("a peer").expect("an address")))
}
