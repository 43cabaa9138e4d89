//! What a worker does with its clients' DTLS associations.

use super::associations::{Associations, Due, Heard};
use super::datagram_round::{five_tuple, post};
use super::dtls_step::{Arrival, Plaintexts};
use super::outflow::{Connected, Outflow};
use super::post::Postbox;
use super::worker::Worker;
use crate::stun::refuse_classic;
use crate::time::Now;
use crate::turn::{FiveTuple, Transport};

impl Worker {
    /// Handles an arrival of the inbox that has come by a listener for DTLS.
    pub(super) fn serve_sealed(&mut self, number: usize, boxes: &[Postbox], now: Now) {
        let Some(arrived) = self.inbox.arrived(number) else {
            return;
        };
        if !self.fairness.admits(arrived.from, arrived.bytes) {
            self.counters.packets_shed.add(1);
            return;
        }
        let client = five_tuple(&arrived, Transport::Dtls);
        let Some(socket) = self.sockets.socket_of(client) else {
            return;
        };
        let has_allocation = self.server.sender(&client).has_allocation();
        let arrival = Arrival {
            client,
            // Trains do not arrive joined here.
            datagram: arrived.bytes,
            socket,
        };
        if arrived.bytes.len() > Associations::longest(has_allocation) {
            return;
        }
        let (plaintexts, counters) = (&mut self.plaintexts, &self.counters);
        let heard = self
            .associations
            .hear(arrival, plaintexts, counters, now.instant);
        if heard == Heard::Stranger {
            if let Some(owner) = self.siblings.other_owner(client) {
                post(&boxes[owner], client, &arrived, counters);
            }
            return;
        }
        self.heed_association(client, heard, boxes, now);
    }

    /// Handles a datagram that has arrived at another worker than its client's.
    pub(super) fn serve_posted(
        &mut self,
        client: FiveTuple,
        datagram: &[u8],
        boxes: &[Postbox],
        now: Now,
    ) {
        let Some(socket) = self.sockets.socket_of(client) else {
            return;
        };
        let arrival = Arrival {
            client,
            datagram,
            socket,
        };
        let (plaintexts, counters) = (&mut self.plaintexts, &self.counters);
        let heard = self
            .associations
            .hear(arrival, plaintexts, counters, now.instant);
        self.heed_association(client, heard, boxes, now);
    }

    /// Does what follows from a client's datagram.
    fn heed_association(&mut self, client: FiveTuple, heard: Heard, boxes: &[Postbox], now: Now) {
        if heard == Heard::Anew {
            // What was allocated belonged to the association before.
            self.server.handle_disconnect(client);
            self.follow_up(now);
        }
        self.route_plaintexts(client, boxes, now);
        if heard == Heard::Over {
            self.end_association(client, now);
        }
    }

    fn route_plaintexts(&mut self, client: FiveTuple, boxes: &[Postbox], now: Now) {
        let plaintexts = std::mem::replace(&mut self.plaintexts, Plaintexts::empty());
        let mut next = 0;
        while let Some(message) = plaintexts.message(next) {
            if let Some(refusal) = refuse_classic(message) {
                self.answer(client, &refusal);
                next += 1;
                continue;
            }
            next = self.route_from_plaintext(next, client, &plaintexts, boxes, now);
            self.follow_up(now);
        }
        self.plaintexts = plaintexts;
    }

    /// Routes messages from number `first` on, as far as nothing else is to be done. Gives the
    /// number of the next.
    fn route_from_plaintext(
        &mut self,
        first: usize,
        client: FiveTuple,
        plaintexts: &Plaintexts,
        boxes: &[Postbox],
        now: Now,
    ) -> usize {
        let sender = self.server.sender(&client);
        let connected = Connected {
            streams: &mut self.streams,
            associations: &mut self.associations,
            siblings: &self.siblings,
            boxes,
        };
        let mut out = Outflow::new(&mut self.outflow, &self.sockets, connected, &self.counters);
        let mut next = first;
        while let Some(message) = plaintexts.message(next) {
            if next > first && refuse_classic(message).is_some() {
                break;
            }
            next += 1;
            if let Some(route) = self.server.handle_sender(sender, message, now) {
                out.push(&route.to, &message[route.payload]);
            }
            if self.server.has_output() {
                break;
            }
        }
        next
    }

    /// Ends the associations that are silent and have no allocation, and the handshakes that have
    /// failed.
    pub(super) fn end_silent_associations(&mut self, now: Now) {
        let pop = |worker: &mut Self| {
            let (sockets, plaintexts) = (&worker.sockets, &mut worker.plaintexts);
            worker
                .associations
                .pop_due(sockets, plaintexts, now.instant)
        };
        while let Some(due) = pop(self) {
            let (Due::Silent(client) | Due::Failed(client)) = due;
            let has_allocation = self.server.sender(&client).has_allocation();
            let is_spared = due == Due::Silent(client)
                && self.associations.spare(client, has_allocation, now.instant);
            if !is_spared {
                self.end_association(client, now);
            }
        }
    }

    fn end_association(&mut self, client: FiveTuple, now: Now) {
        let (sockets, plaintexts) = (&self.sockets, &mut self.plaintexts);
        let ended = self
            .associations
            .end(client, sockets, plaintexts, &self.counters);
        if ended {
            self.server.handle_disconnect(client);
            self.follow_up(now);
        }
    }

    /// Says good-bye to all clients with an association.
    pub(super) fn end_associations(&mut self) {
        while let Some(client) = self.associations.any() {
            let (sockets, plaintexts) = (&self.sockets, &mut self.plaintexts);
            self.associations
                .end(client, sockets, plaintexts, &self.counters);
        }
    }
}
