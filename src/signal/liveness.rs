//! Connections that have died without a word are found.

use std::time::Duration;

use super::timer::Timer;
use super::{Close, ConnectionId, Event, Hub, Message, SessionId};
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
        if connection.pulse.due(&self.config, now) <= now.instant {
            if connection.pulse.is_asked() {
                return self.close(id, Close::Silent, now);
            }
            self.ask_whether_alive(id, now);
        }
        self.watch(id, now);
        self.renew_ticket(id, session, now);
    }

    fn ask_whether_alive(&mut self, connection: ConnectionId, now: Now) {
        if let Some(known) = self.connections.get_mut(&connection) {
            let within = known.pulse.ask(&self.config, now);
            self.events.push_back(Event::Ping { connection, within });
        }
    }

    /// The session has said an offer or an answer, or is told one: the other side waits, and must
    /// not wait for somebody who is gone.
    pub(super) fn hasten(&mut self, session: SessionId, now: Now) {
        let until = now.instant + URGENT_FOR;
        let Some(known) = self.sessions.get_mut(&session) else {
            return;
        };
        known.awaited_until = until;
        let Some(id) = known.connection else {
            return;
        };
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let was_urgent = connection.pulse.is_urgent(now);
        connection.pulse.hasten(until);
        if !was_urgent && connection.pulse.is_asked() {
            // That was in peace. Now it has less time, and who carries it must know.
            self.ask_whether_alive(id, now);
        }
        self.watch(id, now);
    }

    /// A session goes on, and is told again what is kept for it.
    pub(super) fn hasten_if_awaited(&mut self, id: SessionId, now: Now) {
        let kept = self.sessions.get(&id).map(|session| session.mailbox.kept());
        let is_awaited = |message: &Message| match message {
            Message::Delivery(delivery) => delivery.kind.is_awaited(),
            _ => false,
        };
        if kept.is_some_and(|mut kept| kept.any(|(_, message)| is_awaited(message))) {
            self.hasten(id, now);
        }
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
    fn an_offer_gives_a_dead_connection_no_more_time_than_it_had() {
        let mut world = World::new(Config::default());
        let [ada, grace] = ["blue"; 2].map(|room| world.member(room));
        world.wait(Duration::from_millis(29_900));
        world.input(ada.connection, Input::Alive);
        world.ask(&ada, offer("blue", &grace, 2));
        // Whoever carries it is asked to find out within less than before.
        assert_eq!(world.pings(grace.connection), 2);
        world.wait(Duration::from_millis(99));
        assert!(world.closed.is_empty());
        world.wait(Duration::from_millis(1));
        assert_eq!(world.closed[&grace.connection], Close::Silent);
    }

    #[test]
    fn whoever_waits_does_so_wherever_the_session_goes_on() {
        for is_offerer in [true, false] {
            let mut world = World::new(Config::default());
            let pair = ["blue"; 2].map(|room| world.member(room));
            world.ask(&pair[0], offer("blue", &pair[1], 2));
            world.wait(Duration::from_secs(1));
            for member in &pair {
                world.say(member.connection, Command::Ack(Offset(3)));
            }
            let moved = world.resume(&pair[usize::from(!is_offerer)], 3);
            world.wait(Duration::from_secs(5));
            assert_eq!(world.closed[&moved.connection], Close::Silent);
        }
    }

    #[test]
    fn who_comes_back_and_is_told_an_offer_is_found_as_soon() {
        for (seen, is_told) in [(1, true), (2, false)] {
            let mut world = World::new(Config::default());
            let [ada, grace] = ["blue"; 2].map(|room| world.member(room));
            world.input(grace.connection, Input::Closed);
            world.ask(&ada, offer("blue", &grace, 2));
            world.wait(Duration::from_secs(20));
            let back = world.resume(&grace, seen);
            world.wait(Duration::from_secs(5));
            assert_eq!(world.closed.contains_key(&back.connection), is_told);
        }
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
