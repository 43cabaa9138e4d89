//! Sessions over plain requests, for those whose network passes no WebSocket.
//!
//! `POST /v1/connect` begins a connection, which is one to the hub like any other. What it says
//! is read as a stream of events, by a request that is held, or by one now and then; what the
//! client says comes by `POST`. All of these show the key that the first answer brought.

mod answers;
mod carried;
mod connect;
mod events;
pub(super) mod keys;
mod line;
pub(super) mod operations;
mod poll;
mod post;
mod promptness;
mod shown;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::operation::Operation;
use super::origin;
use super::shared::Shared;

/// The routes, with what browsers want to hear before a page of another origin may ask.
pub(super) fn router(shared: &Arc<Shared>) -> Router<Arc<Shared>> {
    let allowed = Arc::clone(shared);
    let is_allowed = move |_: &_, parts: &axum::http::request::Parts| {
        origin::is_allowed(&parts.headers, &allowed.settings.allowed_origins)
    };
    let cors = CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(is_allowed))
        .allow_methods([axum::http::Method::GET, axum::http::Method::POST])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE, events::LAST_EVENT_ID])
        .expose_headers([RETRY_AFTER])
        .max_age(Duration::from_secs(7_200));
    let routes = operations::routes().into_iter();
    let add = |router: Router<_>, (operation, handler): (Operation, _)| {
        router.route(operation.path, handler)
    };
    routes.fold(Router::new(), add).layer(cors)
}
