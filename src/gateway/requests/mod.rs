//! Sessions over plain requests, for those whose network passes no WebSocket.
//!
//! `POST /v1/connect` begins a connection, which is one to the hub like any other. What it says
//! is read as a stream of events, by a request that is held, or by one now and then; what the
//! client says comes by `POST`. All of these show the key that the first answer brought.

mod answers;
mod carried;
mod connect;
mod events;
mod keys;
mod line;
mod poll;
mod post;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use axum::routing::{get, post};
use tokio::time::timeout;
use tower_http::cors::{AllowOrigin, CorsLayer};

use self::answers::Refusal;
use self::carried::Carried;
pub(super) use self::keys::Keys;
use super::{Shared, origin};
use crate::signal::MESSAGE_BYTES;

/// How long a body may take to come.
const BODY: Duration = Duration::from_secs(10);

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
    Router::new()
        .route("/v1/connect", post(connect::connect))
        .route("/v1/messages", post(post::messages))
        .route("/v1/poll", get(poll::poll))
        .route("/v1/events", get(events::events))
        .route("/v1/ticket", post(connect::ticket))
        .layer(cors)
}

/// Whether a page may ask at all. A client that is no page sends no origin.
fn check_origin(shared: &Shared, headers: &HeaderMap) -> Result<(), Refusal> {
    let is_allowed = origin::is_allowed(headers, &shared.settings.allowed_origins);
    is_allowed.then_some(()).ok_or(Refusal::Origin)
}

/// All of a body, if it is no longer than a message may be and comes in time.
async fn whole(body: Body) -> Result<Bytes, Refusal> {
    let read = timeout(BODY, to_bytes(body, MESSAGE_BYTES)).await;
    read.map_err(|_| Refusal::TooSlow)?
        .map_err(|_| Refusal::TooLarge)
}

/// The connection whose key a request shows.
fn shown(shared: &Shared, headers: &HeaderMap) -> Result<(keys::Key, Arc<Carried>), Refusal> {
    check_origin(shared, headers)?;
    let shown = headers.get(AUTHORIZATION);
    let key = shown
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.strip_prefix("Bearer "));
    let found = key.and_then(|key| shared.keys.find(key));
    found.ok_or(Refusal::UnknownConnection)
}
