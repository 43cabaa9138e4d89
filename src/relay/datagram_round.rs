//! What a worker does with the datagrams of its sockets.
//!
//! Datagrams are taken from the sockets that have some, many a call, until the inbox is full or
//! nothing more is there; then each is routed, and what leaves by the same socket leaves together.
//! Payloads stay where the kernel has put them.

use std::io;

use mio::Token;

use super::outflow::{Connected, Outflow};
use super::post::{Letter, Packet, Postbox};
use super::siblings::OfWorker;
use super::sockets::Source;
use super::worker::{Origin, TurnServer, Worker};
use crate::metrics::RelayCounters;
use crate::net::{Arrived, Undelivered};
use crate::time::Now;
use crate::turn::{AllocationId, FiveTuple, Icmp, Sender, Transport};

/// How many arrivals of one socket are taken before the others get their turn. All listeners
/// together get as many of every inbox, however many relay sockets there are.
const TURN_OF_A_SOCKET: usize = 32;

/// How many reports of datagrams that did not arrive are taken from one socket in one go.
const REPORTS: usize = 16;

impl Worker {
    /// The socket of this token may have something; with an error, also a report of a datagram
    /// that did not arrive.
    pub(super) fn queue(&mut self, token: Token, is_error: bool) {
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
    pub(super) fn serve_round(&mut self, boxes: &[Postbox], now: Now) {
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

    /// Handles a datagram that another worker has posted.
    pub(super) fn route_packet(&mut self, packet: &Packet, boxes: &[Postbox], now: Now) {
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
    pub(super) fn take_undelivered(&mut self, now: Now) {
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
