//! What a worker has for TCP allocations (RFC 6062): listeners at relayed addresses, connections to
//! peers that wait, and those that are joined with a client's.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener, TcpStream as StdStream};
use std::time::Duration;

use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};

use super::connection::Connection;
use super::splice::{Allowed, Served, Space, Splice};
use super::streams::READ;
use crate::time::{Deadlines, Instant};
use crate::turn::{AllocationId, ConnectionId};

/// Tokens from here on are those of listeners and connections. They are above those of streams.
const FIRST: usize = usize::MAX / 4 * 3;

/// How many are served in a round.
const ROUND: usize = 16;

/// How long a listener rests that could not take a connection, mostly because no file descriptor
/// is free.
const REST: Duration = Duration::from_millis(100);

/// Something that the poller knows by a token; a splice has two sockets under one.
#[derive(Debug)]
enum Entry {
    Listener {
        listener: TcpListener,
        allocation: AllocationId,
    },
    /// A connection to a peer that no client has bound. Nothing is read from it: what comes waits
    /// in the system, which lets the peer send no more than there is room for.
    Peer {
        socket: TcpStream,
        name: ConnectionId,
        is_connected: bool,
    },
    Splice(Box<Splice>),
}

#[derive(Debug)]
struct Slot {
    entry: Entry,
    is_queued: bool,
}

/// What is to be done with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// Take connections.
    Accept,
    /// See what has become of a connection.
    Connect(ConnectionId),
    /// Move bytes.
    Serve(ConnectionId),
}

/// Listeners and connections, by their index.
#[derive(Debug, Default)]
pub(super) struct Peers {
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    by_name: HashMap<ConnectionId, usize>,
    by_relayed: HashMap<SocketAddr, usize>,
    /// Those that may have something to do, each at most once.
    ready: VecDeque<usize>,
    deadlines: Deadlines<usize>,
    /// What is read before it is decrypted. Nothing until there is a splice.
    wire: Vec<u8>,
}

impl Peers {
    /// Notes what the poller tells; `false` if it is not about one of these.
    pub(super) fn note(&mut self, event: &Event) -> bool {
        let Some(index) = event.token().0.checked_sub(FIRST) else {
            return false;
        };
        self.queue(index);
        true
    }

    /// Whether something can be done without waiting.
    pub(super) fn has_work(&self) -> bool {
        !self.ready.is_empty()
    }

    /// When to call [`Peers::queue_due`].
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// The time has come for those whose deadline it is.
    pub(super) fn queue_due(&mut self, now: Instant) {
        while let Some(index) = self.deadlines.pop_due(now) {
            self.queue(index);
        }
    }

    /// How many are to be served before other sockets get their turn.
    pub(super) fn ready(&self) -> usize {
        self.ready.len().min(ROUND)
    }

    /// Takes the next one that has something to do out of the queue.
    pub(super) fn pop_ready(&mut self) -> Option<(usize, Task)> {
        while let Some(index) = self.ready.pop_front() {
            let Some(slot) = self.slots.get_mut(index).and_then(Option::as_mut) else {
                continue;
            };
            slot.is_queued = false;
            match &slot.entry {
                Entry::Listener { .. } => return Some((index, Task::Accept)),
                Entry::Splice(splice) => return Some((index, Task::Serve(splice.name()))),
                Entry::Peer {
                    name,
                    is_connected: false,
                    ..
                } => return Some((index, Task::Connect(*name))),
                Entry::Peer { .. } => {}
            }
        }
        None
    }

    /// Takes connections at a relayed address.
    ///
    /// # Errors
    /// If the system has no room.
    pub(super) fn listen(
        &mut self,
        listener: StdListener,
        allocation: AllocationId,
        registry: &Registry,
    ) -> io::Result<()> {
        let relayed = listener.local_addr()?;
        let mut listener = TcpListener::from_std(listener);
        let index = self.vacant();
        registry.register(&mut listener, token(index), Interest::READABLE)?;
        self.by_relayed.insert(relayed, index);
        let entry = Entry::Listener {
            listener,
            allocation,
        };
        self.put(index, entry);
        Ok(())
    }

    /// Takes no more.
    pub(super) fn unlisten(&mut self, relayed: SocketAddr) {
        if let Some(index) = self.by_relayed.remove(&relayed) {
            self.take(index);
        }
    }

    /// A connection that waits at a listener, and whose listener that is.
    ///
    /// # Errors
    /// If there is none, or it cannot be taken.
    pub(super) fn accept(&self, index: usize) -> io::Result<(TcpStream, SocketAddr, AllocationId)> {
        let slot = self.slots.get(index).and_then(Option::as_ref);
        let Some(Entry::Listener {
            listener,
            allocation,
            ..
        }) = slot.map(|slot| &slot.entry)
        else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        let (socket, source) = listener.accept()?;
        Ok((socket, source, *allocation))
    }

    /// A listener could not take a connection: it is asked again a little later.
    pub(super) fn rest(&mut self, index: usize, now: Instant) {
        self.deadlines.set(index, now + REST);
    }

    /// A connection that a peer has opened.
    ///
    /// # Errors
    /// If the system has no room.
    pub(super) fn insert(
        &mut self,
        name: ConnectionId,
        socket: TcpStream,
        registry: &Registry,
    ) -> io::Result<()> {
        self.insert_peer(name, socket, true, registry)
    }

    /// A connection to a peer that has begun.
    ///
    /// # Errors
    /// If the system has no room.
    pub(super) fn connect(
        &mut self,
        name: ConnectionId,
        socket: StdStream,
        registry: &Registry,
    ) -> io::Result<()> {
        self.insert_peer(name, TcpStream::from_std(socket), false, registry)
    }

    fn insert_peer(
        &mut self,
        name: ConnectionId,
        mut socket: TcpStream,
        is_connected: bool,
        registry: &Registry,
    ) -> io::Result<()> {
        socket.set_nodelay(true)?;
        let index = self.vacant();
        let both = Interest::READABLE | Interest::WRITABLE;
        registry.register(&mut socket, token(index), both)?;
        self.by_name.insert(name, index);
        let entry = Entry::Peer {
            socket,
            name,
            is_connected,
        };
        self.put(index, entry);
        Ok(())
    }

    /// What has become of a connection that has begun; `None` if the peer has not answered.
    pub(super) fn connected(&mut self, index: usize) -> Option<io::Result<()>> {
        let slot = self.slots.get_mut(index)?.as_mut()?;
        let Entry::Peer {
            socket,
            is_connected,
            ..
        } = &mut slot.entry
        else {
            return None;
        };
        if let Err(error) | Ok(Some(error)) = socket.take_error() {
            return Some(Err(error));
        }
        match socket.peer_addr() {
            Ok(_) => {
                *is_connected = true;
                Some(Ok(()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotConnected => None,
            Err(error) => Some(Err(error)),
        }
    }

    /// Joins a client's connection with that to its peer.
    ///
    /// # Errors
    /// If there is no such connection to a peer, or the system has no room. The client's is closed
    /// then.
    pub(super) fn join(
        &mut self,
        name: ConnectionId,
        mut client: Box<Connection>,
        registry: &Registry,
        now: Instant,
    ) -> io::Result<()> {
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        let index = *self.by_name.get(&name).ok_or_else(missing)?;
        client.register(registry, token(index))?;
        let entry = self.take(index).ok_or_else(missing)?;
        let Entry::Peer { socket, .. } = entry else {
            return Err(missing());
        };
        let splice = Splice::new(name, client, socket, now);
        self.put(index, Entry::Splice(Box::new(splice)));
        self.queue(index);
        if self.wire.is_empty() {
            self.wire = vec![0; READ];
        }
        Ok(())
    }

    /// Moves what can be moved between a client and its peer.
    ///
    /// # Errors
    /// If both are to be closed.
    pub(super) fn serve(
        &mut self,
        index: usize,
        buffer: &mut [u8],
        allowed: Allowed,
        now: Instant,
    ) -> io::Result<Served> {
        let slot = self.slots.get_mut(index).and_then(Option::as_mut);
        let Some(Entry::Splice(splice)) = slot.map(|slot| &mut slot.entry) else {
            return Ok(Served::default());
        };
        let mut space = Space {
            buffer,
            wire: &mut self.wire,
        };
        let served = splice.serve(&mut space, allowed, now)?;
        match splice.deadline() {
            Some(deadline) => self.deadlines.set(index, deadline),
            None => self.deadlines.clear(index),
        }
        if served.has_more {
            self.queue(index);
        }
        Ok(served)
    }

    /// Serves again at `at`, or before if something happens.
    pub(super) fn serve_at(&mut self, index: usize, at: Instant) {
        self.deadlines.set(index, at);
    }

    /// Closes a connection to a peer, and that of the client; gives whether there was one.
    pub(super) fn close(&mut self, name: ConnectionId) -> bool {
        let entry = self
            .by_name
            .remove(&name)
            .and_then(|index| self.take(index));
        let Some(Entry::Splice(splice)) = entry else {
            return false;
        };
        splice.close();
        true
    }

    /// It may have something to do.
    pub(super) fn queue(&mut self, index: usize) {
        if let Some(slot) = self.slots.get_mut(index).and_then(Option::as_mut)
            && !std::mem::replace(&mut slot.is_queued, true)
        {
            self.ready.push_back(index);
        }
    }

    /// A place for another entry. It stays vacant until something is put there.
    fn vacant(&mut self) -> usize {
        if self.free.is_empty() {
            self.free.push(self.slots.len());
            self.slots.push(None);
        }
        *self.free.last().expect("there is one now")
    }

    /// Fills the place that [`Peers::vacant`] has given, or that has become vacant last.
    fn put(&mut self, index: usize, entry: Entry) {
        debug_assert_eq!(self.free.last(), Some(&index));
        self.free.pop();
        self.slots[index] = Some(Slot {
            entry,
            is_queued: false,
        });
    }

    /// Takes an entry out; what is dropped, the poller forgets by itself.
    fn take(&mut self, index: usize) -> Option<Entry> {
        let slot = self.slots.get_mut(index)?.take()?;
        self.free.push(index);
        self.deadlines.clear(index);
        Some(slot.entry)
    }
}

fn token(index: usize) -> Token {
    Token(FIRST + index)
}
