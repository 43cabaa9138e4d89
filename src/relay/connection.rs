//! A client's connection: a stream with STUN messages and ChannelData in it.

use std::io::{self, Read};
use std::net::Shutdown;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::proxy_header::{NoHeader, ProxyHeader};
use super::unsent::{KEPT, Unsent};
use crate::net::{Place, TlsConfig, TlsFailed, TlsSession};
use crate::stun::Frame;
use crate::time::Instant;
use crate::turn::{FiveTuple, Transport};

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
    /// Nothing can come or go any more.
    Broken,
}

impl Then {
    /// Whether nothing will come any more.
    pub(super) fn is_last(self) -> bool {
        matches!(self, Self::Over | Self::Broken)
    }
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
        if before > Frame::LONGEST {
            // More than the beginning of a message: it has waited for another owner.
            return Taken {
                length: before,
                then: Then::More,
            };
        }
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
            Err(TlsFailed) => (0, Then::Broken),
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
        !self.unsent.is_empty()
    }

    /// Lets the poller tell about it by `token`.
    ///
    /// # Errors
    /// If the system has no room.
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        registry.register(&mut self.socket, token, both)
    }

    /// Lets the poller tell no more, so that another one can.
    pub(super) fn deregister(&mut self, registry: &Registry) {
        // One that was not known to it is what was wanted.
        let _ = registry.deregister(&mut self.socket);
        (self.is_queued, self.is_unsent_queued) = (false, false);
    }

    /// Puts a good-bye behind what waits to be sent, where there is one.
    pub(super) fn say_goodbye(&mut self) {
        if let Security::Tls(session) = &mut self.security {
            session.close();
            session.take_records(&mut self.unsent.bytes);
        }
    }

    /// Sends nothing any more; what the client sends can still be taken.
    ///
    /// # Errors
    /// If the connection has ended.
    pub(super) fn end_sending(&mut self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Write)
    }

    /// Sends what still can be sent, and a good-bye where there is one.
    pub(super) fn close(mut self) {
        self.say_goodbye();
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

/// Reads what there is, as far as there is room; gives how many bytes.
pub(super) fn read(socket: &mut TcpStream, buffer: &mut [u8]) -> (usize, Then) {
    match socket.read(buffer) {
        Ok(0) => (0, Then::Over),
        Ok(count) => (count, Then::More),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => (0, Then::Wait),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => (0, Then::More),
        Err(_) => (0, Then::Broken),
    }
}
