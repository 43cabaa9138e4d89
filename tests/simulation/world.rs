//! The hub, the clients, and a network between them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use peerage::auth::Secret;
use peerage::signal::{
    Access, Close, Command, Config, ConnectionId, Ending, Event, Hello, Hub, Input, Kind, Message,
    Offset, Resumed, SessionId, Welcome,
};
use peerage::time::{Instant, Now};

use crate::kept;
use crate::ledger::Ledger;
use crate::person::{Person, Wish};
use crate::proof::Proof;
use crate::random::Random;
use crate::wire::Wire;

pub(crate) const ROOMS: [&str; 2] = ["blue", "green"];
pub(crate) const CLIENTS: usize = 5;
/// So many of them are strict, and the others are the library.
const STRICT: usize = 3;
const BROADCASTS: usize = 8;
/// After a snapshot there may be more: it, and what became of one's own words.
const MOST_KEPT: usize = kept::MESSAGES + 1 + 2 * CLIENTS + BROADCASTS;
/// How many messages the server hands to a connection that takes none of them.
const OUTBOX: usize = 40;

pub(crate) struct World {
    seed: u64,
    pub(crate) random: Random,
    pub(crate) hub: Hub,
    /// How many there have been before this one.
    servers: u8,
    pub(crate) now: Now,
    pub(crate) people: Vec<Person>,
    pub(crate) wires: BTreeMap<ConnectionId, Wire>,
    pub(crate) current: [Option<ConnectionId>; CLIENTS],
    /// Until when a client stays away, when it was not well last, and when it was heard last.
    pub(crate) away_until: [Instant; CLIENTS],
    pub(crate) troubled: [Instant; CLIENTS],
    pub(crate) heard: [Instant; CLIENTS],
    /// When it was forgetting to acknowledge last.
    pub(crate) forgot: [Option<Instant>; CLIENTS],
    /// Who each session ever was.
    pub(crate) owners: BTreeMap<SessionId, usize>,
    /// When each client has come back after a restart.
    pub(crate) restored: [Option<Instant>; CLIENTS],
    /// By what each client is known.
    proofs: [Proof; CLIENTS],
    next_connection: u64,
    /// On which connection a client says hello: what it is told there now is said again.
    greeting: Option<ConnectionId>,
    pub(crate) numbers: u64,
    pub(crate) ledger: Ledger,
    pub(crate) seen: BTreeMap<&'static str, u32>,
}

/// A hub that begins now and takes the tickets of those before it.
fn hub(now: Now, seed: u8) -> Hub {
    let config = Config {
        mailbox_messages: kept::MESSAGES,
        mailbox_bytes: kept::BYTES,
        broadcasts: BROADCASTS,
        room_members: CLIENTS - 1,
        ticket_keys: vec![Secret::new(
            "what every server of this world makes tickets with",
        )],
        started: now.unix,
        ..Config::default()
    };
    Hub::new(config, [seed; 32])
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "seed {}, at {:?}",
                self.seed,
                self.now.instant.since_start()
            );
        }
    }
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let now = Now::default().after(Duration::from_secs(1_000));
        let strict = (0..STRICT).map(|_| Person::strict());
        let libraries = (STRICT..CLIENTS).map(|index| Person::library(seed ^ index as u64));
        Self {
            seed,
            random: Random::new(seed),
            hub: hub(now, 0),
            servers: 0,
            now,
            people: strict.chain(libraries).collect(),
            wires: BTreeMap::new(),
            current: [None; CLIENTS],
            away_until: [now.instant; CLIENTS],
            troubled: [now.instant; CLIENTS],
            heard: [now.instant; CLIENTS],
            forgot: [None; CLIENTS],
            owners: BTreeMap::new(),
            restored: [None; CLIENTS],
            proofs: <[Proof; CLIENTS]>::default(),
            next_connection: 0,
            greeting: None,
            numbers: 0,
            ledger: Ledger::default(),
            seen: BTreeMap::new(),
        }
    }

    pub(crate) fn note(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// The server goes down and comes back; it knows its own tickets and nothing else. Whatever is
    /// on its way is lost, but for some that has left it before.
    pub(crate) fn restart(&mut self) {
        self.note("a restart");
        self.servers += 1;
        self.hub = hub(self.now, self.servers);
        self.ledger.restarted = Some(self.now.instant);
        self.troubled = [self.now.instant; CLIENTS];
        for proof in &mut self.proofs {
            proof.restarted(self.now.instant);
        }
        self.wires.retain(|_, wire| !wire.is_left);
        for wire in self.wires.values_mut() {
            let arrives = self.random.below(8);
            wire.up.clear();
            wire.down.truncate(arrives);
            wire.closed.get_or_insert(None);
        }
    }

    pub(crate) fn wire(&mut self, connection: ConnectionId) -> &mut Wire {
        self.wires.get_mut(&connection).expect("its wire is there")
    }

    /// The client has no connection any more. Whether the server sees it is the network's affair.
    pub(crate) fn leave_wire(&mut self, client: usize, is_seen: bool) {
        let Some(connection) = self.current[client].take() else {
            return;
        };
        let wire = self.wire(connection);
        wire.is_left = true;
        wire.up.clear();
        wire.down.clear();
        if is_seen && !wire.swallows_up {
            self.input(connection, Input::Closed);
            self.wires.remove(&connection);
        }
    }

    fn connect(&mut self, client: usize) {
        let hello = self.people[client].open(self.now.instant);
        let connection = self.open(client);
        self.current[client] = Some(connection);
        self.wire(connection).up = hello.into();
    }

    fn open(&mut self, client: usize) -> ConnectionId {
        let connection = ConnectionId(self.next_connection);
        self.next_connection += 1;
        let wire = Wire::new(client, self.now.instant);
        self.wires.insert(connection, wire);
        self.input(connection, Input::Open);
        connection
    }

    pub(crate) fn input(&mut self, connection: ConnectionId, input: Input) {
        self.hub.handle(connection, input, self.now);
        self.take_events();
    }

    /// Takes what a client wants to say or to be known.
    pub(crate) fn attend(&mut self, client: usize, commands: Vec<Command>) {
        if let Some(connection) = self.current[client] {
            self.wire(connection).up.extend(commands);
        }
        if let Some(session) = self.people[client].session() {
            let owner = self.owners.insert(session, client);
            assert!(
                owner.is_none_or(|owner| owner == client),
                "a session of its own"
            );
        }
        for news in self.people[client].take_news() {
            self.ledger.note(client, news, self.now.instant);
        }
        self.grant_wishes(client);
    }

    fn grant_wishes(&mut self, client: usize) {
        let now = self.now.instant;
        let is_connected = self.current[client].is_some();
        for wish in self.people[client].wishes(is_connected, now) {
            match wish {
                Wish::Drop => {
                    let is_seen = self.random.one_in(2);
                    self.leave_wire(client, is_seen);
                }
                Wish::Open if self.away_until[client] <= now => self.connect(client),
                // Nothing that it opens comes through.
                Wish::Open => self.people[client].end(None, now),
            }
        }
    }

    pub(crate) fn carry_up(&mut self, connection: ConnectionId) -> bool {
        let now = self.now.instant;
        let wire = self.wire(connection);
        let Some(command) = wire.up.pop_front() else {
            return false;
        };
        if wire.swallows_up {
            return true;
        }
        let client = wire.client;
        wire.heard = now;
        let is_greeting = matches!(command, Command::Hello(_));
        if let Command::Ack(seen) = command {
            wire.kept.acknowledge(seen, now);
        }
        if wire.closed.is_none() && !is_greeting {
            self.proofs[client].heard(now);
        }
        self.heard[client] = now;
        self.greeting = is_greeting.then_some(connection);
        self.say(connection, command);
        self.greeting = None;
        true
    }

    fn say(&mut self, connection: ConnectionId, command: Command) {
        let input = Input::Message {
            length: 100,
            command: Ok(command),
        };
        self.input(connection, input);
    }

    /// Somebody tries to go on with a client's session, with a token that has had its day.
    pub(crate) fn steal(&mut self, client: usize) {
        let Some(resume) = self.proofs[client].stolen() else {
            return;
        };
        self.note("a thief");
        let connection = self.open(client);
        let wire = self.wire(connection);
        (wire.is_thief, wire.is_left) = (true, true);
        let hello = Hello {
            version: 1,
            client: None,
            access: Access::Nothing,
            resume: Some(resume),
        };
        self.say(connection, Command::Hello(hello));
        self.say(connection, Command::Bye);
    }

    pub(crate) fn carry_down(&mut self, connection: ConnectionId) -> bool {
        let now = self.now;
        let wire = self.wire(connection);
        if wire.is_left || wire.stalled_until > now.instant {
            return false;
        }
        let (client, sent) = (wire.client, wire.down.pop_front());
        if wire.swallows_down {
            return sent.is_some();
        }
        let commands = match (sent, wire.closed.clone()) {
            (Some((offset, message)), _) => {
                if let Message::Welcome(welcome) = &*message
                    && welcome.resumed == Resumed::Restored
                {
                    self.restored[client] = Some(now.instant);
                }
                self.people[client].take(offset, &message, now.instant)
            }
            (None, Some(close)) => {
                self.current[client] = None;
                self.wires.remove(&connection);
                self.people[client].end(close, now.instant);
                Vec::new()
            }
            (None, None) => return false,
        };
        self.attend(client, commands);
        true
    }

    pub(crate) fn take_events(&mut self) {
        while let Some(event) = self.hub.poll_event() {
            match event {
                Event::Send {
                    connection,
                    offset,
                    message,
                } => self.sent(connection, offset, message),
                Event::Ping { connection, .. } => {
                    // A client that is there answers; what the network has swallowed nobody does.
                    if self.wire(connection).answers() {
                        self.wire(connection).heard = self.now.instant;
                        self.hub.handle(connection, Input::Alive, self.now);
                    }
                }
                Event::Close { connection, ending } => self.closed(connection, ending),
                // Nobody brings a token.
                Event::Redeemed(_) => {}
            }
        }
    }

    fn closed(&mut self, connection: ConnectionId, ending: Ending) {
        match ending.close {
            Close::Silent => self.note("a connection found dead"),
            Close::TooSlow => self.note("a slow reader"),
            _ => {}
        }
        let wire = self.wire(connection);
        assert!(wire.closed.replace(Some(ending)).is_none(), "closed once");
        if wire.is_left {
            self.wires.remove(&connection);
        }
    }

    fn sent(&mut self, connection: ConnectionId, offset: Option<Offset>, message: Arc<Message>) {
        let now = self.now.instant;
        let is_again = self.greeting == Some(connection);
        if let Message::Welcome(welcome) = &*message {
            self.welcomed(connection, welcome);
        }
        let wire = self.wire(connection);
        assert!(wire.closed.is_none(), "nothing follows a close");
        if let Some(offset) = offset {
            wire.kept.add(offset, &message, now);
            wire.kept.check_bound(is_again, MOST_KEPT);
        }
        let is_urgent = matches!(&*message, Message::Delivery(it) if it.kind != Kind::Candidate);
        if is_urgent && !is_again {
            wire.awaited = Some(now);
        }
        if wire.is_left {
            return;
        }
        wire.down.push_back((offset, message));
        if wire.down.len() > OUTBOX {
            self.hub.handle(connection, Input::Stalled, self.now);
        }
    }

    /// Who comes back in time has its session, and whoever has no proof of it has not.
    fn welcomed(&mut self, connection: ConnectionId, welcome: &Welcome) {
        let (client, is_thief) = {
            let wire = self.wire(connection);
            (wire.client, wire.is_thief)
        };
        let is_had = welcome.resumed != Resumed::None;
        if is_thief {
            assert!(!is_had, "a token of before is of no use");
            return;
        }
        let now = self.now.instant;
        let proof = &mut self.proofs[client];
        assert!(is_had || !proof.is_alive(now), "who is in time is had");
        proof.given(welcome.session, &welcome.token, is_had, now);
    }

    pub(crate) fn are_well(&self, client: usize) -> bool {
        let connection = self.current[client].and_then(|it| self.wires.get(&it));
        connection.is_some_and(|wire| wire.is_well(self.now.instant))
            && self.people[client].is_welcome()
    }
}
