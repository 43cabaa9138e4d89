//! Access tokens that let in one session only.

use std::sync::Arc;

use super::authorize::TurnedAway;
use super::redeemed::{Answer, Redemption};
use super::{Close, ConnectionId, Event, Grant, Hub, Reject, SessionId};
use crate::time::Now;

impl Hub {
    /// Sees to it that a token that is for one session is shown by no other.
    ///
    /// # Errors
    /// Another session has shown it before, or too many such tokens are about.
    pub(super) fn redeem(
        &mut self,
        grant: Option<&Arc<Grant>>,
        session: SessionId,
        now: Now,
    ) -> Result<(), TurnedAway> {
        let Some(grant) = grant.filter(|grant| grant.is_once()) else {
            return Ok(());
        };
        let Some(id) = grant.token_id() else {
            return Ok(());
        };
        let shown = Redemption {
            token_id: id.into(),
            session,
            until: grant.expires() + self.config.access.leeway,
        };
        match self.redeemed.redeem(&shown, now.unix) {
            Answer::First => {
                self.events.push_back(Event::Redeemed(shown));
                Ok(())
            }
            Answer::Own => Ok(()),
            Answer::Used => Err(TurnedAway::new(Reject::TokenUsed, Close::Unauthorized)),
            Answer::Full => Err(TurnedAway::new(Reject::TooManySessions, Close::Full)),
        }
    }

    /// Remembers what a hub before this one has said by [`Event::Redeemed`].
    pub fn recall_redemption(&mut self, redemption: &Redemption, now: Now) {
        // Of more than may be remembered, the first count.
        let _ = self.redeemed.redeem(redemption, now.unix);
    }

    /// The same for what has been shown on a connection.
    pub(super) fn redeem_shown_on(
        &mut self,
        connection: ConnectionId,
        session: SessionId,
        now: Now,
    ) -> Result<(), TurnedAway> {
        let shown = self.shown_on(connection).cloned();
        self.redeem(shown.as_ref(), session, now)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::value::RawValue;

    use super::super::testing::{Client, World};
    use super::super::{Access, AccessConfig, Config, Input, Message, Request, Resumed};
    use super::*;
    use crate::auth::Secret;
    use crate::auth::jwt::Claims;

    const SOON: Duration = Duration::from_secs(100);

    fn invitation(id: &str) -> Arc<Grant> {
        let peerage = r#"{"rooms":[{"room":"blue"}],"once":true}"#;
        let grant = Grant::new(Claims {
            subject: "guest".into(),
            expires: SOON,
            issued: None,
            token_id: Some(id.into()),
            peerage: RawValue::from_string(peerage.to_owned()).expect("JSON"),
        });
        Arc::new(grant.expect("a grant"))
    }

    fn world() -> World {
        World::new(Config {
            access: AccessConfig {
                by_token: true,
                ..AccessConfig::default()
            },
            ..Config::default()
        })
    }

    /// Why somebody who shows this is sent away.
    fn refusal(world: &mut World, grant: &Arc<Grant>) -> (Reject, Close) {
        let connection = world.say_hello(Access::Granted(Arc::clone(grant)), None);
        let got = world.got(connection);
        let Some(Message::Error(rejection)) = got.last().map(|message| &**message) else {
            panic!("not sent away: {got:?}");
        };
        (rejection.reject, world.closed[&connection])
    }

    fn authorize(world: &mut World, client: &Client, grant: &Arc<Grant>) -> Option<Reject> {
        world.got(client.connection);
        let access = Access::Granted(Arc::clone(grant));
        world.ask(client, Request::Authorize(access));
        world.error(client)
    }

    #[test]
    fn an_invitation_lets_one_session_in_and_back_in() {
        let mut world = world();
        let once = invitation("a");
        let guest = world.bearer(&once);
        let used = (Reject::TokenUsed, Close::Unauthorized);
        assert_eq!(refusal(&mut world, &once), used);
        world.input(guest.connection, Input::Closed);
        let again = world.bearer_resuming(&once, &guest);
        assert_eq!(again.resumed, Resumed::Full);
        assert_eq!(refusal(&mut world, &once), used);
        world.bearer(&invitation("b"));
    }

    #[test]
    fn what_was_used_is_used_after_a_restart_and_its_session_comes_back_with_it() {
        let config = Config {
            ticket_keys: vec![Secret::new("north")],
            access: AccessConfig {
                by_token: true,
                ..AccessConfig::default()
            },
            ..Config::default()
        };
        let mut world = World::new(config.clone());
        let once = invitation("a");
        let guest = world.bearer(&once);
        world.input(guest.connection, Input::Closed);
        assert_eq!(world.redeemed.len(), 1, "coming back is nothing new");
        world.now = world.now.after(Duration::from_secs(3));
        world.restart(config);
        for redemption in std::mem::take(&mut world.redeemed) {
            world.hub.recall_redemption(&redemption, world.now);
        }
        assert_eq!(refusal(&mut world, &once).0, Reject::TokenUsed);
        let again = world.bearer_resuming(&once, &guest);
        assert_eq!(again.resumed, Resumed::Restored);
        assert_eq!(refusal(&mut world, &once).0, Reject::TokenUsed);
        assert!(world.redeemed.is_empty());
    }

    #[test]
    fn an_invitation_that_renews_a_session_is_used_with_that() {
        let mut world = world();
        let [one, other] = ["a", "b"].map(|id| world.bearer(&invitation(id)));
        let third = invitation("c");
        assert_eq!(authorize(&mut world, &one, &third), None);
        let refused = authorize(&mut world, &other, &third);
        assert_eq!(refused, Some(Reject::TokenUsed));
        assert_eq!(refusal(&mut world, &third).0, Reject::TokenUsed);
    }
}
