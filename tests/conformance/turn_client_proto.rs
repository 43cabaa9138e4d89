//! The `turn-client-proto` crate against the relay: the client that knows RFC 8489's SHA-256 and
//! USERHASH.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use peerage::relay::Relay;
use peerage::stun::{Attribute, Class, Integrity, Message};
use turn_client_proto::api::{Transmit, TurnConfig, TurnEvent, TurnPollRet, TurnRecvRet};
use turn_client_proto::prelude::*;
use turn_client_proto::stun::auth::Feature;
use turn_client_proto::types::stun::message::IntegrityAlgorithm;
use turn_client_proto::types::{TransportType, TurnCredentials};
use turn_client_proto::udp::TurnClientUdp;

use crate::prober::code;
use crate::relay::{self, USER};

const PATIENCE: Duration = Duration::from_secs(10);

/// The crate's client, its socket and its clock.
struct Driver {
    client: TurnClientUdp,
    socket: UdpSocket,
    start: Instant,
    data: VecDeque<Vec<u8>>,
    /// Every signed request that the client has sent, and every answer to one.
    exchanged: Vec<Vec<u8>>,
    /// What the client did not take for an answer.
    ignored: Vec<Vec<u8>>,
}

impl Driver {
    fn new(relay: &Relay, username: &str, adapt: impl FnOnce(&mut TurnConfig)) -> Self {
        let server = relay.addresses()[0];
        let socket = UdpSocket::bind((server.ip(), 0)).expect("a free port");
        socket.connect(server).expect("connected");
        let mut config = TurnConfig::new(TurnCredentials::new(username, USER.1));
        adapt(&mut config);
        let local = socket.local_addr().expect("bound");
        Self {
            client: TurnClientUdp::allocate(local, server, config),
            socket,
            start: Instant::now(),
            data: VecDeque::new(),
            exchanged: Vec::new(),
            ignored: Vec::new(),
        }
    }

    fn now(&self) -> turn_client_proto::stun::Instant {
        turn_client_proto::stun::Instant::from_std(self.start)
    }

    fn note(&mut self, bytes: &[u8]) {
        if Message::parse(bytes).is_ok_and(|message| message.integrity().is_some()) {
            self.exchanged.push(bytes.to_vec());
        }
    }

    /// Lets the client do what it wants until it has something to tell.
    fn event(&mut self) -> Option<TurnEvent> {
        loop {
            if let Some(event) = self.client.poll_event() {
                return Some(event);
            }
            self.step()?;
        }
    }

    /// Lets the client do what it wants until it has data for us.
    fn received(&mut self) -> Vec<u8> {
        loop {
            if let Some(data) = self.data.pop_front() {
                return data;
            }
            self.step().expect("the client goes on");
        }
    }

    /// Sends what the client has to send, and takes one datagram. `None` if the client has given
    /// up, or nothing comes for too long.
    fn step(&mut self) -> Option<()> {
        assert!(self.start.elapsed() < PATIENCE, "the client is stuck");
        while let Some(transmit) = self.client.poll_transmit(self.now()) {
            let bytes = transmit.data.to_vec();
            self.socket.send(&bytes).expect("sent");
            self.note(&bytes);
        }
        if matches!(self.client.poll(self.now()), TurnPollRet::Closed) {
            return None;
        }
        let mut buffer = [0; 2_000];
        // The client may have a timer, such as that of a retransmission.
        let wait = Some(Duration::from_millis(20));
        self.socket.set_read_timeout(wait).expect("not zero");
        match self.socket.recv(&mut buffer) {
            Ok(length) => self.take(&buffer[..length]),
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => panic!("{error}"),
        }
        Some(())
    }

    fn take(&mut self, bytes: &[u8]) {
        self.note(bytes);
        let now = self.now();
        let transmit = Transmit::new(
            bytes,
            TransportType::Udp,
            self.client.remote_addr(),
            self.client.local_addr(),
        );
        match self.client.recv(transmit, now) {
            TurnRecvRet::PeerData(data) => self.data.push_back(data.data().to_vec()),
            TurnRecvRet::Handled => {}
            TurnRecvRet::Ignored(_) => self.ignored.push(bytes.to_vec()),
            other @ TurnRecvRet::PeerIcmp { .. } => panic!("{other:?}"),
        }
        while let Some(data) = self.client.poll_recv(now) {
            self.data.push_back(data.data().to_vec());
        }
    }

    fn send(&mut self, peer: SocketAddr, data: &[u8]) {
        let sent = self
            .client
            .send_to(TransportType::Udp, peer, data, self.now());
        if let Some(transmit) = sent.expect("a permission") {
            let datagram = transmit.build();
            self.socket.send(&datagram.data).expect("sent");
        }
    }

    /// Allocates, binds a channel and sends to a peer and back, refreshing and deleting at the end.
    fn relay_both_ways(&mut self) {
        let created = self.event();
        let Some(TurnEvent::AllocationCreated(_, relayed)) = created else {
            panic!("no allocation but {created:?}");
        };
        let peer = UdpSocket::bind((relayed.ip(), 0)).expect("a free port");
        peer.set_read_timeout(Some(PATIENCE)).expect("not zero");
        let address = peer.local_addr().expect("bound");
        let now = self.now();
        self.client
            .create_permission(TransportType::Udp, address.ip(), now)
            .expect("asked for");
        let created = self.event();
        assert!(
            matches!(created, Some(TurnEvent::PermissionCreated(..))),
            "{created:?}"
        );
        self.pass(address, &peer, relayed, b"by an indication");
        let now = self.now();
        self.client
            .bind_channel(TransportType::Udp, address, now)
            .expect("asked for");
        let bound = self.event();
        assert!(
            matches!(bound, Some(TurnEvent::ChannelCreated(..))),
            "{bound:?}"
        );
        self.pass(address, &peer, relayed, b"by a channel");
        let now = self.now();
        self.client.delete(now).expect("asked for");
        while self.step().is_some() {}
        assert_eq!(self.ignored, Vec::<Vec<u8>>::new());
    }

    fn pass(&mut self, peer: SocketAddr, at: &UdpSocket, relayed: SocketAddr, data: &[u8]) {
        let mut buffer = [0; 100];
        self.send(peer, data);
        let (length, from) = at.recv_from(&mut buffer).expect("in time");
        assert_eq!((&buffer[..length], from), (data, relayed));
        at.send_to(data, relayed).expect("sent");
        assert_eq!(self.received(), data);
    }
}

#[test]
fn turn_client_proto_relays_with_sha1_and_with_sha256() {
    let relay = relay::start(&["127.0.0.0/8"]);
    for (algorithm, expected) in [
        (IntegrityAlgorithm::Sha1, Integrity::Sha1),
        (IntegrityAlgorithm::Sha256, Integrity::Sha256),
    ] {
        let mut driver = Driver::new(&relay, USER.0, |config| {
            config.set_supported_integrity(algorithm);
        });
        driver.relay_both_ways();
        let kinds: Vec<_> = driver.exchanged.iter().map(|it| integrity(it)).collect();
        // Allocate, CreatePermission, ChannelBind, Refresh; what the server signs, it signs by
        // SHA-256, since this client chooses an algorithm.
        assert!(kinds.len() >= 8, "{kinds:?}");
        for (class, kind) in kinds {
            let expected = match class {
                Class::Request => expected,
                _ => Integrity::Sha256,
            };
            assert_eq!(kind, expected, "{class:?}");
        }
    }
    assert_eq!(relay::counters(&relay).allocations_made, 2);
}

fn integrity(datagram: &[u8]) -> (Class, Integrity) {
    let message = Message::parse(datagram).expect("noted as a message");
    (
        message.class(),
        message.integrity().expect("noted as signed"),
    )
}

#[test]
fn turn_client_proto_hides_the_name_where_the_relay_asks_for_it() {
    let relay = relay::start_adapted(|settings| {
        settings.username_anonymity = true;
        settings.allow_peers = vec!["127.0.0.0/8".parse().expect("a range")];
    });
    let mut driver = Driver::new(&relay, USER.0, |config| {
        config.set_supported_integrity(IntegrityAlgorithm::Sha256);
        config.set_anonymous_username(Feature::Required);
    });
    driver.relay_both_ways();
    for datagram in &driver.exchanged {
        let message = Message::parse(datagram).expect("noted as a message");
        let is_request = message.class() == Class::Request;
        assert_eq!(message.find(Attribute::USERHASH).is_some(), is_request);
        assert_eq!(message.find(Attribute::USERNAME), None);
    }
    assert!(driver.exchanged.len() >= 8);
}

#[test]
fn turn_client_proto_is_refused_with_a_name_that_nobody_has() {
    let relay = relay::start(&[]);
    for algorithm in [IntegrityAlgorithm::Sha1, IntegrityAlgorithm::Sha256] {
        let mut driver = Driver::new(&relay, "mallory", |config| {
            config.set_supported_integrity(algorithm);
        });
        // It goes on asking, since what refuses it is not signed.
        while driver.ignored.is_empty() {
            assert!(driver.client.poll_event().is_none());
            driver.step().expect("the client goes on");
        }
        assert_eq!(code(&driver.ignored[0]), Err(401));
        assert_eq!(
            integrity(&driver.exchanged[0]).0,
            Class::Request,
            "it has tried"
        );
    }
    assert_eq!(relay::counters(&relay).allocations_made, 0);
}
