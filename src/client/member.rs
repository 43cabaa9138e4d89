//! What the server tells, as the application sees it. Fields that this version does not know are
//! ignored.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::request::{Body, Kind};
use crate::signal::SessionId;

/// What `RTCPeerConnection` takes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct IceServer {
    /// `stun:`, `turn:` and so on.
    pub urls: Vec<String>,
    /// The user of the TURN server.
    pub username: Option<String>,
    /// Its password.
    pub credential: Option<String>,
}

/// What the server enforces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Limits {
    /// The longest message, in bytes.
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
}

/// How a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MemberState {
    /// Here, and its connection lives.
    Joined,
    /// Its connection is lost; it may come back.
    Suspended,
    /// Gone for good.
    Left,
    /// Something that this version does not know.
    #[serde(other)]
    Other,
}

/// Another member of a room, as this session sees it.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Member {
    /// Who it is.
    #[serde(deserialize_with = "session_id")]
    pub session: SessionId,
    /// What it wants to be seen as.
    pub name: Option<Box<str>>,
    /// What it wants others to know.
    #[serde(default, deserialize_with = "optional_body")]
    pub data: Option<Body>,
    /// How it is.
    pub state: MemberState,
    /// What it is in the room, such as `host`.
    pub role: Option<Box<str>>,
    /// Why it is gone, if it is.
    pub reason: Option<Box<str>>,
    /// Whether *this* session is the polite side toward it.
    pub polite: bool,
    /// The epoch of the pair.
    pub epoch: u64,
    /// The epoch that the pair had before a restart of the server, if their meeting goes on: both
    /// keep the connection that they have with each other. Without it they meet anew, and each
    /// throws away what it had.
    pub continues: Option<u64>,
}

/// A room and its other members.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct RoomMembers {
    /// The room.
    pub room: Box<str>,
    /// Its version: every change counts it up.
    pub version: u64,
    /// What *this* session is in the room, such as `host`.
    pub role: Option<Box<str>>,
    /// What this session may do there, such as `speak`.
    #[serde(default)]
    pub permissions: Vec<Box<str>>,
    /// The *other* members.
    pub members: Vec<Member>,
}

/// What another member has said to this session.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Said {
    /// The room in which both are.
    pub room: Box<str>,
    /// Who has said it; the server vouches for that.
    pub from: SessionId,
    /// An offer, an answer or a candidate.
    pub kind: Kind,
    /// The epoch of the pair.
    pub epoch: u64,
    /// Which of its sender's messages it is: later ones have larger numbers.
    pub number: Option<u64>,
    /// What was said, byte for byte.
    pub body: Body,
}

/// What another member has said to all.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Broadcast {
    /// The room.
    pub room: Box<str>,
    /// Who has said it; the server vouches for that.
    #[serde(deserialize_with = "session_id")]
    pub from: SessionId,
    /// By which it is told apart from its sender's other broadcasts.
    #[serde(rename = "nr")]
    pub number: u64,
    /// What was said, byte for byte.
    #[serde(deserialize_with = "body")]
    pub body: Body,
}

/// Somebody whom a broadcast has not reached and never will.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Missed {
    /// Who it is.
    #[serde(deserialize_with = "session_id")]
    pub session: SessionId,
    /// Why: as the server says, or `expired` of one that has not come back after a restart of it.
    pub reason: Box<str>,
}

pub(super) fn session_id<'de, D: Deserializer<'de>>(from: D) -> Result<SessionId, D::Error> {
    let text = Cow::<str>::deserialize(from)?;
    SessionId::parse(&text).ok_or_else(|| serde::de::Error::custom("not a session's id"))
}

fn body<'de, D: Deserializer<'de>>(from: D) -> Result<Body, D::Error> {
    Box::<RawValue>::deserialize(from).map(Body)
}

// `null` is a value like any other.
pub(super) fn optional_body<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Body>, D::Error> {
    Box::<RawValue>::deserialize(from).map(|raw| Some(Body(raw)))
}
