//! The ICE servers that clients are told of, with credentials that end by themselves.

use std::sync::Arc;
use std::time::Duration;

use super::config::IceConfig;
use super::ids::SessionId;
use crate::auth::{Secret, TimeLimited};
use crate::time::Now;

/// What `RTCPeerConnection` takes. The URLs are shared by all sessions.
#[derive(Clone, Debug)]
pub struct IceServers {
    /// `stun:` URLs.
    pub stun_urls: Arc<[String]>,
    /// `turn:` URLs; used only with credentials.
    pub turn_urls: Arc<[String]>,
    /// The credentials for the TURN servers, and how long they live.
    pub credentials: Option<(TimeLimited, Duration)>,
}

/// Makes [`IceServers`].
pub(super) struct Issuer {
    stun_urls: Arc<[String]>,
    turn_urls: Arc<[String]>,
    secret: Option<Secret>,
    lifetime: Duration,
}

impl Issuer {
    pub(super) fn new(config: IceConfig) -> Self {
        Self {
            stun_urls: config.stun_urls.into(),
            turn_urls: config.turn_urls.into(),
            secret: config.secret,
            lifetime: config.lifetime,
        }
    }

    /// Makes credentials with another secret from now on.
    pub(super) fn set_secret(&mut self, secret: Secret) {
        self.secret = Some(secret);
    }

    pub(super) fn servers(&self, session: SessionId, now: Now) -> IceServers {
        let lifetime = self.lifetime;
        let secret = self.secret.as_ref();
        let secret = secret.filter(|_| !self.turn_urls.is_empty());
        let mint = |secret| TimeLimited::mint(secret, &session.to_string(), lifetime, now);
        IceServers {
            stun_urls: Arc::clone(&self.stun_urls),
            turn_urls: Arc::clone(&self.turn_urls),
            credentials: secret.map(|secret| (mint(secret), lifetime)),
        }
    }
}
