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
        self.serve_client(space, allowed.from_client, &mut served)?;
        self.serve_peer(space, allowed.from_peer, &mut served)?;
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

    /// From the client to the peer.
    fn serve_client(
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
            self.to_peer
                .send(&space.buffer[..taken.length], &mut self.peer)?;
            served.has_more |= taken.then == Then::More && self.to_peer.is_empty();
            if taken.then.is_last() {
                self.from_client = Flow::Ending;
            }
            if taken.then == Then::Broken {
                // Nothing can be told to the client any more.
                self.from_peer = Flow::Ended;
            }
        }
        if self.from_client == Flow::Ending && self.to_peer.is_empty() {
            self.peer.shutdown(Shutdown::Write)?;
            self.from_client = Flow::Ended;
        }
        Ok(())
    }

    /// From the peer to the client.
    fn serve_peer(
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
            // There is room: nothing waits.
            self.client.push([&space.buffer[..count], &[], &[]]);
            self.client.flush()?;
            served.has_more |= then == Then::More && !self.client.has_unsent();
            if then.is_last() {
                self.from_peer = Flow::Ending;
                self.client.say_goodbye();
                self.client.flush()?;
            }
            if then == Then::Broken {
                self.from_client = Flow::Ended;
            }
        }
        if self.from_peer == Flow::Ending && !self.client.has_unsent() {
            self.client.end_sending()?;
            self.from_peer = Flow::Ended;
        }
        Ok(())
    }
}
