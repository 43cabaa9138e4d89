//! The data plane: worker threads that own their sockets and their TURN server.
//!
//! Clients are spread over the workers by the kernel (SO_REUSEPORT), by five-tuple, and all that
//! belongs to a client lives on its worker, whether it comes by datagrams or by a connection.

mod audit;
mod binding;
mod coalescing;
mod connection;
mod cores;
mod counted;
mod entrance;
mod fairness;
mod listener;
mod outflow;
mod ports;
mod post;
mod proxy_header;
mod reserved;
mod siblings;
mod sockets;
mod stream_round;
mod streams;
mod terms;
mod worker;

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use mio::Waker;

use crate::auth::RelayCredentials;
use crate::metrics::{Ports, RelayCounters};
use crate::net::{
    Admission, Buffers, Clock, TlsConfig, UdpSocket, broadcast_addresses, listen_tcp,
    local_addresses,
};
use crate::turn::{self, Cidr, Machine, PeerPolicy, Transport};
use binding::PORTLESS_RANGE;
use post::Postbox;
use siblings::{OfWorker, Quota, Siblings};
use terms::{Notice, ServerTerms};
use worker::{Parts, Worker};

pub use crate::turn::RelayAddress;
pub use audit::{AuditSink, Audited};
pub use entrance::Entrance;
pub use listener::Listener;
pub use terms::Terms;

/// What may wait at a listener: half a second of a hundred video streams.
const LISTENER_BUFFERS: Buffers = Buffers {
    receive: 8 << 20,
    send: 8 << 20,
};

/// What the relay needs to know to start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where clients are served. Port 0 takes any free port.
    pub listen: Vec<Listener>,
    /// The realm of the long-term credentials.
    pub realm: String,
    /// The users.
    pub credentials: RelayCredentials,
    /// Whether clients are asked to hide the user's name behind USERHASH. Only listed users can be
    /// found by it.
    pub username_anonymity: bool,
    /// On which addresses relayed addresses are made, at most one of each family.
    pub relay_addresses: Vec<RelayAddress>,
    /// The ports of relayed addresses. `None`: they have no sockets, and only each other can be
    /// reached; nothing but the listeners must be open then.
    pub relay_ports: Option<RangeInclusive<u16>>,
    /// Where clients are sent that there is no room for here.
    pub alternate_servers: Vec<SocketAddr>,
    /// Exceptions to the built-in list of refused peers.
    pub allow_peers: Vec<Cidr>,
    /// Allocations that there may be at a time, of all users; 0 is no limit.
    pub max_allocations: u32,
    /// Allocations that one user may have at a time; 0 is no limit.
    pub max_allocations_per_user: u32,
    /// Answers a second to one address (/32, /64) before it authenticates; 0 is no limit.
    pub unauthenticated_rate: u32,
    /// Bytes a second that an allocation may relay in each direction; 0 is no limit.
    pub max_bandwidth_per_allocation: u64,
    /// Whether an allocation ends with the credentials that it is used with.
    pub strict_expiry: bool,
    /// Whether clients may move their allocations to other addresses of theirs (RFC 8016).
    pub mobility: bool,
    /// Connections of clients at a time.
    pub connections: usize,
    /// The same for one address (/32, /64); 0 is no limit. Loopback has none.
    pub connections_per_address: usize,
    /// What TLS is spoken with at every listener for streams; the first byte tells it from plain
    /// STUN. `None`: it is not spoken.
    pub tls: Option<TlsConfig>,
    /// Proxies in front of the listeners for streams: they must say by a header of the PROXY
    /// protocol whose connection it is, and nobody else may.
    pub proxies: Vec<Cidr>,
    /// Worker threads; 0 is one a core.
    pub workers: usize,
    /// Whether each worker stays on a core of its own, as far as there are cores.
    pub pin_workers: bool,
    /// Who must be told of every allocation, if anybody.
    pub audit: Option<AuditSink>,
    /// Whether datagrams are taken and given many a call, and trains joined and cut by the kernel.
    pub batching: bool,
}

/// Why the relay did not start.
#[derive(Debug)]
pub enum StartError {
    /// A listener could not be bound.
    Listen {
        /// The listener.
        listener: Listener,
        /// What the operating system says.
        source: io::Error,
    },
    /// Something else that the operating system did not give: threads, randomness.
    System(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen { listener, source } => {
                write!(f, "cannot listen on {listener}: {source}")
            }
            Self::System(source) => write!(f, "cannot start the relay: {source}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Listen { source, .. } | Self::System(source) => Some(source),
        }
    }
}

/// A running relay. It goes on until it is dropped.
#[derive(Debug)]
pub struct Relay {
    listeners: Vec<Listener>,
    counters: Vec<Arc<RelayCounters>>,
    siblings: Arc<Siblings>,
    entrance: Entrance,
    stopping: Arc<AtomicBool>,
    threads: Vec<(JoinHandle<()>, Arc<Waker>)>,
    /// One a worker.
    notices: Vec<Arc<Notice>>,
    relay_addresses: Vec<RelayAddress>,
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
        let (bound, listeners) = bind_listeners(&settings.listen, count)?;
        let pin = settings.pin_workers;
        let relay_addresses = settings.relay_addresses.clone();
        let shared = Shared::new(settings, addresses_of(&bound), count)?;
        let mut relay = Self {
            listeners: bound,
            counters: Vec::new(),
            siblings: Arc::clone(&shared.siblings),
            entrance: Entrance::default(),
            stopping: Arc::default(),
            threads: Vec::new(),
            notices: Vec::new(),
            relay_addresses,
        };
        let workers = listeners.into_iter().enumerate();
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

    /// Where those for datagrams are bound.
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
        );
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
                policy: policy.clone().with_listeners(addresses_of(&self.listeners)),
                unauthenticated_rate: a_workers(terms.unauthenticated_rate, self.notices.len()),
            });
            // A worker that cannot be woken has ended.
            let _ = waker.wake();
        }
        Ok(())
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

/// Where the listeners for datagrams are bound.
fn datagram_addresses(listeners: &[Listener]) -> Vec<SocketAddr> {
    let by_datagrams = |listener: &&Listener| !listener.transport.is_stream();
    let listeners = listeners.iter().filter(by_datagrams);
    listeners.map(|listener| listener.address).collect()
}

/// What every worker's server is made from.
struct Shared {
    config: turn::Config,
    credentials: Arc<RelayCredentials>,
    siblings: Arc<Siblings>,
    admission: Arc<Admission>,
    tls: Option<TlsConfig>,
    proxies: Arc<[Cidr]>,
    relay_ports: Option<RangeInclusive<u16>>,
    batching: bool,
    clock: Clock,
    audit: Option<AuditSink>,
}

/// A key for the tickets of this process: those of another one are of no use here.
fn mobility_key(wanted: bool) -> Result<Option<[u8; 32]>, StartError> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| StartError::System(error.into()))?;
    Ok(wanted.then_some(key))
}

impl Shared {
    fn new(
        settings: Settings,
        listeners: Vec<SocketAddr>,
        workers: usize,
    ) -> Result<Self, StartError> {
        let nonce_keys =
            nonce_keys(&settings.credentials).map_err(|error| StartError::System(error.into()))?;
        let mobility_key = mobility_key(settings.mobility)?;
        let policy = PeerPolicy::new(
            settings.relay_addresses.clone(),
            this_machine().map_err(StartError::System)?,
            settings.allow_peers,
        );
        let bound = settings.relay_addresses.iter().map(|relay| relay.bound);
        let range = settings.relay_ports.as_ref().unwrap_or(&PORTLESS_RANGE);
        let siblings = Siblings::new(
            Quota {
                of_user: settings.max_allocations_per_user,
                of_server: settings.max_allocations,
            },
            bound,
            range,
        );
        siblings.keep_free_of(&listeners);
        let siblings = Arc::new(siblings);
        Ok(Self {
            config: turn::Config {
                realm: settings.realm,
                portless: settings.relay_ports.is_none(),
                policy: policy.with_listeners(listeners),
                max_bandwidth_per_allocation: settings.max_bandwidth_per_allocation,
                strict_expiry: settings.strict_expiry,
                unauthenticated_rate: a_workers(settings.unauthenticated_rate, workers),
                mobility_key,
                nonce_keys,
                username_anonymity: settings.username_anonymity,
                alternate_servers: settings.alternate_servers,
                seed: 0,
            },
            credentials: Arc::new(settings.credentials),
            siblings,
            admission: Arc::new(Admission::new(
                settings.connections,
                settings.connections_per_address,
            )),
            tls: settings.tls,
            audit: settings.audit,
            proxies: settings.proxies.into(),
            relay_ports: settings.relay_ports,
            batching: settings.batching,
            // One clock, since workers look at each other's deadlines.
            clock: Clock::start(),
        })
    }

    fn worker(&self, number: usize, listeners: Listeners) -> io::Result<(Worker, Arc<Waker>)> {
        let config = turn::Config {
            seed: getrandom::u64()?,
            ..self.config.clone()
        };
        let siblings = OfWorker {
            number,
            siblings: Arc::clone(&self.siblings),
        };
        let credentials = Arc::clone(&self.credentials);
        let server = turn::Server::new(config, credentials, siblings.clone());
        let server = match self.audit {
            Some(_) => server.with_records(),
            None => server,
        };
        Worker::new(Parts {
            listeners: listeners.udp,
            stream_listeners: listeners.tcp,
            admission: Arc::clone(&self.admission),
            tls: self.tls.clone(),
            server,
            audit: self.audit.clone(),
            proxies: Arc::clone(&self.proxies),
            siblings,
            relay_ports: self.relay_ports.clone(),
            batching: self.batching,
            clock: self.clock,
        })
    }
}

/// Where listeners are bound, whatever carries what comes to them.
fn addresses_of(listeners: &[Listener]) -> Vec<SocketAddr> {
    listeners.iter().map(|listener| listener.address).collect()
}

/// A worker's part of a rate: an address may meet every worker, and the rate is for all of them.
fn a_workers(rate: u32, workers: usize) -> u32 {
    rate.div_ceil(u32::try_from(workers).unwrap_or(u32::MAX))
}

fn this_machine() -> io::Result<Machine> {
    Ok(Machine {
        addresses: local_addresses()?,
        broadcasts: broadcast_addresses()?,
    })
}

/// What the keys of nonces are derived for.
const NONCES: &str = "nonces";

/// What nonces are made with: from the secrets, so that servers that share one take each other's
/// nonces; without a secret, something that nobody shares.
fn nonce_keys(credentials: &RelayCredentials) -> Result<Vec<[u8; 32]>, getrandom::Error> {
    let mut keys = credentials.derived_keys(NONCES);
    if keys.is_empty() {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        keys.push(key);
    }
    Ok(keys)
}

/// The listeners of one worker.
#[derive(Debug, Default)]
struct Listeners {
    udp: Vec<UdpSocket>,
    tcp: Vec<TcpListener>,
}

impl Listeners {
    /// Binds `address`, which other workers share.
    fn bind(&mut self, transport: Transport, address: SocketAddr) -> io::Result<()> {
        match transport {
            Transport::Udp => self.udp.push(UdpSocket::listen(address, true)?),
            Transport::Tcp | Transport::Tls => self.tcp.push(listen_tcp(address, true)?),
        }
        Ok(())
    }
}

/// Binds every listener once for each of `workers`. The first result are the listeners as bound.
fn bind_listeners(
    wanted: &[Listener],
    workers: usize,
) -> Result<(Vec<Listener>, Vec<Listeners>), StartError> {
    let mut bound = Vec::new();
    let mut listeners: Vec<Listeners> = (0..workers).map(|_| Listeners::default()).collect();
    for &listener in wanted {
        let failed = |source| StartError::Listen { listener, source };
        let address = try_alone(listener).map_err(failed)?;
        for of_worker in &mut listeners {
            of_worker
                .bind(listener.transport, address)
                .map_err(failed)?;
        }
        bound.push(Listener {
            address,
            ..listener
        });
    }
    let sockets = listeners.iter().flat_map(|of_worker| &of_worker.udp);
    enlarge_all(sockets);
    if let Some(first) = listeners.first() {
        tell_without_trains(&first.udp);
    }
    Ok((bound, listeners))
}

/// A shared bind would succeed beside another server's shared bind; an unshared one tells. Gives
/// the address as bound.
fn try_alone(listener: Listener) -> io::Result<SocketAddr> {
    match listener.transport {
        Transport::Udp => Ok(UdpSocket::listen(listener.address, false)?.local()),
        Transport::Tcp | Transport::Tls => listen_tcp(listener.address, false)?.local_addr(),
    }
}

/// Tells where the system lacks what makes trains cheap.
fn tell_without_trains(sockets: &[UdpSocket]) {
    if sockets.first().is_some_and(|socket| !socket.can_segment()) {
        tracing::info!(
            "this system cannot cut trains of datagrams (UDP_SEGMENT, Linux 4.18 and later); \
             each is sent by itself"
        );
    }
}

/// Lets much wait at the listeners, or tells that it cannot.
fn enlarge_all<'a>(sockets: impl Iterator<Item = &'a UdpSocket>) {
    let granted = sockets
        .map(|socket| enlarge(socket, LISTENER_BUFFERS))
        .min();
    if let Some(granted) = granted.filter(|granted| *granted < LISTENER_BUFFERS.receive) {
        tracing::warn!(
            wanted = LISTENER_BUFFERS.receive,
            granted,
            "the system keeps socket buffers small, so bursts may be lost; \
             set net.core.rmem_max and net.core.wmem_max to {}",
            LISTENER_BUFFERS.receive
        );
    }
}

/// Gives how many bytes may wait in `socket` to be received.
fn enlarge(socket: &UdpSocket, wanted: Buffers) -> usize {
    // A socket that does not take the option works with what it has.
    socket
        .enlarge_buffers(wanted)
        .map_or(0, |granted| granted.receive)
}
