//! What a DTLS session makes of a datagram: messages for the relay, datagrams for the client.

use std::ops::Range;
use std::time::Instant as SystemInstant;

use crate::net::{DtlsFailed, DtlsOutput, DtlsSession, Outgoing, SendSpace, UdpSocket};
use crate::turn::FiveTuple;

/// A client's datagram.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival<'a> {
    pub(super) client: FiveTuple,
    pub(super) datagram: &'a [u8],
    /// Where it has come, and where answers leave.
    pub(super) socket: &'a UdpSocket,
}

/// The messages of one datagram.
#[derive(Debug)]
pub(super) struct Plaintexts {
    bytes: Box<[u8]>,
    messages: Vec<Range<usize>>,
    used: usize,
}

impl Plaintexts {
    /// Room for all that a datagram may hold; none if there are no listeners for it.
    pub(super) fn new(has_listeners: bool) -> Self {
        let room = if has_listeners {
            usize::from(u16::MAX) + DtlsSession::LONGEST_DATAGRAM
        } else {
            0
        };
        Self {
            bytes: vec![0; room].into(),
            messages: Vec::new(),
            used: 0,
        }
    }

    /// Nothing, for as long as the real ones are elsewhere.
    pub(super) fn empty() -> Self {
        Self::new(false)
    }

    /// How many messages there are.
    pub(super) fn count(&self) -> usize {
        self.messages.len()
    }

    /// A message by its number.
    pub(super) fn message(&self, number: usize) -> Option<&[u8]> {
        Some(&self.bytes[self.messages.get(number)?.clone()])
    }

    /// Makes room for those of the next datagram.
    pub(super) fn clear(&mut self) {
        self.messages.clear();
        self.used = 0;
    }

    /// Where the next thing is put.
    fn room(&mut self) -> &mut [u8] {
        &mut self.bytes[self.used..]
    }

    fn keep(&mut self, length: usize) {
        self.messages.push(self.used..self.used + length);
        self.used += length;
    }
}

/// The way to one client.
pub(super) struct Way<'w> {
    pub(super) socket: &'w UdpSocket,
    pub(super) client: FiveTuple,
    pub(super) space: &'w mut SendSpace,
}

impl<'w> Way<'w> {
    /// The way back to who has sent something.
    pub(super) fn new(arrival: Arrival<'w>, space: &'w mut SendSpace) -> Self {
        let Arrival { client, socket, .. } = arrival;
        Self {
            socket,
            client,
            space,
        }
    }

    /// Sends a datagram; `false` if the system did not take it.
    pub(super) fn send(&mut self, datagram: &[u8]) -> bool {
        let mut batch = self.space.batch();
        batch.push(Outgoing {
            to: self.client.client,
            from: Some(self.client.server.ip()),
            prefix: &[],
            payload: datagram,
            padding: 0,
        });
        batch.send(self.socket).sent > 0
    }
}

/// How far a session has come.
#[derive(Clone, Copy, Debug)]
pub(super) enum Progress {
    /// Until then nothing is to be done.
    Wait(SystemInstant),
    /// To its end.
    Over,
}

/// Does what `session` wants done, until it has to wait.
pub(super) fn progress(
    session: &mut DtlsSession,
    plaintexts: &mut Plaintexts,
    way: &mut Way<'_>,
) -> Progress {
    loop {
        match session.poll(plaintexts.room()) {
            // What does not leave is asked for again.
            DtlsOutput::Datagram(length) => _ = way.send(&plaintexts.room()[..length]),
            DtlsOutput::Message(length) => plaintexts.keep(length),
            DtlsOutput::Established => {}
            DtlsOutput::Over => return Progress::Over,
            DtlsOutput::Wait(until) => return Progress::Wait(until),
        }
    }
}

/// Gives a session a datagram, and does what it wants done.
pub(super) fn take_in(
    session: &mut DtlsSession,
    datagram: &[u8],
    plaintexts: &mut Plaintexts,
    way: &mut Way<'_>,
    now: SystemInstant,
) -> Progress {
    match session.handle_datagram(datagram, now) {
        Ok(()) => progress(session, plaintexts, way),
        Err(DtlsFailed) => Progress::Over,
    }
}
