//! Whether a client that comes back gets its session, and nobody else does.

use std::time::Duration;

use peerage::auth::Secret;
use peerage::signal::{Offset, Resume, SessionId};
use peerage::time::Instant;

/// How long a session waits for its client.
const WINDOW: Duration = Duration::from_secs(60);

/// What one client has to prove with that it is its session.
#[derive(Default)]
pub(crate) struct Proof {
    /// When the server has had word of it last, or began, if the session was alive then.
    alive: Option<Instant>,
    /// What the server gave out last, and the last that it knows the client to have.
    newest: Option<(SessionId, Secret)>,
    held: Option<(SessionId, Secret)>,
    /// What it had before, and is of no use to anybody any more.
    void: Option<(SessionId, Secret)>,
}

impl Proof {
    /// The session has come back, or is another one.
    pub(crate) fn given(&mut self, session: SessionId, token: &Secret, is_had: bool, now: Instant) {
        self.newest = Some((session, token.clone()));
        if is_had {
            self.alive = Some(now);
        }
    }

    /// The client has said something, and so has what it was given.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.alive = Some(now);
        let (Some(newest), held) = (&self.newest, &self.held) else {
            return;
        };
        let is_other = |held: &(SessionId, Secret)| held.1.expose() != newest.1.expose();
        if held.as_ref().is_none_or(is_other) {
            let before = self.held.replace(newest.clone());
            self.void = before.filter(|(session, _)| *session == newest.0);
        }
    }

    /// Another server begins, for which all whom the last one had are suspended now. It does not
    /// know yet what is void.
    pub(crate) fn restarted(&mut self, now: Instant) {
        self.void = None;
        self.alive = self.is_alive(now).then_some(now);
    }

    pub(crate) fn is_alive(&self, now: Instant) -> bool {
        self.alive.is_some_and(|at| now < at + WINDOW)
    }

    /// What somebody may try who has got hold of an old token.
    pub(crate) fn stolen(&self) -> Option<Resume> {
        let (session, token) = self.void.as_ref()?;
        Some(Resume::new(&session.to_string(), token.expose(), Offset(0)))
    }
}
