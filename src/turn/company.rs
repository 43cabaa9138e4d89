//! Whom an allocation may talk to, where it only talks to those whom its party is in a room with
//! and to what they have announced.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::circle::{Circle, OwnAddress};
use super::five_tuple::FiveTuple;
use super::party::Party;
use super::policy::{PeerPolicy, Standing};
use super::reachable::Reachable;
use super::server::Server;
use super::siblings::Siblings;
use super::special::canonical;
use super::table::AllocationId;
use crate::auth::Credentials;
use crate::stun::ErrorCode;

impl<C: Credentials, S: Siblings> Server<C, S> {
    /// What stands behind the relayed addresses of a new allocation.
    pub(super) fn newly_reachable(&self, username: &str, client: FiveTuple) -> Arc<Reachable> {
        let party = self.siblings.party_of(username, client);
        Arc::new(Reachable::new(client, party.map(Circle::of)))
    }

    /// Whether whoever has the relayed address `peer` is met by `party`; `None` if nobody has it.
    pub(super) fn meets_at(&self, peer: SocketAddr, party: &dyn Party) -> Option<bool> {
        let bound = self.config.policy.own(peer)?;
        let meets = |other: &dyn Party| party.meets(other);
        self.siblings
            .reach(bound, |behind| behind.party().is_some_and(meets))
    }

    /// The same for a relayed address at which connections are taken.
    pub(super) fn meets_listener(&self, peer: SocketAddr, party: &dyn Party) -> Option<bool> {
        let bound = self.config.policy.own(peer)?;
        if !self.siblings.is_listening(bound) {
            return None;
        }
        let other = self.siblings.party_at(bound);
        Some(other.is_some_and(|other| party.meets(&*other)))
    }

    /// Refuses a peer that is in no room with the allocation's party and that nobody in one has
    /// announced.
    pub(super) fn check_company(
        &mut self,
        peer: SocketAddr,
        id: AllocationId,
    ) -> Result<(), ErrorCode> {
        if self.is_in_company(peer, id) {
            return Ok(());
        }
        self.tally.outside_rooms += 1;
        Err(ErrorCode::FORBIDDEN)
    }

    /// Whether the allocation may talk to `peer` as far as rooms are concerned.
    pub(super) fn is_in_company(&self, peer: SocketAddr, id: AllocationId) -> bool {
        let Some(allocation) = self.table.allocation(id) else {
            return true;
        };
        let Some(party) = allocation.reachable.party() else {
            return true;
        };
        let policy = &self.config.policy;
        let Some(own) = own_address(policy, peer.ip(), party) else {
            return party.may_reach(canonical(peer.ip()));
        };
        let meets = match allocation.is_tcp() {
            true => self.meets_listener(peer, party),
            false => self.meets_at(peer, party),
        };
        meets.unwrap_or(own.with_others)
    }

    /// Those of `peers` that are addresses of ours, where permissions for these are something apart.
    pub(super) fn own_addresses(
        &self,
        peers: impl Iterator<Item = IpAddr>,
        id: AllocationId,
    ) -> Vec<OwnAddress> {
        let allocation = self.table.allocation(id);
        let Some(party) = allocation.and_then(|it| it.reachable.party()) else {
            return Vec::new();
        };
        let policy = &self.config.policy;
        peers
            .filter_map(|peer| own_address(policy, peer, party))
            .collect()
    }
}

/// What `ip` is to `party`, if relayed addresses are made on it.
pub(super) fn own_address(
    policy: &PeerPolicy,
    ip: IpAddr,
    party: &dyn Party,
) -> Option<OwnAddress> {
    let with_others =
        || policy.standing(ip) == Standing::Permitted && party.may_reach(canonical(ip));
    policy.is_relay_address(canonical(ip)).then(|| OwnAddress {
        ip,
        with_others: with_others(),
    })
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    use super::super::policy::{Machine, RelayAddress};
    use super::super::tcp_action::TcpAction;
    use super::super::world::{Client, World, address};
    use super::*;

    thread_local! {
        /// Who is in which room, in the thread of a test.
        static ROOMS: RefCell<BTreeSet<(&'static str, u64)>> = RefCell::default();
        /// Who has announced what there.
        static ANNOUNCED: RefCell<BTreeSet<(&'static str, u64, IpAddr)>> = RefCell::default();
    }

    #[derive(Debug)]
    struct Person(&'static str);

    fn rooms_of(name: &str) -> Vec<u64> {
        ROOMS.with_borrow(|rooms| {
            let its = rooms.iter().filter(|(member, _)| *member == name);
            its.map(|(_, room)| *room).collect()
        })
    }

    impl Party for Person {
        fn meets(&self, other: &dyn Party) -> bool {
            rooms_of(self.0).iter().any(|room| other.is_in(*room))
        }

        fn is_in(&self, room: u64) -> bool {
            rooms_of(self.0).contains(&room)
        }

        fn may_reach(&self, peer: IpAddr) -> bool {
            ANNOUNCED.with_borrow(|announced| {
                let mut all = announced.iter();
                all.any(|(who, room, ip)| *who != self.0 && *ip == peer && self.is_in(*room))
            })
        }
    }

    fn enter(who: &'static str, room: u64) {
        ROOMS.with_borrow_mut(|rooms| rooms.insert((who, room)));
    }

    fn leave(who: &'static str, room: u64) {
        ROOMS.with_borrow_mut(|rooms| rooms.remove(&(who, room)));
        ANNOUNCED.with_borrow_mut(|announced| announced.retain(|it| (it.0, it.1) != (who, room)));
    }

    fn announce(who: &'static str, room: u64, ip: &str) {
        let ip = ip.parse().expect("an address");
        ANNOUNCED.with_borrow_mut(|announced| announced.insert((who, room, ip)));
    }

    /// Alice and bob are in a room, and carol is in another.
    fn world() -> World {
        within_rooms(World::new())
    }

    fn within_rooms(mut world: World) -> World {
        for (name, room) in [("alice", 1), ("bob", 1), ("carol", 2)] {
            world.set_party(name, Person(name));
            enter(name, room);
        }
        world
    }

    fn three(world: &mut World) -> [Client; 3] {
        ["alice", "bob", "carol"].map(|name| world.allocated(name))
    }

    #[test]
    fn who_is_in_a_room_reaches_the_others_relayed_addresses() {
        let mut world = world();
        let [alice, bob, _] = three(&mut world);
        world.permit(&alice, bob.relayed);
        assert_eq!(world.send(&alice, bob.relayed, b"early"), None);
        world.permit(&bob, alice.relayed);
        assert!(world.send(&alice, bob.relayed, b"hello").is_some());
        world.bind_channel(&bob, 0x4000, alice.relayed);
        assert!(world.channel(&bob, 0x4000, b"hello").is_some());
        let (to, bytes) = world.send(&alice, bob.relayed, b"hi").expect("relayed");
        assert_eq!(to, bob.five_tuple.client);
        assert_eq!(bytes, [0x40, 0, 0, 2, b'h', b'i']);
        // Some time later, without another request, it is over.
        world.pass(299);
        assert!(world.send(&alice, bob.relayed, b"hello").is_some());
        world.pass(1);
        assert_eq!(world.send(&alice, bob.relayed, b"hello"), None);
    }

    #[test]
    fn relayed_addresses_of_other_rooms_are_refused_and_counted() {
        let mut world = world();
        let [alice, bob, carol] = three(&mut world);
        let nobodys = address("198.51.100.9:60000");
        for peer in [carol.relayed, nobodys] {
            assert_eq!(world.create_permission(&alice, &[peer]), Err(403));
            assert_eq!(world.try_bind_channel(&alice, 0x4000, peer), Err(403));
        }
        assert_eq!(
            world.create_permission(&alice, &[bob.relayed, carol.relayed]),
            Err(403)
        );
        assert_eq!(world.send(&alice, bob.relayed, b"none of them"), None);
        assert_eq!(world.server.tally().outside_rooms, 5);
    }

    /// All relayed addresses have one address of the machine, and a permission is for an address.
    #[test]
    fn a_permission_for_one_relayed_address_opens_no_other_rooms() {
        let mut world = world();
        let [alice, bob, carol] = three(&mut world);
        world.set_party("bob", Person("bob"));
        enter("bob", 2);
        world.permit(&alice, bob.relayed);
        world.permit(&carol, bob.relayed);
        world.permit(&bob, alice.relayed);
        assert_eq!(world.send(&alice, carol.relayed, b"no"), None);
        assert_eq!(world.send(&carol, alice.relayed, b"no"), None);
        // Neither do packets that come by the socket of a relayed address.
        assert_eq!(world.at_relayed(&alice, carol.relayed, b"no"), None);
        assert!(world.at_relayed(&alice, bob.relayed, b"yes").is_some());
        // Who is in both rooms reaches both.
        assert!(world.send(&bob, carol.relayed, b"yes").is_some());
        assert!(world.send(&bob, alice.relayed, b"yes").is_some());
    }

    #[test]
    fn another_relayed_address_of_somebody_known_needs_no_permission_of_its_own() {
        let mut world = world();
        let [alice, bob, _] = three(&mut world);
        world.permit(&alice, bob.relayed);
        let second = world.allocated("bob");
        world.permit(&second, alice.relayed);
        assert!(world.send(&alice, second.relayed, b"hello").is_some());
        assert!(world.send(&second, alice.relayed, b"hello").is_some());
    }

    #[test]
    fn what_somebody_in_the_room_announces_is_reached_and_nothing_else() {
        let mut world = world();
        let [alice, bob, carol] = three(&mut world);
        let peer = address("8.8.8.8:1000");
        assert_eq!(world.create_permission(&alice, &[peer]), Err(403));
        announce("bob", 1, "8.8.8.8");
        world.permit(&alice, peer);
        assert!(world.send(&alice, address("8.8.8.8:7"), b"hello").is_some());
        assert!(world.at_relayed(&alice, peer, b"hi").is_some());
        let mapped = address("[::ffff:8.8.8.8]:1000");
        assert_eq!(world.create_permission(&alice, &[mapped]), Err(443));
        // It is not for the others, nor for whoever has said it.
        assert_eq!(world.create_permission(&carol, &[peer]), Err(403));
        assert_eq!(world.create_permission(&bob, &[peer]), Err(403));
    }

    #[test]
    fn an_announcement_allows_nothing_that_is_refused() {
        let mut world = world();
        let [alice, _, carol] = three(&mut world);
        for ip in ["10.0.0.1", "127.0.0.1", "198.51.100.9"] {
            announce("bob", 1, ip);
        }
        for peer in [
            "10.0.0.1:9",
            "127.0.0.1:9",
            "198.51.100.9:9",
            "198.51.100.9:3478",
        ] {
            let peer = address(peer);
            assert_eq!(world.create_permission(&alice, &[peer]), Err(403), "{peer}");
            assert_eq!(world.try_bind_channel(&alice, 0x4000, peer), Err(403));
        }
        assert_eq!(world.create_permission(&alice, &[carol.relayed]), Err(403));
    }

    /// Alice's relayed address and bob himself are on one machine, as it is where somebody tries
    /// it out.
    #[test]
    fn an_own_address_that_is_announced_and_allowed_is_reached_but_for_other_rooms() {
        let mut world = world();
        let ip = "198.51.100.9".parse().expect("an address");
        let relay = RelayAddress {
            bound: ip,
            advertised: ip,
        };
        let allowed = vec!["198.51.100.0/24".parse().expect("a range")];
        world.server.config.policy = PeerPolicy::new(vec![relay], Machine::default(), allowed);
        let [alice, bob, carol] = three(&mut world);
        let peer = address("198.51.100.9:7000");
        assert_eq!(world.create_permission(&alice, &[peer]), Err(403));
        announce("bob", 1, "198.51.100.9");
        world.permit(&alice, peer);
        for known in [peer, address("198.51.100.9:7001")] {
            assert!(world.send(&alice, known, b"hello").is_some());
            assert!(world.at_relayed(&alice, known, b"hello").is_some());
        }
        world.permit(&bob, alice.relayed);
        assert!(world.send(&bob, alice.relayed, b"hello").is_some());
        assert_eq!(world.create_permission(&alice, &[carol.relayed]), Err(403));
        assert_eq!(world.send(&alice, carol.relayed, b"no"), None);
        assert_eq!(world.at_relayed(&alice, carol.relayed, b"no"), None);
    }

    #[test]
    fn who_has_left_is_not_reached_any_more() {
        let mut world = world();
        let [alice, bob, _] = three(&mut world);
        announce("bob", 1, "8.8.8.8");
        let outside = address("8.8.8.8:1000");
        world.bind_channel(&alice, 0x4000, bob.relayed);
        world.bind_channel(&bob, 0x4000, alice.relayed);
        world.bind_channel(&alice, 0x4001, outside);
        assert!(world.channel(&alice, 0x4000, b"hello").is_some());
        leave("bob", 1);
        // At once, whatever has been granted:
        assert_eq!(world.channel(&alice, 0x4000, b"no"), None);
        assert_eq!(world.channel(&bob, 0x4000, b"no"), None);
        assert_eq!(world.send(&bob, alice.relayed, b"no"), None);
        // Outside as soon as the server is told, and without that with the next request.
        assert!(world.channel(&alice, 0x4001, b"still").is_some());
        assert_eq!(world.try_bind_channel(&alice, 0x4001, outside), Err(403));
        world.server.handle_rooms_changed(alice.five_tuple);
        assert_eq!(world.channel(&alice, 0x4001, b"no"), None);
        assert_eq!(world.send(&alice, outside, b"no"), None);
        assert_eq!(world.at_relayed(&alice, outside, b"no"), None);
        assert_eq!(world.try_bind_channel(&alice, 0x4001, outside), Err(403));
    }

    #[test]
    fn what_goes_on_in_another_room_stays() {
        let mut world = world();
        let [alice, bob, _] = three(&mut world);
        for room in [1, 3] {
            enter("alice", room);
            enter("bob", room);
            announce("bob", room, "8.8.8.8");
        }
        let outside = address("8.8.8.8:1000");
        world.permit(&alice, outside);
        world.permit(&bob, alice.relayed);
        world.permit(&alice, bob.relayed);
        leave("bob", 1);
        world.server.handle_rooms_changed(alice.five_tuple);
        assert!(world.send(&alice, outside, b"hello").is_some());
        assert!(world.send(&alice, bob.relayed, b"hello").is_some());
    }

    #[test]
    fn the_next_one_on_a_relayed_address_is_not_mistaken_for_the_last_one() {
        let mut world = world();
        let [alice, bob, _] = three(&mut world);
        world.bind_channel(&alice, 0x4000, bob.relayed);
        world.release(&bob);
        let stranger = world.allocated("carol");
        assert_eq!(stranger.relayed, bob.relayed);
        enter("bob", 2);
        let mate = world.allocated("bob");
        world.permit(&stranger, mate.relayed);
        assert_eq!(world.channel(&alice, 0x4000, b"no"), None);
        assert_eq!(world.at_relayed(&alice, stranger.relayed, b"no"), None);
    }

    #[test]
    fn who_is_in_no_room_reaches_nobody() {
        let mut world = world();
        leave("alice", 1);
        let [alice, bob, _] = three(&mut world);
        announce("bob", 1, "8.8.8.8");
        for peer in [bob.relayed, address("8.8.8.8:1")] {
            assert_eq!(world.create_permission(&alice, &[peer]), Err(403));
            assert_eq!(world.try_bind_channel(&alice, 0x4000, peer), Err(403));
        }
    }

    #[test]
    fn connections_lead_to_those_in_the_room_only_and_end_when_they_leave() {
        let mut world = within_rooms(World::relaying_tcp());
        let [alice, bob, carol] =
            ["alice", "bob", "carol"].map(|name| world.allocated_for_tcp(name));
        assert_eq!(world.connect(&alice, carol.relayed), Some(Err(403)));
        assert_eq!(
            world.connect(&alice, address("8.8.8.8:2000")),
            Some(Err(403))
        );
        assert_eq!(world.connect(&alice, bob.relayed), None);
        let [TcpAction::Connect { connection, .. }] = world.wanted()[..] else {
            panic!("a connection is wanted");
        };
        world.connected(connection, true);
        world.told();
        // A permission for bob's is none for carol's.
        world.permit(&alice, bob.relayed);
        assert_eq!(world.peer_connects(&alice, carol.relayed), None);
        let other = world.peer_connects(&alice, bob.relayed);
        let other = other.expect("permitted");
        leave("bob", 1);
        world.server.handle_rooms_changed(alice.five_tuple);
        world.told();
        world.pass(0);
        let closed = [connection, other].map(|connection| TcpAction::Close { connection });
        assert_eq!(world.wanted(), closed);
        for client in [alice, bob, carol] {
            world.release(&client);
        }
        assert_eq!(world.left_behind(), 0);
    }

    #[test]
    fn peers_of_our_own_are_not_counted_as_new_ones() {
        let mut world = world();
        world.set_new_peers("alice", 0);
        let [alice, bob, _] = three(&mut world);
        assert_eq!(world.create_permission(&alice, &[bob.relayed]), Ok(()));
        announce("bob", 1, "8.8.8.8");
        let peer = address("8.8.8.8:1");
        assert_eq!(world.create_permission(&alice, &[peer]), Err(508));
    }
}
