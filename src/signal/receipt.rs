//! What becomes of what members say to each other: it arrives, or it never will.

use std::sync::Arc;

use super::{Hub, Loss, Message, Offset, Reason, SessionId};
use crate::time::Now;

/// Who has said some messages.
#[derive(Default)]
struct Said {
    /// The senders of directed messages, and the id of each one's last. Few people talk to one at
    /// a time, so a list does.
    directed: Vec<(SessionId, u64)>,
    /// The senders of broadcasts, each with the broadcast's id.
    broadcasts: Vec<(SessionId, u64)>,
}

impl Said {
    fn note(&mut self, message: &Message) {
        match message {
            Message::Delivery(delivery) => self.note_directed(delivery.from, delivery.id),
            Message::Broadcast(broadcast) => self.broadcasts.push((broadcast.from, broadcast.id)),
            _ => {}
        }
    }

    fn note_directed(&mut self, sender: SessionId, id: u64) {
        match self.directed.iter_mut().find(|(from, _)| *from == sender) {
            Some((_, last)) => *last = id,
            None => self.directed.push((sender, id)),
        }
    }
}

impl Hub {
    /// The client of `session` has got everything up to and including `seen`. Those who have said
    /// some of it are told so.
    pub(super) fn acknowledge(&mut self, session: SessionId, seen: Offset, now: Now) {
        let Some(known) = self.sessions.get_mut(&session) else {
            return;
        };
        known.refusals.acknowledge(seen);
        let mut said = Said::default();
        known
            .mailbox
            .acknowledge(seen, now, |message| said.note(message));
        for (sender, through) in said.directed {
            let to = session;
            self.post(sender, Message::Delivered { to, through }, now);
        }
        for broadcast in said.broadcasts {
            self.settle_broadcast(broadcast, None, now);
        }
    }

    /// `session` is over, and with it what it has not got: those who have said it are told.
    pub(super) fn give_up<'a>(
        &mut self,
        session: SessionId,
        missed: impl Iterator<Item = &'a Arc<Message>>,
        reason: Reason,
        now: Now,
    ) {
        let mut said = Said::default();
        for message in missed {
            said.note(message);
        }
        for (sender, _) in said.directed {
            let to = session;
            self.post(sender, Message::Undeliverable { to, reason }, now);
        }
        for broadcast in said.broadcasts {
            let lost = Some((session, Loss::Ended(reason)));
            self.settle_broadcast(broadcast, lost, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::testing::{Client, World, leave, offer};
    use super::super::{Command, Config, Input};
    use super::*;

    /// What a client was told of what it has said: up to which id it was delivered, or why not.
    fn receipts(world: &mut World, client: &Client) -> Vec<Result<u64, Reason>> {
        let got = world.got(client.connection);
        let receipts = got.iter().filter_map(|message| match **message {
            Message::Delivered { through, .. } => Some(Ok(through)),
            Message::Undeliverable { reason, .. } => Some(Err(reason)),
            _ => None,
        });
        receipts.collect()
    }

    /// Three members, and the ids of three messages from the first to the second.
    fn three_messages(world: &mut World) -> ([Client; 3], u64) {
        let members = ["blue"; 3].map(|room| world.member(room));
        for _ in 0..3 {
            world.ask(&members[0], offer("blue", &members[1], 2));
        }
        let last = world.last_request();
        (members, last)
    }

    #[test]
    fn who_says_something_is_told_how_far_it_has_arrived() {
        let mut world = World::new(Config::default());
        let ([ada, grace, alan], last) = three_messages(&mut world);
        assert_eq!(receipts(&mut world, &ada), []);
        // `joined` and the presence of alan came before the three.
        world.say(grace.connection, Command::Ack(Offset(4)));
        assert_eq!(receipts(&mut world, &ada), [Ok(last - 1)]);
        world.say(grace.connection, Command::Ack(Offset(4)));
        assert_eq!(receipts(&mut world, &ada), []);
        world.say(grace.connection, Command::Ack(Offset(5)));
        assert_eq!(receipts(&mut world, &ada), [Ok(last)]);
        assert_eq!(receipts(&mut world, &alan), []);
    }

    #[test]
    fn what_is_taken_in_before_a_resume_counts_as_well() {
        let mut world = World::new(Config::default());
        let ([ada, grace, _], last) = three_messages(&mut world);
        world.input(grace.connection, Input::Closed);
        world.resume(&grace, 5);
        assert_eq!(receipts(&mut world, &ada), [Ok(last)]);
    }

    #[test]
    fn what_can_arrive_no_more_is_told_to_those_who_said_it() {
        let mut world = World::new(Config::default());
        let ([ada, grace, alan], _) = three_messages(&mut world);
        world.input(grace.connection, Input::Closed);
        for _ in 0..30 {
            world.input(ada.connection, Input::Alive);
            world.input(alan.connection, Input::Alive);
            world.say(ada.connection, Command::Ack(Offset(9)));
            world.say(alan.connection, Command::Ack(Offset(9)));
            world.wait(Duration::from_secs(2));
        }
        assert_eq!(receipts(&mut world, &ada), [Err(Reason::Expired)]);
        assert_eq!(receipts(&mut world, &alan), []);
    }

    #[test]
    fn who_has_left_the_room_still_gets_what_was_said_there() {
        let mut world = World::new(Config::default());
        let ([ada, grace, _], last) = three_messages(&mut world);
        world.ask(&grace, leave("blue"));
        world.say(grace.connection, Command::Ack(Offset(5)));
        assert_eq!(receipts(&mut world, &ada), [Ok(last)]);
        world.say(grace.connection, Command::Bye);
        assert_eq!(receipts(&mut world, &ada), []);
    }
}
