//! A client that keeps to the protocol, and holds the server to it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use peerage::auth::Secret;
use peerage::signal::{
    Access, BroadcastReceipt, Command, Delivery, Directed, ForAll, Hello, Kind, KnockNews,
    KnockState, Member, Message, Offset, Request, Resume, Resumed, Role, RoomSnapshot, SessionId,
    SetState, State, StateEntry, Welcome,
};
use serde_json::value::RawValue;

/// How one client sees another member of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) polite: bool,
    pub(crate) epoch: u64,
    pub(crate) role: Role,
    pub(crate) suspended: bool,
}

/// Something that one client has said to another: from, to, and the how-many-eth of all it is.
pub(crate) type Said = (SessionId, SessionId, u64);

/// How many messages a client is unsure of after a cut.
const UNSURE: usize = 8;

#[derive(Default)]
pub(crate) struct Client {
    pub(crate) identity: Option<(SessionId, Secret)>,
    pub(crate) is_welcome: bool,
    pub(crate) rooms: BTreeMap<String, BTreeMap<SessionId, View>>,
    /// Whether a snapshot has taken the place of something missed, or is about to.
    awaits_snapshot: bool,
    pub(crate) had_snapshot: bool,
    versions: BTreeMap<String, u64>,
    /// What each room keeps: its entries, whether it is locked, and who knocks.
    pub(crate) state: BTreeMap<String, BTreeMap<String, (String, u64)>>,
    pub(crate) locked: BTreeMap<String, bool>,
    pub(crate) knocks: BTreeMap<String, BTreeSet<SessionId>>,
    pub(crate) had_knock: bool,
    /// What this client is in each room.
    pub(crate) roles: BTreeMap<String, Role>,
    /// What became of its broadcasts, by the id of the message: to how many they were delivered,
    /// and to whom they were not.
    pub(crate) settled: BTreeMap<u64, (usize, Vec<SessionId>)>,
    /// How far what it has said to each other has arrived, by the id of the message; and to whom
    /// nothing more will.
    pub(crate) delivered: BTreeMap<SessionId, u64>,
    pub(crate) undeliverable: BTreeSet<SessionId>,
    pub(crate) received: Vec<Said>,
    /// Sessions that this client had before, and lost.
    pub(crate) former: Vec<SessionId>,
    seen: Offset,
    next_id: u64,
    said: u64,
    unsure: VecDeque<(u64, Request)>,
}

impl Client {
    pub(crate) fn hello(&self) -> Command {
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

    pub(crate) fn ack(&self) -> Command {
        Command::Ack(self.seen)
    }

    pub(crate) fn join(&mut self, room: &str) -> Command {
        let data = RawValue::from_string("[1]".to_owned()).expect("JSON");
        self.request(Request::Join {
            room: room.into(),
            name: Some("Ada".into()),
            data: Some(data),
            meetings: Vec::new(),
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

    /// Says the next number to a member, as the client sees the room.
    pub(crate) fn say(&mut self, room: &str, to: SessionId, epoch: u64) -> (u64, Command) {
        self.said += 1;
        let body = format!("[{},{epoch}]", self.said);
        let body = RawValue::from_string(body).expect("a list is JSON");
        let directed = Directed {
            kind: Kind::Candidate,
            room: room.into(),
            to: Some(to),
            epoch,
            number: None,
            body,
        };
        (self.said, self.request(Request::Directed(directed)))
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
        self.said += 1;
        let value = RawValue::from_string(self.said.to_string()).expect("a number is JSON");
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
        let session = self.knocks.get(room)?.first().copied();
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
        let is_host = self.roles.get(room) == Some(&Role::Host);
        let session = self.rooms.get(room)?.keys().next().copied();
        let (room, bar) = (room.into(), false);
        is_host.then(|| self.request(Request::Remove { room, session, bar }))
    }

    /// Says the next number to all members of a room.
    pub(crate) fn broadcast(&mut self, room: &str) -> (u64, Command) {
        self.said += 1;
        let body = RawValue::from_string(self.said.to_string()).expect("a number is JSON");
        let said = ForAll {
            room: room.into(),
            number: None,
            body,
        };
        (self.said, self.request(Request::Broadcast(said)))
    }

    fn request(&mut self, request: Request) -> Command {
        self.next_id += 1;
        let id = self.next_id;
        self.unsure.push_back((id, request.clone()));
        if self.unsure.len() > UNSURE {
            self.unsure.pop_front();
        }
        Command::Request { id, request }
    }

    /// Takes in a message; gives what to say at once.
    pub(crate) fn take(&mut self, offset: Option<Offset>, message: &Message) -> Vec<Command> {
        if let Some(offset) = offset {
            let follows = offset == self.seen.next();
            assert!(
                follows || self.awaits_snapshot,
                "neither gap nor repetition"
            );
            self.seen = offset;
        }
        match message {
            Message::Welcome(welcome) => return self.welcome(welcome),
            Message::Joined { room, .. } => self.enter(room),
            Message::Snapshot { rooms, .. } => {
                assert!(self.awaits_snapshot, "only where something is missing");
                (self.awaits_snapshot, self.had_snapshot) = (false, true);
                self.rooms.clear();
                for room in rooms {
                    self.enter(room);
                }
            }
            Message::Delivered { to, through } => {
                let before = self.delivered.insert(*to, *through);
                assert!(
                    before <= Some(*through),
                    "it may be told again, and further"
                );
            }
            Message::Undeliverable { to, .. } => {
                self.undeliverable.insert(*to);
            }
            // Whoever leaves may have been knocking only.
            Message::Left { room, .. } | Message::PutOut { room, .. } => {
                self.rooms.remove(&**room);
            }
            Message::Presence {
                room,
                version,
                member,
            } => {
                self.moves_on(room, *version);
                self.presence(room, member);
            }
            Message::Role(change) => {
                self.moves_on(&change.room, change.version);
                let role = change.standing.role;
                self.roles.insert(change.room.to_string(), role);
            }
            Message::Delivery(delivery) => self.deliver(delivery),
            Message::Broadcast(broadcast) => {
                let number: u64 = serde_json::from_str(broadcast.body.get()).expect("a number");
                self.receive(broadcast.from, number);
            }
            Message::BroadcastDelivered(receipt) => self.settle(receipt),
            Message::Room(_) | Message::State(_) | Message::Knock(_) => self.learn(message),
            Message::Updated { .. } | Message::Done { .. } | Message::Knocking { .. } => {}
            Message::Error(rejection) => self.unsure.retain(|(id, _)| Some(*id) != rejection.re),
            _ => assert_eq!(offset, None),
        }
        Vec::new()
    }

    fn welcome(&mut self, welcome: &Welcome) -> Vec<Command> {
        self.is_welcome = true;
        let token = welcome.token.clone();
        let former = self.identity.replace((welcome.session, token));
        if welcome.resumed != Resumed::None {
            self.awaits_snapshot = welcome.resumed == Resumed::Snapshot;
            let former = former.expect("who resumes was somebody");
            assert_eq!(former.0, welcome.session);
            // Also what the server says it has applied: it must not apply it again.
            let again = self.unsure.iter().cloned();
            return again
                .map(|(id, request)| Command::Request { id, request })
                .collect();
        }
        self.former.extend(former.map(|(session, _)| session));
        assert_eq!(welcome.applied, 0);
        self.rooms.clear();
        self.versions.clear();
        self.delivered.clear();
        self.undeliverable.clear();
        self.settled.clear();
        (self.awaits_snapshot, self.had_snapshot) = (false, false);
        self.unsure.clear();
        self.seen = Offset(0);
        self.next_id = 0;
        Vec::new()
    }

    fn enter(&mut self, room: &RoomSnapshot) {
        let name = room.room.to_string();
        let before = self.versions.insert(name.clone(), room.version);
        assert!(before <= Some(room.version), "never an earlier version");
        let members = room.members.iter().map(|member| (id(member), view(member)));
        self.rooms.insert(name.clone(), members.collect());
        self.roles.insert(name.clone(), room.standing.role);
        self.locked.insert(name.clone(), room.settings.locked);
        self.state.remove(&name);
        self.change_state(&name, &room.state);
        let knocks = room.knocks.iter().flatten();
        let knocks = knocks.map(|profile| profile.session).collect();
        self.knocks.insert(name, knocks);
    }

    fn moves_on(&mut self, room: &str, version: u64) {
        let before = self.versions.insert(room.to_owned(), version);
        assert!(before < Some(version), "a later version each time");
    }

    fn presence(&mut self, room: &str, member: &Member) {
        let members = self.rooms.get_mut(room).expect("told only of one's rooms");
        let (session, view) = (id(member), view(member));
        if let Some(before) = members.get(&session) {
            assert_eq!(before.epoch, view.epoch, "a pair has one epoch a meeting");
            assert_eq!(before.polite, view.polite);
        } else {
            // Who was let in may have lost its connection while it knocked.
            let comes = !matches!(member.state, State::Left(_));
            assert!(comes, "who was not there can only come");
        }
        match member.state {
            State::Left(_) => members.remove(&session),
            State::Joined | State::Suspended => members.insert(session, view),
        };
    }

    fn deliver(&mut self, delivery: &Delivery) {
        let room = self.rooms.get(&*delivery.room);
        let from = room.and_then(|members| members.get(&delivery.from));
        // What was said in a meeting that a snapshot knows no more is of no use, and harms nobody.
        let is_of_this_meeting = from.is_some_and(|from| from.epoch == delivery.epoch);
        assert!(is_of_this_meeting || self.had_snapshot, "only of a meeting");
        let body: (u64, u64) = serde_json::from_str(delivery.body.get()).expect("as it was said");
        let (number, epoch) = body;
        assert_eq!(epoch, delivery.epoch, "said in this meeting");
        self.receive(delivery.from, number);
    }

    /// Something about a room has changed, beside its members.
    fn learn(&mut self, message: &Message) {
        match message {
            Message::Room(change) => {
                self.moves_on(&change.room, change.version);
                let room = change.room.to_string();
                self.locked.insert(room, change.settings.locked);
            }
            Message::State(change) => {
                self.moves_on(&change.room, change.version);
                self.change_state(&change.room, &change.entries);
            }
            Message::Knock(news) => self.hear_knock(news),
            _ => {}
        }
    }

    fn change_state(&mut self, room: &str, entries: &[Arc<StateEntry>]) {
        let state = self.state.entry(room.to_owned()).or_default();
        for entry in entries {
            let key = entry.key.to_string();
            let _ = match &entry.value {
                Some(value) => state.insert(key, (value.get().to_owned(), entry.version)),
                None => state.remove(&key),
            };
        }
    }

    fn hear_knock(&mut self, news: &KnockNews) {
        self.had_knock = true;
        assert_eq!(self.roles[&*news.room], Role::Host, "only who may let in");
        let waiting = self.knocks.entry(news.room.to_string()).or_default();
        match news.state {
            KnockState::Waiting => waiting.insert(news.profile.session),
            _ => waiting.remove(&news.profile.session),
        };
        assert!(waiting.len() < 5, "knocks are bounded");
    }

    fn settle(&mut self, receipt: &BroadcastReceipt) {
        let lost = receipt.undeliverable.iter().map(|(session, _)| *session);
        let settled = (receipt.delivered, lost.collect());
        let before = self.settled.insert(receipt.re, settled.clone());
        // After a snapshot it may come again, and says the same.
        assert!(before.is_none_or(|before| before == settled && self.had_snapshot));
    }

    /// Whatever one member says, to one or to all, comes in order and once.
    fn receive(&mut self, from: SessionId, number: u64) {
        let to = self.session().expect("who is told something is somebody");
        let before = self.received.iter().rev();
        let mut before = before.filter(|said| (said.0, said.1) == (from, to));
        if let Some(before) = before.next() {
            assert!(before.2 < number, "in order, and once");
        }
        self.received.push((from, to, number));
    }
}

fn id(member: &Member) -> SessionId {
    member.profile.session
}

fn view(member: &Member) -> View {
    View {
        polite: member.polite,
        epoch: member.epoch,
        role: member.role,
        suspended: member.state == State::Suspended,
    }
}
