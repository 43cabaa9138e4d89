//! What goes on after a restart of the server, which has forgotten everything but who was there.

use super::member::{Member, MemberState};
use super::session::Session;
use crate::time::Instant;

impl Session {
    /// The server has been restarted, and knows the session's id. Rooms are joined again; what was
    /// said waits for its addressees, who are back before `until` or never.
    pub(super) fn begin_again(&mut self, until: Instant) {
        self.inbox.reset();
        self.parked.begin(until);
        let waiting = self.outbox.clear(false);
        for join in self.rooms.joins() {
            self.outbox.add(join);
        }
        for mut entry in waiting {
            if entry.addressee().is_some() {
                entry.nr = Some(entry.nr.unwrap_or(entry.id));
                self.parked.park(entry);
            } else {
                self.outbox.add(entry);
            }
        }
    }

    /// A member is there: what was said to it before a restart is said again.
    pub(super) fn say_again_to(&mut self, room: &str, member: &Member, now: Instant) {
        if member.state == MemberState::Left {
            return;
        }
        let entries = self.parked.take_for(room, member.session);
        if entries.is_empty() {
            return;
        }
        for entry in entries {
            self.outbox.add(entry);
        }
        self.send_what_waits(now);
    }

    pub(super) fn give_up_the_late(&mut self, now: Instant) {
        for entry in self.parked.take_late(now) {
            self.give_up(&entry, "expired");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::event::Event;
    use super::super::request::{Body, Kind, Request};
    use super::super::testing::{ROOM, World, delivered, said};

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
}
