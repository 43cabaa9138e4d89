//! With whom an allocation may talk that only talks to those whom its party is in a room with.
//!
//! A permission is for an address, and all relayed addresses here have the same. So those for our
//! own addresses are kept apart, and each packet between two allocations is held against who they
//! are.

use std::net::IpAddr;
use std::sync::Arc;

use super::party::Party;
use super::permissions::LIFETIME;
use crate::stun::Family;
use crate::time::Instant;

/// A party, and the permissions for addresses on which relayed addresses are made.
#[derive(Clone, Debug)]
pub(super) struct Circle {
    pub(super) party: Arc<dyn Party>,
    /// There are few such addresses.
    own: Vec<OwnPermission>,
}

/// A permission for an address on which relayed addresses are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OwnPermission {
    address: OwnAddress,
    expires: Instant,
}

/// An address on which relayed addresses are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OwnAddress {
    /// As the client names it.
    pub(super) ip: IpAddr,
    /// Whether ports that are no relayed addresses may be reached, too: somebody has announced the
    /// address as its own, and the operator allows it.
    pub(super) with_others: bool,
}

impl Circle {
    pub(super) fn of(party: Arc<dyn Party>) -> Self {
        let own = Vec::new();
        Self { party, own }
    }

    /// Installs or renews permissions.
    pub(super) fn install(&mut self, addresses: &[OwnAddress], now: Instant) {
        self.own.retain(|known| known.expires > now);
        for &address in addresses {
            self.own.retain(|known| known.address.ip != address.ip);
            self.own.push(OwnPermission {
                address,
                expires: now + LIFETIME,
            });
        }
    }

    /// Whether packets from and to a port of the own address `ip` pass. `meets` says whether the
    /// relayed address that is there belongs to somebody whom the party meets; `None` if there is
    /// no relayed address.
    pub(super) fn permits(
        &self,
        ip: IpAddr,
        now: Instant,
        meets: impl FnOnce(&dyn Party) -> Option<bool>,
    ) -> bool {
        self.permission(ip, now)
            .is_some_and(|address| meets(&*self.party).unwrap_or(address.with_others))
    }

    /// The own address `ip`, if there is a permission for it.
    pub(super) fn permission(&self, ip: IpAddr, now: Instant) -> Option<OwnAddress> {
        let mut own = self.own.iter();
        let known = own.find(|known| known.address.ip == ip && known.expires > now)?;
        Some(known.address)
    }

    /// Takes back the permissions for addresses of `family`.
    pub(super) fn forget(&mut self, family: Family) {
        self.own
            .retain(|known| Family::of(known.address.ip) != family);
    }

    /// Holds every permission against what `judge` says of its address now: `None` takes it back.
    /// Gives whether anything has changed.
    pub(super) fn keep(&mut self, judge: impl Fn(IpAddr) -> Option<OwnAddress>) -> bool {
        let before = self.own.clone();
        self.own.retain_mut(|known| match judge(known.address.ip) {
            Some(address) => {
                known.address.with_others &= address.with_others;
                true
            }
            None => false,
        });
        self.own != before
    }
}
