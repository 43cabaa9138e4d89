//! Relayed data (RFC 8656 sections 11 and 12): it is neither copied nor answered.

use std::net::SocketAddr;
use std::ops::Range;

use super::channels::Target;
use super::meter::Direction;
use super::party::Party;
use super::policy::Standing;
use super::reachable::Passage;
use super::route::{Destination, Header, Route, ToClient};
use super::server::{Sender, Server};
use super::siblings::Siblings;
use super::table::AllocationId;
use super::tally::Refusal;
use crate::auth::Credentials;
use crate::stun::{Attribute, ChannelData, Family, Message};
use crate::time::Now;

impl<C: Credentials, S: Siblings> Server<C, S> {
    /// ChannelData from a client (RFC 8656 section 12.6). The binding is all that is asked for:
    /// a permission that has run out stops the peer, not the client.
    pub(super) fn relay_channel_data(
        &mut self,
        sender: Sender<'_>,
        datagram: &[u8],
        now: Now,
    ) -> Result<Route, Refusal> {
        let data = ChannelData::parse(datagram).ok_or(Refusal::Malformed)?;
        let via = sender.allocation.ok_or(Refusal::Allocation)?;
        let allocation = self.table.allocation(via).ok_or(Refusal::Allocation)?;
        let target = allocation
            .reachable
            .channels
            .target(data.number, now.instant)
            .ok_or(Refusal::Channel)?;
        if allocation.extras.is_some() {
            self.complete_move(via, *sender.client);
            self.pass_meter(via, Direction::FromClient, data.payload.len(), now)?;
        }
        let to = self
            .destination(via, target, false, now)
            .ok_or(Refusal::Permission)?;
        Ok(Route {
            to,
            payload: range_within(datagram, data.payload),
        })
    }

    /// A Send indication (section 11.3). It carries no credentials; it is only as good as the
    /// permission that an authenticated request has installed.
    pub(super) fn relay_send_indication(
        &mut self,
        sender: Sender<'_>,
        datagram: &[u8],
        message: &Message<'_>,
        now: Now,
    ) -> Result<Route, Refusal> {
        if self.unknown_attributes(message).is_some() {
            return Err(Refusal::Malformed);
        }
        let peer = message.find_xor_address(Attribute::XOR_PEER_ADDRESS);
        let Some(Ok(peer)) = peer else {
            return Err(Refusal::Malformed);
        };
        let data = message.find(Attribute::DATA).ok_or(Refusal::Malformed)?;
        let via = sender.allocation.ok_or(Refusal::Allocation)?;
        let allocation = self.table.allocation(via).ok_or(Refusal::Allocation)?;
        let permitted = allocation
            .reachable
            .permits(peer.ip(), now.instant, |party| self.meets_at(peer, party));
        let target = if permitted {
            self.target(peer).ok_or(Refusal::Peer)?
        } else {
            return Err(Refusal::Permission);
        };
        if allocation.extras.is_some() {
            self.complete_move(via, *sender.client);
            self.pass_meter(via, Direction::FromClient, data.len(), now)?;
        }
        let dont_fragment = message.find(Attribute::DONT_FRAGMENT).is_some();
        let to = self
            .destination(via, target, dont_fragment, now)
            .ok_or(Refusal::Permission)?;
        Ok(Route {
            to,
            payload: range_within(datagram, data),
        })
    }

    /// A datagram at a relayed address (section 11.4).
    pub(super) fn relay_from_peer(
        &mut self,
        relayed: AllocationId,
        source: SocketAddr,
        length: usize,
        now: Now,
    ) -> Result<ToClient, Refusal> {
        let peer = self.config.policy.advertised(source);
        let allocation = self.table.allocation(relayed).ok_or(Refusal::Allocation)?;
        let passage = allocation
            .reachable
            .admit(peer, now.instant, |party| self.meets_at(peer, party))
            .ok_or(Refusal::Permission)?;
        let client = allocation.reachable.client;
        if allocation.extras.is_some() {
            self.pass_meter(relayed, Direction::ToClient, length, now)?;
        }
        Ok(ToClient {
            client,
            header: self.header(passage, peer),
        })
    }

    /// Counts a payload of `length` bytes, if the allocation and its user may relay it. What is more is dropped
    /// without a word (section 5).
    #[cold]
    fn pass_meter(
        &mut self,
        id: AllocationId,
        direction: Direction,
        length: usize,
        now: Now,
    ) -> Result<(), Refusal> {
        let allocation = self.table.allocation_mut(id);
        let Some(extras) = allocation.and_then(|allocation| allocation.extras.as_mut()) else {
            return Ok(());
        };
        // A TCP allocation relays no datagrams (RFC 6062).
        if extras.connections.is_some() {
            return Err(Refusal::Unsupported);
        }
        let of_allocation = extras.meter.as_mut();
        let of_user = extras.of_user.as_deref();
        if of_allocation.is_some_and(|meter| !meter.admit(direction, length, now.instant))
            || of_user.is_some_and(|meter| !meter.admit(direction, length, now.instant))
        {
            return Err(Refusal::Bandwidth);
        }
        if let Some(traffic) = extras.traffic.as_mut() {
            traffic.count(direction, length);
        }
        Ok(())
    }

    /// Where `peer` is, if packets may go there at all. Of our own addresses, only those that are
    /// relayed addresses at this moment may be reached, or what the operator allows: any other
    /// port is not the relay's.
    pub(super) fn target(&self, peer: SocketAddr) -> Option<Target> {
        let bound = self.config.policy.bound(peer);
        if self.config.policy.is_relay_address(peer.ip())
            && self.siblings.reach(bound, |_| ()).is_some()
        {
            return Some(Target::Here(bound));
        }
        let policy = &self.config.policy;
        let is_permitted =
            policy.standing(peer.ip()) == Standing::Permitted && !policy.is_listener(peer);
        (is_permitted && !self.config.portless).then_some(Target::Outside(bound))
    }

    /// The way from the allocation `via` to `target`: out of its relayed address of the same
    /// family, or straight to another client.
    #[inline]
    fn destination(
        &mut self,
        via: AllocationId,
        target: Target,
        dont_fragment: bool,
        now: Now,
    ) -> Option<Destination> {
        match target {
            Target::Outside(peer) => Some(Destination::Peer {
                via,
                peer,
                dont_fragment,
            }),
            Target::Here(relayed) => self
                .client_behind(relayed, via, now)
                .map(Destination::Client),
        }
    }

    /// Whose relayed address `relayed` is, if its permissions let the allocation `via` pass.
    fn client_behind(
        &mut self,
        relayed: SocketAddr,
        via: AllocationId,
        now: Now,
    ) -> Option<ToClient> {
        let allocation = self.table.allocation(via)?;
        let source = allocation.relayed_of(Family::of(relayed.ip()))?;
        let source = self.config.policy.advertised(source.address());
        let (client, passage) = self.siblings.reach(relayed, |reachable| {
            let sender = |party: &dyn Party| Some(party.meets(allocation.reachable.party()?));
            let passage = reachable.admit(source, now.instant, sender);
            passage.map(|passage| (reachable.client, passage))
        })??;
        let header = self.header(passage, source);
        Some(ToClient { client, header })
    }

    fn header(&mut self, passage: Passage, peer: SocketAddr) -> Header {
        match passage {
            Passage::Channel(number) => Header::Channel(number),
            Passage::Indication => Header::Indication {
                peer,
                transaction_id: self.next_transaction_id(),
            },
        }
    }
}

/// Where `part`, which is a slice of `whole`, lies in it.
fn range_within(whole: &[u8], part: &[u8]) -> Range<usize> {
    let start = part.as_ptr().addr() - whole.as_ptr().addr();
    start..start + part.len()
}

#[cfg(test)]
mod tests {
    use super::super::meter::SharedMeter;
    use super::super::policy::{Machine, PeerPolicy, RelayAddress};
    use super::super::world::{World, address};
    use super::*;
    use crate::stun::Method;
    use crate::time::Instant;
    use crate::turn::Transport;

    #[test]
    fn data_flows_both_ways_through_a_permission() {
        let mut world = World::new();
        let client = world.allocated("alice");
        let peer = address("8.8.8.8:1000");
        world.permit(&client, peer);
        assert_eq!(
            world.send(&client, peer, b"hello"),
            Some((peer, b"hello".to_vec()))
        );
        let (to, bytes) = world.at_relayed(&client, peer, b"hi").expect("permitted");
        assert_eq!(to, client.five_tuple);
        let message = Message::parse(&bytes).expect("a Data indication");
        assert_eq!(message.find(Attribute::DATA), Some(&b"hi"[..]));
        assert_eq!(
            message.find_xor_address(Attribute::XOR_PEER_ADDRESS),
            Some(Ok(peer))
        );
    }

    #[test]
    fn data_flows_both_ways_through_a_channel() {
        let mut world = World::new();
        let client = world.allocated("alice");
        let peer = address("8.8.8.8:1000");
        world.bind_channel(&client, 0x4001, peer);
        assert_eq!(
            world.channel(&client, 0x4001, b"hello"),
            Some((peer, b"hello".to_vec()))
        );
        let (_, bytes) = world.at_relayed(&client, peer, b"hi").expect("permitted");
        assert_eq!(bytes, [0x40, 0x01, 0, 2, b'h', b'i']);
        // Another port of the same address has no channel, but the permission.
        let (_, bytes) = world
            .at_relayed(&client, address("8.8.8.8:2"), b"hi")
            .expect("permitted");
        assert!(Message::parse(&bytes).is_ok());
    }

    #[test]
    fn nothing_flows_without_a_permission() {
        let mut world = World::new();
        let client = world.allocated("alice");
        let peer = address("8.8.8.8:1000");
        assert_eq!(world.send(&client, peer, b"hello"), None);
        assert_eq!(world.channel(&client, 0x4001, b"hello"), None);
        assert_eq!(world.at_relayed(&client, peer, b"hi"), None);
    }

    #[test]
    fn traffic_keeps_no_permission_alive() {
        let mut world = World::new();
        let client = world.allocated("alice");
        let peer = address("8.8.8.8:1000");
        world.permit(&client, peer);
        for _ in 0..29 {
            world.pass(10);
            assert!(world.send(&client, peer, b"hello").is_some());
            assert!(world.at_relayed(&client, peer, b"hi").is_some());
        }
        world.pass(10);
        assert_eq!(world.send(&client, peer, b"hello"), None);
        assert_eq!(world.at_relayed(&client, peer, b"hi"), None);
    }

    #[test]
    fn an_expired_permission_stops_the_peer_of_a_channel_but_not_the_client() {
        let mut world = World::new();
        let client = world.allocated("alice");
        let peer = address("8.8.8.8:1000");
        world.bind_channel(&client, 0x4001, peer);
        world.pass(300);
        assert!(world.channel(&client, 0x4001, b"hello").is_some());
        assert_eq!(world.at_relayed(&client, peer, b"hi"), None);
    }

    #[test]
    fn two_relayed_clients_meet_without_a_socket_in_between() {
        for mut world in [World::new(), World::portless()] {
            let (alice, bob) = (world.allocated("alice"), world.allocated("bob"));
            world.permit(&alice, bob.relayed);
            world.bind_channel(&bob, 0x4000, alice.relayed);
            let (to, bytes) = world.send(&alice, bob.relayed, b"hi").expect("delivered");
            assert_eq!(to, bob.five_tuple.client);
            assert_eq!(bytes, [0x40, 0x00, 0, 2, b'h', b'i']);
            let (to, bytes) = world.channel(&bob, 0x4000, b"ho").expect("delivered");
            assert_eq!(to, alice.five_tuple.client);
            let message = Message::parse(&bytes).expect("a Data indication");
            let peer = message.find_xor_address(Attribute::XOR_PEER_ADDRESS);
            assert_eq!(peer, Some(Ok(bob.relayed)));
            assert_eq!(message.find(Attribute::DATA), Some(&b"ho"[..]));
        }
    }

    #[test]
    fn both_sides_must_permit_each_other() {
        let mut world = World::new();
        let (alice, bob) = (world.allocated("alice"), world.allocated("bob"));
        world.permit(&alice, bob.relayed);
        // Bob has another permission: it is for his address, not for his ports, that one asks.
        world.permit(&bob, address("8.8.8.8:1"));
        assert_eq!(world.send(&alice, bob.relayed, b"hi"), None);
        world.permit(&bob, alice.relayed);
        assert!(world.send(&alice, bob.relayed, b"hi").is_some());
        world.pass(300);
        assert_eq!(world.send(&alice, bob.relayed, b"hi"), None);
    }

    #[test]
    fn without_sockets_nobody_outside_can_be_reached() {
        let mut world = World::portless();
        let client = world.allocated("alice");
        let outside = address("8.8.8.8:1");
        assert_eq!(world.create_permission(&client, &[outside]), Err(403));
        assert_eq!(world.try_bind_channel(&client, 0x4000, outside), Err(403));
        assert_eq!(world.send(&client, outside, b"hi"), None);
    }

    #[test]
    fn other_ports_of_the_server_cannot_be_reached() {
        let mut world = World::new();
        let (alice, bob) = (world.allocated("alice"), world.allocated("bob"));
        world.permit(&alice, bob.relayed);
        let ssh = SocketAddr::new(bob.relayed.ip(), 22);
        assert_eq!(world.send(&alice, ssh, b"hello"), None);
        assert_eq!(world.try_bind_channel(&alice, 0x4000, ssh), Err(403));
        world.bind_channel(&alice, 0x4001, bob.relayed);
        world.release(&bob);
        assert_eq!(world.channel(&alice, 0x4001, b"hello"), None);
        assert_eq!(world.send(&alice, bob.relayed, b"hello"), None);
    }

    #[test]
    fn a_client_that_is_its_own_peer_gets_each_packet_once() {
        for mut world in [World::new(), World::portless()] {
            let client = world.allocated("alice");
            world.bind_channel(&client, 0x4000, client.relayed);
            for packet in [&b"round"[..], &[0x40, 0, 0, 0]] {
                let (to, bytes) = world
                    .channel(&client, 0x4000, packet)
                    .expect("to the client itself");
                assert_eq!(to, client.five_tuple.client);
                assert_eq!(&bytes[4..], packet);
            }
        }
    }

    #[test]
    fn two_allocations_that_point_to_each_other_pass_a_packet_once() {
        let mut world = World::new();
        let (alice, bob) = (world.allocated("alice"), world.allocated("bob"));
        world.bind_channel(&alice, 0x4000, bob.relayed);
        world.bind_channel(&bob, 0x4000, alice.relayed);
        // What arrives at bob looks like what bob would send: it must not be taken for that.
        let (to, bytes) = world.channel(&alice, 0x4000, b"round").expect("delivered");
        assert_eq!((to, bytes.len()), (bob.five_tuple.client, 4 + 5));
    }

    #[test]
    fn the_server_is_not_its_own_client_or_peer() {
        let range = |text: &str| text.parse().expect("a range");
        let mut world = World::with(|config| {
            let policy = PeerPolicy::new(
                vec![RelayAddress {
                    bound: address("198.51.100.9:0").ip(),
                    advertised: address("198.51.100.9:0").ip(),
                }],
                Machine::default(),
                vec![range("0.0.0.0/0")],
            );
            config.policy = policy
                .with_listeners(vec![address("0.0.0.0:3478")])
                .with_stream_listeners(vec![address("0.0.0.0:443")]);
        });
        let listener = address("198.51.100.9:3478");
        let client = world.allocated("alice");
        world.permit(&client, listener);
        let for_streams = address("198.51.100.9:443");
        for peer in [listener, for_streams] {
            assert_eq!(world.send(&client, peer, b"hello"), None);
            assert_eq!(world.try_bind_channel(&client, 0x4000, peer), Err(403));
        }
        for source in [listener, client.relayed] {
            let mut forged = client.clone();
            forged.five_tuple.client = source;
            for method in [Method::BINDING, Method::ALLOCATE] {
                assert_eq!(world.unsigned(&forged, method), None, "{source}");
            }
        }
        // No datagram of ours comes from there.
        let mut neighbour = client.clone();
        neighbour.five_tuple.client = for_streams;
        assert!(world.unsigned(&neighbour, Method::BINDING).is_some());
        // Ports of TCP and of UDP are apart: a stream from the same number is a neighbour's, too.
        neighbour.five_tuple.transport = Transport::Tcp;
        for source in [listener, client.relayed] {
            neighbour.five_tuple.client = source;
            assert!(world.unsigned(&neighbour, Method::ALLOCATE).is_some());
        }
    }

    #[test]
    fn a_client_behind_a_tunnel_is_refused() {
        let mut world = World::new();
        for source in ["[2002:808:808::1]:5", "[2001:0:808:808::1]:5"] {
            let mut client = world.client("alice");
            client.five_tuple.client = address(source);
            client.nonce = world.nonce(&client);
            assert_eq!(world.allocate(&client), Err(403), "{source}");
        }
    }

    #[test]
    fn what_is_more_than_an_allocation_may_relay_is_dropped_and_counted() {
        let mut world = World::with(|config| config.max_bandwidth_per_allocation = 1_000);
        let (client, other) = (world.allocated("alice"), world.allocated("bob"));
        let peer = address("8.8.8.8:1000");
        world.bind_channel(&client, 0x4001, peer);
        world.permit(&other, peer);
        let data = [7; 100];
        let passed = |world: &mut World| {
            let from_client = (0..10).filter(|number| {
                let by_channel = number % 2 == 0;
                if by_channel {
                    world.channel(&client, 0x4001, &data).is_some()
                } else {
                    world.send(&client, peer, &data).is_some()
                }
            });
            let from_client = from_client.count();
            let to_client = (0..10).filter(|_| world.at_relayed(&client, peer, &data).is_some());
            (from_client, to_client.count())
        };
        assert_eq!(passed(&mut world), (10, 10));
        assert_eq!(passed(&mut world), (0, 0));
        assert_eq!(
            world.server.tally().packets_refused[Refusal::Bandwidth as usize],
            20
        );
        // Another allocation has its own share, and time brings a new one.
        assert!(world.send(&other, peer, &data).is_some());
        world.pass(1);
        assert_eq!(passed(&mut world), (10, 10));
    }

    /// Of a user who may send no long datagrams, and receive none.
    #[derive(Debug)]
    struct ShortOnesOut;

    impl SharedMeter for ShortOnesOut {
        fn admit(&self, direction: Direction, length: usize, _: Instant) -> bool {
            direction == Direction::FromClient && length < 100
        }

        fn pause(&self, direction: Direction, now: Instant) -> Option<Instant> {
            (direction == Direction::ToClient).then_some(now)
        }
    }

    #[test]
    fn what_is_more_than_a_user_may_relay_is_dropped_and_counted() {
        let mut world = World::new();
        world.set_meter("alice", ShortOnesOut);
        let clients = ["alice", "alice", "bob"].map(|name| world.allocated(name));
        let peer = address("8.8.8.8:1000");
        let mut passed = Vec::new();
        for client in &clients {
            world.permit(client, peer);
            passed.push((
                world.send(client, peer, &[7; 99]).is_some(),
                world.send(client, peer, &[7; 100]).is_some(),
                world.at_relayed(client, peer, &[7; 99]).is_some(),
            ));
        }
        let (of_alice, of_bob) = ((true, false, false), (true, true, true));
        assert_eq!(passed, [of_alice, of_alice, of_bob]);
        let refused = world.server.tally().packets_refused;
        assert_eq!(refused[Refusal::Bandwidth as usize], 4);
    }

    #[test]
    fn empty_payloads_are_relayed() {
        let mut world = World::new();
        let client = world.allocated("alice");
        let peer = address("8.8.8.8:1000");
        world.bind_channel(&client, 0x4001, peer);
        assert_eq!(world.send(&client, peer, b""), Some((peer, vec![])));
        assert_eq!(world.channel(&client, 0x4001, b""), Some((peer, vec![])));
        let (_, bytes) = world.at_relayed(&client, peer, b"").expect("permitted");
        assert_eq!(bytes, [0x40, 0x01, 0, 0]);
    }
}
