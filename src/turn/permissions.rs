//! The permissions of an allocation (RFC 8656 section 9).

use std::net::IpAddr;
use std::time::Duration;

use crate::stun::Family;
use crate::time::Instant;

/// How long a permission lasts; only a request renews it, never traffic.
pub(super) const LIFETIME: Duration = Duration::from_secs(300);

/// How many an allocation may have. Browsers ask for one for each candidate of each peer.
const MAX: usize = 128;

/// An allocation's table of permissions is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// Which addresses may send to an allocation, in the order of addresses.
#[derive(Clone, Debug, Default)]
pub(super) struct Permissions(Vec<(IpAddr, Instant)>);

impl Permissions {
    /// Whether packets from and to `peer` pass.
    pub(super) fn permits(&self, peer: IpAddr, now: Instant) -> bool {
        self.place(peer).is_ok_and(|at| self.0[at].1 > now)
    }

    /// Installs or renews the permission of every address, or none.
    pub(super) fn install(
        &mut self,
        peers: impl Iterator<Item = IpAddr> + Clone,
        now: Instant,
    ) -> Result<(), Full> {
        self.0.retain(|&(_, expires)| expires > now);
        let new = peers
            .clone()
            .filter(|&peer| self.place(peer).is_err())
            .count();
        // Addresses named twice are counted twice; that only matters at the very limit.
        if self.0.len() + new > MAX {
            return Err(Full);
        }
        // Not a place more than needed: most allocations have one or two for all their life.
        self.0.reserve_exact(new);
        for peer in peers {
            match self.place(peer) {
                Ok(at) => self.0[at].1 = now + LIFETIME,
                Err(at) => self.0.insert(at, (peer, now + LIFETIME)),
            }
        }
        Ok(())
    }

    /// Takes back the permissions of all peers of `family`.
    pub(super) fn forget(&mut self, family: Family) {
        self.0.retain(|&(peer, _)| Family::of(peer) != family);
    }

    /// Takes back the permissions of peers that `keep` does not name; gives whether there were any.
    pub(super) fn keep(&mut self, keep: impl Fn(IpAddr) -> bool) -> bool {
        let before = self.0.len();
        self.0.retain(|&(peer, _)| keep(peer));
        self.0.len() < before
    }

    fn place(&self, peer: IpAddr) -> Result<usize, usize> {
        self.0.binary_search_by_key(&peer, |&(peer, _)| peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_start(Duration::from_secs(seconds))
    }

    fn peer(number: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, number])
    }

    #[test]
    fn a_permission_lasts_five_minutes() {
        let mut permissions = Permissions::default();
        permissions
            .install([peer(1)].into_iter(), at(0))
            .expect("there is room");
        assert!(permissions.permits(peer(1), at(299)));
        assert!(!permissions.permits(peer(1), at(300)));
        assert!(!permissions.permits(peer(2), at(0)));
    }

    #[test]
    fn a_full_table_takes_nothing_of_a_list() {
        let mut permissions = Permissions::default();
        permissions
            .install((0..127).map(peer), at(0))
            .expect("there is room");
        assert_eq!(
            permissions.install([peer(200), peer(201)].into_iter(), at(0)),
            Err(Full)
        );
        assert!(!permissions.permits(peer(200), at(0)));
        permissions
            .install([peer(200), peer(0)].into_iter(), at(0))
            .expect("one is known");
    }

    #[test]
    fn what_has_expired_makes_room() {
        let mut permissions = Permissions::default();
        permissions
            .install((0..128).map(peer), at(0))
            .expect("there is room");
        permissions
            .install((128..=255).map(peer), at(300))
            .expect("the others are gone");
    }
}
