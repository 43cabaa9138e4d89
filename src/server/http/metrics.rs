//! `GET /metrics`

use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

use crate::auth::Secret;
use crate::metrics::Registry;

/// The media type of the page.
pub(super) const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The page that a Prometheus scraper reads.
#[derive(Debug)]
pub(in crate::server) struct MetricsPage {
    /// What is told.
    pub(in crate::server) registry: Registry,
    /// What a reader must show, if anything.
    pub(in crate::server) token: Option<Secret>,
}

impl MetricsPage {
    /// The answer to a request with these headers.
    pub(super) fn respond(&self, headers: &HeaderMap) -> Response {
        if !self.allows(headers) {
            return self.ask();
        }
        let headers = [(CONTENT_TYPE, OPEN_METRICS), (CACHE_CONTROL, "no-store")];
        (headers, self.registry.exposition()).into_response()
    }

    /// Asks for the token.
    pub(super) fn ask(&self) -> Response {
        let challenge = [(WWW_AUTHENTICATE, "Bearer")];
        (StatusCode::UNAUTHORIZED, challenge, "a token is needed\n").into_response()
    }

    /// Whether a request with these headers shows the token, where one is asked for.
    pub(super) fn allows(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else {
            return true;
        };
        let shown = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        shown.is_some_and(|shown| shown.ct_eq(token.expose().as_bytes()).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_asked_for_where_one_is_set() {
        let page = MetricsPage {
            registry: Registry::default(),
            token: Some(Secret::new("hush")),
        };
        let mut headers = HeaderMap::new();
        assert_eq!(page.respond(&headers).status(), StatusCode::UNAUTHORIZED);
        for (shown, status) in [
            ("Bearer hus", StatusCode::UNAUTHORIZED),
            ("hush", StatusCode::UNAUTHORIZED),
            ("Bearer hush", StatusCode::OK),
        ] {
            headers.insert(AUTHORIZATION, shown.parse().expect("a header"));
            assert_eq!(page.respond(&headers).status(), status, "{shown}");
        }
    }
}
