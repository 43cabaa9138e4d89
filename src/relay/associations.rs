//! The DTLS associations of a worker's clients.
//!
//! They share a socket, the listener, and are told from each other by their addresses. Everything
//! has a bound: how many there are, how long a handshake may take and a client may be silent, and
//! how long a datagram may be. Nothing waits to be sent: what is sealed leaves at once or is lost.

use std::collections::HashMap;
use std::sync::Arc;

use ahash::RandomState;

use super::delivery::Delivery;
use super::dtls_step::{Arrival, Plaintexts, Progress, Way, progress, take_in};
use super::sockets::Sockets;
use super::strangers::{STRANGERS_MESSAGE, spared_until};
use crate::metrics::RelayCounters;
use crate::net::{
    Admission, ClientHello, Clock, Cookies, DtlsConfig, DtlsSession, Place, SendSpace,
};
use crate::time::{Deadlines, Instant};
use crate::turn::{FiveTuple, ToClient};

/// The associations, known by their clients.
pub(super) struct Associations {
    pub(super) by_client: HashMap<FiveTuple, Box<Association>, RandomState>,
    pub(super) deadlines: Deadlines<Timer>,
    pub(super) config: Option<DtlsConfig>,
    pub(super) cookies: Cookies,
    pub(super) admission: Arc<Admission>,
    pub(super) clock: Clock,
    /// What is encrypted, and what becomes of it.
    plain: Vec<u8>,
    sealed: Box<[u8]>,
    pub(super) space: SendSpace,
}

#[derive(Debug)]
pub(super) struct Association {
    pub(super) session: DtlsSession,
    /// A new handshake of the same client.
    pub(super) successor: Option<Box<DtlsSession>>,
    /// When the client's last message came, if there was one.
    pub(super) heard: Option<Instant>,
    _place: Place,
}

impl Association {
    /// One whose client has said nothing yet.
    pub(super) fn new(session: DtlsSession, place: Place) -> Self {
        Self {
            session,
            successor: None,
            heard: None,
            _place: place,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Timer {
    /// A client is silent.
    Silence(FiveTuple),
    /// A part of a handshake may have been lost.
    Flight(FiveTuple),
    /// The same of a successor's.
    SuccessorsFlight(FiveTuple),
}

/// What a datagram has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Messages, perhaps none.
    Messages,
    /// A new association has taken the place of the one before, perhaps with messages.
    Anew,
    /// The association is over, perhaps with last messages.
    Over,
    /// Nothing is known of the client here.
    Stranger,
}

/// Whose time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// A client may have been silent for too long. It has, if [`Associations::spare`] does not say
    /// otherwise.
    Silent(FiveTuple),
    /// A handshake has failed.
    Failed(FiveTuple),
}

impl Associations {
    /// None yet. Without `config` there never are any.
    pub(super) fn new(
        config: Option<DtlsConfig>,
        cookies: Cookies,
        admission: Arc<Admission>,
        clock: Clock,
    ) -> Self {
        let room = match config {
            Some(_) => DtlsSession::LONGEST_DATAGRAM,
            None => 0,
        };
        Self {
            by_client: HashMap::with_hasher(RandomState::new()),
            deadlines: Deadlines::default(),
            config,
            cookies,
            admission,
            clock,
            plain: Vec::with_capacity(room),
            sealed: vec![0; room].into(),
            space: SendSpace::single(),
        }
    }

    /// The longest datagram that a client may send.
    pub(super) fn longest(has_allocation: bool) -> usize {
        if has_allocation {
            usize::from(u16::MAX)
        } else {
            STRANGERS_MESSAGE
        }
    }

    /// Takes in a client's datagram. Its messages are in `plaintexts` then.
    pub(super) fn hear(
        &mut self,
        arrival: Arrival<'_>,
        plaintexts: &mut Plaintexts,
        counters: &RelayCounters,
        now: Instant,
    ) -> Heard {
        plaintexts.clear();
        if let Some(hello) = ClientHello::parse(arrival.datagram) {
            return self.greet(arrival, &hello, plaintexts, counters, now);
        }
        let Some(association) = self.by_client.get(&arrival.client) else {
            return Heard::Stranger;
        };
        if association.successor.is_some() {
            let heard = self.advance_successor(arrival, plaintexts, now);
            // Plain records belong to a handshake, and the other one is done.
            if heard == Heard::Anew || is_plain(arrival.datagram) {
                return heard;
            }
        }
        self.advance(arrival, plaintexts, now)
    }

    /// Gives a datagram to the session of a client.
    pub(super) fn advance(
        &mut self,
        arrival: Arrival<'_>,
        plaintexts: &mut Plaintexts,
        now: Instant,
    ) -> Heard {
        let client = arrival.client;
        let system = self.clock.system(now);
        let Some(association) = self.by_client.get_mut(&client) else {
            return Heard::Stranger;
        };
        let mut way = Way::new(arrival, &mut self.space);
        let session = &mut association.session;
        let was_established = session.is_established();
        let before = plaintexts.count();
        let progress = take_in(session, arrival.datagram, plaintexts, &mut way, system);
        if plaintexts.count() > before {
            association.heard = Some(now);
        }
        match progress {
            Progress::Wait(_) if was_established => {}
            Progress::Wait(_) if session.is_established() => {
                self.deadlines.clear(Timer::Flight(client));
            }
            Progress::Wait(until) => {
                let until = self.clock.instant(until);
                self.deadlines.set(Timer::Flight(client), until);
            }
            Progress::Over => return Heard::Over,
        }
        if session.is_spent() {
            return Heard::Over;
        }
        Heard::Messages
    }

    /// Seals a payload for a client, with a header before it, and sends it.
    pub(super) fn push_payload(
        &mut self,
        to: &ToClient,
        payload: &[u8],
        sockets: &Sockets,
    ) -> Delivery {
        let Ok(length) = u16::try_from(payload.len()) else {
            return Delivery::Lost;
        };
        let header = to.header.encode(length);
        let padding = &[0; 3][..header.padding];
        self.push(to.client, [header.as_bytes(), payload, padding], sockets)
    }

    /// Seals an answer for a client, and sends it.
    pub(super) fn push_answer(
        &mut self,
        client: FiveTuple,
        answer: &[u8],
        sockets: &Sockets,
    ) -> Delivery {
        self.push(client, [answer, &[], &[]], sockets)
    }

    fn push(&mut self, client: FiveTuple, parts: [&[u8]; 3], sockets: &Sockets) -> Delivery {
        let Some(association) = self.by_client.get_mut(&client) else {
            return Delivery::Elsewhere;
        };
        let Some(socket) = sockets.socket_of(client) else {
            return Delivery::Lost;
        };
        let length: usize = parts.iter().map(|part| part.len()).sum();
        if length > DtlsSession::LONGEST_MESSAGE {
            return Delivery::Lost;
        }
        self.plain.clear();
        for part in parts {
            self.plain.extend_from_slice(part);
        }
        let sealed = association.session.seal(&self.plain, &mut self.sealed);
        let mut way = Way {
            socket,
            client,
            space: &mut self.space,
        };
        match sealed {
            Some(length) if way.send(&self.sealed[..length]) => Delivery::Done,
            _ => Delivery::Lost,
        }
    }

    /// When to call [`Associations::pop_due`].
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// Sends again what may have been lost. Gives the next client whose time may be over.
    pub(super) fn pop_due(
        &mut self,
        sockets: &Sockets,
        plaintexts: &mut Plaintexts,
        now: Instant,
    ) -> Option<Due> {
        loop {
            let timer = self.deadlines.pop_due(now)?;
            let (Timer::Silence(client) | Timer::Flight(client) | Timer::SuccessorsFlight(client)) =
                timer;
            if timer == Timer::Silence(client) {
                return Some(Due::Silent(client));
            }
            if self.send_again(timer, client, sockets, plaintexts, now) {
                continue;
            }
            if timer == Timer::Flight(client) {
                return Some(Due::Failed(client));
            }
            if let Some(association) = self.by_client.get_mut(&client) {
                association.successor = None;
            }
        }
    }

    /// Sends the last part of a handshake again; `false` if it has failed.
    fn send_again(
        &mut self,
        timer: Timer,
        client: FiveTuple,
        sockets: &Sockets,
        plaintexts: &mut Plaintexts,
        now: Instant,
    ) -> bool {
        let association = self.by_client.get_mut(&client);
        let (Some(association), Some(socket)) = (association, sockets.socket_of(client)) else {
            return false;
        };
        let session = match timer {
            Timer::SuccessorsFlight(_) => association.successor.as_deref_mut(),
            _ => Some(&mut association.session),
        };
        let Some(session) = session else {
            return false;
        };
        if session.handle_timeout(self.clock.system(now)).is_err() {
            return false;
        }
        plaintexts.clear();
        let mut way = Way {
            socket,
            client,
            space: &mut self.space,
        };
        let Progress::Wait(until) = progress(session, plaintexts, &mut way) else {
            return false;
        };
        self.deadlines.set(timer, self.clock.instant(until));
        true
    }

    /// Gives a client more time, if it may have some.
    pub(super) fn spare(&mut self, client: FiveTuple, has_allocation: bool, now: Instant) -> bool {
        let Some(association) = self.by_client.get(&client) else {
            return false;
        };
        let until = spared_until(association.heard, has_allocation, now);
        if let Some(until) = until {
            self.deadlines.set(Timer::Silence(client), until);
        }
        until.is_some()
    }

    /// Some client that has one.
    pub(super) fn any(&self) -> Option<FiveTuple> {
        self.by_client.keys().next().copied()
    }

    /// Ends an association, and says so; `false` if there is none.
    pub(super) fn end(
        &mut self,
        client: FiveTuple,
        sockets: &Sockets,
        plaintexts: &mut Plaintexts,
        counters: &RelayCounters,
    ) -> bool {
        let Some(mut association) = self.by_client.remove(&client) else {
            return false;
        };
        for timer in [
            Timer::Silence(client),
            Timer::Flight(client),
            Timer::SuccessorsFlight(client),
        ] {
            self.deadlines.clear(timer);
        }
        counters.connections_ended.add(1);
        association.session.close();
        if let Some(socket) = sockets.socket_of(client) {
            plaintexts.clear();
            let mut way = Way {
                socket,
                client,
                space: &mut self.space,
            };
            let _ = progress(&mut association.session, plaintexts, &mut way);
        }
        true
    }
}

/// Whether it begins with a record that is not encrypted, by its epoch (RFC 6347 section 4.1).
fn is_plain(datagram: &[u8]) -> bool {
    matches!(datagram, [_, _, _, 0, 0, ..])
}

#[cfg(test)]
mod tests {
    use super::super::dtls_testing::{Client, FLIGHTS, World};
    use super::*;

    #[test]
    fn a_message_arrives_once() {
        let mut world = World::new(1);
        let mut client = Client::new();
        assert_eq!(client.shake(&mut world, FLIGHTS), Heard::Messages);
        assert!(client.says().1);
        let datagram = client.seals(b"hello");
        assert_eq!(world.hear(&datagram), Heard::Messages);
        assert_eq!(world.plaintexts.message(0), Some(&b"hello"[..]));
        assert_eq!(world.hear(&datagram), Heard::Messages);
        assert_eq!(world.plaintexts.message(0), None);
    }

    #[test]
    fn a_client_that_says_nothing_after_its_handshake_is_over_then_too() {
        let mut world = World::new(1);
        Client::new().shake(&mut world, FLIGHTS);
        assert_eq!(world.wait(9, false), []);
        assert_eq!(world.wait(1, false), [Due::Silent(world.client)]);
    }

    #[test]
    fn a_client_without_allocation_is_over_when_it_is_silent_for_half_a_minute() {
        let mut world = World::new(1);
        let mut client = Client::new();
        client.shake(&mut world, FLIGHTS);
        client.says();
        world.hear(&client.seals(b"hello"));
        assert_eq!(world.wait(29, false), []);
        assert_eq!(world.wait(1, false), [Due::Silent(world.client)]);
        let mut world = World::new(1);
        Client::new().shake(&mut world, FLIGHTS);
        assert_eq!(world.wait(3_600, true), []);
    }

    #[test]
    fn a_good_bye_ends_it_and_is_answered() {
        let mut world = World::new(1);
        let mut client = Client::new();
        client.shake(&mut world, FLIGHTS);
        client.says();
        client.0.close().expect("connected");
        let good_bye = client.says().0;
        assert_eq!(world.hear(&good_bye[0]), Heard::Over);
        assert_eq!(world.sent().len(), 1);
        let (sockets, plaintexts) = (&world.sockets, &mut world.plaintexts);
        let ended = world
            .associations
            .end(world.client, sockets, plaintexts, &world.counters);
        assert!(ended && !world.is_known());
        assert_eq!(world.associations.next_deadline(), None);
    }
}
