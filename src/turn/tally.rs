//! What a server counts, and the reasons that it gives.

use super::five_tuple::Transport;
use super::peer_tally::PeerTally;
use crate::stun::{ErrorCode, Family};

/// Why a packet was not relayed, or a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It cannot be read, or lacks what it needs (400, 420).
    Malformed,
    /// Its five-tuple has no allocation, or already has one, or one of another user, or the
    /// allocation already has this connection (437, 441, 446).
    Allocation,
    /// The peer has no permission.
    Permission,
    /// The channel is not bound.
    Channel,
    /// The peer may not be reached at all (403).
    Peer,
    /// The allocation relays as much as it may.
    Bandwidth,
    /// The user has as many allocations as there may be (486).
    Quota,
    /// The server has no room, or sends elsewhere (508, 300).
    Capacity,
    /// A family or transport that is not to be had (440, 442, 443).
    Unsupported,
}

impl Refusal {
    /// All reasons, in the order in which they are counted.
    pub const ALL: [Self; 9] = [
        Self::Malformed,
        Self::Allocation,
        Self::Permission,
        Self::Channel,
        Self::Peer,
        Self::Bandwidth,
        Self::Quota,
        Self::Capacity,
        Self::Unsupported,
    ];

    /// What an error that answers an authenticated request stands for.
    fn of(code: ErrorCode) -> Self {
        match code {
            ErrorCode::ALLOCATION_MISMATCH
            | ErrorCode::WRONG_CREDENTIALS
            | ErrorCode::CONNECTION_ALREADY_EXISTS => Self::Allocation,
            ErrorCode::FORBIDDEN => Self::Peer,
            ErrorCode::ALLOCATION_QUOTA_REACHED => Self::Quota,
            ErrorCode::INSUFFICIENT_CAPACITY | ErrorCode::TRY_ALTERNATE => Self::Capacity,
            ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED
            | ErrorCode::UNSUPPORTED_TRANSPORT_PROTOCOL
            | ErrorCode::MOBILITY_FORBIDDEN
            | ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH => Self::Unsupported,
            _ => Self::Malformed,
        }
    }
}

/// Why a request was not authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It was not signed: every client begins like this.
    Unsigned,
    /// It was signed wrongly, or by nobody who is known.
    Wrong,
    /// Its nonce is too old.
    Stale,
    /// It was signed and lacks what belongs to it.
    Malformed,
}

impl Failure {
    /// All reasons, in the order in which they are counted.
    pub const ALL: [Self; 4] = [Self::Unsigned, Self::Wrong, Self::Stale, Self::Malformed];

    fn of(code: Option<ErrorCode>, is_signed: bool) -> Self {
        match code {
            Some(ErrorCode::STALE_NONCE) => Self::Stale,
            Some(ErrorCode::UNAUTHENTICATED) if is_signed => Self::Wrong,
            Some(ErrorCode::UNAUTHENTICATED) => Self::Unsigned,
            _ => Self::Malformed,
        }
    }
}

/// What a server has counted since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Allocations made.
    pub allocations_made: u64,
    /// Allocations ended, for whatever reason.
    pub allocations_ended: u64,
    /// Relayed addresses that live now, by [`Transport::ALL`] of their client and by family, IPv4
    /// first.
    pub relayed: [[u64; 2]; Transport::ALL.len()],
    /// Requests that were not authenticated, by [`Failure::ALL`].
    pub failures: [u64; Failure::ALL.len()],
    /// Answers that strangers did not get, since their address had enough.
    pub unanswered: u64,
    /// Packets that were not relayed, by [`Refusal::ALL`].
    pub packets_refused: [u64; Refusal::ALL.len()],
    /// Authenticated requests that were refused, likewise.
    pub requests_refused: [u64; Refusal::ALL.len()],
    /// Requests that were refused since the peer is in no room with whoever asks, and nobody there
    /// has announced it; they also count as those of [`Refusal::Peer`].
    pub outside_rooms: u64,
    /// What has to do with TCP allocations.
    pub peers: PeerTally,
}

impl Tally {
    /// Requests that were not authenticated, for whatever reason.
    #[must_use]
    pub fn unauthenticated(&self) -> u64 {
        self.failures.iter().sum()
    }

    /// Packets that were not relayed, for whatever reason.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.packets_refused.iter().sum()
    }

    #[cold]
    pub(super) fn refuse_packet(&mut self, why: Refusal) {
        self.packets_refused[why as usize] += 1;
    }

    pub(super) fn refuse_request(&mut self, code: ErrorCode) {
        self.requests_refused[Refusal::of(code) as usize] += 1;
    }

    pub(super) fn fail(&mut self, code: Option<ErrorCode>, is_signed: bool) {
        self.failures[Failure::of(code, is_signed) as usize] += 1;
    }

    /// A relayed address has come.
    pub(super) fn bound(&mut self, transport: Transport, family: Family) {
        *self.relayed_of(transport, family) += 1;
    }

    /// A relayed address has gone.
    pub(super) fn unbound(&mut self, transport: Transport, family: Family) {
        *self.relayed_of(transport, family) -= 1;
    }

    fn relayed_of(&mut self, transport: Transport, family: Family) -> &mut u64 {
        let by_family = &mut self.relayed[transport as usize];
        match family {
            Family::V4 => &mut by_family[0],
            Family::V6 => &mut by_family[1],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::world::{World, address};
    use super::*;
    use crate::stun::Method;

    /// Every reason is counted in its place.
    #[test]
    fn the_places_are_those_of_the_lists() {
        assert!((0..).zip(Refusal::ALL).all(|(at, why)| why as usize == at));
        assert!((0..).zip(Failure::ALL).all(|(at, why)| why as usize == at));
        assert!((0..).zip(Transport::ALL).all(|(at, it)| it as usize == at));
    }

    fn refused(world: &World, why: Refusal) -> (u64, u64) {
        let tally = world.server.tally();
        let at = why as usize;
        (tally.packets_refused[at], tally.requests_refused[at])
    }

    #[test]
    fn packets_and_requests_are_counted_by_what_was_wrong_with_them() {
        let mut world = World::new();
        let (client, idle) = (world.allocated("alice"), world.client("bob"));
        let (peer, inner) = (address("8.8.8.8:1"), address("10.0.0.1:1"));
        world.channel(&idle, 0x4000, b"no allocation");
        world.channel(&client, 0x4000, b"no channel");
        world.send(&client, peer, b"no permission");
        world.at_relayed(&client, peer, b"no permission");
        world.deliver(client.five_tuple, &[0x40, 0, 0, 9, 1]);
        assert_eq!(world.create_permission(&client, &[inner]), Err(403));
        assert_eq!(world.create_permission(&client, &[]), Err(400));
        assert_eq!(world.refresh(&idle, None), Err(437));
        for (why, counts) in [
            (Refusal::Allocation, (1, 1)),
            (Refusal::Channel, (1, 0)),
            (Refusal::Permission, (2, 0)),
            (Refusal::Malformed, (1, 1)),
            (Refusal::Peer, (0, 1)),
        ] {
            assert_eq!(refused(&world, why), counts, "{why:?}");
        }
        assert_eq!(world.server.tally().refused(), 5);
    }

    #[test]
    fn failures_are_counted_by_what_was_wrong_with_them() {
        let mut world = World::new();
        let mut client = world.client("alice");
        let nonce = client.nonce.take();
        assert_eq!(world.allocate(&client), Err(400));
        client.nonce = nonce;
        client.password = "wrong".to_owned();
        assert_eq!(world.allocate(&client), Err(401));
        client.password = "alice's".to_owned();
        world.pass(700);
        assert_eq!(world.allocate(&client), Err(438));
        // The first is the question for the nonce.
        assert_eq!(world.server.tally().failures, [1, 1, 1, 1]);
        assert_eq!(world.server.tally().unauthenticated(), 4);
    }

    #[test]
    fn what_strangers_do_not_get_is_counted() {
        let mut world = World::with(|config| config.unauthenticated_rate = 1);
        let client = world.anybody("alice");
        let answers = (0..10).filter(|_| world.unsigned(&client, Method::BINDING).is_some());
        assert_eq!(answers.count(), 1);
        assert_eq!(world.server.tally().unanswered, 9);
    }

    #[test]
    fn relayed_addresses_are_counted_by_transport_and_family() {
        let mut world = World::new();
        let client = world.allocated("alice");
        let mut connected = world.client("bob");
        connected.five_tuple.transport = Transport::Tcp;
        connected.nonce = world.nonce(&connected);
        world.allocate(&connected).expect("allocated");
        assert_eq!(world.server.tally().relayed[0], [1, 0]);
        assert_eq!(world.server.tally().relayed[1], [1, 0]);
        world.release(&client);
        world.server.handle_disconnect(connected.five_tuple);
        assert_eq!(world.server.tally().relayed, [[0; 2]; Transport::ALL.len()]);
    }
}
