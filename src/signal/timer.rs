//! What the hub waits for.

use super::ids::{ConnectionId, SessionId};

/// Why the hub wants to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Timer {
    /// A connection has not said hello, or nothing at all, for too long.
    Connection(ConnectionId),
    /// The server stops, and it is this connection's turn to be sent away.
    Dismissal(ConnectionId),
    /// A session is without a connection for so long that the others are told.
    Absence(SessionId),
    /// A suspended session has not come back.
    Expiry(SessionId),
    /// A session that is connected has not acknowledged what it was told.
    Unheard(SessionId),
    /// Something in a room ends: an entry, a knock, or the room itself.
    Room(u64),
    /// The access token of a session is about to expire, or has.
    Grant(SessionId),
    /// A session's ICE credentials are to be replaced.
    Ice(SessionId),
}
