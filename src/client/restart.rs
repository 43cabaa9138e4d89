//! What goes on after a restart of the server, which has forgotten everything but who was there.

use std::time::Duration;

use super::event::Event;
use super::member::{Member, MemberState, RoomMembers};
use super::outbox::Entry;
use super::request::Request;
use super::session::Session;
use crate::time::Instant;

/// So much longer than sessions come back their meetings may go on, and this for the word of it.
const RETURNING: Duration = Duration::from_secs(35);

impl Session {
    /// The server has been restarted, and knows the session's id. Rooms are joined again; what was
    /// said waits for those who are to hear it.
    pub(super) fn begin_again(&mut self) {
        self.inbox.reset();
        let mut others = Vec::new();
        for mut entry in self.outbox.clear(false) {
            if entry.is_said() {
                entry.nr = Some(entry.nr.unwrap_or(entry.id));
            }
            if entry.is_copy {
                // It is parked itself.
            } else if self.is_for_those_before(&entry) {
                self.rename_meeting(&mut entry);
                self.parked.park(entry);
            } else {
                others.push(entry);
            }
        }
        self.returning.begin(self.rooms.meetings());
        for entry in self.rooms.joins().chain(others) {
            self.outbox.add(entry);
        }
    }

    /// Whether it was said to members who are to come back.
    fn is_for_those_before(&self, entry: &Entry) -> bool {
        match &entry.request {
            Request::Say { .. } => true,
            Request::Broadcast { room, .. } => {
                self.rooms.profile(room).is_some() || self.returning.is_about(room)
            }
            _ => false,
        }
    }

    /// What belongs to a meeting does so under the name of it that was told last.
    fn rename_meeting(&self, entry: &mut Entry) {
        if let Request::Say {
            room,
            to,
            epoch: Some(epoch),
            ..
        } = &mut entry.request
            && let Some(pair) = self.rooms.pair(room, *to)
        {
            *epoch = pair.present(*epoch);
        }
    }

    /// There is a connection, and so word of those who come back: from now on they have their time.
    pub(super) fn await_others(&mut self, window: Duration, now: Instant) {
        if self.returning.is_waiting() || self.parked.len() > 0 {
            self.returning.wait_until(now + window + RETURNING);
        }
    }

    /// Whether those who are to hear it are not back, or this would overtake something.
    pub(super) fn must_wait(&self, entry: &Entry) -> bool {
        let is_awaited = match &entry.request {
            Request::Say { room, to, .. } => self.returning.is_awaited(room, *to),
            _ => false,
        };
        is_awaited || self.parked.has_before(entry)
    }

    /// The session is in a room, with these others.
    pub(super) fn enter_again(&mut self, room: &RoomMembers, now: Instant) {
        self.returning.enter(&room.room, now);
        let members: Vec<_> = room.members.iter().collect();
        self.take_back(&room.room, &members, now);
    }

    /// Members are there: what a restart has kept from them is said again.
    pub(super) fn take_back(&mut self, room: &str, members: &[&Member], now: Instant) {
        for member in members {
            self.returning.take(room, member.session);
            if member.state != MemberState::Left {
                let entries = self.parked.take_for(room, member.session);
                entries.into_iter().for_each(|entry| self.outbox.add(entry));
            }
        }
        if self.returning.is_complete(room) {
            let broadcasts = self.parked.take_broadcasts(room).into_iter();
            broadcasts.for_each(|entry| self.outbox.add(entry));
        }
        self.send_what_waits(now);
    }

    /// What is due to or about those who have not come back.
    pub(super) fn look_after_the_absent(&mut self, now: Instant) {
        for room in self.returning.gathered(now) {
            for copy in self.parked.copies(&room) {
                self.outbox.add(copy);
            }
        }
        if self.returning.until().is_some_and(|until| until <= now) {
            self.give_up_the_absent();
        }
    }

    fn give_up_the_absent(&mut self) {
        for (room, sessions) in self.returning.end() {
            for mut entry in self.parked.take_broadcasts(&room) {
                entry.missed.clone_from(&sessions);
                self.outbox.add(entry);
            }
            let missing = sessions.into_iter().map(|session| Event::Missing {
                room: room.clone(),
                session,
            });
            self.events.extend(missing);
        }
        for entry in self.parked.take_all() {
            self.give_up(&entry, "expired");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::super::event::Event;
    use super::super::request::{Body, Kind, Request, RequestId};
    use super::super::testing::{ROOM, World, delivered, said};
    use crate::signal::SessionId;

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
        for _ in 0..1_000 {
            world.wait(Duration::from_millis(100));
        }
        let late = world.people[0].events.iter().find_map(|event| match event {
            Event::Undeliverable { re, reason } => Some((*re, &**reason)),
            _ => None,
        });
        assert_eq!(late, Some((re, "expired")));
    }

    /// Who was told what of its broadcasts: how many each has reached, and whom it has missed.
    fn receipts(events: &[Event]) -> Vec<(RequestId, usize, Vec<SessionId>)> {
        let receipts = events.iter().filter_map(|event| match event {
            Event::BroadcastDelivered {
                re,
                delivered,
                undeliverable,
            } => {
                let missed = undeliverable.iter().map(|it| it.session).collect();
                Some((*re, *delivered, missed))
            }
            _ => None,
        });
        receipts.collect()
    }

    fn heard(events: &[Event]) -> Vec<u64> {
        let numbers = events.iter().filter_map(|event| match event {
            Event::Broadcast(said) => Some(said.body.json().parse().expect("a number")),
            _ => None,
        });
        numbers.collect()
    }

    fn broadcast(world: &mut World, number: u64) -> RequestId {
        let request = Request::broadcast(ROOM, Body::new(&number).expect("JSON"));
        let now = world.instant();
        world.people[0].session.ask(request, now).expect("room")
    }

    /// Three in a room, where the first has said this to all and not heard whom it has reached.
    fn said_to_all_before_a_restart(numbers: std::ops::Range<u64>) -> (World, Vec<RequestId>) {
        let mut world = World::new(3);
        world.join();
        let asked = numbers.map(|number| broadcast(&mut world, number));
        let asked = asked.collect();
        // Heard by some, and not confirmed to anybody.
        world.settle();
        assert!(receipts(&world.people[0].events).is_empty());
        world.restart();
        (world, asked)
    }

    #[test]
    fn what_was_said_to_all_before_a_restart_is_heard_once_and_confirmed() {
        let (mut world, asked) = said_to_all_before_a_restart(0..20);
        let heard_before = heard(&world.people[1].events).len();
        assert!(heard_before > 0, "nothing could come twice");
        for _ in 0..100 {
            world.wait(Duration::from_millis(100));
        }
        let expected: Vec<_> = (0..20).collect();
        for other in &world.people[1..] {
            assert_eq!(heard(&other.events), expected);
        }
        let expected: Vec<_> = asked.into_iter().map(|re| (re, 2, vec![])).collect();
        assert_eq!(receipts(&world.people[0].events), expected);
        assert_eq!(world.people[0].session.waiting(), 0);
    }

    #[test]
    fn those_who_are_back_hear_at_once_what_others_never_come_back_for() {
        let mut world = World::new(3);
        world.join();
        // So that the others hear nothing before the restart.
        world.cut(1);
        world.cut(2);
        let asked: Vec<_> = (0..3).map(|number| broadcast(&mut world, number)).collect();
        world.restart();
        let late = world.session(2);
        world.people.truncate(2);
        for _ in 0..50 {
            world.wait(Duration::from_millis(100));
        }
        assert_eq!(heard(&world.people[1].events), [0, 1, 2]);
        assert!(receipts(&world.people[0].events).is_empty());
        for _ in 0..1_000 {
            world.wait(Duration::from_millis(100));
        }
        assert_eq!(heard(&world.people[1].events), [0, 1, 2]);
        let expected: Vec<_> = asked.into_iter().map(|re| (re, 1, vec![late])).collect();
        assert_eq!(receipts(&world.people[0].events), expected);
        for person in &world.people {
            let missing = person.events.iter().filter_map(|event| match event {
                Event::Missing { session, .. } => Some(*session),
                _ => None,
            });
            assert_eq!(missing.collect::<Vec<_>>(), [late]);
        }
    }

    #[test]
    fn what_is_said_to_all_survives_one_restart_after_the_other() {
        let (mut world, asked) = said_to_all_before_a_restart(0..20);
        for _ in 0..25 {
            world.wait(Duration::from_millis(20));
        }
        world.restart();
        for _ in 0..100 {
            world.wait(Duration::from_millis(100));
        }
        for other in &world.people[1..] {
            assert_eq!(heard(&other.events), (0..20).collect::<Vec<_>>());
        }
        let confirmed = receipts(&world.people[0].events).into_iter();
        assert_eq!(confirmed.map(|it| it.0).collect::<Vec<_>>(), asked);
    }

    /// How the others were told of last: the epoch of before, the present one, and the role.
    fn seen(events: &[Event]) -> Vec<(Option<u64>, u64, bool)> {
        let mut seen = BTreeMap::new();
        for event in events {
            let members = match event {
                Event::Joined { room, .. } => &room.members[..],
                Event::Presence { member, .. } => std::slice::from_ref(member),
                _ => &[],
            };
            for member in members {
                let told = (member.continues, member.epoch, member.polite);
                seen.insert(member.session, told);
            }
        }
        seen.into_values().collect()
    }

    #[test]
    fn meetings_go_on_after_a_restart_with_the_roles_of_before() {
        let mut world = World::new(3);
        world.join();
        let before: Vec<_> = world.people.iter().map(|it| seen(&it.events)).collect();
        for _ in 0..2 {
            world.restart();
            for person in &mut world.people {
                person.events.clear();
            }
            for _ in 0..100 {
                world.wait(Duration::from_millis(100));
            }
        }
        for (person, before) in world.people.iter().zip(before) {
            let after = seen(&person.events);
            assert_eq!(after.len(), 2);
            for ((continues, epoch, polite), before) in after.into_iter().zip(before) {
                assert!(continues.is_some_and(|of| of > before.1 && of < epoch));
                assert_eq!(polite, before.2);
            }
        }
    }

    #[test]
    fn what_belongs_to_a_meeting_is_said_again_as_long_as_it_goes_on() {
        let mut world = World::new(2);
        world.join();
        let (to, now) = (world.session(1), world.instant());
        let (_, epoch, _) = seen(&world.people[0].events)[0];
        world.cut(1);
        let say = |epoch| Request::Say {
            room: ROOM.into(),
            to,
            kind: Kind::Offer,
            epoch: Some(epoch),
            body: Body::new(&epoch).expect("JSON"),
        };
        for epoch in [epoch, epoch + 1_000] {
            let asked = world.people[0].session.ask(say(epoch), now);
            asked.expect("room");
        }
        for _ in 0..2 {
            world.restart();
            for _ in 0..100 {
                world.wait(Duration::from_millis(100));
            }
            let now = world.instant();
            let asked = world.people[0].session.ask(say(epoch), now);
            asked.expect("room");
        }
        assert_eq!(said(&world.people[1].events), [epoch, epoch]);
    }
}
