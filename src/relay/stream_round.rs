//! What a worker does with its clients' streams.

use super::connection::Taken;
use super::outflow::{Connected, Outflow};
use super::peer_round::owner_of_peer;
use super::post::Postbox;
use super::streams::Streams;
use super::worker::Worker;
use crate::stun::Frame;
use crate::time::Now;
use crate::turn::{Bound, FiveTuple};

/// How far the messages of a stream have been handled.
enum Progress {
    /// So many bytes. The server has something to say before the next message.
    Up(usize),
    /// So many bytes; what is behind them is no whole message yet.
    End(usize),
    /// What comes is no message.
    Garbage,
    /// So many bytes; the next message is for this other worker.
    Elsewhere(usize, usize),
}

/// What has become of what a stream has brought.
enum Outcome {
    /// So many bytes have been handled; the rest is no whole message yet.
    Handled(usize),
    /// What comes is no message.
    Garbage,
    /// So many bytes have been handled; what is behind them is for a peer.
    Bound(usize, Bound),
    /// So many bytes have been handled; the rest is for this other worker.
    Elsewhere(usize, usize),
}

impl Worker {
    /// Takes new connections, and gives every stream that has something its turn.
    pub(super) fn serve_streams(&mut self, boxes: &[Postbox], now: Now) {
        if !self.streams.has_work() {
            return;
        }
        let registry = self.poll.registry();
        self.streams.accept(registry, &self.counters, now.instant);
        for _ in 0..self.streams.ready() {
            let Some(stream) = self.streams.pop_ready() else {
                break;
            };
            self.serve_stream(stream, boxes, now);
        }
    }

    /// Ends the connections that are silent and have no allocation.
    pub(super) fn end_silent_streams(&mut self, now: Now) {
        while let Some(stream) = self.streams.pop_due(now.instant) {
            let client = self.streams.client(stream);
            let has_allocation =
                client.is_some_and(|client| self.server.sender(&client).has_allocation());
            if !self.streams.spare(stream, has_allocation, now.instant) {
                self.end_stream(stream, now);
            }
        }
    }

    fn serve_stream(&mut self, stream: usize, boxes: &[Postbox], now: Now) {
        let mut input = std::mem::take(&mut self.stream_input);
        if let Some(taken) = self.streams.take(stream, &mut input)
            && let Some(client) = self.streams.client(stream)
        {
            let Taken { length, then } = taken;
            match self.handle_messages(client, &input[..length], boxes, now) {
                Outcome::Handled(handled) => {
                    let rest = &input[handled..length];
                    self.streams.keep(stream, rest, handled > 0, now.instant);
                    if then.is_last() {
                        self.end_stream(stream, now);
                    }
                }
                Outcome::Garbage => self.end_stream(stream, now),
                // How it ends will be seen again.
                Outcome::Bound(handled, bound) => {
                    self.join(stream, bound, &input[handled..length], now);
                }
                Outcome::Elsewhere(handled, owner) => {
                    self.hand_over(stream, owner, &input[handled..length], boxes);
                }
            }
        }
        self.stream_input = input;
    }

    /// Handles all whole messages of `input`.
    fn handle_messages(
        &mut self,
        client: FiveTuple,
        input: &[u8],
        boxes: &[Postbox],
        now: Now,
    ) -> Outcome {
        let mut handled = 0;
        loop {
            match self.route_stream(client, &input[handled..], boxes, now) {
                Progress::Up(count) => handled += count,
                Progress::End(count) => return Outcome::Handled(handled + count),
                Progress::Garbage => return Outcome::Garbage,
                Progress::Elsewhere(count, owner) => {
                    return Outcome::Elsewhere(handled + count, owner);
                }
            }
            self.follow_up(now);
            if let Some(bound) = self.server.poll_bound() {
                return Outcome::Bound(handled, bound);
            }
        }
    }

    fn route_stream(
        &mut self,
        client: FiveTuple,
        input: &[u8],
        boxes: &[Postbox],
        now: Now,
    ) -> Progress {
        let sender = self.server.sender(&client);
        let longest = Streams::longest(sender.has_allocation());
        let connected = Connected {
            streams: &mut self.streams,
            associations: &mut self.associations,
            siblings: &self.siblings,
            boxes,
        };
        let mut out = Outflow::new(&mut self.outflow, &self.sockets, connected, &self.counters);
        let mut at = 0;
        loop {
            let rest = &input[at..];
            let Frame { length, taken } = match Frame::first(rest, longest) {
                Ok(Some(frame)) => frame,
                Ok(None) => return Progress::End(at),
                Err(_) => return Progress::Garbage,
            };
            let message = &rest[..length];
            if !sender.has_allocation()
                && let Some(owner) = owner_of_peer(&self.server, &self.siblings, message)
            {
                return Progress::Elsewhere(at, owner);
            }
            if let Some(route) = self.server.handle_sender(sender, message, now) {
                out.push(&route.to, &message[route.payload]);
            }
            at += taken;
            if self.server.has_output() {
                return Progress::Up(at);
            }
        }
    }

    fn end_stream(&mut self, stream: usize, now: Now) {
        if let Some(client) = self.streams.close(stream, &self.counters) {
            self.server.handle_disconnect(client);
            self.follow_up(now);
        }
    }
}
