//! A client that sends what it is told to, and hides nothing of what it gets.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use peerage::auth::Key;
use peerage::stun::{
    Attribute, Class, Integrity, Message, Method, PasswordAlgorithm, TransactionId, Writer,
    decode_xor_address,
};

use crate::relay;

const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct RawClient {
    pub(crate) socket: UdpSocket,
    server: SocketAddr,
    key: Key,
    nonce: Vec<u8>,
    transactions: u64,
}

impl RawClient {
    /// A client on a free port, with the static user's credentials and a nonce.
    pub(crate) fn new(server: SocketAddr) -> Self {
        Self::on(server, bound(server))
    }

    pub(crate) fn on(server: SocketAddr, socket: UdpSocket) -> Self {
        let (name, password) = relay::USER;
        let mut client = Self {
            socket,
            server,
            key: Key::new(PasswordAlgorithm::Md5, name, relay::REALM, password),
            nonce: Vec::new(),
            transactions: 0,
        };
        let challenge = client.request(Method::ALLOCATE, |_| {});
        let nonce = challenge.message().find(Attribute::NONCE);
        client.nonce = nonce.expect("a challenge").to_vec();
        client
    }

    /// A signed request and its answer; unsigned as long as there is no nonce.
    pub(crate) fn request(&mut self, method: Method, fill: impl FnOnce(&mut Writer<'_>)) -> Answer {
        let (mut buffer, id) = ([0; 1_500], self.next_transaction());
        let mut writer = Writer::new(&mut buffer, Class::Request, method, id);
        fill(&mut writer);
        if !self.nonce.is_empty() {
            writer.text(Attribute::USERNAME, relay::USER.0);
            writer.text(Attribute::REALM, relay::REALM);
            writer.attribute(Attribute::NONCE, &self.nonce);
            writer.integrity(Integrity::Sha1, self.key.as_bytes());
        }
        let length = writer.finish().expect("it fits");
        self.send_bytes(&buffer[..length]);
        // Data may come before the answer.
        loop {
            let answer = self.receive().expect("an answer");
            if answer.is_message() && answer.message().transaction_id() == id {
                return answer;
            }
        }
    }

    /// Allocates with these attributes beside REQUESTED-TRANSPORT.
    pub(crate) fn allocate(&mut self, attributes: &[(Attribute, &[u8])]) -> Answer {
        self.request(Method::ALLOCATE, |writer| {
            writer.attribute(Attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
            for (kind, value) in attributes {
                writer.attribute(*kind, value);
            }
        })
    }

    pub(crate) fn permit(&mut self, peers: &[SocketAddr]) {
        let answer = self.request(Method::CREATE_PERMISSION, |writer| {
            for peer in peers {
                writer.xor_address(Attribute::XOR_PEER_ADDRESS, *peer);
            }
        });
        assert_eq!(answer.code(), 0);
    }

    pub(crate) fn bind_channel(&mut self, number: u16, peer: SocketAddr) {
        let answer = self.request(Method::CHANNEL_BIND, |writer| {
            writer.u32(Attribute::CHANNEL_NUMBER, u32::from(number) << 16);
            writer.xor_address(Attribute::XOR_PEER_ADDRESS, peer);
        });
        assert_eq!(answer.code(), 0);
    }

    /// ChannelData.
    pub(crate) fn send_on(&self, number: u16, data: &[u8]) {
        let length = u16::try_from(data.len()).expect("short");
        self.send_bytes(&[&number.to_be_bytes(), &length.to_be_bytes(), data].concat());
    }

    /// A Send indication with these attributes beside the peer and the data.
    pub(crate) fn send(
        &mut self,
        peer: SocketAddr,
        data: &[u8],
        attributes: &[(Attribute, &[u8])],
    ) {
        let (mut buffer, id) = (vec![0; 70_000], self.next_transaction());
        let mut writer = Writer::new(&mut buffer, Class::Indication, Method::SEND, id);
        writer.xor_address(Attribute::XOR_PEER_ADDRESS, peer);
        for (kind, value) in attributes {
            writer.attribute(*kind, value);
        }
        writer.attribute(Attribute::DATA, data);
        let length = writer.finish().expect("it fits");
        self.send_bytes(&buffer[..length]);
    }

    pub(crate) fn send_bytes(&self, bytes: &[u8]) {
        self.socket.send_to(bytes, self.server).expect("sent");
    }

    /// What comes next, if anything comes.
    pub(crate) fn receive(&self) -> Option<Answer> {
        self.receive_within(PATIENCE)
    }

    /// What has come already, or comes at once.
    pub(crate) fn receive_soon(&self) -> Option<Answer> {
        self.receive_within(Duration::from_millis(50))
    }

    fn receive_within(&self, patience: Duration) -> Option<Answer> {
        receive_from(&self.socket, patience).map(|(bytes, _)| Answer(bytes))
    }

    fn next_transaction(&mut self) -> TransactionId {
        self.transactions += 1;
        let mut id = [0; 12];
        id[4..].copy_from_slice(&self.transactions.to_be_bytes());
        TransactionId(id)
    }
}

/// A datagram that a client got.
#[derive(Clone, Debug)]
pub(crate) struct Answer(pub(crate) Vec<u8>);

impl Answer {
    pub(crate) fn is_message(&self) -> bool {
        Message::parse(&self.0).is_ok()
    }

    pub(crate) fn message(&self) -> Message<'_> {
        Message::parse(&self.0).expect("well formed")
    }

    pub(crate) fn find(&self, kind: Attribute) -> Option<Vec<u8>> {
        self.message().find(kind).map(<[u8]>::to_vec)
    }

    /// The error code, 0 for a success.
    pub(crate) fn code(&self) -> u16 {
        let error = self.message().find(Attribute::ERROR_CODE);
        error.map_or(0, |value| u16::from(value[2]) * 100 + u16::from(value[3]))
    }

    /// Every address of this kind.
    pub(crate) fn addresses(&self, kind: Attribute) -> Vec<SocketAddr> {
        let message = self.message();
        let all = message.attributes().filter(|(found, _)| *found == kind);
        all.map(|(_, value)| {
            decode_xor_address(value, message.transaction_id()).expect("an address")
        })
        .collect()
    }

    /// What a Data indication carries: from whom, and the bytes.
    pub(crate) fn data(&self) -> (SocketAddr, Vec<u8>) {
        let message = self.message();
        assert_eq!(
            (message.class(), message.method()),
            (Class::Indication, Method::DATA)
        );
        let peer = self.addresses(Attribute::XOR_PEER_ADDRESS)[0];
        (peer, self.find(Attribute::DATA).expect("DATA"))
    }
}

/// A socket on a free port of the machine's address that `like` has.
pub(crate) fn bound(like: SocketAddr) -> UdpSocket {
    UdpSocket::bind((like.ip(), 0)).expect("a free port")
}

/// The next datagram at `socket`, and who sent it.
pub(crate) fn receive_from(
    socket: &UdpSocket,
    patience: Duration,
) -> Option<(Vec<u8>, SocketAddr)> {
    socket.set_read_timeout(Some(patience)).expect("not zero");
    let mut buffer = vec![0; 70_000];
    match socket.recv_from(&mut buffer) {
        Ok((length, from)) => Some((buffer[..length].to_vec(), from)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
        Err(error) => panic!("{error}"),
    }
}

/// The next datagram at a peer: it must come.
pub(crate) fn at_peer(peer: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    receive_from(peer, PATIENCE).expect("in time")
}
