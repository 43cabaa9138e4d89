//! Holds messages against the JSON schema of the protocol.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use boon::{Compiler, SchemaIndex, Schemas};
use peerage::dialect::native::{self, DecodeError};
use serde_json::{Value, json};

/// Said with everything that a message and the schema do not agree about.
const WHAT_TO_DO: &str = "The schema is src/dialect/native/schema.json. A new message has an entry \
    `client_TYPE` or `server_TYPE` in its `$defs`, with an example, and a line in the list of \
    `client_message` or `server_message`; a new field has one in the `properties` of its message.";

/// What a close frame says.
const CLOSE: &str = "close_frame";

/// A schema in which fields that are not named may not be.
struct Checker {
    schemas: Schemas,
    of: BTreeMap<String, SchemaIndex>,
}

/// The schema as it is.
pub(crate) fn schema() -> Value {
    serde_json::from_str(native::SCHEMA).expect("the schema is JSON")
}

/// Of which definitions a message is one.
pub(crate) fn one_of(schema: &Value, list: &str) -> Vec<String> {
    let references = schema["$defs"][list]["oneOf"].as_array().expect("a list");
    references
        .iter()
        .map(|reference| {
            let reference = reference["$ref"].as_str().expect("a reference");
            let name = reference.strip_prefix("#/$defs/");
            name.expect("to a definition").to_owned()
        })
        .collect()
}

impl Checker {
    fn new(mut schema: Value, names: &[String]) -> Self {
        close(&mut schema);
        let mut compiler = Compiler::new();
        let added = compiler.add_resource("urn:peerage:protocol:1", schema);
        added.expect("a schema");
        let mut schemas = Schemas::new();
        let mut compile = |name: &String| {
            let location = format!("urn:peerage:protocol:1#/$defs/{name}");
            let index = compiler.compile(&location, &mut schemas);
            (
                name.clone(),
                index.unwrap_or_else(|error| panic!("{error:#}")),
            )
        };
        let of = names.iter().map(&mut compile).collect();
        Self { schemas, of }
    }

    fn check(&self, side: &str, message: &Value) -> Result<(), String> {
        let name = format!("{side}_{}", message["type"].as_str().unwrap_or_default());
        let Some(index) = self.of.get(&name) else {
            return Err(format!("no {name} for {message}\n{WHAT_TO_DO}"));
        };
        self.check_with(*index, message)
    }

    fn check_with(&self, index: SchemaIndex, value: &Value) -> Result<(), String> {
        let checked = self.schemas.validate(value, index);
        checked.map_err(|error| format!("{value}\n{error}\n{WHAT_TO_DO}"))
    }
}

/// Forbids what is not named.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.contains_key("properties") {
                fields.insert("additionalProperties".to_owned(), json!(false));
            }
            fields.remove("examples");
            fields.values_mut().for_each(close);
        }
        Value::Array(values) => values.iter_mut().for_each(close),
        _ => {}
    }
}

/// Lets every text and number be what it wants: what the server looks at after it has read a
/// message.
fn loosen(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            for bound in ["pattern", "maxLength", "maximum"] {
                fields.remove(bound);
            }
            if fields.get("const").is_some_and(Value::is_number) {
                *schema = json!({"type": "integer"});
                return;
            }
            fields.values_mut().for_each(loosen);
        }
        Value::Array(values) => values.iter_mut().for_each(loosen),
        _ => {}
    }
}

static SERVER: LazyLock<Checker> = LazyLock::new(|| {
    let schema = schema();
    let mut names = one_of(&schema, "server_message");
    names.push(CLOSE.to_owned());
    Checker::new(schema, &names)
});

static CLIENT: LazyLock<Checker> = LazyLock::new(|| {
    let schema = schema();
    let names = one_of(&schema, "client_message");
    Checker::new(schema, &names)
});

static CLIENT_BY_FORM: LazyLock<Checker> = LazyLock::new(|| {
    let mut schema = schema();
    let names = one_of(&schema, "client_message");
    loosen(&mut schema);
    Checker::new(schema, &names)
});

/// Reads the schema, which takes a moment.
pub(crate) fn prepare() {
    for checker in [&SERVER, &CLIENT, &CLIENT_BY_FORM] {
        LazyLock::force(checker);
    }
}

/// Whether a message of the server is of the schema, or why not.
pub(crate) fn of_server(message: &Value) -> Result<(), String> {
    SERVER.check("server", message)
}

/// Whether a message of a client is of the schema, or why not.
pub(crate) fn of_client(message: &Value) -> Result<(), String> {
    CLIENT.check("client", message)
}

/// Panics unless the server may close like this; gives what its reason says.
pub(crate) fn closed(reason: &str) -> Value {
    let reason = serde_json::from_str(reason).unwrap_or_else(|_| panic!("no JSON: {reason}"));
    let checked = SERVER.check_with(SERVER.of[CLOSE], &reason);
    checked.unwrap_or_else(|why| panic!("the server has closed with {why}"));
    reason
}

/// Panics unless the server may say this.
pub(crate) fn received(message: &Value) {
    of_server(message).unwrap_or_else(|why| panic!("the server has said {why}"));
}

/// Panics unless the server and the schema agree on whether this is a message, and on its fields.
/// Whether a text is too long or a number too large is another matter: the server says that later.
pub(crate) fn sent(message: &Value) {
    let decoded = native::decode(message.to_string().as_bytes());
    match decoded {
        Ok(_) => {
            let checked = CLIENT_BY_FORM.check("client", message);
            checked.unwrap_or_else(|why| panic!("a client has said {why}"));
        }
        Err(DecodeError::Malformed { detail, .. }) => {
            assert!(
                of_client(message).is_err(),
                "{message} is of the schema, but the server says {detail}\n{WHAT_TO_DO}"
            );
        }
        Err(DecodeError::UnknownType { .. }) => {
            assert!(of_client(message).is_err(), "{message}\n{WHAT_TO_DO}");
        }
    }
}
