//! Start, health, bounds, stop.

use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use crate::client::{connect, get, read_to_end, request};
use crate::process::{PATIENCE, Server, run};

fn server() -> (tempfile::TempDir, Server) {
    let state = tempfile::tempdir().expect("a folder");
    let server = Server::start(state.path(), &[]);
    (state, server)
}

#[test]
fn a_started_server_is_healthy_and_ready() {
    let (_state, server) = server();
    for listener in [server.http, server.metrics] {
        assert_eq!(get(listener, "/healthz").status, 200);
        let ready = get(listener, "/readyz");
        assert_eq!((ready.status, ready.body.as_str()), (200, "ready\n"));
    }
}

#[test]
fn metrics_are_on_their_own_listener_only() {
    let (_state, server) = server();
    let metrics = get(server.metrics, "/metrics");
    assert_eq!(metrics.status, 200);
    assert!(
        metrics.body.contains("peerage_turn_allocations 0"),
        "{}",
        metrics.body
    );
    assert_eq!(get(server.http, "/metrics").status, 404);
    assert_eq!(get(server.metrics, "/").status, 404);
}

#[test]
fn metrics_beyond_loopback_ask_for_the_token() {
    let state = tempfile::tempdir().expect("a folder");
    let file = state.path().join("peerage.toml");
    std::fs::write(&file, "[metrics]\ntoken = \"hush\"").expect("written");
    let file = file.to_str().expect("plain");
    let server = Server::start(state.path(), &["--config", file, "--log-level", "info"]);
    assert_eq!(get(server.metrics, "/metrics").status, 401);
    let shown = "Authorization: Bearer hush\r\n";
    assert_eq!(
        request(server.metrics, "GET", "/metrics", shown).status,
        200
    );
}

#[test]
fn it_says_what_to_open_and_what_is_not_safe() {
    let (state, server) = server();
    let (http, https) = (server.http, server.https);
    server.terminate();
    let (_, stdout, _) = server.wait();
    assert!(
        stdout.contains(&format!("http://localhost:{}/#", http.port())),
        "{stdout}"
    );
    assert!(
        stdout.contains(&format!("https://localhost:{}/#", https.port())),
        "{stdout}"
    );
    let ca = state.path().join("ca.pem");
    assert!(stdout.contains(ca.to_str().expect("plain")), "{stdout}");
    assert!(stdout.contains("auth.mode is \"open\""), "{stdout}");
    assert!(!stdout.contains('\u{1b}'), "no colours outside a terminal");
}

#[test]
fn a_port_in_use_names_its_holder() {
    let state = tempfile::tempdir().expect("a folder");
    let held = TcpListener::bind("127.0.0.1:0").expect("bound");
    let held = held.local_addr().map(|at| (held, at)).expect("bound");
    let output = run(&[
        "serve",
        "--state-directory",
        state.path().to_str().expect("plain"),
        "--listen",
        &held.1.to_string(),
    ]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!(said.lines().count(), 1, "{said}");
    let port = held.1.port();
    assert!(
        said.starts_with(&format!("peerage: tcp {port} is in use by ")),
        "{said}"
    );
    let end = format!("; change http.listen ({}) or stop it\n", held.1);
    assert!(said.ends_with(&end), "{said}");
    if cfg!(target_os = "linux") {
        assert!(
            said.contains(&format!("(pid {})", std::process::id())),
            "{said}"
        );
    }
}

/// Waits for the relay to bind real sockets; see `src/relay`.
#[test]
fn a_turn_port_in_use_names_its_holder() {
    let state = tempfile::tempdir().expect("a folder");
    let held = UdpSocket::bind("127.0.0.1:0").expect("bound");
    let at = held.local_addr().expect("bound");
    let output = run(&[
        "serve",
        "--state-directory",
        state.path().to_str().expect("plain"),
        "--listen=",
        "--tls-listen=",
        "--metrics-listen=",
        "--turn-listen",
        &format!("udp://{at}"),
    ]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).expect("text");
    let begins = format!("peerage: udp {} is in use by ", at.port());
    assert!(
        said.starts_with(&begins) && said.contains("turn.listen"),
        "{said}"
    );
}

#[test]
fn an_address_of_another_machine_is_refused_with_its_key() {
    let state = tempfile::tempdir().expect("a folder");
    let state = state.path().to_str().expect("plain");
    let output = run(&[
        "serve",
        "--state-directory",
        state,
        "--listen",
        "192.0.2.77:0",
    ]);
    let said = String::from_utf8(output.stderr).expect("text");
    let expected = "peerage: 192.0.2.77 is no address of this machine; change http.listen\n";
    assert_eq!(said, expected);
}

#[test]
fn a_second_address_of_another_machine_is_refused_with_its_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("peerage.toml");
    let text = "[http]\nlisten = []\ntls_listen = []\n[metrics]\nlisten = []\n\
                [turn]\nlisten = [\"udp://127.0.0.1:0\"]\n\
                nat_discovery_alternate = \"192.0.2.77:3479\"\n";
    std::fs::write(&file, text).expect("written");
    let state = folder.path().to_str().expect("plain");
    let file = file.to_str().expect("plain");
    let output = run(&["serve", "--state-directory", state, "--config", file]);
    let said = String::from_utf8(output.stderr).expect("text");
    let expected = "peerage: 192.0.2.77 is no address of this machine; \
                    change turn.nat_discovery_alternate\n";
    assert_eq!(said, expected);
}

#[test]
fn it_stops_within_five_seconds_whatever_clients_do() {
    let (_state, mut server) = server();
    let idle = connect(server.http);
    let mut waiting = connect(server.http);
    waiting
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n")
        .expect("sent");
    let mut kept = connect(server.http);
    kept.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        .expect("sent");
    let mut first = [0];
    kept.read_exact(&mut first).expect("answered");
    let silent_tls = connect(server.https);
    let start = Instant::now();
    server.terminate();
    server.wait_for_log("draining");
    let (status, _, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    assert!(log.contains("stopped"), "{log}");
    drop((idle, waiting, silent_tls));
}

#[test]
fn slow_headers_are_cut() {
    let (_state, server) = server();
    let start = Instant::now();
    let mut slow = connect(server.http);
    slow.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ")
        .expect("sent");
    let mut silent = connect(server.http);
    let mut silent_tls = connect(server.https);
    read_to_end(&mut slow);
    read_to_end(&mut silent);
    read_to_end(&mut silent_tls);
    assert!(
        start.elapsed() >= Duration::from_secs(9),
        "{:?}",
        start.elapsed()
    );
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
}

#[test]
fn endless_headers_are_refused() {
    let (_state, server) = server();
    let long = format!("X-Long: {}\r\n", "x".repeat(40_000));
    assert_eq!(request(server.http, "GET", "/", &long).status, 431);
    let many = "X-Many: x\r\n".repeat(200);
    assert_eq!(request(server.http, "GET", "/", &many).status, 431);
}
