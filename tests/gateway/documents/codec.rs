//! The schema and the codec know the same messages, with the same fields.

use std::collections::BTreeSet;

use peerage::dialect::native::{DecodeError, decode};
use serde_json::Value;

use super::checker::{of_client, of_server, one_of, schema};
use super::source;

/// The types of one side in the schema.
fn types(side: &str) -> BTreeSet<String> {
    let schema = schema();
    let names = one_of(&schema, &format!("{side}_message"));
    names
        .iter()
        .map(|name| {
            let kind = name
                .strip_prefix(&format!("{side}_"))
                .expect("of this side");
            let written = &schema["$defs"][name]["properties"]["type"]["const"];
            assert_eq!(written, kind, "{name}");
            kind.to_owned()
        })
        .collect()
}

fn examples(name: &str) -> Vec<Value> {
    let schema = schema();
    let examples = schema["$defs"][name]["examples"].as_array();
    let examples = examples.unwrap_or_else(|| panic!("{name} in the schema has no example"));
    examples.clone()
}

#[test]
fn the_schema_has_every_type_and_no_other() {
    let what_to_do = "add it to src/dialect/native/schema.json, or strike it out there";
    assert_eq!(types("client"), source::client_types(), "{what_to_do}");
    assert_eq!(types("server"), source::server_types(), "{what_to_do}");
}

#[test]
fn every_definition_is_used_by_a_message() {
    let schema = schema();
    let text = schema.to_string();
    for name in schema["$defs"].as_object().expect("definitions").keys() {
        let reference = format!("\"#/$defs/{name}\"");
        let is_code = ["close_code", "close_frame"].contains(&name.as_str());
        assert!(text.contains(&reference) || is_code, "nothing uses {name}");
    }
}

#[test]
fn the_codes_of_errors_and_of_closing_are_those_of_the_code() {
    let schema = schema();
    let listed = |name: &str| {
        schema["$defs"][name]["enum"]
            .as_array()
            .expect("a list")
            .clone()
    };
    let errors = listed("error_code");
    let errors = errors
        .iter()
        .map(|code| code.as_str().expect("a word").to_owned());
    assert_eq!(errors.collect::<BTreeSet<_>>(), source::error_codes());
    let codes = listed("close_code");
    let codes = codes.iter().map(|code| code.as_u64().expect("a number"));
    let reasons = listed("close_reason");
    let reasons = reasons.iter().map(|word| word.as_str().expect("a word"));
    let ends = source::ends();
    let of_code: BTreeSet<u64> = ends.iter().map(|end| end.0.into()).collect();
    let of_reason: BTreeSet<&str> = ends.iter().map(|end| &*end.1).collect();
    assert_eq!(codes.collect::<BTreeSet<_>>(), of_code);
    assert_eq!(reasons.collect::<BTreeSet<_>>(), of_reason);
}

#[test]
fn the_examples_of_clients_are_read_and_lack_nothing() {
    let schema = schema();
    for kind in types("client") {
        let name = format!("client_{kind}");
        let required = schema["$defs"][&name]["required"]
            .as_array()
            .expect("a list");
        for example in examples(&name) {
            of_client(&example).expect("an example is of the schema");
            decode(example.to_string().as_bytes()).expect("an example is a message");
            for field in example.as_object().expect("an object").keys() {
                let mut without = example.clone();
                without.as_object_mut().expect("an object").remove(field);
                let is_required = required.iter().any(|name| name == field);
                let read = decode(without.to_string().as_bytes());
                let is_missed = matches!(read, Err(DecodeError::Malformed { .. }));
                assert_eq!(is_missed, is_required, "{without}");
                assert_eq!(of_client(&without).is_err(), is_required, "{without}");
            }
        }
    }
}

#[test]
fn where_null_is_no_value_it_is_refused_and_not_taken_for_nothing() {
    let schema = schema();
    let mut values = BTreeSet::new();
    for kind in types("client") {
        let name = format!("client_{kind}");
        let fields = schema["$defs"][&name]["properties"].as_object();
        for field in fields.expect("fields").keys() {
            let mut message = examples(&name).swap_remove(0);
            message[field] = Value::Null;
            let is_message = of_client(&message).is_ok();
            let read = decode(message.to_string().as_bytes());
            assert_eq!(read.is_ok(), is_message, "{message}: {read:?}");
            values.extend(is_message.then(|| field.clone()));
        }
    }
    let mut values: Vec<&str> = values.iter().map(String::as_str).collect();
    let of_hello = ["access_token", "client", "resume"];
    values.retain(|field| !of_hello.contains(field));
    assert_eq!(values, ["body", "data", "limit", "value"]);
}

#[test]
fn the_examples_of_the_server_are_of_the_schema() {
    for kind in types("server") {
        for example in examples(&format!("server_{kind}")) {
            of_server(&example).expect("an example is of the schema");
        }
    }
}

#[test]
fn the_schema_refuses_what_is_no_message() {
    for text in [
        r#"{"type":"pong","seq":1}"#,
        r#"{"type":"left","re":1,"room":"blue"}"#,
        r#"{"type":"left","seq":1,"re":1,"room":"not a room"}"#,
        r#"{"type":"error","code":"no_such_code","message":""}"#,
        r#"{"type":"dance"}"#,
        "[]",
    ] {
        let message = serde_json::from_str(text).expect("JSON");
        assert!(of_server(&message).is_err(), "{text}");
    }
}
