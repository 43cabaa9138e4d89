//! The account of who had which relayed address.

use std::net::UdpSocket;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::prober::Prober;
use crate::process::Process;

const AUDITED: &str = "unauthenticated_rate = 0\naudit_log = \"audit.jsonl\"\n\
                       allow_peers = [\"127.0.0.2\"]";

/// Waits until the file has so many lines.
fn lines(file: &Path, count: usize) -> Vec<Value> {
    let began = Instant::now();
    loop {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        if text.ends_with('\n') && text.lines().count() >= count {
            let parse = |line| serde_json::from_str(line).expect("JSON");
            return text.lines().map(parse).collect();
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{text:?}");
        std::thread::yield_now();
    }
}

#[test]
fn an_allocation_is_accounted_for_with_its_traffic() {
    let server = Process::start(AUDITED);
    let client = Prober::new(server.turn);
    let relayed = client.allocate().expect("allocated");
    let peer = UdpSocket::bind("127.0.0.2:0").expect("bound");
    let address = peer.local_addr().expect("bound");
    assert_eq!(client.bind_channel(0x4000, address), Ok(()));
    client.channel(0x4000, b"hello");
    let mut buffer = [0; 100];
    assert_eq!(peer.recv(&mut buffer).expect("arrived"), 5);
    assert_eq!(client.refresh(0), Ok(()));
    let told = lines(&server.file("audit.jsonl"), 2);
    let client = client.socket.local_addr().expect("bound").to_string();
    for line in &told {
        assert_eq!(line["user"], "alice");
        assert_eq!(line["client"], client);
        assert_eq!(line["transport"], "udp");
        assert_eq!(line["relayed"][0], relayed.to_string());
    }
    let of = |key: &str| [&told[0][key], &told[1][key]];
    assert_eq!(of("event"), ["started", "ended"]);
    assert_eq!(told[1]["reason"], "released");
    assert_eq!(told[1]["packets_from_client"], 1);
    assert_eq!(told[1]["bytes_from_client"], 5);
    assert!(
        of("time")
            .iter()
            .all(|time| time.as_u64() > Some(1_700_000_000_000))
    );
    assert_eq!(server.metric("peerage_turn_audit_records_lost_total"), 0);
}

#[test]
fn a_file_that_was_moved_away_is_followed_by_another() {
    let mut server = Process::start(AUDITED);
    let (file, old) = (server.file("audit.jsonl"), server.file("audit.old"));
    let client = Prober::new(server.turn);
    client.allocate().expect("allocated");
    lines(&file, 1);
    std::fs::rename(&file, &old).expect("renamed");
    server.signal("HUP");
    server.wait_for_log("configuration reloaded");
    server.stop();
    // The end belongs into the new one.
    let (before, after) = (lines(&old, 1), lines(&file, 1));
    assert_eq!((before.len(), after.len()), (1, 1));
    assert_eq!(after[0]["reason"], "stopped");
}

#[test]
fn the_log_may_go_where_the_other_logs_go() {
    let mut server = Process::start("unauthenticated_rate = 0\naudit_log = \"stderr\"");
    Prober::new(server.turn).allocate().expect("allocated");
    let line = server.wait_for_log("\"event\":\"started\"");
    let line: Value = serde_json::from_str(&line).expect("a line of its own");
    assert_eq!(line["user"], "alice");
}
