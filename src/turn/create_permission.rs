//! CreatePermission (RFC 8656 section 10.2).

use std::net::{IpAddr, SocketAddr};

use super::policy::Standing;
use super::request::Request;
use super::response::Body;
use super::server::{Server, Siblings};
use super::table::AllocationId;
use crate::auth::Credentials;
use crate::stun::{Attribute, ErrorCode, Family, Message, decode_xor_address};

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
            self.check_permission(peer?.ip(), id)?;
            count += 1;
        }
        if count == 0 {
            return Err(ErrorCode::BAD_REQUEST);
        }
        let addresses = peers(&request.message).flatten().map(|peer| peer.ip());
        self.change(id, |reachable| {
            reachable
                .permissions
                .install(addresses, request.now.instant)
        })
        .map_err(|_| ErrorCode::INSUFFICIENT_CAPACITY)?;
        Ok(Body::Done)
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
