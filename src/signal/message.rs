//! What is said to clients.

use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;

use super::ice::IceServers;
use super::{Offset, Rejection, Role, RoomName, SessionId, Settings, Standing, StateEntry};
use crate::auth::Secret;

/// One message to a client. The dialect spells it.
#[derive(Debug)]
pub enum Message {
    /// The answer to `hello`.
    Welcome(Box<Welcome>),
    /// The answer to `join`.
    Joined {
        /// The id of the `join`.
        re: u64,
        /// The room, with the newcomer.
        room: RoomSnapshot,
    },
    /// The answer to `authorize`.
    Authorized {
        /// The id of the `authorize`.
        re: u64,
        /// For how long the token is good; `None` in open mode.
        expires_in: Option<Duration>,
    },
    /// The access token expires soon. Without another one the connection is closed.
    TokenExpiring {
        /// When.
        expires_in: Duration,
    },
    /// The answer to `leave`.
    Left {
        /// The id of the `leave`.
        re: u64,
        /// The room.
        room: RoomName,
    },
    /// The session is no member of a room any more, though it has not left.
    PutOut {
        /// The room.
        room: RoomName,
        /// Why.
        reason: Reason,
    },
    /// A `join` waits until somebody lets the session in.
    Knocking {
        /// The id of the `join`.
        re: u64,
        /// The room.
        room: RoomName,
        /// For how long it waits.
        expires_in: Duration,
    },
    /// Somebody knocks, or does so no more.
    Knock(KnockNews),
    /// What hosts have decided about the room has changed.
    Room(SettingsChange),
    /// What the room keeps has changed.
    State(StateChange),
    /// What was asked for has been done.
    Done {
        /// The id of the message.
        re: u64,
        /// The room.
        room: RoomName,
    },
    /// The answer to `update`.
    Updated {
        /// The id of the `update`.
        re: u64,
        /// The room.
        room: RoomName,
    },
    /// Something about another member has changed.
    Presence {
        /// The room.
        room: RoomName,
        /// The room's version, with this change.
        version: u64,
        /// The member, whole.
        member: Member,
    },
    /// The session's own role has changed.
    Role(RoleChange),
    /// An offer, an answer or a candidate of another member.
    Delivery(Delivery),
    /// What another member has said to all.
    Broadcast(Broadcast),
    /// What became of a broadcast: every addressee has got it or never will.
    BroadcastDelivered(BroadcastReceipt),
    /// Everything directed to a member up to this id has arrived there.
    Delivered {
        /// The addressee.
        to: SessionId,
        /// The sender's id of the last message that has arrived.
        through: u64,
    },
    /// What has been directed to a member and has not been delivered, never will be.
    Undeliverable {
        /// The addressee.
        to: SessionId,
        /// Why.
        reason: Reason,
    },
    /// All rooms of the session as they are, after something was forgotten that it has not heard.
    Snapshot {
        /// The rooms, in the order in which the session joined them.
        rooms: Vec<RoomSnapshot>,
        /// Where the session waits to be let in.
        knocking: Vec<RoomName>,
    },
    /// New credentials in place of those that will expire.
    IceServers(IceServers),
    /// The proof of being the session, good for longer than the last one.
    Token(Secret),
    /// The answer to `ping`.
    Pong,
    /// The server is about to close this connection.
    Goaway {
        /// After which time the client should connect again.
        reconnect_in: Duration,
        /// The base URL of the server to connect to; `None`: the same.
        elsewhere: Option<Arc<str>>,
    },
    /// A message was not applied.
    Error(Rejection),
}

/// A room as it is.
#[derive(Debug)]
pub struct RoomSnapshot {
    /// The room.
    pub room: RoomName,
    /// Its version: every change counts it up.
    pub version: u64,
    /// What the session itself may do there.
    pub standing: Standing,
    /// What hosts have decided about it.
    pub settings: Settings,
    /// The *other* members, in the order in which they joined.
    pub members: Vec<Member>,
    /// Who knocks; `None` for those who may not let in.
    pub knocks: Option<Vec<Arc<Profile>>>,
    /// What the room keeps, in the order of the keys.
    pub state: Vec<Arc<StateEntry>>,
}

/// What has become of a knock.
#[derive(Debug)]
pub struct KnockNews {
    /// The room.
    pub room: RoomName,
    /// Who knocks.
    pub profile: Arc<Profile>,
    /// What has become of it.
    pub state: KnockState,
}

/// What has become of a knock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnockState {
    /// Somebody waits to be let in.
    Waiting,
    /// It was let in.
    Admitted,
    /// It was sent away.
    Denied,
    /// It has gone by itself.
    Withdrawn,
    /// Nobody has answered in time.
    Expired,
}

/// What hosts have decided about a room.
#[derive(Debug)]
pub struct SettingsChange {
    /// The id of the `set_room`, for the one who has asked.
    pub re: Option<u64>,
    /// The room.
    pub room: RoomName,
    /// The room's version, with this change.
    pub version: u64,
    /// What holds from now on.
    pub settings: Settings,
}

/// What has changed of what a room keeps.
#[derive(Debug)]
pub struct StateChange {
    /// The id of the `set_state`, for the one who has asked.
    pub re: Option<u64>,
    /// The room.
    pub room: RoomName,
    /// The room's version, with this change.
    pub version: u64,
    /// The entries that are new, different or gone.
    pub entries: Vec<Arc<StateEntry>>,
}

/// What a session has become in a room.
#[derive(Debug)]
pub struct RoleChange {
    /// The room.
    pub room: RoomName,
    /// The room's version, with this change.
    pub version: u64,
    /// What the session may do from now on.
    pub standing: Standing,
}

/// What one member has said to another.
#[derive(Debug)]
pub struct Delivery {
    /// The sender's id of the message.
    pub id: u64,
    /// The number under which the sender has said it first, by which the addressee knows what it
    /// has had already.
    pub number: u64,
    /// An offer, an answer or a candidate.
    pub kind: Kind,
    /// The room in which both are.
    pub room: RoomName,
    /// The sender.
    pub from: SessionId,
    /// The epoch of the pair.
    pub epoch: u64,
    /// What the sender put in, byte for byte.
    pub body: Box<RawValue>,
}

/// What one member has said to all others. All who are told share it.
#[derive(Debug)]
pub struct Broadcast {
    /// The sender's id of the message. The addressees are not told.
    pub id: u64,
    /// The number under which the sender has said it first.
    pub number: u64,
    /// The room.
    pub room: RoomName,
    /// The sender.
    pub from: SessionId,
    /// What the sender put in, byte for byte.
    pub body: Box<RawValue>,
}

/// What became of a broadcast.
#[derive(Debug)]
pub struct BroadcastReceipt {
    /// The id of the `broadcast`.
    pub re: u64,
    /// The room.
    pub room: RoomName,
    /// How many have got it.
    pub delivered: usize,
    /// Who has not, and why.
    pub undeliverable: Vec<(SessionId, Loss)>,
}

/// Why somebody has not got a broadcast, and never will.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Its session has ended.
    Ended(Reason),
    /// It was away and its mailbox full.
    Overloaded,
}

/// Which kind of directed message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An SDP offer.
    Offer,
    /// An SDP answer.
    Answer,
    /// An ICE candidate, or the end of them.
    Candidate,
}

impl Kind {
    /// Whether the other side can do nothing before it has been answered.
    pub(super) fn is_awaited(self) -> bool {
        self != Self::Candidate
    }
}

/// The answer to `hello`.
#[derive(Debug)]
pub struct Welcome {
    /// The session, by which others address it.
    pub session: SessionId,
    /// The proof of being that session.
    pub token: Secret,
    /// What has become of the session that was asked for.
    pub resumed: Resumed,
    /// How long the session is kept when its connection is lost.
    pub resume_window: Duration,
    /// The largest id that has been applied.
    pub applied: u64,
    /// For how long the access token is good; `None` in open mode.
    pub access_expires_in: Option<Duration>,
    /// What `RTCPeerConnection` takes.
    pub ice: IceServers,
    /// What the server enforces.
    pub limits: Limits,
}

/// What has become of a session that a client wanted to go on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resumed {
    /// It goes on, and nothing is missing.
    Full,
    /// It goes on, and a snapshot follows in place of what is missing.
    Snapshot,
    /// A server before this one had it. Its name goes on; all else that was known of it is gone.
    Restored,
    /// It cannot be had, or none was asked for: this is a new one.
    None,
}

/// What the server enforces, as clients are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest message.
    pub message_bytes: usize,
    /// Messages a second.
    pub messages_per_second: u32,
    /// Messages at once.
    pub burst: u32,
    /// Members of a room.
    pub room_members: usize,
    /// Rooms a session.
    pub rooms: usize,
    /// Bytes of a member's `data`.
    pub data_bytes: usize,
    /// Bytes of a broadcast's body.
    pub broadcast_bytes: usize,
    /// Broadcasts of a session that are not settled.
    pub broadcasts: usize,
    /// Bytes of the key of an entry of a room's state.
    pub state_key_bytes: usize,
    /// Bytes of its value.
    pub state_value_bytes: usize,
    /// Entries of a room's state.
    pub state_entries: usize,
    /// Bytes of all their keys and values.
    pub state_bytes: usize,
}

/// A member of a room, as another member sees it.
#[derive(Clone, Debug)]
pub struct Member {
    /// Who it is. All who are told share it.
    pub profile: Arc<Profile>,
    /// How it is.
    pub state: State,
    /// What it is in the room.
    pub role: Role,
    /// Whether the *receiver* is the polite side toward this member.
    pub polite: bool,
    /// The epoch of the pair.
    pub epoch: u64,
    /// The epoch of the meeting before a restart that this one goes on with.
    pub continues: Option<u64>,
}

/// What a member says of itself.
#[derive(Debug)]
pub struct Profile {
    /// Its session.
    pub session: SessionId,
    /// What others see.
    pub name: Option<Box<str>>,
    /// Whatever it wants others to know.
    pub data: Option<Box<RawValue>>,
}

/// How a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Here, and its connection lives.
    Joined,
    /// Its connection is lost; it may come back.
    Suspended,
    /// Gone for good.
    Left(Reason),
}

/// Why a member is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It said so.
    Left,
    /// It ended its session.
    Bye,
    /// It did not come back in time.
    Expired,
    /// A host has put it out.
    Removed,
    /// Another session of the same subject has taken its place.
    Replaced,
    /// Its access token does not let it be there any more.
    Unauthorized,
}

/// Roughly what the fields of a message other than names, data and bodies come to.
const FIXED_BYTES: usize = 160;

/// What a session's id and a word come to.
const ID_AND_REASON_BYTES: usize = 72;

impl Message {
    /// About how many bytes the message has on the wire and in memory.
    #[must_use]
    pub fn size(&self) -> usize {
        FIXED_BYTES
            + match self {
                Self::Joined { room, .. } => room.size(),
                Self::Snapshot { rooms, .. } => rooms.iter().map(RoomSnapshot::size).sum(),
                Self::Presence { member, .. } => member.size(),
                Self::State(change) => state_bytes(&change.entries),
                Self::Knock(news) => news.profile.size(),
                Self::Delivery(delivery) => delivery.body.get().len(),
                Self::Broadcast(broadcast) => broadcast.body.get().len(),
                Self::BroadcastDelivered(it) => it.undeliverable.len() * ID_AND_REASON_BYTES,
                _ => 0,
            }
    }
}

impl RoomSnapshot {
    fn size(&self) -> usize {
        let members: usize = self.members.iter().map(Member::size).sum();
        let knocks = self.knocks.iter().flatten();
        let knocks: usize = knocks.map(|profile| profile.size()).sum();
        FIXED_BYTES + members + knocks + state_bytes(&self.state)
    }
}

fn state_bytes(entries: &[Arc<StateEntry>]) -> usize {
    let entries = entries.iter();
    entries.map(|entry| FIXED_BYTES + entry.bytes()).sum()
}

impl Member {
    fn size(&self) -> usize {
        self.profile.size()
    }
}

impl Profile {
    fn size(&self) -> usize {
        let name = self.name.as_ref().map_or(0, |name| name.len());
        let data = self.data.as_ref();
        FIXED_BYTES + name + data.map_or(0, |data| data.get().len())
    }
}

/// What the shell should do.
#[derive(Debug)]
pub enum Event {
    /// Send a message on a connection, after all before it.
    Send {
        /// On which connection.
        connection: super::ConnectionId,
        /// Its position in what is said to the session; `None` for what is about the connection.
        offset: Option<Offset>,
        /// The message.
        message: Arc<Message>,
    },
    /// Ask a connection whether it lives. [`super::Input::Alive`] is the answer.
    Ping {
        /// Which connection.
        connection: super::ConnectionId,
        /// How long it has to answer. Less, where it has not answered a question before this.
        within: Duration,
    },
    /// Close a connection once all before this has been sent. The hub has forgotten it already.
    Close {
        /// Which connection.
        connection: super::ConnectionId,
        /// Why, and what the client had better do.
        ending: super::Ending,
    },
    /// A token that lets in one session only has been used. Whoever starts a hub after this one
    /// tells it so ([`super::Hub::recall_redemption`]).
    Redeemed(super::Redemption),
}
