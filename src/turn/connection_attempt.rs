//! Connections that peers open, and ConnectionAttempt (RFC 6062 section 5.3).

use std::net::SocketAddr;

use super::connection_id::ConnectionId;
use super::indication::{Attempt, Indication};
use super::party::Party;
use super::peer_connections::{PeerConnection, Stage};
use super::peer_tally::{Loss, Origin};
use super::server::Server;
use super::siblings::Siblings;
use super::table::AllocationId;
use crate::auth::Credentials;
use crate::time::Now;

impl<C: Credentials, S: Siblings> Server<C, S> {
    /// A connection from `source` has been taken at the relayed address of an allocation. Gives its
    /// name; without one it must be closed at once. Nothing may be read from it until a client has
    /// bound it: what the peer sends waits where the system keeps it.
    pub fn handle_peer_connection(
        &mut self,
        relayed: AllocationId,
        source: SocketAddr,
        now: Now,
    ) -> Option<ConnectionId> {
        let allocation = self.table.allocation(relayed).filter(|it| it.is_tcp())?;
        let peer = self.config.policy.advertised(source);
        let client = allocation.client();
        // Only from peers with a permission.
        let meets = |party: &dyn Party| self.meets_listener(peer, party);
        if !allocation.reachable.permits(peer.ip(), now.instant, meets) {
            self.tally.peers.lose(Loss::Permission);
            return None;
        }
        let connection = PeerConnection {
            allocation: relayed,
            peer: source,
            origin: Origin::Peer,
            stage: Stage::Waiting,
        };
        let connection = self.take_in(connection, now.instant)?;
        let transaction_id = self.next_transaction_id();
        self.notices.push_back(Indication::Attempt(Attempt {
            client,
            transaction_id,
            connection,
            peer,
        }));
        Some(connection)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tcp_action::TcpAction;
    use super::super::world::{World, address};
    use crate::stun::{Attribute, Class, Message, Method};

    #[test]
    fn the_client_is_told_of_a_permitted_peer_that_connects() {
        let mut world = World::relaying_tcp();
        let client = world.allocated_for_tcp("alice");
        let peer = address("8.8.8.8:2000");
        world.permit(&client, address("8.8.8.8:1"));
        let connection = world.peer_connects(&client, peer).expect("permitted");
        let told = world.told();
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].0, client.five_tuple);
        let message = Message::parse(&told[0].1).expect("well formed");
        assert_eq!(
            (message.class(), message.method()),
            (Class::Indication, Method::CONNECTION_ATTEMPT)
        );
        let named = message.find_xor_address(Attribute::XOR_PEER_ADDRESS);
        assert_eq!(named, Some(Ok(peer)));
        let id = message.find(Attribute::CONNECTION_ID);
        assert_eq!(id, Some(&connection.0[..]));
    }

    #[test]
    fn a_peer_without_a_permission_is_sent_away_without_a_word() {
        let mut world = World::relaying_tcp();
        let client = world.allocated_for_tcp("alice");
        let peer = address("8.8.8.8:2000");
        assert_eq!(world.peer_connects(&client, peer), None);
        world.permit(&client, peer);
        world.pass(300);
        assert_eq!(world.peer_connects(&client, peer), None);
        assert_eq!(world.told(), []);
        assert_eq!(world.server.tally().peers.lost, [0, 0, 2, 0]);
    }

    #[test]
    fn a_connection_that_no_client_binds_is_closed_after_half_a_minute() {
        let mut world = World::relaying_tcp();
        let client = world.allocated_for_tcp("alice");
        let peer = address("8.8.8.8:2000");
        world.permit(&client, peer);
        let connection = world.peer_connects(&client, peer).expect("permitted");
        world.told();
        world.pass(29);
        assert_eq!(world.wanted(), []);
        world.pass(1);
        assert_eq!(world.wanted(), [TcpAction::Close { connection }]);
        assert_eq!(world.told(), []);
        let data = world.connected_client("alice");
        assert_eq!(world.bind_connection(&data, connection), Err(400));
        assert_eq!(world.server.tally().peers.lost, [0, 1, 0, 0]);
        world.release(&client);
        assert_eq!(world.left_behind(), 0);
    }
}
