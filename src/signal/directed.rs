//! Offers, answers and candidates: from one member of a room to one other.

use std::sync::Arc;

use super::{Delivery, Directed, Hub, Message, Permissions, Reject, SessionId};
use crate::time::Now;

impl Hub {
    pub(super) fn direct(
        &mut self,
        from: SessionId,
        id: u64,
        directed: Directed,
        now: Now,
    ) -> Result<(), Reject> {
        let room = self.room_of(from, &directed.room)?;
        self.check_may(from, &room, Permissions::SPEAK)?;
        let to = directed.to.filter(|&to| to != from);
        let to = to.ok_or(Reject::NoSuchMember)?;
        let (_, members) = self.rooms.get(&room).ok_or(Reject::NotInRoom)?;
        let epoch = members.epoch(from, to).ok_or(Reject::NoSuchMember)?;
        if epoch != directed.epoch {
            return Err(Reject::StaleEpoch);
        }
        let is_awaited = directed.kind.is_awaited();
        let message = Arc::new(Message::Delivery(Delivery {
            id,
            number: directed.number.unwrap_or(id),
            kind: directed.kind,
            room,
            from,
            epoch,
            body: directed.body,
        }));
        // Nothing that somebody said is forgotten to make room for this: the sender is told.
        if !self.make_room(to, &message, now) {
            return Err(Reject::AddresseeOverloaded);
        }
        self.announce_addresses(&message);
        self.post_shared(to, message, now);
        if is_awaited {
            self.hasten(from, now);
            self.hasten(to, now);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{World, offer};
    use super::super::{Close, Config, Input, Message, Reject, Resumed};

    fn small() -> Config {
        Config {
            mailbox_messages: 4,
            ..Config::default()
        }
    }

    #[test]
    fn a_message_goes_to_its_addressee_alone_and_is_stamped_with_its_sender() {
        let mut world = World::new(Config::default());
        let members = ["blue"; 3].map(|room| world.member(room));
        for member in &members {
            world.got(member.connection);
        }
        let [ada, grace, alan] = members;
        world.ask(&ada, offer("blue", &grace, 2));
        assert!(world.got(alan.connection).is_empty());
        assert!(world.got(ada.connection).is_empty());
        let Message::Delivery(delivery) = &*world.got(grace.connection)[0] else {
            panic!("no offer");
        };
        assert_eq!(delivery.from, ada.session);
    }

    #[test]
    fn members_of_different_rooms_do_not_reach_each_other() {
        let mut world = World::new(Config::default());
        let (ada, grace) = (world.member("blue"), world.member("green"));
        world.ask(&ada, offer("blue", &grace, 1));
        assert_eq!(world.error(&ada), Some(Reject::NoSuchMember));
        world.ask(&ada, offer("green", &grace, 1));
        assert_eq!(world.error(&ada), Some(Reject::NotInRoom));
    }

    #[test]
    fn a_slow_addressee_is_suspended_and_loses_nothing_that_was_accepted() {
        let mut world = World::new(small());
        let (ada, grace) = (world.member("blue"), world.member("blue"));
        for _ in 0..4 {
            world.ask(&ada, offer("blue", &grace, 2));
            assert_eq!(world.error(&ada), None);
        }
        // What the server has said itself made room for the last.
        assert_eq!(world.closed[&grace.connection], Close::TooSlow);
        world.ask(&ada, offer("blue", &grace, 2));
        assert_eq!(world.error(&ada), Some(Reject::AddresseeOverloaded));
        let grace = world.resume(&grace, 1);
        assert_eq!(grace.resumed, Resumed::Snapshot);
        let got = world.got(grace.connection);
        let offers = got
            .iter()
            .filter(|it| matches!(***it, Message::Delivery(_)));
        assert_eq!(offers.count(), 4);
    }

    #[test]
    fn presence_is_forgotten_from_a_full_mailbox_and_the_client_is_told_so() {
        let mut world = World::new(small());
        let ada = world.member("blue");
        world.input(ada.connection, Input::Closed);
        for _ in 0..6 {
            world.member("blue");
        }
        assert_eq!(world.resume(&ada, 1).resumed, Resumed::Snapshot);
    }
}
