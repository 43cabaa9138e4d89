//! Keeps the keys of access tokens that are fetched: asks for them, and hands them to signaling
//! together with those of the configuration.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info, warn};

use super::config::{Auth, RemoteKeys};
use super::http::Readiness;
use super::key_fetch::{Fetched, fetch};
use super::key_schedule::Schedule;
use super::now;
use crate::auth::jwt::{AccessTokens, MOST_KEYS, VerifyingKey};
use crate::gateway::Gateway;
use crate::metrics::KeySetCounters;

/// Keeps the keys, until it is dropped.
#[derive(Debug)]
pub(super) struct KeyKeeper {
    keys: Arc<Keys>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Keys {
    known: Mutex<Known>,
    gateway: Gateway,
    readiness: Arc<Readiness>,
    counters: Arc<KeySetCounters>,
    /// The configuration is another one.
    changed: Notify,
    /// Somebody has brought a token of an unknown key.
    missed: Arc<Notify>,
}

#[derive(Debug)]
struct Known {
    /// With the keys of the configuration.
    tokens: Arc<AccessTokens>,
    remote: Option<RemoteKeys>,
    /// The last set that came; `None` before the first.
    set: Option<Vec<VerifyingKey>>,
}

impl KeyKeeper {
    /// Begins to keep them. `missed` is told of unknown keys.
    pub(super) fn start(
        auth: &Auth,
        gateway: Gateway,
        readiness: Arc<Readiness>,
        counters: Arc<KeySetCounters>,
        missed: Arc<Notify>,
    ) -> Self {
        let keys = Arc::new(Keys {
            known: Mutex::new(Known {
                tokens: Arc::clone(&auth.tokens),
                remote: auth.remote.clone(),
                set: None,
            }),
            gateway,
            readiness,
            counters,
            changed: Notify::new(),
            missed,
        });
        keys.publish(&keys.known());
        let task = tokio::spawn(Arc::clone(&keys).keep());
        Self { keys, task }
    }

    /// Goes on with another configuration. A set from where it came before stays.
    pub(super) fn follow(&self, auth: &Auth) {
        let keys = &self.keys;
        let mut known = keys.known();
        known.tokens = Arc::clone(&auth.tokens);
        if known.remote != auth.remote {
            known.remote.clone_from(&auth.remote);
            known.set = None;
            keys.changed.notify_one();
        }
        keys.publish(&known);
    }
}

impl Drop for KeyKeeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Keys {
    async fn keep(self: Arc<Self>) {
        loop {
            let remote = self.known().remote.clone();
            match remote {
                None => self.changed.notified().await,
                Some(remote) => tokio::select! {
                    () = self.changed.notified() => {}
                    () = self.keep_asking(&remote) => {}
                },
            }
        }
    }

    async fn keep_asking(&self, remote: &RemoteKeys) {
        let mut schedule = Schedule::new(Instant::now());
        let mut is_failing = false;
        loop {
            tokio::select! {
                () = sleep_until(schedule.due()) => {}
                () = self.missed.notified() => {
                    schedule.is_missed(Instant::now());
                    continue;
                }
            }
            let asked = Instant::now();
            match fetch(remote).await.and_then(|came| self.take(remote, came)) {
                Ok(max_age) => {
                    schedule.has_come(asked, max_age);
                    is_failing = false;
                }
                Err(problem) => {
                    self.counters.failed();
                    schedule.has_failed(Instant::now());
                    // Once, and not with each attempt.
                    let url = remote.url.as_str();
                    if is_failing {
                        debug!("again no keys from {url}: {problem}");
                    } else {
                        warn!("no keys from {url}: {problem}; what is there goes on");
                    }
                    is_failing = true;
                }
            }
        }
    }

    /// Takes what was fetched, if there is room for all of it.
    fn take(&self, remote: &RemoteKeys, came: Fetched) -> Result<Option<Duration>, String> {
        let mut known = self.known();
        if known.remote.as_ref() != Some(remote) {
            return Ok(None);
        }
        let together = known.tokens.keys() + came.keys.len();
        if together > MOST_KEYS {
            return Err(format!(
                "{together} keys, and {MOST_KEYS} there may be together"
            ));
        }
        let before = AccessTokens::with_set(&known.tokens, known.set.as_deref());
        known.set = Some(came.keys);
        let after = AccessTokens::with_set(&known.tokens, known.set.as_deref());
        if after.has_other_keys(&before) {
            info!(
                "other keys of access tokens have come, {} together",
                after.keys()
            );
        }
        self.publish(&known);
        self.counters.fetched(now().unix);
        Ok(came.max_age)
    }

    fn publish(&self, known: &Known) {
        let tokens = match &known.remote {
            Some(_) => Arc::new(known.tokens.with_set(known.set.as_deref())),
            None => Arc::clone(&known.tokens),
        };
        self.gateway.replace_tokens(tokens);
        let has_keys = known.remote.is_none() || known.set.is_some();
        self.readiness.set_keys(has_keys);
    }

    /// It is whole whoever panicked elsewhere.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
