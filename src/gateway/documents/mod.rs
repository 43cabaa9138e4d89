//! What describes the interface for programs: the JSON schema of the messages, the OpenAPI document
//! of what can be asked for, the AsyncAPI document of the channels. The last two are made of what
//! the routes and the schema say.

mod asyncapi;
pub(crate) mod openapi;
mod schemas;

use axum::Router;
use axum::body::Bytes;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::routing::get;

use self::openapi::Interface;
use self::schemas::{of_messages, of_requests};
use super::operation::{Answer, Body, Operation, Shown};
use crate::dialect::native;

const JSON: &str = "application/json";

/// A document as it is served.
struct Document {
    path: &'static str,
    /// A name for code that is made of the OpenAPI document.
    id: &'static str,
    kind: &'static str,
    what: &'static str,
}

const PROTOCOL: Document = Document {
    path: "/v1/protocol.schema.json",
    id: "protocolSchema",
    kind: "application/schema+json",
    what: "A JSON schema of all messages",
};
const OPENAPI: Document = Document {
    path: "/v1/openapi.json",
    id: "openapi",
    kind: JSON,
    what: "This document",
};
const ASYNCAPI: Document = Document {
    path: "/v1/asyncapi.json",
    id: "asyncapi",
    kind: JSON,
    what: "The AsyncAPI document of the channels on which messages travel",
};

/// Serves the documents. `operations` are the other ones of the listener.
pub(super) fn router<S>(mut operations: Vec<Operation>) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    operations.extend([PROTOCOL, OPENAPI, ASYNCAPI].map(|document| reading(&document)));
    Router::new()
        .merge(serve(&PROTOCOL, native::SCHEMA.to_owned()))
        .merge(serve(&OPENAPI, public(&operations).document()))
        .merge(serve(&ASYNCAPI, asyncapi::document()))
}

fn serve<S>(document: &Document, text: String) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let text = Bytes::from(text);
    let headers = [(CONTENT_TYPE, document.kind), (CACHE_CONTROL, "no-cache")];
    Router::new().route(document.path, get(move || async move { (headers, text) }))
}

/// The operation that gives a document.
fn reading(document: &Document) -> Operation {
    Operation {
        method: "get",
        path: document.path,
        id: document.id,
        summary: document.what,
        shown: Shown::Nothing,
        parameters: &[],
        body: None,
        answers: vec![Answer {
            status: 200,
            description: document.what,
            body: Body::Object(document.kind),
            retry_after: false,
        }],
        refusals: Vec::new(),
    }
}

/// What clients and their pages may ask for.
fn public(operations: &[Operation]) -> Interface<'_> {
    let mut schemas = of_messages();
    schemas.extend(of_requests());
    Interface {
        title: "Peerage signaling",
        description: "Sessions over plain requests, for those whose network passes no WebSocket; \
            docs/protocol.md says what a client does with them. What is not named here is a file \
            of the page.",
        operations,
        schemas,
    }
}
