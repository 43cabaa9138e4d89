//! Data connections, and how all connections to peers end (RFC 6062 section 5.5).

use super::action::Action;
use super::connection_id::ConnectionId;
use super::meter::Direction;
use super::peer_connections::{PeerConnection, Stage};
use super::peer_tally::Loss;
use super::response::Body;
use super::server::Server;
use super::siblings::Siblings;
use super::table::AllocationId;
use super::tcp_action::TcpAction;
use crate::auth::Credentials;
use crate::stun::ErrorCode;
use crate::time::{Instant, Now};

impl<C: Credentials, S: Siblings> Server<C, S> {
    /// So many bytes have been read from one side of a data connection, and go to the other.
    pub fn handle_stream(
        &mut self,
        connection: ConnectionId,
        direction: Direction,
        length: usize,
        now: Now,
    ) {
        let found = self.tcp.as_ref().and_then(|tcp| tcp.find(connection));
        let allocation = found.map(|found| found.allocation);
        let allocation = allocation.and_then(|id| self.table.allocation_mut(id));
        let Some(extras) = allocation.and_then(|it| it.extras.as_mut()) else {
            return;
        };
        // What has been read goes on; the next bytes have to wait for it. Where two workers read for
        // a user at the same moment, only one of them is counted.
        if let Some(meter) = extras.meter.as_mut() {
            meter.admit(direction, length, now.instant);
        }
        if let Some(meter) = extras.of_user.as_deref() {
            meter.admit(direction, length, now.instant);
        }
        if let Some(traffic) = extras.traffic.as_mut() {
            traffic.count_stream(direction, length);
        }
    }

    /// Until when nothing may be read from one side of a data connection, since the allocation or
    /// its user relays as much as there may be; `None` if something may be read now.
    #[must_use]
    pub fn stream_pause(
        &self,
        connection: ConnectionId,
        direction: Direction,
        now: Now,
    ) -> Option<Instant> {
        let found = self.tcp.as_ref()?.find(connection)?;
        let extras = self.table.allocation(found.allocation)?.extras.as_ref()?;
        let of_allocation = extras.meter.as_ref();
        let of_allocation = of_allocation.and_then(|it| it.pause(direction, now.instant));
        let of_user = extras.of_user.as_ref();
        let of_user = of_user.and_then(|it| it.pause(direction, now.instant));
        of_allocation.max(of_user)
    }

    /// A connection to a peer is over; there is nothing to close.
    pub fn handle_connection_over(&mut self, connection: ConnectionId) {
        if let Some(PeerConnection { stage, .. }) = self.forget(connection) {
            self.tell_failure(stage);
        }
    }

    /// Ends the connections whose next step has not come in time.
    pub(super) fn end_late_connections(&mut self, now: Instant) {
        while let Some(connection) = self.tcp.as_mut().and_then(|tcp| tcp.pop_expired(now)) {
            let found = self.tcp.as_ref().and_then(|tcp| tcp.find(connection));
            let why = match found.map(|found| &found.stage) {
                Some(Stage::Connecting(_)) => Loss::Unreachable,
                _ => Loss::Unbound,
            };
            self.tally.peers.lose(why);
            self.end_connection(connection);
        }
    }

    /// A connection has come to nothing; a client that waits for it is told.
    pub(super) fn lose(&mut self, connection: ConnectionId, why: Loss) {
        self.tally.peers.lose(why);
        if let Some(PeerConnection { stage, .. }) = self.forget(connection) {
            self.tell_failure(stage);
        }
    }

    fn tell_failure(&mut self, stage: Stage) {
        if let Stage::Connecting(mut response) = stage {
            response.body = Body::Error(ErrorCode::CONNECTION_TIMEOUT_OR_FAILURE);
            self.responses.push_back(*response);
        }
    }

    /// Forgets a connection, and that its allocation has it.
    fn forget(&mut self, connection: ConnectionId) -> Option<PeerConnection> {
        let found = self.tcp.as_mut()?.remove(connection)?;
        self.tally.peers.close(found.stage.progress());
        if let Some(allocation) = self.table.allocation_mut(found.allocation) {
            self.siblings
                .release_connection(connection, &allocation.username);
            if let Some(names) = allocation.connections_mut() {
                names.retain(|name| *name != connection);
            }
        }
        Some(found)
    }

    /// Ends the connections of an allocation that is gone.
    pub(super) fn end_connections(&mut self, connections: &[ConnectionId], username: &str) {
        for &connection in connections {
            self.siblings.release_connection(connection, username);
            self.end_connection(connection);
        }
    }

    /// The connections of an allocation that `are_meant`.
    pub(super) fn connections_where(
        &self,
        id: AllocationId,
        are_meant: impl Fn(&PeerConnection) -> bool,
    ) -> Vec<ConnectionId> {
        let names = self.table.allocation(id).and_then(|it| it.connections());
        let is_meant = |name: &&ConnectionId| {
            let found = self.tcp.as_ref().and_then(|tcp| tcp.find(**name));
            found.is_some_and(&are_meant)
        };
        let names = names.unwrap_or_default().iter().filter(is_meant);
        names.copied().collect()
    }

    /// Has a connection closed; a client that waits for it is told.
    pub(super) fn end_connection(&mut self, connection: ConnectionId) {
        self.actions
            .push_back(Action::Tcp(TcpAction::Close { connection }));
        if let Some(PeerConnection { stage, .. }) = self.forget(connection) {
            self.tell_failure(stage);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::five_tuple::FiveTuple;
    use super::super::policy::{Machine, PeerPolicy, RelayAddress};
    use super::super::record::{End, Event};
    use super::super::terms::Terms;
    use super::super::world::{Client, World, address};
    use super::*;
    use crate::stun::{Attribute, Message, Method, Writer};
    use proptest::prelude::*;
    use std::net::SocketAddr;

    /// A client with a connection in every stage: connecting, waiting, bound.
    fn busy(world: &mut World) -> (Client, [ConnectionId; 3]) {
        let client = world.allocated_for_tcp("alice");
        world.connect(&client, address("8.8.8.8:2000"));
        let [TcpAction::Connect { connection, .. }] = world.wanted()[..] else {
            panic!("one connection is wanted");
        };
        world.permit(&client, address("9.9.9.9:1"));
        let [waiting, bound] = ["9.9.9.9:2000", "9.9.9.9:2001"].map(|peer| {
            let accepted = world.peer_connects(&client, address(peer));
            accepted.expect("permitted")
        });
        world.told();
        let data = world.connected_client("alice");
        assert_eq!(world.bind_connection(&data, bound), Ok(()));
        assert_eq!(world.server.tally().peers.live, [1, 1, 1]);
        (client, [connection, waiting, bound])
    }

    /// What ends an allocation.
    type Ending = &'static dyn Fn(&mut World, &Client);

    fn all_closed(connections: [ConnectionId; 3]) -> [TcpAction; 3] {
        connections.map(|connection| TcpAction::Close { connection })
    }

    #[test]
    fn all_connections_end_with_their_allocation_however_it_ends() {
        let ends: [Ending; 4] = [
            &|world, client| world.server.handle_disconnect(client.five_tuple),
            &|world, client| {
                let told = world.request_that_tells_many(client, Method::REFRESH, |writer| {
                    writer.u32(Attribute::LIFETIME, 0);
                });
                // The Connect that waits is answered, too.
                let codes = told.iter().map(|(_, answer)| World::code(answer));
                assert_eq!(codes.collect::<Vec<_>>(), [Err(447), Ok(())]);
            },
            &|world, _| world.pass(600),
            &|world, _| world.server.handle_stop(),
        ];
        for end in ends {
            let mut world = World::relaying_tcp();
            let (client, connections) = busy(&mut world);
            end(&mut world, &client);
            world.pass(0);
            let mut closed = world.wanted();
            closed.sort_by_key(|action| format!("{action:?}"));
            let mut expected = all_closed(connections);
            expected.sort_by_key(|action| format!("{action:?}"));
            assert_eq!(closed, expected);
            assert_eq!(world.server.tally().peers.live, [0; 3]);
            assert_eq!(world.left_behind(), 0);
        }
    }

    #[test]
    fn a_connection_that_is_over_is_forgotten() {
        let mut world = World::relaying_tcp();
        let (client, connections) = busy(&mut world);
        for connection in connections {
            world.server.handle_connection_over(connection);
            world.server.handle_connection_over(connection);
        }
        // The Connect that waits is answered.
        let told = world.told();
        assert_eq!(told.len(), 1);
        assert_eq!(World::code(&told[0].1), Err(447));
        assert_eq!(world.server.tally().peers.live, [0; 3]);
        assert_eq!(world.wanted(), []);
        world.release(&client);
        assert_eq!(world.left_behind(), 0);
    }

    #[test]
    fn a_user_who_is_known_no_more_loses_the_connections() {
        let mut world = World::relaying_tcp();
        let (_, connections) = busy(&mut world);
        world.server.handle_terms(Terms {
            users: Some(super::super::terms::Users {
                credentials: crate::auth::RelayCredentials::new("example.org"),
                nonce_keys: vec![],
            }),
            policy: PeerPolicy::default(),
            unauthenticated_rate: 0,
        });
        while world.server.handle_review() {}
        world.pass(0);
        assert_eq!(world.wanted(), all_closed(connections));
    }

    #[test]
    fn connections_to_peers_that_are_allowed_no_more_end() {
        let mut world = World::relaying_tcp();
        let impose = |world: &mut World, allowed: &[&str]| {
            let ip = "198.51.100.9".parse().expect("an address");
            let relay = RelayAddress {
                bound: ip,
                advertised: ip,
            };
            let allowed = allowed.iter().map(|range| range.parse().expect("a range"));
            world.server.handle_terms(Terms {
                users: None,
                policy: PeerPolicy::new(vec![relay], Machine::default(), allowed.collect()),
                unauthenticated_rate: 0,
            });
            while world.server.handle_review() {}
            world.pass(0);
        };
        impose(&mut world, &["10.0.0.0/8"]);
        let client = world.allocated_for_tcp("alice");
        world.connect(&client, address("10.0.0.1:22"));
        world.connect(&client, address("8.8.8.8:2000"));
        world.permit(&client, address("10.0.0.2:1"));
        let inbound = world.peer_connects(&client, address("10.0.0.2:2000"));
        let inbound = inbound.expect("permitted");
        let [TcpAction::Connect { connection, .. }, _] = world.wanted()[..] else {
            panic!("two connections are wanted");
        };
        world.told();
        impose(&mut world, &["10.0.0.0/8"]);
        assert_eq!(world.wanted(), []);
        impose(&mut world, &[]);
        let closed = [connection, inbound].map(|connection| TcpAction::Close { connection });
        assert_eq!(world.wanted(), closed);
        assert_eq!(World::code(&world.told()[0].1), Err(447));
    }

    #[test]
    fn bytes_are_accounted_for_and_wait_where_bandwidth_is_bounded() {
        let mut world = World::with(|config| config.max_bandwidth_per_allocation = 1_000);
        world.server = world.server.with_tcp_relay();
        let mut world = world.recording();
        let (client, [_, _, bound]) = busy(&mut world);
        let now = Now::default();
        let pause = |world: &World, direction| {
            let pause = world.server.stream_pause(bound, direction, now);
            pause.map(|at| at.saturating_since(now.instant).as_millis())
        };
        for direction in [Direction::FromClient, Direction::ToClient] {
            assert_eq!(pause(&world, direction), None);
            world.server.handle_stream(bound, direction, 500, now);
            assert_eq!(pause(&world, direction), None);
            world.server.handle_stream(bound, direction, 2_500, now);
            // What is more than a second's worth has to be made up for.
            assert_eq!(pause(&world, direction), Some(2_001));
        }
        world.server.handle_disconnect(client.five_tuple);
        let told: Vec<_> = std::iter::from_fn(|| world.server.poll_record()).collect();
        let last = told.last().expect("told");
        assert_eq!(last.event, Event::Ended(End::Disconnected));
        let traffic = last.traffic;
        assert_eq!(
            (traffic.bytes_from_client, traffic.bytes_to_client),
            (3_000, 3_000)
        );
    }

    /// What stands around a server with TCP allocations, and keeps count of all.
    struct Shell {
        world: World,
        clients: Vec<Client>,
        /// Connections to peers that are open or being opened.
        open: Vec<ConnectionId>,
        connects: usize,
        answers: usize,
    }

    impl Shell {
        fn new() -> Self {
            Self {
                world: World::relaying_tcp(),
                clients: Vec::new(),
                open: Vec::new(),
                connects: 0,
                answers: 0,
            }
        }

        /// Does one of the things that clients, peers and time do.
        fn step(&mut self, (what, who, which): (u8, u8, u8)) {
            let peer = SocketAddr::from(([8, 8, 8, 8], 2_000 + u16::from(which % 4)));
            let connection = self.open.get(usize::from(which % 8)).copied();
            let known = self.clients.get(usize::from(who % 4)).cloned();
            match (what % 10, known, connection) {
                (0, _, _) => {
                    let user = ["alice", "bob"][usize::from(who % 2)];
                    let client = self.world.allocated_for_tcp(user);
                    self.clients.push(client);
                }
                (1, Some(client), _) => {
                    self.connects += 1;
                    self.ask(&client, Method::CONNECT, |writer| {
                        writer.xor_address(Attribute::XOR_PEER_ADDRESS, peer);
                    });
                }
                (2, Some(client), _) => {
                    self.ask(&client, Method::CREATE_PERMISSION, |writer| {
                        writer.xor_address(Attribute::XOR_PEER_ADDRESS, peer);
                    });
                }
                (3, Some(client), _) if self.world.is_bound(&client) => {
                    let accepted = self.world.peer_connects(&client, peer);
                    self.open.extend(accepted);
                }
                (4, _, Some(connection)) => self.world.connected(connection, true),
                (5, _, Some(connection)) => {
                    let lost = self.world.server.tally().peers.lost;
                    self.world.connected(connection, false);
                    // One that is there already cannot fail any more.
                    if self.world.server.tally().peers.lost != lost {
                        self.open.retain(|open| *open != connection);
                    }
                }
                (6, _, Some(connection)) => {
                    let user = ["alice", "bob"][usize::from(who % 2)];
                    let data = self.world.connected_client(user);
                    self.ask(&data, Method::CONNECTION_BIND, |writer| {
                        writer.attribute(Attribute::CONNECTION_ID, &connection.0);
                    });
                    self.world.server.poll_bound();
                }
                (7, _, Some(connection)) => {
                    self.world.server.handle_connection_over(connection);
                    self.open.retain(|open| *open != connection);
                }
                (8, Some(client), _) => self.ask(&client, Method::REFRESH, |writer| {
                    writer.u32(Attribute::LIFETIME, u32::from(which & 1) * 600);
                }),
                (9, Some(client), _) if which & 1 == 0 => {
                    self.world.server.handle_disconnect(client.five_tuple);
                }
                _ => self.world.pass(u64::from(which % 40)),
            }
            self.world.pass(0);
            self.settle();
        }

        fn ask(&mut self, client: &Client, method: Method, fill: impl FnOnce(&mut Writer<'_>)) {
            let mut client = client.clone();
            client.nonce = self.world.nonce(&client);
            let told = self.world.request_that_tells_many(&client, method, fill);
            self.count(&told);
        }

        /// Counts answers to Connect.
        fn count(&mut self, told: &[(FiveTuple, Vec<u8>)]) {
            let method = |bytes: &[u8]| Message::parse(bytes).expect("well formed").method();
            let is_answer = |told: &&(FiveTuple, Vec<u8>)| method(&told.1) == Method::CONNECT;
            self.answers += told.iter().filter(is_answer).count();
        }

        /// Does what is wanted, and holds all counts against each other.
        fn settle(&mut self) {
            for action in self.world.wanted() {
                match action {
                    TcpAction::Connect { connection, .. } => self.open.push(connection),
                    TcpAction::Close { connection } => {
                        let at = self.open.iter().position(|open| *open == connection);
                        self.open.remove(at.expect("only what is open is closed"));
                    }
                    other => panic!("{other:?}"),
                }
            }
            let told = self.world.told();
            self.count(&told);
            let live = self.world.server.tally().peers.live;
            assert_eq!(live.iter().sum::<u64>(), self.open.len() as u64);
            assert_eq!(self.connects - self.answers, live[0] as usize);
            assert_eq!(self.world.claimed_connections(), self.open.len());
        }
    }

    proptest! {
        #[test]
        fn whatever_happens_connections_balance_and_every_connect_has_one_answer(
            steps in prop::collection::vec(any::<(u8, u8, u8)>(), 0..120),
        ) {
            let mut shell = Shell::new();
            for step in steps {
                shell.step(step);
            }
            shell.world.pass(3_600);
            shell.settle();
            prop_assert_eq!(shell.answers, shell.connects);
            prop_assert_eq!(shell.open.len() + shell.world.left_behind(), 0);
        }
    }
}
