//! What is answered where.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, Request};
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use super::super::revoker::Revoker;
use super::super::signaling::Signaling;
use super::admin;
use super::assets::Assets;
use super::headers::{Dress, dress};
use super::health::{Readiness, alive};
use super::metrics::MetricsPage;
use super::operations::{self, Route, metrics_document};

/// What the public sees: signaling, health and the page.
pub(in crate::server) fn public_router(
    signaling: &Signaling,
    assets: Assets,
    readiness: &Arc<Readiness>,
    how: Dress,
) -> Router {
    let page = move |request: Request<Body>| {
        let assets = assets.clone();
        async move { assets.respond(&request.into_parts().0).await }
    };
    let health = health(readiness);
    let operations = health.iter().map(|(operation, _)| operation.clone());
    let signaling = signaling.router_beside(operations.collect());
    serve(health)
        .merge(signaling)
        .fallback(page)
        .layer(from_fn_with_state(how, dress))
}

/// What the operator's network sees: metrics, health, what takes something back, and the document
/// that describes these.
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
    let mut routes = health(readiness);
    routes.extend([
        (operations::metrics(), get(metrics)),
        (operations::revoke(), post(revoke)),
    ]);
    describe(&mut routes);
    serve(routes).layer(from_fn_with_state(Dress::default(), dress))
}

fn health(readiness: &Arc<Readiness>) -> Vec<Route> {
    let readiness = Arc::clone(readiness);
    vec![
        (operations::alive(), get(|| async { alive() })),
        (
            operations::ready(),
            get(move || async move { readiness.respond() }),
        ),
    ]
}

/// Adds the document of these routes, which is one of them.
fn describe(routes: &mut Vec<Route>) {
    let operation = operations::document();
    let told = routes.iter().map(|(operation, _)| operation.clone());
    let told: Vec<_> = told.chain([operation.clone()]).collect();
    let text = Bytes::from(metrics_document(&told));
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "no-cache"),
    ];
    routes.push((operation, get(move || async move { (headers, text) })));
}

fn serve(routes: Vec<Route>) -> Router {
    let add = |router: Router, (operation, handler): Route| router.route(operation.path, handler);
    routes.into_iter().fold(Router::new(), add)
}
