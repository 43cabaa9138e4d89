//! An operator takes back what somebody has.

use std::time::Duration;

use super::revocations::{Revocation, TooManyRevocations};
use super::{Close, Hub, Reason, SessionId};
use crate::time::Now;

/// Whose relay credentials are not good any more, though they have not expired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// Those of these sessions. One that was revoked by name is here though nobody knows it.
    pub sessions: Vec<SessionId>,
    /// Those of all sessions, past ones included, that have this holder
    /// ([`holder`](crate::auth::holder)).
    pub holder: Option<String>,
    /// When they were revoked, in time since 1970.
    pub at: Duration,
}

impl Hub {
    /// Ends what `revocation` names, for good: connections are closed, sessions cannot be resumed,
    /// and tokens get nobody in any more. Gives whose relay credentials are not to be taken any
    /// more.
    ///
    /// # Errors
    /// If too many revocations are remembered. Sessions have ended even so.
    pub fn handle_revocation(
        &mut self,
        revocation: Revocation,
        now: Now,
    ) -> Result<Revoked, TooManyRevocations> {
        let sessions = self.meant_by(&revocation);
        for &session in &sessions {
            let connection = self.connection_of(session);
            self.end(session, Reason::Unauthorized, now);
            if let Some(connection) = connection {
                self.close(connection, Close::Revoked, now);
            }
        }
        self.tell_of_the_lost(now);
        let holder = match &revocation {
            Revocation::Subject(subject) => self.holder_of(subject),
            Revocation::Token(_) | Revocation::Session(_) => None,
        };
        let since = now.unix.saturating_sub(self.config.access.max_lifetime);
        self.revocations.add(revocation, now.unix, since)?;
        Ok(Revoked {
            sessions,
            holder,
            at: now.unix,
        })
    }

    /// Remembers what was revoked at `at`, in time since 1970, when a hub before this one ran. Of
    /// more than may be remembered, the first count.
    pub fn recall_revocation(&mut self, revocation: Revocation, at: Duration) {
        self.revocations.recall(revocation, at);
    }

    fn meant_by(&self, revocation: &Revocation) -> Vec<SessionId> {
        match revocation {
            Revocation::Subject(subject) => self.subjects.sessions(subject).to_vec(),
            Revocation::Token(id) => {
                let has_it = |session: &SessionId| {
                    let session = self.sessions.get(session);
                    let grant = session.and_then(|session| session.grant.as_ref());
                    grant.is_some_and(|grant| grant.token_id() == Some(&**id))
                };
                self.subjects.all().filter(has_it).collect()
            }
            Revocation::Session(session) => vec![*session],
        }
    }
}
