//! docs/protocol.md: its examples are messages, and its tables have the codes of the code.

use std::collections::BTreeSet;

use serde_json::Value;

use super::checker::{of_client, of_server};
use super::source;

const PROSE: &str = include_str!("../../../docs/protocol.md");

/// Stands where the page has only the beginning of an id.
const ID: &str = "6f0c7c1e-5d0b-4c55-9a3e-1f6c2f6f3c11";

/// The objects with a `type` in blocks and between backquotes.
fn examples() -> Vec<String> {
    let mut examples = Vec::new();
    for (index, part) in PROSE.split("```").enumerate() {
        if index % 2 == 1 {
            examples.extend(part.strip_prefix("json\n").map(str::to_owned));
        } else {
            let spans = part.split('`').skip(1).step_by(2);
            examples.extend(spans.map(str::to_owned));
        }
    }
    examples.retain(|text| {
        text.trim_start().starts_with("{\"type\":")
            || text.trim_start().starts_with("{\n  \"type\":")
    });
    examples
}

/// The page writes `…` for what is longer.
fn whole(text: &str) -> Value {
    let text = text.replace("\"room\": …", "\"room\": \"blue\"");
    let text = text.replace("[…]", "[]").replace(": …", ": 1");
    let mut whole = String::new();
    for (index, part) in text.split('"').enumerate() {
        if index > 0 {
            whole.push('"');
        }
        let digits = part.strip_suffix('…').unwrap_or_default();
        let is_id = digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_hexdigit());
        whole += if is_id { ID } else { part };
    }
    serde_json::from_str(&whole).unwrap_or_else(|error| panic!("{error}: {whole}"))
}

#[test]
fn every_example_is_a_message() {
    let examples = examples();
    assert!(examples.len() >= 20, "{}", examples.len());
    let mut told = BTreeSet::new();
    for example in examples {
        let message = whole(&example);
        let (as_client, as_server) = (of_client(&message), of_server(&message));
        if let (Err(client), Err(server)) = (&as_client, &as_server) {
            panic!("docs/protocol.md: neither side says {example}\n{client}\n{server}");
        }
        let kind = message["type"].as_str().expect("a type").to_owned();
        told.extend(as_client.is_ok().then(|| format!("client_{kind}")));
        told.extend(as_server.is_ok().then(|| format!("server_{kind}")));
    }
    for kind in source::client_types() {
        let is_described =
            told.contains(&format!("client_{kind}")) || PROSE.contains(&format!("`{kind}`"));
        assert!(is_described, "docs/protocol.md says nothing of {kind}");
    }
    for kind in source::server_types() {
        let is_described =
            told.contains(&format!("server_{kind}")) || PROSE.contains(&format!("`{kind}`"));
        assert!(is_described, "docs/protocol.md says nothing of {kind}");
    }
}

/// The first cells of the table under the first line that has `heading`.
fn first_cells(heading: &str) -> Vec<&'static str> {
    let (_, table) = PROSE
        .split_once(heading)
        .unwrap_or_else(|| panic!("no {heading}"));
    let rows = table
        .lines()
        .skip(1)
        .take_while(|line| line.starts_with('|'));
    rows.filter_map(|row| row.split('|').nth(1))
        .map(str::trim)
        .collect()
}

#[test]
fn the_table_of_errors_has_every_code_and_no_other() {
    let cells = first_cells("| code | meaning |\n");
    let told: BTreeSet<String> = cells
        .iter()
        .map(|cell| cell.trim_matches('`').to_owned())
        .collect();
    assert_eq!(told, source::error_codes());
}

#[test]
fn the_table_of_close_codes_has_every_end_and_its_advice_and_no_other() {
    let (_, table) = PROSE
        .split_once("| code | reason | advice | meaning |\n")
        .expect("the table");
    let rows = table
        .lines()
        .skip(1)
        .take_while(|line| line.starts_with('|'));
    let told: BTreeSet<source::End> = rows
        .map(|row| {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let word = |cell: &str| cell.split('`').nth(1).expect("a word").to_owned();
            let code = cells[1].parse().expect("a number");
            let has_time = cells[3].contains("after_ms");
            (code, word(cells[2]), word(cells[3]), has_time)
        })
        .collect();
    assert_eq!(told, source::ends());
}
