//! What a member says to all others of its room at once, and what becomes of it.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::message::BroadcastReceipt;
use super::unsettled::Pending;
use super::{Broadcast, ForAll, Hub, Loss, Message, Permissions, Reject, SessionId};
use crate::time::Now;

impl Hub {
    /// Says something to all other members of the room.
    pub(super) fn say_to_all(
        &mut self,
        from: SessionId,
        id: u64,
        said: ForAll,
        now: Now,
    ) -> Result<(), Reject> {
        let ForAll { number, body, .. } = said;
        let room = self.room_of(from, &said.room)?;
        self.check_broadcast(from, &room, &body)?;
        let addressees = self.all_but(&room, from);
        let message = Arc::new(Message::Broadcast(Broadcast {
            id,
            number: number.unwrap_or(id),
            room: Arc::clone(&room),
            from,
            body,
        }));
        let receipt = BroadcastReceipt {
            re: id,
            room,
            delivered: 0,
            undeliverable: Vec::new(),
        };
        let mut pending = Pending::new(receipt);
        for to in addressees {
            // Nothing that somebody said is forgotten to make room for this: the sender is told.
            if self.make_room(to, &message, now) {
                self.post_shared(to, Arc::clone(&message), now);
                pending.wait();
            } else {
                pending.lose(to, Loss::Overloaded);
            }
        }
        self.await_receipts(from, pending, now);
        Ok(())
    }

    fn check_broadcast(&self, from: SessionId, room: &str, body: &RawValue) -> Result<(), Reject> {
        self.check_may(from, room, Permissions::BROADCAST)?;
        if body.get().len() > self.config.broadcast_bytes {
            return Err(Reject::BodyTooLarge);
        }
        // Receipts that nobody acknowledges are kept as well, so they count.
        let session = self.sessions.get(&from);
        let unsettled = session.map_or(0, |it| it.broadcasts.len() + it.mailbox.receipts());
        if unsettled >= self.config.broadcasts {
            return Err(Reject::TooManyBroadcasts);
        }
        Ok(())
    }

    fn await_receipts(&mut self, from: SessionId, pending: Pending, now: Now) {
        let Some(session) = self.sessions.get_mut(&from) else {
            return;
        };
        if let Some(receipt) = session.broadcasts.add(pending) {
            self.post(from, Message::BroadcastDelivered(receipt), now);
        }
    }

    /// One addressee of a broadcast has got it, or never will; the sender is told when all are
    /// accounted for.
    pub(super) fn settle_broadcast(
        &mut self,
        (from, id): (SessionId, u64),
        lost: Option<(SessionId, Loss)>,
        now: Now,
    ) {
        let sender = self.sessions.get_mut(&from);
        if let Some(receipt) = sender.and_then(|it| it.broadcasts.settle(id, lost)) {
            self.post(from, Message::BroadcastDelivered(receipt), now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Client, World, broadcast, leave, offer};
    use super::super::{Command, Config, Input, Offset, Reason};
    use super::*;

    type Receipt = (u64, usize, Vec<(SessionId, Loss)>);

    fn receipts(world: &mut World, client: &Client) -> Vec<Receipt> {
        let got = world.got(client.connection);
        let receipts = got.iter().filter_map(|message| match &**message {
            Message::BroadcastDelivered(it) => {
                Some((it.re, it.delivered, it.undeliverable.clone()))
            }
            _ => None,
        });
        receipts.collect()
    }

    /// The broadcasts and directed messages that a client has got: from whom, and their ids.
    fn said(world: &mut World, client: &Client) -> Vec<(SessionId, u64)> {
        let got = world.got(client.connection);
        let said = got.iter().filter_map(|message| match &**message {
            Message::Broadcast(it) => Some((it.from, it.id)),
            Message::Delivery(it) => Some((it.from, it.id)),
            _ => None,
        });
        said.collect()
    }

    #[test]
    fn all_others_of_the_room_get_it_and_its_sender_one_receipt() {
        let mut world = World::new(Config::default());
        let [ada, grace, alan] = ["blue"; 3].map(|room| world.member(room));
        let edsger = world.member("green");
        world.ask(&ada, broadcast("blue"));
        let id = world.last_request();
        for (client, expected) in [(&grace, 1), (&alan, 1), (&edsger, 0), (&ada, 0)] {
            assert_eq!(said(&mut world, client), [(ada.session, id)][..expected]);
        }
        world.say(grace.connection, Command::Ack(Offset(9)));
        assert_eq!(receipts(&mut world, &ada), []);
        world.say(alan.connection, Command::Ack(Offset(9)));
        assert_eq!(receipts(&mut world, &ada), [(id, 2, Vec::new())]);
        world.say(alan.connection, Command::Ack(Offset(9)));
        assert_eq!(receipts(&mut world, &ada), []);
    }

    #[test]
    fn who_is_alone_is_told_at_once_that_nobody_was_there() {
        let mut world = World::new(Config::default());
        let ada = world.member("blue");
        world.ask(&ada, broadcast("blue"));
        let id = world.last_request();
        assert_eq!(receipts(&mut world, &ada), [(id, 0, Vec::new())]);
    }

    #[test]
    fn what_one_says_to_all_and_to_one_comes_in_the_order_in_which_it_was_said() {
        let mut world = World::new(Config::default());
        let [ada, grace] = ["blue"; 2].map(|room| world.member(room));
        world.input(grace.connection, Input::Closed);
        world.ask(&ada, broadcast("blue"));
        world.ask(&ada, offer("blue", &grace, 2));
        world.ask(&ada, broadcast("blue"));
        let last = world.last_request();
        let grace = world.resume(&grace, 1);
        let ids: Vec<_> = said(&mut world, &grace).iter().map(|it| it.1).collect();
        assert_eq!(ids, [last - 2, last - 1, last]);
    }

    #[test]
    fn who_does_not_come_back_is_named_in_the_receipt() {
        let mut world = World::new(Config::default());
        let [ada, grace, alan] = ["blue"; 3].map(|room| world.member(room));
        world.ask(&ada, broadcast("blue"));
        let id = world.last_request();
        world.ask(&grace, leave("blue"));
        world.say(grace.connection, Command::Ack(Offset(9)));
        world.say(alan.connection, Command::Bye);
        let lost = vec![(alan.session, Loss::Ended(Reason::Bye))];
        assert_eq!(receipts(&mut world, &ada), [(id, 1, lost)]);
    }

    #[test]
    fn a_full_mailbox_is_told_in_the_receipt_and_keeps_what_it_has() {
        let config = Config {
            mailbox_messages: 4,
            ..Config::default()
        };
        let mut world = World::new(config);
        let [ada, grace] = ["blue"; 2].map(|room| world.member(room));
        world.input(grace.connection, Input::Closed);
        for _ in 0..5 {
            world.say(ada.connection, Command::Ack(Offset(99)));
            world.ask(&ada, broadcast("blue"));
        }
        let last = world.last_request();
        let lost = vec![(grace.session, Loss::Overloaded)];
        assert_eq!(receipts(&mut world, &ada), [(last, 0, lost)]);
        let grace = world.resume(&grace, 1);
        let ids: Vec<_> = said(&mut world, &grace).iter().map(|it| it.1).collect();
        assert_eq!(ids, [last - 4, last - 3, last - 2, last - 1]);
    }

    #[test]
    fn broadcasts_that_wait_are_bounded_in_number_and_in_length() {
        let config = Config {
            broadcasts: 2,
            broadcast_bytes: 1,
            ..Config::default()
        };
        let mut world = World::new(config);
        let [ada, grace] = ["blue"; 2].map(|room| world.member(room));
        for _ in 0..2 {
            world.ask(&ada, broadcast("blue"));
            assert_eq!(world.error(&ada), None);
        }
        world.ask(&ada, broadcast("blue"));
        assert_eq!(world.error(&ada), Some(Reject::TooManyBroadcasts));
        // Receipts that are not acknowledged are kept, and count as well.
        world.say(grace.connection, Command::Ack(Offset(99)));
        world.ask(&ada, broadcast("blue"));
        assert_eq!(world.error(&ada), Some(Reject::TooManyBroadcasts));
        world.say(ada.connection, Command::Ack(Offset(99)));
        world.ask(&ada, broadcast("blue"));
        assert_eq!(world.error(&ada), None);
        let mut long = broadcast("blue");
        if let super::super::Request::Broadcast(said) = &mut long {
            said.body = RawValue::from_string("12".to_owned()).expect("JSON");
        }
        world.ask(&ada, long);
        assert_eq!(world.error(&ada), Some(Reject::BodyTooLarge));
    }
}
