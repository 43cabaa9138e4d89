//! Whether the server runs, and whether it takes work.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};

/// Where in its life the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(in crate::server) enum State {
    /// Not every listener is bound yet.
    Starting,
    /// It takes work.
    Ready,
    /// It is about to stop.
    Draining,
}

/// The state, as `/readyz` tells it.
#[derive(Debug)]
pub(in crate::server) struct Readiness {
    state: AtomicU8,
    /// Whether the keys of access tokens are there.
    has_keys: AtomicBool,
}

impl Readiness {
    /// Starting.
    pub(in crate::server) fn new() -> Self {
        Self {
            state: AtomicU8::new(State::Starting as u8),
            has_keys: AtomicBool::new(true),
        }
    }

    /// The server has come to `state`.
    pub(in crate::server) fn set(&self, state: State) {
        self.state.store(state as u8, Ordering::Release);
    }

    /// Whether access tokens can be checked.
    pub(in crate::server) fn set_keys(&self, are_there: bool) {
        self.has_keys.store(are_there, Ordering::Release);
    }

    /// `GET /readyz`
    pub(super) fn respond(&self) -> Response {
        let state = self.state.load(Ordering::Acquire);
        let has_keys = self.has_keys.load(Ordering::Acquire);
        let (status, text) = if state == State::Ready as u8 && !has_keys {
            let text = "waiting for the keys of auth.jwks\n";
            (StatusCode::SERVICE_UNAVAILABLE, text)
        } else if state == State::Ready as u8 {
            (StatusCode::OK, "ready\n")
        } else if state == State::Starting as u8 {
            (StatusCode::SERVICE_UNAVAILABLE, "starting\n")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
        };
        (status, [(CACHE_CONTROL, "no-store")], text).into_response()
    }
}

/// `GET /healthz`
pub(super) fn alive() -> Response {
    ([(CACHE_CONTROL, "no-store")], "ok\n").into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_ready_server_takes_work() {
        let readiness = Readiness::new();
        assert_eq!(
            readiness.respond().status(),
            StatusCode::SERVICE_UNAVAILABLE
        );
        readiness.set(State::Ready);
        assert_eq!(readiness.respond().status(), StatusCode::OK);
        readiness.set_keys(false);
        assert_eq!(
            readiness.respond().status(),
            StatusCode::SERVICE_UNAVAILABLE
        );
        readiness.set_keys(true);
        assert_eq!(readiness.respond().status(), StatusCode::OK);
        readiness.set(State::Draining);
        assert_eq!(
            readiness.respond().status(),
            StatusCode::SERVICE_UNAVAILABLE
        );
    }
}
