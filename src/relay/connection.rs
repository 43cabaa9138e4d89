//! A client's connection: a stream with STUN messages and ChannelData in it.

use std::io::{self, Read, Write};

use mio::net::TcpStream;

use super::proxy_header::{NoHeader, ProxyHeader};
use crate::net::{Place, TlsConfig, TlsFailed, TlsSession};
use crate::time::Instant;
use crate::turn::{FiveTuple, Transport};

/// How many bytes may wait for a client that does not read. What finds no room is lost, as a
/// datagram may be.
const UNSENT: usize = 128 << 10;

/// How many bytes of an empty buffer are kept for the next time.
const KEPT: usize = 16 << 10;

/// The first byte of a TLS record with a handshake in it.
const TLS_HANDSHAKE: u8 = 22;

/// A connection, its socket, and what is on the way in it.
#[derive(Debug)]
pub(super) struct Connection {
    socket: TcpStream,
    client: FiveTuple,
    security: Security,
    /// The beginning of a message whose end has not come.
    partial: Vec<u8>,
    unsent: Unsent,
    /// When the last whole message came.
    heard: Option<Instant>,
    is_queued: bool,
    is_unsent_queued: bool,
    place: Place,
}

/// What the messages are wrapped in.
#[derive(Debug)]
enum Security {
    /// A proxy tells first whose connection it is. This has come so far.
    Proxied(Vec<u8>),
    /// The first byte will tell.
    Unknown,
    Plain,
    Tls(TlsSession),
}

/// What a look at the socket has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// How many bytes of the buffer count, those that were left from before included.
    pub(super) length: usize,
    /// What comes next.
    pub(super) then: Then,
}

/// What can be expected of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// There may be more at once.
    More,
    /// The poller will tell when there is more.
    Wait,
    /// Nothing will come any more.
    Over,
}

impl Connection {
    pub(super) fn new(socket: TcpStream, client: FiveTuple, place: Place) -> Self {
        Self {
            socket,
            client,
            security: Security::Unknown,
            partial: Vec::new(),
            unsent: Unsent::default(),
            heard: None,
            is_queued: false,
            is_unsent_queued: false,
            place,
        }
    }

    /// A connection that a proxy has passed on, which says whose it is.
    pub(super) fn proxied(socket: TcpStream, proxy: FiveTuple, place: Place) -> Self {
        Self {
            security: Security::Proxied(Vec::new()),
            ..Self::new(socket, proxy, place)
        }
    }

    /// A connection with a TLS session that has begun.
    pub(super) fn with_session(
        socket: TcpStream,
        client: FiveTuple,
        session: TlsSession,
        place: Place,
    ) -> Self {
        Self {
            security: Security::Tls(session),
            ..Self::new(socket, client, place)
        }
    }

    pub(super) fn client(&self) -> FiveTuple {
        self.client
    }

    /// When the last whole message came.
    pub(super) fn heard(&self) -> Option<Instant> {
        self.heard
    }

    /// A whole message has come.
    pub(super) fn hear(&mut self, now: Instant) {
        self.heard = Some(now);
    }

    /// Notes that it stands in the queue of those that may have something, or no more. Gives
    /// whether it did before.
    pub(super) fn set_queued(&mut self, is_queued: bool) -> bool {
        std::mem::replace(&mut self.is_queued, is_queued)
    }

    /// Likewise for the queue of those that have something to send.
    pub(super) fn set_unsent_queued(&mut self, is_queued: bool) -> bool {
        std::mem::replace(&mut self.is_unsent_queued, is_queued)
    }

    /// Puts what was left from before and what has come since into `buffer`. What needs to be
    /// decrypted is read into `wire`, which is as long as what `buffer` has room for behind a
    /// message and the plaintext of a record. There may be something to send then.
    pub(super) fn take(
        &mut self,
        buffer: &mut [u8],
        wire: &mut [u8],
        tls: Option<&TlsConfig>,
    ) -> Taken {
        let before = self.partial.len();
        buffer[..before].copy_from_slice(&self.partial);
        self.partial.clear();
        let room = &mut buffer[before..];
        let (count, then) = if matches!(self.security, Security::Plain) {
            read(&mut self.socket, room)
        } else {
            let (count, then) = read(&mut self.socket, wire);
            self.unpack(&wire[..count], room, then, tls)
        };
        Taken {
            length: before + count,
            then,
        }
    }

    /// Puts what is in `bytes` into `room`.
    fn unpack(
        &mut self,
        bytes: &[u8],
        room: &mut [u8],
        then: Then,
        tls: Option<&TlsConfig>,
    ) -> (usize, Then) {
        if let Security::Proxied(begun) = &mut self.security {
            begun.extend_from_slice(bytes);
            let begun = std::mem::take(begun);
            return self.take_header(begun, room, then, tls);
        }
        if let (Security::Unknown, Some(first)) = (&self.security, bytes.first()) {
            let Some(security) = Security::recognize(*first, tls) else {
                return (0, Then::Over);
            };
            self.security = security;
        }
        let Security::Tls(session) = &mut self.security else {
            room[..bytes.len()].copy_from_slice(bytes);
            return (bytes.len(), then);
        };
        self.client.transport = Transport::Tls;
        let opened = session.open(bytes, room);
        session.take_records(&mut self.unsent.bytes);
        match opened {
            Ok(count) if session.is_over() => (count, Then::Over),
            Ok(count) => (count, then),
            Err(TlsFailed) => (0, Then::Over),
        }
    }

    /// Takes what a proxy has said, if it has said all; what is behind it is the client's.
    fn take_header(
        &mut self,
        begun: Vec<u8>,
        room: &mut [u8],
        then: Then,
        tls: Option<&TlsConfig>,
    ) -> (usize, Then) {
        let header = match ProxyHeader::parse(&begun) {
            Ok(Some(header)) => header,
            Ok(None) => {
                self.security = Security::Proxied(begun);
                return (0, then);
            }
            Err(NoHeader) => return (0, Then::Over),
        };
        if let Some((client, server)) = header.addresses {
            if !self.place.settle(client.ip()) {
                return (0, Then::Over);
            }
            (self.client.client, self.client.server) = (client, server);
        }
        self.security = Security::Unknown;
        match &begun[header.length..] {
            [] => (0, then),
            rest => self.unpack(rest, room, then, tls),
        }
    }

    /// Keeps the beginning of a message until its end comes.
    pub(super) fn keep(&mut self, rest: &[u8]) {
        if rest.is_empty() && self.partial.capacity() > KEPT {
            self.partial = Vec::new();
        }
        self.partial.extend_from_slice(rest);
    }

    /// Puts a message, which comes in parts, behind what waits to be sent. `false`, and it is
    /// lost, if there is no room.
    pub(super) fn push(&mut self, parts: [&[u8]; 3]) -> bool {
        let length = parts.iter().map(|part| part.len()).sum();
        match &mut self.security {
            Security::Tls(session) => {
                if !self.unsent.make_room(TlsSession::sealed_length(length)) {
                    return false;
                }
                session.seal(parts);
                session.take_records(&mut self.unsent.bytes);
            }
            Security::Proxied(_) | Security::Unknown | Security::Plain => {
                if !self.unsent.make_room(length) {
                    return false;
                }
                parts
                    .iter()
                    .for_each(|part| self.unsent.bytes.extend_from_slice(part));
            }
        }
        true
    }

    /// Whether something waits to be sent.
    pub(super) fn has_unsent(&self) -> bool {
        self.unsent.sent < self.unsent.bytes.len()
    }

    /// Sends what still can be sent, and a good-bye where there is one.
    pub(super) fn close(mut self) {
        if let Security::Tls(session) = &mut self.security {
            session.close();
            session.take_records(&mut self.unsent.bytes);
        }
        // A client that has gone does not want it.
        let _ = self.flush();
    }

    /// Sends what the system takes.
    ///
    /// # Errors
    /// If the connection has ended.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.unsent.write_to(&mut self.socket)
    }
}

impl Security {
    /// STUN comes plain or in TLS, and nothing else comes first: ChannelData needs a channel, which
    /// needs an allocation.
    fn recognize(first: u8, tls: Option<&TlsConfig>) -> Option<Self> {
        match (first, tls) {
            (0..=3, _) => Some(Self::Plain),
            (TLS_HANDSHAKE, Some(config)) => {
                let session = TlsSession::new(config.load_full());
                Some(Self::Tls(session.ok()?))
            }
            _ => None,
        }
    }
}

fn read(socket: &mut TcpStream, buffer: &mut [u8]) -> (usize, Then) {
    match socket.read(buffer) {
        Ok(0) => (0, Then::Over),
        Ok(count) => (count, Then::More),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => (0, Then::Wait),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => (0, Then::More),
        Err(_) => (0, Then::Over),
    }
}

/// Bytes that wait to be sent.
#[derive(Debug, Default)]
struct Unsent {
    bytes: Vec<u8>,
    /// How many of them have been sent.
    sent: usize,
}

impl Unsent {
    /// Whether there is room for so many bytes more.
    fn make_room(&mut self, length: usize) -> bool {
        if self.bytes.len() - self.sent + length > UNSENT {
            return false;
        }
        // Only where much has been sent: then the rest is moved seldom.
        if self.sent >= UNSENT / 2 {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
        true
    }

    fn write_to(&mut self, socket: &mut impl Write) -> io::Result<()> {
        while self.sent < self.bytes.len() {
            match socket.write(&self.bytes[self.sent..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.sent = 0;
        self.bytes.clear();
        if self.bytes.capacity() > KEPT {
            self.bytes = Vec::new();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes some bytes and then no more until it is emptied.
    #[derive(Default)]
    struct Slow {
        taken: Vec<u8>,
        room: usize,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.room);
            if count == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.room -= count;
            self.taken.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_client_that_does_not_read_loses_whole_messages_and_never_a_part() {
        let (mut unsent, mut slow) = (Unsent::default(), Slow::default());
        let message = [7; 1_000];
        let mut pushed = 0;
        for step in 0..1_000 {
            slow.room = if step % 3 == 0 { 1_333 } else { 0 };
            if unsent.make_room(1_004) {
                unsent.bytes.extend_from_slice(&[1, 2, 3, 4]);
                unsent.bytes.extend_from_slice(&message);
                pushed += 1;
            }
            unsent.write_to(&mut slow).expect("open");
            assert!(unsent.bytes.len() - unsent.sent <= UNSENT);
            assert!(unsent.bytes.capacity() <= 4 * UNSENT);
        }
        assert!(pushed < 1_000, "nothing was lost");
        slow.room = usize::MAX;
        unsent.write_to(&mut slow).expect("open");
        assert_eq!(slow.taken.len(), pushed * 1_004);
        for sent in slow.taken.chunks(1_004) {
            assert!(sent.starts_with(&[1, 2, 3, 4]) && sent.ends_with(&message));
        }
        assert_eq!(unsent.bytes.capacity(), 0, "the room is given back");
    }

    #[test]
    fn a_connection_that_takes_nothing_any_more_is_over() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut unsent = Unsent::default();
        unsent.bytes.push(b'a');
        assert!(unsent.write_to(&mut Closed).is_err());
    }
}
