//! Refresh (RFC 8656 section 8.2).

use super::allocation::{expiry, granted_lifetime};
use super::record::End;
use super::request::{Request, User};
use super::response::Body;
use super::server::Server;
use super::siblings::Siblings;
use super::table::AllocationId;
use super::wanted::requested_family;
use crate::auth::Credentials;
use crate::stun::{Attribute, ErrorCode, Family};

impl<C: Credentials, S: Siblings> Server<C, S> {
    pub(super) fn handle_refresh(
        &mut self,
        request: &Request<'_>,
        id: AllocationId,
        user: User<'_>,
    ) -> Result<Body, ErrorCode> {
        // A family that is named must be one of the allocation's; none that is named is all.
        let family =
            requested_family(request).map_err(|_| ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH)?;
        let entry = self.table.allocation(id);
        let entry = entry.ok_or(ErrorCode::ALLOCATION_MISMATCH)?;
        if family.is_some_and(|family| entry.relayed_of(family).is_none()) {
            return Err(ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH);
        }
        // A lifetime of zero ends it; any other one is granted as in Allocate.
        let requested = request.message.find_u32(Attribute::LIFETIME);
        if requested == Some(0) {
            match family {
                Some(family) => self.end_relayed(id, family, End::Released),
                None => self.end(id, End::Released),
            }
            return Ok(Body::Refresh {
                lifetime: 0,
                ticket: None,
            });
        }
        let lifetime = granted_lifetime(requested);
        let lifetime = self.within_credentials(lifetime, user, request.now);
        let entry = self.table.allocation_mut(id);
        let entry = entry.ok_or(ErrorCode::ALLOCATION_MISMATCH)?;
        // Who shows a new token signs with its key from now on.
        if user.signer.key.is_of_token() {
            entry.key = user.signer.key;
        }
        for each in [Family::V4, Family::V6] {
            if family.is_none_or(|family| family == each)
                && let Some(relayed) = entry.relayed_of_mut(each)
            {
                relayed.expires = expiry(lifetime, request.now.instant);
            }
        }
        self.table.reschedule(id);
        Ok(Body::Refresh {
            lifetime,
            ticket: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::super::world::{Client, World, address};
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

    /// A dual allocation of alice, with a permission and a channel for a peer of each family.
    fn dual(world: &mut World) -> (Client, [SocketAddr; 2]) {
        let client = world.client("alice");
        let both = [(Attribute::ADDITIONAL_ADDRESS_FAMILY, &[2, 0, 0, 0][..])];
        world.allocate_with(&client, &both).expect("both");
        let peers = [address("8.8.8.8:1"), address("[2a00:1450::1]:1")];
        for (number, peer) in (0x4000..).zip(peers) {
            world.bind_channel(&client, number, peer);
        }
        (client, peers)
    }

    fn refresh_one(
        world: &mut World,
        client: &Client,
        family: u8,
        lifetime: u32,
    ) -> Result<(), u16> {
        let answer = world.request(client, Method::REFRESH, |writer| {
            writer.attribute(Attribute::REQUESTED_ADDRESS_FAMILY, &[family, 0, 0, 0]);
            writer.u32(Attribute::LIFETIME, lifetime);
        });
        World::code(&answer.expect("an answer"))
    }

    #[test]
    fn one_family_of_a_dual_allocation_can_be_ended_and_the_other_goes_on() {
        for (ended, kept) in [(0, 1), (1, 0)] {
            let mut world = World::new();
            let (client, peers) = dual(&mut world);
            let family = |number: usize| [1, 2][number];
            assert_eq!(refresh_one(&mut world, &client, family(ended), 0), Ok(()));
            assert_eq!((world.allocations(), world.bound_sockets()), (1, 1));
            // Its permissions and channels are gone, and no new ones are to be had.
            assert_eq!(world.send(&client, peers[ended], b"hi"), None);
            let channel = |number: usize| 0x4000 + number as u16;
            assert_eq!(world.channel(&client, channel(ended), b"hi"), None);
            let again = world.create_permission(&client, &[peers[ended]]);
            assert_eq!(again, Err(443));
            let again = world.try_bind_channel(&client, channel(ended), peers[ended]);
            assert_eq!(again, Err(443));
            assert_eq!(
                refresh_one(&mut world, &client, family(ended), 600),
                Err(443)
            );
            // The others are as they were.
            assert!(world.send(&client, peers[kept], b"hi").is_some());
            assert!(world.channel(&client, channel(kept), b"hi").is_some());
            assert_eq!(refresh_one(&mut world, &client, family(kept), 0), Ok(()));
            assert_eq!((world.allocations(), world.left_behind()), (0, 0));
        }
    }

    #[test]
    fn each_family_of_a_dual_allocation_has_its_own_lifetime() {
        let mut world = World::new();
        let (mut client, peers) = dual(&mut world);
        assert_eq!(refresh_one(&mut world, &client, 2, 1_000), Ok(()));
        world.pass(599);
        assert_eq!(world.bound_sockets(), 2);
        world.pass(1);
        assert_eq!((world.allocations(), world.bound_sockets()), (1, 1));
        client.nonce = world.nonce(&client);
        assert_eq!(world.create_permission(&client, &[peers[0]]), Err(443));
        assert_eq!(world.create_permission(&client, &[peers[1]]), Ok(()));
        world.pass(399);
        assert_eq!(world.allocations(), 1);
        world.pass(1);
        assert_eq!((world.allocations(), world.left_behind()), (0, 0));
    }

    #[test]
    fn a_refresh_without_family_is_for_both() {
        let mut world = World::new();
        let (client, _) = dual(&mut world);
        assert_eq!(world.refresh(&client, Some(900)), Ok(900));
        world.pass(899);
        assert_eq!(world.bound_sockets(), 2);
        world.pass(1);
        assert_eq!((world.allocations(), world.left_behind()), (0, 0));
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
