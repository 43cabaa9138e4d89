//! The Rust client of this crate, without its sockets.

use std::collections::{BTreeMap, HashMap};

use peerage::client::{
    Body, End, Event, Kind, Member, MemberState, Profile, Request, RequestId, Resumed, RoomMembers,
    Session, Settings, Step,
};
use peerage::dialect::native;
use peerage::signal::{Command, Ending, Message, Offset, SessionId};
use peerage::time::Instant;

use crate::ledger::{Fate, News};
use crate::rooms::{View, Views};

pub(crate) struct Library {
    session: Session,
    pub(crate) is_welcome: bool,
    /// The rooms as the application knows them.
    pub(crate) views: BTreeMap<String, Views>,
    /// What was said under which request.
    said: HashMap<RequestId, u64>,
    news: Vec<News>,
    steps: Vec<Step>,
}

impl Library {
    pub(crate) fn new(seed: u64) -> Self {
        let mut settings = Settings::new("ws://test/v1/ws").expect("a URL");
        settings.backoff_ceiling = settings.backoff_base;
        Self {
            session: Session::new(&settings, seed),
            is_welcome: false,
            views: BTreeMap::new(),
            said: HashMap::new(),
            news: Vec::new(),
            steps: Vec::new(),
        }
    }

    pub(crate) fn session(&self) -> Option<SessionId> {
        self.session.id()
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        self.session.poll_timeout()
    }

    pub(crate) fn tick(&mut self, now: Instant) {
        if self.due().is_some_and(|at| at <= now) {
            self.session.handle_timeout(now);
        }
        self.listen();
    }

    pub(crate) fn steps(&mut self) -> Vec<Step> {
        std::mem::take(&mut self.steps)
    }

    pub(crate) fn open(&mut self) {
        self.session.handle_open();
    }

    pub(crate) fn take_news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// What it wants to send, as the server reads it.
    pub(crate) fn commands(&mut self) -> Vec<Command> {
        let texts = std::iter::from_fn(|| self.session.poll_text());
        let commands = texts.map(|text| native::decode(text.as_bytes()));
        let commands = commands.map(|command| command.expect("the library keeps to the protocol"));
        commands.collect()
    }

    pub(crate) fn join(&mut self, room: &str, now: Instant) {
        self.ask(Request::join(room, Profile::named("Grace")), now);
    }

    pub(crate) fn leave(&mut self, room: &str, now: Instant) {
        self.ask(Request::leave(room), now);
    }

    pub(crate) fn say(&mut self, room: &str, to: SessionId, number: u64, now: Instant) {
        let Some(from) = self.session() else { return };
        let is_offer = number.is_multiple_of(5);
        let kind = if is_offer {
            Kind::Offer
        } else {
            Kind::Candidate
        };
        let body = Body::new(&number).expect("a number is JSON");
        if let Some(re) = self.ask(Request::say(room, to, kind, body), now) {
            self.said.insert(re, number);
            self.news
                .push(News::Said(number, from, Some(to), room.into()));
        }
    }

    fn ask(&mut self, request: Request, now: Instant) -> Option<RequestId> {
        self.session.ask(request, now).ok()
    }

    pub(crate) fn take(&mut self, offset: Option<Offset>, message: &Message, now: Instant) {
        let mut text = Vec::new();
        native::encode(offset, message, &mut text);
        let text = String::from_utf8(text).expect("JSON is UTF-8");
        self.session.handle_text(&text, now);
        // What an application knows of rooms beside what it asked for.
        if let Message::Left { room, .. } | Message::PutOut { room, .. } = message {
            self.views.remove(&**room);
        }
        self.listen();
    }

    pub(crate) fn end(&mut self, ending: Option<Ending>, now: Instant) {
        let end = match ending {
            Some(ending) => End::closed(ending.close.code(), ending.close.reason()),
            None => End::broken("cut"),
        };
        self.session.handle_end(&end, now);
        self.listen();
    }

    /// What the application is told.
    fn listen(&mut self) {
        while let Some(event) = self.session.poll_event() {
            self.happens(event);
        }
        while let Some(step) = self.session.poll_step() {
            self.is_welcome = false;
            self.steps.push(step);
        }
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Connected { resumed, .. } => {
                self.is_welcome = true;
                if matches!(resumed, Resumed::None | Resumed::Restored) {
                    self.views.clear();
                }
            }
            Event::Joined { room, .. } => self.enter(&room),
            Event::Snapshot { rooms } => {
                self.views.clear();
                rooms.iter().for_each(|room| self.enter(room));
            }
            Event::Presence { room, member, .. } => {
                let members = self.views.get_mut(&*room).expect("only of one's rooms");
                match member.state {
                    MemberState::Left => members.remove(&member.session),
                    _ => members.insert(member.session, view(&member)),
                };
            }
            Event::Said(said) => self.hear(said.from, &said.body, false),
            Event::Broadcast(said) => self.hear(said.from, &said.body, true),
            Event::Delivered { re } => self.know(re, Fate::Delivered),
            Event::Undeliverable { re, reason } if &*reason == "session_lost" => {
                self.know(re, Fate::Unknown);
            }
            Event::Undeliverable { re, .. } => self.know(re, Fate::Undeliverable),
            Event::Refused { re: Some(re), .. } => self.know(re, Fate::Refused),
            Event::Ended(ended) => panic!("the session of a client is over: {ended:?}"),
            _ => {}
        }
    }

    fn hear(&mut self, from: SessionId, body: &Body, to_all: bool) {
        let number = body.json().parse().expect("a number");
        let by = self.session().expect("who is told something is somebody");
        self.news.push(News::Heard(number, from, by, to_all));
    }

    fn know(&mut self, re: RequestId, fate: Fate) {
        if let Some(number) = self.said.remove(&re) {
            self.news.push(News::Knows(number, fate));
        }
    }

    fn enter(&mut self, room: &RoomMembers) {
        let members = room.members.iter();
        let members = members.map(|member| (member.session, view(member)));
        self.views.insert(room.room.to_string(), members.collect());
    }
}

fn view(member: &Member) -> View {
    View {
        polite: member.polite,
        epoch: member.epoch,
        role: None,
        suspended: member.state == MemberState::Suspended,
        continues: None,
    }
}
