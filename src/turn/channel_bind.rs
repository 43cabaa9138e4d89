//! ChannelBind (RFC 8656 section 12.2).

use super::channels::BindError;
use super::request::Request;
use super::response::Body;
use super::server::Server;
use super::siblings::Siblings;
use super::table::AllocationId;
use crate::auth::Credentials;
use crate::stun::{Attribute, ChannelNumber, ErrorCode};

impl<C: Credentials, S: Siblings> Server<C, S> {
    pub(super) fn handle_channel_bind(
        &mut self,
        request: &Request<'_>,
        id: AllocationId,
    ) -> Result<Body, ErrorCode> {
        // There are no datagrams to a peer of a TCP allocation (RFC 6062).
        if self.table.allocation(id).is_none_or(|it| it.is_tcp()) {
            return Err(ErrorCode::BAD_REQUEST);
        }
        let now = request.now.instant;
        // Both attributes, well formed, and a number from the range.
        let number = requested_number(request).ok_or(ErrorCode::BAD_REQUEST)?;
        let peer = request
            .message
            .find_xor_address(Attribute::XOR_PEER_ADDRESS);
        let Some(Ok(peer)) = peer else {
            return Err(ErrorCode::BAD_REQUEST);
        };
        // A peer that may have a permission, and is not some other service of ours.
        self.check_permission(peer.ip(), id)?;
        self.check_company(peer, id)?;
        let target = self.target(peer).ok_or(ErrorCode::FORBIDDEN)?;
        self.admit_new([peer.ip()].into_iter(), id, now)?;
        // Neither side bound to something else; the binding brings a permission with it.
        let own = self.own_addresses([peer.ip()].into_iter(), id);
        self.change(id, |reachable| {
            reachable
                .channels
                .check(number, peer, now)
                .map_err(error_code)?;
            reachable
                .install([peer.ip()].into_iter(), &own, now)
                .map_err(|_| ErrorCode::INSUFFICIENT_CAPACITY)?;
            reachable
                .channels
                .bind(number, peer, target, now)
                .map_err(error_code)
        })?;
        Ok(Body::Done)
    }
}

/// The number in CHANNEL-NUMBER; the two bytes behind it are reserved.
fn requested_number(request: &Request<'_>) -> Option<ChannelNumber> {
    let value = request.message.find_u32(Attribute::CHANNEL_NUMBER)?;
    ChannelNumber::new((value >> 16) as u16)
}

fn error_code(error: BindError) -> ErrorCode {
    match error {
        BindError::Conflict => ErrorCode::BAD_REQUEST,
        BindError::Full => ErrorCode::INSUFFICIENT_CAPACITY,
    }
}

#[cfg(test)]
mod tests {
    use super::super::world::{World, address};

    #[test]
    fn numbers_outside_the_range_are_refused() {
        let mut world = World::new();
        let client = world.allocated("alice");
        let peer = address("8.8.8.8:1");
        for number in [0, 0x3fff, 0x5000, 0xffff] {
            assert_eq!(
                world.try_bind_channel(&client, number, peer),
                Err(400),
                "{number:#x}"
            );
        }
        assert_eq!(world.try_bind_channel(&client, 0x4fff, peer), Ok(()));
    }

    #[test]
    fn a_number_and_a_peer_stay_with_each_other() {
        let mut world = World::new();
        let client = world.allocated("alice");
        let (peer, other) = (address("8.8.8.8:1"), address("8.8.8.8:2"));
        assert_eq!(world.try_bind_channel(&client, 0x4000, peer), Ok(()));
        assert_eq!(world.try_bind_channel(&client, 0x4000, peer), Ok(()));
        assert_eq!(world.try_bind_channel(&client, 0x4000, other), Err(400));
        assert_eq!(world.try_bind_channel(&client, 0x4001, peer), Err(400));
        assert_eq!(world.try_bind_channel(&client, 0x4001, other), Ok(()));
    }

    #[test]
    fn a_binding_brings_a_permission() {
        let mut world = World::new();
        let client = world.allocated("alice");
        world.bind_channel(&client, 0x4000, address("8.8.8.8:1"));
        assert!(
            world
                .send(&client, address("8.8.8.8:2"), b"hello")
                .is_some()
        );
    }

    #[test]
    fn refused_peers_and_other_families_are_told_apart() {
        let mut world = World::new();
        let client = world.allocated("alice");
        for (peer, code) in [
            ("127.0.0.1:1", 403),
            ("[2a00::1]:1", 443),
            ("198.51.100.9:3478", 403),
        ] {
            assert_eq!(
                world.try_bind_channel(&client, 0x4000, address(peer)),
                Err(code),
                "{peer}"
            );
        }
    }

    #[test]
    fn without_an_allocation_there_is_no_channel() {
        let mut world = World::new();
        let client = world.client("alice");
        assert_eq!(
            world.try_bind_channel(&client, 0x4000, address("8.8.8.8:1")),
            Err(437)
        );
    }
}
