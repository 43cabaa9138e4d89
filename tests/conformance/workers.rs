//! Several workers behind one address.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};
use tokio::net::UdpSocket;
use tokio::time::timeout;
use webrtc_util::Conn;

use crate::process::Process;
use crate::relay;
use crate::turn_crate::client;

/// So many that some surely live with each worker, and some move when the kernel deals anew.
const CLIENTS: usize = 48;

/// A socket that takes its share of what the listeners got so far.
fn intruder(server: SocketAddr) -> UdpSocket {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket");
    socket.set_reuse_port(true).expect("SO_REUSEPORT");
    socket.set_nonblocking(true).expect("non-blocking");
    socket
        .bind(&server.into())
        .expect("the relay shares its port");
    UdpSocket::from_std(socket.into()).expect("a runtime")
}

/// Everybody who has sent something to `socket`.
fn senders(socket: &UdpSocket) -> BTreeSet<SocketAddr> {
    let mut buffer = [0; 2_000];
    std::iter::from_fn(|| socket.try_recv_from(&mut buffer).ok())
        .map(|(_, from)| from)
        .collect()
}

async fn echo(peer: UdpSocket) {
    let mut buffer = [0; 2_000];
    while let Ok((length, from)) = peer.recv_from(&mut buffer).await {
        // A client that is gone does not want its answer.
        let _ = peer.send_to(&buffer[..length], from).await;
    }
}

/// Whether what `allocation` sends to `peer` comes back.
async fn is_echoed(allocation: &impl Conn, peer: SocketAddr, tries: usize) -> bool {
    let mut buffer = [0; 2_000];
    for _ in 0..tries {
        allocation.send_to(b"echo", peer).await.expect("sent");
        let answer = timeout(
            Duration::from_millis(200),
            allocation.recv_from(&mut buffer),
        );
        if answer.await.is_ok() {
            return true;
        }
    }
    false
}

#[tokio::test]
async fn a_datagram_that_the_kernel_gives_to_the_wrong_worker_still_arrives() {
    let relay = relay::start(&["127.0.0.0/8"]);
    let server = relay.addresses()[0];
    let peer = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
    let peer_address = peer.local_addr().expect("bound");
    let echo = tokio::spawn(echo(peer));
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let client = client(server, relay::USER.0, relay::USER.1).await;
        let allocation = client.allocate().await.expect("allocated");
        assert!(is_echoed(&allocation, peer_address, 20).await);
        clients.push((client, allocation));
    }
    assert_eq!(relay::counters(&relay).packets_posted, 0);

    let intruder = intruder(server);
    let mut lost = 0;
    for (_, allocation) in &clients {
        lost += usize::from(!is_echoed(allocation, peer_address, 3).await);
    }
    assert_eq!(
        lost,
        senders(&intruder).len(),
        "only what the intruder took was lost"
    );
    assert!(
        relay::counters(&relay).packets_posted > 0,
        "nobody has moved"
    );
    assert!(lost < CLIENTS);
    echo.abort();
}

/// On which cores each thread of this name may run.
fn cores_of(pid: u32, name: &str) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("a process");
    let statuses = tasks.filter_map(|task| {
        let status = task.expect("a thread").path().join("status");
        std::fs::read_to_string(status).ok()
    });
    let relays = statuses.filter(|status| status.starts_with(&format!("Name:\t{name}")));
    let cores = |status: String| {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        line.expect("a list").trim().to_owned()
    };
    relays.map(cores).collect()
}

#[test]
#[cfg(target_os = "linux")]
fn pinned_workers_have_a_core_each_and_others_have_all() {
    let pinned = Process::start("workers = 2\npin_workers = true");
    let free = Process::start("workers = 2");
    // Threads take their names and places when they come to run.
    let all = loop {
        let all = cores_of(free.id(), "relay-");
        if all.len() == 2 {
            break all;
        }
    };
    assert_eq!(all[0], all[1]);
    let is_pinned = |cores: &[String]| match cores {
        [first, second] => all[0] == "0" || first != second && !cores.contains(&all[0]),
        _ => false,
    };
    let began = Instant::now();
    while !is_pinned(&cores_of(pinned.id(), "relay-")) {
        assert!(began.elapsed() < Duration::from_secs(30), "not pinned");
    }
}
