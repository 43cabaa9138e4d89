//! What stands behind a relayed address.

use std::net::SocketAddr;

use super::channels::Channels;
use super::five_tuple::FiveTuple;
use super::permissions::Permissions;
use crate::stun::ChannelNumber;
use crate::time::Instant;

/// Whose a relayed address is, and from whom packets pass. It is never changed, only replaced, so
/// that other servers of the process may look at it while its owner goes on.
#[derive(Clone, Debug)]
pub struct Reachable {
    pub(super) client: FiveTuple,
    pub(super) permissions: Permissions,
    pub(super) channels: Channels,
}

/// How a packet that passes is handed to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passage {
    Channel(ChannelNumber),
    Indication,
}

impl Reachable {
    pub(super) fn new(client: FiveTuple) -> Self {
        Self {
            client,
            permissions: Permissions::default(),
            channels: Channels::default(),
        }
    }

    /// Whose relayed address it is.
    #[must_use]
    pub fn client(&self) -> FiveTuple {
        self.client
    }

    /// Whether packets from `peer` pass (RFC 8656 section 9), and how (section 12.7).
    pub(super) fn admit(&self, peer: SocketAddr, now: Instant) -> Option<Passage> {
        if !self.permissions.permits(peer.ip(), now) {
            return None;
        }
        let number = self.channels.number(peer, now);
        Some(number.map_or(Passage::Indication, Passage::Channel))
    }
}
