//! What belongs to another worker.
//!
//! A client stays with the worker that has made its allocation. The kernel keeps to that as long
//! as the listeners stay the same; when one comes or goes, some clients' datagrams arrive
//! elsewhere. And only the worker that has a client's connection can write to it. Such things are
//! copied and posted: the slow way, but they arrive.

use std::collections::HashMap;
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, PoisonError, RwLock};

use mio::Waker;

use super::connection::Connection;
use crate::net::TlsSession;
use crate::turn::{FiveTuple, ToClient};

/// How many letters may wait for a worker; more are lost, as datagrams may be.
pub(super) const LETTERS: usize = 1_024;

/// Something on its way to a worker.
#[derive(Debug)]
pub(super) enum Letter {
    /// What is to be relayed.
    Packet(Packet),
    /// A client's connection, whose TLS session somebody else has begun.
    Connection {
        socket: TcpStream,
        session: TlsSession,
    },
    /// A client's connection that belongs to what this worker has.
    Stream(Box<Connection>),
}

/// Something to be relayed by another worker.
#[derive(Debug)]
pub(super) enum Packet {
    /// What a client has sent.
    FromClient {
        client: FiveTuple,
        datagram: Box<[u8]>,
        /// As it came.
        traffic_class: u8,
    },
    /// What a client is to get by its connection.
    ToClient { to: ToClient, payload: Box<[u8]> },
}

/// Where letters for a worker are put in.
#[derive(Debug)]
pub(super) struct Postbox {
    letters: SyncSender<Letter>,
    waker: Arc<Waker>,
}

impl Postbox {
    /// A box for the worker that `waker` wakes, and where it takes its letters out.
    pub(super) fn new(waker: Arc<Waker>) -> (Self, Receiver<Letter>) {
        let (letters, inbox) = sync_channel(LETTERS);
        (Self { letters, waker }, inbox)
    }

    /// Puts a letter in, unless the box is full.
    pub(super) fn post(&self, letter: Letter) -> bool {
        // A worker that cannot be woken has ended.
        self.letters.try_send(letter).is_ok() && self.waker.wake().is_ok()
    }
}

/// Which worker has the allocation of which client.
#[derive(Debug, Default)]
pub(super) struct Owners(RwLock<HashMap<FiveTuple, usize>>);

impl Owners {
    pub(super) fn insert(&self, client: FiveTuple, worker: usize) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(client, worker);
    }

    /// Forgets `client`, if it is the `worker`'s.
    pub(super) fn remove(&self, client: FiveTuple, worker: usize) {
        let mut owners = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if owners.get(&client) == Some(&worker) {
            owners.remove(&client);
        }
    }

    pub(super) fn of(&self, client: FiveTuple) -> Option<usize> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&client)
            .copied()
    }
}
