//! What is kept of an allocation that may move (RFC 8016).

use super::five_tuple::FiveTuple;
use super::ticket::Ticket;
use crate::time::Instant;

/// The tickets of an allocation, and where it is about to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mobile {
    pub(super) ticket: Ticket,
    /// The ticket that brought the last move, the client that showed it, and until when it may be
    /// shown again.
    pub(super) before: Option<(Ticket, FiveTuple, Instant)>,
    /// Where the allocation moves to with the first data from there.
    pub(super) next: Option<FiveTuple>,
}

impl Mobile {
    pub(super) fn new(ticket: Ticket) -> Self {
        Self {
            ticket,
            before: None,
            next: None,
        }
    }
}
