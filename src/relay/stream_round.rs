//! What a worker does with its clients' streams.

use super::connection::{Taken, Then};
use super::outflow::{Connected, Outflow};
use super::post::Postbox;
use super::streams::Streams;
use super::worker::Worker;
use crate::stun::Frame;
use crate::time::Now;
use crate::turn::FiveTuple;

/// How far the messages of a stream have been handled.
enum Progress {
    /// So many bytes. The server has something to say before the next message.
    Up(usize),
    /// So many bytes; what is behind them is no whole message yet.
    End(usize),
    /// What comes is no message.
    Garbage,
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
            let handled = self.handle_messages(client, &input[..length], boxes, now);
            if let Some(handled) = handled {
                let rest = &input[handled..length];
                self.streams.keep(stream, rest, handled > 0, now.instant);
            }
            if handled.is_none() || then == Then::Over {
                self.end_stream(stream, now);
            }
        }
        self.stream_input = input;
    }

    /// Handles all whole messages of `input`. Gives how many bytes they take, or `None` if what
    /// comes is no message.
    fn handle_messages(
        &mut self,
        client: FiveTuple,
        input: &[u8],
        boxes: &[Postbox],
        now: Now,
    ) -> Option<usize> {
        let mut handled = 0;
        loop {
            match self.route_stream(client, &input[handled..], boxes, now) {
                Progress::Up(count) => handled += count,
                Progress::End(count) => return Some(handled + count),
                Progress::Garbage => return None,
            }
            self.follow_up(now);
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
