//! What the hub knows of a session.

use super::ids::{ConnectionId, RoomName};
use super::limits::Buckets;
use super::mailbox::Mailbox;

/// What the hub knows of a session.
#[derive(Default)]
pub(super) struct Session {
    /// The connection that carries it; `None` while it is suspended.
    pub(super) connection: Option<ConnectionId>,
    pub(super) mailbox: Mailbox,
    pub(super) buckets: Buckets,
    /// The rooms that it is in. Few, so a list.
    pub(super) rooms: Vec<RoomName>,
    /// The largest id that has been applied.
    pub(super) applied: u64,
    /// How many tokens it has been given: which one is good.
    pub(super) welcomes: u64,
    /// Whether a timer looks after its acknowledgements.
    pub(super) is_watched: bool,
    /// Whether the client has been heard since its last welcome, and so has the token of it.
    pub(super) is_confirmed: bool,
}
