//! What happens, told on stdout.

use serde_json::{Value, json};
use std::io::Write;

/// Writes one event, with its fields, as a line.
pub(crate) fn event(name: &str, mut fields: Value) {
    fields["event"] = json!(name);
    // Whoever closes the pipe has no more interest in events; that must not prevent the `bye`.
    drop(writeln!(std::io::stdout(), "{fields}"));
}
