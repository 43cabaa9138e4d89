//! A TURN client of the suite's own, over whatever carries its messages. It waits for what it
//! expects and fails loudly when nothing comes.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use peerage::auth::Key;
use peerage::stun::{
    Attribute, Class, Integrity, Message, Method, PasswordAlgorithm, TransactionId, Writer,
};

use crate::relay;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What carries messages.
pub(crate) trait Carrier {
    fn send(&mut self, message: &[u8]);
    /// The next message, without padding; `None` when the server has closed the connection.
    fn receive(&mut self) -> Option<Vec<u8>>;
}

impl Carrier for UdpSocket {
    fn send(&mut self, message: &[u8]) {
        UdpSocket::send(self, message).expect("sent");
    }

    fn receive(&mut self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 65_536];
        let length = self.recv(&mut buffer).expect("something comes");
        buffer.truncate(length);
        Some(buffer)
    }
}

/// A stream of messages.
#[derive(Debug)]
pub(crate) struct Stream<S>(pub(crate) S);

impl<S: Read + Write> Carrier for Stream<S> {
    fn send(&mut self, message: &[u8]) {
        let mut padded = message.to_vec();
        padded.resize(message.len().next_multiple_of(4), 0);
        self.0.write_all(&padded).expect("sent");
        self.0.flush().expect("sent");
    }

    fn receive(&mut self) -> Option<Vec<u8>> {
        let mut message = vec![0; 4];
        if let Err(error) = self.0.read_exact(&mut message) {
            let closed = [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset];
            assert!(closed.contains(&error.kind()), "{error}");
            return None;
        }
        let header = if message[0] < 4 { 20 } else { 4 };
        let length = header + usize::from(u16::from_be_bytes([message[2], message[3]]));
        message.resize(length.next_multiple_of(4), 0);
        self.0.read_exact(&mut message[4..]).expect("the rest");
        message.truncate(length);
        Some(message)
    }
}

pub(crate) fn over_udp(server: SocketAddr) -> Client<UdpSocket> {
    let socket = UdpSocket::bind((server.ip(), 0)).expect("bound");
    socket.connect(server).expect("connected");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    Client::new(socket)
}

pub(crate) fn connect(server: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(server).expect("connected");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket.set_nodelay(true).expect("no delay");
    socket
}

pub(crate) fn over_tcp(server: SocketAddr) -> Client<Stream<TcpStream>> {
    Client::new(Stream(connect(server)))
}

/// A client with the static user, unless it has another.
#[derive(Debug)]
pub(crate) struct Client<C> {
    pub(crate) carrier: C,
    nonce: Vec<u8>,
    transactions: u64,
    /// What has come while an answer was waited for.
    early: Vec<Vec<u8>>,
    user: (&'static str, &'static str),
}

impl<C: Carrier> Client<C> {
    pub(crate) fn new(carrier: C) -> Self {
        Self {
            carrier,
            nonce: Vec::new(),
            transactions: 0,
            early: Vec::new(),
            user: relay::USER,
        }
    }

    /// The same with another user.
    pub(crate) fn of(mut self, user: (&'static str, &'static str)) -> Self {
        self.user = user;
        self
    }

    /// An id that no other transaction of this client has.
    fn next_transaction(&mut self) -> TransactionId {
        self.transactions += 1;
        let mut id = [0; 12];
        id[..8].copy_from_slice(&self.transactions.to_be_bytes());
        TransactionId(id)
    }

    /// The answer to a request with or without credentials.
    fn transact(
        &mut self,
        method: Method,
        signed: bool,
        fill: &dyn Fn(&mut Writer<'_>),
    ) -> Vec<u8> {
        let request = self.write(method, signed, fill);
        self.carrier.send(&request);
        self.answer_to(&request)
    }

    /// A request with or without credentials.
    fn write(&mut self, method: Method, signed: bool, fill: &dyn Fn(&mut Writer<'_>)) -> Vec<u8> {
        let id = self.next_transaction();
        let mut buffer = [0; 1_500];
        let mut writer = Writer::new(&mut buffer, Class::Request, method, id);
        fill(&mut writer);
        if signed {
            let (username, password) = self.user;
            writer.text(Attribute::USERNAME, username);
            writer.text(Attribute::REALM, relay::REALM);
            writer.attribute(Attribute::NONCE, &self.nonce);
            let key = Key::new(PasswordAlgorithm::Md5, username, relay::REALM, password);
            writer.integrity(Integrity::Sha1, key.as_bytes());
        }
        let length = writer.finish().expect("it fits");
        buffer[..length].to_vec()
    }

    /// Waits for the answer to a request that has been sent.
    pub(crate) fn answer_to(&mut self, request: &[u8]) -> Vec<u8> {
        let id = Message::parse(request)
            .expect("well formed")
            .transaction_id();
        loop {
            let answer = self.carrier.receive().expect("still open");
            let is_answer = Message::parse(&answer).is_ok_and(|m| m.transaction_id() == id);
            if is_answer {
                return answer;
            }
            self.early.push(answer);
        }
    }

    /// The answer to a Binding request.
    pub(crate) fn bind(&mut self) -> SocketAddr {
        let answer = self.transact(Method::BINDING, false, &|_| {});
        find_address(&answer, Attribute::XOR_MAPPED_ADDRESS)
    }

    /// The answer to a signed request, or the code of the error.
    pub(crate) fn request(
        &mut self,
        method: Method,
        fill: &dyn Fn(&mut Writer<'_>),
    ) -> Result<Vec<u8>, u16> {
        let request = self.signed(method, fill);
        self.carrier.send(&request);
        let answer = self.answer_to(&request);
        let message = Message::parse(&answer).expect("well formed");
        match message.find(Attribute::ERROR_CODE) {
            Some(value) => Err(u16::from(value[2]) * 100 + u16::from(value[3])),
            None => Ok(answer),
        }
    }

    /// A signed request, to be sent.
    pub(crate) fn signed(&mut self, method: Method, fill: &dyn Fn(&mut Writer<'_>)) -> Vec<u8> {
        if self.nonce.is_empty() {
            let answer = self.transact(method, false, fill);
            let message = Message::parse(&answer).expect("well formed");
            let nonce = message.find(Attribute::NONCE).expect("a challenge");
            self.nonce = nonce.to_vec();
        }
        self.write(method, true, fill)
    }

    /// The next message that is no answer.
    pub(crate) fn receive_message(&mut self) -> Vec<u8> {
        if self.early.is_empty() {
            self.carrier.receive().expect("still open")
        } else {
            self.early.remove(0)
        }
    }

    /// Makes an allocation; gives its relayed address.
    pub(crate) fn allocate(&mut self) -> SocketAddr {
        let answer = self.request(Method::ALLOCATE, &|writer| {
            writer.attribute(Attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
        });
        find_address(&answer.expect("allocated"), Attribute::XOR_RELAYED_ADDRESS)
    }

    pub(crate) fn permit(&mut self, peer: SocketAddr) {
        let answer = self.request(Method::CREATE_PERMISSION, &|writer| {
            writer.xor_address(Attribute::XOR_PEER_ADDRESS, peer);
        });
        answer.expect("permitted");
    }

    pub(crate) fn bind_channel(&mut self, number: u16, peer: SocketAddr) {
        let answer = self.request(Method::CHANNEL_BIND, &|writer| {
            writer.u32(Attribute::CHANNEL_NUMBER, u32::from(number) << 16);
            writer.xor_address(Attribute::XOR_PEER_ADDRESS, peer);
        });
        answer.expect("bound");
    }

    pub(crate) fn send_by_channel(&mut self, number: u16, payload: &[u8]) {
        let length = u16::try_from(payload.len()).expect("short");
        let mut message = [number.to_be_bytes(), length.to_be_bytes()].concat();
        message.extend_from_slice(payload);
        self.carrier.send(&message);
    }

    pub(crate) fn send_indication(&mut self, peer: SocketAddr, payload: &[u8]) {
        let id = self.next_transaction();
        let mut buffer = vec![0; payload.len() + 100];
        let mut writer = Writer::new(&mut buffer, Class::Indication, Method::SEND, id);
        writer.xor_address(Attribute::XOR_PEER_ADDRESS, peer);
        writer.attribute(Attribute::DATA, payload);
        let length = writer.finish().expect("it fits");
        self.carrier.send(&buffer[..length]);
    }

    /// The payload of the next data that comes, by a channel or an indication.
    pub(crate) fn receive_data(&mut self) -> Vec<u8> {
        let message = self.receive_message();
        if message[0] >= 0x40 {
            return message[4..].to_vec();
        }
        let message = Message::parse(&message).expect("well formed");
        assert_eq!(message.method(), Method::DATA);
        message.find(Attribute::DATA).expect("data").to_vec()
    }
}

pub(crate) fn find_address(answer: &[u8], attribute: Attribute) -> SocketAddr {
    let message = Message::parse(answer).expect("well formed");
    let address = message.find_xor_address(attribute).expect("there");
    address.expect("an address")
}
