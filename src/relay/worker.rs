//! A worker: one thread that owns its listeners, its relay sockets, its TURN server and its
//! buffers. Nothing on the way of a packet is shared or locked.
//!
//! It works in rounds: datagrams are taken from the sockets that have some, many a call, until
//! the inbox is full or nothing more is there; then each is routed, and what leaves by the same
//! socket leaves together. Payloads stay where the kernel has put them.

use std::collections::VecDeque;
use std::io;
use std::net::TcpListener;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use mio::{Events, Poll, Token, Waker};

use super::associations::Associations;
use super::audit::{AuditSink, Audited};
use super::binding::Binding;
use super::counted::publish;
use super::dtls_step::Plaintexts;
use super::fairness::Fairness;
use super::outflow::{Connected, Outflow};
use super::peers::Peers;
use super::post::{LETTERS, Letter, Packet, Postbox};
use super::siblings::OfWorker;
use super::sockets::{ALARM, Reception, RelayPlace, Sockets, Source, WAKE};
use super::streams::{BUFFER as STREAM_INPUT, Streams};
use super::terms::Notice;
use crate::auth::RelayCredentials;
use crate::metrics::RelayCounters;
use crate::net::{
    Admission, Alarm, Arrived, Clock, Cookies, DtlsConfig, Outgoing, ReceiveBatch, SendSpace,
    TlsConfig, UdpSocket, Undelivered,
};
use crate::time::{Instant, Now};
use crate::turn::{
    Action, AllocationId, BindFailed, Cidr, FiveTuple, Icmp, Sender, Server, Transport,
};

/// How many arrivals are handled in one go.
const INBOX: usize = 64;

/// How many arrivals of one socket are taken before the others get their turn. All listeners
/// together get as many of every inbox, however many relay sockets there are.
const TURN_OF_A_SOCKET: usize = 32;

/// How many ready sockets one call of the poller tells about.
const EVENTS: usize = 1_024;

/// How many reports of datagrams that did not arrive are taken from one socket in one go.
const REPORTS: usize = 16;

/// Room for any answer.
const ANSWER: usize = 2_000;

/// What a worker is made of.
pub(super) struct Parts {
    pub(super) listeners: Vec<UdpSocket>,
    pub(super) dtls_listeners: Vec<UdpSocket>,
    pub(super) stream_listeners: Vec<TcpListener>,
    pub(super) admission: Arc<Admission>,
    pub(super) tls: Option<TlsConfig>,
    pub(super) dtls: Option<DtlsConfig>,
    pub(super) cookies: Cookies,
    pub(super) proxies: Arc<[Cidr]>,
    pub(super) server: TurnServer,
    pub(super) audit: Option<AuditSink>,
    pub(super) siblings: OfWorker,
    /// `None`: relayed addresses have no sockets.
    pub(super) relay_ports: Option<RangeInclusive<u16>>,
    pub(super) reception: Reception,
    pub(super) clock: Clock,
}

/// A server with what the others of the process share.
pub(super) type TurnServer = Server<Arc<RelayCredentials>, OfWorker>;

pub(super) struct Worker {
    pub(super) server: TurnServer,
    pub(super) sockets: Sockets,
    pub(super) siblings: OfWorker,
    pub(super) relay_ports: Option<RangeInclusive<u16>>,
    clock: Clock,
    pub(super) poll: Poll,
    alarm: Alarm,
    pub(super) counters: Arc<RelayCounters>,
    /// Listeners that may have datagrams waiting, each at most once, and relay sockets.
    ready_listeners: VecDeque<Source>,
    ready_relays: VecDeque<Source>,
    pub(super) fairness: Fairness,
    pub(super) inbox: ReceiveBatch,
    /// Where each arrival in the inbox has come from.
    origins: Vec<Origin>,
    pub(super) outflow: SendSpace,
    answers: SendSpace,
    pub(super) streams: Streams,
    /// What TCP allocations have.
    pub(super) peers: Peers,
    /// What is read from a stream.
    pub(super) stream_input: Box<[u8]>,
    pub(super) associations: Associations,
    /// What has come in a datagram of an association.
    pub(super) plaintexts: Plaintexts,
    /// Relay sockets that have reports of datagrams that did not arrive.
    failing: Vec<RelayPlace>,
    notice: Arc<Notice>,
    /// Whether what was granted before has not all been held against new terms yet.
    is_reviewing: bool,
    audit: Option<AuditSink>,
}

impl Worker {
    /// Registers the listeners. Gives the worker, and what wakes it from another thread.
    pub(super) fn new(parts: Parts) -> io::Result<(Self, Arc<Waker>)> {
        let poll = Poll::new()?;
        let reception = parts.reception;
        let (inbox, outflow) = if reception.batching {
            let first = parts.listeners.first();
            let can_segment = first.is_some_and(UdpSocket::can_segment);
            (INBOX, SendSpace::new(can_segment))
        } else {
            (1, SendSpace::single())
        };
        let plaintexts = Plaintexts::new(!parts.dtls_listeners.is_empty());
        let sockets = Sockets::new(
            parts.listeners,
            parts.dtls_listeners,
            reception,
            poll.registry(),
        )?;
        let associations = Associations::new(
            parts.dtls,
            parts.cookies,
            Arc::clone(&parts.admission),
            parts.clock,
        );
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        let alarm = Alarm::new(poll.registry(), ALARM)?;
        let streams = Streams::new(
            parts.stream_listeners,
            parts.admission,
            parts.tls,
            parts.proxies,
            poll.registry(),
        )?;
        let worker = Self {
            server: parts.server,
            sockets,
            siblings: parts.siblings,
            relay_ports: parts.relay_ports,
            clock: parts.clock,
            poll,
            alarm,
            counters: Arc::default(),
            ready_listeners: VecDeque::new(),
            ready_relays: VecDeque::new(),
            fairness: Fairness::new(),
            inbox: ReceiveBatch::new(inbox),
            origins: Vec::with_capacity(inbox),
            outflow,
            answers: SendSpace::new(false),
            streams,
            peers: Peers::default(),
            stream_input: vec![0; STREAM_INPUT].into(),
            associations,
            plaintexts,
            failing: Vec::new(),
            notice: Arc::default(),
            is_reviewing: false,
            audit: parts.audit,
        };
        Ok((worker, waker))
    }

    /// Where it finds new terms when it is woken.
    pub(super) fn notice(&self) -> Arc<Notice> {
        Arc::clone(&self.notice)
    }

    /// What it counts.
    pub(super) fn counters(&self) -> Arc<RelayCounters> {
        Arc::clone(&self.counters)
    }

    /// Serves until told to stop. What is another worker's goes into one of the `boxes`, by its
    /// number; what others have posted comes by `letters`.
    pub(super) fn run(
        mut self,
        boxes: &[Postbox],
        letters: &Receiver<Letter>,
        stopping: &AtomicBool,
    ) {
        let mut events = Events::with_capacity(EVENTS);
        while !stopping.load(Ordering::Relaxed) {
            if let Err(error) = self.work(&mut events, boxes, letters) {
                tracing::error!(%error, "a relay worker cannot wait for its sockets");
                return;
            }
        }
        self.end_associations();
        self.server.handle_stop();
        self.tell_records(self.clock.now());
    }

    /// A round: waits until there is something to do, and does it. The clock is read once.
    fn work(
        &mut self,
        events: &mut Events,
        boxes: &[Postbox],
        letters: &Receiver<Letter>,
    ) -> io::Result<()> {
        if let Err(error) = self.poll.poll(events, self.patience())
            && error.kind() != io::ErrorKind::Interrupted
        {
            return Err(error);
        }
        let (mut is_posted, mut rang) = (false, false);
        for event in events.iter() {
            match event.token() {
                WAKE => is_posted = true,
                ALARM => rang = true,
                _ if self.peers.note(event) || self.streams.note(event) => {}
                token => self.queue(token, event.is_error()),
            }
        }
        let now = self.clock.now();
        self.take_undelivered(now);
        self.serve_round(boxes, now);
        self.serve_streams(boxes, now);
        self.serve_peers(now);
        if is_posted {
            self.take_letters(boxes, letters, now);
        }
        if is_posted {
            self.heed_rooms(now);
        }
        if is_posted || self.is_reviewing {
            self.heed_notice(now);
        }
        self.expire(rang, now)?;
        self.streams.flush();
        self.tell_records(now);
        self.publish();
        Ok(())
    }

    /// Tells whoever must know what has happened to allocations.
    fn tell_records(&mut self, now: Now) {
        let Some(audit) = &self.audit else { return };
        while let Some(record) = self.server.poll_record() {
            let audited = Audited {
                at: now.unix,
                record,
            };
            if !audit.take(audited) {
                self.counters.records_lost.add(1);
            }
        }
    }

    /// How long to wait for packets: not at all while some are left.
    fn patience(&self) -> Option<Duration> {
        let is_idle = self.ready_listeners.is_empty()
            && self.ready_relays.is_empty()
            && self.failing.is_empty();
        let is_idle = is_idle && !self.peers.has_work();
        if is_idle && !self.streams.has_work() && !self.is_reviewing {
            self.alarm.patience(&self.clock)
        } else {
            Some(Duration::ZERO)
        }
    }

    /// The socket of this token may have something; with an error, also a report of a datagram
    /// that did not arrive.
    fn queue(&mut self, token: Token, is_error: bool) {
        let Some(source) = self.sockets.source(token) else {
            return;
        };
        if self.sockets.set_queued(source, true) == Some(false) {
            self.put_in_line(source);
        }
        if let Source::Relay(place) = source
            && is_error
            && !self.failing.contains(&place)
        {
            self.failing.push(place);
        }
    }

    fn put_in_line(&mut self, source: Source) {
        match source {
            Source::Listener(_) => self.ready_listeners.push_back(source),
            Source::Relay(_) => self.ready_relays.push_back(source),
        }
    }

    /// Gives every ready relay socket its turn, and the listeners theirs before each inbox that
    /// these fill: half of what a relay does comes through the listeners.
    fn serve_round(&mut self, boxes: &[Postbox], now: Now) {
        let mut relays = self.ready_relays.len();
        loop {
            self.take_from_listeners(boxes, now);
            while relays > 0
                && self.inbox.room() > 0
                && let Some(source) = self.ready_relays.pop_front()
            {
                relays -= 1;
                self.take_from(source, TURN_OF_A_SOCKET, now);
            }
            self.handle_inbox(boxes, now);
            if relays == 0 {
                return;
            }
        }
    }

    fn take_from_listeners(&mut self, boxes: &[Postbox], now: Now) {
        let count = self.ready_listeners.len();
        for _ in 0..count {
            if let Some(source) = self.ready_listeners.pop_front() {
                self.take_from(source, (TURN_OF_A_SOCKET / count).max(1), now);
            }
            if self.inbox.room() == 0 {
                self.handle_inbox(boxes, now);
            }
        }
    }

    /// Takes what `source` has, up to `limit`, into the inbox; it comes again if it may have more.
    fn take_from(&mut self, source: Source, limit: usize, now: Now) {
        let limit = limit.min(self.inbox.room());
        let taken = self
            .sockets
            .receive(source, &mut self.inbox, limit, now.instant);
        let (count, is_drained) = match taken {
            Ok(count) => (count, count < limit),
            // An error that an earlier datagram has brought says nothing of the next one.
            Err(error) => (0, error.kind() == io::ErrorKind::WouldBlock),
        };
        let origin = match source {
            Source::Listener(index) => {
                self.fairness.note(count, is_drained);
                Some(if self.sockets.is_for_dtls(index) {
                    Origin::Association
                } else {
                    Origin::Client
                })
            }
            Source::Relay(place) => self.sockets.allocation(place).map(Origin::Peer),
        };
        // A socket that is gone has given nothing.
        if let Some(origin) = origin {
            self.origins.extend(std::iter::repeat_n(origin, count));
        }
        if is_drained {
            self.sockets.set_queued(source, false);
        } else {
            self.put_in_line(source);
        }
    }

    /// Routes all that is in the inbox, and empties it.
    fn handle_inbox(&mut self, boxes: &[Postbox], now: Now) {
        let mut next = 0;
        while next < self.inbox.len() {
            next = self.route_from(next, boxes, now);
            self.follow_up(now);
            while let Some(Origin::Association) = self.origins.get(next) {
                self.serve_sealed(next, boxes, now);
                next += 1;
            }
        }
        self.inbox.clear();
        self.origins.clear();
    }

    /// Routes arrivals from number `first` on. Stops behind one that the server has something to
    /// say about, and before one that has to be decrypted; gives the number of the next.
    fn route_from(&mut self, first: usize, boxes: &[Postbox], now: Now) -> usize {
        let connected = Connected {
            streams: &mut self.streams,
            associations: &mut self.associations,
            siblings: &self.siblings,
            boxes,
        };
        let mut out = Outflow::new(&mut self.outflow, &self.sockets, connected, &self.counters);
        for number in first..self.inbox.len() {
            let Some(arrived) = self.inbox.arrived(number) else {
                continue;
            };
            out.set_traffic_class(arrived.traffic_class);
            match self.origins[number] {
                Origin::Client if !self.fairness.admits(arrived.from, arrived.bytes) => {
                    let datagrams = arrived.datagrams().count() as u64;
                    self.counters.packets_shed.add(datagrams);
                }
                Origin::Client => {
                    let client = five_tuple(&arrived, Transport::Udp);
                    let sender = self.server.sender(&client);
                    match strange_owner(&self.server, sender, &self.siblings, &arrived) {
                        Some(owner) => post(&boxes[owner], client, &arrived, &self.counters),
                        None => route_client(&mut self.server, sender, &arrived, now, &mut out),
                    }
                }
                Origin::Peer(allocation) => {
                    route_peer(&mut self.server, allocation, &arrived, now, &mut out);
                }
                Origin::Association => return number,
            }
            if self.server.has_output() {
                return number + 1;
            }
        }
        self.inbox.len()
    }

    /// Handles what others have posted.
    fn take_letters(&mut self, boxes: &[Postbox], letters: &Receiver<Letter>, now: Now) {
        for letter in letters.try_iter().take(LETTERS) {
            match letter {
                Letter::Connection { socket, session } => {
                    let registry = self.poll.registry();
                    self.streams
                        .adopt(socket, session, registry, &self.counters, now.instant);
                }
                Letter::Packet(Packet::FromClient {
                    client, datagram, ..
                }) if client.transport == Transport::Dtls => {
                    self.serve_posted(client, &datagram, boxes, now);
                }
                Letter::Packet(packet) => self.route_packet(&packet, boxes, now),
                Letter::Stream(client) => self.take_over(client, now),
            }
        }
    }

    fn route_packet(&mut self, packet: &Packet, boxes: &[Postbox], now: Now) {
        let connected = Connected {
            streams: &mut self.streams,
            associations: &mut self.associations,
            siblings: &self.siblings,
            boxes,
        };
        let mut out = Outflow::new(&mut self.outflow, &self.sockets, connected, &self.counters);
        match packet {
            Packet::FromClient {
                client,
                datagram,
                traffic_class,
            } => {
                out.set_traffic_class(*traffic_class);
                if let Some(route) = self.server.handle_client(*client, datagram, now) {
                    out.push(&route.to, &datagram[route.payload]);
                }
            }
            Packet::ToClient { to, payload } => out.push_to_client(to, payload),
        }
        drop(out);
        self.follow_up(now);
    }

    /// Tells clients of datagrams that did not arrive. A socket that is flooded with reports has
    /// to wait for the next round with the rest.
    fn take_undelivered(&mut self, now: Now) {
        if self.failing.is_empty() {
            return;
        }
        let mut failing = std::mem::take(&mut self.failing);
        failing.retain(|&place| {
            for _ in 0..REPORTS {
                let report = self.sockets.take_undelivered(place);
                let Some((allocation, report)) = report else {
                    return false;
                };
                if let Some(Undelivered {
                    to,
                    kind,
                    code,
                    mtu,
                }) = report
                {
                    let icmp = Icmp { kind, code, mtu };
                    self.server.handle_icmp(allocation, to, icmp, now);
                }
            }
            true
        });
        self.failing = failing;
        self.follow_up(now);
    }

    /// Takes over new terms, and holds some of what was granted before against them.
    fn heed_notice(&mut self, now: Now) {
        if let Some(terms) = self.notice.take() {
            self.server.handle_terms(terms);
        }
        self.is_reviewing = self.server.handle_review();
        self.follow_up(now);
    }

    /// Holds the allocations of those whose rooms have changed against these.
    fn heed_rooms(&mut self, now: Now) {
        let Some(rooms) = self.siblings.siblings.rooms() else {
            return;
        };
        for client in rooms.reviews().take(self.siblings.number) {
            self.server.handle_rooms_changed(client);
        }
        self.follow_up(now);
    }

    /// Does what the server wants done, and sends its answers.
    pub(super) fn follow_up(&mut self, now: Now) {
        if !self.server.has_output() {
            return;
        }
        self.carry_out_actions(now);
        let mut buffer = [0; ANSWER];
        while let Some(transmit) = self.server.poll_transmit(&mut buffer) {
            self.answer(transmit.client, &buffer[..transmit.length]);
        }
    }

    pub(super) fn answer(&mut self, client: FiveTuple, bytes: &[u8]) {
        if client.transport == Transport::Dtls {
            // The client asks again.
            let _ = self.associations.push_answer(client, bytes, &self.sockets);
            return;
        }
        if client.transport != Transport::Udp {
            // Who does not read gets no answer.
            let _ = self.streams.push_answer(client, bytes);
            return;
        }
        let Some(listener) = self.sockets.socket_of(client) else {
            return;
        };
        let mut batch = self.answers.batch();
        batch.push(Outgoing {
            to: client.client,
            from: Some(client.server.ip()),
            prefix: &[],
            payload: bytes,
            padding: 0,
        });
        self.counters
            .packets_unsent
            .add(batch.send(listener).unsent);
    }

    fn carry_out_actions(&mut self, now: Now) {
        while let Some(action) = self.server.poll_action() {
            let mut binding = Binding {
                sockets: &mut self.sockets,
                registry: self.poll.registry(),
                siblings: &self.siblings.siblings,
                range: self.relay_ports.as_ref(),
            };
            match action {
                Action::Bind {
                    allocation,
                    address,
                    port,
                } => {
                    let port = binding.bind(allocation, address, port).ok_or(BindFailed);
                    self.server.handle_bound(allocation, address, port, now);
                }
                Action::Unbind {
                    allocation,
                    relayed,
                } => binding.unbind(allocation, relayed),
                Action::Release { relayed } => binding.release(relayed),
                Action::Tcp(action) => self.carry_out_for_tcp(action, now),
            }
        }
    }

    /// Ends what has expired, and sets the alarm for what will be next.
    fn expire(&mut self, rang: bool, now: Now) -> io::Result<()> {
        if rang {
            self.alarm.rang();
        }
        let deadline = self.next_deadline();
        if deadline.is_some_and(|deadline| deadline <= now.instant) {
            self.server.handle_timeout(now);
            self.follow_up(now);
            self.end_silent_streams(now);
            self.peers.queue_due(now.instant);
            self.end_silent_associations(now);
        }
        self.alarm.set(self.next_deadline(), &self.clock)
    }

    fn next_deadline(&self) -> Option<Instant> {
        let deadlines = [
            self.server.poll_timeout(),
            self.streams.next_deadline(),
            self.peers.next_deadline(),
            self.associations.next_deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// Makes what the server has counted visible.
    fn publish(&self) {
        publish(&self.server.tally(), &self.counters);
        self.counters.packets_dropped.set(self.sockets.dropped());
    }
}

/// Where an arrival has come from. A peer's is tied to the allocation, not to its place: that may
/// be another's by the time the arrival is routed.
#[derive(Clone, Copy, Debug)]
enum Origin {
    Client,
    /// A client's, encrypted.
    Association,
    Peer(AllocationId),
}

/// Who has sent what has arrived.
pub(super) fn five_tuple(arrived: &Arrived<'_>, transport: Transport) -> FiveTuple {
    FiveTuple {
        client: arrived.from,
        server: arrived.to,
        transport,
    }
}

/// The other worker that has the allocation of `client`, where there is one.
fn strange_owner(
    server: &TurnServer,
    sender: Sender<'_>,
    siblings: &OfWorker,
    arrived: &Arrived<'_>,
) -> Option<usize> {
    if sender.has_allocation() {
        return None;
    }
    let owner = siblings.other_owner(five_tuple(arrived, Transport::Udp));
    owner.or_else(|| {
        // A client that moves may be new here, and yet have an allocation.
        let moved = server.moved_client(arrived.datagrams().next()?)?;
        siblings.other_owner(moved)
    })
}

/// Hands a client's datagrams to the worker that has its allocation.
pub(super) fn post(
    to: &Postbox,
    client: FiveTuple,
    arrived: &Arrived<'_>,
    counters: &RelayCounters,
) {
    for datagram in arrived.datagrams() {
        let posted = to.post(Letter::Packet(Packet::FromClient {
            client,
            datagram: datagram.into(),
            traffic_class: arrived.traffic_class,
        }));
        let counter = if posted {
            &counters.packets_posted
        } else {
            &counters.packets_unsent
        };
        counter.add(1);
    }
}

/// Routes what a client has sent.
fn route_client<'p>(
    server: &mut TurnServer,
    sender: Sender<'_>,
    arrived: &Arrived<'p>,
    now: Now,
    out: &mut Outflow<'p>,
) {
    for datagram in arrived.datagrams() {
        if let Some(route) = server.handle_sender(sender, datagram, now) {
            out.push(&route.to, &datagram[route.payload]);
        }
    }
}

/// Routes what has arrived at a relayed address.
fn route_peer<'p>(
    server: &mut TurnServer,
    allocation: AllocationId,
    arrived: &Arrived<'p>,
    now: Now,
    out: &mut Outflow<'p>,
) {
    for datagram in arrived.datagrams() {
        if let Some(to) = server.handle_peer(allocation, arrived.from, datagram.len(), now) {
            out.push_to_client(&to, datagram);
        }
    }
}
