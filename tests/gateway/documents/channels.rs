//! The AsyncAPI document: whole, and with every message on the channels on which it travels.

use serde_json::Value;

use super::checker::{one_of, schema};
use super::interface::{assert_whole, document};
use super::source;
use crate::world::Server;

/// The names of the messages of an operation.
fn messages(document: &Value, operation: &str) -> Vec<String> {
    let references = document["operations"][operation]["messages"].as_array();
    let references = references.expect("messages").iter();
    let name = |reference: &Value| {
        let pointer = reference["$ref"].as_str().expect("a reference");
        pointer.rsplit('/').next().expect("a name").to_owned()
    };
    references.map(name).collect()
}

#[tokio::test]
async fn the_asyncapi_document_is_whole_and_has_every_message() {
    let server = Server::start().await;
    let document = document(&server, "/v1/asyncapi.json").await;
    assert_eq!(document["asyncapi"], "3.0.0");
    assert_whole(&document);
    let schema = schema();
    for (operations, list, count) in [
        (
            &["hear", "hearByRequests"][..],
            "client_message",
            source::client_types().len(),
        ),
        (
            &["say", "sayByEvents", "sayByPolls"],
            "server_message",
            source::server_types().len(),
        ),
    ] {
        for operation in operations {
            let names = messages(&document, operation);
            assert_eq!(names, one_of(&schema, list));
            assert_eq!(names.len(), count);
        }
    }
    let names = messages(&document, "say");
    for name in names {
        let message = &document["components"]["messages"][&name];
        assert_eq!(
            format!("server_{}", message["name"].as_str().expect("a name")),
            name
        );
    }
}

#[tokio::test]
async fn the_schema_is_served_as_it_is() {
    let server = Server::start().await;
    assert_eq!(
        document(&server, "/v1/protocol.schema.json").await,
        schema()
    );
}
