//! TCP allocations and their connections.

use std::net::SocketAddr;

use super::client::{Client, Granted};
use super::served::World;
use crate::stun::{Attribute, Method};
use crate::turn::{ConnectFailed, ConnectionId, TcpAction, Transport};

impl World {
    /// What was wanted for TCP allocations beside listeners since the last call.
    pub(crate) fn wanted(&mut self) -> Vec<TcpAction> {
        std::mem::take(&mut self.wanted)
    }

    /// What becomes of a connection to a peer that was wanted.
    pub(crate) fn connected(&mut self, connection: ConnectionId, is_there: bool) {
        let outcome = is_there.then_some(()).ok_or(ConnectFailed);
        self.server.handle_connected(connection, outcome, self.now);
        self.carry_out();
    }

    /// A peer connects to a client's relayed address.
    pub(crate) fn peer_connects(
        &mut self,
        client: &Client,
        peer: SocketAddr,
    ) -> Option<ConnectionId> {
        let id = *self.sockets.get(&client.relayed).expect("bound");
        self.server.handle_peer_connection(id, peer, self.now)
    }

    /// Whether the relayed address of a client is still there.
    pub(crate) fn is_bound(&self, client: &Client) -> bool {
        self.sockets.contains_key(&client.relayed)
    }

    /// How many connections to peers are claimed.
    pub(crate) fn claimed_connections(&self) -> usize {
        self.shared.0.borrow().connections.len()
    }

    /// A client with a TCP allocation.
    pub(crate) fn allocated_for_tcp(&mut self, username: &str) -> Client {
        let mut client = self.connected_client(username);
        client.relayed = self.allocate_tcp(&client, &[]).expect("allocated");
        client
    }

    /// A new client over TCP.
    pub(crate) fn connected_client(&mut self, username: &str) -> Client {
        let mut client = self.anybody(username);
        client.five_tuple.transport = Transport::Tcp;
        client.nonce = self.nonce(&client);
        client
    }

    pub(crate) fn allocate_tcp(
        &mut self,
        client: &Client,
        attributes: &[(Attribute, &[u8])],
    ) -> Result<SocketAddr, u16> {
        let answer = self.request(client, Method::ALLOCATE, |writer| {
            writer.attribute(Attribute::REQUESTED_TRANSPORT, &[6, 0, 0, 0]);
            for (kind, value) in attributes {
                writer.attribute(*kind, value);
            }
        });
        let answer = answer.expect("an answer");
        Self::code(&answer)?;
        let granted = Granted::read(&answer);
        assert_eq!(granted.token, None);
        Ok(granted.relayed[0])
    }

    /// A Connect request; its answer may come later.
    pub(crate) fn connect(&mut self, client: &Client, peer: SocketAddr) -> Option<Result<(), u16>> {
        let answer = self.request(client, Method::CONNECT, |writer| {
            writer.xor_address(Attribute::XOR_PEER_ADDRESS, peer);
        });
        answer.map(|answer| Self::code(&answer))
    }

    /// A ConnectionBind request.
    pub(crate) fn bind_connection(
        &mut self,
        client: &Client,
        connection: ConnectionId,
    ) -> Result<(), u16> {
        let answer = self.request(client, Method::CONNECTION_BIND, |writer| {
            writer.attribute(Attribute::CONNECTION_ID, &connection.0);
        });
        Self::code(&answer.expect("an answer"))
    }
}
