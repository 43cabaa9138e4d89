//! What has been revoked, kept in the state directory for as long as it could be used.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::config::Auth;
use super::journal::{Entry, Journal};
use super::relay_users::LONGEST_CREDENTIALS;
use super::state::{StateDirectory, StateError};
use crate::signal::{Revocation, Revoked, SessionId};

/// The file in the state directory.
const REVOCATIONS: &str = "revocations";

/// A revocation, and whose credentials it was about.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Kept {
    pub(super) revocation: Revocation,
    pub(super) revoked: Revoked,
    /// Until when anything could be had by what was revoked, in time since 1970.
    until: Duration,
}

/// The file of revocations.
#[derive(Debug)]
pub(super) struct RevocationLog {
    journal: Journal<Kept>,
    keep: Duration,
}

impl RevocationLog {
    /// The file in `state`, and what it says at `now`, in time since 1970.
    pub(super) fn open(
        state: &StateDirectory,
        auth: &Auth,
        now: Duration,
    ) -> Result<(Self, Vec<Kept>), StateError> {
        let (journal, known) = Journal::open(state, REVOCATIONS, now)?;
        let keep = kept_for(auth);
        Ok((Self { journal, keep }, known))
    }

    /// Other tokens are taken from now on.
    pub(super) fn follow(&mut self, auth: &Auth) {
        self.keep = kept_for(auth);
    }

    /// Keeps a revocation; it is on the disk when this returns.
    pub(super) fn add(
        &mut self,
        revocation: Revocation,
        revoked: Revoked,
        now: Duration,
    ) -> Result<(), StateError> {
        let until = revoked.at + self.keep;
        let kept = Kept {
            revocation,
            revoked,
            until,
        };
        self.journal.add(&[kept], now)
    }
}

/// A token may have been made, and be good, as much later as the clocks may differ. Credentials
/// outlive tickets of sessions.
fn kept_for(auth: &Auth) -> Duration {
    let rules = auth.tokens.rules();
    let tokens = rules.max_lifetime + 2 * rules.leeway;
    tokens.max(LONGEST_CREDENTIALS)
}

/// The line in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    /// In nanoseconds since 1970: the name of a holder depends on it.
    at: u64,
    /// In seconds since 1970.
    until: u64,
    sessions: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    holder: Option<String>,
}

impl Written {
    fn revocation(&mut self) -> Option<Revocation> {
        match (
            self.subject.take(),
            self.token_id.take(),
            self.session.take(),
        ) {
            (Some(subject), None, None) => Some(Revocation::Subject(subject.into())),
            (None, Some(id), None) => Some(Revocation::Token(id.into())),
            (None, None, Some(session)) => SessionId::parse(&session).map(Revocation::Session),
            _ => None,
        }
    }
}

impl Entry for Kept {
    fn read(line: &[u8]) -> Option<Self> {
        let mut written: Written = serde_json::from_slice(line).ok()?;
        let sessions = written.sessions.iter();
        let sessions: Option<Vec<_>> = sessions.map(|text| SessionId::parse(text)).collect();
        Some(Self {
            revocation: written.revocation()?,
            revoked: Revoked {
                sessions: sessions?,
                holder: written.holder,
                at: Duration::from_nanos(written.at),
            },
            until: Duration::from_secs(written.until),
        })
    }

    fn line(&self) -> String {
        let named = |of: &Revocation| match of {
            Revocation::Subject(name) | Revocation::Token(name) => name.to_string(),
            Revocation::Session(session) => session.to_string(),
        };
        let name = Some(named(&self.revocation));
        let mut written = Written {
            subject: None,
            token_id: None,
            session: None,
            at: u64::try_from(self.revoked.at.as_nanos()).unwrap_or(u64::MAX),
            until: self.until.as_secs(),
            sessions: self
                .revoked
                .sessions
                .iter()
                .map(ToString::to_string)
                .collect(),
            holder: self.revoked.holder.clone(),
        };
        match &self.revocation {
            Revocation::Subject(_) => written.subject = name,
            Revocation::Token(_) => written.token_id = name,
            Revocation::Session(_) => written.session = name,
        }
        serde_json::to_string(&written).expect("text and numbers are JSON")
    }

    fn until(&self) -> Duration {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revocation_is_read_as_it_is_written_and_to_the_nanosecond() {
        let session = "6f0c7c1e-5d0b-4c55-9a3e-1f6c2f6f3c11";
        let session = SessionId::parse(session).expect("an id");
        for revocation in [
            Revocation::Subject("ada \"\n\u{e4}".into()),
            Revocation::Token("t1".into()),
            Revocation::Session(session),
        ] {
            let kept = Kept {
                revocation,
                revoked: Revoked {
                    sessions: vec![session],
                    holder: Some("abcdefghijklmnop".to_owned()),
                    at: Duration::new(1_764_000_000, 123_456_789),
                },
                until: Duration::from_secs(1_764_100_000),
            };
            let line = kept.line();
            assert!(!line.contains('\n'), "{line}");
            assert_eq!(Kept::read(line.as_bytes()), Some(kept));
        }
    }

    #[test]
    fn what_names_nothing_or_two_things_is_no_revocation() {
        for line in [
            "",
            "{}",
            r#"{"at":1,"until":2,"sessions":[]}"#,
            r#"{"subject":"a","token_id":"b","at":1,"until":2,"sessions":[]}"#,
            r#"{"session":"ada","at":1,"until":2,"sessions":[]}"#,
            r#"{"subject":"a","at":1,"until":2,"sessions":["ada"]}"#,
            r#"{"subject":"a","at":1,"until":2,"sessions":[],"colour":"blue"}"#,
        ] {
            assert_eq!(Kept::read(line.as_bytes()), None, "{line}");
        }
    }
}
