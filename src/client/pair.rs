//! This session and another member, as the server has told of the two.

use serde::{Serialize, Serializer};

use crate::signal::SessionId;

/// How the two have met.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    pub(super) epoch: u64,
    pub(super) polite: bool,
    /// The epoch before a restart of the server, if the meeting goes on.
    pub(super) continues: Option<u64>,
}

impl Pair {
    /// The present epoch of what belongs to a meeting.
    pub(super) fn present(&self, epoch: u64) -> u64 {
        if self.continues == Some(epoch) {
            self.epoch
        } else {
            epoch
        }
    }
}

/// A meeting, as a client that comes back after a restart tells of it.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Meeting {
    #[serde(serialize_with = "write_id")]
    pub(super) session: SessionId,
    pub(super) epoch: u64,
    pub(super) polite: bool,
}

fn write_id<S: Serializer>(session: &SessionId, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(session)
}
