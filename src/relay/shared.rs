//! What the workers of a relay are made from, and have in common.

use std::io;
use std::ops::RangeInclusive;
use std::sync::Arc;

use mio::Waker;

use super::audit::AuditSink;
use super::binding::PORTLESS_RANGE;
use super::listeners::{Addresses, Bound, Listeners};
use super::peer_claims::PeerClaims;
use super::settings::{Settings, StartError};
use super::siblings::{OfWorker, Quota, Siblings};
use super::sockets::Reception;
use super::worker::{Parts, Worker};
use crate::auth::RelayCredentials;
use crate::net::{
    Admission, Clock, Cookies, DtlsConfig, TlsConfig, broadcast_addresses, local_addresses,
};
use crate::turn::{self, Cidr, Machine, PeerPolicy};

/// What every worker's server is made from.
pub(super) struct Shared {
    config: turn::Config,
    credentials: Arc<RelayCredentials>,
    pub(super) siblings: Arc<Siblings>,
    admission: Arc<Admission>,
    tls: Option<TlsConfig>,
    has_tcp_relay: bool,
    dtls: Option<DtlsConfig>,
    cookies: Cookies,
    proxies: Arc<[Cidr]>,
    relay_ports: Option<RangeInclusive<u16>>,
    reception: Reception,
    clock: Clock,
    audit: Option<AuditSink>,
}

impl Shared {
    pub(super) fn new(settings: Settings, listening: &Bound) -> Result<Self, StartError> {
        let (listening_at, workers) = (listening.addresses(), listening.of_workers.len());
        let nonce_keys =
            nonce_keys(&settings.credentials).map_err(|error| StartError::System(error.into()))?;
        let mobility_key = mobility_key(settings.mobility)?;
        let policy = PeerPolicy::new(
            settings.relay_addresses.clone(),
            this_machine().map_err(StartError::System)?,
            settings.allow_peers.clone(),
        )
        .with_services(settings.services().to_vec());
        let siblings = Arc::new(siblings(&settings, &listening_at));
        Ok(Self {
            config: turn::Config {
                realm: settings.realm,
                portless: settings.relay_ports.is_none(),
                policy: listening_at.refused_by(policy),
                max_bandwidth_per_allocation: settings.max_bandwidth_per_allocation,
                strict_expiry: settings.strict_expiry,
                unauthenticated_rate: a_workers(settings.unauthenticated_rate, workers),
                mobility_key,
                nonce_keys,
                username_anonymity: settings.username_anonymity,
                alternate_servers: settings.alternate_servers,
                nat_discovery: listening.nat_discovery.clone(),
                seed: 0,
            },
            credentials: Arc::new(settings.credentials),
            siblings,
            admission: Arc::new(Admission::new(
                settings.connections,
                settings.connections_per_address,
            )),
            tls: settings.tls,
            has_tcp_relay: settings.tcp_relay.is_some(),
            dtls: settings.dtls,
            cookies: Cookies::new().map_err(StartError::System)?,
            audit: settings.audit,
            proxies: settings.proxies.into(),
            relay_ports: settings.relay_ports,
            reception: Reception {
                batching: settings.batching,
                traffic_class: settings.copy_traffic_class,
            },
            // One clock, since workers look at each other's deadlines.
            clock: Clock::start(),
        })
    }

    pub(super) fn worker(
        &self,
        number: usize,
        listeners: Listeners,
    ) -> io::Result<(Worker, Arc<Waker>)> {
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
        let server = match self.has_tcp_relay {
            true => server.with_tcp_relay(),
            false => server,
        };
        Worker::new(Parts {
            listeners: listeners.udp,
            dtls_listeners: listeners.dtls,
            stream_listeners: listeners.tcp,
            admission: Arc::clone(&self.admission),
            tls: self.tls.clone(),
            dtls: self.dtls.clone(),
            cookies: self.cookies.clone(),
            server,
            audit: self.audit.clone(),
            proxies: Arc::clone(&self.proxies),
            siblings,
            relay_ports: self.relay_ports.clone(),
            reception: self.reception,
            clock: self.clock,
        })
    }
}

/// What the workers share with each other.
fn siblings(settings: &Settings, listening_at: &Addresses) -> Siblings {
    let bound = settings.relay_addresses.iter().map(|relay| relay.bound);
    let range = settings.relay_ports.as_ref().unwrap_or(&PORTLESS_RANGE);
    let quota = Quota {
        of_user: settings.max_allocations_per_user,
        of_server: settings.max_allocations,
    };
    let siblings = Siblings::new(quota, bound, range)
        .with_bandwidth_of_user(settings.max_bandwidth_per_user)
        .with_new_peers_of_user(settings.max_new_peers_per_user);
    siblings.keep_free_of(&listening_at.all());
    let peers = PeerClaims::within(settings.tcp_relay.as_ref());
    let rooms = settings.within_rooms.then(Arc::default);
    siblings.with_peers(peers).with_rooms(rooms)
}

/// A worker's part of a rate: an address may meet every worker, and the rate is for all of them.
pub(super) fn a_workers(rate: u32, workers: usize) -> u32 {
    rate.div_ceil(u32::try_from(workers).unwrap_or(u32::MAX))
}

pub(super) fn this_machine() -> io::Result<Machine> {
    Ok(Machine {
        addresses: local_addresses()?,
        broadcasts: broadcast_addresses()?,
    })
}

/// What the keys of nonces are derived for.
pub(super) const NONCES: &str = "nonces";

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

/// A key for the tickets of this process: those of another one are of no use here.
fn mobility_key(wanted: bool) -> Result<Option<[u8; 32]>, StartError> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| StartError::System(error.into()))?;
    Ok(wanted.then_some(key))
}
