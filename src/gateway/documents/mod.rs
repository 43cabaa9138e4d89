//! What describes the interface for programs: the JSON schema of the messages, the OpenAPI document
//! of the requests, the AsyncAPI document of the channels. The last two are made of what the
//! routes and the schema say.

mod asyncapi;
mod openapi;
mod schemas;

use axum::Router;
use axum::body::Bytes;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::routing::get;

use super::operation::Operation;
use crate::dialect::native;

/// Serves the documents.
pub(super) fn router<S: Clone + Send + Sync + 'static>(operations: &[Operation]) -> Router<S> {
    let documents = [
        (
            "/v1/protocol.schema.json",
            "application/schema+json",
            native::SCHEMA.to_owned(),
        ),
        (
            "/v1/openapi.json",
            "application/json",
            openapi::document(operations),
        ),
        (
            "/v1/asyncapi.json",
            "application/json",
            asyncapi::document(),
        ),
    ];
    documents
        .into_iter()
        .fold(Router::new(), |router, (path, kind, text)| {
            let text = Bytes::from(text);
            let headers = [(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-cache")];
            router.route(path, get(move || async move { (headers, text) }))
        })
}
