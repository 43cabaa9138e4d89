//! Holds the sources to the table of layers, and itself to sources that break it.

#[path = "architecture/paths.rs"]
mod paths;
#[path = "architecture/rules.rs"]
mod rules;
#[path = "architecture/table.rs"]
mod table;
#[path = "architecture/tokens.rs"]
mod tokens;

use std::fs;
use std::path::Path;

use rules::{Source, violations};
use table::LAYERS;

#[test]
fn the_sources_keep_to_the_table_of_layers() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    read_all(&root.join("src"), "", &mut sources);
    assert!(sources.len() > 20, "found only {} sources", sources.len());
    let manifest = fs::read_to_string(root.join("Cargo.toml")).expect("readable");
    let found = violations(LAYERS, &sources, &manifest);
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

fn read_all(folder: &Path, prefix: &str, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("readable");
        let name = entry.file_name().into_string().expect("a plain name");
        let file = format!("{prefix}{name}");
        if entry.path().is_dir() {
            read_all(&entry.path(), &format!("{file}/"), sources);
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(entry.path()).expect("readable");
            sources.push(Source::new(&file, &text));
        }
    }
}

/// What the checker says about a small tree. A root that declares its layers is added.
fn check(files: &[(&str, &str)]) -> Vec<String> {
    let mut layers: Vec<&str> = files
        .iter()
        .filter_map(|(file, _)| file.split_once('/'))
        .map(|(layer, _)| layer)
        .collect();
    layers.sort_unstable();
    layers.dedup();
    let root: String = layers
        .iter()
        .map(|layer| format!("pub mod {layer};"))
        .collect();
    let mut sources = vec![Source::new("lib.rs", &root)];
    sources.extend(files.iter().map(|(file, text)| Source::new(file, text)));
    let manifest = "[dependencies]\ntokio = \"1\"\nmd-5 = \"0\"\nsha2 = \"0\"\n";
    violations(LAYERS, &sources, manifest)
}

#[track_caller]
fn refused(files: &[(&str, &str)], because: &str) {
    let found = check(files);
    assert!(
        found.len() == 1 && found[0].contains(because),
        "expected one refusal with {because:?}, found {found:#?}"
    );
}

#[track_caller]
fn accepted(files: &[(&str, &str)]) {
    assert_eq!(check(files), Vec::<String>::new());
}

#[test]
fn an_import_upwards_is_refused_however_it_is_written() {
    let because = "turn may not import crate::relay";
    for text in [
        "use crate::relay::Relay;",
        "use crate::{auth::Key, relay::Relay};",
        "use crate::relay;",
        "fn f() { crate::relay::start(); }",
        "fn f(x: &dyn crate::relay::Trait) {}",
        "pub use crate::relay::Relay;",
        "use super::super::relay::Relay;",
        "macro_rules! m { () => { $crate::relay::start() } }",
    ] {
        refused(&[("turn/a.rs", text), ("relay/a.rs", "")], because);
    }
    accepted(&[
        ("relay/a.rs", "use crate::turn::Server;"),
        ("turn/a.rs", ""),
    ]);
}

#[test]
fn comments_strings_and_tests_import_nothing() {
    accepted(&[(
        "turn/a.rs",
        r##"
        // use crate::relay::A;
        /* use crate::relay::B; /* nested */ use crate::relay::C; */
        /// [`crate::relay::D`]
        const S: &str = "crate::relay::E \" crate::relay::F";
        const R: &str = r#"crate::relay::G " crate::relay::H"#;
        const C: [char; 2] = ['"', '\''];
        fn f<'a>(x: &'a str) -> &'a str { x }
        #[cfg(test)]
        mod tests { use crate::relay::I; fn g() { Some(1).unwrap(); } }
        #[cfg(test)]
        use crate::relay::J;
        #[test]
        fn h() { std::fs::read("x").unwrap(); }
        "##,
    )]);
}

#[test]
fn a_layer_must_be_in_the_table_and_in_the_root() {
    refused(&[("extras/mod.rs", "")], "src/extras: not in the table");
    let sources = [Source::new("lib.rs", ""), Source::new("time/a.rs", "")];
    let found = violations(LAYERS, &sources, "");
    assert_eq!(found, ["src/time: not declared in src/lib.rs"]);
}

#[test]
fn the_root_re_exports_nothing() {
    let sources = [
        Source::new("lib.rs", "pub mod time;\npub use time::Now;"),
        Source::new("time/a.rs", ""),
    ];
    let found = violations(LAYERS, &sources, "");
    assert_eq!(
        found,
        ["src/lib.rs:2: re-export of time::Now at the crate root"]
    );
}

#[test]
fn a_table_with_a_way_up_is_refused() {
    let ring = [
        table::Layer {
            name: "a",
            level: 0,
            may_import: &["b"],
            crates: None,
        },
        table::Layer {
            name: "b",
            level: 1,
            may_import: &["a"],
            crates: None,
        },
    ];
    let found = violations(&ring, &[], "");
    assert_eq!(found, ["table: a may import b, which is not below it"]);
}

#[test]
fn sans_io_layers_touch_no_world() {
    for (text, because) in [
        ("use std::fs;", "may not use std::fs"),
        (
            "use std::net::{IpAddr, UdpSocket};",
            "may not use std::net::UdpSocket",
        ),
        ("use std::net;", "may not use std::net"),
        ("use std::*;", "may not use std::*"),
        ("use std::sync::Mutex;", "may not use std::sync::Mutex"),
        (
            "use std::time::{Duration, Instant};",
            "may not use std::time::Instant",
        ),
        (
            "fn f() { std::thread::yield_now(); }",
            "may not use std::thread::yield_now",
        ),
        (
            "fn f() { ::std::process::exit(1); }",
            "may not use std::process::exit",
        ),
        (
            "fn f() { std::env::var(\"X\"); }",
            "may not use std::env::var",
        ),
        ("use std::io;", "may not use std::io"),
        ("fn f() { println!(\"x\"); }", "may not use println"),
        ("async fn f() {}", "may not use async"),
        ("use tokio::time;", "may not use the crate tokio"),
        ("fn f() { tokio::spawn(x); }", "may not use the crate tokio"),
        ("use md5::Md5;", "turn may not use the crate md5"),
        ("use unheard_of::Thing;", "may not use the crate unheard_of"),
    ] {
        refused(&[("turn/a.rs", text)], because);
    }
    accepted(&[(
        "turn/a.rs",
        "use std::net::{IpAddr, SocketAddr}; use std::sync::Arc; use std::time::Duration;
         use sha2::Sha256; fn f() { let x = u32::from(1u8); Vec::<u8>::new(); }",
    )]);
    accepted(&[("net/a.rs", "use std::fs; use tokio::time;")]);
}

#[test]
fn sans_io_layers_deny_the_lints() {
    refused(
        &[("turn/mod.rs", "#![deny(clippy::disallowed_types)] mod a;")],
        "src/turn/mod.rs:1: must have #![deny(clippy::disallowed_methods)]",
    );
    accepted(&[(
        "turn/mod.rs",
        "#![deny(clippy::disallowed_methods, clippy::disallowed_types)] mod a;",
    )]);
}

#[test]
fn files_that_need_each_other_are_refused() {
    let ring = "ring among files: net::a -> net::b -> net::a";
    refused(
        &[
            ("net/a.rs", "use super::b::B;"),
            ("net/b.rs", "use crate::net::a::A;"),
        ],
        ring,
    );
    // Also when a re-export hides where the item is.
    let contents = "mod a; mod b; pub use a::A; pub(super) use b::{B, C};";
    refused(
        &[
            ("net/mod.rs", contents),
            ("net/a.rs", "use super::{B};"),
            ("net/b.rs", "fn f() { super::A::new(); }"),
        ],
        ring,
    );
    accepted(&[
        ("net/mod.rs", contents),
        ("net/a.rs", "use super::B;"),
        ("net/b.rs", "use super::c::D;"),
        ("net/c.rs", ""),
    ]);
    refused(
        &[
            ("net/mod.rs", "mod a; use a::A; pub struct B;"),
            ("net/a.rs", "use super::B;"),
        ],
        "ring among files: net -> net::a -> net",
    );
}

#[test]
fn unsafe_stands_in_net_alone_and_unwrap_nowhere() {
    refused(
        &[("relay/a.rs", "fn f() { unsafe { g() } }")],
        "unsafe outside net",
    );
    refused(
        &[("relay/a.rs", "#[cfg(test)] mod tests { unsafe fn f() {} }")],
        "unsafe outside net",
    );
    accepted(&[("net/a.rs", "fn f() { unsafe { g() } }")]);
    refused(
        &[("net/a.rs", "fn f() {\n x.unwrap() }")],
        "src/net/a.rs:2: unwrap",
    );
    refused(
        &[("net/a.rs", "fn f() { x.map(Option::unwrap) }")],
        "unwrap",
    );
    accepted(&[("net/a.rs", "fn f() { x.unwrap_or(1).expect(\"a\") }")]);
}

#[test]
fn main_only_calls_the_cli() {
    let main = |text| violations(LAYERS, &[Source::new("main.rs", text)], "");
    assert!(main("fn main() { peerage::cli::run() }").is_empty());
    assert_eq!(main("use peerage::server::Server;").len(), 1);
}
