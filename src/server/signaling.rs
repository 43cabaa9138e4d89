//! Signaling, as the composition sees it: the hub and the gateway behind one small face.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;

use super::config::{AllowedOrigin, PublicUrl, Signal};
use super::error::StartError;
use crate::auth::Secret;
use crate::metrics::SignalCounters;

/// What signaling needs to know.
#[derive(Clone, Debug)]
#[expect(
    dead_code,
    reason = "the gateway, which reads these, is not composed yet"
)]
pub(super) struct Settings {
    /// Limits.
    pub(super) limits: Signal,
    /// Origins that may connect beside the server's own.
    pub(super) allowed_origins: Vec<AllowedOrigin>,
    /// The address under which people reach the server, which is an origin of its own.
    pub(super) public_url: Option<PublicUrl>,
    /// What clients are told of the relay: addresses for STUN and TURN over UDP.
    pub(super) relay: Vec<SocketAddr>,
    /// The secret that the relay knows too.
    pub(super) secret: Secret,
    /// For how long credentials are good.
    pub(super) credential_lifetime: Duration,
}

/// Signaling that runs.
#[derive(Debug)]
pub(super) struct Signaling {
    counters: Arc<SignalCounters>,
}

impl Signaling {
    /// Starts the hub and its transports.
    pub(super) fn start(_settings: Settings) -> Result<Self, StartError> {
        Ok(Self {
            counters: Arc::default(),
        })
    }

    /// The routes of its transports.
    pub(super) fn router(&self) -> Router {
        Router::new()
    }

    /// What it counts.
    pub(super) fn counters(&self) -> Arc<SignalCounters> {
        Arc::clone(&self.counters)
    }

    /// Tells clients to go and closes their connections; returns within `within`.
    pub(super) async fn drain(&self, _within: Duration) {}
}
