//! The DTLS associations of a worker's clients.
//!
//! They share a socket, the listener, and are told from each other by their addresses. Everything
//! has a bound: how many there are, how long a handshake may take and a client may be silent, and
//! how long a datagram may be. Nothing waits to be sent: what is sealed leaves at once or is lost.
//!
//! A new handshake from the address of an association runs beside it, and takes its place when it
//! is done: the client may have started anew, but whoever only says so changes nothing.

use std::collections::HashMap;
use std::sync::Arc;

use ahash::RandomState;

use super::dtls_step::{Arrival, Plaintexts, Progress, Way, progress, take_in};
use super::sockets::Sockets;
use super::streams::{Delivery, FIRST_MESSAGE, SILENCE, STRANGERS_MESSAGE};
use crate::metrics::RelayCounters;
use crate::net::{
    Admission, ClientHello, Clock, Cookies, DtlsConfig, DtlsSession, Place, Refusal, SendSpace,
};
use crate::time::{Deadlines, Instant};
use crate::turn::{FiveTuple, ToClient};

/// The associations, known by their clients.
pub(super) struct Associations {
    by_client: HashMap<FiveTuple, Box<Association>, RandomState>,
    deadlines: Deadlines<Timer>,
    config: Option<DtlsConfig>,
    cookies: Cookies,
    admission: Arc<Admission>,
    clock: Clock,
    /// What is encrypted, and what becomes of it.
    plain: Vec<u8>,
    sealed: Box<[u8]>,
    space: SendSpace,
}

#[derive(Debug)]
struct Association {
    session: DtlsSession,
    /// A new handshake of the same client.
    successor: Option<Box<DtlsSession>>,
    /// When the client's last message came, if there was one.
    heard: Option<Instant>,
    _place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Timer {
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

    /// Answers a ClientHello: begins a handshake if the cookie is good, or else gives one.
    fn greet(
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
        let association = Association {
            session,
            successor: None,
            heard: None,
            _place: place,
        };
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

    /// Gives a datagram to the session of a client.
    fn advance(
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

    /// Gives a datagram to the new handshake of a client, which takes the place of the association
    /// when it is done.
    fn advance_successor(
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
        let heard = if has_allocation {
            Some(now)
        } else {
            association.heard
        };
        let until = heard.map(|heard| heard + SILENCE);
        let until = until.filter(|until| *until > now);
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
    use super::*;
    use std::net::{SocketAddr, UdpSocket as StdSocket};
    use std::time::{Duration, Instant as SystemInstant};

    use arc_swap::ArcSwap;
    use dimpl::{Config, Dtls, DtlsCertificate, Output};

    use super::super::sockets::Reception;
    use crate::net::{DtlsIdentity, UdpSocket};
    use crate::turn::Transport;

    /// A listener, a client's socket, and what is between them, under virtual time.
    struct World {
        associations: Associations,
        sockets: Sockets,
        plaintexts: Plaintexts,
        counters: RelayCounters,
        socket: StdSocket,
        client: FiveTuple,
        now: Instant,
        _poll: mio::Poll,
    }

    fn certificate() -> DtlsCertificate {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
        let made = made.expect("a certificate");
        DtlsCertificate {
            certificate: made.cert.der().to_vec(),
            private_key: made.signing_key.serialize_der(),
        }
    }

    impl World {
        fn new(places: usize) -> Self {
            let any = SocketAddr::from(([127, 0, 0, 1], 0));
            let listener = UdpSocket::listen(any, false).expect("bound");
            let server = listener.local();
            let poll = mio::Poll::new().expect("a poller");
            let reception = Reception {
                batching: true,
                traffic_class: false,
            };
            let sockets = Sockets::new(vec![], vec![listener], reception, poll.registry());
            let socket = StdSocket::bind(any).expect("bound");
            socket.set_nonblocking(true).expect("not blocking");
            let DtlsCertificate {
                certificate,
                private_key,
            } = certificate();
            let identity = DtlsIdentity::new(&certificate, &private_key).expect("fit");
            let associations = Associations::new(
                Some(Arc::new(ArcSwap::from_pointee(identity))),
                Cookies::new().expect("randomness"),
                Arc::new(Admission::new(places, 0)),
                Clock::start(),
            );
            Self {
                associations,
                sockets: sockets.expect("registered"),
                plaintexts: Plaintexts::new(true),
                counters: RelayCounters::default(),
                client: FiveTuple {
                    client: socket.local_addr().expect("bound"),
                    server,
                    transport: Transport::Dtls,
                },
                socket,
                now: Instant::from_start(Duration::from_secs(100)),
                _poll: poll,
            }
        }

        fn hear(&mut self, datagram: &[u8]) -> Heard {
            let socket = self.sockets.socket_of(self.client).expect("there is one");
            let arrival = Arrival {
                client: self.client,
                datagram,
                socket,
            };
            self.associations
                .hear(arrival, &mut self.plaintexts, &self.counters, self.now)
        }

        /// What has been sent to the client.
        fn sent(&self) -> Vec<Vec<u8>> {
            let mut buffer = [0; 4_096];
            let next = || Some(self.socket.recv(&mut buffer).ok()?).map(|n| buffer[..n].to_vec());
            std::iter::from_fn(next).collect()
        }

        /// What the server wants when its time has come, until `seconds` later.
        fn wait(&mut self, seconds: u64, has_allocation: bool) -> Vec<Due> {
            let end = self.now + Duration::from_secs(seconds);
            let mut over = Vec::new();
            while let Some(next) = self
                .associations
                .next_deadline()
                .filter(|next| *next <= end)
            {
                self.now = self.now.max(next);
                let (sockets, plaintexts) = (&self.sockets, &mut self.plaintexts);
                while let Some(due) = self.associations.pop_due(sockets, plaintexts, self.now) {
                    let is_spared = due == Due::Silent(self.client)
                        && self
                            .associations
                            .spare(self.client, has_allocation, self.now);
                    if !is_spared {
                        over.push(due);
                    }
                }
            }
            self.now = end;
            over
        }

        fn is_known(&self) -> bool {
            self.associations.by_client.contains_key(&self.client)
        }
    }

    /// The other side.
    struct Client(Dtls);

    impl Client {
        fn new() -> Self {
            let config = Config::builder().build().expect("a configuration");
            let now = SystemInstant::now();
            let mut dtls = Dtls::new_12(Arc::new(config), certificate(), now);
            dtls.set_active(true);
            dtls.handle_timeout(now).expect("a client");
            Self(dtls)
        }

        /// What it says next; whether it has been told that the handshake is done.
        fn says(&mut self) -> (Vec<Vec<u8>>, bool) {
            let (mut datagrams, mut is_done) = (Vec::new(), false);
            let mut buffer = [0; 4_096];
            loop {
                match self.0.poll_output(&mut buffer) {
                    Output::Packet(datagram) => datagrams.push(datagram.to_vec()),
                    Output::Connected => is_done = true,
                    Output::Timeout(_) => return (datagrams, is_done),
                    _ => {}
                }
            }
        }

        fn take(&mut self, datagrams: Vec<Vec<u8>>) {
            for datagram in datagrams {
                self.0.handle_packet(&datagram).expect("understood");
            }
        }

        /// Goes on with the handshake for so many flights; gives what came of the last.
        fn shake(&mut self, world: &mut World, flights: usize) -> Heard {
            let mut heard = Heard::Messages;
            for _ in 0..flights {
                for datagram in self.says().0 {
                    heard = world.hear(&datagram);
                }
                self.take(world.sent());
            }
            heard
        }

        fn seals(&mut self, message: &[u8]) -> Vec<u8> {
            self.0.send_application_data(message).expect("connected");
            self.says().0.remove(0)
        }
    }

    /// The hello, that with the cookie, and the rest.
    const FLIGHTS: usize = 3;

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
