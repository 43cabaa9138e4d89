//! A connection of a session, from its welcome to its loss.

use std::time::Duration;

use serde_json::json;

use super::closing::{End, Farewell};
use super::event::{Ended, Event, Resumed};
use super::member::IceServer;
use super::message::Welcome;
use super::outbox::Entry;
use super::request::{Request, Terms, encode};
use super::session::{Phase, Session, Step};
use crate::time::Instant;

/// After so much silence the client asks whether the connection lives …
const ASK_AFTER: Duration = Duration::from_secs(25);
/// … and after so much more it does not.
const PATIENCE: Duration = Duration::from_secs(10);
/// So many access tokens in a row may be refused.
const REFUSALS: u32 = 3;

impl Session {
    pub(super) fn welcome(&mut self, welcome: Welcome, now: Instant) {
        let is_first = self.identity.is_none();
        self.identity = Some((welcome.session, welcome.token));
        self.phase = Phase::Connected;
        self.farewell = Farewell::default();
        self.destination.answered();
        self.backoff.reset();
        self.refusals = 0;
        self.applied = welcome.applied;
        let resumed = match &*welcome.resumed {
            "full" => Resumed::Full,
            "snapshot" => Resumed::Snapshot,
            "restored" => Resumed::Restored,
            _ => Resumed::None,
        };
        let limits = welcome.limits;
        let is_new = matches!(resumed, Resumed::None | Resumed::Restored);
        self.pacer
            .configure(limits.messages_per_second, limits.burst, is_new, now);
        self.events.push_back(Event::Connected {
            session: welcome.session,
            resumed,
            limits,
        });
        match resumed {
            Resumed::None if is_first => {}
            Resumed::None => self.begin_anew(),
            Resumed::Restored => {
                self.begin_again();
            }
            Resumed::Full => {}
            Resumed::Snapshot => self.inbox.jump(),
        }
        self.await_others(Duration::from_millis(welcome.resume_window_ms), now);
        if !is_new {
            self.outbox.send_again_after(welcome.applied);
        }
        self.tell_ice_servers(welcome.ice_servers, welcome.ice_servers_expire_in_ms);
        self.send_what_waits(now);
    }

    /// The session is a new one. Rooms are joined again; what was said is lost with the old one,
    /// since nobody knows what of it has arrived.
    fn begin_anew(&mut self) {
        self.inbox.reset();
        let parked = self.parked.take_all();
        self.returning.end();
        let waiting = self.outbox.clear(true);
        for join in self.rooms.joins() {
            self.outbox.add(join);
        }
        for entry in parked.into_iter().chain(waiting) {
            if entry.is_said() {
                self.give_up(&entry, "session_lost");
            } else {
                self.outbox.add(entry);
            }
        }
    }

    pub(super) fn give_up(&mut self, entry: &Entry, reason: &str) {
        if entry.is_copy {
            return;
        }
        self.events.push_back(Event::Undeliverable {
            re: entry.re,
            reason: reason.into(),
        });
    }

    /// The token of the present session has a successor.
    pub(super) fn take_token(&mut self, token: Box<str>) {
        if let Some((_, known)) = &mut self.identity {
            *known = token;
        }
    }

    pub(super) fn tell_ice_servers(&mut self, servers: Vec<IceServer>, expire_in_ms: Option<u64>) {
        self.events.push_back(Event::IceServers {
            servers,
            expire_in: expire_in_ms.map(Duration::from_millis),
        });
    }

    /// Sends what the rate allows.
    pub(super) fn send_what_waits(&mut self, now: Instant) {
        if self.phase != Phase::Connected {
            return;
        }
        self.held_back = None;
        while let Some(entry) = self.outbox.unsent() {
            if let Err(until) = self.pacer.take(now) {
                self.held_back = Some(until);
                return;
            }
            let (id, text) = (entry.id, self.write(entry));
            self.texts.push_back(text);
            self.outbox.note_sent(id);
        }
    }

    fn write(&self, entry: &Entry) -> String {
        let mut terms = Terms {
            nr: entry.nr,
            ..Terms::default()
        };
        match &entry.request {
            Request::Say {
                room, to, epoch, ..
            } => {
                let pair = self.rooms.pair(room, *to);
                // Without such a member the server refuses it, and says why.
                let present = pair.map(|pair| epoch.map_or(pair.epoch, |it| pair.present(it)));
                terms.epoch = present.or(*epoch).unwrap_or(0);
            }
            Request::Join { room, .. } => terms.meetings = self.returning.meetings(room),
            _ => {}
        }
        encode(entry.id, &self.sealed(entry), &terms)
    }

    pub(super) fn acknowledge(&mut self, now: Instant) {
        if self.phase == Phase::Connected
            && let Some(seq) = self.inbox.acknowledge(now)
        {
            let ack = json!({"type": "ack", "seq": seq});
            self.texts.push_back(ack.to_string());
        }
    }

    pub(super) fn check_silence(&mut self, now: Instant) {
        if now < self.silence_ends() {
            return;
        }
        if self.heard.1 {
            return self.lose(&End::broken("the server is silent"), now);
        }
        self.heard.1 = true;
        self.texts.push_back(r#"{"type":"ping"}"#.to_owned());
    }

    /// When to ask, or to give up.
    pub(super) fn silence_ends(&self) -> Instant {
        let (heard, has_asked) = self.heard;
        let patience = if has_asked { PATIENCE } else { Duration::ZERO };
        heard + ASK_AFTER + patience
    }

    pub(super) fn lose(&mut self, end: &End, now: Instant) {
        if let Phase::Leaving(_) = self.phase {
            return self.finish(Ended::Closed);
        }
        let was_connected = self.phase == Phase::Connected;
        self.drop_connection();
        if let Some(ended) = end.ended() {
            return self.finish(ended);
        }
        if end.is_about_access() && self.is_locked_out(end) {
            return;
        }
        let Farewell {
            said,
            wait,
            elsewhere,
        } = std::mem::take(&mut self.farewell);
        self.choose_server(end, elsewhere, was_connected);
        // Who was not even let in waits longer each time, also between two servers.
        let retry_in = match wait {
            Some(wait) if was_connected => wait,
            wait => wait.unwrap_or_default().max(end.pause()) + self.backoff.next(),
        };
        self.phase = Phase::Waiting(now + retry_in);
        let why = said.unwrap_or_else(|| end.reason.clone());
        self.events.push_back(Event::Disconnected { why, retry_in });
    }

    /// Where the next connection is made. What was said before the end counts where the end itself
    /// says nothing.
    fn choose_server(&mut self, end: &End, said: Option<Box<str>>, was_connected: bool) {
        let said = said.filter(|_| end.advice.is_none());
        if let Some(url) = end.elsewhere.clone().or(said) {
            if self.destination.follow(&url) {
                self.events.push_back(Event::Moved { url });
            }
        } else if !end.is_silent() {
            self.destination.answered();
        } else if !was_connected {
            self.destination.failed();
        }
    }

    /// The access token was refused: whether that ends the session.
    fn is_locked_out(&mut self, end: &End) -> bool {
        self.refusals += 1;
        let reason = self.farewell.said.clone();
        let reason = reason.unwrap_or_else(|| end.reason.clone());
        let is_over = self.access.is_none() || self.refusals >= REFUSALS;
        if is_over {
            let code = end.code.unwrap_or_default();
            self.finish(Ended::Refused { code, reason });
        } else {
            self.events.push_back(Event::AccessRefused { reason });
        }
        is_over
    }

    pub(super) fn drop_connection(&mut self) {
        self.steps.push_back(Step::Drop);
        self.inbox.suspend();
        self.texts.clear();
        self.held_back = None;
    }

    pub(super) fn finish(&mut self, ended: Ended) {
        self.drop_connection();
        self.phase = Phase::Over;
        self.events.push_back(Event::Ended(ended));
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::{Body, Kind, Request};
    use super::super::settings::{Settings, Trust};
    use super::super::testing::{ROOM, World, delivered, said};
    use super::*;
    use crate::signal::{Config, Hub};

    #[test]
    fn what_is_said_arrives_once_and_in_order_however_often_connections_break() {
        const MESSAGES: u64 = 1_000;
        let mut world = World::new(2);
        world.join();
        let to = world.session(1);
        let mut next = 0;
        for _ in 0..50_000 {
            if next == MESSAGES && world.people[0].session.waiting() == 0 {
                break;
            }
            let body = Body::new(&next).expect("JSON");
            let say = Request::say(ROOM, to, Kind::Candidate, body);
            if next < MESSAGES {
                let now = world.instant();
                next += u64::from(world.people[0].session.ask(say, now).is_ok());
            }
            match world.draw(12) {
                index @ 0..2 => world.cut(index as usize),
                // Only some of what is under way arrives before the next cut.
                index @ 2..4 => drop(world.step(index as usize - 2)),
                _ => world.wait(Duration::from_millis(20)),
            }
        }
        let expected: Vec<_> = (0..MESSAGES).collect();
        assert_eq!(said(&world.people[1].events), expected);
        assert_eq!(delivered(&world.people[0].events), expected.len());
    }

    #[test]
    fn a_session_that_is_lost_joins_its_rooms_again_and_says_what_nobody_knows_of() {
        let mut world = World::new(2);
        world.join();
        let (former, to) = (world.session(0), world.session(1));
        world.cut(1);
        let now = world.instant();
        let say = Request::say(ROOM, to, Kind::Offer, Body::new(&1).expect("JSON"));
        let re = world.people[0].session.ask(say, now).expect("room");
        world.wait(Duration::ZERO);
        world.cut(0);
        world.people[0].events.clear();
        world.hub = Hub::new(Config::default(), [4; 32]);
        for _ in 0..100 {
            world.wait(Duration::from_millis(100));
        }
        assert_ne!(world.session(0), former);
        let events = &world.people[0].events;
        let lost =
            |event: &Event| matches!(event, Event::Undeliverable { re: of, .. } if *of == re);
        assert!(events.iter().any(lost), "{events:?}");
        assert!(
            events
                .iter()
                .any(|event| matches!(event, Event::Joined { .. }))
        );
        assert_eq!(world.hub.rooms(), 1);
    }

    #[test]
    fn a_server_that_falls_silent_is_asked_and_then_given_up() {
        let mut world = World::new(1);
        world.join();
        let mut session = world.people.remove(0).session;
        let mut silent = world.instant();
        for _ in 0..2 {
            silent = session
                .poll_timeout()
                .expect("it looks after its connection");
            session.handle_timeout(silent);
        }
        session.handle_timeout(silent + Duration::from_secs(10));
        let steps: Vec<_> = std::iter::from_fn(|| session.poll_step()).collect();
        assert_eq!(steps, [Step::Drop]);
    }

    /// What a session that has come by TLS does when it is sent to `url`: where it goes next, and
    /// what it tells.
    fn sent_to(url: &str) -> (String, Vec<Event>) {
        let mut settings = Settings::new("wss://blue.example/v1/ws").expect("a URL");
        settings.trust = Trust::Anybody;
        let mut session = Session::new(&settings, 1);
        let now = Instant::default();
        session.handle_timeout(now);
        let reason = format!(r#"{{"reason":"going_away","advice":"elsewhere","url":"{url}"}}"#);
        session.handle_end(&End::closed(1001, &reason), now);
        let events = std::iter::from_fn(|| session.poll_event()).collect();
        (session.place().authority(), events)
    }

    #[test]
    fn who_is_sent_elsewhere_goes_there() {
        let (place, events) = sent_to("https://green.example:8443");
        assert_eq!(place, "green.example:8443");
        assert!(
            matches!(&events[0], Event::Moved { url } if &**url == "https://green.example:8443")
        );
        assert!(matches!(events[1], Event::Disconnected { .. }));
    }

    #[test]
    fn from_tls_to_plain_text_or_to_what_is_no_server_is_advice_to_come_back() {
        for url in ["http://green.example", "https://green.example/v1", "green"] {
            let (place, events) = sent_to(url);
            assert_eq!(place, "blue.example:443");
            assert!(
                matches!(events[..], [Event::Disconnected { .. }]),
                "{events:?}"
            );
        }
    }
}
