//! A client that says whatever a test wants, right or wrong.

use std::cell::Cell;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use peerage::stun::{Attribute, Class, Message, Method, TransactionId, Writer};

use crate::answer::Answer;
use crate::login::Login;
use crate::relay::USER;

/// How long an answer may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// After how long a request is sent again: floods of other tests may cost any datagram.
const RETRANSMISSION: Duration = Duration::from_secs(2);

/// A message of any kind.
pub(crate) fn message(
    class: Class,
    method: Method,
    id: u64,
    fill: impl FnOnce(&mut Writer<'_>),
) -> Vec<u8> {
    let mut buffer = vec![0; 70_000];
    let mut writer = Writer::new(&mut buffer, class, method, transaction(id));
    fill(&mut writer);
    let length = writer.finish().expect("it fits");
    buffer.truncate(length);
    buffer
}

fn transaction(number: u64) -> TransactionId {
    let mut id = [0; 12];
    id[4..].copy_from_slice(&number.to_be_bytes());
    TransactionId(id)
}

/// The outcome in an answer.
pub(crate) fn code(answer: &[u8]) -> Result<(), u16> {
    let message = Message::parse(answer).expect("well formed");
    match message.find(Attribute::ERROR_CODE) {
        Some(value) => Err(u16::from(value[2]) * 100 + u16::from(value[3])),
        None => Ok(()),
    }
}

/// One client and its socket.
pub(crate) struct Prober {
    pub(crate) socket: UdpSocket,
    pub(crate) server: SocketAddr,
    pub(crate) login: Login,
    transactions: Cell<u64>,
}

impl Prober {
    /// A client at `ip` that has not said anything.
    pub(crate) fn at(ip: impl Into<IpAddr>, server: SocketAddr) -> Self {
        let socket = UdpSocket::bind((ip.into(), 0)).expect("loopback has ports");
        Self::on(socket, server)
    }

    /// The same with this socket.
    pub(crate) fn on(socket: UdpSocket, server: SocketAddr) -> Self {
        socket.set_read_timeout(Some(PATIENCE)).expect("set");
        Self {
            socket,
            server,
            login: Login::of(USER.0, USER.1),
            transactions: Cell::new(1),
        }
    }

    /// A client on the server's machine that has a nonce.
    pub(crate) fn new(server: SocketAddr) -> Self {
        let mut prober = Self::at(server.ip(), server);
        prober.learn_nonce();
        prober
    }

    pub(crate) fn learn_nonce(&mut self) {
        let answer = self.ask(Method::ALLOCATE, |_| {});
        assert_eq!(code(&answer), Err(401));
        let message = Message::parse(&answer).expect("well formed");
        self.login.nonce = message.find(Attribute::NONCE).expect("there").to_vec();
    }

    /// Signs with another name from now on, with the same nonce.
    pub(crate) fn sign_in_as(&mut self, username: &str, password: &str) {
        (self.login.username, self.login.password) = (username.to_owned(), password.to_owned());
    }

    pub(crate) fn send(&self, datagram: &[u8]) {
        self.socket.send_to(datagram, self.server).expect("sent");
    }

    /// The next datagram: it must come.
    pub(crate) fn receive(&self) -> Vec<u8> {
        let mut buffer = [0; 2_000];
        loop {
            match self.socket.recv(&mut buffer) {
                Ok(length) => return buffer[..length].to_vec(),
                // Somebody has stopped the process for a while.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("nothing comes: {error}"),
            }
        }
    }

    /// Sends a request until it is answered. Gives what else has arrived before, and the answer.
    fn exchange(&self, request: &[u8]) -> (Vec<Vec<u8>>, Vec<u8>) {
        let id = &request[8..20];
        let (began, mut before, mut buffer) = (Instant::now(), Vec::new(), [0; 2_000]);
        let patience = self.socket.read_timeout().expect("set");
        self.socket
            .set_read_timeout(Some(RETRANSMISSION))
            .expect("set");
        self.send(request);
        loop {
            match self.socket.recv_from(&mut buffer) {
                Ok((length, from)) if from == self.server && buffer.get(8..20) == Some(id) => {
                    self.socket.set_read_timeout(patience).expect("set");
                    return (before, buffer[..length].to_vec());
                }
                Ok((length, _)) => before.push(buffer[..length].to_vec()),
                Err(error) => {
                    assert!(began.elapsed() < PATIENCE, "no answer: {error}");
                    self.send(request);
                }
            }
        }
    }

    fn next_id(&self) -> u64 {
        self.transactions.set(self.transactions.get() + 1);
        self.transactions.get()
    }

    /// The answer to a request without credentials.
    pub(crate) fn ask(&self, method: Method, fill: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
        let request = message(Class::Request, method, self.next_id(), fill);
        self.exchange(&request).1
    }

    /// A signed request.
    pub(crate) fn signed(
        &self,
        id: u64,
        method: Method,
        fill: impl FnOnce(&mut Writer<'_>),
    ) -> Vec<u8> {
        message(Class::Request, method, id, |writer| {
            fill(writer);
            self.login.sign(writer);
        })
    }

    /// The answer to a signed request.
    pub(crate) fn request(&self, method: Method, fill: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
        let request = self.signed(self.next_id(), method, fill);
        self.exchange(&request).1
    }

    /// Allocates; the relayed address.
    pub(crate) fn allocate(&self) -> Result<SocketAddr, u16> {
        self.allocate_of(1)
    }

    /// The same in a family: 1 is IPv4, 2 is IPv6.
    pub(crate) fn allocate_of(&self, family: u8) -> Result<SocketAddr, u16> {
        let answer = self.request(Method::ALLOCATE, |writer| {
            writer.attribute(Attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
            writer.attribute(Attribute::REQUESTED_ADDRESS_FAMILY, &[family, 0, 0, 0]);
        });
        code(&answer)?;
        let message = Message::parse(&answer).expect("well formed");
        let relayed = message.find_xor_address(Attribute::XOR_RELAYED_ADDRESS);
        Ok(relayed.expect("there").expect("an address"))
    }

    /// Allocates with these attributes beside REQUESTED-TRANSPORT.
    pub(crate) fn allocate_with(&self, attributes: &[(Attribute, &[u8])]) -> Answer {
        Answer(self.request(Method::ALLOCATE, |writer| {
            writer.attribute(Attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
            for (kind, value) in attributes {
                writer.attribute(*kind, value);
            }
        }))
    }

    pub(crate) fn refresh(&self, lifetime: u32) -> Result<(), u16> {
        code(&self.request(Method::REFRESH, |writer| {
            writer.u32(Attribute::LIFETIME, lifetime);
        }))
    }

    pub(crate) fn permit(&self, peers: &[SocketAddr]) -> Result<(), u16> {
        code(&self.request(Method::CREATE_PERMISSION, |writer| {
            for &peer in peers {
                writer.xor_address(Attribute::XOR_PEER_ADDRESS, peer);
            }
        }))
    }

    pub(crate) fn bind_channel(&self, number: u16, peer: SocketAddr) -> Result<(), u16> {
        code(&self.request(Method::CHANNEL_BIND, |writer| {
            writer.u32(Attribute::CHANNEL_NUMBER, u32::from(number) << 16);
            writer.xor_address(Attribute::XOR_PEER_ADDRESS, peer);
        }))
    }

    /// Sends `data` to `peer` by an indication.
    pub(crate) fn indicate(&self, peer: SocketAddr, data: &[u8]) {
        self.indicate_with(&[], peer, data);
    }

    /// The same with these attributes beside the peer and the data.
    pub(crate) fn indicate_with(
        &self,
        attributes: &[(Attribute, &[u8])],
        peer: SocketAddr,
        data: &[u8],
    ) {
        self.send(&message(Class::Indication, Method::SEND, 1, |writer| {
            writer.xor_address(Attribute::XOR_PEER_ADDRESS, peer);
            for (kind, value) in attributes {
                writer.attribute(*kind, value);
            }
            writer.attribute(Attribute::DATA, data);
        }));
    }

    /// Sends `data` by a channel.
    pub(crate) fn channel(&self, number: u16, data: &[u8]) {
        let length = u16::try_from(data.len()).expect("short");
        self.send(&[&number.to_be_bytes(), &length.to_be_bytes(), data].concat());
    }

    /// Lets the server's worker finish two rounds, at whose ends it publishes what it has counted.
    pub(crate) fn let_count(&self) {
        for _ in 0..2 {
            assert_eq!(self.settle(), Vec::<Vec<u8>>::new());
        }
    }

    /// Asks for something and waits for the answer, so that all that was sent before from this
    /// socket has been handled. Gives what else has arrived in between.
    pub(crate) fn settle(&self) -> Vec<Vec<u8>> {
        let request = message(Class::Request, Method::BINDING, self.next_id(), |_| {});
        self.exchange(&request).0
    }
}
