//! Clients with TCP allocations (RFC 6062), and their peers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use peerage::stun::{Attribute, Class, Message, Method};

use crate::client::{Carrier, Client, PATIENCE, Stream, find_address, over_tcp};

/// What CONNECTION-ID carries.
pub(crate) type Id = Vec<u8>;

impl<C: Carrier> Client<C> {
    /// Makes a TCP allocation; gives its relayed address.
    pub(crate) fn allocate_tcp(&mut self) -> SocketAddr {
        let relayed = self.try_allocate_tcp(&[]).expect("allocated");
        find_address(&relayed, Attribute::XOR_RELAYED_ADDRESS)
    }

    /// The answer to an Allocate request for TCP with these attributes, or the code of the error.
    pub(crate) fn try_allocate_tcp(
        &mut self,
        attributes: &[(Attribute, &[u8])],
    ) -> Result<Vec<u8>, u16> {
        self.request(Method::ALLOCATE, &|writer| {
            writer.attribute(Attribute::REQUESTED_TRANSPORT, &[6, 0, 0, 0]);
            for (kind, value) in attributes {
                writer.attribute(*kind, value);
            }
        })
    }

    /// Connects to a peer; gives the name of the connection, or the code of the error.
    pub(crate) fn connect(&mut self, peer: SocketAddr) -> Result<Id, u16> {
        let answer = self.request(Method::CONNECT, &|writer| {
            writer.xor_address(Attribute::XOR_PEER_ADDRESS, peer);
        })?;
        Ok(name_in(&answer))
    }

    /// Makes a data connection of this one, or gives the code of the error.
    pub(crate) fn bind_to(&mut self, connection: &[u8]) -> Result<(), u16> {
        let answer = self.request(Method::CONNECTION_BIND, &|writer| {
            writer.attribute(Attribute::CONNECTION_ID, connection);
        });
        answer.map(|_| ())
    }

    /// The next ConnectionAttempt indication: from whom, and the name of the connection.
    pub(crate) fn receive_attempt(&mut self) -> (SocketAddr, Id) {
        let told = self.receive_message();
        let message = Message::parse(&told).expect("well formed");
        assert_eq!(
            (message.class(), message.method()),
            (Class::Indication, Method::CONNECTION_ATTEMPT)
        );
        let peer = find_address(&told, Attribute::XOR_PEER_ADDRESS);
        (peer, name_in(&told))
    }
}

fn name_in(message: &[u8]) -> Id {
    let message = Message::parse(message).expect("well formed");
    let name = message.find(Attribute::CONNECTION_ID).expect("there");
    assert_eq!(name.len(), 4);
    name.to_vec()
}

/// A peer that waits for connections.
pub(crate) struct Peer(TcpListener);

impl Peer {
    pub(crate) fn new() -> Self {
        Self::on("127.0.0.1")
    }

    pub(crate) fn on(ip: &str) -> Self {
        Self(TcpListener::bind((ip, 0)).expect("a free port"))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.local_addr().expect("bound")
    }

    /// The next connection, and where it comes from.
    pub(crate) fn accept(&self) -> (TcpStream, SocketAddr) {
        let (stream, from) = self.0.accept().expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        (stream, from)
    }
}

/// A connection from a peer to a relayed address.
pub(crate) fn connect_to(relayed: SocketAddr) -> TcpStream {
    crate::client::connect(relayed)
}

/// A client with a TCP allocation, a data connection of it, and the peer's end of that.
pub(crate) struct Pair {
    pub(crate) control: Client<Stream<TcpStream>>,
    pub(crate) relayed: SocketAddr,
    pub(crate) data: TcpStream,
    pub(crate) peer: TcpStream,
}

impl Pair {
    /// One at `server`, whose client has connected.
    pub(crate) fn new(server: SocketAddr) -> Self {
        let peer = Peer::new();
        let mut control = over_tcp(server);
        let relayed = control.allocate_tcp();
        let name = control.connect(peer.address()).expect("connected");
        let mut data = over_tcp(server);
        data.bind_to(&name).expect("bound");
        let (peer, from) = peer.accept();
        assert_eq!(from, relayed);
        Self {
            control,
            relayed,
            data: data.carrier.0,
            peer,
        }
    }
}

/// Sends a text from each side to the other.
pub(crate) fn assert_joined(a: &mut (impl Read + Write), b: &mut (impl Read + Write)) {
    for round in 0..3_u8 {
        // Bytes that begin like messages and channels are bytes like others.
        assert_arrives(a, b, &[0, 1, 0, 0, round, 0x40, 0, 0]);
        assert_arrives(b, a, &[0x40, 0, 0, 99, round]);
    }
}

pub(crate) fn assert_arrives(from: &mut impl Write, to: &mut impl Read, bytes: &[u8]) {
    from.write_all(bytes).expect("sent");
    from.flush().expect("sent");
    let mut buffer = vec![0; bytes.len()];
    to.read_exact(&mut buffer).expect("arrived");
    assert_eq!(buffer, bytes);
}

/// Whether nothing more comes, by a good-bye or by a reset.
pub(crate) fn is_over(stream: &mut impl Read) -> bool {
    match stream.read(&mut [0; 10]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

/// Bytes that show where each of them belongs.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8)
        .collect()
}

/// Waits until something is so.
pub(crate) fn await_that(mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "it does not come about");
        std::thread::sleep(Duration::from_millis(5));
    }
}
