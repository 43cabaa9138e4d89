//! What a worker does for TCP allocations (RFC 6062).

use std::io;
use std::net::{IpAddr, SocketAddr};

use super::connection::Connection;
use super::peers::Task;
use super::post::{Letter, Postbox};
use super::siblings::OfWorker;
use super::sockets::take_port;
use super::splice::Allowed;
use super::worker::{TurnServer, Worker};
use crate::net::{connect_tcp, listen_relayed_tcp};
use crate::time::Now;
use crate::turn::{
    AllocationId, BindFailed, Bound, ConnectFailed, ConnectionId, Direction, TcpAction,
};

/// How many connections of one listener are taken before others get their turn.
const TURN_OF_A_LISTENER: usize = 16;

impl Worker {
    /// Does what the server wants done.
    pub(super) fn carry_out_for_tcp(&mut self, action: TcpAction, now: Now) {
        match action {
            TcpAction::Listen {
                allocation,
                address,
            } => {
                let port = self.listen(allocation, address).ok_or(BindFailed);
                self.server.handle_bound(allocation, address, port, now);
            }
            TcpAction::Unlisten { relayed } => {
                self.peers.unlisten(relayed);
                if let Some(ports) = self.siblings.siblings.ports(relayed.ip()) {
                    ports.give_back(relayed.port());
                }
            }
            TcpAction::Connect {
                connection,
                from,
                to,
            } => {
                if self.connect(connection, from, to).is_err() {
                    let failed = Err(ConnectFailed);
                    self.server.handle_connected(connection, failed, now);
                }
            }
            TcpAction::Close { connection } => self.close_connection(connection),
        }
    }

    /// Gets a relayed address on `address`; gives its port.
    fn listen(&mut self, allocation: AllocationId, address: IpAddr) -> Option<u16> {
        let ports = self.siblings.siblings.ports(address)?;
        let range = self.relay_ports.as_ref()?;
        let listener = take_port(ports, range, false, |address, port| {
            listen_relayed_tcp(SocketAddr::new(address, port)).ok()
        })?;
        let port = listener.local_addr().ok()?.port();
        let registry = self.poll.registry();
        if self.peers.listen(listener, allocation, registry).is_err() {
            ports.give_back(port);
            return None;
        }
        Some(port)
    }

    fn connect(&mut self, name: ConnectionId, from: SocketAddr, to: SocketAddr) -> io::Result<()> {
        let socket = connect_tcp(from, to)?;
        self.peers.connect(name, socket, self.poll.registry())
    }

    /// Gives every listener and connection that has something its turn.
    pub(super) fn serve_peers(&mut self, now: Now) {
        for _ in 0..self.peers.ready() {
            match self.peers.pop_ready() {
                Some((index, Task::Accept)) => self.accept_peers(index, now),
                Some((index, Task::Connect(name))) => self.see_connected(index, name, now),
                Some((index, Task::Serve(name))) => self.serve_splice(index, name, now),
                None => return,
            }
        }
    }

    fn accept_peers(&mut self, index: usize, now: Now) {
        for _ in 0..TURN_OF_A_LISTENER {
            match self.peers.accept(index) {
                Ok((socket, source, allocation)) => {
                    // Without a name, it is closed by being dropped.
                    let name = self.server.handle_peer_connection(allocation, source, now);
                    if let Some(name) = name
                        && self
                            .peers
                            .insert(name, socket, self.poll.registry())
                            .is_err()
                    {
                        self.server.handle_connection_over(name);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return self.follow_up(now);
                }
                // A peer that has gone before it was taken.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(_) => {
                    self.peers.rest(index, now.instant);
                    return self.follow_up(now);
                }
            }
        }
        self.peers.queue(index);
        self.follow_up(now);
    }

    fn see_connected(&mut self, index: usize, name: ConnectionId, now: Now) {
        let Some(outcome) = self.peers.connected(index) else {
            return;
        };
        if outcome.is_err() {
            self.peers.close(name);
        }
        let outcome = outcome.map_err(|_| ConnectFailed);
        self.server.handle_connected(name, outcome, now);
        self.follow_up(now);
    }

    fn serve_splice(&mut self, index: usize, name: ConnectionId, now: Now) {
        let pause = |direction| self.server.stream_pause(name, direction, now);
        let pauses = [Direction::FromClient, Direction::ToClient].map(pause);
        let allowed = Allowed {
            from_client: pauses[0].is_none(),
            from_peer: pauses[1].is_none(),
        };
        let input = &mut self.stream_input;
        match self.peers.serve(index, input, allowed, now.instant) {
            Ok(served) => {
                for (direction, length, counter) in [
                    (
                        Direction::FromClient,
                        served.from_client,
                        &self.counters.bytes_to_peers,
                    ),
                    (
                        Direction::ToClient,
                        served.from_peer,
                        &self.counters.bytes_to_clients,
                    ),
                ] {
                    if length > 0 {
                        counter.add(length as u64);
                        self.server.handle_stream(name, direction, length, now);
                    }
                }
                if let Some(at) = pauses.into_iter().flatten().min() {
                    self.peers.serve_at(index, at);
                }
            }
            Err(_) => {
                self.server.handle_connection_over(name);
                self.close_connection(name);
            }
        }
    }

    fn close_connection(&mut self, name: ConnectionId) {
        if self.peers.close(name) {
            self.counters.connections_ended.add(1);
        }
    }

    /// A client has bound its stream to a connection to a peer: `rest` is what has come behind the
    /// request.
    pub(super) fn join(&mut self, stream: usize, bound: Bound, rest: &[u8], now: Now) {
        // The answer waits with the connection, before all that the peer sends.
        let registry = self.poll.registry();
        let name = bound.connection;
        let Some(mut client) = self.streams.remove(stream, registry) else {
            return self.server.handle_connection_over(name);
        };
        client.keep(rest);
        if self
            .peers
            .join(name, client, registry, now.instant)
            .is_err()
        {
            self.counters.connections_ended.add(1);
            self.server.handle_connection_over(name);
            self.peers.close(name);
        }
    }

    /// Hands a client's stream to the worker that has the connection to its peer. `rest` has not
    /// been handled.
    pub(super) fn hand_over(
        &mut self,
        stream: usize,
        owner: usize,
        rest: &[u8],
        boxes: &[Postbox],
    ) {
        let Some(mut client) = self.streams.remove(stream, self.poll.registry()) else {
            return;
        };
        client.keep(rest);
        // A worker that is too busy to take it closes it.
        if !boxes[owner].post(Letter::Stream(client)) {
            self.counters.connections_ended.add(1);
        }
    }

    /// Takes a stream in that another worker has handed over.
    pub(super) fn take_over(&mut self, client: Box<Connection>, now: Now) {
        let registry = self.poll.registry();
        if !self.streams.insert(client, registry, now.instant) {
            self.counters.connections_ended.add(1);
        }
    }
}

/// The other worker that has the connection to a peer which a stranger's `message` is to bind.
pub(super) fn owner_of_peer(
    server: &TurnServer,
    siblings: &OfWorker,
    message: &[u8],
) -> Option<usize> {
    let name = server.connection_to_bind(message)?;
    let owner = siblings.siblings.peers().owner(name);
    owner.filter(|owner| *owner != siblings.number)
}
