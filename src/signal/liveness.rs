//! Connections that have died without a word are found.

use std::time::Duration;

use super::timer::Timer;
use super::{Close, ConnectionId, Event, Hub, SessionId};
use crate::time::Now;

/// How long a negotiation is urgent after its last offer or answer.
const URGENT_FOR: Duration = Duration::from_secs(10);

impl Hub {
    /// Something has come on a connection. The timer is not moved with every message; it is looked
    /// at again when it rings. Only where this answers, it would ring too late.
    pub(super) fn heard(&mut self, connection: ConnectionId, now: Now) {
        let known = self.connections.get_mut(&connection);
        if known.is_some_and(|known| known.pulse.heard(now)) {
            self.watch(connection, now);
        }
    }

    /// From now on the connection is asked when it is silent.
    pub(super) fn watch(&mut self, connection: ConnectionId, now: Now) {
        if let Some(known) = self.connections.get(&connection) {
            let due = known.pulse.due(&self.config, now);
            self.deadlines.set(Timer::Connection(connection), due);
        }
    }

    pub(super) fn check_silence(&mut self, id: ConnectionId, now: Now) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let Some(session) = connection.session else {
            return self.close(id, Close::NoHello, now);
        };
        let pulse = &mut connection.pulse;
        if pulse.due(&self.config, now) <= now.instant {
            if pulse.asked.is_some() {
                return self.close(id, Close::Silent, now);
            }
            pulse.asked = Some(now.instant);
            self.events.push_back(Event::Ping { connection: id });
        }
        let due = pulse.due(&self.config, now);
        self.deadlines.set(Timer::Connection(id), due);
        self.renew_ticket(id, session, now);
    }

    /// The session has said an offer or an answer, or is told one: the other side waits, and must
    /// not wait for somebody who is gone.
    pub(super) fn hasten(&mut self, session: SessionId, now: Now) {
        let Some(id) = self.connection_of(session) else {
            return;
        };
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let pulse = &mut connection.pulse;
        if pulse.urgent_until <= now.instant {
            // Whatever was asked in peace is asked again.
            pulse.asked = None;
        }
        pulse.urgent_until = now.instant + URGENT_FOR;
        let due = pulse.due(&self.config, now);
        self.deadlines.set(Timer::Connection(id), due);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{World, offer};
    use super::super::{Command, Config, Input, Offset};
    use super::*;

    #[test]
    fn a_silent_connection_is_asked_and_lives_as_long_as_it_answers() {
        let mut world = World::new(Config::default());
        let client = world.client();
        for asked in 1..10 {
            world.wait(Duration::from_secs(18));
            assert_eq!(world.pings(client.connection), asked);
            world.input(client.connection, Input::Alive);
        }
        assert!(world.closed.is_empty());
    }

    #[test]
    fn one_that_says_nothing_is_found_within_thirty_seconds() {
        let mut world = World::new(Config::default());
        let client = world.client();
        world.wait(Duration::from_secs(7));
        world.input(client.connection, Input::Alive);
        world.wait(Duration::from_millis(29_999));
        assert!(world.closed.is_empty());
        world.wait(Duration::from_millis(1));
        assert_eq!(world.closed[&client.connection], Close::Silent);
    }

    #[test]
    fn who_talks_is_not_asked() {
        let mut world = World::new(Config::default());
        let client = world.client();
        for _ in 0..100 {
            world.wait(Duration::from_secs(10));
            world.say(client.connection, Command::Ping);
        }
        assert_eq!(world.pings(client.connection), 0);
    }

    #[test]
    fn in_a_negotiation_either_side_is_found_within_five_seconds() {
        for dead in [0, 1] {
            let mut world = World::new(Config::default());
            let members = ["blue"; 2].map(|room| world.member(room));
            // Both have been silent for a while, and one will be for ever.
            world.wait(Duration::from_secs(17));
            for member in &members {
                world.say(member.connection, Command::Ack(Offset(2)));
            }
            world.wait(Duration::from_secs(17));
            world.ask(&members[0], offer("blue", &members[1], 2));
            for _ in 0..50 {
                world.wait(Duration::from_millis(100));
                world.input(members[1 - dead].connection, Input::Alive);
            }
            assert_eq!(world.closed[&members[dead].connection], Close::Silent);
            assert_eq!(world.closed.len(), 1);
        }
    }

    #[test]
    fn in_a_negotiation_one_that_has_just_answered_is_found_as_soon() {
        let mut world = World::new(Config::default());
        let [ada, grace] = ["blue"; 2].map(|room| world.member(room));
        world.wait(Duration::from_secs(17));
        world.ask(&ada, offer("blue", &grace, 2));
        world.wait(Duration::from_millis(1));
        assert_eq!(world.pings(grace.connection), 1);
        world.input(grace.connection, Input::Alive);
        world.wait(Duration::from_secs(5));
        assert_eq!(world.closed[&grace.connection], Close::Silent);
    }

    #[test]
    fn after_a_negotiation_silence_is_in_order_again() {
        let mut world = World::new(Config::default());
        let members = ["blue"; 2].map(|room| world.member(room));
        world.ask(&members[0], offer("blue", &members[1], 2));
        for _ in 0..12 {
            world.wait(Duration::from_secs(1));
            for member in &members {
                world.say(member.connection, Command::Ack(Offset(3)));
            }
        }
        let before = world.pings(members[0].connection);
        world.wait(Duration::from_secs(17));
        assert_eq!(world.pings(members[0].connection), before);
        assert!(world.closed.is_empty());
    }
}
