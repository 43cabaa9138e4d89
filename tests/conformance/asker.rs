//! A client that signs in, or does not, in every way there is, and at any server.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use peerage::auth::Key;
use peerage::stun::{
    Attribute, Class, Integrity, Message, Method, PasswordAlgorithm, TransactionId, Writer,
};

use crate::relay::REALM;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A socket, and the server that it asks.
#[derive(Debug)]
pub(crate) struct Asker {
    socket: UdpSocket,
    transactions: u64,
}

/// How somebody signs in.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) username: String,
    pub(crate) password: String,
    /// `None`: as a client that knows no password algorithms.
    pub(crate) algorithm: Option<PasswordAlgorithm>,
    pub(crate) integrity: Integrity,
    pub(crate) nonce: Vec<u8>,
}

impl Login {
    /// As browsers do it.
    pub(crate) fn of(username: &str, password: &str, nonce: &[u8]) -> Self {
        Self {
            username: username.to_owned(),
            password: password.to_owned(),
            algorithm: None,
            integrity: Integrity::Sha1,
            nonce: nonce.to_vec(),
        }
    }

    pub(crate) fn key(&self) -> Key {
        let algorithm = self.algorithm.unwrap_or(PasswordAlgorithm::Md5);
        Key::new(algorithm, &self.username, REALM, &self.password)
    }

    /// Writes all that signs a request.
    pub(crate) fn sign(&self, writer: &mut Writer<'_>) {
        writer.text(Attribute::USERNAME, &self.username);
        writer.text(Attribute::REALM, REALM);
        writer.attribute(Attribute::NONCE, &self.nonce);
        if let Some(algorithm) = self.algorithm {
            writer.attribute(Attribute::PASSWORD_ALGORITHMS, &PasswordAlgorithm::ALL);
            writer.attribute(Attribute::PASSWORD_ALGORITHM, &algorithm.value());
        }
        writer.integrity(self.integrity, self.key().as_bytes());
    }
}

impl Asker {
    pub(crate) fn new(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind((server.ip(), 0)).expect("a free port");
        socket.connect(server).expect("connected");
        socket
            .set_read_timeout(Some(PATIENCE))
            .expect("a time that is not zero");
        Self {
            socket,
            transactions: 0,
        }
    }

    /// The same socket, asking another server.
    pub(crate) fn turn_to(&self, server: SocketAddr) {
        self.socket.connect(server).expect("connected");
    }

    pub(crate) fn local(&self) -> SocketAddr {
        self.socket.local_addr().expect("bound")
    }

    pub(crate) fn send(&self, datagram: &[u8]) {
        self.socket.send(datagram).expect("sent");
    }

    pub(crate) fn receive(&self) -> Vec<u8> {
        let mut buffer = [0; 2_000];
        loop {
            match self.socket.recv(&mut buffer) {
                Ok(length) => return buffer[..length].to_vec(),
                // Somebody has stopped the process for a while.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("no answer in time: {error}"),
            }
        }
    }

    /// Sends a request and gives back the answer to it.
    pub(crate) fn ask(&mut self, method: Method, fill: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
        self.transactions += 1;
        let mut id = TransactionId([0; 12]);
        id.0[4..].copy_from_slice(&self.transactions.to_be_bytes());
        let request = message(Class::Request, method, id, fill);
        self.send(&request);
        let answer = self.receive();
        let read = Message::parse(&answer).expect("well formed");
        assert_eq!((read.method(), read.transaction_id()), (method, id));
        answer
    }

    /// An Allocate request with a UDP relayed address in mind.
    pub(crate) fn allocate(&mut self, login: &Login) -> Vec<u8> {
        self.ask(Method::ALLOCATE, |writer| {
            writer.attribute(Attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
            login.sign(writer);
        })
    }

    /// The nonce of a challenge.
    pub(crate) fn nonce(&mut self) -> Vec<u8> {
        let challenge = self.ask(Method::ALLOCATE, |_| {});
        let message = Message::parse(&challenge).expect("well formed");
        message.find(Attribute::NONCE).expect("there").to_vec()
    }
}

pub(crate) fn message(
    class: Class,
    method: Method,
    id: TransactionId,
    fill: impl FnOnce(&mut Writer<'_>),
) -> Vec<u8> {
    let mut buffer = [0; 1_500];
    let mut writer = Writer::new(&mut buffer, class, method, id);
    fill(&mut writer);
    let length = writer.finish().expect("it fits");
    buffer[..length].to_vec()
}

/// The code of an error; 0 for success.
pub(crate) fn code(answer: &[u8]) -> u16 {
    let message = Message::parse(answer).expect("well formed");
    let value = message.find(Attribute::ERROR_CODE);
    value.map_or(0, |value| u16::from(value[2]) * 100 + u16::from(value[3]))
}
