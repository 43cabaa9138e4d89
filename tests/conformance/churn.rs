//! Allocations that come and go, by the ten thousand.

use std::time::{Duration, Instant};

use peerage::auth::Secret;
use peerage::load::{
    self, Carriage, Families, Login, Mode, Pace, Process as Watched, Protocol, Settings,
};

use crate::process::Process;

const SECRET: &str = "a secret of many bytes for many users";

/// In how many turns allocations come and go, and how many at a time: a process may not have more
/// sockets open here.
const TURNS: usize = 5;
const AT_A_TIME: usize = 10_000;

/// How long the last of a turn may take to go.
const PATIENCE: Duration = Duration::from_secs(60);

fn load_of(server: &Process, allocations: usize) -> Settings {
    Settings {
        server: server.turn,
        protocol: Protocol::Turn(Login::Secret(Secret::new(SECRET))),
        mode: Mode::Idle,
        carriage: Carriage::Channels,
        payload: 172,
        allocations,
        families: Families::V4,
        train: 1,
        pace: Pace::Rate(1.0),
        duration: Duration::ZERO,
        peer: None,
        threads: 1,
        shared_socket: true,
        process: Some(Watched::new(server.id()).expect("it runs")),
    }
}

/// Lets allocations come and go.
fn a_turn(server: &Process, allocations: usize) {
    let report = load::run(&load_of(server, allocations), &|_| {}).expect("the server plays along");
    assert_eq!(report.allocations, allocations);
    let began = Instant::now();
    while server.metric("peerage_turn_allocations") > 0 {
        assert!(began.elapsed() < PATIENCE, "some are left");
        std::thread::yield_now();
    }
}

#[test]
fn fifty_thousand_allocations_leave_no_memory_and_no_sockets_behind() {
    let server = Process::start(&format!(
        "secret = \"{SECRET}\"\nmax_allocations_per_user = 0\nunauthenticated_rate = 0"
    ));
    a_turn(&server, AT_A_TIME);
    let (memory, descriptors) = (server.resident(), server.descriptors());
    for _ in 1..TURNS {
        a_turn(&server, AT_A_TIME);
    }
    let grown = server.resident().saturating_sub(memory);
    assert!(grown <= 1_024, "{grown} kB");
    // One is the metrics page's connection.
    assert!(server.descriptors() <= descriptors + 1);
    let made = server.metric("peerage_turn_allocations_made_total");
    assert_eq!(made, (TURNS * AT_A_TIME) as u64);
}
