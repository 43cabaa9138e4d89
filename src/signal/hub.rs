//! The whole: what comes in, which timer rings, what goes out.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::announcement::Announcement;
use super::connection::Connection;
use super::drain::Drain;
use super::ice::Issuer;
use super::random::Random;
use super::redeemed::Redeemed;
use super::revocations::Revocations;
use super::room::Rooms;
use super::session::Session;
use super::subjects::Subjects;
use super::ticket::Tickets;
use super::timer::Timer;
use super::turnstile::Turnstile;
use super::{Close, Config, ConnectionId, Ending, Event, Input, Message, SessionId};
use crate::time::{Deadlines, Instant, Now};

/// All sessions, rooms and mailboxes of this server. The module's documentation says how to
/// drive it.
pub struct Hub {
    pub(super) config: Config,
    pub(super) random: Random,
    pub(super) issuer: Issuer,
    pub(super) tickets: Tickets,
    // In order, since a drain goes through all of them.
    pub(super) connections: BTreeMap<ConnectionId, Connection>,
    pub(super) sessions: HashMap<SessionId, Box<Session>>,
    pub(super) rooms: Rooms,
    /// How many knock.
    pub(super) knocks: usize,
    /// How fast sessions may begin.
    pub(super) beginners: Turnstile,
    pub(super) subjects: Subjects,
    pub(super) revocations: Revocations,
    pub(super) redeemed: Redeemed,
    pub(super) deadlines: Deadlines<Timer>,
    /// Sessions that have lost their connection, and whose rooms are to be told in this call.
    /// To tell them may cost others their connection, so it is done one after the other.
    pub(super) lost: VecDeque<SessionId>,
    /// Once the server stops: how its clients are sent away.
    pub(super) drain: Option<Drain>,
    pub(super) events: VecDeque<Event>,
    pub(super) announcements: VecDeque<Announcement>,
}

impl Hub {
    /// A hub with nobody in it. Whoever knows `seed` can be any session where the configuration
    /// has no key for tickets: it must come from the operating system's randomness and stay in the
    /// process.
    #[must_use]
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        Self {
            random: Random::new(seed),
            issuer: Issuer::new(config.ice.clone()),
            tickets: Tickets::new(&config.ticket_keys, &seed),
            rooms: Rooms::counting_after(config.first_number()),
            knocks: 0,
            beginners: Turnstile::new(config.session_rate),
            config,
            connections: BTreeMap::new(),
            sessions: HashMap::new(),
            subjects: Subjects::default(),
            revocations: Revocations::default(),
            redeemed: Redeemed::default(),
            deadlines: Deadlines::default(),
            lost: VecDeque::new(),
            drain: None,
            events: VecDeque::new(),
            announcements: VecDeque::new(),
        }
    }

    /// Takes in what has happened on a connection.
    pub fn handle(&mut self, connection: ConnectionId, input: Input, now: Now) {
        match input {
            Input::Open => self.open(connection, now),
            Input::Message { length, command } => self.message(connection, length, command, now),
            Input::Alive => self.heard(connection, now),
            Input::Stalled => self.close(connection, Close::TooSlow, now),
            Input::Closed => self.forget_connection(connection, now),
            Input::Left => self.left(connection, now),
        }
        self.tell_of_the_lost(now);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some(timer) = self.deadlines.pop_due(now.instant) {
            match timer {
                Timer::Connection(connection) => self.check_silence(connection, now),
                Timer::Dismissal(connection) => self.dismiss(connection, now),
                Timer::Absence(session) => self.lost.push_back(session),
                Timer::Expiry(session) => self.expire(session, now),
                Timer::Unheard(session) => self.check_acknowledged(session, now),
                Timer::Room(room) => self.check_room(room, now),
                Timer::Grant(session) => self.check_grant(session, now),
                Timer::Ice(session) => self.renew_ice_servers(session, now),
            }
            self.tell_of_the_lost(now);
        }
    }

    /// What the shell should do next; `None` once it has been told everything.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`Hub::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// How many connections are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// How many sessions live, suspended ones included.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// How many rooms have a member.
    #[must_use]
    pub fn rooms(&self) -> usize {
        self.rooms.len()
    }

    /// How many rooms are kept though they have no member.
    #[must_use]
    pub fn empty_rooms(&self) -> usize {
        self.rooms.empty()
    }

    /// How many knock at a room. Who knocks at two counts twice.
    #[must_use]
    pub fn knocks(&self) -> usize {
        self.knocks
    }

    pub(super) fn connection_of(&self, session: SessionId) -> Option<ConnectionId> {
        self.sessions.get(&session)?.connection
    }

    /// Says something about the connection itself: it has no position and is not kept.
    pub(super) fn tell(&mut self, connection: ConnectionId, message: Message) {
        self.events.push_back(Event::Send {
            connection,
            offset: None,
            message: Arc::new(message),
        });
    }

    /// Says something to a session: it is kept until acknowledged, and sent now if the session
    /// is connected. A client that has let its mailbox fill up loses its connection instead.
    pub(super) fn post(&mut self, to: SessionId, message: Message, now: Now) {
        self.post_shared(to, Arc::new(message), now);
    }

    /// Says something to a session that is perhaps said to others as well.
    pub(super) fn post_shared(&mut self, to: SessionId, message: Arc<Message>, now: Now) {
        self.make_room(to, &message, now);
        let Some(session) = self.sessions.get_mut(&to) else {
            return;
        };
        let offset = session
            .mailbox
            .push(Arc::clone(&message), &self.config, now);
        if !session.is_watched {
            session.is_watched = true;
            let deadline = now.instant + self.config.acknowledge_timeout;
            self.deadlines.set(Timer::Unheard(to), deadline);
        }
        if let Some(connection) = session.connection {
            self.events.push_back(Event::Send {
                connection,
                offset: Some(offset),
                message,
            });
        }
    }

    /// What is kept has just been said again: from now on the client has time to acknowledge it.
    pub(super) fn await_acknowledgement(&mut self, id: SessionId, now: Now) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        session.mailbox.wait_from(now);
        if session.mailbox.waits_since().is_some() {
            session.is_watched = true;
            let deadline = now.instant + self.config.acknowledge_timeout;
            self.deadlines.set(Timer::Unheard(id), deadline);
        }
    }

    /// A client that takes in what it is told says so now and then. The timer is not moved with
    /// every message; it is looked at again when it rings, and set anew with the next message.
    fn check_acknowledged(&mut self, id: SessionId, now: Now) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        session.is_watched = false;
        let (Some(connection), Some(since)) = (session.connection, session.mailbox.waits_since())
        else {
            return;
        };
        let deadline = since + self.config.acknowledge_timeout;
        if deadline <= now.instant {
            self.close(connection, Close::TooSlow, now);
        } else {
            session.is_watched = true;
            self.deadlines.set(Timer::Unheard(id), deadline);
        }
    }

    /// Whether a message fits the mailbox. Where it does not, a session that is
    /// connected is suspended, since its client does not keep up, and presence is forgotten.
    pub(super) fn make_room(&mut self, to: SessionId, message: &Message, now: Now) -> bool {
        let Some(session) = self.sessions.get(&to) else {
            return false;
        };
        if session.mailbox.has_room_for(message, &self.config) {
            return true;
        }
        if let Some(connection) = session.connection {
            self.close(connection, Close::TooSlow, now);
        }
        let Some(session) = self.sessions.get_mut(&to) else {
            return false;
        };
        session.mailbox.forget_presence();
        session.mailbox.has_room_for(message, &self.config)
    }

    /// Sends again everything that is kept for a session.
    pub(super) fn replay(&mut self, session: SessionId, connection: ConnectionId) {
        let Some(session) = self.sessions.get(&session) else {
            return;
        };
        let kept = session.mailbox.kept();
        self.events
            .extend(kept.map(|(offset, message)| Event::Send {
                connection,
                offset: Some(offset),
                message: Arc::clone(message),
            }));
    }

    /// Closes a connection, if it is still open, and suspends its session.
    pub(super) fn close(&mut self, connection: ConnectionId, close: Close, now: Now) {
        let after = close.pause().map(|(least, most)| {
            let spread = u64::try_from((most - least).as_millis()).unwrap_or(u64::MAX);
            least + Duration::from_millis(self.random.up_to(spread))
        });
        self.close_with(connection, close, after, now);
    }

    /// The same, with the time for which the client should stay away.
    pub(super) fn close_with(
        &mut self,
        connection: ConnectionId,
        close: Close,
        after: Option<Duration>,
        now: Now,
    ) {
        if self.connections.contains_key(&connection) {
            let drain = self.drain.as_ref().filter(|_| close == Close::GoingAway);
            let ending = Ending {
                close,
                after,
                elsewhere: drain.and_then(|drain| drain.elsewhere.clone()),
            };
            self.events.push_back(Event::Close { connection, ending });
            self.forget_connection(connection, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{World, join, leave, offer};
    use super::super::{Access, Command, Hello, Offset, Reject, Rejection};
    use super::*;

    #[test]
    fn what_is_said_of_unknown_connections_is_ignored() {
        let mut world = World::new(Config::default());
        let stranger = ConnectionId(99);
        world.say(stranger, Command::Ping);
        for input in [Input::Alive, Input::Stalled, Input::Closed] {
            world.input(stranger, input);
        }
        assert!(world.got(stranger).is_empty());
        assert!(world.closed.is_empty());
    }

    /// What a client that keeps to no rule may say.
    fn odd_command(choice: u8, number: u64, world: &mut World) -> Result<Command, Rejection> {
        let room = ["blue", "green", ""][number as usize % 3];
        let request = match choice {
            0 => join(room),
            1 => leave(room),
            2 => offer(room, &world.client(), number),
            3 => return Err(Rejection::new(Some(number), Reject::Malformed)),
            4 => return Ok(Command::Ack(Offset(number << 56))),
            5 => return Ok(Command::Bye),
            6 => return Ok(Command::Ping),
            _ => {
                return Ok(Command::Hello(Hello {
                    version: number,
                    client: None,
                    access: Access::Nothing,
                    resume: None,
                }));
            }
        };
        Ok(Command::Request {
            id: number,
            request,
        })
    }

    fn odd_input(choice: u8, number: u64, world: &mut World) -> Input {
        match choice {
            0 => Input::Alive,
            1 => Input::Stalled,
            2 => Input::Closed,
            other => Input::Message {
                length: if number == 0 { usize::MAX } else { 100 },
                command: odd_command(other - 3, number, world),
            },
        }
    }

    proptest! {
        #[test]
        fn no_sequence_of_inputs_makes_it_panic(
            inputs in prop::collection::vec((0_u8..11, 0_u64..6, 0_u64..20), 0..100)
        ) {
            let config = Config { mailbox_messages: 3, ..Config::default() };
            let mut world = World::new(config);
            for _ in 0..3 {
                world.member("blue");
            }
            for (choice, connection, number) in inputs {
                let input = odd_input(choice, number, &mut world);
                world.input(ConnectionId(connection), input);
                world.wait(Duration::from_secs(number));
            }
        }
    }
}
