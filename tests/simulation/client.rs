//! A client that keeps to the protocol, and holds the server to it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use peerage::auth::Secret;
use peerage::signal::{
    BroadcastReceipt, Command, Delivery, Directed, ForAll, Hello, Kind, Member, Message, Offset,
    Request, Resume, Resumed, Role, RoomSnapshot, SessionId, State, Welcome,
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
            Message::Snapshot { rooms } => {
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
            Message::Left { room, .. } => {
                assert!(self.rooms.remove(&**room).is_some());
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
            Message::Updated { .. } => {}
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
        self.roles.insert(name, room.standing.role);
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
            assert_eq!(
                member.state,
                State::Joined,
                "who was not there can only come"
            );
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
