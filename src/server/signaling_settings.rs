//! Signaling as the configuration wants it.

use std::sync::Arc;

use tokio::sync::Notify;

use super::addresses::Addresses;
use super::config::Config;
use super::relay_users::RelayUsers;
use super::signaling::Settings;
use super::state::{StateDirectory, StateError};
use crate::relay::Relay;

/// The file of the keys of sessions' tickets in the state directory.
const TICKET_KEYS: &str = "ticket-keys";

/// What to start signaling with. `unknown_keys` is told of tokens of unknown keys.
pub(super) fn signaling_settings(
    config: &Config,
    state: &StateDirectory,
    (users, relay): (&RelayUsers, Option<&Relay>),
    addresses: &Addresses,
    unknown_keys: &Arc<Notify>,
) -> Result<Settings, StateError> {
    Ok(Settings {
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
    })
}
