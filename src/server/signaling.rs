//! Signaling, as the composition sees it: the hub and the gateway behind one small face.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::sync::Notify;

use super::config::{AllowedOrigin, Auth, CertificateSource, PublicUrl, Signal};
use super::error::StartError;
use super::redemption_log::RedemptionLog;
use super::revocation_log::Kept;
use crate::auth::Secret;
use crate::gateway::{self, Farewell, Gateway, Operation, Sink};
use crate::metrics::SignalCounters;
use crate::net::Clock;
use crate::relay::{Listener, Rooms};
use crate::signal::{self, AccessConfig, Announcement, Hub, IceConfig, Redemption, Revocation};
use crate::turn::Transport;

/// What signaling needs to know.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// Limits.
    pub(super) limits: Signal,
    /// How many connections of one address requests may carry; 0 is no limit.
    pub(super) connections_per_address: usize,
    /// Who may come in.
    pub(super) auth: Auth,
    /// Origins that may connect beside the server's own.
    pub(super) allowed_origins: Vec<AllowedOrigin>,
    /// The address under which people reach the server, which is an origin of its own.
    pub(super) public_url: Option<PublicUrl>,
    /// What clients are told of the relay: where they reach it, and how.
    pub(super) relay: Vec<Listener>,
    /// Whose certificate the relay shows to clients that come by TLS.
    pub(super) certificate: CertificateSource,
    /// The secret that the relay knows too.
    pub(super) secret: Secret,
    /// For how long credentials are good.
    pub(super) credential_lifetime: Duration,
    /// Where the relay learns who is in which room, if it wants to know.
    pub(super) rooms: Option<Arc<Rooms>>,
    /// Who is told of tokens of unknown keys.
    pub(super) unknown_keys: Arc<Notify>,
    /// What tickets of sessions are made with, the first one, and read with.
    pub(super) ticket_keys: Vec<Secret>,
}

/// What a server before this one knew.
#[derive(Debug, Default)]
pub(super) struct Former {
    pub(super) revocations: Vec<Kept>,
    pub(super) redemptions: Vec<Redemption>,
}

/// Signaling that runs.
#[derive(Debug)]
pub(super) struct Signaling {
    gateway: Gateway,
    /// Where it is kept which tokens have been used; `None` where none is needed.
    redemptions: Option<RedemptionLog>,
    /// Only a new start changes this.
    by_token: bool,
    counters: Arc<SignalCounters>,
}

impl Signaling {
    /// Starts the hub and its transports.
    pub(super) fn start(
        settings: &Settings,
        former: &Former,
        redemptions: Option<RedemptionLog>,
    ) -> Result<Self, StartError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(StartError::randomness)?;
        let config = signal::Config {
            started: Clock::start().now().unix,
            ..hub_config(settings)
        };
        let mut hub = Hub::new(config, seed);
        recall(&mut hub, former);
        let counters = Arc::<SignalCounters>::default();
        let gateway_settings = gateway::Settings {
            redemptions: redemptions.as_ref().map(RedemptionLog::sink),
            ..gateway_settings(settings)
        };
        let gateway = Gateway::start(hub, gateway_settings, Arc::clone(&counters));
        Ok(Self {
            gateway,
            redemptions,
            by_token: settings.auth.by_token,
            counters,
        })
    }

    /// The routes of its transports, on a listener that serves `others`, too.
    pub(super) fn router_beside(&self, others: Vec<Operation>) -> Router {
        self.gateway.router_beside(others)
    }

    /// Another handle of its transports.
    pub(super) fn gateway(&self) -> Gateway {
        self.gateway.clone()
    }

    /// What it counts.
    pub(super) fn counters(&self) -> Arc<SignalCounters> {
        Arc::clone(&self.counters)
    }

    /// Hands out credentials of another secret of the relay.
    pub(super) fn renew_secret(&self, secret: Secret) {
        self.gateway.renew_secret(secret);
    }

    /// Whether access tokens are asked for.
    pub(super) fn is_by_token(&self) -> bool {
        self.by_token
    }

    /// Parts with all clients; returns once it is written which tokens they have used.
    pub(super) async fn drain(self, farewell: Farewell) {
        self.gateway.drain(farewell).await;
        // To drop it waits for the disk. An error means that it has panicked.
        let written = tokio::task::spawn_blocking(move || drop(self.redemptions));
        drop(written.await);
    }
}

/// Tells a hub what the one before it knew. The sessions that revocations meant do not come back
/// either: their relay credentials are refused.
fn recall(hub: &mut Hub, former: &Former) {
    let now = Clock::start().now();
    for kept in &former.revocations {
        hub.recall_revocation(kept.revocation.clone(), kept.revoked.at);
    }
    for kept in &former.revocations {
        for session in &kept.revoked.sessions {
            hub.recall_revocation(Revocation::Session(*session), kept.revoked.at);
        }
    }
    for redemption in &former.redemptions {
        hub.recall_redemption(redemption, now);
    }
}

fn hub_config(settings: &Settings) -> signal::Config {
    signal::Config {
        sessions: settings.limits.sessions,
        session_rate: settings.limits.session_rate,
        duplicates: settings.limits.duplicates,
        announces: settings.rooms.is_some(),
        room_members: settings.limits.room_members,
        resume_window: settings.limits.resume_window,
        empty_room_life: settings.limits.empty_room_life,
        presence_grace: settings.limits.presence_grace,
        ticket_keys: settings.ticket_keys.clone(),
        access: AccessConfig {
            by_token: settings.auth.by_token,
            grace: settings.auth.grace,
            leeway: settings.auth.tokens.rules().leeway,
            sessions_per_subject: match settings.auth.sessions_per_subject {
                0 => usize::MAX,
                most => most,
            },
            max_lifetime: settings.auth.tokens.rules().max_lifetime,
        },
        ice: IceConfig {
            stun_urls: stun_urls(&settings.relay),
            turn_urls: turn_urls(settings),
            secret: Some(settings.secret.clone()),
            lifetime: settings.credential_lifetime,
        },
        ..signal::Config::default()
    }
}

/// Asking for one's address is enough by datagrams; streams are for those whom these do not reach.
fn stun_urls(relay: &[Listener]) -> Vec<String> {
    let by_datagrams = relay
        .iter()
        .filter(|listener| listener.transport == Transport::Udp);
    by_datagrams
        .map(|listener| format!("stun:{}", listener.address))
        .collect()
}

fn turn_urls(settings: &Settings) -> Vec<String> {
    let url = |listener: &Listener| {
        let address = listener.address;
        Some(match listener.transport {
            Transport::Udp => format!("turn:{address}?transport=udp"),
            Transport::Tcp => format!("turn:{address}?transport=tcp"),
            Transport::Tls => {
                let host = name_for_tls(settings, address.ip())?;
                format!("turns:{host}:{}?transport=tcp", address.port())
            }
            // No browser speaks TURN over DTLS: their statistics know udp, tcp and tls only
            // (webrtc-stats, relayProtocol). Every URL that leads nowhere holds up the others.
            Transport::Dtls => return None,
        })
    };
    let mut urls = Vec::new();
    for url in settings.relay.iter().filter_map(url) {
        // Listeners of both families may have one name.
        if !urls.contains(&url) {
            urls.push(url);
        }
    }
    urls
}

/// What the relay's certificate is for: the local CA's for the address, an operator's for the name
/// in the public URL. Browsers refuse any other.
fn name_for_tls(settings: &Settings, address: IpAddr) -> Option<String> {
    let name = match &settings.certificate {
        CertificateSource::LocalCa => address.to_string(),
        CertificateSource::Files { .. } => settings.public_url.as_ref()?.host().to_owned(),
    };
    let is_ipv6 = name.contains(':');
    Some(if is_ipv6 { format!("[{name}]") } else { name })
}

fn gateway_settings(settings: &Settings) -> gateway::Settings {
    let listed = settings
        .allowed_origins
        .iter()
        .map(|origin| origin.as_str().to_owned());
    let own = settings
        .public_url
        .iter()
        .map(|url| url.as_str().to_owned());
    gateway::Settings {
        allowed_origins: listed.chain(own).collect(),
        max_connections: u32::try_from(settings.limits.connections).unwrap_or(u32::MAX),
        connections_per_address: settings.connections_per_address,
        connect_rate: settings.limits.connect_rate,
        max_delay: settings.limits.max_delay,
        unknown_keys: Some(Arc::clone(&settings.unknown_keys)),
        tokens: (settings.auth.by_token).then(|| Arc::clone(&settings.auth.tokens)),
        guesses_per_address: settings.auth.guesses_per_address,
        announcements: settings.rooms.clone().map(announcements),
        ..gateway::Settings::default()
    }
}

/// Has the relay learn what its allocations may reach.
fn announcements(rooms: Arc<Rooms>) -> Sink<Announcement> {
    Sink::new(move |announcement| match announcement {
        Announcement::Entered { session, room } => rooms.enter(&session.to_string(), &room),
        Announcement::Left { session, room } => rooms.leave(&session.to_string(), &room),
        Announcement::Addresses {
            session,
            room,
            addresses,
        } => rooms.announce(&session.to_string(), &room, &addresses),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::jwt::{AccessTokens, TokenRules};

    #[test]
    fn pages_are_told_of_every_transport_that_browsers_speak() {
        let address = "192.0.2.1:5349".parse().expect("an address");
        let relay = Transport::ALL.map(|transport| Listener { transport, address });
        let rules = TokenRules {
            issuer: None,
            audience: String::new(),
            leeway: Duration::ZERO,
            max_lifetime: Duration::ZERO,
        };
        let settings = Settings {
            limits: Signal {
                connections: 1,
                sessions: 1,
                connect_rate: 0,
                session_rate: 0,
                max_delay: Duration::ZERO,
                duplicates: signal::Duplicates::Allow,
                room_members: 2,
                resume_window: Duration::from_secs(1),
                empty_room_life: Duration::ZERO,
                presence_grace: Duration::ZERO,
                drain: Duration::ZERO,
                elsewhere: None,
            },
            connections_per_address: 0,
            auth: Auth {
                by_token: false,
                secrets: Vec::new(),
                tokens: Arc::new(AccessTokens::new(Vec::new(), rules)),
                remote: None,
                files: Vec::new(),
                grace: Duration::ZERO,
                sessions_per_subject: 0,
                guesses_per_address: 0,
            },
            allowed_origins: Vec::new(),
            public_url: None,
            relay: relay.to_vec(),
            certificate: CertificateSource::LocalCa,
            secret: Secret::new("north"),
            credential_lifetime: Duration::from_secs(60),
            rooms: None,
            unknown_keys: Arc::default(),
            ticket_keys: Vec::new(),
        };
        let told = [
            "turn:192.0.2.1:5349?transport=udp",
            "turn:192.0.2.1:5349?transport=tcp",
            "turns:192.0.2.1:5349?transport=tcp",
        ];
        assert_eq!(turn_urls(&settings), told);
        assert_eq!(stun_urls(&settings.relay), ["stun:192.0.2.1:5349"]);
    }
}
