//! Clients and a hub in one place, for the tests of this layer: what happens does so in virtual
//! time, and connections break where a test wants it.

use std::collections::{HashMap, VecDeque};
use std::num::Wrapping;
use std::time::Duration;

use super::closing::End;
use super::event::Event;
use super::request::{Profile, Request};
use super::session::{Session, Step};
use super::settings::Settings;
use crate::dialect::native;
use crate::signal::{self, Config, ConnectionId, Hub, Input, Rejection, SessionId};
use crate::time::{Instant, Now};

pub(super) const ROOM: &str = "blue";

/// Rates that no test has to wait for.
fn quick() -> Config {
    Config {
        messages_per_second: 10_000,
        ..Config::default()
    }
}

/// One that begins now, and takes the tickets of those before it: their keys are of the seed.
fn hub(now: Now) -> Hub {
    let config = Config {
        started: now.unix,
        ..quick()
    };
    Hub::new(config, [3; 32])
}

/// One client, and what it was told.
pub(super) struct Person {
    pub(super) session: Session,
    connection: Option<ConnectionId>,
    /// What is on the way to it.
    coming: VecDeque<Result<String, End>>,
    pub(super) events: Vec<Event>,
}

/// A hub and its clients, without a network between them that could not be cut.
pub(super) struct World {
    pub(super) hub: Hub,
    pub(super) people: Vec<Person>,
    carried: HashMap<ConnectionId, usize>,
    pub(super) now: Now,
    connections: u64,
    random: Wrapping<u64>,
}

impl World {
    pub(super) fn new(count: usize) -> Self {
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

    pub(super) fn draw(&mut self, below: u64) -> u64 {
        self.random = self.random * Wrapping(6_364_136_223_846_793_005) + Wrapping(1);
        (self.random.0 >> 33) % below
    }

    pub(super) fn instant(&self) -> Instant {
        self.now.instant
    }

    /// Everything that can happen now does, a message at a time.
    pub(super) fn settle(&mut self) {
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

    pub(super) fn step(&mut self, index: usize) -> bool {
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

    pub(super) fn collect(&mut self) {
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
                signal::Event::Ping { connection, .. } => {
                    // Whoever is there answers; the socket does that.
                    if self.carried.contains_key(&connection) {
                        self.hub.handle(connection, Input::Alive, self.now);
                    }
                    continue;
                }
                signal::Event::Redeemed(_) => continue,
                signal::Event::Close { connection, ending } => {
                    let reason = native::encode_reason(&ending);
                    (connection, Err(End::closed(ending.close.code(), &reason)))
                }
            };
            if let Some(&index) = self.carried.get(&connection) {
                self.people[index].coming.push_back(coming);
            }
        }
    }

    /// The connection breaks: some of what is under way to the client is lost with it.
    pub(super) fn cut(&mut self, index: usize) {
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
    pub(super) fn restart(&mut self) {
        for index in 0..self.people.len() {
            self.cut(index);
        }
        self.now = self.now.after(Duration::from_secs(1));
        self.hub = hub(self.now);
    }

    pub(super) fn wait(&mut self, time: Duration) {
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

    pub(super) fn join(&mut self) {
        for person in &mut self.people {
            let join = Request::join(ROOM, Profile::named("Ada"));
            person.session.ask(join, self.now.instant).expect("room");
        }
        self.wait(Duration::ZERO);
    }

    pub(super) fn session(&self, index: usize) -> SessionId {
        self.people[index].session.id().expect("welcome")
    }
}

pub(super) fn said(events: &[Event]) -> Vec<u64> {
    let numbers = events.iter().filter_map(|event| match event {
        Event::Said(said) => Some(said.body.json().parse().expect("a number")),
        _ => None,
    });
    numbers.collect()
}

pub(super) fn delivered(events: &[Event]) -> usize {
    let delivered = |event: &&Event| matches!(event, Event::Delivered { .. });
    events.iter().filter(delivered).count()
}
