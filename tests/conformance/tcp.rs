//! TURN over TCP (RFC 8656 section 3.1, RFC 8489 section 6.2.2).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use peerage::relay::{Listener, Relay};
use peerage::stun::{Class, Message, Method, TransactionId, Writer};
use peerage::turn::Transport;

use crate::client::{self, Carrier, Client, PATIENCE, Stream, connect, over_tcp, over_udp};
use crate::coturn_tools::{EchoPeer, assert_lossless, uclient, uclient_with_a_channel};
use crate::relay::{self, await_counters};

/// So many that some of them surely live with different workers.
pub(crate) const PAIRS: usize = 24;

fn tcp(relay: &Relay) -> SocketAddr {
    relay::server(relay, Transport::Tcp)
}

fn udp(relay: &Relay) -> SocketAddr {
    relay::server(relay, Transport::Udp)
}

fn tcp_over_ipv6(relay: &Relay) -> SocketAddr {
    let over_ipv6 =
        |listener: &&Listener| listener.transport == Transport::Tcp && listener.address.is_ipv6();
    relay
        .listeners()
        .iter()
        .find(over_ipv6)
        .expect("there is one")
        .address
}

fn binding_request(number: u8) -> Vec<u8> {
    let mut buffer = [0; 100];
    let id = TransactionId([number; 12]);
    let writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, id);
    let length = writer.finish().expect("it fits");
    buffer[..length].to_vec()
}

#[test]
fn a_client_learns_its_address_over_ipv4_and_ipv6() {
    let relay = relay::start(&[]);
    for server in [tcp(&relay), tcp_over_ipv6(&relay)] {
        let mut client = over_tcp(server);
        let local = client.carrier.0.local_addr().expect("connected");
        assert_eq!(client.bind(), local);
    }
}

#[test]
fn messages_are_understood_however_they_are_cut_into_segments() {
    let relay = relay::start(&[]);
    let requests: Vec<u8> = (0..3).flat_map(binding_request).collect();
    for at in 0..requests.len() {
        let mut stream = Stream(connect(tcp(&relay)));
        let (a, b) = requests.split_at(at);
        stream.0.write_all(a).expect("sent");
        // An answer to the first request tells that what is before the cut has been read.
        let mut answers = Vec::new();
        if at >= 20 {
            answers.extend(stream.receive());
        }
        stream.0.write_all(b).expect("sent");
        while answers.len() < 3 {
            answers.extend(stream.receive());
        }
        for (number, answer) in answers.iter().enumerate() {
            let message = Message::parse(answer).expect("well formed");
            assert_eq!(
                message.transaction_id().0,
                [number as u8; 12],
                "cut at {at}"
            );
        }
    }
}

#[test]
fn whoever_sends_garbage_is_cut_off_and_gets_the_answers_to_what_came_before() {
    let relay = relay::start(&[]);
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 100], &[0, 1, 0, 3]] {
        let mut stream = Stream(connect(tcp(&relay)));
        let request = [&binding_request(1), garbage].concat();
        stream.0.write_all(&request).expect("sent");
        assert!(stream.receive().is_some());
        assert_eq!(stream.receive(), None);
    }
    await_counters(&relay, |counters| {
        counters.connections_made == 3 && counters.connections() == 0
    });
}

#[test]
fn a_stranger_may_not_send_long_messages() {
    let relay = relay::start(&[]);
    let mut stream = Stream(connect(tcp(&relay)));
    let mut request = binding_request(1);
    request[2..4].copy_from_slice(&8_000_u16.to_be_bytes());
    stream.0.write_all(&request).expect("sent");
    assert_eq!(stream.receive(), None);
}

#[test]
fn connections_that_trickle_are_cut_off_and_a_neighbour_does_not_wait() {
    let relay = relay::start(&[]);
    let server = tcp(&relay);
    // The beginning of a message of which a byte comes now and then.
    let mut request = binding_request(1);
    request[2..4].copy_from_slice(&4_000_u16.to_be_bytes());
    let mut slow: Vec<TcpStream> = (0..500).map(|_| connect(server)).collect();
    for stream in &mut slow {
        stream.write_all(&request).expect("sent");
    }
    let mut last = slow.pop().expect("there are some");
    let pause = Some(Duration::from_millis(100));
    last.set_read_timeout(pause).expect("not zero");
    // None gets an answer: to read brings nothing in time, or the end.
    while last.read(&mut [0]).is_err_and(|error| {
        use std::io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
        matches!(error.kind(), WouldBlock | TimedOut | Interrupted)
    }) {
        over_tcp(server).bind();
        for stream in &mut slow {
            // It may be over already.
            let _ = stream.write(&[0]);
        }
    }
    for stream in slow {
        assert_eq!(Stream(stream).receive(), None);
    }
    await_counters(&relay, |counters| counters.connections() == 0);
}

#[test]
fn an_allocation_ends_with_its_connection() {
    let relay = relay::start(&[]);
    let mut client = over_tcp(tcp(&relay));
    client.allocate();
    await_counters(&relay, |counters| counters.allocations() == 1);
    drop(client);
    await_counters(&relay, |counters| {
        counters.allocations() == 0 && counters.connections() == 0
    });
}

#[test]
fn a_connection_outlives_its_allocation_and_may_have_another() {
    let relay = relay::start(&[]);
    let mut client = over_tcp(tcp(&relay));
    client.allocate();
    let answer = client.request(Method::REFRESH, &|writer| {
        writer.u32(peerage::stun::Attribute::LIFETIME, 0);
    });
    answer.expect("ended");
    client.allocate();
    assert_eq!(relay::counters(&relay).connections_made, 1);
}

/// Lets two clients speak to each other, by a channel and by indications, in messages of lengths
/// that need padding and that need none.
pub(crate) fn converse<A: Carrier, B: Carrier>(a: &mut Client<A>, b: &mut Client<B>) {
    let (at_a, at_b) = (a.allocate(), b.allocate());
    a.bind_channel(0x4000, at_b);
    b.permit(at_a);
    for length in 0..10 {
        let message = vec![length as u8; length];
        a.send_by_channel(0x4000, &message);
        assert_eq!(b.receive_data(), message);
        b.send_indication(at_a, &message);
        assert_eq!(a.receive_data(), message);
    }
}

#[test]
fn clients_of_streams_meet_each_other_whichever_worker_they_are_with() {
    for relay in [relay::start(&[]), relay::start_portless(&[])] {
        for _ in 0..PAIRS {
            converse(&mut over_tcp(tcp(&relay)), &mut over_tcp(tcp(&relay)));
        }
        let counters = relay::counters(&relay);
        assert!(counters.packets_posted > 0, "all pairs had one worker");
        assert_eq!(counters.packets_unsent, 0);
    }
}

#[test]
fn clients_of_streams_and_of_datagrams_meet_whichever_worker_they_are_with() {
    let relay = relay::start(&[]);
    // A port that came back would bring its next owner the allocation of the one before.
    let mut kept = Vec::new();
    for _ in 0..PAIRS {
        let [mut one, mut other] = [(); 2].map(|()| over_udp(udp(&relay)));
        converse(&mut over_tcp(tcp(&relay)), &mut one);
        converse(&mut other, &mut over_tcp(tcp(&relay)));
        kept.extend([one, other]);
    }
    let counters = relay::counters(&relay);
    assert!(counters.packets_posted > 0, "all pairs had one worker");
    assert_eq!(counters.packets_unsent, 0);
}

#[test]
fn the_largest_datagram_passes_both_ways() {
    let relay = relay::start(&["127.0.0.0/8"]);
    let peer = UdpSocket::bind("127.0.0.1:0").expect("bound");
    peer.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut client = over_tcp(tcp(&relay));
    let relayed = client.allocate();
    client.permit(peer.local_addr().expect("bound"));
    let largest = vec![7; 65_440];
    client.send_indication(peer.local_addr().expect("bound"), &largest);
    let mut buffer = vec![0; 65_536];
    let (length, from) = peer.recv_from(&mut buffer).expect("relayed");
    assert_eq!((&buffer[..length], from), (&largest[..], relayed));
    peer.send_to(&largest, relayed).expect("sent");
    assert_eq!(client.receive_data(), largest);
}

#[test]
fn a_client_that_does_not_read_loses_data_and_slows_nobody_down() {
    let relay = relay::start(&["127.0.0.0/8"]);
    let peer = UdpSocket::bind("127.0.0.1:0").expect("bound");
    let peer_address = peer.local_addr().expect("bound");
    let mut slow = over_tcp(tcp(&relay));
    let relayed = slow.allocate();
    slow.bind_channel(0x4000, peer_address);
    let start = Instant::now();
    while relay::counters(&relay).packets_unsent < 100 {
        assert!(start.elapsed() < PATIENCE, "everything finds room");
        for _ in 0..100 {
            peer.send_to(&[1; 1_000], relayed).expect("sent");
        }
    }
    for _ in 0..PAIRS {
        converse(&mut over_tcp(tcp(&relay)), &mut over_udp(udp(&relay)));
    }
    // What it reads later is whole messages.
    let sent = relay::counters(&relay).packets_to_clients;
    assert!(sent > 100);
    for _ in 0..100 {
        assert_eq!(slow.receive_data(), [1; 1_000]);
    }
}

#[test]
fn connections_beyond_the_most_are_closed_at_once() {
    let relay = relay::start_adapted(|settings| settings.connections = 2);
    let mut first = over_tcp(tcp(&relay));
    let mut second = over_tcp(tcp(&relay));
    first.bind();
    second.bind();
    let mut third = connect(tcp(&relay));
    assert_eq!(third.read(&mut [0; 10]).expect("closed"), 0);
    drop(first);
    await_counters(&relay, |counters| counters.connections() == 1);
    over_tcp(tcp(&relay)).bind();
    assert_eq!(relay::counters(&relay).connections_refused, 1);
}

#[test]
fn many_connections_come_and_go_and_leave_nothing() {
    let relay = relay::start(&[]);
    for _ in 0..20 {
        let clients: Vec<_> = (0..50).map(|_| connect(tcp(&relay))).collect();
        let mut last = Client::new(Stream(connect(tcp(&relay))));
        last.bind();
        drop(clients);
    }
    await_counters(&relay, |counters| {
        counters.connections_made == 20 * 51 && counters.connections() == 0
    });
}

#[test]
fn uclient_relays_between_its_own_clients_over_tcp() {
    for relay in [relay::start(&[]), relay::start_portless(&[])] {
        let report = uclient(
            tcp(&relay),
            &["-t", "-y", "-c", "-s", "-m", "4", "-n", "50", "-z", "5"],
        );
        assert_lossless(&report, 4 * 50);
    }
}

#[test]
fn uclient_relays_to_an_echo_peer_over_tcp() {
    let relay = relay::start(&["127.0.0.0/8"]);
    let peer = EchoPeer::start("127.0.0.1");
    let mut to = vec!["-t", "-c", "-e", "127.0.0.1", "-r", &peer.port];
    to.extend(["-n", "50", "-z", "5", "-l", "1201"]);
    assert_lossless(&uclient_with_a_channel(tcp(&relay), &to), 50);
    to.push("-s");
    assert_lossless(&uclient(tcp(&relay), &to), 50);
}

#[test]
fn uclient_relays_over_tcp_and_ipv6() {
    let relay = relay::start(&["::1"]);
    let peer = EchoPeer::start("::1");
    let mut to = vec!["-t", "-x", "-c", "-s", "-e", "::1", "-r", &peer.port];
    to.extend(["-n", "50", "-z", "5"]);
    assert_lossless(&uclient(tcp_over_ipv6(&relay), &to), 50);
}

#[test]
fn a_client_is_not_kept_waiting_by_its_delayed_acknowledgements() {
    let relay = relay::start(&[]);
    let (mut a, mut b) = (over_tcp(tcp(&relay)), client::over_tcp(tcp(&relay)));
    let (at_a, at_b) = (a.allocate(), b.allocate());
    a.bind_channel(0x4000, at_b);
    b.bind_channel(0x4000, at_a);
    let start = Instant::now();
    for _ in 0..100 {
        a.send_by_channel(0x4000, b"ping");
        b.receive_data();
        b.send_by_channel(0x4000, b"pong");
        a.receive_data();
    }
    // Without TCP_NODELAY at the relay each would take 40 ms and more.
    assert!(start.elapsed() < Duration::from_secs(4));
}
