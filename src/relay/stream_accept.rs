//! How a worker's streams begin: who is taken, and who is sent away.

use std::io;
use std::net::TcpStream as StdStream;
use std::time::Duration;

use mio::Registry;
use mio::net::TcpStream;

use super::connection::Connection;
use super::streams::{Streams, Timer};
use crate::metrics::RelayCounters;
use crate::net::TlsSession;
use crate::time::Instant;
use crate::turn::{FiveTuple, Transport};

/// How many connections of one listener are taken before others get their turn.
const TURN_OF_A_LISTENER: usize = 32;

/// How long a listener rests that could not take a connection, mostly because no file descriptor
/// is free.
const REST: Duration = Duration::from_millis(100);

impl Streams {
    /// Takes the connections that wait.
    pub(super) fn accept(&mut self, registry: &Registry, counters: &RelayCounters, now: Instant) {
        for listener in std::mem::take(&mut self.inviting) {
            match self.accept_some(listener, registry, counters, now) {
                Ok(()) => self.invite(listener),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => self.deadlines.set(Timer::Listener(listener), now + REST),
            }
        }
    }

    /// Takes as many as one listener may give before the others.
    fn accept_some(
        &mut self,
        listener: usize,
        registry: &Registry,
        counters: &RelayCounters,
        now: Instant,
    ) -> io::Result<()> {
        for _ in 0..TURN_OF_A_LISTENER {
            match self.listeners[listener].accept() {
                Ok((socket, _)) => self.take_in(socket, None, registry, counters, now),
                // A client that has gone before it was taken.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Takes in a connection that somebody else has taken, and whose TLS session has begun.
    pub(super) fn adopt(
        &mut self,
        socket: StdStream,
        session: TlsSession,
        registry: &Registry,
        counters: &RelayCounters,
        now: Instant,
    ) {
        let socket = TcpStream::from_std(socket);
        self.take_in(socket, Some(session), registry, counters, now);
    }

    fn take_in(
        &mut self,
        socket: TcpStream,
        session: Option<TlsSession>,
        registry: &Registry,
        counters: &RelayCounters,
        now: Instant,
    ) {
        // Whoever is gone again has no addresses any more.
        let Some(client) = five_tuple(&socket, session.is_some()) else {
            return;
        };
        let peer = client.client.ip().to_canonical();
        let is_proxied = session.is_none() && self.proxies.iter().any(|range| range.contains(peer));
        let place = if is_proxied {
            self.admission.admit_proxied()
        } else {
            self.admission.admit(peer)
        };
        let Some(place) = place.filter(|_| !self.by_client.contains_key(&client)) else {
            counters.connections_refused.add(1);
            return;
        };
        // What is relayed is real-time: it does not wait for more.
        if socket.set_nodelay(true).is_err() {
            return;
        }
        let connection = match session {
            Some(session) => Connection::with_session(socket, client, session, place),
            None if is_proxied => Connection::proxied(socket, client, place),
            None => Connection::new(socket, client, place),
        };
        if self.insert(Box::new(connection), registry, now) {
            counters.connections_made.add(1);
        }
    }
}

fn five_tuple(socket: &TcpStream, has_session: bool) -> Option<FiveTuple> {
    Some(FiveTuple {
        client: socket.peer_addr().ok()?,
        server: socket.local_addr().ok()?,
        transport: if has_session {
            Transport::Tls
        } else {
            Transport::Tcp
        },
    })
}
