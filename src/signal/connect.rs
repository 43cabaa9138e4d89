//! A connection, from its first message to its last.

use super::connection::{Connection, Pulse};
use super::limits::Buckets;
use super::timer::Timer;
use super::{Close, Command, ConnectionId, Hello, Hub, Message, Reject, Rejection, SessionId};
use crate::time::Now;

/// How many malformed messages in a row end a connection.
const MALFORMED_IN_A_ROW: u8 = 16;
/// How many messages beyond the rate end a connection.
const LIMITED: u8 = 200;
/// How many of these one message within the rate makes up for. A flood is let through a message
/// now and then, so to begin anew with each would never end it.
const FORGIVEN: u8 = 4;

impl Hub {
    pub(super) fn open(&mut self, id: ConnectionId, now: Now) {
        let connection = Connection {
            session: None,
            pulse: Pulse::new(now),
            grant: None,
            malformed: 0,
            limited: 0,
        };
        self.connections.insert(id, connection);
        let deadline = now.instant + self.config.hello_timeout;
        self.deadlines.set(Timer::Connection(id), deadline);
        if self
            .drain
            .as_ref()
            .is_some_and(|drain| drain.elsewhere.is_none())
        {
            self.dismiss(id, now);
        }
    }

    /// The connection carries `session` from now on.
    pub(super) fn carry(&mut self, connection: ConnectionId, session: SessionId, now: Now) {
        let awaited_until = self.sessions.get(&session).map(|known| known.awaited_until);
        if let Some(carrier) = self.connections.get_mut(&connection) {
            carrier.session = Some(session);
            // Whoever waits does so wherever the session goes on.
            carrier.pulse.hasten(awaited_until.unwrap_or_default());
            let grant = carrier.grant.take();
            self.watch(connection, now);
            self.hold_to(session, grant, now);
        }
    }

    /// The connection is gone; its session is suspended.
    pub(super) fn forget_connection(&mut self, connection: ConnectionId, now: Now) {
        let Some(gone) = self.connections.remove(&connection) else {
            return;
        };
        self.deadlines.clear(Timer::Connection(connection));
        if self.drain.is_some() {
            self.deadlines.clear(Timer::Dismissal(connection));
        }
        if let Some(session) = gone.session {
            self.suspend(session, now);
        }
    }

    /// The client has said that it goes: nobody has to wait and see whether it comes back.
    pub(super) fn left(&mut self, connection: ConnectionId, now: Now) {
        let known = self.connections.get(&connection);
        let session = known.and_then(|known| known.session);
        self.forget_connection(connection, now);
        self.lost.extend(session);
    }

    pub(super) fn message(
        &mut self,
        id: ConnectionId,
        length: usize,
        command: Result<Command, Rejection>,
        now: Now,
    ) {
        self.heard(id, now);
        match self.connections.get(&id).map(|known| known.session) {
            None => {}
            Some(None) => self.first_message(id, command, now),
            Some(Some(session)) => self.later_message(id, session, length, command, now),
        }
    }

    fn first_message(&mut self, id: ConnectionId, command: Result<Command, Rejection>, now: Now) {
        let rejection = match command {
            Ok(Command::Hello(hello)) if hello.version == 1 => {
                return self.hello(id, hello, now);
            }
            Ok(Command::Hello(_)) => Rejection::new(None, Reject::UnsupportedVersion),
            Ok(other) => Rejection::new(other.id(), Reject::HelloExpected),
            Err(rejection) => rejection,
        };
        self.tell(id, Message::Error(rejection));
        self.close(id, Close::BrokenProtocol, now);
    }

    fn hello(&mut self, id: ConnectionId, hello: Hello, now: Now) {
        if hello.access.cannot_be_checked() {
            // Nothing is wrong with the token: with it the client comes back.
            let wait = self.beginners.come_back(now.instant);
            return self.close_with(id, Close::Busy, Some(wait), now);
        }
        match self.admitted(hello.access) {
            Err(why) => return self.turn_away(id, why, now),
            Ok(grant) => {
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.grant = grant;
                }
            }
        }
        match &hello.resume {
            resume if self.drain.is_some() => self.send_on(id, resume.as_ref(), now),
            Some(resume) => self.resume(id, resume, now),
            None => self.begin(id, now),
        }
    }

    fn later_message(
        &mut self,
        id: ConnectionId,
        session: SessionId,
        length: usize,
        command: Result<Command, Rejection>,
        now: Now,
    ) {
        if let Some(session) = self.sessions.get_mut(&session) {
            session.issued.confirm();
        }
        match self.within_rate(session, length, &command, now) {
            Ok(()) => self.forgive(id),
            Err(rejection) => return self.slow_down(id, session, &command, rejection, now),
        };
        match command {
            Ok(command) => {
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.malformed = 0;
                }
                if let Err(rejection) = self.obey(id, session, command, now) {
                    self.refuse(id, rejection, now);
                }
            }
            Err(rejection) => self.refuse(id, rejection, now),
        }
    }

    fn within_rate(
        &mut self,
        session: SessionId,
        length: usize,
        command: &Result<Command, Rejection>,
        now: Now,
    ) -> Result<(), Rejection> {
        let session = self.sessions.get_mut(&session);
        let buckets: &mut Buckets = match session {
            Some(session) => &mut session.buckets,
            None => return Ok(()),
        };
        let taken = buckets.take(length, &self.config, now.instant);
        taken.map_err(|wait| {
            let re = match command {
                Ok(command) => command.id(),
                Err(rejection) => rejection.re,
            };
            let mut rejection = Rejection::new(re, Reject::RateLimited);
            rejection.retry_after = Some(wait);
            rejection
        })
    }

    /// Drops what came too fast. But what has arrived has arrived, however often that is said: were
    /// the last `ack` dropped, its client would think that all is well.
    fn slow_down(
        &mut self,
        id: ConnectionId,
        session: SessionId,
        command: &Result<Command, Rejection>,
        rejection: Rejection,
        now: Now,
    ) {
        match command {
            Ok(Command::Ack(seen)) => {
                self.acknowledge(session, *seen, now);
                self.charge(id, now);
            }
            _ => self.refuse(id, rejection, now),
        }
    }

    /// Closes the connection of a client that goes on being too fast.
    fn charge(&mut self, id: ConnectionId, now: Now) {
        if self.count_limited(id) > LIMITED {
            self.close(id, Close::Flooding, now);
        }
    }

    /// Answers with an error, and closes the connection of a client that does not listen.
    fn refuse(&mut self, id: ConnectionId, rejection: Rejection, now: Now) {
        let reject = rejection.reject;
        self.note_refusal(id, &rejection);
        self.tell(id, Message::Error(rejection));
        match reject {
            Reject::RateLimited => self.charge(id, now),
            Reject::Malformed if self.count_malformed(id) > MALFORMED_IN_A_ROW => {
                self.close(id, Close::BrokenProtocol, now);
            }
            _ => {}
        }
    }

    fn count_limited(&mut self, id: ConnectionId) -> u8 {
        self.connections.get_mut(&id).map_or(0, |connection| {
            connection.limited = connection.limited.saturating_add(1);
            connection.limited
        })
    }

    fn forgive(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.limited = connection.limited.saturating_sub(FORGIVEN);
        }
    }

    fn count_malformed(&mut self, id: ConnectionId) -> u8 {
        self.connections.get_mut(&id).map_or(0, |connection| {
            connection.malformed = connection.malformed.saturating_add(1);
            connection.malformed
        })
    }

    fn obey(
        &mut self,
        id: ConnectionId,
        session: SessionId,
        command: Command,
        now: Now,
    ) -> Result<(), Rejection> {
        match command {
            Command::Hello(_) => return Err(Rejection::new(None, Reject::HelloRepeated)),
            Command::Ack(seen) => self.acknowledge(session, seen, now),
            Command::Ping => self.tell(id, Message::Pong),
            Command::Bye => self.bye(id, session, now),
            Command::Request { id, request } => {
                let applied = self.apply(session, id, request, now);
                return applied.map_err(|reject| self.rejection(session, id, reject, now));
            }
        }
        Ok(())
    }

    fn rejection(&self, session: SessionId, re: u64, reject: Reject, now: Now) -> Rejection {
        let mut rejection = Rejection::new(Some(re), reject);
        if reject == Reject::RateLimited {
            rejection.retry_after = Some(self.patience(session, now.instant));
        }
        rejection
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::testing::{World, offer};
    use super::super::{
        Access, Close, Command, Config, Hello, Input, Message, Offset, Reject, Rejection,
    };

    fn malformed() -> Input {
        Input::Message {
            length: 1,
            command: Err(Rejection::new(None, Reject::Malformed)),
        }
    }

    #[test]
    fn who_says_no_hello_within_ten_seconds_is_closed() {
        let mut world = World::new(Config::default());
        let connection = world.open();
        world.wait(Duration::from_secs(9));
        world.input(connection, Input::Alive);
        assert!(world.closed.is_empty());
        world.wait(Duration::from_secs(1));
        assert_eq!(world.closed[&connection], Close::NoHello);
    }

    #[test]
    fn seventeen_malformed_messages_in_a_row_are_too_many() {
        let mut world = World::new(Config::default());
        let client = world.client();
        for _ in 0..16 {
            world.input(client.connection, malformed());
        }
        world.say(client.connection, Command::Ping);
        for _ in 0..16 {
            world.input(client.connection, malformed());
        }
        assert!(world.closed.is_empty());
        world.input(client.connection, malformed());
        assert_eq!(world.closed[&client.connection], Close::BrokenProtocol);
    }

    #[test]
    fn a_steady_flood_is_ended_though_a_message_is_let_through_now_and_then() {
        let mut world = World::new(Config::default());
        let client = world.client();
        for _ in 0..2_000 {
            world.say(client.connection, Command::Ping);
            world.wait(Duration::from_millis(1));
        }
        assert_eq!(world.closed[&client.connection], Close::Flooding);
        let bounds = Duration::from_secs(10)..=Duration::from_secs(15);
        assert!(
            matches!(world.pauses[..], [pause] if bounds.contains(&pause)),
            "{:?}",
            world.pauses
        );
    }

    #[test]
    fn who_is_a_little_too_fast_is_only_slowed_down() {
        let mut world = World::new(Config::default());
        let client = world.client();
        for _ in 0..6_000 {
            world.say(client.connection, Command::Ping);
            world.wait(Duration::from_millis(10));
        }
        assert!(world.closed.is_empty());
        assert_eq!(world.error(&client), Some(Reject::RateLimited));
    }

    #[test]
    fn an_acknowledgement_counts_however_fast_it_comes_but_not_for_ever() {
        let mut world = World::new(Config::default());
        let (ada, grace) = (world.member("blue"), world.member("blue"));
        let epoch = world.epoch(&ada);
        world.ask(&grace, offer("blue", &ada, epoch));
        for _ in 0..250 {
            world.say(ada.connection, Command::Ping);
        }
        assert_eq!(world.error(&ada), Some(Reject::RateLimited));
        // `joined`, the presence of grace and the offer.
        world.say(ada.connection, Command::Ack(Offset(3)));
        let got = world.got(grace.connection);
        let last = got.last().expect("a receipt");
        assert!(matches!(**last, Message::Delivered { .. }), "{last:?}");
        assert_eq!(world.error(&ada), None);
        for _ in 0..250 {
            world.say(ada.connection, Command::Ack(Offset(3)));
        }
        assert_eq!(world.closed[&ada.connection], Close::Flooding);
    }

    #[test]
    fn a_second_hello_is_refused() {
        let mut world = World::new(Config::default());
        let client = world.client();
        let hello = Hello {
            version: 1,
            client: None,
            access: Access::Nothing,
            resume: None,
        };
        world.say(client.connection, Command::Hello(hello));
        assert_eq!(world.error(&client), Some(Reject::HelloRepeated));
    }
}
