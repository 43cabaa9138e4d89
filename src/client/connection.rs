//! A connection of a session, from its welcome to its loss.

use std::time::Duration;

use serde_json::json;

use super::closing::End;
use super::event::{Ended, Event, Resumed};
use super::member::{IceServer, Member, MemberState};
use super::message::Welcome;
use super::outbox::Entry;
use super::request::{Request, encode};
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
        self.farewell = (None, None);
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
                self.begin_again(now + Duration::from_millis(welcome.resume_window_ms));
            }
            Resumed::Full => {}
            Resumed::Snapshot => self.inbox.jump(),
        }
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
        let waiting = self.outbox.clear(true);
        for join in self.rooms.joins() {
            self.outbox.add(join);
        }
        for entry in parked.into_iter().chain(waiting) {
            if entry.addressee().is_some() {
                self.give_up(&entry, "session_lost");
            } else {
                self.outbox.add(entry);
            }
        }
    }

    /// The server has been restarted, and knows the session's id. Rooms are joined again; what was
    /// said waits for its addressees, who are back before `until` or never.
    fn begin_again(&mut self, until: Instant) {
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

    fn give_up(&mut self, entry: &Entry, reason: &str) {
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
            let meeting = match &entry.request {
                // Without such a member the server refuses it, and says why.
                Request::Say { room, to, .. } => self.rooms.epoch(room, *to).unwrap_or(0),
                _ => 0,
            };
            let id = entry.id;
            self.texts
                .push_back(encode(id, entry.nr, &entry.request, meeting));
            self.outbox.note_sent(id);
        }
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
        self.drop_connection();
        if let Some(ended) = end.ended() {
            return self.finish(ended);
        }
        if end.is_about_access() && self.is_locked_out(end) {
            return;
        }
        let (said, wait) = std::mem::take(&mut self.farewell);
        let retry_in = wait.unwrap_or_else(|| end.pause() + self.backoff.next());
        self.phase = Phase::Waiting(now + retry_in);
        let why = said.unwrap_or_else(|| end.reason.clone());
        self.events.push_back(Event::Disconnected { why, retry_in });
    }

    /// The access token was refused: whether that ends the session.
    fn is_locked_out(&mut self, end: &End) -> bool {
        self.refusals += 1;
        let reason = self.farewell.0.clone();
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
