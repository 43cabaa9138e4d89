//! A random walk: clients join, leave, speak, lock, knock and are put out; a model of who is a
//! member says whom the hub may tell anything, and whom it must.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use peerage::signal::{
    Access, Command, Config, ConnectionId, Directed, Event, ForAll, Hello, Hub, Input, Kind,
    Message, Reject, Request, SessionId, SetState,
};
use peerage::time::Now;
use serde_json::value::RawValue;

use crate::membership::Membership;
use crate::random::Random;

const ROOMS: [&str; 4] = ["blue", "green", "red", "none"];
const CLIENTS: usize = 14;
const MOST: usize = 6;

struct Person {
    connection: ConnectionId,
    session: SessionId,
    /// The epochs that it has been told, by room and member.
    epochs: BTreeMap<(String, SessionId), u64>,
    requests: u64,
}

type Told = (SessionId, Arc<Message>);

pub(crate) struct Walk {
    random: Random,
    hub: Hub,
    now: Now,
    people: Vec<Person>,
    model: Membership,
    connections: u64,
    /// What an operation has had said to whom.
    told: Vec<Told>,
    pub(crate) seen: BTreeMap<&'static str, u64>,
}

impl Walk {
    pub(crate) fn new(seed: u64) -> Self {
        let config = Config {
            room_members: MOST,
            empty_room_life: Duration::ZERO,
            messages_per_second: u32::MAX,
            message_burst: u32::MAX,
            bytes_per_second: u32::MAX,
            byte_burst: u32::MAX,
            ..Config::default()
        };
        let mut walk = Self {
            random: Random::new(seed),
            hub: Hub::new(config, [5; 32]),
            now: Now::default(),
            people: Vec::new(),
            model: Membership::new(MOST),
            connections: 0,
            told: Vec::new(),
            seen: BTreeMap::new(),
        };
        for _ in 0..CLIENTS {
            let person = walk.come();
            walk.people.push(person);
        }
        walk
    }

    /// Somebody connects.
    fn come(&mut self) -> Person {
        self.connections += 1;
        let connection = ConnectionId(self.connections);
        self.hub.handle(connection, Input::Open, self.now);
        let hello = Command::Hello(Hello {
            version: 1,
            client: None,
            access: Access::Nothing,
            resume: None,
        });
        self.hub.handle(connection, input(hello), self.now);
        let Some(Event::Send { message, .. }) = self.hub.poll_event() else {
            panic!("a welcome");
        };
        let Message::Welcome(welcome) = &*message else {
            panic!("not a welcome: {message:?}");
        };
        Person {
            connection,
            session: welcome.session,
            epochs: BTreeMap::new(),
            requests: 0,
        }
    }

    /// One operation, and whether the hub has told the right people.
    pub(crate) fn step(&mut self) {
        self.now = self.now.after(Duration::from_micros(50));
        let who = self.random.below(CLIENTS);
        let room = ROOMS[self.random.below(ROOMS.len())];
        let other = self.people[self.random.below(CLIENTS)].session;
        let me = self.people[who].session;
        match self.random.below(40) {
            0..=5 => {
                let knock = self.random.one_in(2);
                self.model.join(me, room, knock);
                self.ask(who, join(room, knock));
            }
            6 | 7 => {
                self.model.leave(me, room);
                self.ask(who, Request::Leave { room: room.into() });
            }
            8 if self.random.one_in(4) => self.go(who),
            9 | 10 => {
                let locked = self.random.one_in(2);
                self.model.lock(me, room, locked);
                self.ask(who, set_room(room, locked));
            }
            11..=14 => self.look_after(who, room),
            15 => {
                self.model.remove(me, room, other);
                let (room, session, bar) = (room.into(), Some(other), false);
                self.ask(who, Request::Remove { room, session, bar });
            }
            16..=20 => self.guess(who, room, other),
            21..=26 => self.broadcast(who, room),
            27..=29 => self.set_state(who, room),
            _ => self.say(who, room, other),
        }
        self.check_all();
    }

    /// Somebody ends its session, and somebody else comes.
    fn go(&mut self, who: usize) {
        self.count("a goodbye");
        self.model.end(self.people[who].session);
        let connection = self.people[who].connection;
        self.hub.handle(connection, input(Command::Bye), self.now);
        self.collect();
        self.people[who] = self.come();
    }

    /// Whoever knocks is let in or sent away, by somebody who may or may not do that.
    fn look_after(&mut self, who: usize, room: &'static str) {
        let me = self.people[who].session;
        let Some(&knocker) = self.model.room(room).knocking.first() else {
            return;
        };
        let (name, session) = (room.into(), Some(knocker));
        let request = if self.random.one_in(3) {
            self.model.deny(me, room, knocker);
            let (room, bar) = (name, false);
            Request::Deny { room, session, bar }
        } else {
            self.model.admit(me, room, knocker);
            Request::Admit {
                room: name,
                session,
            }
        };
        self.ask(who, request);
    }

    /// Whoever guesses the session of somebody who is not in the room learns nothing, not even
    /// whether there is such a session.
    fn guess(&mut self, who: usize, room: &'static str, other: SessionId) {
        if self.model.room(room).has(other) {
            return;
        }
        self.count("a guess");
        let nobody = SessionId::parse("6f0c7c1e-5d0b-4c55-9a3e-1f6c2f6f3c11");
        let choice = self.random.below(4);
        let answers = [Some(other), nobody].map(|session| {
            let room: Box<str> = room.into();
            let epoch = 1;
            let request = match choice {
                0 => Request::Remove {
                    room,
                    session,
                    bar: false,
                },
                1 => Request::SetRole {
                    room,
                    session,
                    role: peerage::signal::Role::Host,
                },
                _ => directed(room, session, epoch),
            };
            self.ask(who, request);
            let told = std::mem::take(&mut self.told);
            let [(to, answer)] = &told[..] else {
                panic!("one answer, and to the one who asks: {told:?}");
            };
            assert_eq!(*to, self.people[who].session);
            refusal(answer).expect("refused")
        });
        assert_eq!(answers[0], answers[1], "no answer tells who there is");
    }

    fn broadcast(&mut self, who: usize, room: &'static str) {
        let me = self.people[who].session;
        let said = ForAll {
            room: room.into(),
            number: None,
            body: RawValue::from_string("1".to_owned()).expect("JSON"),
        };
        self.ask(who, Request::Broadcast(said));
        let members = self.model.room(room).members;
        let is_member = members.contains(&me);
        let others = members.into_iter().filter(|it| is_member && *it != me);
        self.expect("a broadcast", others.collect(), |message| {
            matches!(message, Message::Broadcast(it) if it.from == me && &*it.room == room)
        });
    }

    fn set_state(&mut self, who: usize, room: &'static str) {
        let me = self.people[who].session;
        let value = RawValue::from_string(self.connections.to_string()).expect("JSON");
        self.ask(
            who,
            Request::SetState(SetState {
                room: room.into(),
                key: "k".into(),
                value: Some(value),
                expires_in: None,
                while_present: false,
                if_version: None,
            }),
        );
        let members = self.model.room(room).members;
        let is_member = members.contains(&me);
        let members = members.into_iter().filter(|_| is_member).collect();
        self.expect(
            "some state",
            members,
            |message| matches!(message, Message::State(it) if &*it.room == room),
        );
    }

    fn say(&mut self, who: usize, room: &'static str, to: SessionId) {
        let me = self.people[who].session;
        let known = self.people[who].epochs.get(&(room.to_owned(), to));
        let epoch = known.copied().unwrap_or(1);
        self.ask(who, directed(room.into(), Some(to), epoch));
        let members = self.model.room(room);
        let is_allowed = members.has(me) && members.has(to) && to != me;
        let to = is_allowed.then_some(to);
        self.expect("something said", to.into_iter().collect(), |message| {
            matches!(message, Message::Delivery(it) if it.from == me && &*it.room == room)
        });
    }

    /// These, and nobody else, are told this.
    fn expect(
        &mut self,
        what: &'static str,
        mut whom: Vec<SessionId>,
        is_it: impl Fn(&Message) -> bool,
    ) {
        let told = self.told.iter().filter(|(_, message)| is_it(message));
        let mut told: Vec<_> = told.map(|(to, _)| *to).collect();
        told.sort_unstable();
        whom.sort_unstable();
        assert_eq!(told, whom, "{what}");
        if !whom.is_empty() {
            self.count(what);
        }
    }

    fn ask(&mut self, who: usize, request: Request) {
        let person = &mut self.people[who];
        person.requests += 1;
        let id = person.requests;
        let command = Command::Request { id, request };
        let connection = person.connection;
        self.hub.handle(connection, input(command), self.now);
        self.collect();
    }

    /// Takes what the hub says. Everybody acknowledges at once, and answers pings.
    fn collect(&mut self) {
        if self
            .hub
            .poll_timeout()
            .is_some_and(|at| at <= self.now.instant)
        {
            self.hub.handle_timeout(self.now);
        }
        while let Some(event) = self.hub.poll_event() {
            let (Event::Send { connection, .. }
            | Event::Ping { connection, .. }
            | Event::Close { connection, .. }) = event
            else {
                unreachable!("nobody brings a token: {event:?}");
            };
            let mut people = self.people.iter_mut();
            let person = people.find(|it| it.connection == connection);
            let person = person.expect("everybody is there");
            match event {
                Event::Send {
                    offset, message, ..
                } => {
                    person.learn(&message);
                    self.told.push((person.session, message));
                    if let Some(offset) = offset {
                        let ack = input(Command::Ack(offset));
                        self.hub.handle(connection, ack, self.now);
                    }
                }
                Event::Ping { .. } => self.hub.handle(connection, Input::Alive, self.now),
                Event::Close { .. } | Event::Redeemed(_) => {}
            }
        }
    }

    /// Nobody is told anything of a room in which it is not, as the model has it now.
    fn check_all(&mut self) {
        for (to, message) in std::mem::take(&mut self.told) {
            let Some(name) = room_of(&message) else {
                continue;
            };
            let room = self.model.room(name);
            assert!(room.has(to), "{to} is told of {name}: {message:?}");
            match &*message {
                Message::Joined { room: account, .. } => {
                    let mut members: Vec<_> = account.members.iter().map(id).collect();
                    members.push(to);
                    assert_eq!(members, room.members, "{name}");
                    self.count("a join");
                }
                Message::Knock(_) => {
                    assert_eq!(room.host, Some(to), "only who may let in");
                    self.count("a knock");
                }
                Message::Role(_) => self.count("another host"),
                _ => {}
            }
        }
    }

    fn count(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }
}

impl Person {
    fn learn(&mut self, message: &Message) {
        match message {
            Message::Joined { room, .. } => {
                for member in &room.members {
                    let key = (room.room.to_string(), id(member));
                    self.epochs.insert(key, member.epoch);
                }
            }
            Message::Presence { room, member, .. } => {
                let key = (room.to_string(), id(member));
                self.epochs.insert(key, member.epoch);
            }
            _ => {}
        }
    }
}

fn id(member: &peerage::signal::Member) -> SessionId {
    member.profile.session
}

/// The room that a message tells its members of.
fn room_of(message: &Message) -> Option<&str> {
    match message {
        Message::Joined { room, .. } => Some(&room.room),
        Message::Presence { room, .. }
        | Message::Done { room, .. }
        | Message::Updated { room, .. } => Some(room),
        Message::Knock(it) => Some(&it.room),
        Message::Room(it) => Some(&it.room),
        Message::State(it) => Some(&it.room),
        Message::Role(it) => Some(&it.room),
        Message::Delivery(it) => Some(&it.room),
        Message::Broadcast(it) => Some(&it.room),
        Message::BroadcastDelivered(it) => Some(&it.room),
        _ => None,
    }
}

fn refusal(message: &Message) -> Option<Reject> {
    match message {
        Message::Error(rejection) => Some(rejection.reject),
        _ => None,
    }
}

fn input(command: Command) -> Input {
    Input::Message {
        length: 10,
        command: Ok(command),
    }
}

fn join(room: &str, knock: bool) -> Request {
    Request::Join {
        room: room.into(),
        name: None,
        data: None,
        meetings: Vec::new(),
        knock,
    }
}

fn set_room(room: &str, locked: bool) -> Request {
    Request::SetRoom {
        room: room.into(),
        locked: Some(locked),
        limit: None,
        duplicates: None,
    }
}

fn directed(room: Box<str>, to: Option<SessionId>, epoch: u64) -> Request {
    Request::Directed(Directed {
        kind: Kind::Candidate,
        room,
        to,
        epoch,
        number: None,
        body: RawValue::from_string("1".to_owned()).expect("JSON"),
    })
}
