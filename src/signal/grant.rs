//! What an access token lets its bearer do.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::ids::is_room_name;
use super::role::{Permissions, Role, Standing};
use crate::auth::jwt::{Claims, TokenFault};

/// What an access token lets its bearer do.
#[derive(Clone, Debug)]
pub struct Grant {
    subject: Arc<str>,
    token_id: Option<Arc<str>>,
    issued: Option<Duration>,
    expires: Duration,
    /// Names first, then prefixes, the longest first: the first that fits counts.
    rooms: Box<[(Pattern, Standing)]>,
    sessions: Option<usize>,
    rooms_at_once: Option<usize>,
    once: bool,
}

/// Which rooms are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    /// The room of this name.
    Name(Box<str>),
    /// Every room whose name begins like this.
    Prefix(Box<str>),
}

impl Pattern {
    fn parse(written: &str) -> Option<Self> {
        match written.strip_suffix('*') {
            Some("") => Some(Self::Prefix("".into())),
            Some(prefix) => is_room_name(prefix).then(|| Self::Prefix(prefix.into())),
            None => is_room_name(written).then(|| Self::Name(written.into())),
        }
    }

    fn fits(&self, room: &str) -> bool {
        match self {
            Self::Name(name) => **name == *room,
            Self::Prefix(prefix) => room.starts_with(&**prefix),
        }
    }

    /// The narrower a pattern, the larger.
    fn narrowness(&self) -> usize {
        match self {
            Self::Name(_) => usize::MAX,
            Self::Prefix(prefix) => prefix.len(),
        }
    }
}

/// The claim `peerage`.
#[derive(Deserialize)]
struct Written<'a> {
    #[serde(borrow)]
    rooms: Vec<WrittenRoom<'a>>,
    #[serde(default)]
    limits: WrittenLimits,
    #[serde(default)]
    once: bool,
}

#[derive(Deserialize)]
struct WrittenRoom<'a> {
    #[serde(borrow)]
    room: Cow<'a, str>,
    role: Option<Cow<'a, str>>,
    permissions: Option<Vec<Cow<'a, str>>>,
}

#[derive(Default, Deserialize)]
struct WrittenLimits {
    sessions: Option<u32>,
    rooms: Option<u32>,
}

impl WrittenRoom<'_> {
    fn read(&self) -> Option<(Pattern, Standing)> {
        let role = match &self.role {
            Some(name) => Role::parse(name)?,
            None => Role::Member,
        };
        let mut standing = Standing::from(role);
        if let Some(names) = &self.permissions {
            let none = Permissions::NONE;
            let add = |all: Permissions, name: &Cow<'_, str>| {
                Permissions::parse(name).map(|one| all.union(one))
            };
            standing.permissions = names.iter().try_fold(none, add)?;
        }
        Some((Pattern::parse(&self.room)?, standing))
    }
}

impl Grant {
    /// What the claims of a token grant.
    ///
    /// # Errors
    /// If the claim `peerage` is not of the form that `docs/protocol.md` gives.
    pub fn new(claims: Claims) -> Result<Self, TokenFault> {
        let written: Written<'_> =
            serde_json::from_str(claims.peerage.get()).map_err(|_| TokenFault::Grant)?;
        let rooms: Option<Vec<_>> = written.rooms.iter().map(WrittenRoom::read).collect();
        let mut rooms = rooms.ok_or(TokenFault::Grant)?;
        rooms.sort_by_key(|(pattern, _)| std::cmp::Reverse(pattern.narrowness()));
        // What has no id could not be known again.
        if written.once && claims.token_id.is_none() {
            return Err(TokenFault::Grant);
        }
        let count = |most: Option<u32>| most.map(|most| most as usize);
        Ok(Self {
            subject: claims.subject,
            token_id: claims.token_id,
            issued: claims.issued,
            expires: claims.expires,
            rooms: rooms.into(),
            sessions: count(written.limits.sessions),
            rooms_at_once: count(written.limits.rooms),
            once: written.once,
        })
    }

    /// Whom it is for.
    #[must_use]
    pub fn subject(&self) -> &Arc<str> {
        &self.subject
    }

    /// What tells its token from others, if it says.
    #[must_use]
    pub fn token_id(&self) -> Option<&str> {
        self.token_id.as_deref()
    }

    /// When its token was made, since 1970, if it says.
    #[must_use]
    pub fn issued(&self) -> Option<Duration> {
        self.issued
    }

    /// Until when it is good, since 1970.
    #[must_use]
    pub fn expires(&self) -> Duration {
        self.expires
    }

    /// What its bearer is in a room; `None`: it may not enter.
    #[must_use]
    pub fn standing_in(&self, room: &str) -> Option<Standing> {
        let mut rooms = self.rooms.iter();
        let found = rooms.find(|(pattern, _)| pattern.fits(room));
        found.map(|(_, standing)| *standing)
    }

    /// How many sessions its bearer may have at a time, where it says.
    #[must_use]
    pub fn sessions(&self) -> Option<usize> {
        self.sessions
    }

    /// Whether only one session may be begun with its token.
    #[must_use]
    pub fn is_once(&self) -> bool {
        self.once
    }

    /// How many rooms each of these may be in, where it says.
    #[must_use]
    pub fn rooms_at_once(&self) -> Option<usize> {
        self.rooms_at_once
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    fn grant(peerage: &str) -> Result<Grant, TokenFault> {
        Grant::new(Claims {
            subject: "ada".into(),
            expires: Duration::from_secs(60),
            issued: None,
            token_id: None,
            peerage: RawValue::from_string(peerage.to_owned()).expect("JSON"),
        })
    }

    #[test]
    fn a_name_grants_one_room_and_a_prefix_all_that_begin_with_it() {
        let grant = grant(r#"{"rooms":[{"room":"team-*"},{"room":"blue-heron","role":"host"}]}"#);
        let grant = grant.expect("a grant");
        let role = |room| grant.standing_in(room).map(|standing| standing.role);
        assert_eq!(role("blue-heron"), Some(Role::Host));
        assert_eq!(role("team-red"), Some(Role::Member));
        assert_eq!(role("team-"), Some(Role::Member));
        for room in [
            "blue-heron2",
            "blue",
            "team",
            "ateam-red",
            "Team-red",
            "team-*x*",
        ] {
            assert_eq!(role(room).is_some(), room == "team-*x*", "{room}");
        }
    }

    #[test]
    fn of_several_patterns_the_narrowest_counts() {
        let grant = grant(
            r#"{"rooms":[{"room":"*","role":"guest"},{"room":"team-red"},
                {"room":"team-*","role":"host"}]}"#,
        );
        let grant = grant.expect("a grant");
        let role = |room| grant.standing_in(room).map(|standing| standing.role);
        assert_eq!(role("team-red"), Some(Role::Member));
        assert_eq!(role("team-blue"), Some(Role::Host));
        assert_eq!(role("elsewhere"), Some(Role::Guest));
    }

    #[test]
    fn permissions_take_the_place_of_those_of_the_role() {
        let grant = grant(r#"{"rooms":[{"room":"a","role":"host","permissions":["speak"]}]}"#);
        let standing = grant.expect("a grant").standing_in("a").expect("allowed");
        assert_eq!(standing.role, Role::Host);
        assert_eq!(standing.permissions, Permissions::SPEAK);
    }

    #[test]
    fn limits_are_read_where_they_are_written() {
        let limited = grant(r#"{"rooms":[],"limits":{"sessions":2,"rooms":1,"colour":3}}"#);
        let limited = limited.expect("a grant");
        assert_eq!(
            (limited.sessions(), limited.rooms_at_once()),
            (Some(2), Some(1))
        );
        let unlimited = grant(r#"{"rooms":[]}"#).expect("a grant");
        assert_eq!(
            (unlimited.sessions(), unlimited.rooms_at_once()),
            (None, None)
        );
    }

    #[test]
    fn what_is_not_of_the_form_grants_nothing() {
        for peerage in [
            "null",
            "[]",
            "{}",
            r#"{"rooms":"*"}"#,
            r#"{"rooms":["*"]}"#,
            r#"{"rooms":[{"room":5}]}"#,
            r#"{"rooms":[{"room":""}]}"#,
            r#"{"rooms":[{"room":"a b"}]}"#,
            r#"{"rooms":[{"room":"a*b"}]}"#,
            r#"{"rooms":[{"room":"a**"}]}"#,
            r#"{"rooms":[{"room":"a","role":"king"}]}"#,
            r#"{"rooms":[{"room":"a","permissions":["fly"]}]}"#,
            r#"{"rooms":[{"room":"a","permissions":"speak"}]}"#,
            r#"{"rooms":[],"limits":{"sessions":-1}}"#,
            r#"{"rooms":[],"limits":5}"#,
            r#"{"rooms":[],"once":"yes"}"#,
            // Without an id of the token.
            r#"{"rooms":[],"once":true}"#,
        ] {
            assert_eq!(grant(peerage).err(), Some(TokenFault::Grant), "{peerage}");
        }
    }
}
