//! The OpenAPI document: whole, and true of every operation.

use std::collections::BTreeSet;

use boon::{Compiler, Schemas};
use hyper::Method;
use serde_json::{Value, json};

use crate::asking::{Asking, Way, json_of, request};
use crate::world::Server;

const PROSE: &str = include_str!("../../../docs/protocol.md");

/// One of the documents that the server gives.
pub(super) async fn document(server: &Server, path: &str) -> Value {
    let answer = request(server.address, Method::GET, path, &[], "").await;
    assert_eq!(answer.status(), 200, "{path}");
    json_of(answer).await
}

/// Every reference of a document leads somewhere within it.
pub(super) fn assert_whole(document: &Value) {
    let mut waiting = vec![document];
    let mut references = 0;
    while let Some(value) = waiting.pop() {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(reference)) = fields.get("$ref") {
                    let pointer = reference.strip_prefix('#').expect("within the document");
                    assert!(document.pointer(pointer).is_some(), "{reference}");
                    references += 1;
                }
                waiting.extend(fields.values());
            }
            Value::Array(values) => waiting.extend(values),
            _ => {}
        }
    }
    assert!(references > 50, "{references}");
}

/// Panics unless an answer of this status and body is what the document says of an operation.
fn assert_told(document: &Value, (method, path): (&str, &str), status: u16, body: Option<&Value>) {
    let told = &document["paths"][path][method]["responses"][status.to_string()];
    assert!(told.is_object(), "{method} {path}: {status} is not told");
    let schema = &told["content"]["application/json"]["schema"];
    let Some(body) = body else {
        assert!(schema.is_null(), "{method} {path} {status}: no body");
        return;
    };
    let reference = schema["$ref"].as_str().expect("a schema");
    let (mut compiler, mut schemas) = (Compiler::new(), Schemas::new());
    let mut whole = json!({"$schema": "https://json-schema.org/draft/2020-12/schema"});
    whole["components"] = document["components"].clone();
    compiler
        .add_resource("urn:openapi", whole)
        .expect("a schema");
    let index = compiler.compile(&format!("urn:openapi{reference}"), &mut schemas);
    let checked = schemas.validate(body, index.expect("a schema"));
    checked.unwrap_or_else(|error| panic!("{method} {path} {status}: {body}\n{error}"));
}

#[tokio::test]
async fn the_openapi_document_is_whole_and_names_every_route_once() {
    let server = Server::start().await;
    let document = document(&server, "/v1/openapi.json").await;
    assert_eq!(document["openapi"], "3.1.0");
    assert_whole(&document);
    let paths = document["paths"].as_object().expect("paths");
    let mut names = BTreeSet::new();
    for (path, operations) in paths {
        for (method, operation) in operations.as_object().expect("operations") {
            assert!(names.insert(operation["operationId"].to_string()));
            let method: Method = method.to_uppercase().parse().expect("a method");
            let answer = request(server.address, method, path, &[], "").await;
            let status = answer.status().as_u16().to_string();
            // There is such a route: what the router itself refuses has no body of ours.
            assert!(
                operation["responses"][&status].is_object(),
                "{path}: {status}"
            );
            assert!(answer.headers().contains_key("content-type"), "{path}");
        }
    }
    assert_eq!(names.len(), 9);
}

#[tokio::test]
async fn what_is_answered_is_what_the_document_says() {
    let server = Server::start().await;
    let document = document(&server, "/v1/openapi.json").await;
    let asking = Asking::new(&server, Way::Polls).await;
    let bearer = format!("Bearer {}", asking.key);
    let (key, none) = (("authorization", &*bearer), ("accept", "*/*"));
    let evil = ("origin", "https://evil.example");
    let hello = r#"{"type":"hello","version":1}"#;
    let many = json!(vec![json!({"type": "ping"}); 257]).to_string();
    let long = " ".repeat(65_537);
    for (method, path, query, header, body, status) in [
        ("post", "/v1/connect", "", none, hello, 200),
        ("post", "/v1/connect", "", none, "{}", 400),
        ("post", "/v1/connect", "", evil, hello, 403),
        ("post", "/v1/connect", "", none, &long, 413),
        ("post", "/v1/messages", "", key, r#"{"type":"ping"}"#, 204),
        ("post", "/v1/messages", "", key, "[]", 204),
        ("post", "/v1/messages", "", key, &many, 400),
        ("post", "/v1/messages", "", key, &long, 413),
        ("post", "/v1/messages", "", none, "{}", 404),
        ("get", "/v1/poll", "?wait=0&cursor=1", key, "", 200),
        ("get", "/v1/poll", "?wait=x", key, "", 400),
        ("get", "/v1/poll", "", evil, "", 403),
        ("get", "/v1/events", "?cursor=99", key, "", 400),
        ("get", "/v1/events", "?ticket=x", none, "", 404),
        ("post", "/v1/ticket", "", key, "", 200),
        ("post", "/v1/ticket", "", none, "", 404),
        ("post", "/v1/messages", "", key, r#"{"type":"bye"}"#, 204),
    ] {
        let url = format!("{path}{query}");
        let asked: Method = method.to_uppercase().parse().expect("a method");
        let answer = request(server.address, asked, &url, &[header], body).await;
        assert_eq!(answer.status(), status, "{method} {url}");
        let body = match status {
            204 => None,
            _ => Some(json_of(answer).await),
        };
        assert_told(&document, (method, path), status, body.as_ref());
    }
    let end = asking.poll(asking.cursor + 1, 25).await;
    assert_eq!(end["closed"]["code"], 1000);
    assert_told(&document, ("get", "/v1/poll"), 200, Some(&end));
    let answer = asking.ask(Method::POST, "/v1/messages", "{}").await;
    assert_eq!(answer.status(), 410);
    let gone = json_of(answer).await;
    assert_told(&document, ("post", "/v1/messages"), 410, Some(&gone));
}

#[tokio::test]
async fn the_prose_has_the_same_refusals_as_the_document() {
    let server = Server::start().await;
    let document = document(&server, "/v1/openapi.json").await;
    let mut told = BTreeSet::new();
    for operations in document["paths"].as_object().expect("paths").values() {
        for operation in operations.as_object().expect("operations").values() {
            for (status, response) in operation["responses"].as_object().expect("responses") {
                let text = response["description"].as_str().expect("a text");
                let codes = text.split("; or ").filter_map(|text| {
                    let code = text.strip_prefix('`')?;
                    code.split_once("`: ").map(|(code, _)| code.to_owned())
                });
                told.extend(codes.map(|code| (status.clone(), code)));
            }
        }
    }
    let (_, table) = PROSE
        .split_once("| status | code | |\n")
        .expect("the table");
    let rows = table
        .lines()
        .skip(1)
        .take_while(|line| line.starts_with('|'));
    let rows = rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        (cells[1].to_owned(), cells[2].trim_matches('`').to_owned())
    });
    assert_eq!(rows.collect::<BTreeSet<_>>(), told);
}
