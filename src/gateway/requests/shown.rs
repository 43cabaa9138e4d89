//! What a request shows: its origin, its key, its body.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use tokio::time::timeout;

use super::super::origin;
use super::super::shared::Shared;
use super::answers::Refusal;
use super::carried::Carried;
use super::keys::Key;
use crate::signal::MESSAGE_BYTES;

/// How long a body may take to come.
const BODY: Duration = Duration::from_secs(10);

/// Whether a page may ask at all. A client that is no page sends no origin.
pub(super) fn check_origin(shared: &Shared, headers: &HeaderMap) -> Result<(), Refusal> {
    let is_allowed = origin::is_allowed(headers, &shared.settings.allowed_origins);
    is_allowed.then_some(()).ok_or(Refusal::Origin)
}

/// All of a body, if it is no longer than a message may be and comes in time.
pub(super) async fn whole(body: Body) -> Result<Bytes, Refusal> {
    let read = timeout(BODY, to_bytes(body, MESSAGE_BYTES)).await;
    read.map_err(|_| Refusal::TooSlow)?
        .map_err(|_| Refusal::TooLarge)
}

/// The connection whose key a request shows.
pub(super) fn shown(shared: &Shared, headers: &HeaderMap) -> Result<(Key, Arc<Carried>), Refusal> {
    check_origin(shared, headers)?;
    let shown = headers.get(AUTHORIZATION);
    let key = shown
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.strip_prefix("Bearer "));
    let found = key.and_then(|key| shared.keys.find(key));
    found.ok_or(Refusal::UnknownConnection)
}
