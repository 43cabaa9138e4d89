//! A client's connection: a stream with STUN messages and ChannelData in it.

use std::io::{self, Read, Write};

use mio::net::TcpStream;

use super::admission::Place;
use crate::time::Instant;
use crate::turn::FiveTuple;

/// How many bytes may wait for a client that does not read. What finds no room is lost, as a
/// datagram may be.
const UNSENT: usize = 128 << 10;

/// How many bytes of an empty buffer are kept for the next time.
const KEPT: usize = 16 << 10;

/// A connection, its socket, and what is on the way in it.
#[derive(Debug)]
pub(super) struct Connection {
    socket: TcpStream,
    client: FiveTuple,
    /// The beginning of a message whose end has not come.
    partial: Vec<u8>,
    unsent: Unsent,
    /// When the last whole message came.
    heard: Option<Instant>,
    is_queued: bool,
    is_unsent_queued: bool,
    _place: Place,
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
            partial: Vec::new(),
            unsent: Unsent::default(),
            heard: None,
            is_queued: false,
            is_unsent_queued: false,
            _place: place,
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

    /// Puts what was left from before and what has come since into `buffer`, which must have room
    /// for more than a message.
    pub(super) fn take(&mut self, buffer: &mut [u8]) -> Taken {
        let before = self.partial.len();
        buffer[..before].copy_from_slice(&self.partial);
        self.partial.clear();
        let (count, then) = match self.socket.read(&mut buffer[before..]) {
            Ok(0) => (0, Then::Over),
            Ok(count) => (count, Then::More),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => (0, Then::Wait),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => (0, Then::More),
            Err(_) => (0, Then::Over),
        };
        Taken {
            length: before + count,
            then,
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
        self.unsent.push(parts)
    }

    /// Sends what the system takes.
    ///
    /// # Errors
    /// If the connection has ended.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.unsent.write_to(&mut self.socket)
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
    fn push(&mut self, parts: [&[u8]; 3]) -> bool {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        if self.bytes.len() - self.sent + length > UNSENT {
            return false;
        }
        // Only where much has been sent: then the rest is moved seldom.
        if self.sent >= UNSENT / 2 {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
        for part in parts {
            self.bytes.extend_from_slice(part);
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
            pushed += usize::from(unsent.push([&[1, 2, 3, 4], &message, &[]]));
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
        assert!(unsent.push([b"a", b"b", b"c"]));
        assert!(unsent.write_to(&mut Closed).is_err());
    }
}
