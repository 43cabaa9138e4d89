//! What the server knows of one allocation.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::connection_id::ConnectionId;
use super::five_tuple::FiveTuple;
use super::meter::{Meter, SharedMeter};
use super::mobile::Mobile;
use super::reachable::Reachable;
use super::record::Traffic;
use super::reservation::ReservationToken;
use crate::auth::Key;
use crate::stun::{ErrorCode, Family, TransactionId};
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
    pub(super) relayed: Relayed,
    /// The transaction that made the allocation, to answer its retransmissions alike.
    pub(super) made_by: TransactionId,
    /// What few allocations have.
    pub(super) extras: Option<Box<Extras>>,
}

/// A relayed address, and how long the client may have it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Relayed {
    ip: IpAddr,
    /// 0 until the socket is there.
    pub(super) port: u16,
    pub(super) expires: Instant,
}

/// What only few allocations have; the others do not pay for it.
#[derive(Debug, Default)]
pub(super) struct Extras {
    /// The relayed address of the other family.
    pub(super) second: Option<Relayed>,
    /// The family that was asked for in addition and could not be had, and why.
    pub(super) refused: Option<(Family, ErrorCode)>,
    /// Where there is a limit to what it may relay.
    pub(super) meter: Option<Meter>,
    /// The same for all allocations of its user together.
    pub(super) of_user: Option<Arc<dyn SharedMeter>>,
    /// Where the client may move with it.
    pub(super) mobile: Option<Mobile>,
    /// What holds the next higher port.
    pub(super) token: Option<ReservationToken>,
    /// What was relayed, where account is kept.
    pub(super) traffic: Option<Traffic>,
    /// The connections to peers of a TCP allocation (RFC 6062); others have none.
    pub(super) connections: Option<Vec<ConnectionId>>,
}

impl Relayed {
    /// One on `ip` that has no port yet.
    pub(super) fn on(ip: IpAddr, expires: Instant) -> Self {
        let port = 0;
        Self { ip, port, expires }
    }

    /// As it is bound.
    pub(super) fn address(&self) -> SocketAddr {
        SocketAddr::new(self.ip, self.port)
    }

    pub(super) fn family(&self) -> Family {
        Family::of(self.ip)
    }

    /// Whole seconds that the client still may have it.
    fn remaining(&self, now: Instant) -> u32 {
        let remaining = self.expires.saturating_since(now).as_secs();
        u32::try_from(remaining).unwrap_or(MAX_LIFETIME)
    }
}

impl Allocation {
    pub(super) fn client(&self) -> FiveTuple {
        self.reachable.client
    }

    pub(super) fn mobile(&self) -> Option<&Mobile> {
        self.extras.as_ref()?.mobile.as_ref()
    }

    pub(super) fn mobile_mut(&mut self) -> Option<&mut Mobile> {
        self.extras.as_mut()?.mobile.as_mut()
    }

    /// Whether its relayed addresses are for TCP (RFC 6062).
    pub(super) fn is_tcp(&self) -> bool {
        self.connections().is_some()
    }

    /// The connections to peers of a TCP allocation.
    pub(super) fn connections(&self) -> Option<&[ConnectionId]> {
        self.extras.as_ref()?.connections.as_deref()
    }

    pub(super) fn connections_mut(&mut self) -> Option<&mut Vec<ConnectionId>> {
        self.extras.as_mut()?.connections.as_mut()
    }

    /// Where it moves to with the first data from there.
    pub(super) fn next_client(&self) -> Option<FiveTuple> {
        self.mobile()?.next
    }

    /// Whether it is that of `client`.
    // Not inlined: where it is, all fields of both are taken up before the first is compared.
    #[inline(never)]
    pub(super) fn is_of(&self, client: &FiveTuple) -> bool {
        self.reachable.client == *client
    }

    /// The relayed address of a dual allocation that is not `relayed`.
    pub(super) fn second(&self) -> Option<&Relayed> {
        self.extras.as_ref()?.second.as_ref()
    }

    /// All relayed addresses, one of each family at most.
    pub(super) fn all_relayed(&self) -> impl Iterator<Item = &Relayed> {
        std::iter::once(&self.relayed).chain(self.second())
    }

    pub(super) fn relayed_of(&self, family: Family) -> Option<&Relayed> {
        self.all_relayed()
            .find(|relayed| relayed.family() == family)
    }

    pub(super) fn relayed_of_mut(&mut self, family: Family) -> Option<&mut Relayed> {
        let second = self.extras.as_mut().and_then(|it| it.second.as_mut());
        std::iter::once(&mut self.relayed)
            .chain(second)
            .find(|relayed| relayed.family() == family)
    }

    /// Takes the relayed address of `family` away from a dual allocation. The only one of another
    /// allocation ends with it.
    pub(super) fn remove_relayed(&mut self, family: Family) -> Option<Relayed> {
        let second = self.extras.as_mut()?.second.take()?;
        if second.family() == family {
            return Some(second);
        }
        Some(std::mem::replace(&mut self.relayed, second))
    }

    /// When the first of its relayed addresses ends.
    pub(super) fn next_expiry(&self) -> Instant {
        let first = self.relayed.expires;
        self.second()
            .map_or(first, |second| first.min(second.expires))
    }

    /// Whole seconds that the first relayed address still has.
    pub(super) fn remaining(&self, now: Instant) -> u32 {
        self.relayed.remaining(now)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_few_allocations_have_costs_the_others_one_pointer() {
        assert_eq!(size_of::<Option<Box<Extras>>>(), size_of::<usize>());
        let bytes = size_of::<Allocation>();
        assert!(bytes <= 128, "{bytes} bytes");
    }
}
