//! Refusals that are said again, since the client may not have got them.

use super::refusals::Refusal;
use super::{ConnectionId, Hub, Message, Rejection, SessionId};

impl Hub {
    /// Keeps a refusal until something that was said after it is acknowledged.
    pub(super) fn note_refusal(&mut self, connection: ConnectionId, rejection: &Rejection) {
        let session = self.connections.get(&connection).and_then(|it| it.session);
        let session = session.and_then(|id| self.sessions.get_mut(&id));
        if let (Some(session), Some(re)) = (session, rejection.re) {
            session.refusals.note(Refusal {
                re,
                reject: rejection.reject,
                after: session.mailbox.last(),
            });
        }
    }

    /// Says again what may have been lost with the connection before this one. What is behind all
    /// that was applied the client asks for again, and it is answered anew.
    pub(super) fn refuse_again(&mut self, id: SessionId, connection: ConnectionId) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let applied = session.applied;
        let again = session.refusals.before(applied);
        for Refusal { re, reject, .. } in again {
            self.tell(connection, Message::Error(Rejection::new(Some(re), reject)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::refusals::MOST;
    use super::super::testing::{Client, World, leave, offer};
    use super::super::{Command, Config, Input, Offset, Reject};
    use super::*;

    /// The ids of the requests that a client is told to be refused.
    fn refused(world: &mut World, client: &Client) -> Vec<u64> {
        let got = world.got(client.connection);
        let refused = got.iter().filter_map(|message| match &**message {
            Message::Error(rejection) => rejection.re,
            _ => None,
        });
        refused.collect()
    }

    #[test]
    fn a_refusal_that_is_lost_with_its_connection_comes_again_before_all_that_follows() {
        let mut world = World::new(Config::default());
        let (ada, grace) = (world.member("blue"), world.member("blue"));
        world.ask(&ada, offer("blue", &grace, 99));
        let lost = world.last_request();
        world.ask(&ada, offer("blue", &grace, 2));
        world.say(grace.connection, Command::Ack(Offset(2)));
        world.input(ada.connection, Input::Closed);
        let ada = world.resume(&ada, 2);
        let got = world.got(ada.connection);
        assert!(
            matches!(
                got.iter().map(|it| &**it).collect::<Vec<_>>()[..],
                [Message::Welcome(_), Message::Error(it), Message::Delivered { .. }]
                    if it.re == Some(lost) && it.reject == Reject::StaleEpoch
            ),
            "{got:?}"
        );
        // What follows a refusal proves that it has arrived.
        world.input(ada.connection, Input::Closed);
        let ada = world.resume(&ada, 3);
        assert!(refused(&mut world, &ada).is_empty());
    }

    #[test]
    fn what_the_client_will_ask_for_again_is_not_refused_twice() {
        let mut world = World::new(Config::default());
        let ada = world.member("blue");
        world.ask(&ada, leave("green"));
        world.input(ada.connection, Input::Closed);
        let ada = world.resume(&ada, 1);
        assert!(refused(&mut world, &ada).is_empty());
    }

    #[test]
    fn no_more_are_kept_than_may_be() {
        let config = Config {
            message_burst: 10_000,
            ..Config::default()
        };
        let mut world = World::new(config);
        let ada = world.member("blue");
        for _ in 0..1_000 {
            world.ask(&ada, leave("green"));
        }
        world.ask(&ada, leave("blue"));
        world.input(ada.connection, Input::Closed);
        let ada = world.resume(&ada, 1);
        assert_eq!(refused(&mut world, &ada).len(), MOST);
    }
}
