//! The connections of a worker's clients that come by streams.
//!
//! The kernel deals connections out to the workers, as it does with datagrams; all that belongs to
//! a connection stays with its worker. Everything has a bound: how many connections there are, how
//! long one may be silent, how long a message may be and how much waits to be sent.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::TcpListener as StdListener;
use std::sync::Arc;

use mio::event::Event;
use mio::net::TcpListener;
use mio::{Interest, Registry, Token};

use super::connection::{Connection, Taken, Then};
use super::delivery::Delivery;
use super::strangers::{FIRST_MESSAGE, STRANGERS_MESSAGE, spared_until};
use crate::metrics::RelayCounters;
use crate::net::{Admission, TlsConfig, TlsSession};
use crate::stun::{Frame, padding};
use crate::time::{Deadlines, Instant};
use crate::turn::{Cidr, FiveTuple, ToClient};

/// Tokens from here on are those of listeners and connections.
const FIRST: usize = usize::MAX / 2;

/// How many connections are read in a round.
const ROUND: usize = 16;

/// How many bytes are read in one go.
pub(super) const READ: usize = 64 << 10;

/// A buffer for [`Streams::take`]: what is left of a message, and what is read.
pub(super) const BUFFER: usize = Frame::LONGEST + TlsSession::room_for(READ);

/// Listeners and connections, known to the poller by their tokens.
#[derive(Debug)]
pub(super) struct Streams {
    pub(super) listeners: Vec<TcpListener>,
    connections: Vec<Option<Box<Connection>>>,
    free: Vec<usize>,
    pub(super) by_client: HashMap<FiveTuple, usize>,
    /// Listeners that may have connections waiting.
    pub(super) inviting: Vec<usize>,
    /// Connections that may have something to read, each at most once.
    ready: VecDeque<usize>,
    /// Connections that have something to send, each at most once.
    unsent: Vec<usize>,
    pub(super) deadlines: Deadlines<Timer>,
    pub(super) admission: Arc<Admission>,
    tls: Option<TlsConfig>,
    /// Who must say whose connection it is.
    pub(super) proxies: Arc<[Cidr]>,
    /// What is read before it is decrypted.
    wire: Box<[u8]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Timer {
    Listener(usize),
    Connection(usize),
}

impl Streams {
    /// Registers the listeners.
    pub(super) fn new(
        listeners: Vec<StdListener>,
        admission: Arc<Admission>,
        tls: Option<TlsConfig>,
        proxies: Arc<[Cidr]>,
        registry: &Registry,
    ) -> io::Result<Self> {
        let mut listeners: Vec<_> = listeners.into_iter().map(TcpListener::from_std).collect();
        for (index, listener) in listeners.iter_mut().enumerate() {
            registry.register(listener, Token(FIRST + index), Interest::READABLE)?;
        }
        Ok(Self {
            listeners,
            connections: Vec::new(),
            free: Vec::new(),
            by_client: HashMap::new(),
            inviting: Vec::new(),
            ready: VecDeque::new(),
            unsent: Vec::new(),
            deadlines: Deadlines::default(),
            admission,
            tls,
            proxies,
            wire: vec![0; READ].into(),
        })
    }

    /// Notes what the poller tells; `false` if it is not about a stream.
    pub(super) fn note(&mut self, event: &Event) -> bool {
        let Some(number) = event.token().0.checked_sub(FIRST) else {
            return false;
        };
        match number.checked_sub(self.listeners.len()) {
            None => self.invite(number),
            Some(index) => {
                if event.is_writable() {
                    self.queue_unsent(index);
                }
                if event.is_readable() || event.is_read_closed() || event.is_error() {
                    self.queue(index);
                }
            }
        }
        true
    }

    /// Whether something can be done without waiting.
    pub(super) fn has_work(&self) -> bool {
        !self.inviting.is_empty() || !self.ready.is_empty() || !self.unsent.is_empty()
    }

    /// When to call [`Streams::pop_due`].
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// How many connections are to be read before other sockets get their turn. A handshake takes
    /// as long as many packets do.
    pub(super) fn ready(&self) -> usize {
        self.ready.len().min(ROUND)
    }

    /// Takes the next connection that may have something to read out of the queue.
    pub(super) fn pop_ready(&mut self) -> Option<usize> {
        let index = self.ready.pop_front()?;
        if let Some(connection) = self.connection_mut(index) {
            connection.set_queued(false);
        }
        Some(index)
    }

    /// Whose connection it is.
    pub(super) fn client(&self, index: usize) -> Option<FiveTuple> {
        let connection = self.connections.get(index)?.as_ref()?;
        Some(connection.client())
    }

    /// The longest message that a client may send.
    pub(super) fn longest(has_allocation: bool) -> usize {
        if has_allocation {
            Frame::LONGEST
        } else {
            STRANGERS_MESSAGE
        }
    }

    /// Puts what there is to read into `buffer`, of [`BUFFER`] bytes. What is left of it goes back
    /// by [`Streams::keep`].
    pub(super) fn take(&mut self, index: usize, buffer: &mut [u8]) -> Option<Taken> {
        let connection = self.connections.get_mut(index)?.as_deref_mut()?;
        let before = connection.client();
        let mut taken = connection.take(buffer, &mut self.wire, self.tls.as_ref());
        let (client, has_unsent) = (connection.client(), connection.has_unsent());
        if client != before {
            self.by_client.remove(&before);
            match self.by_client.entry(client) {
                Entry::Vacant(place) => {
                    place.insert(index);
                }
                // Only a proxy that has lost count says this.
                Entry::Occupied(_) => (taken.length, taken.then) = (0, Then::Over),
            }
        }
        if has_unsent {
            self.queue_unsent(index);
        }
        if taken.then == Then::More {
            self.queue(index);
        }
        Some(taken)
    }

    /// Keeps the beginning of a message; `heard` tells whether there were whole ones before it.
    pub(super) fn keep(&mut self, index: usize, rest: &[u8], heard: bool, now: Instant) {
        let Some(connection) = self.connection_mut(index) else {
            return;
        };
        connection.keep(rest);
        if heard {
            connection.hear(now);
        }
    }

    /// Hands a payload to a client, with a header before it.
    pub(super) fn push_payload(&mut self, to: &ToClient, payload: &[u8]) -> Delivery {
        let padding = padding(payload.len());
        let Ok(length) = u16::try_from(payload.len()) else {
            return Delivery::Lost;
        };
        let header = to.header.encode(length);
        if header.as_bytes().len() + payload.len() + padding > Frame::LONGEST {
            // A Data indication whose length field could not say so.
            return Delivery::Lost;
        }
        self.push(to.client, [header.as_bytes(), payload, &[0; 3][..padding]])
    }

    /// Hands an answer to a client.
    pub(super) fn push_answer(&mut self, client: FiveTuple, answer: &[u8]) -> Delivery {
        self.push(client, [answer, &[], &[]])
    }

    fn push(&mut self, client: FiveTuple, parts: [&[u8]; 3]) -> Delivery {
        let Some(&index) = self.by_client.get(&client) else {
            return Delivery::Elsewhere;
        };
        let pushed = self
            .connection_mut(index)
            .is_some_and(|connection| connection.push(parts));
        if !pushed {
            return Delivery::Lost;
        }
        self.queue_unsent(index);
        Delivery::Done
    }

    /// Sends what waits.
    pub(super) fn flush(&mut self) {
        for index in std::mem::take(&mut self.unsent) {
            let Some(connection) = self.connection_mut(index) else {
                continue;
            };
            connection.set_unsent_queued(false);
            if connection.flush().is_err() {
                // Reading from it tells that it is over.
                self.queue(index);
            }
        }
    }

    /// A client whose time may be over. It is, if [`Streams::spare`] does not say otherwise.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<usize> {
        loop {
            match self.deadlines.pop_due(now)? {
                Timer::Listener(listener) => self.invite(listener),
                Timer::Connection(index) => return Some(index),
            }
        }
    }

    /// Gives a client more time, if it may have some.
    pub(super) fn spare(&mut self, index: usize, has_allocation: bool, now: Instant) -> bool {
        let Some(connection) = self.connection_mut(index) else {
            return false;
        };
        let until = spared_until(connection.heard(), has_allocation, now);
        if let Some(until) = until {
            self.deadlines.set(Timer::Connection(index), until);
        }
        until.is_some()
    }

    /// Closes a connection; gives the client that has none any more.
    pub(super) fn close(&mut self, index: usize, counters: &RelayCounters) -> Option<FiveTuple> {
        let connection = self.connections.get_mut(index)?.take()?;
        let client = connection.client();
        connection.close();
        self.free.push(index);
        self.deadlines.clear(Timer::Connection(index));
        counters.connections_ended.add(1);
        if self.by_client.get(&client) != Some(&index) {
            return None;
        }
        self.by_client.remove(&client);
        Some(client)
    }

    /// Takes a connection in that another worker has taken; `false`, and it is closed, if that
    /// cannot be.
    pub(super) fn insert(
        &mut self,
        mut connection: Box<Connection>,
        registry: &Registry,
        now: Instant,
    ) -> bool {
        let client = connection.client();
        if self.by_client.contains_key(&client) {
            return false;
        }
        let index = self.free.pop().unwrap_or(self.connections.len());
        if index == self.connections.len() {
            self.connections.push(None);
        }
        let token = Token(FIRST + self.listeners.len() + index);
        if connection.register(registry, token).is_err() {
            self.free.push(index);
            return false;
        }
        self.by_client.insert(client, index);
        self.connections[index] = Some(connection);
        self.deadlines
            .set(Timer::Connection(index), now + FIRST_MESSAGE);
        // It may have brought something with it.
        self.queue(index);
        true
    }

    /// Takes a connection out, for another owner.
    pub(super) fn remove(&mut self, index: usize, registry: &Registry) -> Option<Box<Connection>> {
        let mut connection = self.connections.get_mut(index)?.take()?;
        connection.deregister(registry);
        self.free.push(index);
        self.deadlines.clear(Timer::Connection(index));
        let client = connection.client();
        if self.by_client.get(&client) == Some(&index) {
            self.by_client.remove(&client);
        }
        Some(connection)
    }

    pub(super) fn invite(&mut self, listener: usize) {
        if !self.inviting.contains(&listener) {
            self.inviting.push(listener);
        }
    }

    fn queue(&mut self, index: usize) {
        if let Some(connection) = self.connection_mut(index)
            && !connection.set_queued(true)
        {
            self.ready.push_back(index);
        }
    }

    fn queue_unsent(&mut self, index: usize) {
        if let Some(connection) = self.connection_mut(index)
            && !connection.set_unsent_queued(true)
        {
            self.unsent.push(index);
        }
    }

    fn connection_mut(&mut self, index: usize) -> Option<&mut Connection> {
        self.connections.get_mut(index)?.as_deref_mut()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream as StdStream;
    use std::time::Duration;

    use mio::{Events, Poll};

    use super::*;
    use crate::net::listen_tcp;
    use crate::turn::Transport;

    const PATIENCE: Option<Duration> = Some(Duration::from_secs(20));

    struct World {
        streams: Streams,
        poll: Poll,
        counters: RelayCounters,
        server: std::net::SocketAddr,
    }

    impl World {
        fn new(most: usize) -> Self {
            let poll = Poll::new().expect("a poller");
            let any_port = "127.0.0.1:0".parse().expect("an address");
            let listener = listen_tcp(any_port, false).expect("bound");
            let server = listener.local_addr().expect("bound");
            let admission = Arc::new(Admission::new(most, 0));
            let streams = Streams::new(vec![listener], admission, None, [].into(), poll.registry());
            Self {
                streams: streams.expect("registered"),
                poll,
                counters: RelayCounters::default(),
                server,
            }
        }

        /// Waits until something has happened, and takes new connections.
        fn turn(&mut self, now: Instant) {
            let mut events = Events::with_capacity(16);
            self.poll.poll(&mut events, PATIENCE).expect("polled");
            assert!(events.iter().all(|event| self.streams.note(event)));
            self.streams
                .accept(self.poll.registry(), &self.counters, now);
        }

        fn connect(&mut self, now: Instant) -> StdStream {
            let client = StdStream::connect(self.server).expect("connected");
            let (made, refused) = (
                &self.counters.connections_made,
                &self.counters.connections_refused,
            );
            let before = made.read() + refused.read();
            while self.counters.connections_made.read() + self.counters.connections_refused.read()
                == before
            {
                self.turn(now);
            }
            client
        }

        /// Reads until `length` bytes are there or the connection is over.
        fn read(&mut self, length: usize, now: Instant) -> (Vec<u8>, Then) {
            let mut buffer = vec![0; BUFFER];
            loop {
                if let Some(index) = self.streams.pop_ready() {
                    let taken = self.streams.take(index, &mut buffer).expect("open");
                    if taken.length >= length || taken.then == Then::Over {
                        return (buffer[..taken.length].to_vec(), taken.then);
                    }
                    self.streams
                        .keep(index, &buffer[..taken.length], false, now);
                } else {
                    self.turn(now);
                }
            }
        }

        fn is_over(&mut self, now: Instant, has_allocation: bool) -> bool {
            match self.streams.pop_due(now) {
                Some(index) => !self.streams.spare(index, has_allocation, now),
                None => false,
            }
        }
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_start(Duration::from_secs(seconds))
    }

    #[test]
    fn a_client_has_ten_seconds_for_its_first_message_and_then_half_a_minute() {
        let mut world = World::new(10);
        let _client = world.connect(at(0));
        assert!(!world.is_over(at(9), false));
        world.streams.keep(0, &[], true, at(9));
        assert!(!world.is_over(at(10), false));
        assert!(!world.is_over(at(38), false));
        assert!(world.is_over(at(39), false));

        let mut world = World::new(10);
        let _client = world.connect(at(0));
        world.streams.keep(0, b"begun", false, at(9));
        assert!(world.is_over(at(10), false));
    }

    #[test]
    fn a_client_with_an_allocation_may_be_silent() {
        let mut world = World::new(10);
        let _client = world.connect(at(0));
        for now in [10, 40, 3_600] {
            assert!(!world.is_over(at(now), true));
        }
        world.streams.keep(0, &[], true, at(3_600));
        assert!(world.is_over(at(3_630), false));
    }

    #[test]
    fn whoever_finds_no_place_is_sent_away() {
        let mut world = World::new(1);
        let _first = world.connect(at(0));
        let mut second = world.connect(at(0));
        assert_eq!(second.read(&mut [0]).expect("closed"), 0);
        assert_eq!(world.counters.connections_refused.read(), 1);
        let client = world.streams.close(0, &world.counters).expect("open");
        assert_eq!(client.transport, Transport::Tcp);
        let _third = world.connect(at(0));
        assert_eq!(world.counters.connections_made.read(), 2);
    }

    #[test]
    fn what_is_left_of_a_message_comes_again_with_what_follows() {
        let mut world = World::new(1);
        let mut client = world.connect(at(0));
        client.write_all(&[0, 1, 2]).expect("sent");
        assert_eq!(world.read(3, at(0)).0, [0, 1, 2]);
        world.streams.keep(0, &[1, 2], false, at(0));
        client.write_all(b" and done").expect("sent");
        assert_eq!(world.read(11, at(0)).0, b"\x01\x02 and done");
        drop(client);
        assert_eq!(world.read(1, at(0)), (vec![], Then::Over));
    }
}
