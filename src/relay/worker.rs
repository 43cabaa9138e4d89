//! A worker: one thread that owns its listeners, its relay sockets, its TURN server and its
//! buffers. Nothing on the way of a packet is shared or locked.
//!
//! It works in rounds. What it does in one with datagrams, streams, associations and the
//! connections of TCP allocations stands in a file for each.

use std::collections::VecDeque;
use std::io;
use std::net::TcpListener;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use mio::{Events, Poll, Waker};

use super::associations::Associations;
use super::audit::{AuditSink, Audited};
use super::counted::publish;
use super::dtls_step::Plaintexts;
use super::fairness::Fairness;
use super::peers::Peers;
use super::post::{LETTERS, Letter, Packet, Postbox};
use super::siblings::OfWorker;
use super::sockets::{ALARM, Reception, RelayPlace, Sockets, Source, WAKE};
use super::streams::{BUFFER as STREAM_INPUT, Streams};
use super::terms::Notice;
use crate::auth::RelayCredentials;
use crate::metrics::RelayCounters;
use crate::net::{
    Admission, Alarm, Clock, Cookies, DtlsConfig, ReceiveBatch, SendSpace, TlsConfig, UdpSocket,
};
use crate::time::{Instant, Now};
use crate::turn::{AllocationId, Cidr, Server, Transport};

/// How many arrivals are handled in one go.
const INBOX: usize = 64;

/// How many ready sockets one call of the poller tells about.
const EVENTS: usize = 1_024;

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
    pub(super) ready_listeners: VecDeque<Source>,
    pub(super) ready_relays: VecDeque<Source>,
    pub(super) fairness: Fairness,
    pub(super) inbox: ReceiveBatch,
    /// Where each arrival in the inbox has come from.
    pub(super) origins: Vec<Origin>,
    pub(super) outflow: SendSpace,
    pub(super) answers: SendSpace,
    pub(super) streams: Streams,
    /// What TCP allocations have.
    pub(super) peers: Peers,
    /// What is read from a stream.
    pub(super) stream_input: Box<[u8]>,
    pub(super) associations: Associations,
    /// What has come in a datagram of an association.
    pub(super) plaintexts: Plaintexts,
    /// Relay sockets that have reports of datagrams that did not arrive.
    pub(super) failing: Vec<RelayPlace>,
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
pub(super) enum Origin {
    Client,
    /// A client's, encrypted.
    Association,
    Peer(AllocationId),
}
