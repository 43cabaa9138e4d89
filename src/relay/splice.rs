//! A client's data connection and that of its peer, joined: what comes from one side goes to the
//! other as it is (RFC 6062 section 5.4). Nothing is read from a side while something waits for the
//! other, so little is kept however slow a side is, and each feels how fast the other reads.

use std::io;
use std::net::Shutdown;
use std::time::Duration;

use mio::net::TcpStream;

use super::connection::{Connection, Then, read};
use super::streams::READ;
use super::unsent::Unsent;
use crate::time::Instant;
use crate::turn::ConnectionId;

/// How long the second side may go on in silence when the first has said all it had.
const HALF_OPEN: Duration = Duration::from_secs(60);

/// Both connections.
#[derive(Debug)]
pub(super) struct Splice {
    name: ConnectionId,
    client: Box<Connection>,
    peer: TcpStream,
    to_peer: Unsent,
    from_client: Flow,
    from_peer: Flow,
    /// When something has come last, or one side has ended.
    moved: Instant,
}

/// One of the two directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    /// More may come.
    Open,
    /// No more will come; what has come must still be sent.
    Ending,
    /// The other side knows that no more will come.
    Ended,
}

/// What may be read now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowed {
    pub(super) from_client: bool,
    pub(super) from_peer: bool,
}

/// Where bytes are put that are on their way.
pub(super) struct Space<'b> {
    /// Of [`BUFFER`](super::streams::BUFFER) bytes.
    pub(super) buffer: &'b mut [u8],
    /// Of [`READ`] bytes.
    pub(super) wire: &'b mut [u8],
}

/// What a turn has brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Served {
    /// How many bytes were read from the client.
    pub(super) from_client: usize,
    /// How many were read from the peer.
    pub(super) from_peer: usize,
    /// Whether there may be more at once.
    pub(super) has_more: bool,
}

impl Splice {
    /// Joins the two.
    pub(super) fn new(
        name: ConnectionId,
        client: Box<Connection>,
        peer: TcpStream,
        now: Instant,
    ) -> Self {
        Self {
            name,
            client,
            peer,
            to_peer: Unsent::default(),
            from_client: Flow::Open,
            from_peer: Flow::Open,
            moved: now,
        }
    }

    pub(super) fn name(&self) -> ConnectionId {
        self.name
    }

    /// Moves what can be moved, a bounded amount.
    ///
    /// # Errors
    /// If both are to be closed.
    pub(super) fn serve(
        &mut self,
        space: &mut Space<'_>,
        allowed: Allowed,
        now: Instant,
    ) -> io::Result<Served> {
        let mut served = Served::default();
        let before = (self.from_client, self.from_peer);
        // Who takes nothing any more may still have said something.
        if self
            .pass_to_peer(space, allowed.from_client, &mut served)
            .is_err()
        {
            self.from_client = Flow::Ended;
        }
        if self
            .pass_to_client(space, allowed.from_peer, &mut served)
            .is_err()
        {
            self.from_peer = Flow::Ended;
        }
        if (self.from_client, self.from_peer) == (Flow::Ended, Flow::Ended) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // Who has to wait for bandwidth is not silent.
        let must_wait = !(allowed.from_client && allowed.from_peer);
        let has_ended = before != (self.from_client, self.from_peer);
        if has_ended || must_wait || served.from_client + served.from_peer > 0 {
            self.moved = now;
        }
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(served)
    }

    /// When it is over if nothing moves until then.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let is_open = (self.from_client, self.from_peer) == (Flow::Open, Flow::Open);
        (!is_open).then(|| self.moved + HALF_OPEN)
    }

    /// Closes both.
    pub(super) fn close(self) {
        self.client.close();
    }

    fn pass_to_peer(
        &mut self,
        space: &mut Space<'_>,
        is_allowed: bool,
        served: &mut Served,
    ) -> io::Result<()> {
        if self.from_client == Flow::Ended {
            return Ok(());
        }
        self.to_peer.write_to(&mut self.peer)?;
        if self.from_client == Flow::Open && self.to_peer.is_empty() && is_allowed {
            let taken = self.client.take(space.buffer, space.wire, None);
            served.from_client = taken.length;
            if taken.then.is_last() {
                self.from_client = Flow::Ending;
            }
            if taken.then == Then::Broken {
                // Nothing can be told to the client any more.
                self.from_peer = Flow::Ended;
            }
            let bytes = &space.buffer[..taken.length];
            self.to_peer.send(bytes, &mut self.peer)?;
            served.has_more |= taken.then == Then::More && self.to_peer.is_empty();
        }
        if self.from_client == Flow::Ending && self.to_peer.is_empty() {
            self.peer.shutdown(Shutdown::Write)?;
            self.from_client = Flow::Ended;
        }
        Ok(())
    }

    fn pass_to_client(
        &mut self,
        space: &mut Space<'_>,
        is_allowed: bool,
        served: &mut Served,
    ) -> io::Result<()> {
        if self.from_peer == Flow::Ended {
            return Ok(());
        }
        self.client.flush()?;
        if self.from_peer == Flow::Open && !self.client.has_unsent() && is_allowed {
            let (count, then) = read(&mut self.peer, &mut space.buffer[..READ]);
            served.from_peer = count;
            if then == Then::Broken {
                self.from_client = Flow::Ended;
            }
            // There is room: nothing waits.
            self.client.push([&space.buffer[..count], &[], &[]]);
            if then.is_last() {
                self.from_peer = Flow::Ending;
                self.client.say_goodbye();
            }
            self.client.flush()?;
            served.has_more |= then == Then::More && !self.client.has_unsent();
        }
        if self.from_peer == Flow::Ending && !self.client.has_unsent() {
            self.client.end_sending()?;
            self.from_peer = Flow::Ended;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream as StdStream};
    use std::sync::Arc;

    use super::super::streams::BUFFER;
    use super::*;
    use crate::net::Admission;
    use crate::turn::{FiveTuple, Transport};

    const ALL: Allowed = Allowed {
        from_client: true,
        from_peer: true,
    };

    struct World {
        splice: Splice,
        client: StdStream,
        peer: StdStream,
        buffer: Vec<u8>,
        wire: Vec<u8>,
    }

    /// A connection on loopback: the end of ours, and the other.
    fn connection() -> (TcpStream, StdStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let other = StdStream::connect(address).expect("connected");
        let (own, _) = listener.accept().expect("connected");
        own.set_nonblocking(true).expect("it can be");
        (TcpStream::from_std(own), other)
    }

    impl World {
        fn new() -> Self {
            let ((socket, client), (to_peer, peer)) = (connection(), connection());
            let five_tuple = FiveTuple {
                client: client.local_addr().expect("bound"),
                server: client.peer_addr().expect("connected"),
                transport: Transport::Tcp,
            };
            let place = Arc::new(Admission::new(1, 0)).admit(five_tuple.client.ip());
            let place = place.expect("one is free");
            let mut connection = Box::new(Connection::new(socket, five_tuple, place));
            // The first byte tells that it is not TLS.
            let (mut buffer, mut wire) = (vec![0; BUFFER], vec![0; READ]);
            let mut this = client.try_clone().expect("a copy");
            this.write_all(&[0]).expect("sent");
            while connection.take(&mut buffer, &mut wire, None).length == 0 {}
            let splice = Splice::new(ConnectionId([1; 4]), connection, to_peer, at(0));
            Self {
                splice,
                client,
                peer,
                buffer,
                wire,
            }
        }

        fn serve(&mut self, allowed: Allowed, now: Instant) -> io::Result<Served> {
            let mut space = Space {
                buffer: &mut self.buffer,
                wire: &mut self.wire,
            };
            self.splice.serve(&mut space, allowed, now)
        }

        /// Serves until something has moved or ended.
        fn serve_until_moved(&mut self, now: Instant) -> io::Result<Served> {
            let before = (self.splice.from_client, self.splice.from_peer);
            loop {
                let served = self.serve(ALL, now)?;
                let has_ended = before != (self.splice.from_client, self.splice.from_peer);
                if has_ended || served.from_client + served.from_peer > 0 {
                    return Ok(served);
                }
            }
        }
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_start(Duration::from_secs(seconds))
    }

    #[test]
    fn a_side_may_be_silent_as_long_as_both_are_open() {
        let mut world = World::new();
        assert_eq!(world.splice.deadline(), None);
        assert!(world.serve(ALL, at(100_000)).is_ok());
    }

    #[test]
    fn when_one_side_has_ended_the_other_has_a_minute_from_its_last_bytes_on() {
        let mut world = World::new();
        world.client.shutdown(Shutdown::Write).expect("ended");
        assert!(world.serve_until_moved(at(10)).is_ok());
        assert_eq!(world.splice.deadline(), Some(at(70)));
        world.peer.write_all(b"more").expect("sent");
        let served = world.serve_until_moved(at(60)).expect("open");
        assert_eq!(served.from_peer, 4);
        assert!(world.serve(ALL, at(119)).is_ok());
        // Whoever has to wait for bandwidth is not silent.
        let waiting = Allowed {
            from_peer: false,
            ..ALL
        };
        assert!(world.serve(waiting, at(119)).is_ok());
        assert!(world.serve(ALL, at(178)).is_ok());
        assert!(world.serve(ALL, at(179)).is_err());
    }

    #[test]
    fn nothing_is_read_from_who_may_not_be_read() {
        let mut world = World::new();
        world.peer.write_all(b"hello").expect("sent");
        world.client.write_all(b"hello").expect("sent");
        let none = Allowed {
            from_client: false,
            from_peer: false,
        };
        for _ in 0..100 {
            assert_eq!(world.serve(none, at(0)).expect("open"), Served::default());
        }
        assert!(world.serve_until_moved(at(0)).is_ok());
    }

    #[test]
    fn nothing_more_is_read_while_the_other_side_does_not_take_it() {
        let mut world = World::new();
        world.peer.set_nonblocking(true).expect("it can be");
        let chunk = vec![7; 1 << 20];
        let mut written = 0;
        let mut read = 0;
        // Until all that can be taken is taken.
        for _ in 0..10_000 {
            written += world.peer.write(&chunk).unwrap_or(0);
            read += world.serve(ALL, at(0)).expect("open").from_peer;
        }
        let waiting = world.splice.client.has_unsent();
        assert!(waiting && read < written, "{read} of {written}");
        // It comes when it is taken.
        let mut arrived = 0;
        world.client.set_nonblocking(true).expect("it can be");
        while arrived < written {
            arrived += world.client.read(&mut vec![0; 1 << 20]).unwrap_or(0);
            world.serve(ALL, at(0)).expect("open");
        }
    }

    #[test]
    fn what_a_peer_has_said_before_it_broke_off_arrives() {
        let mut world = World::new();
        world.client.write_all(b"unread").expect("sent");
        assert!(world.serve_until_moved(at(0)).is_ok());
        world.peer.write_all(b"the last words").expect("sent");
        // What it has not read makes a reset of its good-bye.
        world.peer.peek(&mut [0]).expect("arrived");
        let (_, unused) = connection();
        drop(std::mem::replace(&mut world.peer, unused));
        world.client.write_all(b"to nobody").expect("sent");
        while world.serve(ALL, at(0)).is_ok() {}
        let World {
            splice, mut client, ..
        } = world;
        splice.close();
        let mut arrived = Vec::new();
        client.read_to_end(&mut arrived).expect("closed in order");
        assert_eq!(arrived, b"the last words");
    }
}
