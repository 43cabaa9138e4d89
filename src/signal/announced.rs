//! The relay is told who is in which room, and what is announced there.

use super::announcement::{Announcement, addresses_in};
use super::{Hub, Message, RoomName, SessionId};

impl Hub {
    /// What the relay should be told next. Whoever wants to know
    /// ([`Config::announces`](super::Config::announces)) tells it before anything of
    /// [`Hub::poll_event`] is sent: who is told of an address asks the relay for it at once.
    #[must_use]
    pub fn poll_announcement(&mut self) -> Option<Announcement> {
        self.announcements.pop_front()
    }

    pub(super) fn announce_entry(&mut self, session: SessionId, room: &RoomName) {
        if self.config.announces {
            let room = RoomName::clone(room);
            let entered = Announcement::Entered { session, room };
            self.announcements.push_back(entered);
        }
    }

    pub(super) fn announce_leave(&mut self, session: SessionId, room: &RoomName) {
        if self.config.announces {
            let room = RoomName::clone(room);
            self.announcements
                .push_back(Announcement::Left { session, room });
        }
    }

    /// The candidates of a message that is about to be delivered.
    pub(super) fn announce_addresses(&mut self, message: &Message) {
        let Message::Delivery(delivery) = message else {
            return;
        };
        if !self.config.announces {
            return;
        }
        let addresses = addresses_in(delivery.body.get());
        if !addresses.is_empty() {
            self.announcements.push_back(Announcement::Addresses {
                session: delivery.from,
                room: RoomName::clone(&delivery.room),
                addresses,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::announcement::tests::{addresses, candidate};
    use super::super::testing::{World, leave};
    use super::super::{Config, Directed, Input, Kind, Request};
    use super::*;

    fn announcing() -> World {
        World::new(Config {
            announces: true,
            ..Config::default()
        })
    }

    fn told(world: &mut World) -> Vec<Announcement> {
        std::iter::from_fn(|| world.hub.poll_announcement()).collect()
    }

    fn say(kind: Kind, body: &str, to: SessionId) -> Request {
        let body = json!(body).to_string();
        Request::Directed(Directed {
            kind,
            room: "blue".into(),
            to: Some(to),
            epoch: 2,
            number: None,
            body: serde_json::value::RawValue::from_string(body).expect("JSON"),
        })
    }

    #[test]
    fn members_and_what_they_announce_are_told_until_they_leave() {
        let mut world = announcing();
        let room = RoomName::from("blue");
        let (ada, grace) = (world.member("blue"), world.member("blue"));
        let entered = |session| Announcement::Entered {
            session,
            room: RoomName::clone(&room),
        };
        let left = |session| Announcement::Left {
            session,
            room: RoomName::clone(&room),
        };
        assert_eq!(
            told(&mut world),
            [entered(ada.session), entered(grace.session)]
        );
        for kind in [Kind::Offer, Kind::Answer, Kind::Candidate] {
            world.ask(&ada, say(kind, &candidate("192.0.2.1"), grace.session));
            let announced = Announcement::Addresses {
                session: ada.session,
                room: RoomName::clone(&room),
                addresses: addresses(&["192.0.2.1"]),
            };
            assert_eq!(told(&mut world), [announced]);
        }
        world.ask(&ada, leave("blue"));
        assert_eq!(told(&mut world), [left(ada.session)]);
        world.input(grace.connection, Input::Closed);
        assert_eq!(told(&mut world), [], "it may come back");
        world.wait(Config::default().resume_window);
        assert_eq!(told(&mut world), [left(grace.session)]);
    }

    #[test]
    fn what_is_not_delivered_is_not_announced() {
        let mut world = announcing();
        let (ada, grace) = (world.member("blue"), world.member("green"));
        told(&mut world);
        world.ask(
            &ada,
            say(Kind::Candidate, &candidate("192.0.2.1"), grace.session),
        );
        assert_eq!(told(&mut world), []);
    }

    #[test]
    fn nothing_is_kept_for_whom_nobody_asks() {
        let mut world = World::new(Config::default());
        let (ada, grace) = (world.member("blue"), world.member("blue"));
        world.ask(
            &ada,
            say(Kind::Offer, &candidate("192.0.2.1"), grace.session),
        );
        assert_eq!(told(&mut world), []);
        let got = world.got(grace.connection);
        assert!(got.iter().any(|it| matches!(**it, Message::Delivery(_))));
    }
}
