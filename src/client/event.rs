//! What happens, as the application is told.

use std::time::Duration;

use super::member::{Broadcast, IceServer, Limits, Member, Missed, RoomMembers, Said};
use super::request::RequestId;
use crate::signal::SessionId;

/// Something that has happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A connection carries the session.
    Connected {
        /// The session, by which others address it.
        session: SessionId,
        /// What has become of the one before.
        resumed: Resumed,
        /// What the server enforces.
        limits: Limits,
    },
    /// What to give to peer connections from now on. It comes with every connection, and again
    /// before credentials expire.
    IceServers {
        /// The servers.
        servers: Vec<IceServer>,
        /// How long their credentials live.
        expire_in: Option<Duration>,
    },
    /// This session is a member. It comes again, under the same request, when a new session has
    /// joined once more.
    Joined {
        /// What was asked for.
        re: RequestId,
        /// The room.
        room: RoomMembers,
    },
    /// This session's role in a room has changed.
    Role {
        /// The room.
        room: Box<str>,
        /// Its version, with this change.
        version: u64,
        /// What the session is now, such as `host`.
        role: Box<str>,
        /// What it may do, such as `speak`.
        permissions: Vec<Box<str>>,
    },
    /// An update or a leave is applied, or another access token taken.
    Done {
        /// What was asked for.
        re: RequestId,
    },
    /// All rooms as they are, in place of what was missed.
    Snapshot {
        /// The rooms.
        rooms: Vec<RoomMembers>,
    },
    /// This session is no member of a room any more, though it has not asked to leave.
    Removed {
        /// The room.
        room: Box<str>,
        /// Why, such as `removed`, `replaced` or `unauthorized`.
        reason: Box<str>,
    },
    /// Something about another member has changed.
    Presence {
        /// The room.
        room: Box<str>,
        /// Its version, with this change.
        version: u64,
        /// The member, whole.
        member: Member,
    },
    /// Somebody who was in a room before a restart of the server has not come back, and will not:
    /// no `Left` tells of it, since the server does not know.
    Missing {
        /// The room.
        room: Box<str>,
        /// Who it is.
        session: SessionId,
    },
    /// Another member has said something. It comes once, and in the order of its sender.
    Said(Said),
    /// Another member has said something to all of a room. It comes once.
    Broadcast(Broadcast),
    /// The access token expires soon: it is time for [`super::Client::authorize`].
    AccessExpires {
        /// After which time.
        expires_in: Duration,
    },
    /// The server does not take the access token (any more), and the connection is over. Another
    /// one follows, with what [`super::Client::authorize`] has been given by then; the third
    /// refusal in a row ends the session.
    AccessRefused {
        /// Why, in words.
        reason: Box<str>,
    },
    /// What was said has arrived at the addressee's client.
    Delivered {
        /// What was asked for.
        re: RequestId,
    },
    /// It is known of all whom something said to all has reached.
    BroadcastDelivered {
        /// What was asked for.
        re: RequestId,
        /// How many it has reached.
        delivered: usize,
        /// Whom it has not reached and never will.
        undeliverable: Vec<Missed>,
    },
    /// What was said has not arrived and never will.
    Undeliverable {
        /// What was asked for.
        re: RequestId,
        /// Why: as the server says of the addressee, or `session_lost` where this session could
        /// not be resumed and nobody knows.
        reason: Box<str>,
    },
    /// Something was not applied.
    Refused {
        /// What was asked for, if it is about that.
        re: Option<RequestId>,
        /// Why, as `docs/protocol.md` lists it.
        code: Box<str>,
        /// The same in words.
        message: Box<str>,
    },
    /// The server has said something that this version does not know.
    Unknown {
        /// The whole message.
        text: Box<str>,
    },
    /// The connection is lost, and there will be another one.
    Disconnected {
        /// Why.
        why: Box<str>,
        /// After which time the next one is tried.
        retry_in: Duration,
    },
    /// The server has sent the client to another one, and there the next connection is made.
    Moved {
        /// Its base URL, such as `https://green.example.org`.
        url: Box<str>,
    },
    /// The session is over. Nothing follows.
    Ended(Ended),
}

/// What has become of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resumed {
    /// It goes on, and nothing is missing.
    Full,
    /// It goes on, and a snapshot takes the place of something missed.
    Snapshot,
    /// It goes on under its id after a restart of the server, which has forgotten all else. Rooms
    /// are joined again, and what was not confirmed is said again, without being asked for.
    Restored,
    /// It is a new one, or the first. Rooms are joined again without being asked for.
    None,
}

/// Why a session is over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// It was closed here.
    Closed,
    /// A newer connection, which is not of this client, carries it.
    Replaced,
    /// The server does not take what this client says.
    Refused {
        /// The close code.
        code: u16,
        /// Why.
        reason: Box<str>,
    },
}
