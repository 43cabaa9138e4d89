//! Start, reload, drain, stop.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::timeout;
use tracing::{info, warn};

use super::addresses::Addresses;
use super::audit::AuditLog;
use super::bind::Bound;
use super::config::Config;
use super::error::StartError;
use super::http::{
    Admission, Assets, Dress, MetricsPage, Readiness, State, metrics_router, public_router,
};
use super::interfaces::Interfaces;
use super::key_keeper::KeyKeeper;
use super::own_certificate;
use super::parting::Parting;
use super::redemption_log::RedemptionLog;
use super::relay_settings::relay_settings;
use super::relay_users::{RelayUsers, relay_terms};
use super::revocation_log::{Kept, RevocationLog};
use super::revoker::Revoker;
use super::serving::Service;
use super::signaling::{self, Former, Signaling};
use super::signaling_settings::signaling_settings;
use super::sockets::Sockets;
use super::state::StateDirectory;
use super::tls::Tls;
use crate::metrics::{Counter, KeySetCounters, Registry};
use crate::relay::{self, Relay};

/// How long HTTP connections may then take to end.
const LAST_ANSWERS: Duration = Duration::from_millis(1000);
/// How long the relay's workers may take to end.
const RELAY_STOP: Duration = Duration::from_millis(1000);
/// Connections of the metrics listener at a time.
const METRICS_CONNECTIONS: usize = 64;

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
    parting: Parting,
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
        let sockets = Sockets::bind(config)?;
        let state = StateDirectory::open(&config.state_directory)?;
        let tls = own_certificate::prepare(config, &state, interfaces)?;
        let (users, revocations, former) = open_users(config, &state)?;
        let audit = start_audit(config)?;
        let sink = audit.as_ref().and_then(AuditLog::sink);
        let mut addresses = sockets.addresses();
        let services = addresses.by_tcp();
        let relay = relay_settings(config, &users, tls.as_ref(), sink, services);
        let relay = relay.map(Relay::start).transpose()?.map(Arc::new);
        let listeners = relay.iter().flat_map(|relay| relay.listeners());
        addresses.turn = listeners.copied().collect();
        let missed = Arc::<Notify>::default();
        let reached = (&users, relay.as_deref());
        let settings = signaling_settings(config, &state, reached, &addresses, &missed)?;
        let signaling = start_signaling(&settings, &state, former)?;
        let readiness = Arc::new(Readiness::new());
        let key_set = Arc::<KeySetCounters>::default();
        let keys = keep_keys(config, &signaling, (&readiness, &key_set), missed);
        let server = Self {
            signaling,
            state,
            users: Arc::new(Mutex::new(users)),
            terms: Arc::new(Mutex::new(relay_terms(config, None))),
            revocations: Arc::new(Mutex::new(revocations)),
            tls,
            certificate_expiry: Arc::default(),
            addresses,
            readiness,
            keys,
            key_set,
            parting: Parting::of(config),
            admission: Arc::new(Admission::new(
                config.http.connections,
                config.http.connections_per_address,
            )),
            relay,
            audit,
            stop_public: watch::Sender::new(false),
            stop_metrics: watch::Sender::new(false),
        };
        server.serve_public(config, sockets.http, sockets.https);
        server.serve_metrics(config, sockets.metrics);
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
    /// access tokens, the relay's secret and users, allowed peers and limits, and how the server
    /// parts with its clients. Calls go on; allocations of users that are gone end within a second.
    ///
    /// # Errors
    /// If a certificate or the state directory cannot be used. Nothing changes then.
    pub fn reload(&self, config: &Config, interfaces: &Interfaces) -> Result<(), StartError> {
        let load = |_| own_certificate::load(config, &self.state, interfaces);
        let certificate = self.tls.as_ref().map(load).transpose()?;
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
        self.parting.follow(config);
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
    /// the relay. Takes less than 5 seconds, whatever clients do. Where they go elsewhere, all goes
    /// on until they are there, for as long as the drain and 5 seconds more.
    pub async fn stop(self) {
        self.readiness.set(State::Draining);
        let (farewell, most) = self.parting.farewell();
        let close = || {
            self.stop_public.send_replace(true);
            if let Some(relay) = &self.relay {
                relay.drain();
            }
        };
        match &farewell.drain.elsewhere {
            Some(url) => info!("draining, clients go to {url}"),
            None => {
                info!("draining");
                close();
            }
        }
        if timeout(most, self.signaling.drain(farewell)).await.is_err() {
            warn!("signaling did not drain in time");
        }
        close();
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

    fn serve_public(&self, config: &Config, http: Vec<Bound>, https: Vec<Bound>) {
        let service = |hsts| {
            let assets = match &config.http.web_root {
                Some(root) => Assets::Folder(root.clone()),
                None => Assets::Embedded,
            };
            let dress = Dress::new(hsts, self.parting.other_servers());
            let router = public_router(&self.signaling, assets, &self.readiness, dress);
            Service::plain(router, &self.admission)
        };
        service(false).run(http, &self.stop_public);
        if let Some(tls) = &self.tls {
            let hsts = tls.local_ca.is_none();
            let relay = self.relay.as_deref().filter(|_| config.turn.share_https);
            let secured = service(hsts).secured(tls, relay);
            secured.run(https, &self.stop_public);
        }
    }

    /// The metrics listener has places of its own, and lives until the end, so that a drain can be
    /// watched.
    fn serve_metrics(&self, config: &Config, bound: Vec<Bound>) {
        let page = MetricsPage {
            registry: self.registry(config),
            token: config.metrics.token.clone(),
        };
        let router = metrics_router(page, self.revoker(), &self.readiness);
        let admission = Arc::new(Admission::new(METRICS_CONNECTIONS, 0));
        Service::plain(router, &admission).run(bound, &self.stop_metrics);
    }

    /// All that is counted.
    fn registry(&self, config: &Config) -> Registry {
        let relay = self.relay.as_deref();
        let workers = relay.map_or(&[][..], Relay::counters);
        let mut registry = Registry::new(workers.to_vec(), self.signaling.counters());
        if let Some(relay) = relay {
            registry = registry.with_ports(relay.ports());
        }
        if config.auth.remote.is_some() {
            registry = registry.with_key_set(Arc::clone(&self.key_set));
        }
        if self.tls.is_some() {
            self.tell_certificate_expiry();
            registry = registry.with_certificate_expiry(Arc::clone(&self.certificate_expiry));
        }
        registry
    }

    fn revoker(&self) -> Revoker {
        Revoker {
            gateway: self.signaling.gateway(),
            users: Arc::clone(&self.users),
            terms: Arc::clone(&self.terms),
            relay: self.relay.as_ref().map(Arc::downgrade).unwrap_or_default(),
            log: Arc::clone(&self.revocations),
        }
    }
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

/// Starts signaling with what a server before this one knew: `revocations`, and which tokens have
/// been used.
fn start_signaling(
    settings: &signaling::Settings,
    state: &StateDirectory,
    revocations: Vec<Kept>,
) -> Result<Signaling, StartError> {
    let (log, redemptions) = match settings.auth.by_token {
        true => {
            let (log, redemptions) = RedemptionLog::start(state)?;
            (Some(log), redemptions)
        }
        false => (None, Vec::new()),
    };
    let former = Former {
        revocations,
        redemptions,
    };
    Signaling::start(settings, &former, log)
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
