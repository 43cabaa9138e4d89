//! The page in `docs/` that keeps results.

use std::fs;
use std::path::Path;

use super::Error;

/// Puts `text` into the page in place of what stands between the line `begin` and `end`.
pub(crate) fn record(begin: &str, end: &str, text: &str) -> Result<(), Error> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/performance.md");
    let page = fs::read_to_string(&file)?;
    let (before, rest) = page.split_once(begin).ok_or("the page has no record")?;
    let (_, after) = rest.split_once(end).ok_or("the record has no end")?;
    fs::write(file, format!("{before}{begin}{text}{end}{after}"))?;
    Ok(())
}

/// What figures depend on, in words.
pub(crate) fn machine() -> String {
    let processor = first_value("/proc/cpuinfo", "model name");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let memory = first_value("/proc/meminfo", "MemTotal");
    let kernel = kernel.trim();
    format!("{processor}, {cores} cores, {memory}, Linux {kernel}")
}

/// The value of the first line `name : value`.
fn first_value(file: &str, name: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let value = line.map(|line| line.trim_start_matches([' ', '\t', ':']).trim());
    value.unwrap_or("unknown").to_owned()
}
