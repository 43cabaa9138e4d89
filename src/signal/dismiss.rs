//! The end of this server: its clients are sent away, to come back or to another server.

use std::collections::BTreeMap;
use std::time::Duration;

use super::drain::Drain;
use super::restore::Claim;
use super::ticket::Ticket;
use super::timer::Timer;
use super::{Close, ConnectionId, Hub, Message, Resume, RoomName, SessionId};
use crate::time::Now;

/// Those who go elsewhere together get there within so much of each other.
const TOGETHER: Duration = Duration::from_millis(500);

impl Hub {
    /// Sends every client away, and lets nobody in from now on. Where they come back, each is told
    /// at once to do so after a time of its own. Where they go elsewhere, it is the turn of one
    /// room after the other, and this hub goes on until all have gone.
    pub fn handle_drain(&mut self, drain: Drain, now: Now) {
        let goes_on = drain.elsewhere.is_some();
        let within = milliseconds(drain.within);
        self.drain = Some(drain);
        let mut turns = BTreeMap::new();
        let connections: Vec<_> = self.connections.keys().copied().collect();
        for connection in connections {
            if goes_on {
                let turn = self.turn_of(connection, within, &mut turns);
                self.deadlines
                    .set(Timer::Dismissal(connection), now.instant + turn);
            } else {
                self.dismiss(connection, now);
            }
        }
        self.lost.clear();
    }

    /// When a client is to go: with the others in its first room, or at a time of its own.
    fn turn_of(
        &mut self,
        connection: ConnectionId,
        within: u64,
        turns: &mut BTreeMap<RoomName, Duration>,
    ) -> Duration {
        let carried = self.connections.get(&connection);
        let session = carried.and_then(|known| self.sessions.get(&known.session?));
        let room = session.and_then(|session| session.rooms.first()).cloned();
        let mut draw = || Duration::from_millis(self.random.up_to(within));
        match room {
            Some(room) => *turns.entry(room).or_insert_with(draw),
            None => draw(),
        }
    }

    /// Sends a client away.
    pub(super) fn dismiss(&mut self, connection: ConnectionId, now: Now) {
        let carried = self.connections.get(&connection);
        let session = carried.and_then(|known| known.session);
        self.send_away(connection, session, now);
    }

    /// A client has come that is to be elsewhere. It is told nothing of its session: what was not
    /// confirmed is said again there.
    pub(super) fn send_on(&mut self, connection: ConnectionId, resume: Option<&Resume>, now: Now) {
        let bearer = self.shown_on(connection).map(|grant| &**grant.subject());
        let claim = resume.map(|resume| self.claim(resume, bearer, now));
        let session = match claim {
            Some(Claim::Living(session)) => Some(session),
            _ => None,
        };
        self.send_away(connection, session, now);
    }

    fn send_away(&mut self, connection: ConnectionId, session: Option<SessionId>, now: Now) {
        let Some(drain) = self.drain.clone() else {
            return;
        };
        let most = match drain.elsewhere {
            Some(_) => drain.within.min(TOGETHER),
            None => drain.within,
        };
        let reconnect_in = Duration::from_millis(self.random.up_to(milliseconds(most)));
        if let Some(session) = session {
            self.hand_over(connection, session, reconnect_in, now);
        }
        let goaway = Message::Goaway {
            reconnect_in,
            elsewhere: drain.elsewhere,
        };
        self.tell(connection, goaway);
        self.close_with(connection, Close::GoingAway, Some(reconnect_in), now);
    }

    /// Gives a session the ticket by which the next server takes it, though it began long ago.
    fn hand_over(&mut self, connection: ConnectionId, id: SessionId, away: Duration, now: Now) {
        let Some(session) = self.sessions.get(&id) else {
            return;
        };
        let until = now.unix + away + self.config.resume_window;
        let ticket = Ticket {
            session: id,
            number: session.issued.newest(),
            expires: until.as_secs() + 1,
            is_handed_over: true,
        };
        let token = self.tickets.write(&ticket, session.bearer());
        self.tell(connection, Message::Token(token));
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::super::testing::{Client, World, offer};
    use super::super::{Access, Config, Meeting, Offset, Request, Resumed};
    use super::*;
    use crate::auth::Secret;

    const GREEN: &str = "https://green.example.org";

    fn config() -> Config {
        Config {
            ticket_keys: vec![Secret::new("north")],
            ..Config::default()
        }
    }

    fn elsewhere(seconds: u64) -> Drain {
        Drain {
            within: Duration::from_secs(seconds),
            elsewhere: Some(GREEN.into()),
        }
    }

    fn back(seconds: u64) -> Drain {
        Drain {
            within: Duration::from_secs(seconds),
            elsewhere: None,
        }
    }

    /// A world whose hub has begun at a time of its own.
    fn world() -> World {
        let mut world = World::new(Config::default());
        world.now = world.now.after(Duration::from_secs(1_000));
        world.restart(config());
        world
    }

    /// A hub that began so many seconds before now takes the place of the present one.
    fn move_to_one_of(world: &mut World, seconds: u64) {
        let started = world.now.unix - Duration::from_secs(seconds);
        world.restart(config());
        world.hub = Hub::new(
            Config {
                started,
                ..config()
            },
            [5; 32],
        );
    }

    /// What a client is told last: its new ticket, when to go and where to.
    fn farewell(world: &mut World, client: &Client) -> (Client, Duration, Option<Arc<str>>) {
        let got = world.got(client.connection);
        let [.., token, goaway] = &got[..] else {
            panic!("no farewell: {got:?}");
        };
        let (
            Message::Token(token),
            Message::Goaway {
                reconnect_in,
                elsewhere,
            },
        ) = (&**token, &**goaway)
        else {
            panic!("no farewell: {got:?}");
        };
        let client = Client {
            token: token.clone(),
            ..client.clone()
        };
        (client, *reconnect_in, elsewhere.clone())
    }

    #[test]
    fn a_drain_spreads_the_return_of_the_clients() {
        let mut world = World::new(Config::default());
        let clients: Vec<_> = (0..50).map(|_| world.member("blue")).collect();
        world.hub.handle_drain(back(10), world.now);
        world.collect();
        let returns: BTreeSet<_> = clients
            .iter()
            .map(|client| farewell(&mut world, client).1)
            .collect();
        assert!(returns.len() > 40, "{returns:?}");
        let pauses: BTreeSet<_> = world.pauses.iter().copied().collect();
        assert_eq!(pauses, returns, "the close says the same");
        assert!(returns.iter().all(|time| *time <= Duration::from_secs(10)));
        assert_eq!(world.closed.len(), 50);
        assert_eq!(world.hub.connections(), 0);
    }

    #[test]
    fn one_room_after_the_other_is_sent_elsewhere_and_its_members_together() {
        let mut world = World::new(Config::default());
        let rooms: Vec<Vec<_>> = (0..40)
            .map(|room| {
                (0..3)
                    .map(|_| world.member(&format!("room-{room}")))
                    .collect()
            })
            .collect();
        world.hub.handle_drain(elsewhere(20), world.now);
        let mut gone_at = BTreeSet::new();
        for second in 0..=20 {
            world.wait(Duration::from_secs(u64::from(second > 0)));
            for room in &rooms {
                let gone = |client: &&Client| world.closed.contains_key(&client.connection);
                let gone = room.iter().filter(gone).count();
                assert!(gone == 0 || gone == 3, "{gone} of a room have gone");
                if gone == 3 {
                    gone_at.insert((room[0].session, second));
                }
            }
        }
        let halfway = gone_at.iter().filter(|(_, second)| *second == 10).count();
        assert!(
            (8..=32).contains(&halfway),
            "{halfway} of 40 rooms after half the time"
        );
        assert_eq!(world.hub.connections(), 0);
        for client in rooms.iter().flatten() {
            let (_, after, to) = farewell(&mut world, client);
            assert!(after <= TOGETHER);
            assert_eq!(to.as_deref(), Some(GREEN));
        }
    }

    #[test]
    fn a_session_that_is_sent_away_is_taken_by_a_server_that_began_long_before() {
        for drain in [elsewhere(0), back(50)] {
            let mut world = world();
            let ada = world.member("blue");
            world.say(ada.connection, super::super::Command::Ping);
            world.hub.handle_drain(drain, world.now);
            world.wait(Duration::ZERO);
            let (moved, after, _) = farewell(&mut world, &ada);
            move_to_one_of(&mut world, 900);
            world.wait(after);
            assert_eq!(
                world.resume(&ada, 0).resumed,
                Resumed::None,
                "not by any ticket"
            );
            let there = world.resume(&moved, 0);
            assert_eq!(
                (there.resumed, there.session),
                (Resumed::Restored, ada.session)
            );
            world.say(there.connection, super::super::Command::Ping);
            assert_eq!(world.resume(&moved, 0).resumed, Resumed::None, "once");
        }
    }

    #[test]
    fn one_that_began_after_the_server_before_takes_it_like_one_that_began_earlier() {
        let mut world = world();
        let ada = world.client();
        world.hub.handle_drain(elsewhere(0), world.now);
        world.wait(Duration::ZERO);
        let (moved, ..) = farewell(&mut world, &ada);
        // It counts from a number below that of the ticket.
        world.now = world.now.after(Duration::from_secs(30));
        move_to_one_of(&mut world, 500);
        let there = world.resume(&moved, 0);
        assert_eq!(there.resumed, Resumed::Restored);
        world.say(there.connection, super::super::Command::Ping);
        assert_eq!(world.resume(&there, 0).resumed, Resumed::Full);
    }

    #[test]
    fn who_does_not_get_there_within_the_window_is_nobody() {
        let mut world = world();
        let ada = world.client();
        world.hub.handle_drain(elsewhere(0), world.now);
        world.wait(Duration::ZERO);
        let (moved, ..) = farewell(&mut world, &ada);
        move_to_one_of(&mut world, 900);
        world.wait(Duration::from_secs(62));
        assert_eq!(world.resume(&moved, 0).resumed, Resumed::None);
    }

    #[test]
    fn who_comes_during_the_drain_is_sent_on_and_who_lives_there_gets_a_ticket() {
        let mut world = world();
        let (ada, grace) = (world.member("blue"), world.member("blue"));
        world.input(ada.connection, super::super::Input::Closed);
        world.hub.handle_drain(elsewhere(60), world.now);
        let resume = |client: &Client| {
            Resume::new(
                &client.session.to_string(),
                client.token.expose(),
                Offset(0),
            )
        };
        let connection = world.say_hello(Access::Nothing, Some(resume(&ada)));
        assert_eq!(world.closed[&connection], Close::GoingAway);
        let again = Client {
            connection,
            ..ada.clone()
        };
        let (moved, ..) = farewell(&mut world, &again);
        let stranger = world.say_hello(Access::Nothing, None);
        assert_eq!(world.got(stranger).len(), 1, "the goaway alone");
        assert_eq!(world.closed[&stranger], Close::GoingAway);
        let thief = Client {
            session: ada.session,
            ..grace
        };
        let thief = world.say_hello(Access::Nothing, Some(resume(&thief)));
        assert_eq!(world.got(thief).len(), 1, "the goaway alone");
        move_to_one_of(&mut world, 900);
        assert_eq!(world.resume(&moved, 0).resumed, Resumed::Restored);
    }

    #[test]
    fn meetings_go_on_there_until_one_side_has_given_the_other_up() {
        for (late, goes_on) in [(70, true), (80, false)] {
            let mut world = world();
            let (ada, grace) = (world.member("blue"), world.member("blue"));
            let epoch = world.epoch(&ada);
            world.hub.handle_drain(elsewhere(0), world.now);
            world.wait(Duration::ZERO);
            let (ada, ..) = farewell(&mut world, &ada);
            let (grace, ..) = farewell(&mut world, &grace);
            move_to_one_of(&mut world, 900);
            let ada = world.resume(&ada, 0);
            world.ask(&ada, join_with(&grace, epoch, false));
            world.wait(Duration::from_secs(20));
            let grace = world.resume(&grace, 0);
            for client in [&ada, &grace] {
                world.say(client.connection, super::super::Command::Ping);
            }
            for _ in 20..late {
                world.wait(Duration::from_secs(1));
                world.input(ada.connection, super::super::Input::Alive);
                world.input(grace.connection, super::super::Input::Alive);
                world.say(ada.connection, super::super::Command::Ack(Offset(1)));
            }
            world.ask(&grace, join_with(&ada, epoch, true));
            let got = world.got(grace.connection);
            let continues = got.iter().find_map(|message| match &**message {
                Message::Joined { room, .. } => Some(room.members[0].continues),
                _ => None,
            });
            let expected = goes_on.then_some(epoch);
            assert_eq!(continues, Some(expected), "after {late} seconds");
            let present = world.epoch(&ada);
            world.ask(&grace, offer("blue", &ada, present));
            assert_eq!(world.error(&grace), None);
        }
    }

    fn join_with(with: &Client, epoch: u64, polite: bool) -> Request {
        Request::Join {
            room: "blue".into(),
            name: None,
            data: None,
            knock: false,
            meetings: vec![Meeting {
                session: with.session,
                epoch,
                polite,
            }],
        }
    }
}
