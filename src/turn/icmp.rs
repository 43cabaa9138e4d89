//! What the network says of datagrams that did not arrive (RFC 8656 section 11.5).

use std::net::SocketAddr;

use super::indication::Indication;
use super::notice::{Icmp, Notice};
use super::party::Party;
use super::server::Server;
use super::siblings::Siblings;
use super::table::AllocationId;
use crate::auth::Credentials;
use crate::time::Now;

/// How many Data indications of this kind may wait to be sent; more are lost.
const MAX_WAITING: usize = 64;

impl<C: Credentials, S: Siblings> Server<C, S> {
    /// A datagram that left a relayed address of an allocation has not arrived at `peer`. The
    /// client is told by [`Server::poll_transmit`], if the peer has a permission; who has sent
    /// the message does not matter.
    pub fn handle_icmp(&mut self, relayed: AllocationId, peer: SocketAddr, icmp: Icmp, now: Now) {
        let Some(data) = icmp.error_data(peer.is_ipv4()) else {
            return;
        };
        let peer = self.config.policy.advertised(peer);
        let Some(allocation) = self.table.allocation(relayed) else {
            return;
        };
        let client = allocation.client();
        let meets = |party: &dyn Party| self.meets_at(peer, party);
        let reachable = &allocation.reachable;
        if !reachable.permits(peer.ip(), now.instant, meets) || self.notices.len() >= MAX_WAITING {
            return;
        }
        let [a, b, c, d] = data.to_be_bytes();
        let transaction_id = self.next_transaction_id();
        self.notices.push_back(Indication::Icmp(Notice {
            client,
            transaction_id,
            peer,
            value: [0, 0, icmp.kind, icmp.code, a, b, c, d],
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::super::world::{Client, World, address};
    use super::*;
    use crate::stun::{Attribute, Class, Message, Method};

    /// What `client` is told when its datagram to `peer` brings `icmp`: the peer and the value.
    fn told(
        world: &mut World,
        client: &Client,
        peer: SocketAddr,
        icmp: Icmp,
    ) -> Option<(SocketAddr, Vec<u8>)> {
        let (to, bytes) = world.icmp(client, peer, icmp)?;
        assert_eq!(to, client.five_tuple);
        let message = Message::parse(&bytes).expect("well formed");
        let kind = (message.class(), message.method());
        assert_eq!(kind, (Class::Indication, Method::DATA));
        assert_eq!(message.find(Attribute::DATA), None);
        let peer = message.find_xor_address(Attribute::XOR_PEER_ADDRESS);
        let value = message.find(Attribute::ICMP).expect("there");
        Some((peer.expect("there").expect("an address"), value.to_vec()))
    }

    fn icmp(kind: u8, code: u8) -> Icmp {
        let mtu = 0x0102_0304;
        Icmp { kind, code, mtu }
    }

    #[test]
    fn a_client_is_told_what_became_of_its_datagram() {
        let mut world = World::new();
        let client = world.allocated("alice");
        let peer = address("8.8.8.8:7");
        world.permit(&client, peer);
        for (kind, code, data) in [
            (3, 0, [0; 4]),
            (3, 3, [0; 4]),
            (3, 4, [1, 2, 3, 4]),
            (11, 0, [0; 4]),
        ] {
            let value = [&[0, 0, kind, code][..], &data].concat();
            let expected = Some((peer, value));
            assert_eq!(told(&mut world, &client, peer, icmp(kind, code)), expected);
            // A channel makes no difference, and that another port has the permission neither.
            world.bind_channel(&client, 0x4000, peer);
            let other = address("8.8.8.8:8");
            assert!(told(&mut world, &client, other, icmp(kind, code)).is_some());
        }
    }

    #[test]
    fn the_types_of_ipv6_are_others() {
        let mut world = World::new();
        let client = world.allocated_v6("alice");
        let peer = address("[2a00:1450::1]:7");
        world.permit(&client, peer);
        for (kind, data) in [(1, 0), (2, 0x0102_0304_u32), (3, 0)] {
            let value = [&[0, 0, kind, 0][..], &data.to_be_bytes()].concat();
            let expected = Some((peer, value));
            assert_eq!(told(&mut world, &client, peer, icmp(kind, 0)), expected);
        }
        for kind in [0, 4, 11, 128, 133] {
            assert_eq!(told(&mut world, &client, peer, icmp(kind, 0)), None);
        }
    }

    #[test]
    fn other_messages_and_those_about_strangers_are_not_told() {
        let mut world = World::new();
        let client = world.allocated("alice");
        let (peer, stranger) = (address("8.8.8.8:7"), address("8.8.4.4:7"));
        world.permit(&client, peer);
        for kind in [0, 1, 2, 4, 5, 8, 12, 255] {
            assert_eq!(told(&mut world, &client, peer, icmp(kind, 0)), None);
        }
        assert_eq!(told(&mut world, &client, stranger, icmp(3, 3)), None);
        world.pass(300);
        assert_eq!(told(&mut world, &client, peer, icmp(3, 3)), None);
    }

    #[test]
    fn a_flood_of_messages_is_bounded() {
        let mut world = World::new();
        let client = world.allocated("alice");
        let peer = address("8.8.8.8:7");
        world.permit(&client, peer);
        assert_eq!(
            world.icmp_flood(&client, peer, icmp(3, 3), 10_000),
            MAX_WAITING
        );
        assert_eq!(world.allocations(), 1);
        assert!(told(&mut world, &client, peer, icmp(3, 3)).is_some());
    }
}
