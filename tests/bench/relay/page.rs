//! The page in `docs/` that keeps a result.

use std::fs;
use std::path::Path;

use crate::Error;
use crate::servers;

/// Writes the page and its chart.
pub(crate) fn write(table: &str, rounds: usize, chart: &str) -> Result<(), Error> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    fs::write(docs.join("benchmarks.svg"), chart)?;
    fs::write(docs.join("benchmarks.md"), page(table, rounds))?;
    Ok(())
}

fn page(table: &str, rounds: usize) -> String {
    let processor = first_value("/proc/cpuinfo", "model name");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let memory = first_value("/proc/meminfo", "MemTotal");
    let coturn = servers::coturn_version().unwrap_or_else(|| "not installed".to_owned());
    format!(
        "# What the relay costs

CPU time of the server process for one relayed packet, and its memory for one allocation, beside other servers in one run. Figures are medians of {rounds} rounds, in each of which every server takes its turn; ratios are those of Peerage within a round, and their median stands here. Only ratios mean something beyond the machine.

![The table as bars](benchmarks.svg)

{table}
- A relayed packet is one crossing of the server: an echo is two. From client to client on one server it is a delivered packet, and the bare forwarder's figure is that of one crossing.
- The bare forwarder (`tests/bench/forwarder.rs`) makes the socket calls of a relay and does nothing else. For trains it takes and sends them whole (`UDP_GRO`, `UDP_SEGMENT`).
- Peerage runs one worker here, since the forwarder has one thread; coturn and the `turn` crate run as they come. Where neighbours in a batch are of one size and go to one address, Peerage sends them as a train; the plain forwarder sends each alone, so that Peerage may come out below it.
- Every packet's bytes, sender and order are checked when it arrives. Lost packets are those of the whole run.
- Bytes are resident memory beyond the first hundred allocations, without the kernel's sockets.

The machine: {processor}, {cores} cores, {memory}, Linux {kernel}; coturn {coturn}. Servers and the load generator share it, over loopback.

Run `make bench` for the table, and `cargo bench --bench relay -- --record` to write this page. `peerage bench turn --help` says how to measure any server.
",
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
