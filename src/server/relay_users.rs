//! Who may use the relay, and within which bounds, as the configuration says it.

use std::sync::Arc;

use super::config::Config;
use super::state::{StateDirectory, StateError};
use crate::auth::{RelayCredentials, Secret, TokenKeys};
use crate::relay;

/// The file of the relay's secret in the state directory.
const TURN_SECRET: &str = "turn-secret";

/// Who may use the relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RelayUsers {
    realm: String,
    /// What credentials are made with.
    secret: Secret,
    /// What they were made with before, and are still good.
    older: Vec<Secret>,
    listed: Vec<(String, Secret)>,
    /// Only a new start changes these.
    tokens: Option<Arc<TokenKeys>>,
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
            tokens: self.tokens.clone(),
            ..Self::of(config, state)?
        })
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
