//! The client's side of a session as a state machine, without a transport and without a clock.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::json;

use super::backoff::Backoff;
use super::closing::{End, Farewell};
use super::destination::Destination;
use super::error::Full;
use super::event::{Ended, Event};
use super::heard::{Broadcasts, Heard};
use super::inbox::{Inbox, Place as Position};
use super::message::decode;
use super::outbox::{Entry, Outbox};
use super::pacer::Pacer;
use super::parked::Parked;
use super::request::{AccessToken, Request, RequestId};
use super::returning::Returning;
use super::room::Rooms;
use super::seal::Seal;
use super::settings::{Place, Settings};
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
    pub(super) returning: Returning,
    pub(super) heard_of: Heard,
    pub(super) broadcasts_of: Broadcasts,
    pub(super) access: Option<AccessToken>,
    /// How often in a row the server has not taken it.
    pub(super) refusals: u32,
    pub(super) rooms: Rooms,
    /// By what the server knows their rooms by.
    pub(super) seals: BTreeMap<Box<str>, Seal>,
    pub(super) last_request: u64,
    /// When something was heard last, and whether the client has asked since.
    pub(super) heard: (Instant, bool),
    /// When the pacer lets the next message out, if it holds one back.
    pub(super) held_back: Option<Instant>,
    pub(super) farewell: Farewell,
    pub(super) destination: Destination,
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
            returning: Returning::default(),
            heard_of: Heard::default(),
            broadcasts_of: Broadcasts::default(),
            access: settings.access_token.clone(),
            refusals: 0,
            rooms: Rooms::default(),
            seals: BTreeMap::new(),
            last_request: 0,
            heard: (Instant::default(), false),
            held_back: None,
            farewell: Farewell::default(),
            destination: Destination::new(settings),
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
        if self.must_wait(&entry) {
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
        match seq.map_or(Position::Next, |seq| self.inbox.take(seq, now)) {
            Position::Next => {
                if let Some(message) = self.opened(message) {
                    self.take(message, now);
                }
            }
            Position::Repeated => {}
            Position::Gap => self.lose(&End::broken("a message is missing"), now),
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
                self.look_after_the_absent(now);
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
                let absent = [self.returning.until(), self.returning.gathering()];
                let due = [self.inbox.due(), self.held_back].into_iter().chain(absent);
                due.flatten().chain([self.silence_ends()]).min()
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

    /// Where the next connection is to be made.
    pub(super) fn place(&self) -> &Place {
        self.destination.place()
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
    use super::super::event::Ended;
    use super::super::member::MemberState;
    use super::super::testing::{ROOM, World};
    use super::*;
    use crate::signal::Drain;

    #[test]
    fn who_is_told_to_come_back_later_does_and_others_hear_of_both() {
        let mut world = World::new(2);
        world.join();
        let drain = Drain {
            within: Duration::from_secs(9),
            elsewhere: None,
        };
        world.hub.handle_drain(drain, world.now);
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
}
