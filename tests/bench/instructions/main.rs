//! How many instructions the codec and the routing path take, counted by callgrind: a number that
//! no other load on the machine changes.
//!
//! `cargo bench --bench instructions` fails if one has grown by more than five per cent beyond
//! what `accepted.json` says; `-- --accept` writes the present counts there.

mod cases;
mod turn_server;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cases::{CASES, Case};

type Error = Box<dyn std::error::Error>;
type Counts = BTreeMap<String, u64>;

/// How often a case is run, so that what differs from run to run, such as the keys of hash
/// tables, evens out.
const REPEATS: u64 = 1_000;

/// What a count may grow by, in per cent.
const MAY_GROW: u64 = 5;

fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [option, name] = arguments.as_slice()
        && option == "--case"
    {
        let case = CASES.iter().find(|case| case.name == name);
        let mut run = (case.ok_or("no such case")?.prepare)();
        (0..REPEATS).for_each(|_| run());
        return Ok(());
    }
    let present = count_all()?;
    if arguments.iter().any(|argument| argument == "--accept") {
        std::fs::write(
            accepted_file(),
            serde_json::to_string_pretty(&present)? + "\n",
        )?;
        return Ok(());
    }
    compare(&present)
}

/// What callgrind counts: this function by its name, and all that it calls.
#[inline(never)]
fn counted<R>(run: impl FnOnce() -> R) -> R {
    run()
}

fn count_all() -> Result<Counts, Error> {
    let one = |case: &Case| Ok((case.name.to_owned(), count(case.name)?));
    CASES.iter().map(one).collect()
}

/// Runs a case under callgrind, in a process of its own.
fn count(case: &str) -> Result<u64, Error> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("out");
    let status = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--toggle-collect=*instructions*counted*",
        ])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(std::env::current_exe()?)
        .args(["--case", case])
        .stderr(Stdio::null())
        .status()
        .map_err(|error| format!("valgrind: {error}; apt-get install valgrind"))?;
    if !status.success() {
        return Err(format!("{case} ends with {status}").into());
    }
    let text = std::fs::read_to_string(file)?;
    let line = text.lines().find_map(|line| line.strip_prefix("summary: "));
    let total: u64 = line.ok_or("callgrind gives no summary")?.trim().parse()?;
    Ok(total / REPEATS)
}

fn accepted_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/instructions/accepted.json")
}

fn compare(present: &Counts) -> Result<(), Error> {
    let accepted: Counts = serde_json::from_str(&std::fs::read_to_string(accepted_file())?)?;
    let mut grown = Vec::new();
    println!("| instructions | accepted | now |\n|---|--:|--:|");
    for (name, &now) in present {
        let before = accepted.get(name).copied();
        let shown = before.map_or("–".to_owned(), |before| before.to_string());
        println!("| {name} | {shown} | {now} |");
        if before.is_none_or(|before| now * 100 > before * (100 + MAY_GROW)) {
            grown.push(name.as_str());
        }
    }
    if grown.is_empty() {
        return Ok(());
    }
    Err(format!(
        "more instructions than accepted: {}; if that is meant, cargo bench --bench instructions -- --accept",
        grown.join(", ")
    )
    .into())
}
