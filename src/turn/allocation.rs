//! What the server knows of one allocation.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::five_tuple::FiveTuple;
use super::reachable::Reachable;
use crate::auth::Key;
use crate::stun::{Family, TransactionId};
use crate::time::Instant;

/// The lifetime of an allocation whose client names none, or a shorter one (RFC 8656 section 7.2).
const DEFAULT_LIFETIME: u32 = 600;
/// The longest lifetime.
const MAX_LIFETIME: u32 = 3_600;

#[derive(Debug)]
pub(super) struct Allocation {
    /// Whose it is, and from whom packets pass; also seen by other servers.
    pub(super) reachable: Arc<Reachable>,
    pub(super) username: Box<str>,
    /// The key that the allocation was made with. It goes on signing after the credentials have
    /// expired, so that a long call is not cut.
    pub(super) key: Key,
    /// The relayed address as it is bound; port 0 until the socket is there.
    pub(super) relayed: SocketAddr,
    /// The transaction that made the allocation, to answer its retransmissions alike.
    pub(super) made_by: TransactionId,
    pub(super) expires: Instant,
}

impl Allocation {
    pub(super) fn client(&self) -> FiveTuple {
        self.reachable.client
    }

    pub(super) fn family(&self) -> Family {
        Family::of(self.relayed.ip())
    }

    /// Whole seconds that the allocation still has.
    pub(super) fn remaining(&self, now: Instant) -> u32 {
        let remaining = self.expires.saturating_since(now).as_secs();
        u32::try_from(remaining).unwrap_or(MAX_LIFETIME)
    }
}

/// The lifetime that a client gets which asks for `requested` seconds.
pub(super) fn granted_lifetime(requested: Option<u32>) -> u32 {
    requested
        .unwrap_or(DEFAULT_LIFETIME)
        .clamp(DEFAULT_LIFETIME, MAX_LIFETIME)
}

/// When a lifetime of `seconds` from `now` ends.
pub(super) fn expiry(seconds: u32, now: Instant) -> Instant {
    now + Duration::from_secs(u64::from(seconds))
}
