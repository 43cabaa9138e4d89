//! The page in `docs/` that keeps a result.

use std::fs;
use std::path::Path;

use crate::Error;
use crate::servers;

/// What stands before and behind the result in the page.
const BEGIN: &str = "<!-- recorded by make bench -->\n";
const END: &str = "<!-- end of the record -->";

/// Puts the table into the page in place of the one before, and writes its chart.
pub(crate) fn write(table: &str, rounds: usize, chart: &str) -> Result<(), Error> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let file = docs.join("performance.md");
    let page = fs::read_to_string(&file)?;
    let (before, rest) = page.split_once(BEGIN).ok_or("the page has no record")?;
    let (_, after) = rest.split_once(END).ok_or("the record has no end")?;
    let record = record(table, rounds);
    fs::write(file, format!("{before}{BEGIN}{record}{END}{after}"))?;
    fs::write(docs.join("performance.svg"), chart)?;
    Ok(())
}

fn record(table: &str, rounds: usize) -> String {
    let processor = first_value("/proc/cpuinfo", "model name");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let memory = first_value("/proc/meminfo", "MemTotal");
    let coturn = servers::coturn_version().unwrap_or_else(|| "not installed".to_owned());
    format!(
        "Medians of {rounds} rounds. The machine: {processor}, {cores} cores, {memory}, \
         Linux {kernel}; coturn {coturn}. Servers and the load generator share it, over loopback.

![The table as bars](performance.svg)

{table}",
        kernel = kernel.trim()
    )
}

/// The value of the first line `name : value`.
fn first_value(file: &str, name: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let value = line.map(|line| line.trim_start_matches([' ', '\t', ':']).trim());
    value.unwrap_or("unknown").to_owned()
}
