//! Who is let in by a token, for how long, and into which rooms.

use std::sync::Arc;
use std::time::Duration;

use super::access::Access;
use super::grant::Grant;
use super::timer::Timer;
use super::{
    Close, ConnectionId, Hub, KnockState, Message, Reason, Reject, Rejection, SessionId, Standing,
};
use crate::auth::jwt::TokenFault;
use crate::time::{Instant, Now};

/// How long before its token expires a client is warned, at most; less for tokens that live less
/// than twice as long.
const WARNING: Duration = Duration::from_secs(60);
/// Guesses of rooms that a session may make at once, and how long it takes to be allowed another.
const GUESSES: u32 = 20;
const GUESS_EVERY: Duration = Duration::from_secs(3);
/// How long a client that shows tokens too fast is told to wait.
const TOKEN_EVERY: Duration = Duration::from_secs(1);

/// Why nobody is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TurnedAway {
    pub(super) reject: Reject,
    pub(super) close: Close,
}

impl TurnedAway {
    pub(super) const fn new(reject: Reject, close: Close) -> Self {
        Self { reject, close }
    }
}

impl From<TokenFault> for TurnedAway {
    fn from(fault: TokenFault) -> Self {
        match fault {
            TokenFault::Expired => Self::new(Reject::TokenExpired, Close::Unauthorized),
            TokenFault::Revoked => Self::new(Reject::Revoked, Close::Revoked),
            _ => Self::new(Reject::Unauthorized, Close::Unauthorized),
        }
    }
}

impl Hub {
    /// What a client that has shown this may do; `None` in open mode, where everybody may
    /// everything.
    pub(super) fn admitted(&self, access: Access) -> Result<Option<Arc<Grant>>, TurnedAway> {
        if !self.config.access.by_token {
            return Ok(None);
        }
        match access {
            Access::Granted(grant) => {
                match self.revocations.fault(&grant, self.config.access.leeway) {
                    Some(fault) => Err(fault.into()),
                    None => Ok(Some(grant)),
                }
            }
            Access::Refused(fault) => Err(fault.into()),
            Access::Nothing | Access::Shown(_) => {
                Err(TurnedAway::new(Reject::Unauthorized, Close::Unauthorized))
            }
        }
    }

    pub(super) fn turn_away(&mut self, id: ConnectionId, why: TurnedAway, now: Now) {
        self.tell(id, Message::Error(Rejection::new(None, why.reject)));
        self.close(id, why.close, now);
    }

    /// What a connection has been let in by that no session has taken over yet.
    pub(super) fn shown_on(&self, connection: ConnectionId) -> Option<&Arc<Grant>> {
        self.connections.get(&connection)?.grant.as_ref()
    }

    /// Whether the bearer of a grant has as many sessions as it may have.
    pub(super) fn has_enough(&self, grant: Option<&Arc<Grant>>) -> bool {
        grant.is_some_and(|grant| {
            let configured = self.config.access.sessions_per_subject;
            let most = grant.sessions().unwrap_or(configured);
            self.subjects.sessions(grant.subject()).len() >= most
        })
    }

    /// The session is held to `grant` from now on, in place of what it had.
    pub(super) fn hold_to(&mut self, id: SessionId, grant: Option<Arc<Grant>>, now: Now) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let before = std::mem::replace(&mut session.grant, grant.clone());
        let Some(grant) = grant else {
            return;
        };
        self.watch_grant(id, &grant, now);
        match before {
            Some(before) => self.keep_to_rooms(id, &before, &grant, now),
            None => self.subjects.add(grant.subject(), id),
        }
    }

    /// Leaves the rooms that are not granted any more, and takes on the standing that is granted
    /// anew. What a host has given or taken stays where the grant says what it said.
    fn keep_to_rooms(&mut self, id: SessionId, before: &Grant, grant: &Grant, now: Now) {
        let session = self.sessions.get(&id);
        let (rooms, knocks) = session
            .map(|session| (session.rooms.clone(), session.knocks.clone()))
            .unwrap_or_default();
        for room in knocks {
            if grant.standing_in(&room).is_none() {
                self.refuse_knock(&room, id, KnockState::Denied, now);
            }
        }
        for room in rooms {
            match grant.standing_in(&room) {
                None => self.put_out(id, &room, Reason::Unauthorized, now),
                Some(standing) if before.standing_in(&room) != Some(standing) => {
                    self.give_standing(&room, id, standing, now);
                }
                Some(_) => {}
            }
        }
    }

    /// A client shows another token while it is connected.
    pub(super) fn authorize(
        &mut self,
        id: SessionId,
        re: u64,
        access: Access,
        now: Now,
    ) -> Result<(), Reject> {
        if self.config.access.by_token && matches!(access, Access::Shown(_)) {
            return Err(Reject::RateLimited);
        }
        let grant = self.admitted(access).map_err(|why| why.reject)?;
        let session = self.sessions.get(&id);
        if !is_same_subject(session.and_then(|it| it.grant.as_ref()), grant.as_ref()) {
            return Err(Reject::Unauthorized);
        }
        let redeemed = self.redeem(grant.as_ref(), id, now);
        redeemed.map_err(|why| why.reject)?;
        let expires_in = grant
            .as_ref()
            .map(|grant| grant.expires().saturating_sub(now.unix));
        if grant.is_some() {
            self.hold_to(id, grant, now);
            // They live no longer than the token, so that they are renewed with it.
            self.deadlines.set(Timer::Ice(id), now.instant);
        }
        self.post(id, Message::Authorized { re, expires_in }, now);
        Ok(())
    }

    /// Sets the timer that warns, or else the one that ends.
    fn watch_grant(&mut self, id: SessionId, grant: &Grant, now: Now) {
        let left = grant.expires().saturating_sub(now.unix);
        let warn_in = left.saturating_sub(WARNING.min(left / 2));
        self.deadlines.set(Timer::Grant(id), now.instant + warn_in);
    }

    /// The token of a session is about to expire, or has.
    pub(super) fn check_grant(&mut self, id: SessionId, now: Now) {
        let Some(session) = self.sessions.get(&id) else {
            return;
        };
        let (Some(grant), Some(connection)) = (&session.grant, session.connection) else {
            // Who comes back shows a token again.
            return;
        };
        let end = grant.expires() + self.config.access.grace;
        let Some(left) = end.checked_sub(now.unix).filter(|left| !left.is_zero()) else {
            return self.close(connection, Close::Unauthorized, now);
        };
        let expires_in = grant.expires().saturating_sub(now.unix);
        self.deadlines.set(Timer::Grant(id), now.instant + left);
        if !expires_in.is_zero() {
            self.tell(connection, Message::TokenExpiring { expires_in });
        }
    }

    /// Whether the session may enter this room, whatever else may be in the way. Whoever tries
    /// many rooms is told nothing for a while.
    pub(super) fn check_granted(
        &mut self,
        id: SessionId,
        room: &str,
        now: Now,
    ) -> Result<(), Reject> {
        let Some(session) = self.sessions.get_mut(&id) else {
            return Ok(());
        };
        let Some(grant) = &session.grant else {
            return Ok(());
        };
        let full_at = session.guesses.max(now.instant);
        if full_at > now.instant + GUESS_EVERY * (GUESSES - 1) {
            return Err(Reject::RateLimited);
        }
        if grant.standing_in(room).is_none() {
            session.guesses = full_at + GUESS_EVERY;
            return Err(Reject::NotAllowed);
        }
        Ok(())
    }

    /// What a session has been let in by.
    pub(super) fn grant_of(&self, id: SessionId) -> Option<&Arc<Grant>> {
        self.sessions.get(&id)?.grant.as_ref()
    }

    /// What the session's grant makes it in a room.
    pub(super) fn granted_in(&self, id: SessionId, room: &str) -> Option<Standing> {
        self.grant_of(id)?.standing_in(room)
    }

    /// After which time a client should go on that was told that it is too fast.
    pub(super) fn patience(&self, id: SessionId, now: Instant) -> Duration {
        let session = self.sessions.get(&id);
        let full_at = session.map_or(now, |session| session.guesses);
        let guesses = full_at.saturating_since(now + GUESS_EVERY * (GUESSES - 1));
        guesses.max(TOKEN_EVERY)
    }
}

/// Whether two grants are of the same bearer. Nobody is the same as nobody.
fn is_same_subject(one: Option<&Arc<Grant>>, other: Option<&Arc<Grant>>) -> bool {
    one.map(|grant| grant.subject()) == other.map(|grant| grant.subject())
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::super::testing::{Client, World, join};
    use super::super::{
        AccessConfig, Command, Config, IceConfig, Input, Message, Request, Resumed, Revocation,
        Role, State,
    };
    use super::*;
    use crate::auth::Secret;
    use crate::auth::jwt::Claims;

    /// The grant of a token that was made at `issued` and is good for a hundred seconds.
    fn grant_at(subject: &str, rooms: &str, issued: u64) -> Arc<Grant> {
        let peerage = format!(r#"{{"rooms":{rooms}}}"#);
        let grant = Grant::new(Claims {
            subject: subject.into(),
            expires: Duration::from_secs(issued + 100),
            issued: Some(Duration::from_secs(issued)),
            token_id: Some(format!("{subject}-{issued}").into()),
            peerage: RawValue::from_string(peerage).expect("JSON"),
        });
        Arc::new(grant.expect("a grant"))
    }

    fn grant(subject: &str, rooms: &str) -> Arc<Grant> {
        grant_at(subject, rooms, 0)
    }

    const BLUE: &str = r#"[{"room":"blue"}]"#;

    fn world() -> World {
        World::new(Config {
            access: AccessConfig {
                by_token: true,
                sessions_per_subject: 3,
                ..AccessConfig::default()
            },
            ..Config::default()
        })
    }

    fn authorize(world: &mut World, client: &Client, access: Access) -> Option<Reject> {
        world.got(client.connection);
        world.ask(client, Request::Authorize(access));
        let got = world.got(client.connection);
        match &**got.last().expect("an answer") {
            Message::Authorized { .. } => None,
            Message::Error(rejection) => Some(rejection.reject),
            other => panic!("no answer: {other:?}"),
        }
    }

    fn refusal(world: &mut World, connection: ConnectionId) -> (Reject, Close) {
        let got = world.got(connection);
        let [message] = &got[..] else {
            panic!("more than the error: {got:?}");
        };
        let Message::Error(rejection) = &**message else {
            panic!("no error: {message:?}");
        };
        (rejection.reject, world.closed[&connection])
    }

    #[test]
    fn nobody_comes_in_without_a_good_token() {
        let mut world = world();
        for (access, reject) in [
            (Access::Nothing, Reject::Unauthorized),
            (Access::shown("not looked at"), Reject::Unauthorized),
            (Access::Refused(TokenFault::Signature), Reject::Unauthorized),
            (Access::Refused(TokenFault::Expired), Reject::TokenExpired),
        ] {
            let connection = world.say_hello(access, None);
            let told = refusal(&mut world, connection);
            assert_eq!(told, (reject, Close::Unauthorized));
        }
        assert_eq!(world.hub.sessions(), 0);
        world.bearer(&grant("ada", BLUE));
        assert_eq!(world.hub.sessions(), 1);
    }

    #[test]
    fn in_open_mode_tokens_mean_nothing() {
        let mut world = World::new(Config::default());
        let connection = world.say_hello(Access::Refused(TokenFault::Signature), None);
        assert!(!world.closed.contains_key(&connection));
        let ada = world.client();
        assert_eq!(authorize(&mut world, &ada, Access::shown("whatever")), None);
    }

    #[test]
    fn a_room_that_is_not_granted_is_refused_whether_it_is_there_or_not() {
        let mut world = world();
        let grace = world.bearer(&grant("grace", r#"[{"room":"*","role":"host"}]"#));
        world.ask(&grace, join("green"));
        let ada = world.bearer(&grant("ada", BLUE));
        for room in ["green", "nowhere"] {
            world.ask(&ada, join(room));
            assert_eq!(world.error(&ada), Some(Reject::NotAllowed), "{room}");
        }
        world.ask(&ada, join("blue"));
        assert_eq!(world.error(&ada), None);
    }

    #[test]
    fn who_guesses_rooms_is_told_nothing_for_a_while() {
        let mut world = world();
        let ada = world.bearer(&grant("ada", BLUE));
        for number in 0..GUESSES {
            world.ask(&ada, join(&format!("guess-{number}")));
            assert_eq!(world.error(&ada), Some(Reject::NotAllowed));
        }
        for room in ["one-more", "blue"] {
            world.ask(&ada, join(room));
            assert_eq!(world.error(&ada), Some(Reject::RateLimited), "{room}");
        }
        world.wait(GUESS_EVERY);
        world.ask(&ada, join("blue"));
        assert_eq!(world.error(&ada), None);
    }

    #[test]
    fn the_grant_says_who_is_host_and_nobody_takes_over() {
        let mut world = world();
        let host = world.bearer(&grant("ada", r#"[{"room":"blue","role":"host"}]"#));
        let member = world.bearer(&grant("grace", BLUE));
        world.ask(&member, join("blue"));
        world.ask(&host, join("blue"));
        let roles = [&member, &host].map(|client| {
            let got = world.got(client.connection);
            got.iter().find_map(|message| match &**message {
                Message::Joined { room, .. } => Some(room.standing.role),
                _ => None,
            })
        });
        assert_eq!(roles, [Some(Role::Member), Some(Role::Host)]);
        world.say(host.connection, Command::Bye);
        let got = world.got(member.connection);
        assert!(
            !got.iter()
                .any(|message| matches!(**message, Message::Role(_)))
        );
    }

    #[test]
    fn only_the_same_subject_resumes_a_session() {
        let mut world = world();
        let ada = world.bearer(&grant("ada", BLUE));
        world.input(ada.connection, Input::Closed);
        let mallory = world.bearer_resuming(&grant("mallory", BLUE), &ada);
        assert_eq!(mallory.resumed, Resumed::None);
        let again = world.bearer_resuming(&grant_at("ada", BLUE, 1), &ada);
        assert_eq!(again.resumed, Resumed::Full);
    }

    #[test]
    fn a_client_is_warned_and_then_cut_off_and_may_come_back_with_another_token() {
        let mut world = world();
        let ada = world.bearer(&grant("ada", BLUE));
        world.ask(&ada, join("blue"));
        let alive = |world: &mut World, seconds: u64| {
            world.wait(Duration::from_secs(seconds));
            world.say(ada.connection, Command::Ack(super::super::Offset(1)));
        };
        alive(&mut world, 1);
        alive(&mut world, 24);
        alive(&mut world, 24);
        world.got(ada.connection);
        alive(&mut world, 1);
        alive(&mut world, 1);
        let got = world.got(ada.connection);
        let [warning] = &got[..] else {
            panic!("more than the warning: {got:?}");
        };
        let Message::TokenExpiring { expires_in } = **warning else {
            panic!("no warning: {warning:?}");
        };
        assert!(expires_in <= Duration::from_secs(50), "{expires_in:?}");
        for seconds in [20, 20, 20, 18] {
            alive(&mut world, seconds);
        }
        assert!(world.closed.is_empty());
        alive(&mut world, 2);
        assert_eq!(world.closed[&ada.connection], Close::Unauthorized);
        let again = world.bearer_resuming(&grant_at("ada", BLUE, 130), &ada);
        assert_eq!(again.session, ada.session);
    }

    #[test]
    fn another_token_of_the_same_subject_prolongs_the_stay() {
        let mut world = world();
        let ada = world.bearer(&grant("ada", BLUE));
        for round in 1..10 {
            world.wait(Duration::from_secs(20));
            world.say(ada.connection, Command::Ping);
            world.wait(Duration::from_secs(20));
            let newer = Access::Granted(grant_at("ada", BLUE, 40 * round));
            assert_eq!(authorize(&mut world, &ada, newer), None);
            world.say(ada.connection, Command::Ack(super::super::Offset(round)));
        }
        assert!(world.closed.is_empty());
        for (access, reject) in [
            (
                Access::Granted(grant_at("grace", BLUE, 400)),
                Reject::Unauthorized,
            ),
            (Access::Refused(TokenFault::Expired), Reject::TokenExpired),
            (Access::Nothing, Reject::Unauthorized),
            (Access::shown("too soon"), Reject::RateLimited),
        ] {
            assert_eq!(authorize(&mut world, &ada, access), Some(reject));
        }
        assert!(world.closed.is_empty(), "what it had is still good");
    }

    #[test]
    fn a_bearer_is_told_in_how_many_rooms_it_may_be() {
        let mut world = world();
        for (limits, rooms) in [
            ("", Config::default().rooms_per_session),
            (r#","limits":{"rooms":1}"#, 1),
        ] {
            let connection = world.say_hello(
                Access::Granted(grant("ada", &format!(r#"[{{"room":"*"}}]{limits}"#))),
                None,
            );
            let got = world.got(connection);
            let Some(Message::Welcome(welcome)) = got.first().map(|first| &**first) else {
                panic!("no welcome: {got:?}");
            };
            assert_eq!(welcome.limits.rooms, rooms);
        }
    }

    #[test]
    fn another_token_may_take_rooms_away_and_change_a_role() {
        let mut world = world();
        let both = r#"[{"room":"blue"},{"room":"green"}]"#;
        let ada = world.bearer(&grant("ada", both));
        let grace = world.bearer(&grant("grace", both));
        for client in [&ada, &grace] {
            world.ask(client, join("blue"));
            world.ask(client, join("green"));
        }
        for client in [&ada, &grace] {
            world.got(client.connection);
        }
        let newer = Access::Granted(grant_at("ada", r#"[{"room":"blue","role":"host"}]"#, 1));
        world.ask(&ada, Request::Authorize(newer));
        let got = world.got(ada.connection);
        let of_green = got.iter().find_map(|message| match &**message {
            Message::PutOut { room, reason } => Some((&**room, *reason)),
            _ => None,
        });
        assert_eq!(of_green, Some(("green", Reason::Unauthorized)));
        let of_blue = got.iter().find_map(|message| match &**message {
            Message::Role(change) => Some((&*change.room, change.standing.role)),
            _ => None,
        });
        assert_eq!(of_blue, Some(("blue", Role::Host)));
        let got = world.got(grace.connection);
        let states = got.iter().filter_map(|message| match &**message {
            Message::Presence { member, .. } => Some((member.state, member.role)),
            _ => None,
        });
        let expected = [
            (State::Joined, Role::Host),
            (State::Left(Reason::Unauthorized), Role::Member),
        ];
        assert_eq!(states.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_subject_has_so_many_sessions_and_no_more() {
        let mut world = world();
        let ada = grant("ada", BLUE);
        let clients: Vec<_> = (0..3).map(|_| world.bearer(&ada)).collect();
        let connection = world.say_hello(Access::Granted(Arc::clone(&ada)), None);
        let told = refusal(&mut world, connection);
        assert_eq!(told, (Reject::TooManySessions, Close::Full));
        world.bearer(&grant("grace", BLUE));
        let again = world.bearer_resuming(&ada, &clients[0]);
        assert_eq!(again.resumed, Resumed::Full, "it is no session more");
        world.say(clients[1].connection, Command::Bye);
        world.bearer(&ada);
    }

    #[test]
    fn what_is_revoked_ends_at_once_and_does_not_come_back() {
        let mut world = world();
        let ada = world.bearer(&grant("ada", BLUE));
        let grace = world.bearer(&grant("grace", BLUE));
        world.now = world.now.after(Duration::from_secs(10));
        let revocation = Revocation::Subject("ada".into());
        let meant = world.hub.handle_revocation(revocation, world.now);
        world.collect();
        assert_eq!(meant.map(|it| it.sessions), Ok(vec![ada.session]));
        assert_eq!(world.closed[&ada.connection], Close::Revoked);
        assert!(!world.closed.contains_key(&grace.connection));
        let connection = world.say_hello(Access::Granted(grant("ada", BLUE)), None);
        let told = refusal(&mut world, connection);
        assert_eq!(told, (Reject::Revoked, Close::Revoked));
        let soon = world.say_hello(Access::Granted(grant_at("ada", BLUE, 11)), None);
        let told = refusal(&mut world, soon);
        assert_eq!(told, (Reject::Unauthorized, Close::Unauthorized));
        let anew = world.bearer_resuming(&grant_at("ada", BLUE, 41), &ada);
        assert_eq!(anew.resumed, Resumed::None, "the ticket is void");
    }

    #[test]
    fn what_was_revoked_is_revoked_after_a_restart() {
        let mut world = world();
        world.now = world.now.after(Duration::from_secs(10));
        let revocations = [
            Revocation::Subject("ada".into()),
            Revocation::Token("grace-0".into()),
        ];
        let at: Vec<_> = revocations
            .iter()
            .map(|it| world.hub.handle_revocation(it.clone(), world.now))
            .map(|revoked| revoked.expect("there is room").at)
            .collect();
        world.now = world.now.after(Duration::from_secs(5));
        let config = world.hub.config.clone();
        world.restart(config);
        for (revocation, at) in revocations.into_iter().zip(at) {
            world.hub.recall_revocation(revocation, at);
        }
        for (subject, issued, told) in [
            ("ada", 0, Some(Reject::Revoked)),
            ("ada", 11, Some(Reject::Unauthorized)),
            ("ada", 41, None),
            ("grace", 0, Some(Reject::Revoked)),
            ("grace", 1, None),
        ] {
            let grant = grant_at(subject, BLUE, issued);
            let connection = world.say_hello(Access::Granted(grant), None);
            let refused = world.closed.contains_key(&connection);
            let refused = refused.then(|| refusal(&mut world, connection).0);
            assert_eq!(refused, told, "{subject} {issued}");
        }
    }

    #[test]
    fn a_token_and_a_session_can_be_revoked_alone() {
        let mut world = world();
        let [first, second] = [0, 1].map(|issued| grant_at("ada", BLUE, issued));
        let clients = [&first, &second, &second].map(|grant| world.bearer(grant));
        for (revocation, gone) in [
            (Revocation::Token("ada-0".into()), &clients[0]),
            (Revocation::Session(clients[1].session), &clients[1]),
        ] {
            let meant = world.hub.handle_revocation(revocation, world.now);
            world.collect();
            assert_eq!(meant.map(|it| it.sessions), Ok(vec![gone.session]));
            assert_eq!(world.closed[&gone.connection], Close::Revoked);
        }
        assert!(!world.closed.contains_key(&clients[2].connection));
        let connection = world.say_hello(Access::Granted(first), None);
        assert_eq!(refusal(&mut world, connection).0, Reject::Revoked);
        world.bearer(&second);
    }

    #[test]
    fn relay_credentials_do_not_outlive_the_token() {
        let mut world = World::new(Config {
            access: AccessConfig {
                by_token: true,
                ..AccessConfig::default()
            },
            ice: IceConfig {
                turn_urls: vec!["turn:a".to_owned()],
                secret: Some(Secret::new("north")),
                ..IceConfig::default()
            },
            ..Config::default()
        });
        let ada = world.bearer(&grant("ada", BLUE));
        world.got(ada.connection);
        let newer = Access::Granted(grant_at("ada", BLUE, 0));
        world.ask(&ada, Request::Authorize(newer));
        world.wait(Duration::from_millis(10));
        let got = world.got(ada.connection);
        let lifetime = got.iter().find_map(|message| match &**message {
            Message::IceServers(servers) => servers.credentials.as_ref().map(|(_, life)| *life),
            _ => None,
        });
        let lifetime = lifetime.expect("new credentials");
        assert!(lifetime <= Duration::from_secs(130), "{lifetime:?}");
        assert!(lifetime > Duration::from_secs(120), "{lifetime:?}");
    }
}
