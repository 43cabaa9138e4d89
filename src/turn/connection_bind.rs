//! ConnectionBind (RFC 6062 section 5.4).

use super::connection_id::ConnectionId;
use super::peer_connections::Stage;
use super::peer_tally::Progress;
use super::request::{Request, User};
use super::response::Body;
use super::server::Server;
use super::siblings::Siblings;
use super::table::AllocationId;
use super::tcp_action::Bound;
use crate::auth::Credentials;
use crate::stun::{Attribute, Class, ErrorCode, Message, Method};

impl<C: Credentials, S: Siblings> Server<C, S> {
    pub(super) fn handle_connection_bind(
        &mut self,
        request: &Request<'_>,
        user: User<'_>,
    ) -> Result<Body, ErrorCode> {
        // Only over a connection of its own.
        let client = request.client;
        if !client.transport.is_stream() || self.table.of_client(&client).is_some() {
            return Err(ErrorCode::BAD_REQUEST);
        }
        // The connection must be there and wait.
        let tcp = self.tcp.as_mut().ok_or(ErrorCode::BAD_REQUEST)?;
        let connection = named(&request.message).ok_or(ErrorCode::BAD_REQUEST)?;
        let found = tcp.find_mut(connection);
        let found = found.filter(|found| matches!(found.stage, Stage::Waiting));
        let found = found.ok_or(ErrorCode::BAD_REQUEST)?;
        // It must be the user's own.
        let allocation = self.table.allocation(found.allocation);
        if allocation.is_none_or(|allocation| *allocation.username != *user.name) {
            return Err(ErrorCode::WRONG_CREDENTIALS);
        }
        found.stage = Stage::Bound;
        tcp.give_all_time(connection);
        tcp.bound = Some(Bound { connection, client });
        let peers = &mut self.tally.peers;
        peers.advance(Progress::Waiting, Progress::Bound);
        Ok(Body::Done)
    }

    /// The allocation of the connection that a ConnectionBind request names.
    pub(super) fn allocation_to_bind(&self, message: &Message<'_>) -> Option<AllocationId> {
        let tcp = self.tcp.as_ref()?;
        let is_bind = message.method() == Method::CONNECTION_BIND;
        let connection = is_bind.then(|| named(message))??;
        tcp.find(connection).map(|found| found.allocation)
    }

    /// The client's connection that the last message from a client has made a data connection: no
    /// message comes from it any more. To be asked after the answers have been sent.
    pub fn poll_bound(&mut self) -> Option<Bound> {
        self.tcp.as_mut()?.bound.take()
    }

    /// The connection to a peer that `message` is to bind, if it is such a request. Where another
    /// server of the process has that connection, the client belongs there.
    #[must_use]
    pub fn connection_to_bind(&self, message: &[u8]) -> Option<ConnectionId> {
        self.tcp.as_ref()?;
        let message = Message::parse(message).ok()?;
        let is_bind =
            (message.class(), message.method()) == (Class::Request, Method::CONNECTION_BIND);
        is_bind.then(|| named(&message))?
    }
}

/// The connection that a message names.
fn named(message: &Message<'_>) -> Option<ConnectionId> {
    let value = message.find(Attribute::CONNECTION_ID)?;
    value.try_into().ok().map(ConnectionId)
}

#[cfg(test)]
mod tests {
    use super::super::five_tuple::Transport;
    use super::super::world::{Client, World, address};
    use super::*;

    /// A world in which a peer has connected to alice, and the client that has the allocation.
    fn waiting() -> (World, Client, ConnectionId) {
        let mut world = World::relaying_tcp();
        let client = world.allocated_for_tcp("alice");
        let peer = address("8.8.8.8:2000");
        world.permit(&client, peer);
        let connection = world.peer_connects(&client, peer).expect("permitted");
        world.told();
        (world, client, connection)
    }

    #[test]
    fn a_client_binds_a_connection_that_waits_once() {
        for transport in [Transport::Tcp, Transport::Tls] {
            let (mut world, _, connection) = waiting();
            let mut data = world.connected_client("alice");
            data.five_tuple.transport = transport;
            assert_eq!(world.server.poll_bound(), None);
            assert_eq!(world.bind_connection(&data, connection), Ok(()));
            let client = data.five_tuple;
            assert_eq!(
                world.server.poll_bound(),
                Some(Bound { connection, client })
            );
            assert_eq!(world.server.poll_bound(), None);
            let another = world.connected_client("alice");
            assert_eq!(world.bind_connection(&another, connection), Err(400));
            assert_eq!(world.server.tally().peers.live, [0, 0, 1]);
            // There is no time after which it would end by itself.
            world.pass(300);
            assert_eq!(world.wanted(), []);
        }
    }

    #[test]
    fn whoever_names_no_waiting_connection_is_refused() {
        let (mut world, client, connection) = waiting();
        let data = world.connected_client("alice");
        let answer = world.request(&data, Method::CONNECTION_BIND, |_| {});
        assert_eq!(World::code(&answer.expect("an answer")), Err(400));
        for value in [&connection.0[..3], &[0; 5], &[]] {
            let answer = world.request(&data, Method::CONNECTION_BIND, |writer| {
                writer.attribute(Attribute::CONNECTION_ID, value);
            });
            assert_eq!(World::code(&answer.expect("an answer")), Err(400));
        }
        let [a, b, c, d] = connection.0;
        let unknown = ConnectionId([!a, b, c, d]);
        assert_eq!(world.bind_connection(&data, unknown), Err(400));
        // One that is not there yet.
        world.connect(&client, address("8.8.8.8:2001"));
        let wanted = world.wanted();
        let [super::super::TcpAction::Connect { connection, .. }] = wanted[..] else {
            panic!("{wanted:?}");
        };
        assert_eq!(world.bind_connection(&data, connection), Err(400));
        assert_eq!(world.server.poll_bound(), None);
    }

    #[test]
    fn only_a_connection_of_its_own_binds() {
        let (mut world, client, connection) = waiting();
        assert_eq!(world.bind_connection(&client, connection), Err(400));
        let by_datagrams = world.client("alice");
        assert_eq!(world.bind_connection(&by_datagrams, connection), Err(400));
        assert_eq!(world.server.poll_bound(), None);
    }

    #[test]
    fn another_user_and_a_wrong_password_do_not_bind() {
        let (mut world, _, connection) = waiting();
        let bob = world.connected_client("bob");
        assert_eq!(world.bind_connection(&bob, connection), Err(441));
        let mut guesser = world.connected_client("alice");
        guesser.password = "guess".to_owned();
        assert_eq!(world.bind_connection(&guesser, connection), Err(401));
        let data = world.connected_client("alice");
        assert_eq!(world.bind_connection(&data, connection), Ok(()));
    }

    #[test]
    fn credentials_that_have_expired_bind_what_their_allocation_has() {
        let mut world = World::relaying_tcp();
        let mut client = world.time_limited_client("ada", 60);
        client.five_tuple.transport = Transport::Tcp;
        client.nonce = world.nonce(&client);
        client.relayed = world.allocate_tcp(&client, &[]).expect("allocated");
        world.pass(300);
        let peer = address("8.8.8.8:2000");
        world.permit(&client, peer);
        let connection = world.peer_connects(&client, peer).expect("permitted");
        world.told();
        let mut data = client.clone();
        data.five_tuple.client.set_port(9_999);
        data.nonce = world.nonce(&data);
        assert_eq!(world.allocate_tcp(&data, &[]), Err(401));
        assert_eq!(world.bind_connection(&data, connection), Ok(()));
    }

    #[test]
    fn only_a_request_to_bind_is_for_whoever_has_the_connection() {
        let (mut world, client, connection) = waiting();
        let mut buffer = [0; 200];
        let mut message = |class, method| {
            let id = crate::stun::TransactionId([1; 12]);
            let mut writer = crate::stun::Writer::new(&mut buffer, class, method, id);
            writer.attribute(Attribute::CONNECTION_ID, &connection.0);
            let length = writer.finish().expect("it fits");
            world.server.connection_to_bind(&buffer[..length])
        };
        let bind = Method::CONNECTION_BIND;
        assert_eq!(message(Class::Request, bind), Some(connection));
        assert_eq!(message(Class::Indication, bind), None);
        assert_eq!(message(Class::Request, Method::CONNECT), None);
        world.release(&client);
    }
}
