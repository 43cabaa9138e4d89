//! What clients say.

use std::time::Duration;

use serde_json::value::RawValue;

use super::access::Access;
use super::message::Kind;
use super::settings::Duplicates;
use super::{Offset, Rejection, Role, SessionId};
use crate::auth::Secret;

/// One message of a client, as the dialect has read it.
#[derive(Clone, Debug)]
pub enum Command {
    /// The first message of every connection.
    Hello(Hello),
    /// Everything up to and including this has arrived.
    Ack(Offset),
    /// Does the connection still live?
    Ping,
    /// The session ends.
    Bye,
    /// What is applied once.
    Request {
        /// The client counts it up.
        id: u64,
        /// What is asked for.
        request: Request,
    },
}

impl Command {
    /// The client's id of this message, if it is of a kind that has one.
    #[must_use]
    pub fn id(&self) -> Option<u64> {
        match self {
            Self::Request { id, .. } => Some(*id),
            _ => None,
        }
    }
}

/// The first message of a connection.
#[derive(Clone, Debug)]
pub struct Hello {
    /// The version of the protocol.
    pub version: u64,
    /// What the client says it is, for the log.
    pub client: Option<Box<str>>,
    /// The access token.
    pub access: Access,
    /// The session to go on with.
    pub resume: Option<Resume>,
}

/// A session to go on with.
#[derive(Clone, Debug)]
pub struct Resume {
    /// The session; `None` if what was written is no session's id.
    pub session: Option<SessionId>,
    /// The proof of being it.
    pub token: Secret,
    /// The last that has been taken in.
    pub seen: Offset,
}

impl Resume {
    /// Reads what a client wrote: a session's id and the proof of being it. No form of them is an
    /// error here; what cannot be had is answered with a new session.
    #[must_use]
    pub fn new(session: &str, token: &str, seen: Offset) -> Self {
        Self {
            session: SessionId::parse(session),
            token: Secret::new(token),
            seen,
        }
    }
}

/// What is applied once, by its id.
#[derive(Clone, Debug)]
pub enum Request {
    /// Show another access token.
    Authorize(Access),
    /// Become a member of a room.
    Join {
        /// The room.
        room: Box<str>,
        /// What others see.
        name: Option<Box<str>>,
        /// What others are to know.
        data: Option<Box<RawValue>>,
        /// With whom the client was there before a restart, and has a connection to still.
        meetings: Vec<Meeting>,
        /// Whether to wait at the door if the room is locked.
        knock: bool,
    },
    /// Change what others see and know; what is `None` stays.
    Update {
        /// The room.
        room: Box<str>,
        /// What others see.
        name: Option<Box<str>>,
        /// What others are to know.
        data: Option<Box<RawValue>>,
    },
    /// Be a member no more.
    Leave {
        /// The room.
        room: Box<str>,
    },
    /// Lock or unlock a room, and bound its members; what is `None` stays.
    SetRoom {
        /// The room.
        room: Box<str>,
        /// Whether who wants to come in has to knock.
        locked: Option<bool>,
        /// How many members it may have; `Some(None)` is as many as the server allows.
        limit: Option<Option<usize>>,
        /// What becomes of a second session of a subject.
        duplicates: Option<Duplicates>,
    },
    /// Give a member another role.
    SetRole {
        /// The room.
        room: Box<str>,
        /// The member; `None` if what was written is no session's id.
        session: Option<SessionId>,
        /// What it is to be.
        role: Role,
    },
    /// Put a member out of the room.
    Remove {
        /// The room.
        room: Box<str>,
        /// The member; `None` if what was written is no session's id.
        session: Option<SessionId>,
        /// Whether it may not come back.
        bar: bool,
    },
    /// Let somebody in who knocks.
    Admit {
        /// The room.
        room: Box<str>,
        /// Who knocks; `None` if what was written is no session's id.
        session: Option<SessionId>,
    },
    /// Send somebody away who knocks.
    Deny {
        /// The room.
        room: Box<str>,
        /// Who knocks; `None` if what was written is no session's id.
        session: Option<SessionId>,
        /// Whether it may not come back.
        bar: bool,
    },
    /// Change what the room keeps.
    SetState(SetState),
    /// Say something to one other member.
    Directed(Directed),
    /// Say something to all other members.
    Broadcast(ForAll),
}

/// A meeting with another member, as one of the two has been told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meeting {
    /// The other one.
    pub session: SessionId,
    /// The epoch of the pair.
    pub epoch: u64,
    /// Whether the one who tells is the polite side.
    pub polite: bool,
}

/// Something for one other member.
#[derive(Clone, Debug)]
pub struct Directed {
    /// An offer, an answer or a candidate.
    pub kind: Kind,
    /// The room in which both are.
    pub room: Box<str>,
    /// The addressee; `None` if what was written is no session's id.
    pub to: Option<SessionId>,
    /// The epoch of the pair.
    pub epoch: u64,
    /// The number under which it was said first, if it is said again; `None` stands for its id.
    pub number: Option<u64>,
    /// Opaque.
    pub body: Box<RawValue>,
}

/// Something for all other members.
#[derive(Clone, Debug)]
pub struct ForAll {
    /// The room.
    pub room: Box<str>,
    /// The number under which it was said first, if it is said again; `None` stands for its id.
    pub number: Option<u64>,
    /// Opaque.
    pub body: Box<RawValue>,
}

/// A change of what a room keeps.
#[derive(Clone, Debug)]
pub struct SetState {
    /// The room.
    pub room: Box<str>,
    /// Which entry.
    pub key: Box<str>,
    /// Its value; `None` takes it out.
    pub value: Option<Box<RawValue>>,
    /// After which time it goes by itself.
    pub expires_in: Option<Duration>,
    /// Whether it goes with the member that sets it.
    pub while_present: bool,
    /// The version that the entry must have, 0 for none; otherwise nothing changes.
    pub if_version: Option<u64>,
}

/// What the shell tells the hub of a connection.
#[derive(Debug)]
pub enum Input {
    /// It has come.
    Open,
    /// A message has come on it.
    Message {
        /// How long it was on the wire, in bytes.
        length: usize,
        /// What it says, or why it says nothing.
        command: Result<Command, Rejection>,
    },
    /// It lives: a pong, for instance.
    Alive,
    /// It does not take in what it is sent: the shell's queue for it is full.
    Stalled,
    /// It is gone.
    Closed,
    /// It is gone, and its client has said that it goes, as a page does that is left.
    Left,
}
