//! A hub under virtual time, for the tests of its parts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;

use super::{
    Access, Close, Command, Config, ConnectionId, Directed, Event, ForAll, Grant, Hello, Hub,
    Input, Kind, Message, Offset, Redemption, Reject, Request, Resume, Resumed, SessionId,
};
use crate::auth::Secret;
use crate::time::Now;

pub(super) struct World {
    pub(super) hub: Hub,
    pub(super) now: Now,
    pub(super) closed: BTreeMap<ConnectionId, Close>,
    /// How long those who were closed were asked to stay away.
    pub(super) pauses: Vec<Duration>,
    /// What has been used of what is good once.
    pub(super) redeemed: Vec<Redemption>,
    got: BTreeMap<ConnectionId, Vec<Got>>,
    pings: BTreeMap<ConnectionId, u32>,
    connections: u64,
    requests: u64,
}

type Got = (Option<Offset>, Arc<Message>);

/// A client that has been welcomed.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) connection: ConnectionId,
    pub(super) session: SessionId,
    pub(super) token: Secret,
    pub(super) resumed: Resumed,
}

impl World {
    pub(super) fn new(config: Config) -> Self {
        Self {
            hub: Hub::new(config, [3; 32]),
            now: Now::default(),
            closed: BTreeMap::new(),
            pauses: Vec::new(),
            redeemed: Vec::new(),
            got: BTreeMap::new(),
            pings: BTreeMap::new(),
            connections: 0,
            requests: 0,
        }
    }

    /// The hub is gone with all that it knew, and another one begins now.
    pub(super) fn restart(&mut self, config: Config) {
        let started = self.now.unix;
        self.hub = Hub::new(Config { started, ..config }, [4; 32]);
        self.closed.clear();
        self.got.clear();
    }

    pub(super) fn open(&mut self) -> ConnectionId {
        self.connections += 1;
        let connection = ConnectionId(self.connections);
        self.input(connection, Input::Open);
        connection
    }

    pub(super) fn input(&mut self, connection: ConnectionId, input: Input) {
        self.hub.handle(connection, input, self.now);
        self.collect();
    }

    pub(super) fn say(&mut self, connection: ConnectionId, command: Command) {
        let input = Input::Message {
            length: 100,
            command: Ok(command),
        };
        self.input(connection, input);
    }

    pub(super) fn ask(&mut self, client: &Client, request: Request) {
        self.requests += 1;
        let id = self.requests;
        self.say(client.connection, Command::Request { id, request });
    }

    /// The id of the last request.
    pub(super) fn last_request(&self) -> u64 {
        self.requests
    }

    fn hello(&mut self, access: Access, resume: Option<Resume>) -> Client {
        let connection = self.say_hello(access, resume);
        let messages = self.got.get(&connection).expect("an answer");
        let Some((None, message)) = messages.first() else {
            panic!("no welcome: {messages:?}");
        };
        let Message::Welcome(welcome) = &**message else {
            panic!("no welcome: {message:?}");
        };
        Client {
            connection,
            session: welcome.session,
            token: welcome.token.clone(),
            resumed: welcome.resumed,
        }
    }

    pub(super) fn client(&mut self) -> Client {
        self.hello(Access::Nothing, None)
    }

    /// Opens a connection and says hello on it, whatever comes of it.
    pub(super) fn say_hello(&mut self, access: Access, resume: Option<Resume>) -> ConnectionId {
        let connection = self.open();
        let hello = Hello {
            version: 1,
            client: None,
            access,
            resume,
        };
        self.say(connection, Command::Hello(hello));
        connection
    }

    /// A client that has been let in by a token.
    pub(super) fn bearer(&mut self, grant: &Arc<Grant>) -> Client {
        self.hello(Access::Granted(Arc::clone(grant)), None)
    }

    /// The same, going on with a session.
    pub(super) fn bearer_resuming(&mut self, grant: &Arc<Grant>, client: &Client) -> Client {
        let session = client.session.to_string();
        let resume = Resume::new(&session, client.token.expose(), Offset(0));
        self.hello(Access::Granted(Arc::clone(grant)), Some(resume))
    }

    pub(super) fn resume(&mut self, client: &Client, seen: u64) -> Client {
        let session = client.session.to_string();
        let resume = Resume::new(&session, client.token.expose(), Offset(seen));
        self.hello(Access::Nothing, Some(resume))
    }

    pub(super) fn member(&mut self, room: &str) -> Client {
        let client = self.client();
        self.ask(&client, join(room));
        client
    }

    /// Moves time, and rings every timer on the way at its time.
    pub(super) fn wait(&mut self, duration: Duration) {
        let until = self.now.after(duration);
        while let Some(at) = self.hub.poll_timeout().filter(|&at| at <= until.instant) {
            self.now = self.now.after(at.saturating_since(self.now.instant));
            self.hub.handle_timeout(self.now);
            self.collect();
        }
        self.now = until;
    }

    pub(super) fn collect(&mut self) {
        while let Some(event) = self.hub.poll_event() {
            match event {
                Event::Send {
                    connection,
                    offset,
                    message,
                } => self
                    .got
                    .entry(connection)
                    .or_default()
                    .push((offset, message)),
                Event::Redeemed(redemption) => self.redeemed.push(redemption),
                Event::Ping { connection, .. } => *self.pings.entry(connection).or_default() += 1,
                Event::Close { connection, ending } => {
                    assert_eq!(self.closed.insert(connection, ending.close), None);
                    self.pauses.extend(ending.after);
                }
            }
        }
    }

    /// How often a connection has been asked whether it lives.
    pub(super) fn pings(&self, connection: ConnectionId) -> u32 {
        self.pings.get(&connection).copied().unwrap_or_default()
    }

    /// What has been sent on a connection since this was last asked.
    pub(super) fn got(&mut self, connection: ConnectionId) -> Vec<Arc<Message>> {
        let got = self.got.remove(&connection).unwrap_or_default();
        got.into_iter().map(|(_, message)| message).collect()
    }

    /// The positions of what has been sent on a connection since it was last asked.
    pub(super) fn offsets(&mut self, connection: ConnectionId) -> Vec<u64> {
        let got = self.got.remove(&connection).unwrap_or_default();
        let offsets = got.into_iter().filter_map(|(offset, _)| offset);
        offsets.map(|offset| offset.0).collect()
    }

    /// The epoch of the pair that a client met last, or was met by.
    pub(super) fn epoch(&mut self, client: &Client) -> u64 {
        let got = self.got(client.connection);
        let epoch = got.iter().rev().find_map(|message| match &**message {
            Message::Joined { room, .. } => room.members.last().map(|member| member.epoch),
            Message::Presence { member, .. } => Some(member.epoch),
            _ => None,
        });
        epoch.expect("it has met somebody")
    }

    /// The last error that a client has been told.
    pub(super) fn error(&mut self, client: &Client) -> Option<Reject> {
        let got = self.got(client.connection);
        got.iter().rev().find_map(|message| match &**message {
            Message::Error(rejection) => Some(rejection.reject),
            _ => None,
        })
    }
}

pub(super) fn join(room: &str) -> Request {
    Request::Join {
        room: room.into(),
        name: None,
        data: None,
        meetings: Vec::new(),
        knock: false,
    }
}

pub(super) fn knock(room: &str) -> Request {
    Request::Join {
        room: room.into(),
        name: None,
        data: None,
        knock: true,
        meetings: Vec::new(),
    }
}

pub(super) fn leave(room: &str) -> Request {
    Request::Leave { room: room.into() }
}

pub(super) fn offer(room: &str, to: &Client, epoch: u64) -> Request {
    Request::Directed(Directed {
        kind: Kind::Offer,
        room: room.into(),
        to: Some(to.session),
        epoch,
        number: None,
        body: RawValue::from_string("1".to_owned()).expect("JSON"),
    })
}

pub(super) fn broadcast(room: &str) -> Request {
    Request::Broadcast(ForAll {
        room: room.into(),
        number: None,
        body: RawValue::from_string("1".to_owned()).expect("JSON"),
    })
}
