//! Who may use the relay, and within which bounds, as the configuration says it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::config::Config;
use super::state::{StateDirectory, StateError};
use crate::auth::{RelayCredentials, Secret, TokenKeys};
use crate::relay;
use crate::signal::Revoked;

/// The file of the relay's secret in the state directory.
const TURN_SECRET: &str = "turn-secret";

/// No credentials that signaling hands out are good for longer (`turn.credential_lifetime`, and a
/// minute for clocks that differ).
pub(super) const LONGEST_CREDENTIALS: Duration = Duration::from_secs(86_400 + 60);

/// Who may use the relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RelayUsers {
    realm: String,
    /// What credentials are made with.
    secret: Secret,
    /// What they were made with before, and are still good.
    older: Vec<Secret>,
    listed: Vec<(String, Secret)>,
    /// Sessions and holders whose credentials are not taken any more, and until when these could
    /// be used.
    revoked: BTreeMap<Box<str>, Duration>,
    /// Only a new start changes these.
    tokens: Option<Arc<TokenKeys>>,
}

/// What a server of this configuration makes time-limited credentials with.
///
/// # Errors
/// If it is kept in the state directory, and that cannot be used.
pub fn relay_secret(config: &Config) -> Result<Secret, StateError> {
    match config.turn.secrets.first() {
        Some(secret) => Ok(secret.clone()),
        None => StateDirectory::open(&config.state_directory)?.secret(TURN_SECRET),
    }
}

impl RelayUsers {
    /// Those of `config`; without a secret there, of one of our own.
    pub(super) fn of(config: &Config, state: &StateDirectory) -> Result<Self, StateError> {
        let (secret, older) = match config.turn.secrets.split_first() {
            Some((secret, older)) => (secret.clone(), older),
            None => (state.secret(TURN_SECRET)?, &[][..]),
        };
        Ok(Self {
            realm: config.turn.realm.clone(),
            secret,
            older: older.to_vec(),
            listed: config.turn.users.clone(),
            revoked: BTreeMap::new(),
            tokens: config.turn.token_keys.clone(),
        })
    }

    /// Those of another configuration in the same realm, which only a new start changes.
    pub(super) fn renewed(
        &self,
        config: &Config,
        state: &StateDirectory,
    ) -> Result<Self, StateError> {
        Ok(Self {
            realm: self.realm.clone(),
            revoked: self.revoked.clone(),
            tokens: self.tokens.clone(),
            ..Self::of(config, state)?
        })
    }

    /// Does not take the credentials of these any more.
    pub(super) fn revoke(&mut self, revoked: &Revoked, now: Duration) {
        self.revoked.retain(|_, until| *until > now);
        let until = revoked.at + LONGEST_CREDENTIALS;
        if until <= now {
            return;
        }
        let sessions = revoked.sessions.iter().map(ToString::to_string);
        let names = sessions.chain(revoked.holder.clone());
        self.revoked
            .extend(names.map(|name| (name.into_boxed_str(), until)));
    }

    /// Also does not take what `other` has heard to be revoked.
    pub(super) fn follow_revocations_of(&mut self, other: &Self) {
        self.revoked.clone_from(&other.revoked);
    }

    /// What credentials are made with.
    pub(super) fn secret(&self) -> &Secret {
        &self.secret
    }

    /// What the relay checks them with.
    pub(super) fn credentials(&self) -> RelayCredentials {
        let secrets = std::iter::once(&self.secret).chain(&self.older).cloned();
        let credentials = secrets.fold(
            RelayCredentials::new(&self.realm),
            RelayCredentials::with_secret,
        );
        let revoked = self.revoked.keys().cloned().collect();
        let credentials = credentials.with_revoked(Arc::new(revoked));
        let credentials = self
            .listed
            .iter()
            .fold(credentials, |credentials, (name, password)| {
                credentials.with_user(name, password)
            });
        match &self.tokens {
            Some(keys) => credentials.with_token_keys(Arc::clone(keys)),
            None => credentials,
        }
    }
}

/// What may change while the relay runs.
pub(super) fn relay_terms(config: &Config, credentials: Option<RelayCredentials>) -> relay::Terms {
    relay::Terms {
        credentials,
        allow_peers: config.turn.allow_peers.clone(),
        max_allocations: config.turn.max_allocations,
        max_allocations_per_user: config.turn.max_allocations_per_user,
        unauthenticated_rate: config.turn.unauthenticated_rate,
    }
}
