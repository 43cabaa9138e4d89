//! What coturn's client can do to a server: many allocations that nobody ends (`-O`), data without
//! pause (`-z 0`) or without permissions (`-I`), requests that random bits are wrong in (`-R`),
//! requests in a wrong order (`-N`), and going away at any time (`-B`). While it goes on others are
//! served, and no memory is left behind. (The mode `-Y` for floods came with versions of the tool
//! later than 4.6.)

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::coturn_tools::{EchoPeer, received, uclient};
use crate::prober::Prober;
use crate::process::Process;
use crate::relay::USER;

const SETTINGS: &str = "allow_peers = [\"127.0.0.0/8\"]\nunauthenticated_rate = 0";

/// How much more memory the server may have at the end than early in the abuse, in kB.
const TOLERATED: u64 = 4 * 1_024;

const ALLOCATIONS: &str = "peerage_turn_allocations";

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Clients of alice that go on until this is dropped.
struct Assault(Vec<Child>);

impl Assault {
    fn begin(processes: usize, server: SocketAddr, peer: &EchoPeer, mode: &[&str]) -> Self {
        let start = || {
            Command::new("turnutils_uclient")
                .args(["-u", USER.0, "-w", USER.1])
                .args(["-p", &server.port().to_string()])
                .args(["-c", "-s", "-z", "0", "-n", "1000000"])
                .args(["-e", "127.0.0.1", "-r", &peer.port])
                .args(mode)
                .arg(server.ip().to_string())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("coturn's tools are installed")
        };
        Self((0..processes).map(|_| start()).collect())
    }
}

impl Drop for Assault {
    fn drop(&mut self) {
        for process in &mut self.0 {
            // It may have given up already.
            drop(process.kill());
            drop(process.wait());
        }
    }
}

/// Bob relays to a peer of his own, and nearly all comes back.
fn assert_serves_bob(server: &Process) {
    let peer = EchoPeer::start("127.0.0.1");
    let as_bob = ["-u", "bob", "-w", "bob's password", "-c", "-s"];
    let to = ["-e", "127.0.0.1", "-r", &peer.port, "-n", "50", "-z", "5"];
    let report = uclient(server.turn, &[&as_bob[..], &to].concat());
    assert!(received(&report) >= 45, "{report}");
}

fn assert_flat(server: &Process, before: u64) {
    let grown = server.resident().saturating_sub(before);
    assert!(grown <= TOLERATED, "{grown} kB more than {before} kB");
}

/// The sum of all metrics whose names begin so.
fn sum(server: &Process, name: &str) -> u64 {
    let text = server.metrics();
    let values = text.lines().filter(|line| line.starts_with(name));
    let numbers = values.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    numbers.sum()
}

/// Waits until the sum of some metrics is at least `number`.
fn await_sum(server: &Process, name: &str, number: u64) {
    let began = Instant::now();
    while sum(server, name) < number {
        assert!(began.elapsed() < PATIENCE, "{name} stays below {number}");
        std::thread::yield_now();
    }
}

#[test]
fn allocations_that_uclient_leaves_behind_stop_at_the_quota() {
    const QUOTA: u64 = 200;
    let server = Process::start(&format!("{SETTINGS}\nmax_allocations_per_user = {QUOTA}"));
    let peer = EchoPeer::start("127.0.0.1");
    let to = ["-e", "127.0.0.1", "-r", &peer.port, "-n", "1"];
    let rush = [&["-O", "-c", "-s", "-m", "100"], &to[..]].concat();
    while server.metric(ALLOCATIONS) < QUOTA {
        uclient(server.turn, &rush);
    }
    let before = server.resident();
    for _ in 0..20 {
        let report = uclient(server.turn, &rush);
        assert!(report.contains("486"), "{report}");
    }
    assert_flat(&server, before);
    assert_eq!(server.metric(ALLOCATIONS), QUOTA);
    assert_serves_bob(&server);
}

/// Who gets how much meanwhile is a matter of `overload`.
#[test]
fn a_flood_of_data_by_uclient_keeps_nobody_out_and_leaves_nothing_behind() {
    const RELAYED: &str = "peerage_turn_packets_to_clients_total";
    let server = Process::start(SETTINGS);
    let peer = EchoPeer::start("127.0.0.1");
    let assault = Assault::begin(1, server.turn, &peer, &["-m", "4"]);
    await_sum(&server, RELAYED, 1_000);
    let before = server.resident();
    let mut bob = Prober::new(server.turn);
    bob.sign_in_as("bob", "bob's password");
    assert!(bob.allocate().is_ok());
    await_sum(&server, RELAYED, sum(&server, RELAYED) + 10_000);
    drop(assault);
    assert_serves_bob(&server);
    assert_flat(&server, before);
}

#[test]
fn requests_that_uclient_spoils_do_no_harm() {
    let server = Process::start(SETTINGS);
    let peer = EchoPeer::start("127.0.0.1");
    let mut before = 0;
    for round in 1..=6 {
        // What it spoils may never be answered, and then it does nothing else any more.
        let _assault = Assault::begin(20, server.turn, &peer, &["-R", "-m", "20"]);
        await_sum(&server, "peerage_turn_unauthenticated_total", round * 25);
        if round == 1 {
            before = server.resident();
        }
    }
    let assaults = ["-N", "-B"]
        .map(|mode| Assault::begin(4, server.turn, &peer, &[mode, "-m", "20", "-z", "100"]));
    await_sum(&server, "peerage_turn_requests_refused_total", 4);
    assert_serves_bob(&server);
    drop(assaults);
    assert_flat(&server, before);
}

#[test]
fn data_of_uclient_without_permissions_go_nowhere() {
    let server = Process::start(SETTINGS);
    let peer = EchoPeer::start("127.0.0.1");
    let assault = Assault::begin(1, server.turn, &peer, &["-I"]);
    let refused = "peerage_turn_packets_refused_total{reason=\"permission\"}";
    await_sum(&server, refused, 1_000);
    drop(assault);
    assert_eq!(server.metric("peerage_turn_packets_to_peers_total"), 0);
}
