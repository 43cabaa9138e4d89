//! What can be asked for beside signaling, as the OpenAPI documents tell it.

use axum::routing::MethodRouter;

use super::metrics::OPEN_METRICS;
use crate::gateway::{Answer, Body, Interface, Operation, PLAIN, Shown};

/// A route, and what is told of it.
pub(super) type Route = (Operation, MethodRouter);

/// The document of the metrics listener.
pub(super) fn metrics_document(operations: &[Operation]) -> String {
    let schemas = include_str!("operations.json");
    let interface = Interface {
        title: "Peerage's metrics listener",
        description: "What an operator asks for; docs/operator.md says more.",
        operations,
        schemas: serde_json::from_str(schemas).expect("the tests read it"),
    };
    interface.document()
}

/// `GET /healthz`
pub(super) fn alive() -> Operation {
    reading(
        ("/healthz", "alive", "Whether the process runs."),
        vec![answer(200, "It does", Body::Text(PLAIN))],
    )
}

/// `GET /readyz`
pub(super) fn ready() -> Operation {
    const NOT_NOW: &str = "It starts, drains, or waits for the keys of access tokens";
    reading(
        ("/readyz", "ready", "Whether the server takes work."),
        vec![
            answer(200, "It does", Body::Text(PLAIN)),
            answer(503, NOT_NOW, Body::Text(PLAIN)),
        ],
    )
}

/// `GET /openapi.json`
pub(super) fn document() -> Operation {
    reading(
        ("/openapi.json", "openapi", "This document."),
        vec![answer(
            200,
            "This document",
            Body::Object("application/json"),
        )],
    )
}

/// `GET /metrics`
pub(super) fn metrics() -> Operation {
    Operation {
        shown: Shown::TokenIfSet,
        ..reading(
            ("/metrics", "metrics", "What the server counts."),
            vec![
                answer(200, "The metrics", Body::Text(OPEN_METRICS)),
                token_needed(),
            ],
        )
    }
}

/// `POST /admin/revoke`
pub(super) fn revoke() -> Operation {
    const NOT_KEPT: &str =
        "Revoked until the server stops: the disk does not take it, and the log says why";
    const REFUSED: &str =
        "Nothing is revoked: the server stops, or remembers as many revocations as it may";
    let failure = |status, why| answer(status, why, Body::Json("failure"));
    Operation {
        method: "post",
        path: "/admin/revoke",
        id: "revoke",
        summary: "End, for good, what somebody has.",
        shown: Shown::TokenIfSet,
        parameters: &[],
        body: Some("revocation"),
        answers: vec![
            answer(200, "Revoked, also after a restart", Body::Json("revoked")),
            failure(400, "The body is no revocation"),
            token_needed(),
            failure(403, "A page has asked"),
            failure(413, "The body has more than 4096 bytes"),
            failure(415, "The body is not declared as JSON"),
            answer(500, NOT_KEPT, Body::Json("not_kept")),
            failure(503, REFUSED),
        ],
        refusals: Vec::new(),
    }
}

fn reading(
    (path, id, summary): (&'static str, &'static str, &'static str),
    answers: Vec<Answer>,
) -> Operation {
    Operation {
        method: "get",
        path,
        id,
        summary,
        shown: Shown::Nothing,
        parameters: &[],
        body: None,
        answers,
        refusals: Vec::new(),
    }
}

const fn token_needed() -> Answer {
    answer(
        401,
        "`metrics.token` is set, and was not shown",
        Body::Text(PLAIN),
    )
}

const fn answer(status: u16, description: &'static str, body: Body) -> Answer {
    Answer {
        status,
        description,
        body,
        retry_after: false,
    }
}
