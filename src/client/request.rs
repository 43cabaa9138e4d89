//! What the application asks for.

use std::fmt;

use serde::Serialize;
use serde_json::value::RawValue;

use super::pair::Meeting;
use crate::signal::SessionId;

/// Names something that was asked for in the events that tell what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(super) u64);

/// A JSON value that the protocol carries and does not look into.
#[derive(Clone, Debug)]
pub struct Body(pub(super) Box<RawValue>);

impl Body {
    /// The JSON of `value`.
    ///
    /// # Errors
    /// If it cannot be written as JSON.
    pub fn new(value: &(impl Serialize + ?Sized)) -> serde_json::Result<Self> {
        serde_json::value::to_raw_value(value).map(Self)
    }

    /// The JSON, byte for byte as it was said.
    #[must_use]
    pub fn json(&self) -> &str {
        self.0.get()
    }
}

impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.json())
    }
}

/// Which kind of directed message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An SDP offer.
    Offer,
    /// An SDP answer.
    Answer,
    /// An ICE candidate, or, as `null`, the end of them.
    Candidate,
}

/// A JSON Web Token that a server lets its bearer in by. It is shown to nobody else: not in
/// `Debug`, either.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken(pub(super) Box<str>);

impl AccessToken {
    /// Takes a token as its issuer has written it.
    #[must_use]
    pub fn new(token: &str) -> Self {
        Self(token.into())
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(…)")
    }
}

impl Kind {
    /// As the protocol calls it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Offer => "offer",
            Self::Answer => "answer",
            Self::Candidate => "candidate",
        }
    }
}

/// What a member says of itself.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// What others see. At most 64 characters.
    pub name: Option<Box<str>>,
    /// Whatever others are to know.
    pub data: Option<Body>,
}

impl Profile {
    /// A member with this name and no data.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            name: Some(name.into()),
            data: None,
        }
    }

    /// Takes what is said anew; what is `None` stays.
    pub(super) fn change(&mut self, said: Self) {
        self.name = said.name.or(self.name.take());
        self.data = said.data.or(self.data.take());
    }
}

/// What the application asks for. Each is applied once.
#[derive(Clone, Debug)]
pub enum Request {
    /// Become a member of a room, and stay it until asked to leave: in a new session, too.
    Join {
        /// The room.
        room: Box<str>,
        /// What others are told.
        profile: Profile,
    },
    /// Change what others are told; what is `None` stays.
    Update {
        /// The room.
        room: Box<str>,
        /// What others are told.
        profile: Profile,
    },
    /// Be a member no more.
    Leave {
        /// The room.
        room: Box<str>,
    },
    /// Show another access token in place of the last one; [`super::Client::authorize`] asks for
    /// it.
    Authorize {
        /// The token.
        access_token: AccessToken,
    },
    /// Say something to one other member.
    Say {
        /// The room in which both are.
        room: Box<str>,
        /// The addressee.
        to: SessionId,
        /// An offer, an answer or a candidate.
        kind: Kind,
        /// The meeting that it belongs to; without one, that which is when it is sent. It may be
        /// the epoch that [`super::Member::continues`] names, too.
        epoch: Option<u64>,
        /// What to say.
        body: Body,
    },
    /// Say something to all other members.
    Broadcast {
        /// The room.
        room: Box<str>,
        /// What to say.
        body: Body,
    },
}

impl Request {
    /// To become a member of a room.
    #[must_use]
    pub fn join(room: &str, profile: Profile) -> Self {
        let room = room.into();
        Self::Join { room, profile }
    }

    /// To change what others are told.
    #[must_use]
    pub fn update(room: &str, profile: Profile) -> Self {
        let room = room.into();
        Self::Update { room, profile }
    }

    /// To be a member no more.
    #[must_use]
    pub fn leave(room: &str) -> Self {
        Self::Leave { room: room.into() }
    }

    /// To say something to a member, in whatever meeting the two are.
    #[must_use]
    pub fn say(room: &str, to: SessionId, kind: Kind, body: Body) -> Self {
        let (room, epoch) = (room.into(), None);
        Self::Say {
            room,
            to,
            kind,
            epoch,
            body,
        }
    }

    /// To say something to all other members. [`super::Event::BroadcastDelivered`] tells whom it
    /// has reached, once that is known of all.
    #[must_use]
    pub fn broadcast(room: &str, body: Body) -> Self {
        let room = room.into();
        Self::Broadcast { room, body }
    }

    /// Which room it is about, if it is about one.
    pub(super) fn room(&self) -> Option<&str> {
        match self {
            Self::Join { room, .. }
            | Self::Update { room, .. }
            | Self::Leave { room }
            | Self::Say { room, .. }
            | Self::Broadcast { room, .. } => Some(room),
            Self::Authorize { .. } => None,
        }
    }
}

/// A request as it is written, under its id of the session.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Frame<'a> {
    Join(JoinFields<'a>),
    Update(ProfileFields<'a>),
    Leave { id: u64, room: &'a str },
    Authorize { id: u64, access_token: &'a str },
    Offer(SayFields<'a>),
    Answer(SayFields<'a>),
    Candidate(SayFields<'a>),
    Broadcast(BroadcastFields<'a>),
}

#[derive(Serialize)]
struct ProfileFields<'a> {
    id: u64,
    room: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct JoinFields<'a> {
    #[serde(flatten)]
    profile: ProfileFields<'a>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    meetings: &'a [Meeting],
}

#[derive(Serialize)]
struct BroadcastFields<'a> {
    id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nr: Option<u64>,
    room: &'a str,
    body: &'a RawValue,
}

#[derive(Serialize)]
struct SayFields<'a> {
    id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nr: Option<u64>,
    room: &'a str,
    to: String,
    epoch: u64,
    body: &'a RawValue,
}

/// What a request does not say by itself.
#[derive(Debug, Default)]
pub(super) struct Terms {
    /// The id under which it was said first, if that was another one.
    pub(super) nr: Option<u64>,
    /// The epoch of the two.
    pub(super) epoch: u64,
    /// With whom this session was in the room before a restart of the server.
    pub(super) meetings: Vec<Meeting>,
}

/// Writes a request under its id.
pub(super) fn encode(id: u64, request: &Request, terms: &Terms) -> String {
    let nr = terms.nr;
    let frame = match request {
        Request::Join { room, profile } => Frame::Join(JoinFields {
            profile: profile_fields(id, room, profile),
            meetings: &terms.meetings,
        }),
        Request::Update { room, profile } => Frame::Update(profile_fields(id, room, profile)),
        Request::Leave { room } => Frame::Leave { id, room },
        Request::Authorize { access_token } => {
            let access_token = &*access_token.0;
            Frame::Authorize { id, access_token }
        }
        Request::Broadcast { room, body } => {
            let body = &*body.0;
            Frame::Broadcast(BroadcastFields { id, nr, room, body })
        }
        Request::Say {
            room,
            to,
            kind,
            body,
            ..
        } => {
            let fields = SayFields {
                id,
                nr,
                room,
                to: to.to_string(),
                epoch: terms.epoch,
                body: &body.0,
            };
            match kind {
                Kind::Offer => Frame::Offer(fields),
                Kind::Answer => Frame::Answer(fields),
                Kind::Candidate => Frame::Candidate(fields),
            }
        }
    };
    serde_json::to_string(&frame).expect("every key is a string")
}

fn profile_fields<'a>(id: u64, room: &'a str, profile: &'a Profile) -> ProfileFields<'a> {
    ProfileFields {
        id,
        room,
        name: profile.name.as_deref(),
        data: profile.data.as_ref().map(|data| &*data.0),
    }
}
