//! What the hub knows of a session.

use std::sync::Arc;
use std::time::Duration;

use super::grant::Grant;
use super::ids::{ConnectionId, RoomName};
use super::limits::Buckets;
use super::mailbox::Mailbox;
use super::refusals::Refusals;
use super::ticket::Issued;
use super::unsettled::Unsettled;
use crate::time::Instant;

/// What the hub knows of a session.
#[derive(Default)]
pub(super) struct Session {
    /// The connection that carries it; `None` while it is suspended.
    pub(super) connection: Option<ConnectionId>,
    pub(super) mailbox: Mailbox,
    pub(super) broadcasts: Unsettled,
    pub(super) refusals: Refusals,
    pub(super) buckets: Buckets,
    /// The rooms that it is in. Few, so a list.
    pub(super) rooms: Vec<RoomName>,
    /// The rooms at which it knocks.
    pub(super) knocks: Vec<RoomName>,
    /// What it may do; `None` in open mode.
    pub(super) grant: Option<Arc<Grant>>,
    /// When it may guess as many rooms again as it may at once.
    pub(super) guesses: Instant,
    /// Until when somebody waits for what it says.
    pub(super) awaited_until: Instant,
    /// The largest id that has been applied.
    pub(super) applied: u64,
    /// Which of its tickets are good.
    pub(super) issued: Issued,
    /// When it came here from another server, since 1970; zero where it began here.
    pub(super) restored: Duration,
    /// Whether the others have been told that it is suspended.
    pub(super) is_away: bool,
    /// Whether a timer looks after its acknowledgements.
    pub(super) is_watched: bool,
}

impl Session {
    /// Who has come in by an access token.
    pub(super) fn bearer(&self) -> Option<&str> {
        self.grant.as_ref().map(|grant| &**grant.subject())
    }
}
