//! Connect (RFC 6062 section 5.2).

use std::net::SocketAddr;

use super::action::Action;
use super::connection_id::ConnectionId;
use super::peer_connections::{MOST_OF_AN_ALLOCATION, PeerConnection, Stage};
use super::peer_tally::{Loss, Origin, Progress};
use super::policy::Standing;
use super::request::{Request, User};
use super::response::{Body, Response};
use super::server::Server;
use super::siblings::Siblings;
use super::table::AllocationId;
use super::tcp_action::{ConnectFailed, NoConnection, TcpAction};
use crate::auth::Credentials;
use crate::stun::{Attribute, ErrorCode, Family};
use crate::time::{Instant, Now};

/// How many names are tried before there is none.
const TRIES: usize = 8;

impl<C: Credentials, S: Siblings> Server<C, S> {
    /// The answer, or none as long as the peer has not answered.
    pub(super) fn handle_connect(
        &mut self,
        request: &Request<'_>,
        id: AllocationId,
        user: User<'_>,
    ) -> Result<Option<Body>, ErrorCode> {
        // Only from an allocation for TCP.
        let allocation = self.table.allocation(id).filter(|it| it.is_tcp());
        let allocation = allocation.ok_or(ErrorCode::ALLOCATION_MISMATCH)?;
        // A peer, well formed.
        let peer = request
            .message
            .find_xor_address(Attribute::XOR_PEER_ADDRESS);
        let peer = peer.and_then(Result::ok).filter(|peer| peer.port() != 0);
        let peer = peer.ok_or(ErrorCode::BAD_REQUEST)?;
        let to = self.config.policy.bound(peer);
        // One connection to a peer at a time, whoever has opened it.
        if self.has_connection(id, to) {
            return Err(ErrorCode::CONNECTION_ALREADY_EXISTS);
        }
        // It leaves from the relayed address of the peer's family.
        let from = allocation.relayed_of(Family::of(to.ip()));
        let from = from.ok_or(ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH)?;
        let from = from.address();
        if from == to || !self.may_connect(peer) {
            return Err(ErrorCode::FORBIDDEN);
        }
        self.check_company(peer, id)?;
        // Who looks for open ports finds few.
        let is_outside = self.config.policy.standing_for_tcp(peer) == Standing::Permitted;
        if is_outside && !self.siblings.admit_peers(user.name, 1, request.now.instant) {
            return Err(ErrorCode::INSUFFICIENT_CAPACITY);
        }
        let response = Response::to(&request.message, request.client, Body::Done);
        let connection = PeerConnection {
            allocation: id,
            peer: to,
            origin: Origin::Client,
            stage: Stage::Connecting(Box::new(response.signed(user.signer))),
        };
        let connection = self.take_in(connection, request.now.instant);
        let connection = connection.ok_or(ErrorCode::INSUFFICIENT_CAPACITY)?;
        self.actions.push_back(Action::Tcp(TcpAction::Connect {
            connection,
            from,
            to,
        }));
        Ok(None)
    }

    /// What has become of a [`TcpAction::Connect`]. Where it has failed, there is nothing to close.
    pub fn handle_connected(
        &mut self,
        connection: ConnectionId,
        outcome: Result<(), ConnectFailed>,
        now: Now,
    ) {
        let Some(tcp) = self.tcp.as_mut() else { return };
        let found = tcp.find_mut(connection);
        let found = found.filter(|found| matches!(found.stage, Stage::Connecting(_)));
        // It may have taken too long.
        let Some(found) = found else { return };
        if outcome.is_err() {
            return self.lose(connection, Loss::Unreachable);
        }
        let before = std::mem::replace(&mut found.stage, Stage::Waiting);
        tcp.give_time(connection, now.instant);
        let peers = &mut self.tally.peers;
        peers.advance(Progress::Connecting, Progress::Waiting);
        if let Stage::Connecting(mut response) = before {
            response.body = Body::Connection(connection);
            self.responses.push_back(*response);
        }
    }

    /// Whether a connection to `peer` may be opened: of our own addresses, only to those that are
    /// relayed addresses for TCP at this moment.
    pub(super) fn may_connect(&self, peer: SocketAddr) -> bool {
        match self.config.policy.standing_for_tcp(peer) {
            Standing::Permitted => true,
            Standing::Relayed => {
                let bound = self.config.policy.bound(peer);
                self.siblings.is_listening(bound)
            }
            Standing::Refused => false,
        }
    }

    fn has_connection(&self, id: AllocationId, peer: SocketAddr) -> bool {
        let all = self.table.allocation(id).and_then(|it| it.connections());
        let is_to_peer = |id: &ConnectionId| {
            let found = self.tcp.as_ref().and_then(|tcp| tcp.find(*id));
            found.is_some_and(|found| found.peer == peer)
        };
        all.is_some_and(|all| all.iter().any(is_to_peer))
    }

    /// Takes in a connection under a new name, if there may be one more.
    pub(super) fn take_in(
        &mut self,
        connection: PeerConnection,
        now: Instant,
    ) -> Option<ConnectionId> {
        let Some(name) = self.claim_name(connection.allocation) else {
            self.tally.peers.lose(Loss::Capacity);
            return None;
        };
        let progress = connection.stage.progress();
        self.tally.peers.open(connection.origin, progress);
        let allocation = self.table.allocation_mut(connection.allocation);
        let names = allocation.and_then(|it| it.connections_mut());
        names?.push(name);
        self.tcp.as_mut()?.insert(name, connection, now);
        Some(name)
    }

    /// A name for one more connection of an allocation, if there may be one.
    fn claim_name(&mut self, id: AllocationId) -> Option<ConnectionId> {
        let allocation = self.table.allocation(id)?;
        let tcp = self.tcp.as_mut()?;
        if allocation.connections()?.len() >= MOST_OF_AN_ALLOCATION {
            return None;
        }
        for _ in 0..TRIES {
            let name = tcp.ids.make();
            match self.siblings.claim_connection(name, &allocation.username) {
                Ok(()) => return Some(name),
                Err(NoConnection::NameInUse) => {}
                Err(NoConnection::Full) => return None,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::world::{Client, World, address};
    use super::*;
    use crate::stun::{Message, Method};

    /// The only connection that is wanted, as it is to be opened.
    fn wanted(world: &mut World) -> (ConnectionId, SocketAddr, SocketAddr) {
        match world.wanted()[..] {
            [
                TcpAction::Connect {
                    connection,
                    from,
                    to,
                },
            ] => (connection, from, to),
            ref other => panic!("{other:?}"),
        }
    }

    fn connection_of(answer: &[u8]) -> Option<ConnectionId> {
        let message = Message::parse(answer).expect("well formed");
        let value = message.find(Attribute::CONNECTION_ID)?;
        Some(ConnectionId(value.try_into().expect("four bytes")))
    }

    fn world() -> (World, Client, SocketAddr) {
        let mut world = World::relaying_tcp();
        let client = world.allocated_for_tcp("alice");
        (world, client, address("8.8.8.8:2000"))
    }

    #[test]
    fn a_connection_leaves_the_relayed_address_and_is_named_when_it_is_there() {
        let (mut world, client, peer) = world();
        assert_eq!(world.connect(&client, peer), None);
        let (connection, from, to) = wanted(&mut world);
        assert_eq!((from, to), (client.relayed, peer));
        assert_eq!(world.told(), []);
        world.connected(connection, true);
        let told = world.told();
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].0, client.five_tuple);
        assert_eq!(connection_of(&told[0].1), Some(connection));
        let message = Message::parse(&told[0].1).expect("well formed");
        assert!(message.verify_integrity(client.key().as_bytes()));
    }

    #[test]
    fn a_peer_that_cannot_be_reached_is_447_and_may_be_tried_again() {
        let (mut world, client, peer) = world();
        for _ in 0..2 {
            assert_eq!(world.connect(&client, peer), None);
            let (connection, ..) = wanted(&mut world);
            world.connected(connection, false);
            let told = world.told();
            assert_eq!(World::code(&told[0].1), Err(447));
            assert_eq!((told.len(), world.wanted().len()), (1, 0));
        }
    }

    #[test]
    fn a_peer_that_is_silent_is_447_after_half_a_minute() {
        let (mut world, client, peer) = world();
        world.connect(&client, peer);
        let (connection, ..) = wanted(&mut world);
        world.pass(29);
        assert_eq!((world.told().len(), world.wanted().len()), (0, 0));
        world.pass(1);
        assert_eq!(World::code(&world.told()[0].1), Err(447));
        assert_eq!(world.wanted(), [TcpAction::Close { connection }]);
        world.connected(connection, true);
        assert_eq!(world.told(), []);
    }

    #[test]
    fn there_is_one_connection_to_a_peer_at_a_time() {
        let (mut world, client, peer) = world();
        world.connect(&client, peer);
        let (connection, ..) = wanted(&mut world);
        assert_eq!(world.connect(&client, peer), Some(Err(446)));
        world.connected(connection, true);
        world.told();
        assert_eq!(world.connect(&client, peer), Some(Err(446)));
        let data = world.connected_client("alice");
        assert_eq!(world.bind_connection(&data, connection), Ok(()));
        assert_eq!(world.connect(&client, peer), Some(Err(446)));
        // Another port is another peer, and another allocation has its own.
        assert_eq!(world.connect(&client, address("8.8.8.8:2001")), None);
        let other = world.allocated_for_tcp("alice");
        assert_eq!(world.connect(&other, peer), None);
        world.server.handle_connection_over(connection);
        assert_eq!(world.connect(&client, peer), None);
    }

    #[test]
    fn a_peer_that_has_connected_is_connected() {
        let (mut world, client, peer) = world();
        world.permit(&client, peer);
        world.peer_connects(&client, peer).expect("permitted");
        world.told();
        assert_eq!(world.connect(&client, peer), Some(Err(446)));
    }

    #[test]
    fn only_a_tcp_allocation_connects() {
        let (mut world, _, peer) = world();
        let stranger = world.connected_client("alice");
        assert_eq!(world.connect(&stranger, peer), Some(Err(437)));
        let by_datagrams = world.allocated("alice");
        assert_eq!(world.connect(&by_datagrams, peer), Some(Err(437)));
        let mut over_tcp = world.connected_client("alice");
        over_tcp.relayed = world.allocate(&over_tcp).expect("allocated");
        assert_eq!(world.connect(&over_tcp, peer), Some(Err(437)));
    }

    #[test]
    fn another_user_does_not_connect() {
        let (mut world, client, peer) = world();
        let mut other = world.client("bob");
        (other.five_tuple, other.nonce) = (client.five_tuple, client.nonce);
        assert_eq!(world.connect(&other, peer), Some(Err(441)));
    }

    #[test]
    fn a_peer_must_be_named_and_be_one() {
        let (mut world, client, _) = world();
        let answer = world.request(&client, Method::CONNECT, |_| {});
        assert_eq!(World::code(&answer.expect("an answer")), Err(400));
        let answer = world.request(&client, Method::CONNECT, |writer| {
            writer.attribute(Attribute::XOR_PEER_ADDRESS, &[0, 1, 0]);
        });
        assert_eq!(World::code(&answer.expect("an answer")), Err(400));
        assert_eq!(world.connect(&client, address("8.8.8.8:0")), Some(Err(400)));
    }

    #[test]
    fn what_datagrams_do_not_reach_connections_do_not_reach() {
        let (mut world, client, _) = world();
        for (peer, code) in [
            ("10.0.0.1:2000", 403),
            ("127.0.0.1:2000", 403),
            ("169.254.169.254:8000", 403),
            ("8.8.8.8:25", 403),
            ("198.51.100.9:3478", 403),
            ("198.51.100.9:50900", 403),
            ("[2a00::1]:2000", 443),
        ] {
            let refused = world.connect(&client, address(peer));
            assert_eq!(refused, Some(Err(code)), "{peer}");
        }
        // Not itself, and no relayed address for datagrams.
        assert_eq!(world.connect(&client, client.relayed), Some(Err(403)));
        let by_datagrams = world.allocated("bob");
        assert_eq!(world.connect(&client, by_datagrams.relayed), Some(Err(403)));
        let other = world.allocated_for_tcp("bob");
        assert_eq!(world.connect(&client, other.relayed), None);
        world.release(&other);
        let late = world.allocated_for_tcp("alice");
        assert_eq!(world.connect(&late, other.relayed), Some(Err(403)));
        assert_eq!(world.wanted().len(), 1);
    }

    #[test]
    fn no_form_of_an_inner_address_is_connected_to() {
        let mut world = World::relaying_tcp();
        let mut client = world.connected_client("alice");
        let v6 = (Attribute::REQUESTED_ADDRESS_FAMILY, &[2, 0, 0, 0][..]);
        client.relayed = world.allocate_tcp(&client, &[v6]).expect("allocated");
        for peer in [
            "[::ffff:10.0.0.1]:2000",
            "[::10.0.0.1]:2000",
            "[64:ff9b::a00:1]:2000",
            "[2002:a00:1::]:2000",
            "[2a00::5efe:a00:1]:2000",
            "[fc00::1]:2000",
            "[fe80::1]:2000",
            "[::1]:2000",
            "[::]:2000",
            "[ff02::1]:2000",
        ] {
            let refused = world.connect(&client, address(peer));
            assert_eq!(refused, Some(Err(403)), "{peer}");
        }
        assert_eq!(world.wanted(), []);
    }

    #[test]
    fn who_looks_for_open_ports_meets_an_end() {
        let (mut world, client, _) = world();
        world.set_new_peers("alice", 3);
        let mut codes = Vec::new();
        for port in 2_000..2_005 {
            let peer = SocketAddr::from(([8, 8, 8, 8], port));
            codes.extend(world.connect(&client, peer));
        }
        assert_eq!(codes, [Err(508); 2]);
        // Two relayed people are nothing to be found.
        let other = world.allocated_for_tcp("bob");
        assert_eq!(world.connect(&client, other.relayed), None);
    }

    #[test]
    fn an_allocation_has_a_bounded_number_of_connections() {
        let (mut world, client, _) = world();
        for port in 2_000..2_064 {
            let peer = SocketAddr::from(([8, 8, 8, 8], port));
            assert_eq!(world.connect(&client, peer), None);
        }
        let one_more = address("8.8.8.8:3000");
        assert_eq!(world.connect(&client, one_more), Some(Err(508)));
        world.permit(&client, one_more);
        assert_eq!(world.peer_connects(&client, one_more), None);
        world.pass(30);
        assert_eq!(world.told().len(), 64);
        assert_eq!(world.connect(&client, one_more), None);
    }

    #[test]
    fn where_all_have_as_many_as_there_may_be_there_is_none() {
        let (mut world, client, peer) = world();
        world.refuse_connections(true);
        assert_eq!(world.connect(&client, peer), Some(Err(508)));
        world.permit(&client, peer);
        assert_eq!(world.peer_connects(&client, peer), None);
        assert_eq!(world.server.tally().peers.lost, [0, 0, 0, 2]);
    }
}
