//! Refresh (RFC 8656 section 8.2).

use super::allocate::requested_family;
use super::allocation::{expiry, granted_lifetime};
use super::request::Request;
use super::response::Body;
use super::server::{Server, Siblings};
use super::table::AllocationId;
use crate::auth::Credentials;
use crate::stun::{Attribute, ErrorCode};

impl<C: Credentials, S: Siblings> Server<C, S> {
    pub(super) fn handle_refresh(
        &mut self,
        request: &Request<'_>,
        id: AllocationId,
    ) -> Result<Body, ErrorCode> {
        // A family that is named must be the allocation's.
        let family =
            requested_family(request).map_err(|_| ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH)?;
        let own = self
            .table
            .allocation(id)
            .map(|allocation| allocation.family());
        if family.is_some() && family != own {
            return Err(ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH);
        }
        // A lifetime of zero ends the allocation; any other one is granted as in Allocate.
        let requested = request.message.find_u32(Attribute::LIFETIME);
        if requested == Some(0) {
            self.end(id);
            return Ok(Body::Refresh { lifetime: 0 });
        }
        let lifetime = granted_lifetime(requested);
        self.table
            .set_expiry(id, expiry(lifetime, request.now.instant));
        Ok(Body::Refresh { lifetime })
    }
}

#[cfg(test)]
mod tests {
    use super::super::world::World;
    use crate::stun::{Attribute, Method};

    #[test]
    fn a_refresh_extends_the_lifetime() {
        let mut world = World::new();
        let mut client = world.allocated("alice");
        world.pass(500);
        assert_eq!(world.refresh(&client, None), Ok(600));
        world.pass(500);
        client.nonce = world.nonce(&client);
        assert_eq!(world.refresh(&client, Some(9_999)), Ok(3_600));
        world.pass(3_599);
        assert_eq!(world.allocations(), 1);
        world.pass(1);
        assert_eq!(world.allocations(), 0);
    }

    #[test]
    fn a_refresh_to_zero_ends_the_allocation_and_frees_the_five_tuple() {
        let mut world = World::new();
        let client = world.allocated("alice");
        assert_eq!(world.refresh(&client, Some(0)), Ok(0));
        assert_eq!(world.bound_sockets(), 0);
        assert_eq!(world.refresh(&client, Some(0)), Err(437));
        assert!(world.allocate(&client).is_ok());
    }

    #[test]
    fn a_family_that_is_not_the_allocations_is_refused() {
        let mut world = World::new();
        let client = world.allocated("alice");
        for (family, code) in [(1, Ok(())), (2, Err(443)), (9, Err(443))] {
            let answer = world.request(&client, Method::REFRESH, |writer| {
                writer.attribute(Attribute::REQUESTED_ADDRESS_FAMILY, &[family, 0, 0, 0]);
            });
            assert_eq!(World::code(&answer.expect("an answer")), code);
        }
    }

    #[test]
    fn another_user_cannot_touch_an_allocation() {
        let mut world = World::new();
        let client = world.allocated("alice");
        let mut other = world.client("bob");
        other.five_tuple = client.five_tuple;
        other.nonce = client.nonce;
        assert_eq!(world.refresh(&other, Some(0)), Err(441));
        assert_eq!(world.allocations(), 1);
    }
}
