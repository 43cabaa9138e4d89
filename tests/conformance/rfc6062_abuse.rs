//! Who would use TCP allocations (RFC 6062) for something else.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::client::over_tcp;
use crate::process::Process;
use crate::tcp_peer::{Pair, Peer, assert_joined, await_that, connect_to, is_over};

fn process(turn: &str) -> Process {
    Process::start(&format!(
        "unauthenticated_rate = 0\ntcp_relay = true\nlisten = [\"tcp://127.0.0.1:0\"]\n{turn}"
    ))
}

const TO_LOOPBACK: &str = "allow_peers = [\"127.0.0.0/8\"]";

#[test]
fn no_inner_address_is_connected_to() {
    let server = process("");
    let canary = Peer::new();
    let mut client = over_tcp(server.turn);
    client.allocate_tcp();
    for peer in [
        canary.address(),
        server.turn,
        server.metrics_at,
        crate::relay::address("127.0.0.2:2000"),
        crate::relay::address("10.0.0.1:2000"),
        crate::relay::address("169.254.169.254:8000"),
        crate::relay::address("0.0.0.0:2000"),
        crate::relay::address("8.8.8.8:25"),
    ] {
        assert_eq!(client.connect(peer), Err(403), "{peer}");
    }
    let refused = "peerage_turn_requests_refused_total{reason=\"peer\"}";
    await_that(|| server.metric(refused) == 8);
}

#[test]
fn the_servers_own_listeners_are_not_connected_to_even_where_their_address_is_allowed() {
    let server = process(TO_LOOPBACK);
    let mut client = over_tcp(server.turn);
    client.allocate_tcp();
    let peer = Peer::new();
    client.connect(peer.address()).expect("allowed");
    for mut own in [server.turn, server.metrics_at] {
        assert_eq!(client.connect(own), Err(403));
        own.set_ip("127.0.0.9".parse().expect("an address"));
        // Another address of the machine, where it does not listen.
        assert_eq!(client.connect(own), Err(447));
    }
}

#[test]
fn another_user_cannot_bind_a_connection() {
    let server = process(TO_LOOPBACK);
    let peer = Peer::new();
    let mut alice = over_tcp(server.turn);
    alice.allocate_tcp();
    let name = alice.connect(peer.address()).expect("connected");
    let mut bob = over_tcp(server.turn).of(("bob", "bob's password"));
    assert_eq!(bob.bind_to(&name), Err(441));
    let mut guesser = over_tcp(server.turn).of(("alice", "guess"));
    assert_eq!(guesser.bind_to(&name), Err(401));
    let mut data = over_tcp(server.turn);
    data.bind_to(&name).expect("bound");
    assert_joined(&mut data.carrier.0, &mut peer.accept().0);
}

#[test]
fn connections_to_peers_are_bounded_for_a_user_and_for_all() {
    let server = process(&format!(
        "{TO_LOOPBACK}\npeer_connections = 3\npeer_connections_per_user = 2"
    ));
    let peers = [(); 4].map(|()| Peer::new());
    let mut alice = over_tcp(server.turn);
    let relayed = alice.allocate_tcp();
    let name = alice.connect(peers[0].address()).expect("connected");
    alice.connect(peers[1].address()).expect("connected");
    assert_eq!(alice.connect(peers[2].address()), Err(508));
    alice.permit(relayed);
    assert!(is_over(&mut connect_to(relayed)));
    let mut bob = over_tcp(server.turn).of(("bob", "bob's password"));
    bob.allocate_tcp();
    bob.connect(peers[2].address()).expect("connected");
    assert_eq!(bob.connect(peers[3].address()), Err(508));
    // One that is over makes room.
    let mut data = over_tcp(server.turn);
    data.bind_to(&name).expect("bound");
    drop((data, peers[0].accept()));
    await_that(|| alice.connect(peers[3].address()).is_ok());
}

#[test]
fn data_connections_count_with_the_other_connections_of_clients() {
    let server = process(&format!("{TO_LOOPBACK}\nconnections = 2"));
    let mut pair = Pair::new(server.turn);
    assert!(is_over(&mut crate::client::connect(server.turn)));
    assert_joined(&mut pair.data, &mut pair.peer);
    drop((pair.data, pair.peer));
    await_that(|| server.metric("peerage_turn_connections") == 1);
    over_tcp(server.turn).bind();
}

/// Writes until nobody takes anything any more; gives how many bytes were taken.
fn fill(stream: &mut TcpStream) -> usize {
    let (mut taken, chunk) = (0, vec![7; 256 << 10]);
    let patience = Some(Duration::from_millis(1_500));
    stream.set_write_timeout(patience).expect("a timeout");
    loop {
        match stream.write(&chunk) {
            Ok(count) => taken += count,
            Err(error) => {
                let kind = error.kind();
                assert!(
                    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut),
                    "{error}"
                );
                return taken;
            }
        }
        assert!(taken < 100 << 20, "everything is taken");
    }
}

#[test]
fn a_side_that_does_not_read_holds_the_other_back_and_nobody_else() {
    let server = process(TO_LOOPBACK);
    // What there is once everything has been used.
    drop(Pair::new(server.turn));
    let before = server.resident();
    let mut pairs = [(); 4].map(|()| Pair::new(server.turn));
    let mut taken = 0;
    for (number, pair) in pairs.iter_mut().enumerate() {
        let side = if number % 2 == 0 {
            &mut pair.peer
        } else {
            &mut pair.data
        };
        taken += fill(side);
    }
    // The systems' buffers take some, the server's own little.
    let grown = server.resident().saturating_sub(before);
    assert!(
        grown < 4_000,
        "{grown} KiB more for {taken} bytes on their way"
    );
    let mut other = Pair::new(server.turn);
    assert_joined(&mut other.data, &mut other.peer);
    // What was taken comes when it is read.
    let [Pair { data, .. }, ..] = &mut pairs;
    let mut arrived = vec![0; 1 << 20];
    data.read_exact(&mut arrived).expect("arrived");
    assert!(arrived.iter().all(|byte| *byte == 7));
}

#[test]
fn what_a_peer_sends_before_its_connection_is_bound_waits_outside() {
    let server = process(TO_LOOPBACK);
    drop(Pair::new(server.turn));
    let mut control = over_tcp(server.turn);
    let relayed = control.allocate_tcp();
    control.permit(relayed);
    let before = server.resident();
    let mut peer = connect_to(relayed);
    let (_, name) = control.receive_attempt();
    let taken = fill(&mut peer);
    let grown = server.resident().saturating_sub(before);
    assert!(
        grown < 1_000,
        "{grown} KiB more for {taken} bytes on their way"
    );
    let mut data = over_tcp(server.turn);
    data.bind_to(&name).expect("bound");
    let mut arrived = vec![0; taken];
    data.carrier.0.read_exact(&mut arrived).expect("arrived");
    assert!(arrived.iter().all(|byte| *byte == 7));
}

#[test]
fn sockets_and_ports_come_back_however_connections_end() {
    // None that the system gives to others who want any.
    let server = process(&format!("{TO_LOOPBACK}\nrelay_ports = \"20600-20609\""));
    drop(Pair::new(server.turn));
    let free = || server.metric("peerage_turn_relay_ports_free{family=\"ipv4\"}");
    await_that(|| free() == 10);
    let before = server.descriptors();
    for round in 0..30 {
        let mut pair = Pair::new(server.turn);
        pair.control.permit(pair.relayed);
        let peers = [(); 5].map(|()| connect_to(pair.relayed));
        let closed = Peer::new().address();
        assert_eq!(pair.control.connect(closed), Err(447));
        match round % 3 {
            0 => drop(pair.control),
            1 => drop((pair.data, peers)),
            _ => drop(pair.peer),
        }
    }
    await_that(|| server.metric("peerage_turn_connections") == 0);
    await_that(|| free() == 10 && server.descriptors() == before);
    assert_eq!(server.metric("peerage_turn_tcp_allocations"), 0);
}

#[test]
fn a_peer_that_is_allowed_no_more_is_cut_off() {
    let mut server = process(TO_LOOPBACK);
    let mut pair = Pair::new(server.turn);
    server.configure(&crate::process::configuration(
        "unauthenticated_rate = 0\ntcp_relay = true\nlisten = [\"tcp://127.0.0.1:0\"]",
    ));
    server.signal("HUP");
    server.wait_for_log("configuration reloaded");
    assert!(is_over(&mut pair.data) && is_over(&mut pair.peer));
    assert_eq!(pair.control.connect(Peer::new().address()), Err(403));
}

#[test]
fn the_audit_log_tells_tcp_allocations_and_their_bytes() {
    let server = process(&format!("{TO_LOOPBACK}\naudit_log = \"audit.jsonl\""));
    let mut pair = Pair::new(server.turn);
    assert_joined(&mut pair.data, &mut pair.peer);
    let relayed = pair.relayed.to_string();
    drop(pair);
    let file = server.file("audit.jsonl");
    let text = || std::fs::read_to_string(&file).unwrap_or_default();
    await_that(|| text().lines().count() == 2 && text().ends_with('\n'));
    let text = text();
    let parse = |line| serde_json::from_str::<Value>(line).expect("JSON");
    let told: Vec<Value> = text.lines().map(parse).collect();
    for line in &told {
        assert_eq!(line["relayed"][0], relayed);
        assert_eq!(line["relayed_transport"], "tcp");
    }
    assert_eq!(told[1]["reason"], "disconnected");
    assert_eq!(told[1]["bytes_from_client"], 3 * 8);
    assert_eq!(told[1]["bytes_to_client"], 3 * 5);
}
