//! What has been revoked, for as long as it could be used.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::grant::Grant;
use super::ids::SessionId;
use crate::auth::jwt::TokenFault;

/// How many revocations are remembered at a time.
const MOST: usize = 100_000;

/// What an operator takes back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revocation {
    /// All that tokens of a subject have given that were made until now.
    Subject(Arc<str>),
    /// All that the token of this id has given.
    Token(Arc<str>),
    /// One session.
    Session(SessionId),
}

/// Revocations and when they were made, in time since 1970.
#[derive(Debug, Default)]
pub(super) struct Revocations(BTreeMap<Revocation, Duration>);

/// As many revocations are remembered as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyRevocations;

impl Revocations {
    /// Remembers one more, and forgets those from before `since`, with which nothing can be had
    /// any more.
    pub(super) fn add(
        &mut self,
        revocation: Revocation,
        now: Duration,
        since: Duration,
    ) -> Result<(), TooManyRevocations> {
        if self.0.len() >= MOST {
            self.0.retain(|_, made| *made >= since);
        }
        if self.0.len() >= MOST {
            return Err(TooManyRevocations);
        }
        self.0.insert(revocation, now);
        Ok(())
    }

    /// Remembers what was made before this server began, as far as there is room.
    pub(super) fn recall(&mut self, revocation: Revocation, made: Duration) {
        if self.0.len() < MOST {
            let known = self.0.entry(revocation).or_insert(made);
            *known = made.max(*known);
        }
    }

    /// Why a grant is not good: it has been taken back by its token's id, or by its subject before
    /// its token was made. Where the clocks of issuer and server may differ by `leeway`, a token
    /// that was made that soon afterwards is no good either, and a later one is.
    pub(super) fn fault(&self, grant: &Grant, leeway: Duration) -> Option<TokenFault> {
        let is_listed = |id: &str| self.0.contains_key(&Revocation::Token(id.into()));
        if grant.token_id().is_some_and(is_listed) {
            return Some(TokenFault::Revoked);
        }
        let made = self.of_subject(grant.subject())?;
        match grant.issued() {
            Some(issued) if issued > made + leeway => None,
            Some(issued) if issued > made => Some(TokenFault::NotYet),
            _ => Some(TokenFault::Revoked),
        }
    }

    /// When all of a subject was last revoked.
    pub(super) fn of_subject(&self, subject: &Arc<str>) -> Option<Duration> {
        let revocation = Revocation::Subject(Arc::clone(subject));
        self.0.get(&revocation).copied()
    }

    /// Whether this session was revoked.
    pub(super) fn has_session(&self, session: SessionId) -> bool {
        self.0.contains_key(&Revocation::Session(session))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_old_to_matter_makes_room() {
        let mut revocations = Revocations::default();
        let token = |number: usize| Revocation::Token(number.to_string().into());
        let at = Duration::from_secs;
        for number in 0..MOST {
            assert_eq!(revocations.add(token(number), at(100), at(0)), Ok(()));
        }
        let one_more = token(MOST);
        let full = revocations.add(one_more.clone(), at(200), at(100));
        assert_eq!(full, Err(TooManyRevocations));
        assert_eq!(revocations.add(one_more, at(201), at(101)), Ok(()));
        assert_eq!(revocations.0.len(), 1);
    }
}
