//! The data plane: worker threads that own their sockets and their TURN server.
//!
//! Clients are spread over the workers by the kernel (SO_REUSEPORT), by five-tuple, and all that
//! belongs to a client lives on its worker, whether it comes by datagrams or by a connection.

mod associations;
mod audit;
mod bandwidth;
mod binding;
mod coalescing;
mod connection;
mod cores;
mod counted;
mod datagram_round;
mod delivery;
mod dtls_handshake;
mod dtls_round;
mod dtls_step;
#[cfg(test)]
mod dtls_testing;
mod entrance;
mod fairness;
mod follow_up;
mod listener;
mod listeners;
mod new_peers;
mod outflow;
mod peer_claims;
mod peer_round;
mod peers;
mod ports;
mod post;
mod proxy_header;
mod reserved;
mod reviews;
mod room;
mod rooms;
mod settings;
mod shared;
mod siblings;
mod sockets;
mod splice;
mod strangers;
mod stream_accept;
mod stream_round;
mod streams;
mod terms;
mod unsent;
mod worker;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use mio::Waker;

use crate::metrics::{Ports, RelayCounters};
use crate::turn::{self, PeerPolicy};
use listeners::{Addresses, bind_listeners, datagram_addresses};
use post::Postbox;
use shared::{NONCES, Shared, a_workers, this_machine};
use siblings::{Quota, Siblings};
use terms::{Notice, ServerTerms};
use worker::Worker;

pub use crate::turn::RelayAddress;
pub use audit::{AuditSink, Audited};
pub use entrance::Entrance;
pub use listener::Listener;
pub use proxy_header::{NoHeader, ProxyHeader};
pub use rooms::Rooms;
pub use settings::{Settings, StartError, TcpRelay};
pub use terms::Terms;

/// A running relay. It goes on until it is dropped.
#[derive(Debug)]
pub struct Relay {
    listeners: Vec<Listener>,
    /// Where anything is bound for clients, the listeners and more.
    bound: Addresses,
    counters: Vec<Arc<RelayCounters>>,
    siblings: Arc<Siblings>,
    entrance: Entrance,
    stopping: Arc<AtomicBool>,
    threads: Vec<(JoinHandle<()>, Arc<Waker>)>,
    /// One a worker.
    notices: Vec<Arc<Notice>>,
    relay_addresses: Vec<RelayAddress>,
    /// Where else this process listens.
    services: Vec<SocketAddr>,
}

impl Relay {
    /// Binds every listener and starts the workers.
    ///
    /// # Errors
    /// If a listener's address cannot be bound; nothing runs then.
    pub fn start(settings: Settings) -> Result<Self, StartError> {
        let count = match settings.workers {
            0 => thread::available_parallelism().map_or(1, usize::from),
            count => count,
        };
        let bound = bind_listeners(&settings.listen, settings.nat_discovery_alternate, count)?;
        let pin = settings.pin_workers;
        let relay_addresses = settings.relay_addresses.clone();
        let services = settings.services().to_vec();
        let shared = Shared::new(settings, &bound)?;
        let mut relay = Self {
            bound: bound.addresses(),
            listeners: bound.listeners,
            counters: Vec::new(),
            siblings: Arc::clone(&shared.siblings),
            entrance: Entrance::default(),
            stopping: Arc::default(),
            threads: Vec::new(),
            notices: Vec::new(),
            relay_addresses,
            services,
        };
        let workers = bound.of_workers.into_iter().enumerate();
        let workers = workers.map(|(number, listeners)| shared.worker(number, listeners));
        let workers = workers.collect::<io::Result<Vec<_>>>();
        relay
            .start_workers(workers.map_err(StartError::System)?, pin)
            .map_err(StartError::System)?;
        Ok(relay)
    }

    /// Lets every worker know the others' postboxes, and sets them to work.
    fn start_workers(&mut self, workers: Vec<(Worker, Arc<Waker>)>, pin: bool) -> io::Result<()> {
        let (boxes, inboxes): (Vec<_>, Vec<_>) = workers
            .iter()
            .map(|(_, waker)| Postbox::new(Arc::clone(waker)))
            .unzip();
        let boxes: Arc<[Postbox]> = boxes.into();
        self.entrance = Entrance::new(Arc::clone(&boxes));
        let cores = if pin {
            cores::for_workers(boxes.len())
        } else {
            Vec::new()
        };
        if let Some(rooms) = self.siblings.rooms() {
            let wakers = workers.iter().map(|(_, waker)| Arc::clone(waker));
            rooms.reviews().begin(wakers);
        }
        for (number, ((worker, waker), inbox)) in workers.into_iter().zip(inboxes).enumerate() {
            self.counters.push(worker.counters());
            self.notices.push(worker.notice());
            let (boxes, stopping) = (Arc::clone(&boxes), Arc::clone(&self.stopping));
            let thread = thread::Builder::new().name(format!("relay-{number}"));
            let core = cores.get(number).copied();
            let thread = thread.spawn(move || {
                cores::pin_to(core);
                worker.run(&boxes, &inbox, &stopping);
            })?;
            self.threads.push((thread, waker));
        }
        Ok(())
    }

    /// The listeners as bound, in the order of the settings.
    #[must_use]
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// Where those for plain datagrams are bound.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        datagram_addresses(&self.listeners)
    }

    /// Makes no more allocations; those that there are go on. Clients that want one are sent to
    /// another server, where there is one.
    pub fn drain(&self) {
        self.siblings.drain();
    }

    /// Changes the terms without touching what they still allow. Allocations whose user is known
    /// no more end, and peers that are refused now lose their permissions, within a second.
    ///
    /// # Errors
    /// If the operating system does not tell this machine's addresses; nothing changes then.
    pub fn change(&self, terms: Terms) -> io::Result<()> {
        let policy = PeerPolicy::new(
            self.relay_addresses.clone(),
            this_machine()?,
            terms.allow_peers,
        )
        .with_services(self.services.clone());
        let policy = self.bound.refused_by(policy);
        self.siblings.set_quota(Quota {
            of_user: terms.max_allocations_per_user,
            of_server: terms.max_allocations,
        });
        let users = terms.credentials.map(|credentials| turn::Users {
            nonce_keys: credentials.derived_keys(NONCES),
            credentials: Arc::new(credentials),
        });
        for (notice, (_, waker)) in self.notices.iter().zip(&self.threads) {
            notice.post(ServerTerms {
                users: users.clone(),
                policy: policy.clone(),
                unauthenticated_rate: a_workers(terms.unauthenticated_rate, self.notices.len()),
            });
            // A worker that cannot be woken has ended.
            let _ = waker.wake();
        }
        Ok(())
    }

    /// Who is in which room, which somebody has to say where allocations talk only within rooms
    /// ([`Settings::within_rooms`]).
    #[must_use]
    pub fn rooms(&self) -> Option<Arc<Rooms>> {
        self.siblings.rooms().cloned()
    }

    /// How many relay ports are free, by address.
    #[must_use]
    pub fn ports(&self) -> Vec<Arc<Ports>> {
        self.siblings.gauges()
    }

    /// A way in for clients that have come to other listeners.
    #[must_use]
    pub fn entrance(&self) -> Entrance {
        self.entrance.clone()
    }

    /// The counters of each worker.
    #[must_use]
    pub fn counters(&self) -> &[Arc<RelayCounters>] {
        &self.counters
    }
}

impl Drop for Relay {
    /// Ends the workers and closes their sockets.
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        for (thread, waker) in self.threads.drain(..) {
            // A worker that cannot be woken has ended; one that has panicked has said so.
            let _ = waker.wake();
            let _ = thread.join();
        }
    }
}
