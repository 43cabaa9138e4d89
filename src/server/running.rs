//! Start, drain, stop.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tracing::{info, warn};

use super::audit::AuditLog;
use super::bind::{Bound, bind_all};
use super::config::{Config, Peers, RelayPorts};
use super::dtls;
use super::error::StartError;
use super::http::{
    Admission, Assets, Listener, MetricsPage, Readiness, State, metrics_router, public_router,
};
use super::interfaces::{Interfaces, hostname};
use super::key_keeper::KeyKeeper;
use super::redemption_log::RedemptionLog;
use super::relay_users::{RelayUsers, relay_terms};
use super::revocation_log::{Kept, RevocationLog};
use super::revoker::Revoker;
use super::signaling::{self, Former, Signaling};
use super::state::StateDirectory;
use super::tls::{self, Tls};
use crate::metrics::{Counter, KeySetCounters, Registry};
use crate::relay::{self, AuditSink, Entrance, Relay};
use crate::turn::Transport;

/// How long signaling may take to send its clients away.
const DRAIN: Duration = Duration::from_millis(2500);
/// How long HTTP connections may then take to end.
const LAST_ANSWERS: Duration = Duration::from_millis(1000);
/// How long the relay's workers may take to end.
const RELAY_STOP: Duration = Duration::from_millis(1000);
/// The port that browsers mean by `https:` alone.
const HTTPS_PORT: u16 = 443;
/// Connections of the metrics listener at a time.
const METRICS_CONNECTIONS: usize = 64;

/// The file of the keys of sessions' tickets in the state directory.
const TICKET_KEYS: &str = "ticket-keys";

/// Where the server listens, with the ports that the system gave.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    /// Plain HTTP.
    pub http: Vec<SocketAddr>,
    /// HTTPS.
    pub https: Vec<SocketAddr>,
    /// STUN and TURN.
    pub turn: Vec<relay::Listener>,
    /// Metrics.
    pub metrics: Vec<SocketAddr>,
}

/// What makes HTTPS of HTTP.
struct Secure {
    acceptor: TlsAcceptor,
    /// Where clients go that speak TURN.
    relay: Option<Entrance>,
}

impl Addresses {
    /// Where clients are told to find the relay. Of several ways in by TLS the one on the port of
    /// HTTPS comes first: more networks let it pass than any other.
    fn told_of_turn(&self, share_https: bool) -> Vec<relay::Listener> {
        let is_secure = |listener: &relay::Listener| listener.transport == Transport::Tls;
        let mut told = self.turn.clone();
        let is_usual = self
            .https
            .iter()
            .any(|address| address.port() == HTTPS_PORT);
        if share_https && !told.is_empty() && (is_usual || !told.iter().any(is_secure)) {
            told.retain(|listener| !is_secure(listener));
            told.extend(self.https.iter().map(|&address| relay::Listener {
                transport: Transport::Tls,
                address,
            }));
        }
        told
    }

    /// Where else than at the relay's listeners the server is reached by TCP.
    fn by_tcp(&self) -> Vec<SocketAddr> {
        [&self.http[..], &self.https, &self.metrics].concat()
    }

    /// Where STUN and TURN are spoken over UDP.
    pub fn turn_by_datagrams(&self) -> impl Iterator<Item = &SocketAddr> {
        let by_datagrams = |listener: &&relay::Listener| listener.transport == Transport::Udp;
        self.turn
            .iter()
            .filter(by_datagrams)
            .map(|listener| &listener.address)
    }
}

/// A running server. Dropping it stops it without drain.
#[derive(Debug)]
pub struct Server {
    addresses: Addresses,
    readiness: Arc<Readiness>,
    signaling: Signaling,
    /// `None` where no access tokens are asked for.
    keys: Option<KeyKeeper>,
    key_set: Arc<KeySetCounters>,
    state: StateDirectory,
    tls: Option<Tls>,
    certificate_expiry: Arc<Counter>,
    users: Arc<Mutex<RelayUsers>>,
    /// The present terms of the relay, without its users.
    terms: Arc<Mutex<relay::Terms>>,
    revocations: Arc<Mutex<RevocationLog>>,
    admission: Arc<Admission>,
    relay: Option<Arc<Relay>>,
    audit: Option<AuditLog>,
    stop_public: watch::Sender<bool>,
    stop_metrics: watch::Sender<bool>,
}

impl Server {
    /// Binds every listener and starts everything. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// If an address cannot be bound, or the state directory or a certificate cannot be used.
    /// Nothing runs then.
    pub async fn start(config: &Config, interfaces: &Interfaces) -> Result<Self, StartError> {
        let http = bind_all(&config.http.listen, "http.listen")?;
        let https = bind_all(&config.http.tls_listen, "http.tls_listen")?;
        let metrics = bind_all(&config.metrics.listen, "metrics.listen")?;
        let state = StateDirectory::open(&config.state_directory)?;
        let tls = prepare_tls(config, &state, interfaces)?;
        let (users, revocations, former) = open_users(config, &state)?;
        let audit = start_audit(config)?;
        let sink = audit.as_ref().and_then(AuditLog::sink);
        let of = |bound: &[Bound]| bound.iter().map(|bound| bound.address).collect();
        let mut addresses = Addresses {
            http: of(&http),
            https: of(&https),
            turn: Vec::new(),
            metrics: of(&metrics),
        };
        let relay = start_relay(config, &users, tls.as_ref(), sink, addresses.by_tcp())?;
        let relay = relay.map(Arc::new);
        let listeners = relay.iter().flat_map(|relay| relay.listeners());
        addresses.turn = listeners.copied().collect();
        let missed = Arc::<Notify>::default();
        let signaling = start_signaling(
            config,
            &state,
            former,
            (&users, relay.as_deref()),
            &addresses,
            &missed,
        )?;
        let readiness = Arc::new(Readiness::new());
        let key_set = Arc::<KeySetCounters>::default();
        let keys = keep_keys(config, &signaling, (&readiness, &key_set), missed);
        let server = Self {
            signaling,
            state,
            users: Arc::new(Mutex::new(users)),
            terms: Arc::new(Mutex::new(relay_terms(config, None))),
            revocations: Arc::new(Mutex::new(revocations)),
            tls: tls.clone(),
            certificate_expiry: Arc::default(),
            addresses,
            readiness,
            keys,
            key_set,
            admission: Arc::new(Admission::new(
                config.http.connections,
                config.http.connections_per_address,
            )),
            relay,
            audit,
            stop_public: watch::Sender::new(false),
            stop_metrics: watch::Sender::new(false),
        };
        server.serve_public(config, http, https, tls);
        server.serve_metrics(config, metrics);
        server.readiness.set(State::Ready);
        Ok(server)
    }

    /// Where the server listens.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The file of the local CA's certificate, if HTTPS uses one.
    #[must_use]
    pub fn local_ca(&self) -> Option<&Path> {
        self.tls.as_ref()?.local_ca.as_deref()
    }

    /// Takes over what can be changed while the server runs: certificates, the keys of
    /// access tokens, the relay's secret and users, allowed peers and limits. Calls go on; allocations of users that are gone end within
    /// a second.
    ///
    /// # Errors
    /// If a certificate or the state directory cannot be used. Nothing changes then.
    pub fn reload(&self, config: &Config, interfaces: &Interfaces) -> Result<(), StartError> {
        let certificate = match self.tls {
            Some(_) => {
                let names = leaf_names(config, interfaces);
                Some(tls::load(&config.http.certificate, &self.state, &names)?)
            }
            None => None,
        };
        let users = lock(&self.users).renewed(config, &self.state)?;
        if let Some(audit) = &self.audit {
            audit.reopen();
        }
        if let Some((tls, certificate)) = self.tls.as_ref().zip(certificate)
            && tls.certificate.replace(certificate)
        {
            self.tell_certificate_expiry();
            info!("another certificate is shown");
        }
        if let Some(keys) = &self.keys {
            keys.follow(&config.auth);
        }
        lock(&self.revocations).follow(&config.auth);
        let (users, before) = {
            let mut present = lock(&self.users);
            let mut users = users;
            users.follow_revocations_of(&present);
            let before = std::mem::replace(&mut *present, users.clone());
            (users, before)
        };
        *lock(&self.terms) = relay_terms(config, None);
        if let Some(relay) = &self.relay {
            let credentials = (users != before).then(|| users.credentials());
            relay.change(relay_terms(config, credentials))?;
        }
        if users.secret() != before.secret() {
            self.signaling.renew_secret(users.secret().clone());
        }
        Ok(())
    }

    /// Takes no more connections, sends signaling's clients away, lets requests finish, and ends
    /// the relay. Takes less than 5 seconds, whatever clients do.
    pub async fn stop(self) {
        info!("draining");
        self.readiness.set(State::Draining);
        self.stop_public.send_replace(true);
        if let Some(relay) = &self.relay {
            relay.drain();
        }
        if timeout(DRAIN, self.signaling.drain(DRAIN)).await.is_err() {
            warn!("signaling did not drain in time");
        }
        if timeout(LAST_ANSWERS, self.admission.all_gone())
            .await
            .is_err()
        {
            warn!("some HTTP connections were cut off");
        }
        if let Some(relay) = self.relay {
            let audit = self.audit;
            let stopped = tokio::task::spawn_blocking(move || {
                drop(relay);
                drop(audit);
            });
            if timeout(RELAY_STOP, stopped).await.is_err() {
                warn!("the relay did not stop in time");
            }
        }
        self.stop_metrics.send_replace(true);
        info!("stopped");
    }

    fn tell_certificate_expiry(&self) {
        if let Some(tls) = &self.tls {
            let expiry = tls.certificate.not_after();
            self.certificate_expiry.set(expiry.as_secs());
        }
    }

    fn serve_public(&self, config: &Config, http: Vec<Bound>, https: Vec<Bound>, tls: Option<Tls>) {
        let router = |hsts| {
            let assets = match &config.http.web_root {
                Some(root) => Assets::Folder(root.clone()),
                None => Assets::Embedded,
            };
            public_router(self.signaling.router(), assets, &self.readiness, hsts)
        };
        self.listen(http, None, &router(false), &self.stop_public);
        if let Some(tls) = tls {
            let hsts = tls.local_ca.is_none();
            let relay = self.relay.as_deref().filter(|_| config.turn.share_https);
            let shown = match relay {
                Some(_) => tls::for_both(&tls.config),
                None => tls.config,
            };
            let secure = Secure {
                acceptor: TlsAcceptor::from(shown),
                relay: relay.map(Relay::entrance),
            };
            self.listen(https, Some(&secure), &router(hsts), &self.stop_public);
        }
    }

    fn listen(
        &self,
        bound: Vec<Bound>,
        secure: Option<&Secure>,
        router: &Router,
        stop: &watch::Sender<bool>,
    ) {
        for Bound { socket, .. } in bound {
            let listener = Listener {
                socket,
                tls: secure.map(|secure| secure.acceptor.clone()),
                relay: secure.and_then(|secure| secure.relay.clone()),
                router: router.clone(),
                admission: Arc::clone(&self.admission),
            };
            tokio::spawn(listener.run(stop.subscribe()));
        }
    }

    /// The metrics listener has places of its own, and lives until the end, so that a drain can be
    /// watched.
    fn serve_metrics(&self, config: &Config, bound: Vec<Bound>) {
        let relay = self.relay.as_deref();
        let workers = relay.map_or(&[][..], Relay::counters);
        let mut registry = Registry::new(workers.to_vec(), self.signaling.counters());
        if let Some(relay) = &self.relay {
            registry = registry.with_ports(relay.ports());
        }
        if config.auth.remote.is_some() {
            registry = registry.with_key_set(Arc::clone(&self.key_set));
        }
        if self.tls.is_some() {
            self.tell_certificate_expiry();
            registry = registry.with_certificate_expiry(Arc::clone(&self.certificate_expiry));
        }
        let page = MetricsPage {
            registry,
            token: config.metrics.token.clone(),
        };
        let revoker = Revoker {
            gateway: self.signaling.gateway(),
            users: Arc::clone(&self.users),
            terms: Arc::clone(&self.terms),
            relay: self.relay.as_ref().map(Arc::downgrade).unwrap_or_default(),
            log: Arc::clone(&self.revocations),
        };
        let router = metrics_router(page, revoker, &self.readiness);
        let admission = Arc::new(Admission::new(METRICS_CONNECTIONS, 0));
        for Bound { socket, .. } in bound {
            let listener = Listener {
                socket,
                tls: None,
                relay: None,
                router: router.clone(),
                admission: Arc::clone(&admission),
            };
            tokio::spawn(listener.run(self.stop_metrics.subscribe()));
        }
    }
}

/// The certificate, unless there is no listener to show it.
fn prepare_tls(
    config: &Config,
    state: &StateDirectory,
    interfaces: &Interfaces,
) -> Result<Option<Tls>, StartError> {
    let mut turn = config.turn.listen.iter();
    let turn_shows_it =
        turn.any(|listener| matches!(listener.transport, Transport::Tls | Transport::Dtls));
    if config.http.tls_listen.is_empty() && !turn_shows_it {
        return Ok(None);
    }
    let names = leaf_names(config, interfaces);
    Ok(Some(tls::prepare(&config.http.certificate, state, &names)?))
}

/// The names of a generated certificate.
fn leaf_names(config: &Config, interfaces: &Interfaces) -> Vec<String> {
    let mut names = tls::leaf_names(interfaces, hostname().as_deref());
    let public = config.http.public_url.as_ref();
    let public = public.map(|url| url.host().to_owned());
    names.extend(public.filter(|public| !names.contains(public)));
    names
}

/// The users of the relay, without those that were revoked before, and what was.
fn open_users(
    config: &Config,
    state: &StateDirectory,
) -> Result<(RelayUsers, RevocationLog, Vec<Kept>), StartError> {
    let mut users = RelayUsers::of(config, state)?;
    let now = super::now().unix;
    let (revocations, former) = RevocationLog::open(state, &config.auth, now)?;
    for kept in &former {
        users.revoke(&kept.revoked, now);
    }
    Ok((users, revocations, former))
}

/// Keeps the keys of access tokens, where these are asked for.
fn keep_keys(
    config: &Config,
    signaling: &Signaling,
    (readiness, counters): (&Arc<Readiness>, &Arc<KeySetCounters>),
    missed: Arc<Notify>,
) -> Option<KeyKeeper> {
    signaling.is_by_token().then(|| {
        let (readiness, counters) = (Arc::clone(readiness), Arc::clone(counters));
        KeyKeeper::start(
            &config.auth,
            signaling.gateway(),
            readiness,
            counters,
            missed,
        )
    })
}

fn start_audit(config: &Config) -> Result<Option<AuditLog>, StartError> {
    let Some(target) = &config.turn.audit_log else {
        return Ok(None);
    };
    let log = AuditLog::start(target).map_err(|error| StartError::audit(target, &error))?;
    Ok(Some(log))
}

/// Users and terms are whole whoever panicked elsewhere.
fn lock<T>(whole: &Mutex<T>) -> MutexGuard<'_, T> {
    whole.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts the relay, unless it has no listener. `services` are the other listeners of the process.
fn start_relay(
    config: &Config,
    users: &RelayUsers,
    tls: Option<&Tls>,
    audit: Option<AuditSink>,
    services: Vec<SocketAddr>,
) -> Result<Option<Relay>, StartError> {
    let turn = &config.turn;
    let (listen, dtls) = dtls::listeners(config, tls);
    if listen.is_empty() {
        return Ok(None);
    }
    let settings = relay::Settings {
        listen,
        realm: turn.realm.clone(),
        credentials: users.credentials(),
        username_anonymity: turn.username_anonymity,
        relay_addresses: turn.relay_addresses.clone(),
        relay_ports: match turn.relay_ports {
            RelayPorts::Range { first, last } => Some(first..=last),
            RelayPorts::None => None,
        },
        audit,
        alternate_servers: turn.alternate_servers.clone(),
        nat_discovery_alternate: turn.nat_discovery_alternate,
        allow_peers: turn.allow_peers.clone(),
        within_rooms: turn.peer_policy == Peers::Room,
        max_allocations: turn.max_allocations,
        max_allocations_per_user: turn.max_allocations_per_user,
        unauthenticated_rate: turn.unauthenticated_rate,
        max_bandwidth_per_allocation: turn.max_bandwidth_per_allocation,
        max_bandwidth_per_user: turn.max_bandwidth_per_user,
        max_new_peers_per_user: turn.max_new_peers_per_user,
        strict_expiry: turn.strict_expiry,
        mobility: turn.mobility,
        tcp_relay: turn.tcp_relay.then_some(relay::TcpRelay {
            connections: turn.peer_connections,
            connections_per_user: turn.peer_connections_per_user,
            services,
        }),
        connections: turn.connections,
        connections_per_address: turn.connections_per_address,
        proxies: turn.proxy_protocol_from.clone(),
        tls: tls.map(|tls| tls::for_relay(&tls.config)),
        dtls,
        copy_traffic_class: turn.copy_traffic_class,
        workers: turn.workers,
        pin_workers: turn.pin_workers,
        batching: turn.batching,
    };
    Ok(Some(Relay::start(settings)?))
}

fn start_signaling(
    config: &Config,
    state: &StateDirectory,
    revocations: Vec<Kept>,
    (users, relay): (&RelayUsers, Option<&Relay>),
    addresses: &Addresses,
    unknown_keys: &Arc<Notify>,
) -> Result<Signaling, StartError> {
    let (redemptions, used) = match config.auth.by_token {
        true => {
            let (log, used) = RedemptionLog::start(state)?;
            (Some(log), used)
        }
        false => (None, Vec::new()),
    };
    let former = Former {
        revocations,
        redemptions: used,
    };
    let settings = signaling::Settings {
        limits: config.signal.clone(),
        auth: config.auth.clone(),
        connections_per_address: config.http.connections_per_address,
        allowed_origins: config.http.allowed_origins.clone(),
        public_url: config.http.public_url.clone(),
        relay: config.advertised_turn(&addresses.told_of_turn(config.turn.share_https)),
        certificate: config.http.certificate.clone(),
        secret: users.secret().clone(),
        rooms: relay.and_then(Relay::rooms),
        credential_lifetime: config.turn.credential_lifetime,
        unknown_keys: Arc::clone(unknown_keys),
        ticket_keys: state.secrets(TICKET_KEYS)?,
    };
    Signaling::start(&settings, &former, redemptions)
}
