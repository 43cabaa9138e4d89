//! The ledger has no gap: every requirement has a test that exists, or a reason why not.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const LEDGER: &str = include_str!("ledger.txt");

/// One requirement.
struct Row<'a> {
    rfc: &'a str,
    line: &'a str,
    tests: Vec<&'a str>,
    reason: Option<&'a str>,
}

fn rows() -> Vec<Row<'static>> {
    let mut rfc = "";
    let mut rows = Vec::new();
    for line in LEDGER.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            rfc = title.split(':').next().unwrap_or(title);
        } else if !line.is_empty() && !line.starts_with('#') {
            rows.push(row(rfc, line));
        }
    }
    rows
}

fn row(rfc: &'static str, line: &'static str) -> Row<'static> {
    let mut fields = line.split(" | ");
    let section = fields.next().unwrap_or_default();
    let numbers = section.split('.');
    assert!(
        numbers.into_iter().all(|n| n.parse::<u8>().is_ok()),
        "{line}"
    );
    assert!(matches!(fields.next(), Some("MUST" | "SHOULD")), "{line}");
    assert!(
        fields.next().is_some_and(|words| words.len() > 10),
        "{line}"
    );
    let mut row = Row {
        rfc,
        line,
        tests: Vec::new(),
        reason: None,
    };
    for field in fields {
        if let Some(names) = field.strip_prefix("tests: ") {
            row.tests = names.split(", ").collect();
        } else if let Some(words) = field.strip_prefix("reason: ") {
            row.reason = Some(words);
        } else {
            panic!("neither tests nor a reason: {line}");
        }
    }
    row
}

/// The names of all test functions under `folder`.
fn tests_in(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() && !path.ends_with("target") && !path.ends_with("node_modules") {
            tests_in(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).expect("it can be read");
            found.extend(tests_of(&source));
        }
    }
}

/// The functions that stand behind `#[test]` or `#[tokio::test]`.
fn tests_of(source: &str) -> Vec<String> {
    let mut is_marked = false;
    let mut names = Vec::new();
    for line in source.lines().map(str::trim_start) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_marked = true;
        } else if let Some(rest) = line.trim_start_matches("async ").strip_prefix("fn ") {
            let name = rest.split(['(', '<']).next();
            names.extend(name.filter(|_| is_marked).map(str::to_owned));
            is_marked = false;
        }
    }
    names
}

#[test]
fn every_requirement_has_a_test_that_exists_or_a_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut known = BTreeSet::new();
    tests_in(&root.join("src"), &mut known);
    tests_in(&root.join("tests"), &mut known);
    let mut gaps = Vec::new();
    for row in rows() {
        if row.tests.is_empty() && row.reason.is_none_or(|words| words.len() < 15) {
            gaps.push(format!("{}: no test and no reason: {}", row.rfc, row.line));
        }
        let missing = row.tests.iter().filter(|name| !known.contains(**name));
        gaps.extend(missing.map(|name| format!("{}: no test is called {name}", row.rfc)));
    }
    assert!(gaps.is_empty(), "{}", gaps.join("\n"));
}

#[test]
fn every_test_that_the_attack_tables_name_exists() {
    const ATTACKS: &str = include_str!("../../docs/security.md");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut known = BTreeSet::new();
    tests_in(&root.join("src"), &mut known);
    tests_in(&root.join("tests"), &mut known);
    let tables = ATTACKS.split("| attack | what the server does | test |\n");
    let rows = tables.skip(1).flat_map(|table| {
        table
            .lines()
            .skip(1)
            .take_while(|line| line.starts_with('|'))
    });
    let mut count = 0;
    for row in rows {
        let tests = row.split(" | ").nth(2).unwrap_or_default();
        let names: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "no test: {row}");
        for name in names {
            let exists = known.contains(name) || root.join("tests/browser").join(name).exists();
            assert!(exists, "no test is called {name}: {row}");
        }
        count += 1;
    }
    assert!(count > 50, "{count}");
}

#[test]
fn every_rfc_is_there_and_no_row_twice() {
    let rows = rows();
    for rfc in [
        "RFC 8489", "RFC 8656", "RFC 8016", "RFC 5780", "RFC 6062", "RFC 7635",
    ] {
        assert!(rows.iter().any(|row| row.rfc == rfc), "{rfc}");
    }
    let distinct: BTreeSet<_> = rows.iter().map(|row| (row.rfc, row.line)).collect();
    assert_eq!(distinct.len(), rows.len());
}

#[test]
fn only_marked_functions_are_tests() {
    let source = "#[test]\nfn one() {}\nfn two() {}\n#[tokio::test]\nasync fn three() {}";
    assert_eq!(tests_of(source), ["one", "three"]);
}
