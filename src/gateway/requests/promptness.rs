//! How soon a client answers, as far as it has shown.
//!
//! Whoever is asked whether it lives is given up when it does not answer. Requests can be asked
//! only as far as their client plays along: it answers the question on a stream by a request, and
//! asks again when a poll has been answered. What stands between may hold either up. So nobody is
//! held to answer sooner than it has shown that it can.

use std::time::Duration;

use tokio::time::Instant;

/// How a client reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// A stream of events.
    Stream,
    /// Requests that are held, or answered at once.
    Poll,
}

/// What a client has shown on one connection.
#[derive(Debug, Default)]
pub(super) struct Promptness {
    reading: Option<Reading>,
    stream: Answers,
    polls: Answers,
}

/// The answers in one way.
#[derive(Debug, Default)]
struct Answers {
    /// Since when one is awaited.
    awaited: Option<Instant>,
    /// How long the last one took.
    took: Option<Duration>,
}

impl Promptness {
    /// The client reads. A stream begins with a question.
    pub(super) fn reads(&mut self, reading: Reading, now: Instant) {
        self.reading = Some(reading);
        match reading {
            Reading::Stream => self.stream.awaited = Some(now),
            Reading::Poll => self.polls.come(now),
        }
    }

    /// The client is asked where it reads. A question that it has not answered counts on.
    pub(super) fn is_asked(&mut self, now: Instant) {
        self.stream.awaited.get_or_insert(now);
    }

    /// The client has answered what it was asked on a stream.
    pub(super) fn answers(&mut self, now: Instant) {
        self.stream.come(now);
    }

    /// A poll is answered, and the next one should come then.
    pub(super) fn is_back_at(&mut self, at: Instant) {
        self.polls.awaited = Some(at);
    }

    /// Whether the client can be held to answer within this time: in the way in which it reads now
    /// it has answered before, in two thirds of it at most.
    pub(super) fn is_held_to(&self, within: Duration) -> bool {
        let answers = match self.reading {
            Some(Reading::Stream) => &self.stream,
            Some(Reading::Poll) => &self.polls,
            None => return false,
        };
        answers.took.is_some_and(|took| took * 3 <= within * 2)
    }
}

impl Answers {
    fn come(&mut self, now: Instant) {
        if let Some(since) = self.awaited.take() {
            self.took = Some(now.saturating_duration_since(since));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::{
        Access, Close, Command, Config, ConnectionId, Event, Hello, Hub, Input, Message,
    };
    use crate::time::Now;

    const TICK: Duration = Duration::from_millis(10);
    const SECOND: Duration = Duration::from_secs(1);
    /// Long enough for everything to have been seen.
    const LONG: Duration = Duration::from_secs(100);

    /// A client whose session requests carry, a hub, and what stands between, in virtual time.
    struct World {
        hub: Hub,
        start: Instant,
        passed: Duration,
        promptness: Promptness,
        client: Client,
        /// When something of the client comes next.
        coming: Option<Duration>,
        closed: Option<Close>,
    }

    #[derive(Clone, Copy)]
    struct Client {
        reading: Reading,
        /// How long it takes from what it is sent to what it answers.
        takes: Duration,
        /// For how long it does not ask again after a poll; zero if its polls are held.
        pause: Duration,
        /// Whether it answers the questions on a stream.
        answers: bool,
    }

    const ID: ConnectionId = ConnectionId(1);

    impl World {
        /// With so much silence allowed, as `negotiation` has it or in peace.
        fn new(client: Client, is_negotiation: bool) -> Self {
            let silence = Config::default().silence_timeout;
            let hub = Hub::new(
                Config {
                    silence_timeout: if is_negotiation { SECOND * 5 } else { silence },
                    ..Config::default()
                },
                [3; 32],
            );
            let mut world = Self {
                hub,
                start: Instant::now(),
                passed: Duration::ZERO,
                promptness: Promptness::default(),
                client,
                coming: Some(client.takes),
                closed: None,
            };
            let now = world.now();
            world.hub.handle(ID, Input::Open, now);
            let hello = Command::Hello(Hello {
                version: 1,
                client: None,
                access: Access::Nothing,
                resume: None,
            });
            let (length, command) = (100, Ok(hello));
            world
                .hub
                .handle(ID, Input::Message { length, command }, now);
            world.promptness.is_back_at(world.start);
            if client.reading == Reading::Stream {
                world.promptness.reads(Reading::Stream, world.start);
            }
            world
        }

        fn now(&self) -> Now {
            Now::default().after(self.passed)
        }

        fn instant(&self) -> Instant {
            self.start + self.passed
        }

        fn lives_for(&mut self, time: Duration) {
            let end = self.passed + time;
            while self.passed < end && self.closed.is_none() {
                self.passed += TICK;
                self.collect();
                if self.coming.is_some_and(|at| at <= self.passed) {
                    self.come();
                }
            }
        }

        /// Something of the client comes.
        fn come(&mut self) {
            self.coming = None;
            let (at, client) = (self.instant(), self.client);
            match client.reading {
                Reading::Stream if !client.answers => return,
                Reading::Stream => self.promptness.answers(at),
                Reading::Poll => self.promptness.reads(Reading::Poll, at),
            }
            self.hub.handle(ID, Input::Alive, self.now());
            if client.pause > Duration::ZERO {
                self.promptness.is_back_at(at + client.pause);
                self.coming = Some(self.passed + client.pause + client.takes);
            }
        }

        fn collect(&mut self) {
            self.hub.handle_timeout(self.now());
            while let Some(event) = self.hub.poll_event() {
                match event {
                    Event::Ping { within, .. } => self.ask(within),
                    Event::Close { ending, .. } => self.closed = Some(ending.close),
                    Event::Send { message, .. } => {
                        assert!(matches!(&*message, Message::Welcome(_)));
                    }
                    Event::Redeemed(_) => unreachable!("nobody brings a token"),
                }
            }
        }

        fn ask(&mut self, within: Duration) {
            let at = self.instant();
            if self.client.pause == Duration::ZERO {
                match self.client.reading {
                    Reading::Stream => self.promptness.is_asked(at),
                    Reading::Poll => self.promptness.is_back_at(at),
                }
                self.coming = Some(self.passed + self.client.takes);
            }
            if !self.promptness.is_held_to(within) {
                self.hub.handle(ID, Input::Alive, self.now());
            }
        }

        /// The client is heard no more. How long it took to find it, if it was found.
        fn finds_it_dead(&mut self) -> Option<Duration> {
            let died = self.passed;
            self.coming = None;
            let silent = Client {
                takes: LONG * 10,
                ..self.client
            };
            self.client = silent;
            self.lives_for(LONG);
            self.closed.map(|close| {
                assert_eq!(close, Close::Silent);
                self.passed - died
            })
        }
    }

    fn clients(takes: Duration) -> [Client; 3] {
        let client = Client {
            reading: Reading::Poll,
            takes,
            pause: Duration::ZERO,
            answers: true,
        };
        let stream = Client {
            reading: Reading::Stream,
            ..client
        };
        let polls = Client {
            pause: SECOND * 2,
            ..client
        };
        [stream, client, polls]
    }

    #[test]
    fn a_client_that_answers_soon_is_kept_and_found_in_time_when_it_is_gone() {
        for client in clients(SECOND) {
            for (is_negotiation, bound) in [(true, SECOND * 5), (false, SECOND * 30)] {
                let mut world = World::new(client, is_negotiation);
                world.lives_for(LONG);
                assert_eq!(world.closed, None);
                let found = world.finds_it_dead().expect("found");
                assert!(found <= bound, "{found:?}");
            }
        }
    }

    #[test]
    fn a_client_that_answers_late_is_held_to_that_in_peace_only() {
        for client in clients(SECOND * 5 / 2) {
            let mut world = World::new(client, true);
            world.lives_for(LONG);
            assert_eq!(world.closed, None);
            assert_eq!(world.finds_it_dead(), None);
            let mut world = World::new(client, false);
            world.lives_for(LONG);
            assert_eq!(world.closed, None);
            let found = world.finds_it_dead().expect("found");
            assert!(found <= SECOND * 30, "{found:?}");
        }
    }

    #[test]
    fn a_client_that_knows_no_questions_is_held_to_nothing() {
        for is_negotiation in [true, false] {
            let [stream, ..] = clients(SECOND);
            let client = Client {
                answers: false,
                ..stream
            };
            let mut world = World::new(client, is_negotiation);
            world.lives_for(LONG * 2);
            assert_eq!(world.closed, None);
        }
    }
}
