//! A worker: one thread that owns its listeners, its relay sockets, its TURN server and its
//! buffers. Nothing on the way of a packet is shared.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};

use super::siblings::Siblings;
use crate::auth::RelayCredentials;
use crate::metrics::RelayCounters;
use crate::net::{Clock, DatagramSocket as UdpSocket};
use crate::time::Now;
use crate::turn::{
    Action, AllocationId, BindFailed, FiveTuple, Header, Server, ToClient, ToPeer, Transport,
};

/// How many datagrams of one socket are taken in a row before the others get their turn.
const TURN_OF_A_SOCKET: usize = 64;

/// The largest UDP datagram.
const MAX_DATAGRAM: usize = 65_535;

/// What may stand behind a payload: padding to a multiple of four.
const TAILROOM: usize = 3;

/// How many ready sockets one call of the poller tells about.
const EVENTS: usize = 1_024;

/// How often a random port is tried before the range is searched from one end to the other.
const RANDOM_TRIES: usize = 16;

const WAKE: Token = Token(0);
const FIRST_LISTENER: usize = 1;

/// What a worker is made of.
pub(super) struct Parts {
    pub(super) listeners: Vec<UdpSocket>,
    pub(super) server: Server<Arc<RelayCredentials>, Arc<Siblings>>,
    pub(super) siblings: Arc<Siblings>,
    pub(super) relay_ports: RangeInclusive<u16>,
    pub(super) counters: Arc<RelayCounters>,
    pub(super) stopping: Arc<AtomicBool>,
}

pub(super) struct Worker {
    parts: Parts,
    clock: Clock,
    poll: Poll,
    /// Sockets that may have datagrams waiting, each at most once.
    ready: VecDeque<Source>,
    listener_is_ready: Vec<bool>,
    /// By the index of the allocation.
    relays: Vec<Option<RelaySocket>>,
    /// Headroom, a datagram, tailroom.
    buffer: Box<[u8]>,
}

/// A socket to take datagrams from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Listener(usize),
    Relay(usize),
}

#[derive(Debug)]
struct RelaySocket {
    socket: UdpSocket,
    allocation: AllocationId,
    is_ready: bool,
}

/// Whether a socket may still have something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Drained {
    Yes,
    No,
}

impl Worker {
    /// Registers the listeners. Gives the worker, and what wakes it from another thread.
    pub(super) fn new(parts: Parts) -> io::Result<(Self, Waker)> {
        let poll = Poll::new()?;
        for (index, listener) in parts.listeners.iter().enumerate() {
            let token = Token(FIRST_LISTENER + index);
            poll.registry().register(
                &mut SourceFd(&listener.as_raw_fd()),
                token,
                Interest::READABLE,
            )?;
        }
        let waker = Waker::new(poll.registry(), WAKE)?;
        let worker = Self {
            clock: Clock::start(),
            poll,
            ready: VecDeque::new(),
            listener_is_ready: vec![false; parts.listeners.len()],
            relays: Vec::new(),
            buffer: vec![0; Header::MAX_LENGTH + MAX_DATAGRAM + TAILROOM].into(),
            parts,
        };
        Ok((worker, waker))
    }

    /// Serves until told to stop.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS);
        while !self.parts.stopping.load(Ordering::Relaxed) {
            if let Err(error) = self.poll.poll(&mut events, self.patience())
                && error.kind() != io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "a relay worker cannot wait for its sockets");
                return;
            }
            for event in &events {
                self.note_ready(event.token());
            }
            self.serve_round();
            self.expire();
            self.publish();
        }
    }

    /// How long to wait for packets: not at all while some are left.
    fn patience(&self) -> Option<Duration> {
        if !self.ready.is_empty() {
            return Some(Duration::ZERO);
        }
        let deadline = self.parts.server.poll_timeout()?;
        // A little late rather than a little early, when there would be nothing to do yet.
        let wait = deadline.saturating_since(self.clock.now().instant);
        Some(wait + Duration::from_millis(1))
    }

    fn note_ready(&mut self, token: Token) {
        let listeners = self.parts.listeners.len();
        let source = match token.0.checked_sub(FIRST_LISTENER) {
            None => return,
            Some(index) if index < listeners => Source::Listener(index),
            Some(index) => Source::Relay(index - listeners),
        };
        if let Some(is_ready) = self.is_ready(source)
            && !std::mem::replace(is_ready, true)
        {
            self.ready.push_back(source);
        }
    }

    /// Whether `source` stands in the queue; `None` if it is no more.
    fn is_ready(&mut self, source: Source) -> Option<&mut bool> {
        match source {
            Source::Listener(index) => self.listener_is_ready.get_mut(index),
            Source::Relay(index) => {
                let relay = self.relays.get_mut(index)?.as_mut()?;
                Some(&mut relay.is_ready)
            }
        }
    }

    /// Gives every ready socket its turn, so that one that is flooded starves no other.
    fn serve_round(&mut self) {
        let now = self.clock.now();
        for _ in 0..self.ready.len() {
            let Some(source) = self.ready.pop_front() else {
                return;
            };
            let drained = match source {
                Source::Listener(index) => self.serve_listener(index, now),
                Source::Relay(index) => self.serve_relay(index, now),
            };
            if drained == Drained::No {
                self.ready.push_back(source);
            } else if let Some(is_ready) = self.is_ready(source) {
                *is_ready = false;
            }
        }
    }

    /// Takes datagrams from clients.
    fn serve_listener(&mut self, index: usize, now: Now) -> Drained {
        for _ in 0..TURN_OF_A_SOCKET {
            let space = &mut self.buffer[Header::MAX_LENGTH..][..MAX_DATAGRAM];
            let received = match self.parts.listeners[index].receive(space) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Drained::Yes,
                Err(_) => continue,
            };
            let client = FiveTuple {
                client: received.from,
                server: received.to,
                transport: Transport::Udp,
            };
            let datagram = &self.buffer[Header::MAX_LENGTH..][..received.length];
            match self.parts.server.handle_client(client, datagram, now) {
                Some(route) => self.send_to_peer(&route),
                None => self.follow_up(index, now),
            }
        }
        Drained::No
    }

    /// Takes datagrams from peers.
    fn serve_relay(&mut self, index: usize, now: Now) -> Drained {
        for _ in 0..TURN_OF_A_SOCKET {
            let Some(Some(relay)) = self.relays.get(index) else {
                return Drained::Yes;
            };
            let space = &mut self.buffer[Header::MAX_LENGTH..][..MAX_DATAGRAM];
            let received = match relay.socket.receive(space) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Drained::Yes,
                Err(_) => continue,
            };
            let allocation = relay.allocation;
            if let Some(route) = self
                .parts
                .server
                .handle_peer(allocation, received.from, now)
            {
                self.send_to_client(&route, received.length);
            }
        }
        Drained::No
    }

    fn send_to_peer(&self, route: &ToPeer) {
        let Some(Some(relay)) = self.relays.get(route.via.index()) else {
            return;
        };
        let payload = &self.buffer[Header::MAX_LENGTH..][route.payload.clone()];
        // An unreachable peer costs this packet and no more.
        if relay.socket.send(payload, route.peer, None).is_ok() {
            self.parts.counters.packets_to_peers.add(1);
            self.parts.counters.bytes_to_peers.add(payload.len() as u64);
        } else {
            self.parts.counters.packets_unsent.add(1);
        }
    }

    fn send_to_client(&mut self, route: &ToClient, length: usize) {
        let counters = &self.parts.counters;
        let payload = Header::MAX_LENGTH..Header::MAX_LENGTH + length;
        let Ok(short_length) = u16::try_from(length) else {
            return;
        };
        let headroom = &mut self.buffer[..Header::MAX_LENGTH];
        let (before, behind) = route.header.write(headroom, short_length);
        self.buffer[payload.end..][..behind].fill(0);
        let bytes = &self.buffer[payload.start - before..payload.end + behind];
        let listener = listener_of(&self.parts.listeners, route.client);
        let sent = listener.map(|listener| send(listener, bytes, route.client));
        if matches!(sent, Some(Ok(()))) {
            counters.packets_to_clients.add(1);
            counters.bytes_to_clients.add(length as u64);
        } else {
            counters.packets_unsent.add(1);
        }
    }

    /// Does what the server wants done after a request, and sends its answers.
    fn follow_up(&mut self, listener: usize, now: Now) {
        self.carry_out_actions(now);
        while let Some(transmit) = self.parts.server.poll_transmit(&mut self.buffer) {
            let bytes = &self.buffer[..transmit.length];
            if send(&self.parts.listeners[listener], bytes, transmit.client).is_err() {
                self.parts.counters.packets_unsent.add(1);
            }
        }
    }

    fn carry_out_actions(&mut self, now: Now) {
        while let Some(action) = self.parts.server.poll_action() {
            match action {
                Action::Bind {
                    allocation,
                    address,
                    even,
                } => {
                    let port = self.bind(allocation, address, even);
                    self.parts.server.handle_bound(allocation, port, now);
                }
                Action::Unbind { allocation } => self.unbind(allocation),
            }
        }
    }

    fn bind(
        &mut self,
        allocation: AllocationId,
        address: IpAddr,
        even: bool,
    ) -> Result<u16, BindFailed> {
        let socket = self.bind_free_port(address, even).ok_or(BindFailed)?;
        let port = socket.local().port();
        let token = Token(FIRST_LISTENER + self.parts.listeners.len() + allocation.index());
        self.poll
            .registry()
            .register(
                &mut SourceFd(&socket.as_raw_fd()),
                token,
                Interest::READABLE,
            )
            .map_err(|_| BindFailed)?;
        if let Some(ports) = self.parts.siblings.ports(address) {
            ports.insert(port);
        }
        if self.relays.len() <= allocation.index() {
            self.relays.resize_with(allocation.index() + 1, || None);
        }
        let relay = RelaySocket {
            socket,
            allocation,
            is_ready: false,
        };
        self.relays[allocation.index()] = Some(relay);
        Ok(port)
    }

    /// A socket on a random free port (RFC 6056), or on any free one where the range is crowded.
    fn bind_free_port(&self, address: IpAddr, even: bool) -> Option<UdpSocket> {
        let ports = self.parts.siblings.ports(address)?;
        let (first, last) = (
            *self.parts.relay_ports.start(),
            *self.parts.relay_ports.end(),
        );
        let count = u32::from(last - first) + 1;
        let port = |n: u32| first + u16::try_from(n % count).expect("less than the range is long");
        let try_bind = |port: u16| {
            if ports.contains(port) || (even && !port.is_multiple_of(2)) {
                return None;
            }
            UdpSocket::relay(SocketAddr::new(address, port)).ok()
        };
        let random = || getrandom::u32().ok();
        for _ in 0..RANDOM_TRIES {
            if let Some(socket) = try_bind(port(random()? % count)) {
                return Some(socket);
            }
        }
        let start = random()? % count;
        (0..count).find_map(|step| try_bind(port(start + step)))
    }

    fn unbind(&mut self, allocation: AllocationId) {
        let Some(relay) = self
            .relays
            .get_mut(allocation.index())
            .and_then(Option::take)
        else {
            return;
        };
        let local = relay.socket.local();
        if let Some(ports) = self.parts.siblings.ports(local.ip()) {
            ports.remove(local.port());
        }
        // Closing would do it, too; an error here changes nothing.
        let _ = self
            .poll
            .registry()
            .deregister(&mut SourceFd(&relay.socket.as_raw_fd()));
    }

    /// Ends what has expired.
    fn expire(&mut self) {
        let now = self.clock.now();
        if self
            .parts
            .server
            .poll_timeout()
            .is_some_and(|at| at <= now.instant)
        {
            self.parts.server.handle_timeout(now);
            self.carry_out_actions(now);
        }
    }

    /// Makes what the server has counted visible.
    fn publish(&self) {
        let tally = self.parts.server.tally();
        let counters = &self.parts.counters;
        counters.allocations_made.set(tally.allocations_made);
        counters.allocations_ended.set(tally.allocations_ended);
        counters.unauthenticated.set(tally.unauthenticated);
        counters.packets_refused.set(tally.refused);
    }
}

/// The listener that a client speaks to.
fn listener_of(listeners: &[UdpSocket], client: FiveTuple) -> Option<&UdpSocket> {
    listeners.iter().find(|listener| {
        let local = listener.local();
        let is_its_address = local.ip() == client.server.ip()
            || (local.ip().is_unspecified() && local.is_ipv4() == client.server.is_ipv4());
        is_its_address && local.port() == client.server.port()
    })
}

fn send(listener: &UdpSocket, bytes: &[u8], client: FiveTuple) -> io::Result<()> {
    listener.send(bytes, client.client, Some(client.server.ip()))
}
