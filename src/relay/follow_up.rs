//! What follows for a worker from what its server has handled: sockets to bind, and answers.

use super::binding::Binding;
use super::worker::Worker;
use crate::net::Outgoing;
use crate::time::Now;
use crate::turn::{Action, BindFailed, FiveTuple, Transport};

/// Room for any answer.
const ANSWER: usize = 2_000;

impl Worker {
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
}
