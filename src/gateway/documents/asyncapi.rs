//! The AsyncAPI document of the channels on which messages travel.

use serde_json::{Map, Value, json};

use super::schemas::of_messages;

/// The document.
pub(super) fn document() -> String {
    let schemas = of_messages();
    let clients = names(&schemas["client_message"]);
    let servers = names(&schemas["server_message"]);
    let mut messages = Map::new();
    for name in clients.iter().chain(&servers) {
        messages.insert(name.clone(), message(name, &schemas[name]));
    }
    let both: Vec<String> = clients.iter().chain(&servers).cloned().collect();
    let document = json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Peerage signaling",
            "version": "1",
            "description": "One message is one JSON object. docs/protocol.md says what each means; \
                the OpenAPI document at /v1/openapi.json has the requests around the last two channels.",
        },
        "defaultContentType": "application/json",
        "channels": {
            "websocket": channel("/v1/ws", "A WebSocket: each message is one text frame.", &both),
            "events": channel("/v1/events", "A stream of Server-Sent Events: each message is \
                the data of one event, whose id is its number on the connection. An event `ping` is \
                answered with an empty array to /v1/messages, at once.", &servers),
            "poll": channel("/v1/poll", "A request that is held until there is something, or \
                answered at once.", &servers),
            "messages": channel("/v1/messages", "What clients say that read events or polls.",
                &clients),
        },
        "operations": {
            "hear": operation("receive", "websocket", &clients),
            "say": operation("send", "websocket", &servers),
            "hearByRequests": operation("receive", "messages", &clients),
            "sayByEvents": operation("send", "events", &servers),
            "sayByPolls": operation("send", "poll", &servers),
        },
        "components": {"messages": messages, "schemas": schemas},
    });
    document.to_string()
}

/// The names of the schemas that one of several is.
fn names(one_of: &Value) -> Vec<String> {
    let references = one_of["oneOf"].as_array().into_iter().flatten();
    references
        .filter_map(|reference| reference["$ref"].as_str()?.rsplit('/').next())
        .map(str::to_owned)
        .collect()
}

fn message(name: &str, schema: &Value) -> Value {
    json!({
        "name": schema["properties"]["type"]["const"],
        "summary": schema["description"],
        "payload": {"$ref": format!("#/components/schemas/{name}")},
    })
}

fn channel(address: &str, description: &str, names: &[String]) -> Value {
    let mut messages = Map::new();
    for name in names {
        let reference = format!("#/components/messages/{name}");
        messages.insert(name.clone(), json!({"$ref": reference}));
    }
    json!({"address": address, "description": description, "messages": messages})
}

fn operation(action: &str, channel: &str, names: &[String]) -> Value {
    let reference =
        |name: &String| json!({"$ref": format!("#/channels/{channel}/messages/{name}")});
    json!({
        "action": action,
        "channel": {"$ref": format!("#/channels/{channel}")},
        "messages": names.iter().map(reference).collect::<Vec<_>>(),
    })
}
