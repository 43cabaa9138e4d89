//! Prints what a configuration resolves to.

use std::fmt::Write;

use super::keys::KEYS;
use super::reader::Entry;

/// The configuration as TOML, secrets redacted, with the origin of each value behind it.
pub(super) fn explain(entries: &[Entry]) -> String {
    let mut text = String::new();
    let mut section = "";
    for key in KEYS {
        let Some(entry) = entries.iter().find(|entry| entry.key == key.name) else {
            continue;
        };
        let (of, name) = key.name.rsplit_once('.').unwrap_or(("", key.name));
        if of != section {
            section = of;
            text.push_str(&format!("\n[{section}]\n"));
        }
        let written = match &entry.value {
            Some(value) => writeln!(text, "{name} = {value}  # {}", entry.origin),
            None => writeln!(text, "# {name} is not set"),
        };
        written.expect("writing into a string cannot fail");
    }
    text
}
