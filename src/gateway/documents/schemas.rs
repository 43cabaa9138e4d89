//! The schemas that the documents share.

use serde_json::{Map, Value};

use crate::dialect::native;

/// Those of the protocol.
pub(super) fn of_messages() -> Map<String, Value> {
    let text = native::SCHEMA.replace("#/$defs/", "#/components/schemas/");
    let mut schema: Value = serde_json::from_str(&text).expect("the tests read it");
    match schema["$defs"].take() {
        Value::Object(schemas) => schemas,
        _ => Map::new(),
    }
}

/// What only requests carry.
pub(super) fn of_requests() -> Map<String, Value> {
    serde_json::from_str(include_str!("requests.json")).expect("the tests read it")
}
