//! More than a worker can do: one client floods it, and the others must not notice.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use peerage::stun::{Attribute, Method};

use crate::prober::{Prober, code};
use crate::process::Process;

const ONE_WORKER: &str = "workers = 1\nallow_peers = [\"127.0.0.0/8\"]";

const CHANNEL: u16 = 0x4000;

/// For how long at least echoes are asked for.
const DURATION: Duration = Duration::from_secs(2);

/// How long an echo, or the answer to a request that is sent once, may take.
const PATIENCE: Duration = Duration::from_millis(500);

/// How often a request is sent until it is answered (Rc of RFC 8489 section 6.2.1).
const TRIES: u32 = 7;

/// A thread a core that sends on a client's channel as fast as it can.
struct Flood {
    stopping: Arc<AtomicBool>,
    threads: Vec<JoinHandle<u64>>,
}

impl Flood {
    fn start(client: &Prober) -> Self {
        let stopping = Arc::new(AtomicBool::new(false));
        let cores = thread::available_parallelism().map_or(2, usize::from);
        let threads = (0..cores).map(|_| {
            let (stopping, server) = (Arc::clone(&stopping), client.server);
            let socket = client.socket.try_clone().expect("cloned");
            let mut datagram = [0; 104];
            datagram[..4].copy_from_slice(&[0x40, 0, 0, 100]);
            thread::spawn(move || {
                let mut sent = 0;
                while !stopping.load(Ordering::Relaxed) {
                    sent += u64::from(socket.send_to(&datagram, server).is_ok());
                }
                sent
            })
        });
        Self {
            threads: threads.collect(),
            stopping,
        }
    }

    /// Ends it; gives how many it has sent.
    fn stop(self) -> u64 {
        self.stopping.store(true, Ordering::Relaxed);
        let threads = self.threads.into_iter();
        threads
            .map(|thread| thread.join().expect("it only sends"))
            .sum()
    }
}

/// A client with a channel to `peer`.
fn client(server: SocketAddr, peer: SocketAddr) -> Prober {
    let client = Prober::new(server);
    client.allocate().expect("allocated");
    client.bind_channel(CHANNEL, peer).expect("bound");
    client
}

/// An address that sends everything back.
fn echo() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("bound");
    let address = socket.local_addr().expect("bound");
    thread::spawn(move || {
        let mut buffer = [0; 2_000];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            // A relay that has ended does not want its echo.
            let _ = socket.send_to(&buffer[..length], from);
        }
    });
    address
}

/// Whether an echo of this number comes back in time.
fn is_echoed(client: &Prober, number: u32) -> bool {
    client.channel(CHANNEL, &number.to_be_bytes());
    client.socket.set_read_timeout(Some(PATIENCE)).expect("set");
    let mut buffer = [0; 2_000];
    while let Ok((length, _)) = client.socket.recv_from(&mut buffer) {
        if buffer[..length].ends_with(&number.to_be_bytes()) {
            return true;
        }
    }
    false
}

/// Whether a refresh is answered, sent as often as a client would.
fn is_refreshed(client: &Prober, id: u64) -> bool {
    let request = client.signed(id, Method::REFRESH, |writer| {
        writer.u32(Attribute::LIFETIME, 600);
    });
    (0..TRIES).any(|_| {
        client.send(&request);
        is_answered(client, &request)
    })
}

/// Whether `request` is answered in time; other datagrams that wait are passed over.
fn is_answered(client: &Prober, request: &[u8]) -> bool {
    client.socket.set_read_timeout(Some(PATIENCE)).expect("set");
    let mut buffer = [0; 2_000];
    while let Ok((length, _)) = client.socket.recv_from(&mut buffer) {
        let answer = &buffer[..length];
        if answer.get(4..20) == request.get(4..20) {
            return code(answer).is_ok();
        }
    }
    false
}

#[test]
fn a_flooding_client_costs_the_others_next_to_nothing() {
    let server = Process::start(ONE_WORKER);
    let sink = UdpSocket::bind("127.0.0.1:0").expect("bound");
    let flooding = client(server.turn, sink.local_addr().expect("bound"));
    let other = client(server.turn, echo());
    let flood = Flood::start(&flooding);
    // The first ones may meet the full queue that makes the relay deal out shares.
    for number in 0..20 {
        is_echoed(&other, number);
    }
    let (began, mut tried, mut lost) = (Instant::now(), 0, 0.0);
    while tried < 200 || began.elapsed() < DURATION {
        tried += 1;
        lost += f64::from(u8::from(!is_echoed(&other, 100 + tried)));
    }
    let lost = lost / f64::from(tried);
    let refreshed = [&other, &flooding].map(|client| {
        (0..20)
            .filter(|id| is_refreshed(client, 1_000_000 + id))
            .count()
    });
    let sent = flood.stop() as f64;
    // Two rounds, so that what was counted shows.
    flooding.settle();
    flooding.settle();
    let relayed = server.metric("peerage_turn_packets_to_peers_total") as f64;
    let of_flood = 1.0 - relayed / sent;
    // In the system's queue, which is before the relay, all lose alike: without shares the other
    // would lose as much as the flood.
    assert!(
        lost <= 0.02_f64.max(of_flood / 2.0),
        "{lost} of the other's, {of_flood} of the flood"
    );
    let shed = server.metric("peerage_turn_packets_shed_total");
    assert!(shed > 0, "there was no overload");
    assert_eq!(refreshed, [20, 20], "of the other's, the flooding client's");
    assert!(relayed > 500.0, "the flood has its share, too: {relayed}");
    assert!(is_echoed(&other, 0));
}
