//! The OpenAPI documents of both listeners, and what is answered there beside signaling.

use std::net::SocketAddr;

use boon::{Compiler, Schemas};
use serde_json::{Value, json};

use crate::client::{Answer, ask, get};
use crate::process::Server;

/// An OpenAPI document of a listener.
struct Document {
    listener: SocketAddr,
    text: Value,
}

impl Document {
    fn read(listener: SocketAddr, path: &str) -> Self {
        let answer = get(listener, path);
        assert_eq!(answer.status, 200, "{path}");
        let text = serde_json::from_str(&answer.body).expect("JSON");
        Self { listener, text }
    }

    /// Every method of every path.
    fn operations(&self) -> Vec<(String, String)> {
        let paths = self.text["paths"].as_object().expect("paths");
        let methods = paths.iter().flat_map(|(path, methods)| {
            let methods = methods.as_object().expect("methods").keys();
            methods.map(|method| (method.to_uppercase(), path.clone()))
        });
        methods.collect()
    }

    /// Asks, and panics unless the answer has this status, and a body as the document says.
    fn ask(&self, (method, path): (&str, &str), headers: &str, body: &str, status: u16) {
        let answer = ask(self.listener, method, path, headers, body);
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
        let told = &self.text["paths"][path][method.to_lowercase()]["responses"];
        let told = &told[status.to_string()];
        assert!(told.is_object(), "{method} {path}: {status} is not told");
        let content = told["content"].as_object().expect("each has a body");
        let kind = answer.header("content-type");
        let schema = &content
            .get(kind)
            .unwrap_or_else(|| panic!("{path}: {kind}"))["schema"];
        self.check(schema, &answer, kind);
    }

    fn check(&self, schema: &Value, answer: &Answer, kind: &str) {
        let body = if kind.ends_with("json") {
            serde_json::from_str(&answer.body).expect("JSON")
        } else {
            Value::String(answer.body.clone())
        };
        let whole = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "components": self.text["components"],
            "$ref": schema["$ref"].as_str().unwrap_or("#/plain"),
            "plain": schema,
        });
        let (mut compiler, mut schemas) = (Compiler::new(), Schemas::new());
        let added = compiler.add_resource("urn:openapi", whole);
        added.expect("a schema");
        let index = compiler.compile("urn:openapi", &mut schemas);
        let checked = schemas.validate(&body, index.expect("a schema"));
        checked.unwrap_or_else(|error| panic!("{body}\n{error}"));
    }
}

#[test]
fn the_public_document_has_health_and_the_documents_themselves() {
    let state = tempfile::tempdir().expect("a folder");
    let server = Server::start(state.path(), &[]);
    let document = Document::read(server.http, "/v1/openapi.json");
    for path in [
        "/healthz",
        "/readyz",
        "/v1/openapi.json",
        "/v1/asyncapi.json",
        "/v1/protocol.schema.json",
    ] {
        document.ask(("GET", path), "", "", 200);
    }
    let named = document.operations();
    assert!(!named.iter().any(|(_, path)| path == "/metrics"));
}

#[test]
fn the_operators_document_says_what_is_answered_on_the_metrics_listener() {
    let state = tempfile::tempdir().expect("a folder");
    let file = state.path().join("peerage.toml");
    std::fs::write(&file, "[metrics]\ntoken = \"hush\"").expect("written");
    let server = Server::start(state.path(), &["--config", file.to_str().expect("a path")]);
    let document = Document::read(server.metrics, "/openapi.json");
    let (token, kind) = (
        "Authorization: Bearer hush\r\n",
        "Content-Type: application/json\r\n",
    );
    let both = format!("{token}{kind}");
    let page = format!("{both}Origin: https://evil.example\r\n");
    let subject = json!({"subject": "ada"}).to_string();
    let long = json!({"subject": "a".repeat(4_096)}).to_string();
    let revoke = ("POST", "/admin/revoke");
    let asked = [
        (("GET", "/healthz"), "", "", 200),
        (("GET", "/readyz"), "", "", 200),
        (("GET", "/openapi.json"), "", "", 200),
        (("GET", "/metrics"), "", "", 401),
        (("GET", "/metrics"), token, "", 200),
        (revoke, kind, &subject, 401),
        (revoke, &both, &subject, 200),
        (revoke, &both, "{}", 400),
        (revoke, &page, &subject, 403),
        (revoke, &both, &long, 413),
        (revoke, token, &subject, 415),
    ];
    for (operation, headers, body, status) in asked {
        document.ask(operation, headers, body, status);
    }
    for (method, path) in document.operations() {
        let is_asked = asked
            .iter()
            .any(|(operation, ..)| *operation == (&*method, &*path));
        assert!(
            is_asked,
            "nothing holds {method} {path} against the document"
        );
    }
}
