//! A session, from its welcome to its end.

use super::authorize::TurnedAway;
use super::message::Welcome;
use super::restore::Claim;
use super::session::Session;
use super::state::KEY_BYTES;
use super::ticket::Ticket;
use super::timer::Timer;
use super::{
    Close, ConnectionId, Hub, Limits, MESSAGE_BYTES, Message, Offset, Reason, Reject, Request,
    Resume, Resumed, SessionId, State,
};
use crate::time::Now;

impl Hub {
    /// A connection wants a session of its own.
    pub(super) fn begin(&mut self, connection: ConnectionId, now: Now) {
        if self.has_enough(self.shown_on(connection)) {
            let why = TurnedAway::new(Reject::TooManySessions, Close::Full);
            return self.turn_away(connection, why, now);
        }
        if let Err(wait) = self.beginners.pass(now.instant) {
            return self.close_with(connection, Close::Busy, Some(wait), now);
        }
        let id = SessionId::from_random(self.random.next());
        let has_room = self.sessions.len() < self.config.sessions;
        if has_room && let Err(why) = self.redeem_shown_on(connection, id, now) {
            return self.turn_away(connection, why, now);
        }
        if self.admit(connection, id, Session::default(), now) {
            self.welcome(connection, id, Resumed::None, now);
        }
    }

    /// Takes one more session in, if there may be one more; otherwise closes its connection.
    pub(super) fn admit(
        &mut self,
        connection: ConnectionId,
        id: SessionId,
        session: Session,
        now: Now,
    ) -> bool {
        let is_full = self.sessions.len() >= self.config.sessions;
        if is_full {
            self.close(connection, Close::Full, now);
        } else {
            self.sessions.insert(id, Box::new(session));
        }
        !is_full
    }

    /// A connection wants to go on with a session.
    pub(super) fn resume(&mut self, connection: ConnectionId, resume: &Resume, now: Now) {
        let bearer = self.shown_on(connection).map(|grant| &**grant.subject());
        let claim = self.claim(resume, bearer, now);
        let session = match &claim {
            Claim::Living(session) => Some(*session),
            Claim::Former(ticket) => Some(ticket.session),
            Claim::Nothing => None,
        };
        if let Some(session) = session
            && let Err(why) = self.redeem_shown_on(connection, session, now)
        {
            return self.turn_away(connection, why, now);
        }
        match claim {
            Claim::Living(session) => self.take_over(connection, session, resume.seen, now),
            Claim::Former(ticket) => self.restore(connection, &ticket, now),
            Claim::Nothing => self.begin(connection, now),
        }
    }

    fn take_over(&mut self, connection: ConnectionId, id: SessionId, seen: Offset, now: Now) {
        let was_away = self
            .sessions
            .get(&id)
            .is_some_and(|session| session.is_away);
        self.close_carrier(id, now);
        let mailbox = self.sessions.get(&id).map(|session| &session.mailbox);
        let is_whole = mailbox.is_some_and(|mailbox| mailbox.can_resume_after(seen));
        let is_possible = mailbox.is_some_and(|mailbox| seen <= mailbox.last());
        // What was taken in before is not said again, whatever follows.
        if is_possible {
            self.acknowledge(id, seen, now);
        }
        if is_whole {
            self.welcome(connection, id, Resumed::Full, now);
        } else {
            self.replace_by_snapshot(id, now);
            self.welcome(connection, id, Resumed::Snapshot, now);
        }
        self.refuse_again(id, connection);
        self.replay(id, connection);
        self.hasten_if_awaited(id, now);
        self.await_acknowledgement(id, now);
        if was_away {
            self.announce(id, State::Joined, now);
        }
    }

    /// Closes the connection that carries `session`, if there is one, without a word to others.
    pub(super) fn close_carrier(&mut self, session: SessionId, now: Now) {
        if let Some(connection) = self.connection_of(session) {
            self.close(connection, Close::Replaced, now);
        }
    }

    pub(super) fn welcome(
        &mut self,
        connection: ConnectionId,
        id: SessionId,
        resumed: Resumed,
        now: Now,
    ) {
        self.deadlines.clear(Timer::Expiry(id));
        self.deadlines.clear(Timer::Absence(id));
        self.carry(connection, id, now);
        let ice = self.issue_ice_servers(id, now);
        let limits = self.limits(id);
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        session.connection = Some(connection);
        session.is_away = false;
        let expires = (now.unix + self.config.ticket_lifetime).as_secs();
        let number = session.issued.next(self.config.first_number(), expires);
        let ticket = Ticket {
            session: id,
            number,
            expires,
            is_handed_over: false,
        };
        let welcome = Welcome {
            session: id,
            token: self.tickets.write(&ticket, session.bearer()),
            resumed,
            resume_window: self.config.resume_window,
            applied: session.applied,
            access_expires_in: session
                .grant
                .as_ref()
                .map(|grant| grant.expires().saturating_sub(now.unix)),
            ice,
            limits,
        };
        self.tell(connection, Message::Welcome(Box::new(welcome)));
    }

    fn limits(&self, session: SessionId) -> Limits {
        Limits {
            message_bytes: MESSAGE_BYTES,
            messages_per_second: self.config.messages_per_second,
            burst: self.config.message_burst,
            room_members: self.config.room_members,
            rooms: self.rooms_at_once(session),
            data_bytes: self.config.data_bytes,
            broadcast_bytes: self.config.broadcast_bytes,
            broadcasts: self.config.broadcasts,
            state_key_bytes: KEY_BYTES,
            state_value_bytes: self.config.state_value_bytes,
            state_entries: self.config.state_entries,
            state_bytes: self.config.state_bytes,
        }
    }

    /// The session's connection is lost. Its rooms are told when it does not come back soon.
    pub(super) fn suspend(&mut self, id: SessionId, now: Now) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.connection = None;
            self.deadlines.clear(Timer::Ice(id));
            self.deadlines.clear(Timer::Grant(id));
            let deadline = now.instant + self.config.resume_window;
            self.deadlines.set(Timer::Expiry(id), deadline);
            let grace = now.instant + self.config.presence_grace;
            self.deadlines.set(Timer::Absence(id), grace);
        }
    }

    pub(super) fn tell_of_the_lost(&mut self, now: Now) {
        while let Some(id) = self.lost.pop_front() {
            let session = self.sessions.get_mut(&id);
            let gone = session.filter(|session| session.connection.is_none() && !session.is_away);
            if let Some(session) = gone {
                session.is_away = true;
                self.deadlines.clear(Timer::Absence(id));
                self.announce(id, State::Suspended, now);
            }
        }
    }

    pub(super) fn expire(&mut self, session: SessionId, now: Now) {
        self.end(session, Reason::Expired, now);
    }

    pub(super) fn bye(&mut self, connection: ConnectionId, session: SessionId, now: Now) {
        self.end(session, Reason::Bye, now);
        self.close(connection, Close::Bye, now);
    }

    /// The session is over; all its rooms are told.
    pub(super) fn end(&mut self, id: SessionId, reason: Reason, now: Now) {
        let Some(session) = self.sessions.remove(&id) else {
            return;
        };
        if let Some(grant) = &session.grant {
            self.subjects.remove(grant.subject(), id);
        }
        self.deadlines.clear(Timer::Ice(id));
        self.deadlines.clear(Timer::Grant(id));
        self.deadlines.clear(Timer::Expiry(id));
        self.deadlines.clear(Timer::Absence(id));
        self.deadlines.clear(Timer::Unheard(id));
        for room in &session.rooms {
            self.remove_member(room, id, reason, now);
        }
        for room in &session.knocks {
            self.withdraw_knock(id, room, now);
        }
        let missed = session.mailbox.kept().map(|(_, message)| message);
        self.give_up(id, missed, reason, now);
    }

    /// Does what a message asks for, unless it has been done: ids only ever rise.
    pub(super) fn apply(
        &mut self,
        id: SessionId,
        request_id: u64,
        request: Request,
        now: Now,
    ) -> Result<(), Reject> {
        let applied = self.sessions.get(&id).map_or(0, |session| session.applied);
        if request_id <= applied {
            return Ok(());
        }
        self.do_request(id, request_id, request, now)?;
        if let Some(session) = self.sessions.get_mut(&id) {
            session.applied = request_id;
        }
        Ok(())
    }

    fn do_request(
        &mut self,
        id: SessionId,
        re: u64,
        request: Request,
        now: Now,
    ) -> Result<(), Reject> {
        match request {
            Request::Authorize(access) => self.authorize(id, re, access, now),
            Request::Join {
                room,
                name,
                data,
                knock,
                meetings,
            } => self.join(id, re, (room, knock), ((name, data), meetings), now),
            Request::Update { room, name, data } => self.update(id, re, &room, (name, data), now),
            Request::Leave { room } => self.leave(id, re, &room, now),
            Request::SetRoom {
                room,
                locked,
                duplicates,
                limit,
            } => self.set_room(id, re, &room, (locked, limit, duplicates), now),
            Request::SetRole {
                room,
                session,
                role,
            } => self.set_role(id, re, &room, (session, role), now),
            Request::Remove { room, session, bar } => {
                self.remove(id, re, &room, (session, bar), now)
            }
            Request::Admit { room, session } => self.admit_knocker(id, re, &room, session, now),
            Request::Deny { room, session, bar } => {
                self.deny_knocker(id, re, &room, (session, bar), now)
            }
            Request::SetState(set) => self.set_state(id, re, set, now),
            Request::Directed(directed) => self.direct(id, re, directed, now),
            Request::Broadcast(said) => self.say_to_all(id, re, said, now),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::testing::{World, join, leave, offer};
    use super::super::{Close, Command, Config, Input, Message, Offset, Reason, Resumed, State};

    fn states(world: &mut World, connection: super::ConnectionId) -> Vec<State> {
        let got = world.got(connection);
        let states = got.iter().filter_map(|message| match &**message {
            Message::Presence { member, .. } => Some(member.state),
            _ => None,
        });
        states.collect()
    }

    #[test]
    fn a_suspended_session_is_gone_after_its_window() {
        let mut world = World::new(Config::default());
        let ada = world.member("blue");
        let grace = world.member("blue");
        world.input(grace.connection, Input::Closed);
        world.wait(Duration::from_secs(2));
        world.say(ada.connection, Command::Ack(Offset(3)));
        for wait in [20, 18] {
            world.wait(Duration::from_secs(wait));
            world.say(ada.connection, Command::Ack(Offset(3)));
        }
        world.wait(Duration::from_secs(19));
        assert_eq!(
            states(&mut world, ada.connection),
            [State::Joined, State::Suspended]
        );
        world.wait(Duration::from_secs(1));
        assert_eq!(
            states(&mut world, ada.connection),
            [State::Left(Reason::Expired)]
        );
        assert_eq!(world.hub.sessions(), 1);
        assert_ne!(world.resume(&grace, 0).resumed, Resumed::Full);
    }

    #[test]
    fn a_session_that_comes_back_hears_what_it_missed_once() {
        let mut world = World::new(Config::default());
        let ada = world.member("blue");
        let grace = world.member("blue");
        world.input(ada.connection, Input::Closed);
        for _ in 0..3 {
            world.ask(&grace, offer("blue", &ada, 2));
        }
        let ada = world.resume(&ada, 2);
        assert_eq!(ada.resumed, Resumed::Full);
        assert_eq!(world.offsets(ada.connection), [3, 4, 5]);
        world.say(ada.connection, Command::Ack(Offset(5)));
        world.wait(Duration::from_secs(61));
        assert_eq!(world.closed.get(&ada.connection), Some(&Close::Silent));
    }

    #[test]
    fn the_newest_connection_wins_and_others_see_nothing_of_it() {
        let mut world = World::new(Config::default());
        let ada = world.member("blue");
        let old = world.member("blue");
        world.got(ada.connection);
        let new = world.resume(&old, 1);
        assert_eq!(new.resumed, Resumed::Full);
        assert_eq!(world.closed[&old.connection], Close::Replaced);
        world.input(old.connection, Input::Closed);
        world.say(old.connection, Command::Bye);
        assert!(states(&mut world, ada.connection).is_empty());
        world.say(new.connection, Command::Ping);
        assert_ne!(
            world.resume(&old, 1).resumed,
            Resumed::Full,
            "its token is void"
        );
        assert_eq!(world.resume(&new, 1).resumed, Resumed::Full);
    }

    #[test]
    fn a_welcome_that_is_lost_costs_nothing() {
        let mut world = World::new(Config::default());
        let ada = world.member("blue");
        for _ in 0..3 {
            // The welcome is on its way when the connection is lost: the client has not heard it.
            world.input(ada.connection, Input::Closed);
            let lost = world.resume(&ada, 1);
            assert_eq!(lost.resumed, Resumed::Full);
            world.input(lost.connection, Input::Closed);
            let found = world.resume(&ada, 1);
            assert_eq!(found.resumed, Resumed::Full);
            world.input(found.connection, Input::Closed);
        }
    }

    #[test]
    fn what_was_acknowledged_or_never_sent_cannot_be_resumed_from() {
        for seen in [0, 2] {
            let mut world = World::new(Config::default());
            let ada = world.member("blue");
            world.say(ada.connection, Command::Ack(Offset(1)));
            let back = world.resume(&ada, seen);
            assert_eq!(back.resumed, Resumed::Snapshot);
            assert_eq!(back.session, ada.session);
            assert_eq!((world.hub.sessions(), world.hub.rooms()), (1, 1));
        }
    }

    #[test]
    fn who_acknowledges_nothing_for_half_a_minute_is_suspended() {
        let mut world = World::new(Config::default());
        let ada = world.member("blue");
        let grace = world.member("blue");
        for _ in 0..10 {
            world.wait(Duration::from_millis(2_999));
            world.say(ada.connection, Command::Ping);
            world.say(grace.connection, Command::Ping);
        }
        world.say(grace.connection, Command::Ack(Offset(1)));
        assert!(world.closed.is_empty());
        world.wait(Duration::from_millis(10));
        assert_eq!(world.closed.get(&ada.connection), Some(&Close::TooSlow));
        // The presence that comes two seconds later is all that the other does not acknowledge.
        world.wait(Duration::from_secs(20));
        world.input(grace.connection, Input::Alive);
        world.wait(Duration::from_millis(11_980));
        assert_eq!(world.closed.len(), 1);
        world.wait(Duration::from_millis(30));
        assert_eq!(world.closed.get(&grace.connection), Some(&Close::TooSlow));
    }

    #[test]
    fn who_comes_back_and_acknowledges_nothing_of_what_was_kept_is_suspended_as_well() {
        let mut world = World::new(Config::default());
        let (ada, grace) = (world.member("blue"), world.member("blue"));
        world.ask(&ada, offer("blue", &grace, 2));
        world.input(grace.connection, Input::Closed);
        // The time in which it was away is not counted.
        let wait = |world: &mut World, client: &super::super::testing::Client| {
            for _ in 0..10 {
                world.wait(Duration::from_millis(2_990));
                world.say(client.connection, Command::Ping);
                world.say(ada.connection, Command::Ack(Offset(9)));
            }
        };
        wait(&mut world, &ada);
        wait(&mut world, &ada);
        let grace = world.resume(&grace, 1);
        wait(&mut world, &grace);
        assert!(world.closed.is_empty(), "{:?}", world.closed);
        world.wait(Duration::from_millis(100));
        assert_eq!(world.closed.get(&grace.connection), Some(&Close::TooSlow));
    }

    #[test]
    fn an_id_that_was_applied_is_dropped_and_one_that_was_refused_is_not() {
        let mut world = World::new(Config::default());
        let ada = world.client();
        let request = |id, request| Command::Request { id, request };
        world.say(ada.connection, request(5, leave("blue")));
        world.say(ada.connection, request(5, join("blue")));
        world.say(ada.connection, request(5, leave("blue")));
        world.say(ada.connection, request(4, leave("blue")));
        assert_eq!(world.hub.rooms(), 1);
        world.say(ada.connection, request(6, leave("blue")));
        assert_eq!(world.hub.rooms(), 0);
    }

    #[test]
    fn a_full_server_takes_nobody_new_but_who_comes_back() {
        let config = Config {
            sessions: 1,
            ..Config::default()
        };
        let mut world = World::new(config);
        let ada = world.client();
        world.input(ada.connection, Input::Closed);
        let stranger = world.open();
        let hello = super::super::Hello {
            version: 1,
            client: None,
            access: super::super::Access::Nothing,
            resume: None,
        };
        world.say(stranger, Command::Hello(hello));
        assert_eq!(world.closed[&stranger], Close::Full);
        assert_eq!(world.resume(&ada, 0).resumed, Resumed::Full);
    }
}
