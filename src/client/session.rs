//! The client's side of a session as a state machine, without a transport and without a clock.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::json;

use super::backoff::Backoff;
use super::closing::End;
use super::error::Full;
use super::event::{Ended, Event};
use super::heard::{Broadcasts, Heard};
use super::inbox::{Inbox, Place};
use super::message::decode;
use super::outbox::{Entry, Outbox};
use super::pacer::Pacer;
use super::parked::Parked;
use super::request::{AccessToken, Request, RequestId};
use super::room::Rooms;
use super::settings::Settings;
use crate::signal::SessionId;
use crate::time::Instant;

/// How long a connection may take to open and to bring the `welcome`.
const WELCOME_WITHIN: Duration = Duration::from_secs(15);
/// How long the server may take to close the connection after `bye`.
const FAREWELL: Duration = Duration::from_secs(3);

/// What the transport should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Open a connection, and say so with [`Session::handle_open`].
    Open,
    /// Drop the connection that there is.
    Drop,
}

/// How it stands with the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// There is none before this time.
    Waiting(Instant),
    /// One is being opened, or has not brought the welcome. Not longer than until then.
    Opening(Instant),
    /// It carries the session.
    Connected,
    /// `bye` is said. The server closes, at the latest then.
    Leaving(Instant),
    Over,
}

/// One session with a server, over as many connections as it takes.
///
/// Like the sans-IO parts of the server it is driven: `handle…` takes what has happened, `poll…`
/// gives what to do, and the time is told with every call. After each `handle…`, call
/// [`Session::poll_step`], [`Session::poll_event`] and [`Session::poll_text`] until they give
/// `None`, then [`Session::poll_timeout`].
#[derive(Debug)]
pub struct Session {
    pub(super) name: Box<str>,
    pub(super) phase: Phase,
    pub(super) identity: Option<(SessionId, Box<str>)>,
    pub(super) backoff: Backoff,
    pub(super) pacer: Pacer,
    pub(super) inbox: Inbox,
    pub(super) capacity: usize,
    pub(super) outbox: Outbox,
    pub(super) parked: Parked,
    pub(super) heard_of: Heard,
    pub(super) broadcasts_of: Broadcasts,
    pub(super) access: Option<AccessToken>,
    /// How often in a row the server has not taken it.
    pub(super) refusals: u32,
    pub(super) rooms: Rooms,
    pub(super) last_request: u64,
    /// When something was heard last, and whether the client has asked since.
    pub(super) heard: (Instant, bool),
    /// When the pacer lets the next message out, if it holds one back.
    pub(super) held_back: Option<Instant>,
    /// What the server said before it closed: why, and after which time to come back.
    pub(super) farewell: (Option<Box<str>>, Option<Duration>),
    /// What the server had applied when the connection began.
    pub(super) applied: u64,
    pub(super) texts: VecDeque<String>,
    pub(super) events: VecDeque<Event>,
    pub(super) steps: VecDeque<Step>,
}

impl Session {
    /// A session that has not begun. `seed` makes its waits differ from those of other clients.
    #[must_use]
    pub fn new(settings: &Settings, seed: u64) -> Self {
        Self {
            name: settings.name.clone(),
            phase: Phase::Waiting(Instant::default()),
            identity: None,
            backoff: Backoff::new(settings.backoff_base, settings.backoff_ceiling, seed),
            pacer: Pacer::default(),
            inbox: Inbox::default(),
            capacity: settings.outbox,
            outbox: Outbox::default(),
            parked: Parked::default(),
            heard_of: Heard::default(),
            broadcasts_of: Broadcasts::default(),
            access: settings.access_token.clone(),
            refusals: 0,
            rooms: Rooms::default(),
            last_request: 0,
            heard: (Instant::default(), false),
            held_back: None,
            farewell: (None, None),
            applied: 0,
            texts: VecDeque::new(),
            events: VecDeque::new(),
            steps: VecDeque::new(),
        }
    }

    /// Asks for something. It is sent as soon as it can be, and again after a loss, until the
    /// server has applied it.
    ///
    /// # Errors
    /// As much waits already as may wait.
    pub fn ask(&mut self, request: Request, now: Instant) -> Result<RequestId, Full> {
        if self.waiting() >= self.capacity {
            return Err(Full);
        }
        self.last_request += 1;
        let re = RequestId(self.last_request);
        let entry = Entry::new(re, request);
        if self.parked.has_before(&entry) {
            self.parked.park(entry);
        } else {
            self.outbox.add(entry);
            self.send_what_waits(now);
        }
        Ok(re)
    }

    /// Takes another access token. It is shown at once where a connection carries the session, and
    /// with each one that follows.
    ///
    /// # Errors
    /// As much waits already as may wait; only connections that follow show it.
    pub fn authorize(
        &mut self,
        access_token: AccessToken,
        now: Instant,
    ) -> Result<Option<RequestId>, Full> {
        self.access = Some(access_token.clone());
        if self.phase != Phase::Connected {
            return Ok(None);
        }
        self.ask(Request::Authorize { access_token }, now).map(Some)
    }

    /// Ends the session. What waits is not sent any more.
    pub fn handle_close(&mut self, now: Instant) {
        match self.phase {
            Phase::Connected => {
                self.texts.push_back(r#"{"type":"bye"}"#.to_owned());
                self.phase = Phase::Leaving(now + FAREWELL);
            }
            Phase::Leaving(_) | Phase::Over => {}
            Phase::Waiting(_) | Phase::Opening(_) => self.finish(Ended::Closed),
        }
    }

    /// A connection is open.
    pub fn handle_open(&mut self) {
        let resume = self.identity.as_ref().map(|(session, token)| {
            json!({"session": session.to_string(), "token": token, "seq": self.inbox.seq()})
        });
        let mut hello = json!({"type": "hello", "version": 1, "client": self.name});
        if let Some(AccessToken(token)) = &self.access {
            hello["access_token"] = json!(token);
        }
        if let Some(resume) = resume {
            hello["resume"] = resume;
        }
        self.texts.push_back(hello.to_string());
    }

    /// A message has come on the connection.
    pub fn handle_text(&mut self, text: &str, now: Instant) {
        if self.phase == Phase::Over {
            return;
        }
        self.handle_alive(now);
        let (seq, message) = match decode(text) {
            Ok(numbered) => numbered,
            Err(error) => return self.lose(&End::broken(&error.to_string()), now),
        };
        match seq.map_or(Place::Next, |seq| self.inbox.take(seq, now)) {
            Place::Next => self.take(message, now),
            Place::Repeated => {}
            Place::Gap => self.lose(&End::broken("a message is missing"), now),
        }
        self.acknowledge(now);
    }

    /// The connection lives: a ping has come, for instance.
    pub fn handle_alive(&mut self, now: Instant) {
        self.heard = (now, false);
    }

    /// The connection has ended, or did not open.
    pub fn handle_end(&mut self, end: &End, now: Instant) {
        if self.phase != Phase::Over {
            self.lose(end, now);
        }
    }

    /// The application wants another connection, at once.
    pub fn handle_move(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Connected | Phase::Opening(_)) {
            self.drop_connection();
            self.phase = Phase::Waiting(now);
        }
        self.handle_timeout(now);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.phase {
            Phase::Waiting(at) if at <= now => {
                self.phase = Phase::Opening(now + WELCOME_WITHIN);
                self.steps.push_back(Step::Open);
            }
            Phase::Opening(until) if until <= now => {
                self.lose(&End::broken("no welcome came"), now);
            }
            Phase::Leaving(until) if until <= now => self.finish(Ended::Closed),
            Phase::Connected => {
                self.acknowledge(now);
                self.give_up_the_late(now);
                self.send_what_waits(now);
                self.check_silence(now);
            }
            _ => {}
        }
    }

    /// When to call [`Session::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.phase {
            Phase::Waiting(at) | Phase::Opening(at) | Phase::Leaving(at) => Some(at),
            Phase::Connected => {
                let due = [self.inbox.due(), self.held_back, self.parked.until()];
                let due = due.into_iter().flatten();
                due.chain([self.silence_ends()]).min()
            }
            Phase::Over => None,
        }
    }

    /// What the transport should do next.
    pub fn poll_step(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    /// What to tell the application next.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The next message to send on the connection.
    pub fn poll_text(&mut self) -> Option<String> {
        self.texts.pop_front()
    }

    /// Whether something is to be sent.
    #[must_use]
    pub fn has_text(&self) -> bool {
        !self.texts.is_empty()
    }

    /// The session, once there is one.
    #[must_use]
    pub fn id(&self) -> Option<SessionId> {
        self.identity.as_ref().map(|(session, _)| *session)
    }

    /// How many requests wait to be sent, answered or confirmed.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.outbox.len() + self.parked.len()
    }

    /// Whether the session is over; what [`Session::poll_event`] still gives is the rest.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::num::Wrapping;

    use super::*;
    use crate::auth::Secret;
    use crate::client::{Body, Kind, MemberState, Profile};
    use crate::dialect::native;
    use crate::signal::{self, Config, ConnectionId, Hub, Input, Rejection};
    use crate::time::Now;

    const ROOM: &str = "blue";

    /// Rates that no test has to wait for.
    fn quick() -> Config {
        Config {
            messages_per_second: 10_000,
            ..Config::default()
        }
    }

    /// One that begins now, and takes the tickets of those before it.
    fn hub(now: Now) -> Hub {
        let config = Config {
            ticket_keys: vec![Secret::new("a key of tickets that is long enough")],
            started: now.unix,
            ..quick()
        };
        Hub::new(config, [3; 32])
    }

    /// One client, and what it was told.
    struct Person {
        session: Session,
        connection: Option<ConnectionId>,
        /// What is on the way to it.
        coming: VecDeque<Result<String, End>>,
        events: Vec<Event>,
    }

    /// A hub and its clients, without a network between them that could not be cut.
    struct World {
        hub: Hub,
        people: Vec<Person>,
        carried: HashMap<ConnectionId, usize>,
        now: Now,
        connections: u64,
        random: Wrapping<u64>,
    }

    impl World {
        fn new(count: usize) -> Self {
            let settings = Settings::new("ws://test/v1/ws").expect("a URL");
            let person = |seed| Person {
                session: Session::new(&settings, seed),
                connection: None,
                coming: VecDeque::new(),
                events: Vec::new(),
            };
            Self {
                hub: hub(Now::default()),
                people: (0..count as u64).map(person).collect(),
                carried: HashMap::new(),
                now: Now::default(),
                connections: 0,
                random: Wrapping(7),
            }
        }

        fn draw(&mut self, below: u64) -> u64 {
            self.random = self.random * Wrapping(6_364_136_223_846_793_005) + Wrapping(1);
            (self.random.0 >> 33) % below
        }

        fn instant(&self) -> Instant {
            self.now.instant
        }

        /// Everything that can happen now does, a message at a time.
        fn settle(&mut self) {
            let mut is_moving = true;
            while is_moving {
                is_moving = false;
                for index in 0..self.people.len() {
                    while self.step(index) {
                        is_moving = true;
                    }
                }
            }
        }

        fn step(&mut self, index: usize) -> bool {
            let now = self.instant();
            let person = &mut self.people[index];
            if let Some(step) = person.session.poll_step() {
                self.change(index, step);
            } else if let Some(event) = person.session.poll_event() {
                person.events.push(event);
            } else if let Some(text) = person.session.poll_text() {
                self.say(index, &text);
            } else if let Some(coming) = person.coming.pop_front() {
                match coming {
                    Ok(text) => person.session.handle_text(&text, now),
                    Err(end) => {
                        person.connection = None;
                        person.session.handle_end(&end, now);
                    }
                }
            } else {
                return false;
            }
            true
        }

        fn change(&mut self, index: usize, step: Step) {
            if let Some(connection) = self.people[index].connection.take() {
                self.carried.remove(&connection);
                self.people[index].coming.clear();
                self.input(connection, Input::Closed);
            }
            if step == Step::Open {
                self.connections += 1;
                let connection = ConnectionId(self.connections);
                self.carried.insert(connection, index);
                self.people[index].connection = Some(connection);
                self.input(connection, Input::Open);
                self.people[index].session.handle_open();
            }
        }

        fn say(&mut self, index: usize, text: &str) {
            // What is said on a broken connection gets nowhere.
            let Some(connection) = self.people[index].connection else {
                return;
            };
            let command = native::decode(text.as_bytes()).map_err(Rejection::from);
            let length = text.len();
            self.input(connection, Input::Message { length, command });
        }

        fn input(&mut self, connection: ConnectionId, input: Input) {
            self.hub.handle(connection, input, self.now);
            self.collect();
        }

        fn collect(&mut self) {
            while let Some(event) = self.hub.poll_event() {
                let (connection, coming) = match event {
                    signal::Event::Send {
                        connection,
                        offset,
                        message,
                    } => {
                        let mut text = Vec::new();
                        native::encode(offset, &message, &mut text);
                        (connection, Ok(String::from_utf8(text).expect("UTF-8")))
                    }
                    signal::Event::Ping { connection } => {
                        // Whoever is there answers; the socket does that.
                        if self.carried.contains_key(&connection) {
                            self.hub.handle(connection, Input::Alive, self.now);
                        }
                        continue;
                    }
                    signal::Event::Close { connection, ending } => {
                        let reason = native::encode_reason(ending);
                        (connection, Err(End::closed(ending.close.code(), &reason)))
                    }
                };
                if let Some(&index) = self.carried.get(&connection) {
                    self.people[index].coming.push_back(coming);
                }
            }
        }

        /// The connection breaks: some of what is under way to the client is lost with it.
        fn cut(&mut self, index: usize) {
            let Some(connection) = self.people[index].connection else {
                return;
            };
            let arrive = self.draw(4) as usize;
            let person = &mut self.people[index];
            person.coming.truncate(arrive);
            person.coming.push_back(Err(End::broken("cut")));
            self.carried.remove(&connection);
            self.input(connection, Input::Closed);
        }

        /// The server goes down and comes back; it knows its own tickets and nothing else.
        fn restart(&mut self) {
            for index in 0..self.people.len() {
                self.cut(index);
            }
            self.now = self.now.after(Duration::from_secs(1));
            self.hub = hub(self.now);
        }

        fn wait(&mut self, time: Duration) {
            self.now = self.now.after(time);
            self.hub.handle_timeout(self.now);
            self.collect();
            let now = self.instant();
            for person in &mut self.people {
                while person.session.poll_timeout().is_some_and(|at| at <= now) {
                    let before = person.session.poll_timeout();
                    person.session.handle_timeout(now);
                    if person.session.poll_timeout() == before {
                        break;
                    }
                }
            }
            self.settle();
        }

        fn join(&mut self) {
            for person in &mut self.people {
                let join = Request::join(ROOM, Profile::named("Ada"));
                person.session.ask(join, self.now.instant).expect("room");
            }
            self.wait(Duration::ZERO);
        }

        fn session(&self, index: usize) -> SessionId {
            self.people[index].session.id().expect("welcome")
        }
    }

    fn said(events: &[Event]) -> Vec<u64> {
        let numbers = events.iter().filter_map(|event| match event {
            Event::Said(said) => Some(said.body.json().parse().expect("a number")),
            _ => None,
        });
        numbers.collect()
    }

    fn delivered(events: &[Event]) -> usize {
        let delivered = |event: &&Event| matches!(event, Event::Delivered { .. });
        events.iter().filter(delivered).count()
    }

    #[test]
    fn what_is_said_arrives_once_and_in_order_however_often_connections_break() {
        const MESSAGES: u64 = 1_000;
        let mut world = World::new(2);
        world.join();
        let to = world.session(1);
        let mut next = 0;
        for _ in 0..50_000 {
            if next == MESSAGES && world.people[0].session.waiting() == 0 {
                break;
            }
            let body = Body::new(&next).expect("JSON");
            let say = Request::say(ROOM, to, Kind::Candidate, body);
            if next < MESSAGES {
                let now = world.instant();
                next += u64::from(world.people[0].session.ask(say, now).is_ok());
            }
            match world.draw(12) {
                index @ 0..2 => world.cut(index as usize),
                // Only some of what is under way arrives before the next cut.
                index @ 2..4 => drop(world.step(index as usize - 2)),
                _ => world.wait(Duration::from_millis(20)),
            }
        }
        let expected: Vec<_> = (0..MESSAGES).collect();
        assert_eq!(said(&world.people[1].events), expected);
        assert_eq!(delivered(&world.people[0].events), expected.len());
    }

    #[test]
    fn a_session_that_is_lost_joins_its_rooms_again_and_says_what_nobody_knows_of() {
        let mut world = World::new(2);
        world.join();
        let (former, to) = (world.session(0), world.session(1));
        world.cut(1);
        let now = world.instant();
        let say = Request::say(ROOM, to, Kind::Offer, Body::new(&1).expect("JSON"));
        let re = world.people[0].session.ask(say, now).expect("room");
        world.wait(Duration::ZERO);
        world.cut(0);
        world.people[0].events.clear();
        world.hub = Hub::new(Config::default(), [4; 32]);
        for _ in 0..100 {
            world.wait(Duration::from_millis(100));
        }
        assert_ne!(world.session(0), former);
        let events = &world.people[0].events;
        let lost =
            |event: &Event| matches!(event, Event::Undeliverable { re: of, .. } if *of == re);
        assert!(events.iter().any(lost), "{events:?}");
        assert!(
            events
                .iter()
                .any(|event| matches!(event, Event::Joined { .. }))
        );
        assert_eq!(world.hub.rooms(), 1);
    }

    #[test]
    fn what_was_not_confirmed_before_a_restart_is_said_again_and_heard_once() {
        let mut world = World::new(2);
        world.join();
        let to = world.session(1);
        for number in 0..60 {
            let body = Body::new(&number).expect("JSON");
            let now = world.instant();
            let say = Request::say(ROOM, to, Kind::Candidate, body);
            world.people[0].session.ask(say, now).expect("room");
            if number == 40 {
                // Some are confirmed, some heard, and some neither.
                world.wait(Duration::ZERO);
            }
        }
        let heard = said(&world.people[1].events).len();
        assert!((32..60).contains(&heard), "{heard}");
        world.restart();
        for _ in 0..100 {
            world.wait(Duration::from_millis(100));
        }
        assert_eq!(world.session(1), to);
        let expected: Vec<_> = (0..60).collect();
        assert_eq!(said(&world.people[1].events), expected);
        assert_eq!(delivered(&world.people[0].events), 60);
    }

    #[test]
    fn who_does_not_come_back_after_a_restart_is_not_waited_for() {
        let mut world = World::new(2);
        world.join();
        let to = world.session(1);
        world.cut(1);
        let say = Request::say(ROOM, to, Kind::Offer, Body::new(&1).expect("JSON"));
        let now = world.instant();
        let re = world.people[0].session.ask(say, now).expect("room");
        world.restart();
        world.people.truncate(1);
        for _ in 0..700 {
            world.wait(Duration::from_millis(100));
        }
        let late = world.people[0].events.iter().find_map(|event| match event {
            Event::Undeliverable { re, reason } => Some((*re, &**reason)),
            _ => None,
        });
        assert_eq!(late, Some((re, "expired")));
    }

    #[test]
    fn who_is_told_to_come_back_later_does_and_others_hear_of_both() {
        let mut world = World::new(2);
        world.join();
        world.hub.handle_drain(Duration::from_secs(9), world.now);
        world.collect();
        world.settle();
        let waits = world.people[0].events.iter().find_map(|event| match event {
            Event::Disconnected { retry_in, .. } => Some(*retry_in),
            _ => None,
        });
        assert!(
            waits.is_some_and(|wait| wait <= Duration::from_secs(9)),
            "{waits:?}"
        );
    }

    #[test]
    fn who_asks_for_more_than_may_wait_is_told() {
        let mut world = World::new(1);
        let (now, session) = (world.instant(), &mut world.people[0].session);
        for _ in 0..128 {
            assert!(session.ask(Request::leave(ROOM), now).is_ok());
        }
        assert_eq!(session.ask(Request::leave(ROOM), now), Err(Full));
    }

    #[test]
    fn a_goodbye_ends_the_session_and_says_so_to_the_others() {
        let mut world = World::new(2);
        world.join();
        let now = world.instant();
        world.people[0].session.handle_close(now);
        world.wait(Duration::ZERO);
        assert!(world.people[0].session.is_over());
        let last = world.people[0].events.last();
        assert!(
            matches!(last, Some(Event::Ended(Ended::Closed))),
            "{last:?}"
        );
        let left = |event: &Event| match event {
            Event::Presence { member, .. } => member.state == MemberState::Left,
            _ => false,
        };
        assert!(world.people[1].events.iter().any(left));
    }

    #[test]
    fn a_server_that_falls_silent_is_asked_and_then_given_up() {
        let mut world = World::new(1);
        world.join();
        let mut session = world.people.remove(0).session;
        let mut silent = world.instant();
        for _ in 0..2 {
            silent = session
                .poll_timeout()
                .expect("it looks after its connection");
            session.handle_timeout(silent);
        }
        session.handle_timeout(silent + Duration::from_secs(10));
        let steps: Vec<_> = std::iter::from_fn(|| session.poll_step()).collect();
        assert_eq!(steps, [Step::Drop]);
    }
}
