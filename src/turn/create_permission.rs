//! CreatePermission (RFC 8656 section 10.2).

use std::net::{IpAddr, SocketAddr};

use super::policy::Standing;
use super::request::Request;
use super::response::Body;
use super::server::Server;
use super::siblings::Siblings;
use super::table::AllocationId;
use crate::auth::Credentials;
use crate::stun::{Attribute, ErrorCode, Family, Message, decode_xor_address};
use crate::time::Instant;

impl<C: Credentials, S: Siblings> Server<C, S> {
    /// Installs all permissions that the request names, or none.
    pub(super) fn handle_create_permission(
        &mut self,
        request: &Request<'_>,
        id: AllocationId,
    ) -> Result<Body, ErrorCode> {
        // At least one peer, and each well formed.
        let mut count = 0;
        for peer in peers(&request.message) {
            let peer = peer?;
            self.check_permission(peer.ip(), id)?;
            self.check_company(peer, id)?;
            count += 1;
        }
        if count == 0 {
            return Err(ErrorCode::BAD_REQUEST);
        }
        let addresses = peers(&request.message).flatten().map(|peer| peer.ip());
        self.admit_new(addresses.clone(), id, request.now.instant)?;
        let own = self.own_addresses(addresses.clone(), id);
        self.change(id, |reachable| {
            reachable.install(addresses, &own, request.now.instant)
        })
        .map_err(|_| ErrorCode::INSUFFICIENT_CAPACITY)?;
        Ok(Body::Done)
    }

    /// Counts those of `peers` that have no permission against what the user may reach: who scans
    /// for peers makes new allocations, too, when those it has are full. Our own relayed addresses
    /// are nothing to be found.
    pub(super) fn admit_new(
        &self,
        peers: impl Iterator<Item = IpAddr>,
        id: AllocationId,
        now: Instant,
    ) -> Result<(), ErrorCode> {
        let Some(allocation) = self.table.allocation(id) else {
            return Ok(());
        };
        let is_new = |peer: &IpAddr| {
            !allocation.reachable.has_permission(*peer, now)
                && self.config.policy.standing(*peer) == Standing::Permitted
        };
        let new = peers.filter(is_new).count();
        let new = u32::try_from(new).unwrap_or(u32::MAX);
        if new == 0 || self.siblings.admit_peers(&allocation.username, new, now) {
            Ok(())
        } else {
            Err(ErrorCode::INSUFFICIENT_CAPACITY)
        }
    }

    /// Whether `peer` may have a permission: of a family that the allocation has, not refused, and, where
    /// relayed addresses have no sockets, one of them.
    pub(super) fn check_permission(&self, peer: IpAddr, id: AllocationId) -> Result<(), ErrorCode> {
        let allocation = self
            .table
            .allocation(id)
            .ok_or(ErrorCode::ALLOCATION_MISMATCH)?;
        if allocation.relayed_of(Family::of(peer)).is_none() {
            return Err(ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH);
        }
        match self.config.policy.standing(peer) {
            Standing::Relayed => Ok(()),
            Standing::Permitted if !self.config.portless => Ok(()),
            Standing::Permitted | Standing::Refused => Err(ErrorCode::FORBIDDEN),
        }
    }
}

/// Every XOR-PEER-ADDRESS of a message.
fn peers(message: &Message<'_>) -> impl Iterator<Item = Result<SocketAddr, ErrorCode>> + Clone {
    let id = message.transaction_id();
    message
        .attributes()
        .filter(|&(kind, _)| kind == Attribute::XOR_PEER_ADDRESS)
        .map(move |(_, value)| decode_xor_address(value, id).map_err(|_| ErrorCode::BAD_REQUEST))
}

#[cfg(test)]
mod tests {
    use super::super::world::{World, address};
    use crate::stun::{Attribute, Method};

    #[test]
    fn all_peers_of_a_request_are_permitted() {
        let mut world = World::new();
        let client = world.allocated("alice");
        let peers = [address("8.8.8.8:1"), address("9.9.9.9:0")];
        assert_eq!(world.create_permission(&client, &peers), Ok(()));
        for peer in peers {
            // A permission is for all ports of an address.
            let mut other_port = peer;
            other_port.set_port(4_711);
            assert!(world.send(&client, other_port, b"hello").is_some());
        }
    }

    #[test]
    fn one_bad_peer_spoils_the_request() {
        let mut world = World::new();
        let client = world.allocated("alice");
        let good = address("8.8.8.8:1");
        for (bad, code) in [("10.0.0.1:1", 403), ("[2a00::1]:1", 443)] {
            assert_eq!(
                world.create_permission(&client, &[good, address(bad)]),
                Err(code)
            );
            assert_eq!(world.send(&client, good, b"hello"), None);
        }
        let answer = world.request(&client, Method::CREATE_PERMISSION, |writer| {
            writer.xor_address(Attribute::XOR_PEER_ADDRESS, good);
            writer.attribute(Attribute::XOR_PEER_ADDRESS, &[0, 1, 0]);
        });
        assert_eq!(World::code(&answer.expect("an answer")), Err(400));
        assert_eq!(world.send(&client, good, b"hello"), None);
    }

    #[test]
    fn a_request_without_peers_is_malformed() {
        let mut world = World::new();
        let client = world.allocated("alice");
        assert_eq!(world.create_permission(&client, &[]), Err(400));
    }

    #[test]
    fn who_has_reached_enough_new_peers_keeps_those_and_gets_no_more() {
        let mut world = World::new();
        world.set_new_peers("alice", 3);
        let client = world.allocated("alice");
        let known = [address("8.8.8.8:1"), address("8.8.4.4:1")];
        assert_eq!(world.create_permission(&client, &known), Ok(()));
        let new = [address("9.9.9.9:1"), address("9.9.9.10:1")];
        assert_eq!(world.create_permission(&client, &new), Err(508));
        assert_eq!(world.send(&client, new[0], b"no"), None);
        world.bind_channel(&client, 0x4000, new[1]);
        assert_eq!(
            world.try_bind_channel(&client, 0x4001, new[0]),
            Err(508),
            "a channel brings a permission with it"
        );
        // What is renewed is not new, and another allocation makes no peer less new.
        assert_eq!(world.create_permission(&client, &known), Ok(()));
        world.bind_channel(&client, 0x4000, new[1]);
        let again = world.allocated("alice");
        assert_eq!(world.create_permission(&again, &known), Err(508));
        let other = world.allocated("bob");
        assert_eq!(world.create_permission(&again, &[other.relayed]), Ok(()));
        assert_eq!(world.create_permission(&other, &new), Ok(()));
    }

    #[test]
    fn no_allocation_is_told() {
        let mut world = World::new();
        let client = world.client("alice");
        assert_eq!(
            world.create_permission(&client, &[address("8.8.8.8:1")]),
            Err(437)
        );
    }

    #[test]
    fn permissions_do_not_pass_on_to_the_next_allocation() {
        let mut world = World::new();
        let client = world.allocated("alice");
        let peer = address("8.8.8.8:1");
        world.permit(&client, peer);
        assert_eq!(world.refresh(&client, Some(0)), Ok(0));
        assert!(world.allocate(&client).is_ok());
        assert_eq!(world.send(&client, peer, b"hello"), None);
    }
}
