//! TCP allocations (RFC 6062) through real sockets, with several workers.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use peerage::relay::Relay;
use peerage::stun::{Attribute, Method};
use peerage::turn::Transport;

use crate::client::{Carrier, Client, over_tcp, over_udp};
use crate::coturn_tools::{assert_lossless, uclient};
use crate::process::Process;
use crate::relay::{self, await_counters};
use crate::tcp::PAIRS;
use crate::tcp_peer::{
    Pair, Peer, assert_arrives, assert_joined, await_that, connect_to, is_over, pattern,
};
use crate::tls::over_tls;

fn tcp(relay: &Relay) -> SocketAddr {
    relay::server(relay, Transport::Tcp)
}

fn tls(relay: &Relay) -> SocketAddr {
    relay::server(relay, Transport::Tls)
}

/// Waits until there is nothing left of any TCP allocation.
fn await_nothing(relay: &Relay) {
    await_counters(relay, |counters| {
        (
            counters.peers,
            counters.allocations(),
            counters.connections(),
        ) == (0, 0, 0)
    });
}

/// A client connects to a peer, and binds that by another connection.
fn connect_out<A: Carrier, B: Carrier>(
    mut control: Client<A>,
    mut data: Client<B>,
) -> (Client<A>, B, TcpStream) {
    let peer = Peer::new();
    let relayed = control.allocate_tcp();
    let name = control.connect(peer.address()).expect("connected");
    let (stream, from) = peer.accept();
    assert_eq!(from, relayed);
    data.bind_to(&name).expect("bound");
    (control, data.carrier, stream)
}

/// A peer connects to a client, which binds that by another connection.
fn connect_in<A: Carrier, B: Carrier>(
    mut control: Client<A>,
    mut data: Client<B>,
) -> (Client<A>, B, TcpStream) {
    let relayed = control.allocate_tcp();
    control.permit(relayed);
    let mut peer = connect_to(relayed);
    // What comes before the client has bound the connection waits.
    peer.write_all(b"early").expect("sent");
    let (from, name) = control.receive_attempt();
    assert_eq!(from, peer.local_addr().expect("connected"));
    data.bind_to(&name).expect("bound");
    (control, data.carrier, peer)
}

#[test]
fn clients_reach_peers_whichever_worker_their_data_connections_meet() {
    let relay = relay::start_for_tcp();
    for _ in 0..PAIRS {
        let server = tcp(&relay);
        let (_control, mut data, mut peer) = connect_out(over_tcp(server), over_tcp(server));
        assert_joined(&mut data.0, &mut peer);
        let server = tls(&relay);
        let (_control, mut data, mut peer) = connect_out(over_tls(server), over_tls(server));
        assert_joined(&mut data.0, &mut peer);
    }
    await_nothing(&relay);
    assert_eq!(relay::counters(&relay).connections_made, 4 * PAIRS as u64);
}

#[test]
fn peers_reach_clients_whichever_worker_their_data_connections_meet() {
    let relay = relay::start_for_tcp();
    for _ in 0..PAIRS {
        let server = tcp(&relay);
        let (_control, mut data, mut peer) = connect_in(over_tcp(server), over_tcp(server));
        let mut early = [0; 5];
        data.0.read_exact(&mut early).expect("arrived");
        assert_eq!(&early, b"early");
        assert_joined(&mut data.0, &mut peer);
        let server = tls(&relay);
        let (_control, mut data, mut peer) = connect_in(over_tls(server), over_tls(server));
        data.0.read_exact(&mut early).expect("arrived");
        assert_eq!(&early, b"early");
        assert_joined(&mut data.0, &mut peer);
    }
    await_nothing(&relay);
}

#[test]
fn tcp_allocations_are_there_on_ipv6_too() {
    let relay = relay::start_for_tcp();
    let mut control = over_tcp(tcp(&relay));
    let v6 = [(Attribute::REQUESTED_ADDRESS_FAMILY, &[2, 0, 0, 0][..])];
    control.try_allocate_tcp(&v6).expect("allocated");
    let peer = Peer::on("::1");
    let name = control.connect(peer.address()).expect("connected");
    let mut data = over_tcp(tcp(&relay));
    data.bind_to(&name).expect("bound");
    assert_joined(&mut data.carrier.0, &mut peer.accept().0);
    assert_eq!(control.connect(Peer::new().address()), Err(443));
}

#[test]
fn two_clients_with_tcp_allocations_meet() {
    let relay = relay::start_adapted(|settings| {
        // Without any exception.
        settings.tcp_relay = Some(peerage::relay::TcpRelay {
            connections: 10,
            connections_per_user: 0,
            services: Vec::new(),
        });
    });
    let server = tcp(&relay);
    let (mut alice, mut bob) = (over_tcp(server), over_tcp(server));
    let (at_alice, at_bob) = (alice.allocate_tcp(), bob.allocate_tcp());
    bob.permit(at_alice);
    let name = alice.connect(at_bob).expect("connected");
    let mut from_alice = over_tcp(server);
    from_alice.bind_to(&name).expect("bound");
    let (from, name) = bob.receive_attempt();
    assert_eq!(from, at_alice);
    let mut from_bob = over_tcp(server);
    from_bob.bind_to(&name).expect("bound");
    assert_joined(&mut from_alice.carrier.0, &mut from_bob.carrier.0);
    // And nobody else on the server's addresses.
    assert_eq!(alice.connect(Peer::new().address()), Err(403));
}

#[test]
fn what_comes_behind_the_request_to_bind_is_the_peers() {
    let relay = relay::start_for_tcp();
    let bytes = pattern(300_000);
    for _ in 0..PAIRS {
        let peer = Peer::new();
        let mut control = over_tcp(tcp(&relay));
        control.allocate_tcp();
        let name = control.connect(peer.address()).expect("connected");
        let mut data = over_tcp(tcp(&relay));
        let request = data.signed(Method::CONNECTION_BIND, &|writer| {
            writer.attribute(Attribute::CONNECTION_ID, &name);
        });
        // All in one, and the end of the client's bytes with it.
        let all = [&request[..], &bytes].concat();
        let mut socket = data.carrier.0.try_clone().expect("a copy");
        let sending = std::thread::spawn(move || {
            socket.write_all(&all).expect("sent");
            socket.shutdown(Shutdown::Write).expect("ended");
        });
        data.answer_to(&request);
        let mut arrived = Vec::new();
        let mut stream = peer.accept().0;
        stream.read_to_end(&mut arrived).expect("arrived");
        assert!(arrived == bytes, "{} of {}", arrived.len(), bytes.len());
        sending.join().expect("sent");
        stream.write_all(b"thanks").expect("sent");
        let mut thanks = [0; 6];
        data.carrier.0.read_exact(&mut thanks).expect("arrived");
    }
}

/// Sends `bytes` from each side to the other at the same time; each reads slowly.
fn exchange<A, B>(a: (A, A), b: (B, B), bytes: &'static [u8])
where
    A: Read + Write + Send + 'static,
    B: Read + Write + Send + 'static,
{
    fn send(mut to: impl Write + Send + 'static, bytes: &'static [u8]) {
        std::thread::spawn(move || to.write_all(bytes).expect("sent"));
    }
    fn receive(
        mut from: impl Read + Send + 'static,
        bytes: &'static [u8],
    ) -> std::thread::JoinHandle<()> {
        std::thread::spawn(move || {
            let mut arrived = Vec::new();
            let mut buffer = [0; 16 << 10];
            while arrived.len() < bytes.len() {
                let count = from.read(&mut buffer).expect("arrived");
                assert!(count > 0, "{} bytes and the end", arrived.len());
                arrived.extend_from_slice(&buffer[..count]);
                std::thread::sleep(Duration::from_millis(1));
            }
            assert!(arrived == bytes);
        })
    }
    send(a.0, bytes);
    send(b.0, bytes);
    receive(a.1, bytes).join().expect("whole");
    receive(b.1, bytes).join().expect("whole");
}

fn megabytes() -> &'static [u8] {
    Vec::leak(pattern(3 << 20))
}

#[test]
fn megabytes_arrive_whole_both_ways_however_slowly_they_are_read() {
    let relay = relay::start_for_tcp();
    let pair = Pair::new(tcp(&relay));
    let twice = |stream: &TcpStream| {
        let copy = || stream.try_clone().expect("a copy");
        (copy(), copy())
    };
    exchange(twice(&pair.data), twice(&pair.peer), megabytes());
}

#[test]
fn megabytes_arrive_whole_both_ways_through_tls() {
    let relay = relay::start_for_tcp();
    let server = tls(&relay);
    let (_control, data, mut peer) = connect_out(over_tls(server), over_tls(server));
    let (bytes, mut secure) = (megabytes(), data.0);
    let mut copy = peer.try_clone().expect("a copy");
    let echo = std::thread::spawn(move || std::io::copy(&mut copy, &mut peer));
    let mut arrived = vec![0; bytes.len()];
    for (sent, back) in bytes.chunks(100_000).zip(arrived.chunks_mut(100_000)) {
        secure.write_all(sent).expect("sent");
        secure.read_exact(back).expect("arrived");
    }
    assert!(arrived == bytes);
    // A good-bye in TLS ends the peer's side; the peer's end is a good-bye in TLS.
    secure.conn.send_close_notify();
    secure.flush().expect("sent");
    let echoed = echo.join().expect("ended").expect("read");
    assert_eq!(echoed, bytes.len() as u64);
    assert_eq!(secure.read(&mut [0]).expect("a good-bye"), 0);
}

#[test]
fn each_side_may_end_before_the_other() {
    let relay = relay::start_for_tcp();
    let mut pair = Pair::new(tcp(&relay));
    pair.data.shutdown(Shutdown::Write).expect("ended");
    assert_eq!(pair.peer.read(&mut [0]).expect("the end"), 0);
    assert_arrives(&mut pair.peer, &mut pair.data, b"there is more to say");
    pair.peer.shutdown(Shutdown::Write).expect("ended");
    assert_eq!(pair.data.read(&mut [0]).expect("the end"), 0);
    await_counters(&relay, |counters| counters.peers == 0);

    let mut pair = Pair::new(tcp(&relay));
    pair.peer.shutdown(Shutdown::Write).expect("ended");
    assert_eq!(pair.data.read(&mut [0]).expect("the end"), 0);
    assert_arrives(&mut pair.data, &mut pair.peer, b"there is more to say");
    drop(pair.data);
    assert!(is_over(&mut pair.peer));
    await_counters(&relay, |counters| counters.peers == 0);
}

#[test]
fn when_one_side_is_gone_the_other_is_closed() {
    let relay = relay::start_for_tcp();
    let Pair {
        control: _control,
        data,
        mut peer,
        ..
    } = Pair::new(tcp(&relay));
    drop(data);
    assert!(is_over(&mut peer));
    drop(peer);
    let Pair {
        control: _control,
        mut data,
        peer,
        ..
    } = Pair::new(tcp(&relay));
    drop(peer);
    assert!(is_over(&mut data));
    drop(data);
    // With a reset in place of a good-bye: what nobody has read is lost.
    for kills_client in [true, false] {
        let mut pair = Pair::new(tcp(&relay));
        let (killed, other) = if kills_client {
            (pair.data, &mut pair.peer)
        } else {
            (pair.peer, &mut pair.data)
        };
        let mut other = other.try_clone().expect("a copy");
        other.write_all(b"unread").expect("sent");
        killed.peek(&mut [0]).expect("arrived");
        drop(killed);
        assert!(is_over(&mut other));
    }
    await_counters(&relay, |counters| counters.peers == 0);
}

#[test]
fn everything_ends_with_the_allocation() {
    let relay = relay::start_for_tcp();
    let ends: [&dyn Fn(&mut Pair); 3] = [
        &|pair| {
            let answer = pair.control.request(Method::REFRESH, &|writer| {
                writer.u32(Attribute::LIFETIME, 0);
            });
            answer.expect("ended");
        },
        &|pair| {
            let control = &pair.control.carrier.0;
            control.shutdown(Shutdown::Both).expect("ended");
        },
        // What is no message ends the control connection.
        &|pair| {
            let control = &mut pair.control.carrier.0;
            control.write_all(&[0xff]).expect("sent");
        },
    ];
    for end in ends {
        let mut pair = Pair::new(tcp(&relay));
        pair.control.permit(pair.relayed);
        // One that nobody binds.
        let mut waiting = connect_to(pair.relayed);
        pair.control.receive_attempt();
        end(&mut pair);
        assert!(is_over(&mut pair.data), "data");
        assert!(is_over(&mut pair.peer), "peer");
        assert!(is_over(&mut waiting), "waiting");
        // Its port is closed.
        await_that(|| TcpStream::connect(pair.relayed).is_err());
        drop(pair);
        await_nothing(&relay);
    }
}

#[test]
fn a_peer_without_a_permission_is_closed_at_once() {
    let relay = relay::start_for_tcp();
    let mut control = over_tcp(tcp(&relay));
    let relayed = control.allocate_tcp();
    let mut peer = connect_to(relayed);
    assert!(is_over(&mut peer));
    control.permit(relay::address("127.0.0.2:1"));
    assert!(is_over(&mut connect_to(relayed)));
    control.permit(relayed);
    let _peer = connect_to(relayed);
    // The first that the client hears of.
    control.receive_attempt();
    let mut data = over_tcp(tcp(&relay));
    assert_eq!(data.bind_to(&[9; 4]), Err(400));
}

#[test]
fn a_peer_that_does_not_answer_is_447() {
    let relay = relay::start_adapted(|settings| {
        settings.allow_peers = vec!["0.0.0.0/0".parse().expect("a range")];
        settings.tcp_relay = Some(peerage::relay::TcpRelay {
            connections: 10,
            connections_per_user: 0,
            services: Vec::new(),
        });
    });
    let mut control = over_tcp(tcp(&relay));
    control.allocate_tcp();
    let peer = Peer::new();
    let closed = peer.address();
    drop(peer);
    assert_eq!(control.connect(closed), Err(447));
    // No way leads there from loopback.
    assert_eq!(control.connect(relay::address("8.8.8.8:2000")), Err(447));
    assert_eq!(control.connect(closed), Err(447));
    await_counters(&relay, |counters| counters.peers == 0);
}

#[test]
fn a_second_connection_to_a_peer_is_446_until_the_first_is_over() {
    let relay = relay::start_for_tcp();
    let peer = Peer::new();
    let mut control = over_tcp(tcp(&relay));
    control.allocate_tcp();
    let name = control.connect(peer.address()).expect("connected");
    assert_eq!(control.connect(peer.address()), Err(446));
    let mut data = over_tcp(tcp(&relay));
    data.bind_to(&name).expect("bound");
    assert_eq!(control.connect(peer.address()), Err(446));
    drop((data, peer.accept()));
    await_counters(&relay, |counters| counters.peers == 0);
}

#[test]
fn requests_that_are_wrong_are_refused_by_their_codes() {
    let relay = relay::start_for_tcp();
    let server = tcp(&relay);
    let peer = Peer::new();
    // No allocation, and one for UDP.
    let mut client = over_tcp(server);
    assert_eq!(client.connect(peer.address()), Err(437));
    client.allocate();
    assert_eq!(client.connect(peer.address()), Err(437));
    assert_eq!(client.try_allocate_tcp(&[]), Err(437));
    // Not over UDP.
    let mut by_udp = over_udp(relay::server(&relay, Transport::Udp));
    assert_eq!(by_udp.try_allocate_tcp(&[]), Err(400));
    assert_eq!(by_udp.bind_to(&[1; 4]), Err(400));
    let mut control = over_tcp(server);
    let even = (Attribute::EVEN_PORT, &[0][..]);
    assert_eq!(control.try_allocate_tcp(&[even]), Err(400));
    let relayed = control.allocate_tcp();
    assert_eq!(control.request(Method::CONNECT, &|_| {}), Err(400));
    assert_eq!(control.connect(server), Err(403));
    assert_eq!(control.connect(relayed), Err(403));
    assert_eq!(control.bind_to(&[1; 4]), Err(400));
    let answer = control.request(Method::CHANNEL_BIND, &|writer| {
        writer.u32(Attribute::CHANNEL_NUMBER, 0x4000 << 16);
        writer.xor_address(Attribute::XOR_PEER_ADDRESS, peer.address());
    });
    assert_eq!(answer, Err(400));
    // The control connection still works, and a connection that could not bind once may.
    let name = control.connect(peer.address()).expect("connected");
    let mut data = over_tcp(server);
    assert_eq!(data.bind_to(&[1; 4]), Err(400));
    assert_eq!(data.bind_to(&name), Ok(()));
    assert_eq!(over_tcp(server).bind_to(&name), Err(400));
}

#[test]
fn without_the_key_there_are_no_tcp_allocations() {
    let relay = relay::start(&["127.0.0.0/8"]);
    let mut client = over_tcp(tcp(&relay));
    assert_eq!(client.try_allocate_tcp(&[]), Err(442));
    client.allocate();
}

#[test]
fn a_bounded_allocation_relays_its_bandwidth_and_no_more() {
    let relay = relay::start_adapted(|settings| {
        settings.max_bandwidth_per_allocation = 500_000;
        settings.allow_peers = vec!["127.0.0.0/8".parse().expect("a range")];
        settings.tcp_relay = Some(peerage::relay::TcpRelay {
            connections: 10,
            connections_per_user: 0,
            services: Vec::new(),
        });
    });
    let mut pair = Pair::new(tcp(&relay));
    let bytes = pattern(1_500_000);
    let start = Instant::now();
    let mut peer = pair.peer.try_clone().expect("a copy");
    let sent = bytes.clone();
    let sending = std::thread::spawn(move || peer.write_all(&sent).expect("sent"));
    let mut arrived = vec![0; bytes.len()];
    pair.data.read_exact(&mut arrived).expect("arrived");
    assert!(arrived == bytes);
    sending.join().expect("sent");
    // A second's worth at once, and the rest at the rate; the last 64 KiB come at once.
    assert!(start.elapsed() > Duration::from_millis(1_700));
    // The other direction has its own.
    assert_arrives(&mut pair.data, &mut pair.peer, b"hello");
}

/// A server with TCP allocations, to any peer on loopback.
fn process() -> Process {
    Process::start(
        "unauthenticated_rate = 0\ntcp_relay = true\nallow_peers = [\"127.0.0.0/8\"]\n\
         listen = [\"tcp://127.0.0.1:0\", \"tls://127.0.0.1:0\"]",
    )
}

#[test]
fn metrics_tell_of_tcp_allocations_and_their_connections() {
    let server = process();
    let mut pair = Pair::new(server.turn);
    pair.control.permit(pair.relayed);
    let _waiting = connect_to(pair.relayed);
    pair.control.receive_attempt();
    let closed = Peer::new().address();
    assert_eq!(pair.control.connect(closed), Err(447));
    assert_joined(&mut pair.data, &mut pair.peer);
    for (name, value) in [
        ("peerage_turn_tcp_allocations", 1),
        ("peerage_turn_allocations", 1),
        (r#"peerage_turn_peer_connections{progress="connecting"}"#, 0),
        (r#"peerage_turn_peer_connections{progress="waiting"}"#, 1),
        (r#"peerage_turn_peer_connections{progress="bound"}"#, 1),
        (
            r#"peerage_turn_peer_connections_opened_total{origin="client"}"#,
            2,
        ),
        (
            r#"peerage_turn_peer_connections_opened_total{origin="peer"}"#,
            1,
        ),
        (
            r#"peerage_turn_peer_connections_lost_total{reason="unreachable"}"#,
            1,
        ),
        ("peerage_turn_bytes_to_peers_total", 3 * 8),
        ("peerage_turn_bytes_to_clients_total", 3 * 5),
        ("peerage_turn_connections", 2),
    ] {
        await_that(|| server.metric(name) == value);
    }
}

#[test]
fn uclient_relays_between_its_own_tcp_allocations() {
    let server = process();
    for secure in [&[][..], &["-S"]] {
        let options = ["-T", "-m", "2", "-n", "50", "-z", "5", "-l", "170"];
        let report = uclient(server.turn, &[secure, &options].concat());
        assert_lossless(&report, 2 * 50);
    }
    // The tool's peers only read: with coturn's server it counts the same.
    let report = uclient(server.turn, &["-P", "-m", "2", "-n", "50", "-z", "5"]);
    assert!(report.contains("tot_recv_msgs=50\n"), "{report}");
}
