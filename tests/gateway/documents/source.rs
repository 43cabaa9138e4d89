//! What the code itself says of messages and codes, read from its text.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The text of a file or of all files in a folder, without their tests.
fn text(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(path);
    let mut files = vec![path];
    let mut text = String::new();
    while let Some(path) = files.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(path).expect("a folder");
            files.extend(entries.map(|entry| entry.expect("it can be listed").path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).expect("it can be read");
            text += source.split("#[cfg(test)]").next().unwrap_or_default();
        }
    }
    text
}

/// Either `signal/close.rs` or `signal/close/…`.
fn text_of_module(name: &str) -> String {
    let file = format!("{name}.rs");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let is_there = |path: &str| PathBuf::from(&source).join(path).exists();
    [file.as_str(), name]
        .into_iter()
        .filter(|path| is_there(path))
        .map(text)
        .collect()
}

fn is_word(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

/// The types that the decoder knows: what it matches against, `"join" => …`.
pub(crate) fn client_types() -> BTreeSet<String> {
    let text = text("dialect/native");
    let arms = text.lines().filter_map(|line| {
        let word = line.trim_start().strip_prefix('"')?;
        let (word, rest) = word.split_once('"')?;
        (rest.starts_with(" => ") && is_word(word)).then(|| word.to_owned())
    });
    arms.collect()
}

/// The types that the encoder writes: the variants of `Frame`.
pub(crate) fn server_types() -> BTreeSet<String> {
    let text = text("dialect/native");
    let (_, frame) = text.split_once("enum Frame<").expect("the encoder's enum");
    let (frame, _) = frame.split_once("\n}").expect("its end");
    let variants = frame.lines().skip(1).filter_map(|line| {
        let variant = line.strip_prefix("    ")?;
        let is_variant = variant.starts_with(|first: char| first.is_ascii_uppercase());
        let name = variant.split(|c: char| !c.is_ascii_alphanumeric()).next();
        name.filter(|_| is_variant).map(snake_case)
    });
    variants.collect()
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for character in name.chars() {
        if character.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
    }
    snake
}

/// The codes of errors: `("room_full", "…")`.
pub(crate) fn error_codes() -> BTreeSet<String> {
    let text = text_of_module("signal/reject");
    let (_, words) = text.split_once("fn words").expect("where the codes stand");
    let pairs = words.split("=> (").skip(1);
    let codes = pairs.filter_map(|pair| {
        let code = pair.trim_start().strip_prefix('"')?.split('"').next()?;
        is_word(code).then(|| code.to_owned())
    });
    codes.collect()
}

/// A close code, the reason, the advice, and whether there is a time with it.
pub(crate) type End = (u16, String, String, bool);

/// Every way in which the server ends a connection: the rows of its table.
pub(crate) fn ends() -> BTreeSet<End> {
    let text = text_of_module("signal/close");
    let pause = part(&text, "fn pause");
    let rows = part(&text, "fn row").lines().filter_map(|line| {
        let (name, row) = line.trim().strip_prefix("Self::")?.split_once(" => (")?;
        let cells: Vec<&str> = row.trim_end_matches("),").split(", ").collect();
        let [code, reason, advice] = cells[..] else {
            panic!("not a row: {line}");
        };
        let advice = advice.strip_prefix("Advice::").expect("advice");
        // These times come from elsewhere.
        let has_time =
            ["GoingAway", "Busy"].contains(&name) || pause.contains(&format!("Self::{name} "));
        let code = code.parse().expect("a code");
        let reason = reason.trim_matches('"').to_owned();
        Some((code, reason, advice.to_ascii_lowercase(), has_time))
    });
    rows.collect()
}

/// The text of a function.
fn part<'a>(text: &'a str, head: &str) -> &'a str {
    let (_, body) = text.split_once(head).expect("such a function");
    body.split("\n    }").next().unwrap_or_default()
}

#[test]
fn the_text_of_the_code_is_understood() {
    assert!(client_types().contains("hello"), "{:?}", client_types());
    assert!(
        server_types().contains("ice_servers"),
        "{:?}",
        server_types()
    );
    assert!(
        error_codes().contains("rate_limited"),
        "{:?}",
        error_codes()
    );
    assert!(ends().contains(&(4408, "silent".to_owned(), "retry".to_owned(), false)));
    assert!(ends().contains(&(4503, "full".to_owned(), "retry".to_owned(), true)));
    assert!(client_types().len() >= 10 && server_types().len() >= 15);
    assert!(error_codes().len() >= 16 && ends().len() >= 15);
}
