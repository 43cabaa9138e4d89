//! What an allocation may relay, and for how long with credentials that expire: the settings
//! `max_bandwidth_per_allocation` and `strict_expiry` of the real binary.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use peerage::stun::{Attribute, Message, Method};

use crate::peers::receive_from;
use crate::prober::{Prober, code};
use crate::process::Process;
use crate::relay::{SECRET, time_limited_for};

const NO_LIMITS: &str = "unauthenticated_rate = 0\nmax_allocations_per_user = 0";

const CHANNEL: u16 = 0x4000;

const REFUSED: &str = "peerage_turn_packets_refused_total{reason=\"bandwidth\"}";

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client with a channel to a peer on loopback, and the relayed address.
fn connected(server: &Process) -> (Prober, UdpSocket, SocketAddr) {
    let client = Prober::new(server.turn);
    let relayed = client.allocate().expect("allocated");
    let peer = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let place = peer.local_addr().expect("bound");
    client.bind_channel(CHANNEL, place).expect("bound");
    (client, peer, relayed)
}

/// How many datagrams wait at a socket, or come at once.
fn arrived(socket: &UdpSocket) -> u64 {
    let soon = Duration::from_millis(50);
    std::iter::from_fn(|| receive_from(socket, soon)).count() as u64
}

/// How many datagrams of 1,000 bytes may have passed at 10,000 bytes a second since `began`: a
/// second's worth at once, the one that fills the bucket, and one for each tenth of a second.
fn most(began: Instant) -> u64 {
    11 + 10 * (began.elapsed().as_secs() + 1)
}

#[test]
fn what_exceeds_the_bandwidth_is_dropped_and_counted_and_the_allocation_lives() {
    const SENT: u64 = 100;
    let server = Process::start(&format!(
        "{NO_LIMITS}\nallow_peers = [\"127.0.0.0/8\"]\nmax_bandwidth_per_allocation = \"10k\""
    ));
    let (client, peer, relayed) = connected(&server);
    let (other, other_peer, _) = connected(&server);
    let began = Instant::now();
    for number in 0..SENT {
        client.channel(CHANNEL, &[7; 1_000]);
        // Another's allocation has a bucket of its own.
        if number % 20 == 0 {
            other.channel(CHANNEL, &[7; 1_000]);
        }
    }
    client.let_count();
    let passed = arrived(&peer);
    assert!((10..=most(began)).contains(&passed), "{passed} of {SENT}");
    assert_eq!(server.metric(REFUSED), SENT - passed);
    other.let_count();
    assert_eq!(arrived(&other_peer), SENT / 20);
    // So has the other direction.
    let began = Instant::now();
    for _ in 0..SENT {
        peer.send_to(&[7; 1_000], relayed).expect("sent");
    }
    let mut back = 0;
    while back + server.metric(REFUSED) + passed < 2 * SENT {
        assert!(began.elapsed() < PATIENCE, "{back} came back");
        back += arrived(&client.socket);
        // A round ends, after which its counts are seen.
        client.settle();
    }
    assert!((10..=most(began)).contains(&back), "{back} of {SENT}");
    assert_eq!(client.refresh(600), Ok(()));
    // And once the buckets have room again, data pass again.
    let began = Instant::now();
    while arrived(&peer) == 0 {
        assert!(began.elapsed() < PATIENCE, "nothing passes any more");
        client.channel(CHANNEL, b"still there");
    }
}

/// A client with credentials that are about to expire, and an allocation of so many seconds.
fn hurried(server: &Process) -> (Prober, u32) {
    let mut client = Prober::new(server.turn);
    for _ in 0..20 {
        let minted = time_limited_for(3, "ada");
        client.sign_in_as(&minted.username, minted.password.expose());
        let answer = client.request(Method::ALLOCATE, |writer| {
            writer.attribute(Attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
        });
        // They may have expired already, if this process has been held up.
        if code(&answer).is_ok() {
            let message = Message::parse(&answer).expect("well formed");
            let lifetime = message.find_u32(Attribute::LIFETIME).expect("there");
            return (client, lifetime);
        }
    }
    panic!("the credentials are never good");
}

/// Waits until somebody new gets nowhere with a client's credentials.
fn wait_for_expiry(client: &Prober) {
    let mut newcomer = Prober::new(client.server);
    newcomer.sign_in_as(&client.login.username, &client.login.password);
    let began = Instant::now();
    // Whose credentials are good is told that there is no allocation.
    while newcomer.refresh(600) == Err(437) {
        assert!(began.elapsed() < PATIENCE, "they do not expire");
    }
    assert_eq!(newcomer.allocate(), Err(401));
}

#[test]
fn an_allocation_lives_on_when_its_credentials_have_expired() {
    let server = Process::start(&format!(
        "{NO_LIMITS}\nallow_peers = [\"127.0.0.0/8\"]\nsecret = \"{SECRET}\""
    ));
    let (client, lifetime) = hurried(&server);
    assert_eq!(lifetime, 600);
    wait_for_expiry(&client);
    assert_eq!(client.refresh(600), Ok(()));
    let peer = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let place = peer.local_addr().expect("bound");
    assert_eq!(client.bind_channel(CHANNEL, place), Ok(()));
    client.channel(CHANNEL, &[1, 2]);
    let (data, relayed) = receive_from(&peer, PATIENCE).expect("relayed");
    assert_eq!(data, [1, 2]);
    peer.send_to(&[3, 4], relayed).expect("sent");
    assert_eq!(client.receive(), [0x40, 0, 0, 2, 3, 4]);
}

#[test]
fn with_strict_expiry_an_allocation_ends_with_its_credentials() {
    let server = Process::start(&format!(
        "{NO_LIMITS}\nsecret = \"{SECRET}\"\nstrict_expiry = true"
    ));
    // Who is on the list has no end.
    let listed = Prober::new(server.turn);
    listed.allocate().expect("allocated");
    let (client, lifetime) = hurried(&server);
    let began = Instant::now();
    assert!(lifetime <= 3, "{lifetime}");
    server.wait_for_metric("peerage_turn_allocations", 2);
    server.wait_for_metric("peerage_turn_allocations", 1);
    let lasted = began.elapsed();
    let lifetime = Duration::from_secs(lifetime.into());
    // Measured from the answer on; the wheel of timers turns a few times a second.
    let bounds = lifetime.saturating_sub(Duration::from_millis(500))
        ..lifetime + Duration::from_millis(1_500);
    assert!(bounds.contains(&lasted), "{lasted:?} of {lifetime:?}");
    wait_for_expiry(&client);
    assert_eq!(client.refresh(600), Err(401));
    assert_eq!(listed.refresh(600), Ok(()));
}
