//! How associations begin: with a cookie, a place and a handshake.
//!
//! A new handshake from the address of an association runs beside it, and takes its place when it
//! is done: the client may have started anew, but whoever only says so changes nothing.

use super::associations::{Association, Associations, Heard, Timer};
use super::dtls_step::{Arrival, Plaintexts, Progress, Way, progress, take_in};
use super::strangers::FIRST_MESSAGE;
use crate::metrics::RelayCounters;
use crate::net::{ClientHello, DtlsSession, Refusal};
use crate::time::Instant;
use crate::turn::FiveTuple;

impl Associations {
    /// Answers a ClientHello: begins a handshake if the cookie is good, or else gives one.
    pub(super) fn greet(
        &mut self,
        arrival: Arrival<'_>,
        hello: &ClientHello<'_>,
        plaintexts: &mut Plaintexts,
        counters: &RelayCounters,
        now: Instant,
    ) -> Heard {
        let FiveTuple { client, server, .. } = arrival.client;
        if !hello.is_current() {
            let refusal = hello.refusal(Refusal::ProtocolVersion);
            self.way(arrival).send(&refusal);
            return Heard::Messages;
        }
        if !self.cookies.knows(hello, client, server, now) {
            let cookie = self.cookies.cookie(hello, client, server, now);
            let request = hello.verify_request(&cookie);
            self.way(arrival).send(&request);
            return Heard::Messages;
        }
        let Some(association) = self.by_client.get(&arrival.client) else {
            return self.take_client(arrival, hello, plaintexts, counters, now);
        };
        let successor = association.successor.as_ref();
        if association.session.was_begun_by(hello) {
            // Sent again: the answer may be lost. After the handshake nobody waits for it.
            if association.session.is_established() {
                return Heard::Messages;
            }
            return self.advance(arrival, plaintexts, now);
        }
        if successor.is_some_and(|successor| successor.was_begun_by(hello)) {
            return self.advance_successor(arrival, plaintexts, now);
        }
        self.begin_successor(arrival, hello, plaintexts, now)
    }

    /// Begins a handshake with a client that has no association.
    fn take_client(
        &mut self,
        arrival: Arrival<'_>,
        hello: &ClientHello<'_>,
        plaintexts: &mut Plaintexts,
        counters: &RelayCounters,
        now: Instant,
    ) -> Heard {
        let client = arrival.client;
        let Some(place) = self.admission.admit(client.client.ip().to_canonical()) else {
            counters.connections_refused.add(1);
            return Heard::Messages;
        };
        let Some((session, until)) = self.begin(arrival, hello, plaintexts, now) else {
            return Heard::Messages;
        };
        let association = Association::new(session, place);
        self.by_client.insert(client, Box::new(association));
        self.deadlines
            .set(Timer::Silence(client), now + FIRST_MESSAGE);
        self.deadlines.set(Timer::Flight(client), until);
        counters.connections_made.add(1);
        Heard::Messages
    }

    /// Begins a handshake beside the association of a client.
    fn begin_successor(
        &mut self,
        arrival: Arrival<'_>,
        hello: &ClientHello<'_>,
        plaintexts: &mut Plaintexts,
        now: Instant,
    ) -> Heard {
        let begun = self.begin(arrival, hello, plaintexts, now);
        if let Some((session, until)) = begun
            && let Some(association) = self.by_client.get_mut(&arrival.client)
        {
            association.successor = Some(Box::new(session));
            let timer = Timer::SuccessorsFlight(arrival.client);
            self.deadlines.set(timer, until);
        }
        Heard::Messages
    }

    /// A new session, and when it wants to be asked again. A client that cannot be agreed with is
    /// told so.
    fn begin(
        &mut self,
        arrival: Arrival<'_>,
        hello: &ClientHello<'_>,
        plaintexts: &mut Plaintexts,
        now: Instant,
    ) -> Option<(DtlsSession, Instant)> {
        let identity = self.config.as_ref()?.load();
        let system = self.clock.system(now);
        let begun = DtlsSession::begin(&identity, hello, arrival.datagram, system);
        let mut way = self.way(arrival);
        if let Ok(mut session) = begun
            && let Progress::Wait(until) = progress(&mut session, plaintexts, &mut way)
            && session.has_answered()
        {
            return Some((session, self.clock.instant(until)));
        }
        way.send(&hello.refusal(Refusal::HandshakeFailure));
        None
    }

    /// Gives a datagram to the new handshake of a client, which takes the place of the association
    /// when it is done.
    pub(super) fn advance_successor(
        &mut self,
        arrival: Arrival<'_>,
        plaintexts: &mut Plaintexts,
        now: Instant,
    ) -> Heard {
        let client = arrival.client;
        let timer = Timer::SuccessorsFlight(client);
        let system = self.clock.system(now);
        let Some(association) = self.by_client.get_mut(&client) else {
            return Heard::Stranger;
        };
        let Some(mut successor) = association.successor.take() else {
            return Heard::Messages;
        };
        let mut way = Way::new(arrival, &mut self.space);
        match take_in(
            &mut successor,
            arrival.datagram,
            plaintexts,
            &mut way,
            system,
        ) {
            Progress::Over => self.deadlines.clear(timer),
            Progress::Wait(_) if successor.is_established() => {
                association.session = *successor;
                association.heard = None;
                self.deadlines.clear(timer);
                self.deadlines.clear(Timer::Flight(client));
                self.deadlines
                    .set(Timer::Silence(client), now + FIRST_MESSAGE);
                return Heard::Anew;
            }
            Progress::Wait(until) => {
                association.successor = Some(successor);
                self.deadlines.set(timer, self.clock.instant(until));
            }
        }
        Heard::Messages
    }

    fn way<'w>(&'w mut self, arrival: Arrival<'w>) -> Way<'w> {
        Way::new(arrival, &mut self.space)
    }
}

#[cfg(test)]
mod tests {
    use super::super::dtls_testing::{Client, FLIGHTS, World};
    use super::*;

    #[test]
    fn a_hello_without_a_cookie_is_answered_and_forgotten() {
        let mut world = World::new(1);
        let (hellos, _) = Client::new().says();
        assert_eq!(world.hear(&hellos[0]), Heard::Messages);
        let answer = world.sent();
        assert!(answer[0].len() < hellos[0].len() && answer.len() == 1);
        assert!(!world.is_known());
        assert_eq!(world.associations.next_deadline(), None);
        assert_eq!(world.counters.connections_made.read(), 0);
    }

    #[test]
    fn where_there_is_no_place_nothing_begins() {
        let mut world = World::new(0);
        Client::new().shake(&mut world, 2);
        assert!(!world.is_known());
        assert_eq!(world.counters.connections_refused.read(), 1);
    }

    #[test]
    fn what_is_lost_of_a_handshake_is_sent_again() {
        let mut world = World::new(1);
        let mut client = Client::new();
        client.shake(&mut world, 1);
        for datagram in client.says().0 {
            world.hear(&datagram);
        }
        let lost = world.sent();
        assert_eq!(world.wait(2, false), []);
        let again = world.sent();
        assert_eq!(again.len(), lost.len());
        client.take(again);
        client.shake(&mut world, 1);
        assert!(client.says().1);
    }

    #[test]
    fn a_handshake_that_stops_is_over_after_ten_seconds() {
        let mut world = World::new(1);
        Client::new().shake(&mut world, 2);
        assert!(world.is_known());
        assert_eq!(world.wait(9, false), []);
        let over = world.wait(1, false);
        assert!(!over.is_empty());
    }

    #[test]
    fn a_new_handshake_takes_the_place_when_it_is_done_and_not_before() {
        let mut world = World::new(1);
        let mut before = Client::new();
        before.shake(&mut world, FLIGHTS);
        before.says();
        let mut after = Client::new();
        after.shake(&mut world, 2);
        assert_eq!(world.hear(&before.seals(b"still here")), Heard::Messages);
        assert_eq!(world.plaintexts.message(0), Some(&b"still here"[..]));
        assert_eq!(after.shake(&mut world, 1), Heard::Anew);
        assert!(after.says().1);
        world.hear(&before.seals(b"gone"));
        assert_eq!(world.plaintexts.message(0), None);
        world.hear(&after.seals(b"here"));
        assert_eq!(world.plaintexts.message(0), Some(&b"here"[..]));
        assert_eq!(world.counters.connections_made.read(), 1);
    }

    #[test]
    fn a_new_handshake_that_stops_leaves_the_association_as_it_was() {
        let mut world = World::new(1);
        let mut before = Client::new();
        before.shake(&mut world, FLIGHTS);
        before.says();
        Client::new().shake(&mut world, 2);
        assert_eq!(world.wait(20, true), []);
        let association = &world.associations.by_client[&world.client];
        assert!(association.successor.is_none());
        world.hear(&before.seals(b"still here"));
        assert_eq!(world.plaintexts.message(0), Some(&b"still here"[..]));
    }

    #[test]
    fn nobody_ends_an_association_from_outside() {
        let mut world = World::new(1);
        let mut client = Client::new();
        let hello = client.says().0;
        world.hear(&hello[0]);
        client.take(world.sent());
        let with_cookie = client.says().0;
        world.hear(&with_cookie[0]);
        client.take(world.sent());
        client.shake(&mut world, 1);
        client.says();
        let mut foreign = client.seals(b"something");
        foreign[20] ^= 1;
        let alerts = [[2, 40], [1, 0]].map(|alert: [u8; 2]| {
            let header = [21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 99, 0, 2];
            [&header[..], &alert].concat()
        });
        let plain = [&[23, 254, 253, 0, 0, 0, 0, 0, 0, 0, 98, 0, 2][..], b"hi"].concat();
        let epoch_2 = [&[23, 254, 253, 0, 2, 0, 0, 0, 0, 0, 98, 0, 2][..], b"hi"].concat();
        let ccs = vec![20, 254, 253, 0, 0, 0, 0, 0, 0, 0, 97, 0, 1, 1];
        let many = [&hello[0], &with_cookie[0], &alerts[0], &alerts[1]];
        let many = many.into_iter().chain([&foreign, &plain, &epoch_2, &ccs]);
        for (number, datagram) in many.enumerate() {
            assert_eq!(world.hear(datagram), Heard::Messages, "{number}");
            assert_eq!(world.plaintexts.message(0), None, "{number}");
        }
        world.hear(&client.seals(b"still here"));
        assert_eq!(world.plaintexts.message(0), Some(&b"still here"[..]));
    }
}
