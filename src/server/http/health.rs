//! Whether the server runs, and whether it takes work.

use std::sync::atomic::{AtomicU8, Ordering};

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
pub(in crate::server) struct Readiness(AtomicU8);

impl Readiness {
    /// Starting.
    pub(in crate::server) fn new() -> Self {
        Self(AtomicU8::new(State::Starting as u8))
    }

    /// The server has come to `state`.
    pub(in crate::server) fn set(&self, state: State) {
        self.0.store(state as u8, Ordering::Release);
    }

    /// `GET /readyz`
    pub(super) fn respond(&self) -> Response {
        let state = self.0.load(Ordering::Acquire);
        let (status, text) = if state == State::Ready as u8 {
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
        readiness.set(State::Draining);
        assert_eq!(
            readiness.respond().status(),
            StatusCode::SERVICE_UNAVAILABLE
        );
    }
}
