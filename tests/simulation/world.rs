//! The hub, the clients, and a network between them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use peerage::signal::{
    Command, Config, ConnectionId, Event, Hub, Input, Message, Offset, Reject, Role, SessionId,
};
use peerage::time::Now;

use crate::client::{Client, Said};
use crate::random::Random;

const ROOMS: [&str; 2] = ["blue", "green"];
const CLIENTS: usize = 5;
const MAILBOX: usize = 24;
/// After a snapshot there may be more: it, and what became of one's own words.
const MOST_KEPT: usize = MAILBOX + 1 + 2 * CLIENTS;

/// A connection as the network knows it. A cut loses what is on its way.
#[derive(Default)]
struct Wire {
    client: usize,
    up: VecDeque<Command>,
    down: VecDeque<(Option<Offset>, Arc<Message>)>,
    /// The client has given it up, and the server has not learnt of it.
    is_cut: bool,
    /// The server has closed it.
    is_closed: bool,
    /// What the server has sent on it and has not seen acknowledged.
    unacknowledged: BTreeSet<u64>,
}

pub(crate) struct World {
    seed: u64,
    random: Random,
    hub: Hub,
    now: Now,
    clients: Vec<Client>,
    wires: BTreeMap<ConnectionId, Wire>,
    current: [Option<ConnectionId>; CLIENTS],
    next_connection: u64,
    /// What was said, with the id of the message, and what the server has refused.
    said: BTreeMap<(SessionId, u64), Said>,
    /// The number of each broadcast.
    broadcasts: BTreeMap<(SessionId, u64), u64>,
    /// What the server has taken in.
    arrived: BTreeSet<(SessionId, u64)>,
    refused: BTreeSet<(SessionId, u64)>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let config = Config {
            mailbox_messages: MAILBOX,
            room_members: CLIENTS - 1,
            ..Config::default()
        };
        Self {
            seed,
            random: Random::new(seed),
            hub: Hub::new(config, [9; 32]),
            now: Now::default(),
            clients: (0..CLIENTS).map(|_| Client::default()).collect(),
            wires: BTreeMap::new(),
            current: [None; CLIENTS],
            next_connection: 0,
            said: BTreeMap::new(),
            broadcasts: BTreeMap::new(),
            arrived: BTreeSet::new(),
            refused: BTreeSet::new(),
        }
    }

    pub(crate) fn run(&mut self, steps: usize) {
        for _ in 0..steps {
            let client = self.random.below(CLIENTS);
            match self.current[client] {
                None => self.connect(client),
                Some(connection) => self.act(client, connection),
            }
            self.carry_some();
            self.pass_time();
        }
    }

    fn connect(&mut self, client: usize) {
        let connection = ConnectionId(self.next_connection);
        self.next_connection += 1;
        self.current[client] = Some(connection);
        self.clients[client].is_welcome = false;
        let wire = Wire {
            client,
            up: VecDeque::from([self.clients[client].hello()]),
            ..Wire::default()
        };
        self.wires.insert(connection, wire);
        self.hub.handle(connection, Input::Open, self.now);
        self.take_events();
    }

    fn act(&mut self, client: usize, connection: ConnectionId) {
        if self.random.one_in(12) {
            return self.cut(client, connection);
        }
        if !self.clients[client].is_welcome {
            return;
        }
        let room = ROOMS[self.random.below(ROOMS.len())];
        let command = match self.random.below(16) {
            0 => self.clients[client].leave(room),
            1 => self.clients[client].update(room),
            2 | 3 => self.clients[client].ack(),
            4..=6 if !self.clients[client].rooms.contains_key(room) => {
                self.clients[client].join(room)
            }
            12 | 13 if self.clients[client].rooms.contains_key(room) => {
                let choice = self.random.below(60);
                self.clients[client].set_state(room, choice)
            }
            14 | 15 => match self.look_after(client, room) {
                Some(command) => command,
                None => return,
            },
            10 | 11 if self.clients[client].rooms.contains_key(room) => {
                self.broadcast(client, room)
            }
            _ => match self.say(client, room) {
                Some(command) => command,
                None => return,
            },
        };
        self.wire(connection).up.push_back(command);
    }

    fn say(&mut self, client: usize, room: &str) -> Option<Command> {
        let members = self.clients[client].rooms.get(room)?;
        let index = self.random.below(members.len().max(1));
        let (&to, view) = members.iter().nth(index)?;
        let epoch = view.epoch;
        let from = self.clients[client].session()?;
        let (number, command) = self.clients[client].say(room, to, epoch);
        let id = command.id().expect("it has one");
        self.said.insert((from, id), (from, to, number));
        Some(command)
    }

    /// What a host does now and then. A locked room is mostly unlocked again.
    fn look_after(&mut self, client: usize, room: &str) -> Option<Command> {
        let locks = self.random.one_in(3);
        let choice = self.random.below(12);
        let client = &mut self.clients[client];
        match choice {
            0 => client.remove(room),
            1..=3 if client.rooms.contains_key(room) => Some(client.set_room(room, locks)),
            _ => client.answer_knock(room, choice > 5),
        }
    }

    fn broadcast(&mut self, client: usize, room: &str) -> Command {
        let (number, command) = self.clients[client].broadcast(room);
        let from = self.clients[client].session().expect("a member");
        let id = command.id().expect("it has one");
        self.broadcasts.insert((from, id), number);
        command
    }

    /// The client has lost its connection; sometimes the server sees it at once.
    fn cut(&mut self, client: usize, connection: ConnectionId) {
        self.current[client] = None;
        let server_sees_it = self.random.one_in(2);
        let wire = self.wire(connection);
        wire.is_cut = true;
        wire.up.clear();
        wire.down.clear();
        if server_sees_it {
            self.hub.handle(connection, Input::Closed, self.now);
            self.take_events();
        }
    }

    fn wire(&mut self, connection: ConnectionId) -> &mut Wire {
        self.wires
            .get_mut(&connection)
            .expect("wires are kept to the end")
    }

    /// Carries some of what is on its way, in either direction.
    fn carry_some(&mut self) {
        let connections: Vec<_> = self.wires.keys().copied().collect();
        for connection in connections {
            for _ in 0..self.random.below(4) {
                self.carry_up(connection);
                self.carry_down(connection);
            }
        }
    }

    fn carry_up(&mut self, connection: ConnectionId) -> bool {
        let wire = self.wire(connection);
        let client = wire.client;
        let Some(command) = wire.up.pop_front() else {
            return false;
        };
        if let Command::Ack(seen) = command {
            wire.unacknowledged.retain(|&offset| offset > seen.0);
        }
        let is_known = !wire.is_closed;
        let session = self.clients[client].session();
        if let (Some(session), Some(id), true) = (session, command.id(), is_known) {
            self.arrived.insert((session, id));
        }
        let input = Input::Message {
            length: 100,
            command: Ok(command),
        };
        self.hub.handle(connection, input, self.now);
        self.take_events();
        true
    }

    fn carry_down(&mut self, connection: ConnectionId) -> bool {
        let wire = self.wire(connection);
        let client = wire.client;
        let Some((offset, message)) = wire.down.pop_front() else {
            if wire.is_closed && self.current[client] == Some(connection) {
                self.current[client] = None;
            }
            return false;
        };
        let answers = self.clients[client].take(offset, &message);
        self.wire(connection).up.extend(answers);
        true
    }

    fn take_events(&mut self) {
        while let Some(event) = self.hub.poll_event() {
            match event {
                Event::Send {
                    connection,
                    offset,
                    message,
                } => self.sent(connection, offset, message),
                Event::Ping { connection } => self.pinged(connection),
                Event::Close { connection, .. } => self.wire(connection).is_closed = true,
            }
        }
    }

    /// A client that is there answers; what the network has swallowed nobody does.
    fn pinged(&mut self, connection: ConnectionId) {
        if !self.wire(connection).is_cut {
            self.hub.handle(connection, Input::Alive, self.now);
        }
    }

    fn sent(&mut self, connection: ConnectionId, offset: Option<Offset>, message: Arc<Message>) {
        let wire = self.wires.get_mut(&connection).expect("a wire");
        assert!(!wire.is_closed, "nothing follows a close");
        if let Some(offset) = offset {
            assert!(wire.unacknowledged.insert(offset.0));
            assert!(
                wire.unacknowledged.len() <= MOST_KEPT,
                "a mailbox is bounded"
            );
        }
        if let Message::Error(rejection) = &*message {
            assert_ne!(rejection.reject, Reject::Malformed);
            let session = self.clients[wire.client].session();
            if let (Some(session), Some(re)) = (session, rejection.re) {
                self.refused.insert((session, re));
            }
        }
        if !wire.is_cut {
            wire.down.push_back((offset, message));
        }
    }

    fn pass_time(&mut self) {
        let milliseconds = match self.random.below(40) {
            0 => 61_000,
            1 | 2 => 20_000,
            other => other * 10,
        };
        let until = self.now.after(Duration::from_millis(milliseconds as u64));
        while let Some(at) = self.hub.poll_timeout().filter(|&at| at <= until.instant) {
            let rest = at.saturating_since(self.now.instant);
            self.now = self.now.after(rest);
            self.hub.handle_timeout(self.now);
            self.take_events();
        }
        self.now = until;
    }

    /// Cuts nothing more, and carries everything until all is quiet.
    pub(crate) fn heal(&mut self) {
        loop {
            for client in 0..CLIENTS {
                if self.current[client].is_none() {
                    self.connect(client);
                }
            }
            let connections: Vec<_> = self.wires.keys().copied().collect();
            let mut is_quiet = true;
            for connection in connections {
                while self.carry_up(connection) || self.carry_down(connection) {
                    is_quiet = false;
                }
                self.acknowledge(connection);
            }
            // Acknowledgements have brought receipts.
            is_quiet &= self.wires.values().all(|wire| wire.down.is_empty());
            if is_quiet && self.current.iter().all(Option::is_some) {
                return;
            }
        }
    }

    fn acknowledge(&mut self, connection: ConnectionId) {
        let client = self.wire(connection).client;
        if self.current[client] == Some(connection) && self.clients[client].is_welcome {
            let ack = self.clients[client].ack();
            self.wire(connection).up.push_back(ack);
            self.carry_up(connection);
        }
    }

    pub(crate) fn check(&self) {
        self.check_views();
        self.check_deliveries();
        self.check_receipts();
        self.check_broadcasts();
    }

    /// Everybody sees the same rooms, and each pair agrees on its roles and its epoch.
    fn check_views(&self) {
        let seed = self.seed;
        for room in ROOMS {
            let members: Vec<_> = self
                .clients
                .iter()
                .filter_map(|client| Some((client.session()?, client.rooms.get(room)?)))
                .collect();
            self.check_roles(room);
            self.check_state(room);
            for (session, view) in &members {
                assert_eq!(view.len() + 1, members.len(), "seed {seed}: no ghosts");
                for (other, others_view) in members.iter().filter(|(other, _)| other != session) {
                    let (mine, theirs) = (view[other], others_view[session]);
                    assert_eq!(mine.epoch, theirs.epoch, "seed {seed}");
                    assert_ne!(mine.polite, theirs.polite, "seed {seed}");
                    assert!(!mine.suspended, "seed {seed}: all are back");
                }
            }
        }
    }

    /// A room has a host, and everybody is what the others think it is.
    fn check_roles(&self, room: &str) {
        let seed = self.seed;
        let inside = |client: &&Client| client.rooms.contains_key(room);
        let inside: Vec<_> = self.clients.iter().filter(inside).collect();
        let role = |client: &&Client| client.roles[room];
        let hosts = inside.iter().filter(|it| role(it) == Role::Host).count();
        assert_eq!(hosts, usize::from(!inside.is_empty()), "seed {seed}: one");
        for (one, other) in inside
            .iter()
            .flat_map(|one| inside.iter().map(move |it| (one, it)))
        {
            let view = one.rooms[room].get(&other.session().expect("welcome"));
            assert!(
                view.is_none_or(|view| view.role == role(other)),
                "seed {seed}"
            );
        }
    }

    /// All members see the same state and the same lock.
    fn check_state(&self, room: &str) {
        let seed = self.seed;
        let inside = |client: &&Client| client.rooms.contains_key(room);
        let mut inside = self.clients.iter().filter(inside);
        let Some(first) = inside.next() else { return };
        for client in inside {
            assert_eq!(client.state.get(room), first.state.get(room), "seed {seed}");
            assert_eq!(client.locked[room], first.locked[room], "seed {seed}");
        }
    }

    /// All that was taken in and not refused has arrived, if the addressee is still who it was.
    fn check_deliveries(&self) {
        let received: BTreeSet<Said> = self.received().into_iter().collect();
        let alive: BTreeSet<_> = self.clients.iter().filter_map(Client::session).collect();
        for (key, said) in &self.said {
            if self.arrived.contains(key) && !self.refused.contains(key) && alive.contains(&said.1)
            {
                assert!(received.contains(said), "seed {}: lost {said:?}", self.seed);
            }
        }
    }

    /// Who has said something that was taken in knows whether it has arrived, and is right.
    fn check_receipts(&self) {
        let received: BTreeSet<Said> = self.received().into_iter().collect();
        for (key, said) in &self.said {
            let mut senders = self.clients.iter();
            let sender = senders.find(|client| client.session() == Some(key.0));
            let Some(sender) = sender else { continue };
            if !self.arrived.contains(key) || self.refused.contains(key) {
                continue;
            }
            let through = sender.delivered.get(&said.1).copied();
            let is_delivered = through.is_some_and(|through| key.1 <= through);
            let is_given_up = sender.undeliverable.contains(&said.1);
            let seed = self.seed;
            assert!(
                is_delivered || is_given_up,
                "seed {seed}: unresolved {said:?}"
            );
            assert!(
                !is_delivered || received.contains(said),
                "seed {seed}: {said:?}"
            );
        }
    }

    /// Whoever has got a broadcast is counted in its receipt, or its session has ended before it
    /// could say so; whoever is counted has got it.
    fn check_broadcasts(&self) {
        let received: BTreeSet<Said> = self.received().into_iter().collect();
        let mut got: BTreeMap<(SessionId, u64), Vec<SessionId>> = BTreeMap::new();
        for (from, to, number) in received {
            got.entry((from, number)).or_default().push(to);
        }
        for (key, number) in &self.broadcasts {
            let mut senders = self.clients.iter();
            let sender = senders.find(|client| client.session() == Some(key.0));
            let Some(sender) = sender else { continue };
            if !self.arrived.contains(key) || self.refused.contains(key) {
                continue;
            }
            let seed = self.seed;
            let Some((delivered, lost)) = sender.settled.get(&key.1) else {
                panic!("seed {seed}: unsettled {key:?}");
            };
            let got = got.get(&(key.0, *number)).cloned().unwrap_or_default();
            let counted = got.iter().filter(|to| !lost.contains(to)).count();
            assert_eq!(counted, *delivered, "seed {seed}: {key:?}");
        }
    }

    /// What has happened in this world at all.
    pub(crate) fn seen(&self) -> [(&'static str, bool); 8] {
        let lost = |client: &Client| client.settled.values().any(|(_, lost)| !lost.is_empty());
        let any = |has: fn(&Client) -> bool| self.clients.iter().any(has);
        [
            ("a snapshot", any(|client| client.had_snapshot)),
            ("a former session", any(|client| !client.former.is_empty())),
            ("a receipt", any(|client| !client.delivered.is_empty())),
            ("an end", any(|client| !client.undeliverable.is_empty())),
            ("a broadcast", any(|client| !client.settled.is_empty())),
            ("a knock", any(|client| client.had_knock)),
            (
                "some state",
                any(|client| client.state.values().any(|it| !it.is_empty())),
            ),
            ("a loss", self.clients.iter().any(lost)),
        ]
    }

    pub(crate) fn received(&self) -> Vec<Said> {
        let clients = self.clients.iter();
        clients.flat_map(|client| client.received.clone()).collect()
    }
}
