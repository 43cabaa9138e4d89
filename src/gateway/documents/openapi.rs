//! OpenAPI documents: what can be asked for on a listener.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::operation::{Answer, Body, Operation, Parameter, Refused, Shown};

/// What a document is made of.
#[derive(Clone, Debug)]
pub(crate) struct Interface<'a> {
    pub(crate) title: &'static str,
    pub(crate) description: &'static str,
    pub(crate) operations: &'a [Operation],
    /// The schemas of bodies, and what these refer to.
    pub(crate) schemas: Map<String, Value>,
}

impl Interface<'_> {
    /// The document.
    pub(crate) fn document(self) -> String {
        let mut paths = Map::new();
        let mut schemes = BTreeMap::new();
        for operation in self.operations {
            let path = paths.entry(operation.path).or_insert_with(|| json!({}));
            path[operation.method] = described(operation);
            let shown = ways(operation.shown).iter().flatten();
            schemes.extend(shown.map(|name| (*name, scheme(name))));
        }
        let document = json!({
            "openapi": "3.1.0",
            "info": {
                "title": self.title,
                "version": "1",
                "description": self.description,
                "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
            },
            "servers": [{"url": "/"}],
            "paths": paths,
            "components": {"schemas": self.schemas, "securitySchemes": schemes},
        });
        document.to_string()
    }
}

/// What may be shown, by the names of security schemes; any of them is enough.
const fn ways(shown: Shown) -> &'static [Option<&'static str>] {
    match shown {
        Shown::Nothing => &[],
        Shown::Key => &[Some("key")],
        Shown::KeyOrTicket => &[Some("key"), Some("ticket")],
        Shown::TokenIfSet => &[Some("token"), None],
    }
}

fn scheme(name: &str) -> Value {
    match name {
        "ticket" => json!({"type": "apiKey", "in": "query", "name": "ticket",
            "description": "Good for one request within 30 seconds."}),
        "token" => json!({"type": "http", "scheme": "bearer",
            "description": "`metrics.token`, where it is set."}),
        _ => json!({"type": "http", "scheme": "bearer",
            "description": "The `connection` that the answer to `POST /v1/connect` brought."}),
    }
}

fn described(operation: &Operation) -> Value {
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "responses": responses(operation),
    });
    let way = |name: &Option<&str>| name.map_or_else(|| json!({}), |name| json!({name: []}));
    let ways = ways(operation.shown);
    if !ways.is_empty() {
        described["security"] = ways.iter().map(way).collect();
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
        Body::Object(kind) => {
            response["content"] = json!({kind: {"schema": {"type": "object"}}});
        }
        Body::Text(kind) => {
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
