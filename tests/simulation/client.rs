//! A client that keeps to the protocol, and holds the server to it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use peerage::auth::Secret;
use peerage::signal::{
    Access, Broadcast, BroadcastReceipt, Command, Delivery, Hello, Message, Offset, Reject,
    Request, Resume, Resumed, Role, SessionId, SetState, Welcome,
};
use peerage::time::Instant;
use serde_json::value::RawValue;

use crate::ledger::{Fate, News};
use crate::rooms::Rooms;
use crate::words::{Entry, Words};

/// How many messages a client says again after a cut though they have been applied.
const UNSURE: u64 = 8;
/// How long it may take to acknowledge.
const ACKNOWLEDGES_WITHIN: Duration = Duration::from_secs(2);
/// After so much silence it asks whether the connection lives, and after so much it does not.
const ASKS_AFTER: Duration = Duration::from_secs(25);
const WELCOME_WITHIN: Duration = Duration::from_secs(15);
const GIVES_UP_AFTER: Duration = Duration::from_secs(35);

#[derive(Default)]
pub(crate) struct Client {
    identity: Option<(SessionId, Secret)>,
    pub(crate) is_welcome: bool,
    pub(crate) rooms: Rooms,
    /// Whether a snapshot has taken the place of something missed, or is about to.
    awaits_snapshot: bool,
    had_snapshot: bool,
    words: Words,
    /// When those who have not come back after a restart never will.
    parked_until: Option<Instant>,
    /// Up to where each other has been heard in a room, and which of its broadcasts.
    heard_of: BTreeMap<(SessionId, Box<str>), u64>,
    broadcasts: BTreeSet<(SessionId, u64)>,
    seen: Offset,
    acknowledged: Offset,
    /// Since when there is something to acknowledge.
    unacknowledged_since: Option<Instant>,
    /// Until when it takes everything in and says nothing of it.
    pub(crate) forgetful_until: Instant,
    /// When something was heard last, and whether the client has asked since.
    heard: (Instant, bool),
    next_id: u64,
    unsure: VecDeque<(u64, Request)>,
    news: Vec<News>,
    /// What has happened to this client at all.
    pub(crate) seen_at_all: BTreeMap<&'static str, u32>,
}

impl Client {
    pub(crate) fn open(&mut self, now: Instant) -> Command {
        self.is_welcome = false;
        self.heard = (now, false);
        let resume = self
            .identity
            .as_ref()
            .map(|(session, token)| Resume::new(&session.to_string(), token.expose(), self.seen));
        Command::Hello(Hello {
            version: 1,
            client: None,
            access: Access::Nothing,
            resume,
        })
    }

    pub(crate) fn session(&self) -> Option<SessionId> {
        self.identity.as_ref().map(|(session, _)| *session)
    }

    pub(crate) fn take_news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// When it wants to be asked what is due.
    pub(crate) fn due(&self) -> Instant {
        let due = [self.acknowledges_at(), self.parked_until];
        let due = due.into_iter().flatten();
        due.chain([self.heard.0 + self.patience()])
            .min()
            .expect("one at least")
    }

    /// Whether the connection is dead, as far as the client can tell.
    pub(crate) fn gives_up(&self, now: Instant) -> bool {
        let has_asked = self.heard.1 || !self.is_welcome;
        has_asked && self.heard.0 + self.patience() <= now
    }

    fn patience(&self) -> Duration {
        match (self.is_welcome, self.heard.1) {
            (false, _) => WELCOME_WITHIN,
            (true, false) => ASKS_AFTER,
            (true, true) => GIVES_UP_AFTER,
        }
    }

    /// What is due to be said.
    pub(crate) fn tick(&mut self, now: Instant) -> Vec<Command> {
        let mut commands = Vec::new();
        if self.parked_until.is_some_and(|until| until <= now) {
            self.parked_until = None;
            let late = self.words.give_up_parked();
            self.know(late);
        }
        let (heard, has_asked) = self.heard;
        // Before the welcome, to say anything would be to say that it has come.
        if self.is_welcome && !has_asked && heard + ASKS_AFTER <= now {
            self.heard.1 = true;
            commands.push(Command::Ping);
        }
        if self.acknowledges_at().is_some_and(|at| at <= now) {
            commands.push(self.ack());
        }
        commands
    }

    fn acknowledges_at(&self) -> Option<Instant> {
        let since = self.unacknowledged_since.filter(|_| self.is_welcome)?;
        Some(self.forgetful_until.max(since + ACKNOWLEDGES_WITHIN))
    }

    /// Acknowledges before it must, unless it forgets to.
    pub(crate) fn ack_early(&mut self, now: Instant) -> Option<Command> {
        (self.forgetful_until <= now).then(|| self.ack())
    }

    fn ack(&mut self) -> Command {
        self.unacknowledged_since = None;
        self.acknowledged = self.seen;
        Command::Ack(self.seen)
    }

    pub(crate) fn join(&mut self, room: &str) -> Command {
        let data = RawValue::from_string("[1]".to_owned()).expect("JSON");
        let meetings = self.rooms.meetings(room);
        self.request(Request::Join {
            room: room.into(),
            name: Some("Ada".into()),
            data: Some(data),
            meetings,
            knock: true,
        })
    }

    pub(crate) fn leave(&mut self, room: &str) -> Command {
        let room = room.into();
        self.request(Request::Leave { room })
    }

    pub(crate) fn update(&mut self, room: &str) -> Command {
        self.request(Request::Update {
            room: room.into(),
            name: Some("Ada L.".into()),
            data: None,
        })
    }

    /// Says a number to a member of a room, or to all. What has to wait is said later.
    pub(crate) fn say(
        &mut self,
        room: &str,
        to: Option<SessionId>,
        number: u64,
    ) -> Option<Command> {
        let from = self.session()?;
        self.news.push(News::Said(number, from, to, room.into()));
        let entry = Entry {
            id: 0,
            nr: 0,
            number,
            room: room.into(),
            to,
        };
        if self.words.has_to_wait(room, to) {
            self.words.park(entry);
            return None;
        }
        Some(self.utter(entry))
    }

    fn utter(&mut self, mut entry: Entry) -> Command {
        entry.id = self.next_id + 1;
        entry.nr = if entry.nr == 0 { entry.id } else { entry.nr };
        let views = self.rooms.views.get(&*entry.room);
        let view = views.zip(entry.to).and_then(|(views, to)| views.get(&to));
        let request = entry.request(view.map_or(0, |view| view.epoch));
        self.words.add(entry);
        self.request(request)
    }

    pub(crate) fn set_room(&mut self, room: &str, locked: bool) -> Command {
        self.request(Request::SetRoom {
            room: room.into(),
            locked: Some(locked),
            limit: None,
            duplicates: None,
        })
    }

    /// Sets one of three entries of a room to a number of its own, or takes it out.
    pub(crate) fn set_state(&mut self, room: &str, choice: usize) -> Command {
        let value = (self.next_id + 1).to_string();
        let value = RawValue::from_string(value).expect("a number is JSON");
        self.request(Request::SetState(SetState {
            room: room.into(),
            key: ["a", "b", "c"][choice % 3].into(),
            value: Some(value).filter(|_| !choice.is_multiple_of(5)),
            expires_in: choice.is_multiple_of(4).then_some(Duration::from_secs(5)),
            while_present: choice.is_multiple_of(7),
            if_version: None,
        }))
    }

    /// Answers a knock, if there is one and the client may.
    pub(crate) fn answer_knock(&mut self, room: &str, admits: bool) -> Option<Command> {
        let session = self.rooms.knocks.get(room)?.first().copied();
        let room = room.into();
        Some(self.request(match admits {
            true => Request::Admit { room, session },
            false => Request::Deny {
                room,
                session,
                bar: false,
            },
        }))
    }

    /// Puts a member out of the room, if there is one and the client may.
    pub(crate) fn remove(&mut self, room: &str) -> Option<Command> {
        let is_host = self.rooms.roles.get(room) == Some(&Role::Host);
        let session = self.rooms.views.get(room)?.keys().next().copied();
        let (room, bar) = (room.into(), false);
        is_host.then(|| self.request(Request::Remove { room, session, bar }))
    }

    fn request(&mut self, request: Request) -> Command {
        self.next_id += 1;
        let id = self.next_id;
        self.unsure.push_back((id, request.clone()));
        Command::Request { id, request }
    }

    /// Takes in a message; gives what to say at once.
    pub(crate) fn take(
        &mut self,
        offset: Option<Offset>,
        message: &Message,
        now: Instant,
    ) -> Vec<Command> {
        self.heard = (now, false);
        if let Some(offset) = offset {
            self.follow(offset, now);
        }
        match message {
            Message::Welcome(welcome) => return self.welcome(welcome, now),
            Message::Joined { room, .. } => {
                self.rooms.enter(room);
                return self.say_again();
            }
            Message::Snapshot { rooms, .. } => {
                assert!(self.awaits_snapshot, "only where something is missing");
                (self.awaits_snapshot, self.had_snapshot) = (false, true);
                self.rooms.views.clear();
                for room in rooms {
                    self.rooms.enter(room);
                }
                return self.say_again();
            }
            // Whoever leaves may have been knocking only.
            Message::Left { room, .. } | Message::PutOut { room, .. } => {
                self.rooms.views.remove(&**room);
            }
            Message::Presence {
                room,
                version,
                member,
            } => {
                self.rooms.presence(room, *version, member);
                return self.say_again();
            }
            Message::Delivery(delivery) => self.deliver(delivery),
            Message::Broadcast(said) => self.hear_broadcast(said),
            Message::Delivered { to, through } => {
                let delivered = self.words.delivered(*to, *through);
                self.know(delivered);
            }
            Message::Undeliverable { to, .. } => {
                let lost = self.words.undeliverable(*to);
                self.know(lost);
            }
            Message::BroadcastDelivered(receipt) => self.settle(receipt),
            Message::Error(rejection) => {
                assert_ne!(rejection.reject, Reject::Malformed);
                let refused = rejection
                    .re
                    .map(|re| self.words.settled(re, &Fate::Refused));
                self.know(refused.unwrap_or_default());
            }
            Message::Goaway { .. } | Message::Pong | Message::Token(_) => assert_eq!(offset, None),
            _ => self.rooms.learn(message),
        }
        Vec::new()
    }

    /// Nothing is left out and nothing comes twice.
    fn follow(&mut self, offset: Offset, now: Instant) {
        let follows = offset == self.seen.next();
        assert!(
            follows || self.awaits_snapshot,
            "neither gap nor repetition"
        );
        self.seen = offset;
        self.unacknowledged_since.get_or_insert(now);
    }

    fn welcome(&mut self, welcome: &Welcome, now: Instant) -> Vec<Command> {
        self.is_welcome = true;
        let token = welcome.token.clone();
        let former = self.identity.replace((welcome.session, token));
        let is_same = former.is_some_and(|(session, _)| session == welcome.session);
        assert_eq!(is_same, welcome.resumed != Resumed::None);
        let what = match welcome.resumed {
            Resumed::Full => "resumed in full",
            Resumed::Snapshot => "a snapshot",
            Resumed::Restored => "restored",
            Resumed::None => "a new session",
        };
        *self.seen_at_all.entry(what).or_default() += 1;
        match welcome.resumed {
            Resumed::Full | Resumed::Snapshot => {
                self.awaits_snapshot = welcome.resumed == Resumed::Snapshot;
                // Also some that the server says it has applied: it must not apply them again.
                let applied = welcome.applied;
                self.unsure.retain(|(id, _)| *id + UNSURE > applied);
                let again = self.unsure.iter().cloned();
                again
                    .map(|(id, request)| Command::Request { id, request })
                    .collect()
            }
            Resumed::Restored => {
                self.begin();
                assert_eq!(welcome.applied, 0);
                self.words.begin_again();
                self.parked_until = Some(now + welcome.resume_window);
                let rooms = self.rooms.begin_again();
                rooms.iter().map(|room| self.join(room)).collect()
            }
            Resumed::None => {
                assert_eq!(welcome.applied, 0);
                self.begin();
                self.rooms.forget();
                self.heard_of.clear();
                self.broadcasts.clear();
                self.next_id = 0;
                let lost = self.words.lose();
                self.know(lost);
                Vec::new()
            }
        }
    }

    /// The server knows nothing of this session but its id.
    fn begin(&mut self) {
        (self.awaits_snapshot, self.had_snapshot) = (false, false);
        self.unsure.clear();
        (self.seen, self.acknowledged) = (Offset(0), Offset(0));
        self.unacknowledged_since = None;
    }

    /// Says what waited for somebody who is there now.
    fn say_again(&mut self) -> Vec<Command> {
        let views = &self.rooms.views;
        let again = self.words.unpark(|room, to| {
            let members = views.get(room);
            members.is_some_and(|members| to.is_none_or(|to| members.contains_key(&to)))
        });
        again.into_iter().map(|entry| self.utter(entry)).collect()
    }

    fn know(&mut self, fates: Vec<(u64, Fate)>) {
        let news = fates.into_iter();
        self.news
            .extend(news.map(|(number, fate)| News::Knows(number, fate)));
    }

    fn deliver(&mut self, delivery: &Delivery) {
        let room = self.rooms.views.get(&*delivery.room);
        let from = room.and_then(|members| members.get(&delivery.from));
        // What was said in a meeting that a snapshot knows no more is of no use, and harms nobody.
        let is_of_this_meeting = from.is_some_and(|from| from.epoch == delivery.epoch);
        assert!(is_of_this_meeting || self.had_snapshot, "only of a meeting");
        let (from, number) = (delivery.from, delivery.number);
        let place = (from, delivery.room.to_string().into());
        let is_new = self.heard_of.get(&place) < Some(&number);
        if is_new {
            self.heard_of.insert(place, number);
        }
        let is_again = delivery.id != number;
        self.hear(from, (is_new, is_again), delivery.body.get(), false);
    }

    fn hear_broadcast(&mut self, said: &Broadcast) {
        let is_new = self.broadcasts.insert((said.from, said.number));
        let is_again = said.id != said.number;
        self.hear(said.from, (is_new, is_again), said.body.get(), true);
    }

    /// What has been heard before a restart is dropped.
    fn hear(
        &mut self,
        from: SessionId,
        (is_new, is_again): (bool, bool),
        body: &str,
        to_all: bool,
    ) {
        let number: u64 = serde_json::from_str(body).expect("a number, as it was said");
        if is_new {
            let by = self.session().expect("who is told something is somebody");
            self.news.push(News::Heard(number, from, by, to_all));
        } else {
            assert!(is_again, "{number}: repeated without a restart");
            *self
                .seen_at_all
                .entry("said again for nothing")
                .or_default() += 1;
        }
    }

    fn settle(&mut self, receipt: &BroadcastReceipt) {
        let lost = receipt.undeliverable.iter().map(|(session, _)| *session);
        let fate = Fate::Settled(receipt.delivered, lost.collect());
        // After a snapshot it may come again.
        let settled = self.words.settled(receipt.re, &fate);
        self.know(settled);
    }
}
