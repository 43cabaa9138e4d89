//! What is answered where.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request};
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use super::super::revoker::Revoker;
use super::admin;
use super::assets::Assets;
use super::headers::{Dress, dress};
use super::health::{Readiness, alive};
use super::metrics::MetricsPage;

/// What the public sees: signaling, health and the page. `hsts` is for TLS with a certificate
/// that the world trusts.
pub(in crate::server) fn public_router(
    signaling: Router,
    assets: Assets,
    readiness: &Arc<Readiness>,
    hsts: bool,
) -> Router {
    let page = move |request: Request<Body>| {
        let assets = assets.clone();
        async move { assets.respond(&request.into_parts().0).await }
    };
    health(readiness)
        .merge(signaling)
        .fallback(page)
        .layer(from_fn_with_state(Dress { hsts }, dress))
}

/// What the operator's network sees: metrics, health, and what takes something back.
pub(in crate::server) fn metrics_router(
    page: MetricsPage,
    revoker: Revoker,
    readiness: &Arc<Readiness>,
) -> Router {
    let page = Arc::new(page);
    let guard = Arc::clone(&page);
    let revoke = move |headers: HeaderMap, body: Body| {
        let (guard, revoker) = (Arc::clone(&guard), revoker.clone());
        async move {
            if guard.allows(&headers) {
                admin::revoke(&revoker, &headers, body).await
            } else {
                guard.ask()
            }
        }
    };
    let metrics = move |headers: HeaderMap| {
        let page = Arc::clone(&page);
        async move { page.respond(&headers) }
    };
    health(readiness)
        .route("/metrics", get(metrics))
        .route("/admin/revoke", post(revoke))
        .layer(from_fn_with_state(Dress { hsts: false }, dress))
}

fn health(readiness: &Arc<Readiness>) -> Router {
    let readiness = Arc::clone(readiness);
    Router::new()
        .route("/healthz", get(|| async { alive() }))
        .route("/readyz", get(move || async move { readiness.respond() }))
}
