//! What leaves a worker: datagrams are gathered as long as they leave by the same socket, and
//! counted when they have left.

use std::net::{IpAddr, SocketAddr};

use super::associations::Associations;
use super::delivery::Delivery;
use super::post::{Letter, Packet, Postbox};
use super::siblings::OfWorker;
use super::sockets::{RelayPlace, Sockets};
use super::streams::Streams;
use crate::metrics::RelayCounters;
use crate::net::{Outgoing, SendBatch, SendSpace, Sent, UdpSocket};
use crate::turn::{Destination, EncodedHeader, FiveTuple, ToClient, Transport};

/// By which of a worker's sockets something leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    Listener(usize),
    Relay {
        place: RelayPlace,
        dont_fragment: bool,
    },
}

/// The ways to clients that have a connection.
pub(super) struct Connected<'p> {
    /// Those of this worker.
    pub(super) streams: &'p mut Streams,
    pub(super) associations: &'p mut Associations,
    /// Tells which worker has the others.
    pub(super) siblings: &'p OfWorker,
    /// Leads to these workers.
    pub(super) boxes: &'p [Postbox],
}

/// The datagrams of one round.
pub(super) struct Outflow<'p> {
    batch: SendBatch<'p>,
    exit: Exit,
    sockets: &'p Sockets,
    connected: Connected<'p>,
    counters: &'p RelayCounters,
}

impl<'p> Outflow<'p> {
    pub(super) fn new(
        space: &'p mut SendSpace,
        sockets: &'p Sockets,
        connected: Connected<'p>,
        counters: &'p RelayCounters,
    ) -> Self {
        Self {
            batch: space.batch(),
            exit: Exit::Listener(0),
            sockets,
            connected,
            counters,
        }
    }

    /// What is pushed from now on came with this traffic class, and leaves with it, too, unless it
    /// goes by a connection (RFC 8656 sections 13 and 14).
    pub(super) fn set_traffic_class(&mut self, class: u8) {
        self.batch.set_traffic_class(class);
    }

    /// Where a client's payload goes: to a peer, or straight to another client.
    pub(super) fn push(&mut self, to: &Destination, payload: &'p [u8]) {
        match *to {
            Destination::Peer {
                via,
                peer,
                dont_fragment,
            } => {
                let exit = Exit::Relay {
                    place: RelayPlace::of(via, peer),
                    dont_fragment: dont_fragment && peer.is_ipv4(),
                };
                self.push_by(exit, peer, None, None, payload);
            }
            Destination::Client(to) => {
                // What would have left by one relay socket and arrived at another.
                self.counters.packets_to_peers.add(1);
                self.counters.bytes_to_peers.add(payload.len() as u64);
                self.push_to_client(&to, payload);
            }
        }
    }

    /// A payload for a client, and what goes before it.
    pub(super) fn push_to_client(&mut self, to: &ToClient, payload: &'p [u8]) {
        if to.client.transport != Transport::Udp {
            return self.push_to_connection(to, payload);
        }
        let Some(listener) = self.sockets.listener_of(to.client) else {
            return;
        };
        let Ok(length) = u16::try_from(payload.len()) else {
            return;
        };
        let header = to.header.encode(length);
        let FiveTuple { client, server, .. } = to.client;
        self.push_by(
            Exit::Listener(listener),
            client,
            Some(server.ip()),
            Some(&header),
            payload,
        );
    }

    /// The same for a client that has a connection, here or with another worker.
    fn push_to_connection(&mut self, to: &ToClient, payload: &[u8]) {
        let Connected {
            streams,
            associations,
            siblings,
            boxes,
        } = &mut self.connected;
        let counters = self.counters;
        let delivery = if to.client.transport == Transport::Dtls {
            associations.push_payload(to, payload, self.sockets)
        } else {
            streams.push_payload(to, payload)
        };
        match delivery {
            Delivery::Done => {
                counters.packets_to_clients.add(1);
                counters.bytes_to_clients.add(payload.len() as u64);
            }
            Delivery::Lost => counters.packets_unsent.add(1),
            Delivery::Elsewhere => {
                let letter = Letter::Packet(Packet::ToClient {
                    to: *to,
                    payload: payload.into(),
                });
                let posted = siblings
                    .other_owner(to.client)
                    .is_some_and(|owner| boxes[owner].post(letter));
                let counter = if posted {
                    &counters.packets_posted
                } else {
                    &counters.packets_unsent
                };
                counter.add(1);
            }
        }
    }

    fn push_by(
        &mut self,
        exit: Exit,
        to: SocketAddr,
        from: Option<IpAddr>,
        header: Option<&EncodedHeader>,
        payload: &'p [u8],
    ) {
        if self.exit != exit || self.batch.is_full() {
            self.flush();
            self.exit = exit;
        }
        self.batch.push(Outgoing {
            to,
            from,
            prefix: header.map_or(&[], EncodedHeader::as_bytes),
            payload,
            padding: header.map_or(0, |header| header.padding),
        });
    }

    /// Sends what is there.
    pub(super) fn flush(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let socket = match self.exit {
            Exit::Listener(index) => self.sockets.listener(index),
            Exit::Relay { place, .. } => self.sockets.relay(place),
        };
        let has_df = matches!(self.exit, Exit::Relay { dont_fragment, .. } if dont_fragment);
        let sent = match socket {
            Some(socket) if has_df => self.send_with_df(socket),
            Some(socket) => self.batch.send(socket),
            None => Sent::default(),
        };
        let counters = self.counters;
        counters.packets_unsent.add(sent.unsent);
        match self.exit {
            Exit::Listener(_) => {
                counters.packets_to_clients.add(sent.sent);
                counters.bytes_to_clients.add(sent.payload_bytes);
            }
            Exit::Relay { .. } => {
                counters.packets_to_peers.add(sent.sent);
                counters.bytes_to_peers.add(sent.payload_bytes);
            }
        }
    }

    /// Sends what is there with DF, which Linux only knows as a property of the socket. What
    /// cannot be sent so is not sent at all.
    fn send_with_df(&mut self, socket: &UdpSocket) -> Sent {
        if socket.set_df(true).is_err() {
            return self.batch.discard();
        }
        let sent = self.batch.send(socket);
        // What could be set can be set back.
        let _ = socket.set_df(false);
        sent
    }
}

impl Drop for Outflow<'_> {
    fn drop(&mut self) {
        self.flush();
    }
}
