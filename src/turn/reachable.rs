//! What stands behind a relayed address.

use std::net::{IpAddr, SocketAddr};

use super::channels::Channels;
use super::circle::{Circle, OwnAddress};
use super::five_tuple::FiveTuple;
use super::party::Party;
use super::permissions::{Full, Permissions};
use crate::stun::{ChannelNumber, Family};
use crate::time::Instant;

/// Whose a relayed address is, and from whom packets pass. It is never changed, only replaced, so
/// that other servers of the process may look at it while its owner goes on.
#[derive(Clone, Debug)]
pub struct Reachable {
    pub(super) client: FiveTuple,
    pub(super) permissions: Permissions,
    pub(super) channels: Channels,
    /// With whom it may talk, where that is not everybody; a box, since most have none.
    pub(super) circle: Option<Box<Circle>>,
}

/// How a packet that passes is handed to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passage {
    Channel(ChannelNumber),
    Indication,
}

impl Reachable {
    pub(super) fn new(client: FiveTuple, circle: Option<Circle>) -> Self {
        Self {
            client,
            permissions: Permissions::default(),
            channels: Channels::default(),
            circle: circle.map(Box::new),
        }
    }

    /// Whose relayed address it is.
    #[must_use]
    pub fn client(&self) -> FiveTuple {
        self.client
    }

    /// To whom it belongs, where it may not talk to everybody.
    pub(super) fn party(&self) -> Option<&dyn Party> {
        self.circle.as_ref().map(|circle| &*circle.party)
    }

    /// Whether there is a permission for the address `peer`, or, if it is one of ours, for some of
    /// its ports.
    pub(super) fn has_permission(&self, peer: IpAddr, now: Instant) -> bool {
        let of_circle = || self.circle.as_ref()?.permission(peer, now);
        self.permissions.permits(peer, now) || of_circle().is_some()
    }

    /// Whether packets from and to `peer` pass (RFC 8656 section 9). `meets` says whether what has
    /// the relayed address `peer` belongs to somebody whom a party meets; `None` if nothing has.
    /// It is only asked of our own addresses, and only where allocations do not talk to everybody.
    pub(super) fn permits(
        &self,
        peer: IpAddr,
        now: Instant,
        meets: impl FnOnce(&dyn Party) -> Option<bool>,
    ) -> bool {
        self.permissions.permits(peer, now) || self.circle_permits(peer, now, meets)
    }

    // Not on the way of packets that pass, where allocations talk to everybody.
    #[cold]
    #[inline(never)]
    fn circle_permits(
        &self,
        peer: IpAddr,
        now: Instant,
        meets: impl FnOnce(&dyn Party) -> Option<bool>,
    ) -> bool {
        let circle = self.circle.as_ref();
        circle.is_some_and(|circle| circle.permits(peer, now, meets))
    }

    /// Whether packets from `peer` pass ([`Reachable::permits`]), and how (section 12.7).
    pub(super) fn admit(
        &self,
        peer: SocketAddr,
        now: Instant,
        meets: impl FnOnce(&dyn Party) -> Option<bool>,
    ) -> Option<Passage> {
        if !self.permits(peer.ip(), now, meets) {
            return None;
        }
        let number = self.channels.number(peer, now);
        Some(number.map_or(Passage::Indication, Passage::Channel))
    }

    /// Installs or renews the permission of every address, or none. Those in `own` are ours.
    pub(super) fn install(
        &mut self,
        peers: impl Iterator<Item = IpAddr> + Clone,
        own: &[OwnAddress],
        now: Instant,
    ) -> Result<(), Full> {
        let is_other = |peer: &IpAddr| !own.iter().any(|own| own.ip == *peer);
        self.permissions.install(peers.filter(is_other), now)?;
        if let Some(circle) = &mut self.circle {
            circle.install(own, now);
        }
        Ok(())
    }

    /// Takes back the permissions and channels of all peers of `family`.
    pub(super) fn forget(&mut self, family: Family) {
        self.permissions.forget(family);
        self.channels.forget(family);
        if let Some(circle) = &mut self.circle {
            circle.forget(family);
        }
    }
}
