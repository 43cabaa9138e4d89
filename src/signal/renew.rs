//! ICE credentials are replaced before they expire.

use std::sync::Arc;
use std::time::Duration;

use super::ice::IceServers;
use super::timer::Timer;
use super::{Hub, Message, SessionId};
use crate::auth::Secret;
use crate::time::Now;

/// How long it takes until everybody has credentials of another secret, in milliseconds.
const RENEWED_WITHIN: u64 = 3_000;

/// Credentials of a bearer whose token is about to expire are good for so long.
const LEAST_LIFETIME: Duration = Duration::from_secs(10);

/// When to replace credentials of this lifetime: between 60 and 80 per cent of it, elsewhere for
/// each session, so that a thousand that came at once are not renewed at once.
fn renewal(lifetime: Duration, session: SessionId) -> Duration {
    let [first, second, ..] = *session.as_bytes();
    let spread = u32::from(u16::from_be_bytes([first, second]));
    lifetime * 3 / 5 + lifetime / 5 * spread / u32::from(u16::MAX)
}

impl Hub {
    /// Fresh servers for `session`; they will be replaced in time.
    pub(super) fn issue_ice_servers(&mut self, session: SessionId, now: Now) -> IceServers {
        let holder = self.holder(session);
        let at_most = self.trusted_for(session, now);
        let servers = self
            .issuer
            .servers(session, holder.as_deref(), at_most, now);
        if let Some((_, lifetime)) = &servers.credentials {
            let at = now.instant + renewal(*lifetime, session);
            self.deadlines.set(Timer::Ice(session), at);
        }
        servers
    }

    /// By which name the relay knows the bearer of a session.
    fn holder(&self, session: SessionId) -> Option<String> {
        let grant = self.sessions.get(&session)?.grant.as_ref()?;
        self.holder_of(grant.subject())
    }

    /// By which name the relay knows a subject: another one after each revocation.
    pub(super) fn holder_of(&self, subject: &Arc<str>) -> Option<String> {
        let since = self.revocations.of_subject(subject).unwrap_or_default();
        self.issuer.holder(subject, since)
    }

    /// For how long a session may have credentials: those of a bearer end with its token.
    fn trusted_for(&self, session: SessionId, now: Now) -> Option<Duration> {
        let grant = self.sessions.get(&session)?.grant.as_ref()?;
        let end = grant.expires() + self.config.access.grace;
        Some(end.saturating_sub(now.unix).max(LEAST_LIFETIME))
    }

    /// The relay has another secret: every session gets new credentials within the next seconds,
    /// each at a time of its own.
    pub fn handle_secret(&mut self, secret: Secret, now: Now) {
        self.issuer.set_secret(secret);
        let holders: Vec<SessionId> = self
            .connections
            .values()
            .filter_map(|connection| connection.session)
            .collect();
        for session in holders {
            let wait = Duration::from_millis(self.random.up_to(RENEWED_WITHIN));
            self.deadlines.set(Timer::Ice(session), now.instant + wait);
        }
    }

    /// Sends fresh credentials to a session that is connected.
    pub(super) fn renew_ice_servers(&mut self, session: SessionId, now: Now) {
        if let Some(connection) = self.connection_of(session) {
            let servers = self.issue_ice_servers(session, now);
            self.tell(connection, Message::IceServers(servers));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::IceConfig;
    use super::*;

    #[test]
    fn credentials_are_replaced_between_60_and_80_per_cent_of_their_life() {
        let lifetime = Duration::from_secs(100);
        let least = renewal(lifetime, SessionId::from_random([0; 16]));
        let most = renewal(lifetime, SessionId::from_random([0xff; 16]));
        assert_eq!(least, Duration::from_secs(60));
        assert_eq!(most, Duration::from_secs(80));
    }

    #[test]
    fn a_connected_session_is_given_new_ones_in_time_and_again() {
        use super::super::testing::World;
        use super::super::{Config, Input};

        let lifetime = Duration::from_secs(100);
        let ice = IceConfig {
            turn_urls: vec!["turn:a".to_owned()],
            secret: Some(Secret::new("north")),
            lifetime,
            ..IceConfig::default()
        };
        let config = Config {
            ice,
            ..Config::default()
        };
        let mut world = World::new(config);
        let ada = world.client();
        world.got(ada.connection);
        for _ in 0..30 {
            world.wait(Duration::from_secs(10));
            world.input(ada.connection, Input::Alive);
        }
        let renewed = world.got(ada.connection).len();
        assert!((3..=5).contains(&renewed), "{renewed} in three lives");
        world.input(ada.connection, Input::Closed);
        world.wait(Duration::from_secs(1_000));
        assert_eq!(world.hub.poll_timeout(), None, "nothing is left to do");
    }

    #[test]
    fn another_secret_brings_other_credentials_within_seconds() {
        use super::super::testing::World;
        use super::super::{Config, Input};

        let ice = IceConfig {
            turn_urls: vec!["turn:a".to_owned()],
            secret: Some(Secret::new("north")),
            lifetime: Duration::from_secs(3_600),
            ..IceConfig::default()
        };
        let mut world = World::new(Config {
            ice,
            ..Config::default()
        });
        let ada = world.client();
        world.got(ada.connection);
        world.hub.handle_secret(Secret::new("south"), world.now);
        world.wait(Duration::from_millis(RENEWED_WITHIN + 1));
        world.input(ada.connection, Input::Alive);
        let got = world.got(ada.connection);
        let servers = got.iter().find_map(|message| match &**message {
            Message::IceServers(servers) => Some(servers),
            _ => None,
        });
        let servers = servers.expect("new ones");
        let (minted, _) = servers.credentials.as_ref().expect("there is a secret");
        let name = minted.username.split_once(':').expect("a time").1;
        let expected = crate::auth::TimeLimited::mint(
            &Secret::new("south"),
            name,
            Duration::from_secs(
                minted
                    .username
                    .split(':')
                    .next()
                    .expect("a time")
                    .parse()
                    .expect("a number"),
            ),
            Now::default(),
        );
        assert_eq!(minted.password, expected.password);
    }
}
