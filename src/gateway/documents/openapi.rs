//! The OpenAPI document of the requests.

use serde_json::{Map, Value, json};

use super::super::operation::{Answer, Body, Operation, Parameter, Refused, Shown};
use super::schemas::{of_messages, of_requests};

/// The document of these operations.
pub(super) fn document(operations: &[Operation]) -> String {
    let mut paths = Map::new();
    for operation in operations {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method] = described(operation);
    }
    let mut schemas = of_messages();
    schemas.extend(of_requests());
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Peerage signaling",
            "version": "1",
            "description": "Sessions over plain requests, for those whose network passes no WebSocket; \
                docs/protocol.md says what a client does with them.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer",
                    "description": "The `connection` that the answer to `POST /v1/connect` brought."},
                "ticket": {"type": "apiKey", "in": "query", "name": "ticket",
                    "description": "Good for one request within 30 seconds."},
            },
        },
    });
    document.to_string()
}

fn described(operation: &Operation) -> Value {
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "responses": responses(operation),
    });
    match operation.shown {
        Shown::Nothing => {}
        Shown::Key => described["security"] = json!([{"key": []}]),
        Shown::KeyOrTicket => described["security"] = json!([{"key": []}, {"ticket": []}]),
    }
    if !operation.parameters.is_empty() {
        described["parameters"] = operation.parameters.iter().map(parameter).collect();
    }
    if let Some(body) = operation.body {
        described["requestBody"] = json!({"required": true, "content": json_content(body)});
    }
    described
}

fn parameter(parameter: &Parameter) -> Value {
    let mut schema = json!({"type": parameter.kind});
    if parameter.kind == "integer" {
        schema["minimum"] = json!(0);
    }
    json!({
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.description,
        "schema": schema,
    })
}

fn responses(operation: &Operation) -> Value {
    let mut responses = Map::new();
    for answer in &operation.answers {
        responses.insert(answer.status.to_string(), response(answer));
    }
    for refused in &operation.refusals {
        let status = refused.status.to_string();
        let response = responses
            .entry(status)
            .or_insert_with(|| refusal(refused.retry_after));
        let before = response["description"].as_str().unwrap_or_default();
        let separator = if before.is_empty() { "" } else { "; or " };
        let Refused { code, text, .. } = refused;
        let description = format!("{before}{separator}`{code}`: {text}");
        response["description"] = Value::String(description);
    }
    Value::Object(responses)
}

fn response(answer: &Answer) -> Value {
    let mut response = json!({"description": answer.description});
    match answer.body {
        Body::None => {}
        Body::Json(schema) => response["content"] = json_content(schema),
        Body::Events => {
            response["content"] = json!({"text/event-stream": {"schema": {"type": "string"}}});
        }
        Body::Text => {
            let kind = "text/plain; charset=utf-8";
            response["content"] = json!({kind: {"schema": {"type": "string"}}});
        }
    }
    if answer.retry_after {
        response["headers"] = retry_after();
    }
    response
}

fn refusal(may_come_back: bool) -> Value {
    let mut response = json!({"description": "", "content": json_content("refusal")});
    if may_come_back {
        response["headers"] = retry_after();
    }
    response
}

fn retry_after() -> Value {
    json!({"Retry-After": {
        "description": "In how many seconds to ask again.",
        "schema": {"type": "integer", "minimum": 1},
    }})
}

fn json_content(schema: &str) -> Value {
    let reference = format!("#/components/schemas/{schema}");
    json!({"application/json": {"schema": {"$ref": reference}}})
}
