//! What the hub knows of a connection.

use super::ids::SessionId;
use crate::time::Instant;

/// What the hub knows of a connection.
pub(super) struct Connection {
    /// The session it carries, once it has said hello.
    pub(super) session: Option<SessionId>,
    pub(super) heard: Instant,
    pub(super) malformed: u8,
    pub(super) limited: u8,
}
