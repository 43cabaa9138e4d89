//! The ICE servers that clients are told of, with credentials that end by themselves.

use std::sync::Arc;
use std::time::Duration;

use super::config::IceConfig;
use super::ids::SessionId;
use crate::auth::{Secret, TimeLimited, holder};
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

    /// By which name the relay knows whoever is `subject`, from a time on.
    pub(super) fn holder(&self, subject: &str, since: Duration) -> Option<String> {
        let secret = self.secret.as_ref()?;
        Some(holder(secret, subject, since))
    }

    /// Servers for `session`, which somebody may hold, with credentials that are good for the usual time, or for `at_most`.
    pub(super) fn servers(
        &self,
        session: SessionId,
        holder: Option<&str>,
        at_most: Option<Duration>,
        now: Now,
    ) -> IceServers {
        let lifetime = at_most.map_or(self.lifetime, |most| most.min(self.lifetime));
        let secret = self.secret.as_ref();
        let secret = secret.filter(|_| !self.turn_urls.is_empty());
        let session = session.to_string();
        let mint = |secret| match holder {
            Some(holder) => TimeLimited::mint_held(secret, &session, holder, lifetime, now),
            None => TimeLimited::mint(secret, &session, lifetime, now),
        };
        IceServers {
            stun_urls: Arc::clone(&self.stun_urls),
            turn_urls: Arc::clone(&self.turn_urls),
            credentials: secret.map(|secret| (mint(secret), lifetime)),
        }
    }
}
