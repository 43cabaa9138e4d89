//! The connections of TCP allocations to their peers (RFC 6062).

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use ahash::RandomState;

use super::connection_id::{ConnectionId, ConnectionIds};
use super::peer_tally::{Origin, Progress};
use super::response::Response;
use super::table::AllocationId;
use super::tcp_action::Bound;
use crate::time::{Deadlines, Instant};

/// How long a peer may take to answer, and a client to bind a connection that is there (sections
/// 5.2 and 5.3).
const PATIENCE: Duration = Duration::from_secs(30);

/// How many an allocation may have, in whatever stage.
pub(super) const MOST_OF_AN_ALLOCATION: usize = 64;

/// A connection to a peer.
#[derive(Debug)]
pub(super) struct PeerConnection {
    pub(super) allocation: AllocationId,
    /// As it is reached from here.
    pub(super) peer: SocketAddr,
    pub(super) origin: Origin,
    pub(super) stage: Stage,
}

/// How far a connection is.
#[derive(Debug)]
pub(super) enum Stage {
    /// The peer has not answered; this is what the client will be told.
    Connecting(Box<Response>),
    /// The client has to bind it.
    Waiting,
    /// The client has bound it: data flow.
    Bound,
}

impl Stage {
    pub(super) fn progress(&self) -> Progress {
        match self {
            Self::Connecting(_) => Progress::Connecting,
            Self::Waiting => Progress::Waiting,
            Self::Bound => Progress::Bound,
        }
    }
}

/// All that a server has of them.
pub(super) struct PeerConnections {
    pub(super) ids: ConnectionIds,
    by_id: HashMap<ConnectionId, PeerConnection, RandomState>,
    deadlines: Deadlines<ConnectionId>,
    /// What the last ConnectionBind request has brought.
    pub(super) bound: Option<Bound>,
}

impl PeerConnections {
    /// None yet. `key` is secret; `seed` differs from those of other servers with the same key.
    pub(super) fn new(key: &[u8; 32], seed: u64) -> Self {
        let hasher = RandomState::with_seeds(seed, !seed, 0, seed.rotate_left(32));
        Self {
            ids: ConnectionIds::new(key, seed),
            by_id: HashMap::with_hasher(hasher),
            deadlines: Deadlines::default(),
            bound: None,
        }
    }

    pub(super) fn find(&self, id: ConnectionId) -> Option<&PeerConnection> {
        self.by_id.get(&id)
    }

    pub(super) fn find_mut(&mut self, id: ConnectionId) -> Option<&mut PeerConnection> {
        self.by_id.get_mut(&id)
    }

    pub(super) fn insert(&mut self, id: ConnectionId, connection: PeerConnection, now: Instant) {
        self.by_id.insert(id, connection);
        self.give_time(id, now);
    }

    /// The next step has to come within its time from `now` on.
    pub(super) fn give_time(&mut self, id: ConnectionId, now: Instant) {
        self.deadlines.set(id, now + PATIENCE);
    }

    /// There is no next step to wait for.
    pub(super) fn give_all_time(&mut self, id: ConnectionId) {
        self.deadlines.clear(id);
    }

    pub(super) fn remove(&mut self, id: ConnectionId) -> Option<PeerConnection> {
        self.deadlines.clear(id);
        self.by_id.remove(&id)
    }

    /// One whose next step has not come in time.
    pub(super) fn pop_expired(&mut self, now: Instant) -> Option<ConnectionId> {
        self.deadlines.pop_due(now)
    }

    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.deadlines.next()
    }
}
