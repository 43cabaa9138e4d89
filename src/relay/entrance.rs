//! A way into the relay for connections that others have taken.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::ServerConnection;

use super::post::{Letter, Postbox};
use crate::net::TlsSession;

/// Takes clients in that have come to another listener, such as that of HTTPS. Copies lead to the
/// same relay. The default one leads nowhere.
#[derive(Clone, Debug, Default)]
pub struct Entrance {
    boxes: Arc<[Postbox]>,
    next: Arc<AtomicUsize>,
}

impl Entrance {
    /// A way to the workers behind these boxes.
    pub(super) fn new(boxes: Arc<[Postbox]>) -> Self {
        Self {
            boxes,
            next: Arc::default(),
        }
    }

    /// Hands a client over: its socket, and its TLS session with all that has not been read of
    /// it. From then on the client is the relay's, whose limits hold, and the workers take turns.
    ///
    /// # Errors
    /// If the socket cannot be used, or the relay is too busy to take it.
    pub fn hand_over(&self, socket: TcpStream, session: ServerConnection) -> io::Result<()> {
        socket.set_nonblocking(true)?;
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let worker = self.boxes.get(turn % self.boxes.len().max(1));
        let letter = Letter::Connection {
            socket,
            session: TlsSession::from(session),
        };
        if worker.is_some_and(|worker| worker.post(letter)) {
            Ok(())
        } else {
            Err(io::ErrorKind::WouldBlock.into())
        }
    }
}
