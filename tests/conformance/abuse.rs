//! What attackers try, against the real binary. docs/security.md says which test shows what.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Instant;

use peerage::stun::{Attribute, Class, Message, Method};

use crate::prober::{Prober, code, message};
use crate::process::Process;

const UNSIGNED: &str = "peerage_turn_unauthenticated_total{reason=\"unsigned\"}";

const NO_LIMITS: &str =
    "unauthenticated_rate = 0\nmax_allocations_per_user = 0\nmax_new_peers_per_user = 0";

/// A socket that must stay silent, and its address.
fn canary(address: &str) -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind(address).expect("loopback has ports");
    socket.set_nonblocking(true).expect("set");
    let address = socket.local_addr().expect("bound");
    (socket, address)
}

/// Everything that waits at a socket.
fn arrived(socket: &UdpSocket) -> Vec<(usize, SocketAddr)> {
    let mut buffer = [0; 2_000];
    std::iter::from_fn(|| socket.recv_from(&mut buffer).ok()).collect()
}

/// A source address of the loopback network by its number.
fn source(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 1, 0, 0)) + number)
}

fn allocate_request(id: u64, garbage: bool) -> Vec<u8> {
    message(Class::Request, Method::ALLOCATE, id, |writer| {
        writer.attribute(Attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
        if garbage {
            writer.text(Attribute::USERNAME, "1999999999:mallory");
            writer.text(Attribute::REALM, crate::relay::REALM);
            writer.attribute(Attribute::NONCE, b"obMatJos2AAAAnonsensenonsensenonsense");
            writer.attribute(Attribute::MESSAGE_INTEGRITY, &[7; 20]);
        }
    })
}

#[test]
fn answers_to_one_address_are_bounded_and_another_gets_its_own() {
    let server = Process::start("unauthenticated_rate = 50");
    let began = Instant::now();
    let sockets: Vec<UdpSocket> = (0..200).map(|_| canary("127.0.0.1:0").0).collect();
    let request = allocate_request(1, false);
    let mut answers = Vec::new();
    for _ in 0..20 {
        for socket in &sockets {
            socket.send_to(&request, server.turn).expect("sent");
            answers.extend(arrived(socket));
        }
    }
    // Whoever is at another address gets an answer to its first request.
    let mut neighbour = Prober::at(source(1), server.turn);
    neighbour.learn_nonce();
    answers.extend(sockets.iter().flat_map(arrived));
    let seconds = began.elapsed().as_secs() as usize + 1;
    // The burst and the rate, rounded up by each of two workers.
    let most = 2 * 25 * (1 + seconds);
    assert!(
        !answers.is_empty() && answers.len() <= most,
        "{} answers",
        answers.len()
    );
    // With the headers of UDP and IP.
    let bytes: usize = answers.iter().map(|(length, _)| length + 28).sum();
    assert!(bytes <= answers.len() * 3 * (request.len() + 28));
}

#[test]
fn what_is_no_request_is_never_answered() {
    let server = Process::start(NO_LIMITS);
    let prober = Prober::new(server.turn);
    let mut sent = 0;
    for number in 0..2_000_u64 {
        for class in [Class::Success, Class::Error, Class::Indication] {
            for method in [Method::BINDING, Method::ALLOCATE, Method::REFRESH] {
                prober.send(&message(class, method, number, |_| {}));
                sent += 1;
            }
        }
        let length = (number % 64) as usize;
        prober.send(&vec![(number % 251) as u8; length]);
        let mut spoilt = message(Class::Request, Method::BINDING, number, |writer| {
            writer.fingerprint();
        });
        spoilt[24] ^= 1;
        prober.send(&spoilt);
        sent += 2;
        // So that nothing is lost on the way in.
        if number % 16 == 0 {
            assert_eq!(prober.settle(), Vec::<Vec<u8>>::new());
        }
    }
    assert_eq!(prober.settle(), Vec::<Vec<u8>>::new(), "of {sent}");
}

#[test]
fn a_flood_of_strangers_leaves_no_memory_and_no_sockets_behind() {
    const SOURCES: u32 = 20_000;
    const REQUESTS: u64 = 10;
    let server = Process::start("");
    let flood = |from: u32, to: u32| {
        for number in from..to {
            let socket = UdpSocket::bind((source(number), 0)).expect("loopback has ports");
            for id in 0..REQUESTS {
                let request = allocate_request(id, id % 2 == 0);
                socket.send_to(&request, server.turn).expect("sent");
            }
            if number % 50 == 0 {
                // Two askers, who are likely at both workers: what came before is handled.
                for _ in 0..2 {
                    Prober::at(source(number), server.turn).settle();
                }
            }
        }
    };
    flood(0, SOURCES / 20);
    let (memory, descriptors) = (server.resident(), server.descriptors());
    flood(SOURCES / 20, SOURCES);
    let grown = server.resident().saturating_sub(memory);
    assert!(grown <= 5 * 1_024, "{grown} kB");
    // One is the metrics page's connection.
    assert!(server.descriptors() <= descriptors + 1);
    assert_eq!(server.metric("peerage_turn_allocations"), 0);
    let seen: u64 = ["unsigned", "wrong"]
        .map(|reason| format!("peerage_turn_unauthenticated_total{{reason=\"{reason}\"}}"))
        .map(|name| server.metric(&name))
        .iter()
        .sum();
    assert!(
        seen > u64::from(SOURCES) * REQUESTS * 9 / 10,
        "{seen} were handled"
    );
}

#[test]
fn one_credential_gets_its_quota_and_all_together_get_the_servers() {
    let server = Process::start("max_allocations_per_user = 10\nmax_allocations = 15");
    let outcomes = |user: &'static str, password: &str| {
        let clients: Vec<Prober> = (0..64)
            .map(|_| {
                let mut client = Prober::new(server.turn);
                client.sign_in_as(user, password);
                client
            })
            .collect();
        let outcomes: Vec<_> = clients.iter().map(Prober::allocate).collect();
        (clients, outcomes)
    };
    let (alices, of_alice) = outcomes("alice", "alice's password");
    let (_bobs, of_bob) = outcomes("bob", "bob's password");
    let made = |outcomes: &[Result<SocketAddr, u16>]| outcomes.iter().flatten().count();
    assert_eq!((made(&of_alice), made(&of_bob)), (10, 5));
    assert!(of_alice[10..].iter().all(|outcome| *outcome == Err(486)));
    assert!(of_bob[5..].iter().all(|outcome| *outcome == Err(508)));
    // What ends makes room.
    assert_eq!(alices[0].refresh(0), Ok(()));
    assert!(alices[63].allocate().is_ok());
    alices[63].let_count();
    assert_eq!(server.metric("peerage_turn_allocations"), 15);
}

#[test]
fn ports_come_back_however_often_they_are_taken() {
    // None that the system gives to others who want any.
    let server = Process::start(&format!("{NO_LIMITS}\nrelay_ports = \"20500-20519\""));
    let client = Prober::new(server.turn);
    let mut seen = BTreeSet::new();
    for _ in 0..500 {
        let relayed = client.allocate().expect("a port is free");
        seen.insert(relayed.port());
        assert_eq!(client.refresh(0), Ok(()));
    }
    // At random: each port's turn has come.
    assert_eq!(seen, (20_500..=20_519).collect());
}

/// The forms in which an IPv4 address may come.
fn forms(v4: Ipv4Addr) -> Vec<IpAddr> {
    let [a, b, c, d] = v4.octets().map(u16::from);
    let (high, low) = (a << 8 | b, c << 8 | d);
    vec![
        v4.into(),
        v4.to_ipv6_mapped().into(),
        Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low).into(),
        Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low).into(),
        Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low).into(),
        Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, high, low).into(),
        Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1).into(),
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0x5efe, high, low).into(),
        Ipv6Addr::new(0x2a00, 0, 0, 0, 0x200, 0x5efe, high, low).into(),
    ]
}

/// Asks for `ip` in every way.
fn try_to_reach(client: &Prober, ip: IpAddr, port: u16) {
    let peer = SocketAddr::new(ip, port);
    for outcome in [client.permit(&[peer]), client.bind_channel(0x4000, peer)] {
        // 443 where the allocation is of the other family.
        assert!(matches!(outcome, Err(403 | 443)), "{peer}: {outcome:?}");
    }
    client.indicate(peer, b"inside");
    client.channel(0x4000, b"inside");
}

#[test]
fn no_form_of_an_inner_address_is_reached() {
    let server = Process::start(NO_LIMITS);
    let (v4, v6) = (canary("0.0.0.0:0"), canary("[::1]:0"));
    let address = |ip: &str| ip.parse::<IpAddr>().expect("an address");
    let inner = [
        "127.0.0.2",
        "0.0.0.0",
        "10.1.2.3",
        "169.254.169.254",
        "192.168.1.1",
    ]
    .map(|ip| ip.parse().expect("an address"));
    let others = [
        "::",
        "fc00::1",
        "fe80::1",
        "ff02::1",
        "224.0.0.1",
        "255.255.255.255",
    ]
    .map(address);
    let peers: Vec<IpAddr> = inner.into_iter().flat_map(forms).chain(others).collect();
    for (family, own, canary) in [(1, "127.0.0.1", v4.1), (2, "::1", v6.1)] {
        let client = Prober::new(server.turn);
        client.allocate_of(family).expect("allocated");
        for &ip in &peers {
            try_to_reach(&client, ip, canary.port());
        }
        // The relay's own addresses are peers where a relayed address is, and nowhere else.
        let own = SocketAddr::new(address(own), canary.port());
        assert_eq!(client.permit(&[own]), Ok(()));
        assert_eq!(client.bind_channel(0x4000, own), Err(403));
        client.indicate(own, b"inside");
        client.settle();
    }
    assert_eq!((arrived(&v4.0), arrived(&v6.0)), (vec![], vec![]));
}

#[test]
fn one_bad_peer_among_good_ones_spoils_the_request_whichever_comes_first() {
    let server = Process::start(NO_LIMITS);
    let client = Prober::new(server.turn);
    client.allocate().expect("allocated");
    let [good, bad] = [[8, 8, 8, 8], [127, 0, 0, 2]].map(|ip| SocketAddr::from((ip, 9)));
    for peers in [[good, bad], [bad, good]] {
        assert_eq!(client.permit(&peers), Err(403));
    }
}

#[test]
fn who_guesses_passwords_gets_nothing_and_a_neighbour_signs_in() {
    let server = Process::start("unauthenticated_rate = 20");
    let mut guesser = Prober::new(server.turn);
    guesser.login.password = "guess".to_owned();
    guesser.socket.set_nonblocking(true).expect("set");
    let began = Instant::now();
    let mut answers = Vec::new();
    for number in 0..3_000 {
        let guess = guesser.signed(number, Method::ALLOCATE, |_| {});
        guesser.send(&guess);
        answers.extend(arrived(&guesser.socket));
    }
    let mut neighbour = Prober::at([127, 0, 0, 1], server.turn);
    neighbour.learn_nonce();
    assert!(neighbour.allocate().is_ok());
    neighbour.let_count();
    answers.extend(arrived(&guesser.socket));
    let most = 10 * (2 + began.elapsed().as_secs() as usize);
    assert!(answers.len() <= most, "{} answers", answers.len());
    assert_eq!(server.metric("peerage_turn_allocations"), 1);
}

#[test]
fn an_unknown_user_gets_what_a_wrong_password_gets() {
    let server = Process::start(NO_LIMITS);
    let shape = |user, password: &str| {
        let mut prober = Prober::new(server.turn);
        prober.sign_in_as(user, password);
        let answer = prober.request(Method::ALLOCATE, |_| {});
        let message = Message::parse(&answer).expect("well formed");
        let attributes = message.attributes();
        let shape: Vec<_> = attributes
            .map(|(kind, value)| (kind, value.len()))
            .collect();
        (code(&answer), answer.len(), shape)
    };
    let wrong = shape("alice", "guess");
    assert_eq!(wrong.0, Err(401));
    for unknown in ["mallory", "", "4102444800:mallory", "1000:mallory"] {
        assert_eq!(shape(unknown, "guess"), wrong, "{unknown:?}");
    }
}

#[test]
fn a_captured_request_is_of_no_use_elsewhere() {
    let server = Process::start(NO_LIMITS);
    let client = Prober::new(server.turn);
    client.allocate().expect("allocated");
    let captured = client.signed(9, Method::REFRESH, |writer| {
        writer.u32(Attribute::LIFETIME, 0);
    });
    let thief = Prober::at(source(1), server.turn);
    thief.send(&captured);
    let answers = thief.settle();
    assert_eq!(answers.len(), 1);
    assert_eq!(code(&answers[0]), Err(438));
    assert_eq!(client.refresh(600), Ok(()));
}

#[test]
fn what_is_appended_behind_the_signature_does_nothing() {
    let server = Process::start(NO_LIMITS);
    let client = Prober::new(server.turn);
    client.allocate().expect("allocated");
    let mut longer = client.signed(77, Method::REFRESH, |_| {});
    // LIFETIME of zero, and a length that takes it in.
    longer.extend_from_slice(&[0, 0x0d, 0, 4, 0, 0, 0, 0]);
    let length = u16::try_from(longer.len() - 20).expect("short");
    longer[2..4].copy_from_slice(&length.to_be_bytes());
    client.send(&longer);
    let answers = client.settle();
    assert_eq!(code(&answers[0]), Ok(()));
    assert_eq!(client.refresh(600), Ok(()), "it lives");
}

#[test]
fn another_user_cannot_touch_an_allocation_even_at_its_address() {
    let server = Process::start(NO_LIMITS);
    let mut client = Prober::new(server.turn);
    client.allocate().expect("allocated");
    client.sign_in_as("bob", "bob's password");
    let peer = SocketAddr::from(([8, 8, 8, 8], 9));
    assert_eq!(client.refresh(0), Err(441));
    assert_eq!(client.permit(&[peer]), Err(441));
    assert_eq!(client.bind_channel(0x4000, peer), Err(441));
    client.let_count();
    assert_eq!(server.metric("peerage_turn_allocations"), 1);
}

#[test]
fn a_packet_in_a_circle_of_allocations_comes_out_once() {
    let server = Process::start(NO_LIMITS);
    let [alice, bob] = [(); 2].map(|()| Prober::new(server.turn));
    let [of_alice, of_bob] = [&alice, &bob].map(|it| it.allocate().expect("allocated"));
    for (client, peer) in [(&alice, of_bob), (&bob, of_alice)] {
        assert_eq!(client.bind_channel(0x4000, peer), Ok(()));
    }
    assert_eq!(alice.bind_channel(0x4001, of_alice), Ok(()), "oneself");
    // Each looks like what its receiver would have to send to go on.
    alice.channel(0x4000, &[0x40, 0, 0, 4, 0x40, 0, 0, 0]);
    alice.channel(0x4001, &[0x40, 1, 0, 4, 0x40, 1, 0, 0]);
    let (at_alice, at_bob) = (alice.settle(), bob.settle());
    assert_eq!(
        at_alice,
        [[&[0x40, 1, 0, 8][..], &[0x40, 1, 0, 4, 0x40, 1, 0, 0]].concat()]
    );
    assert_eq!(
        at_bob,
        [[&[0x40, 0, 0, 8][..], &[0x40, 0, 0, 4, 0x40, 0, 0, 0]].concat()]
    );
    let all = server.metric("peerage_turn_packets_to_clients_total");
    // Answers are no relayed packets; these two are.
    assert_eq!(all, 2);
}

#[test]
fn the_listener_is_no_peer_even_where_its_address_is_allowed() {
    let server = Process::start(&format!("{NO_LIMITS}\nallow_peers = [\"127.0.0.0/8\"]"));
    let client = Prober::new(server.turn);
    client.allocate().expect("allocated");
    assert_eq!(client.permit(&[server.turn]), Ok(()), "its address is");
    assert_eq!(client.bind_channel(0x4000, server.turn), Err(403));
    client.let_count();
    let before = server.metric(UNSIGNED);
    client.indicate(server.turn, &allocate_request(1, false));
    client.let_count();
    assert_eq!(server.metric(UNSIGNED), before);
    // Another peer at this address is reached.
    let (peer, address) = canary("127.0.0.1:0");
    peer.set_nonblocking(false).expect("set");
    client.indicate(address, b"hello");
    let mut buffer = [0; 100];
    assert_eq!(peer.recv(&mut buffer).expect("arrived"), 5);
}

#[test]
fn a_scan_by_permissions_meets_an_end() {
    let server = Process::start(NO_LIMITS);
    let client = Prober::new(server.turn);
    client.allocate().expect("allocated");
    let outcomes: Vec<_> = (0..1_000_u32)
        .map(|number| {
            let ip = Ipv4Addr::from(u32::from(Ipv4Addr::new(8, 0, 0, 0)) + number);
            client.permit(&[SocketAddr::new(ip.into(), 9)])
        })
        .collect();
    let granted = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert!(granted <= 128 && outcomes[granted..].iter().all(|it| *it == Err(508)));
}

#[test]
fn a_scan_by_ever_new_allocations_meets_an_end_too() {
    let server = Process::start("max_new_peers_per_user = 300");
    let began = Instant::now();
    let client = Prober::new(server.turn);
    let mut granted = 0;
    for round in 0..50_u32 {
        client.allocate().expect("allocated");
        let peers = (0..100).map(|number| {
            let first = u32::from(Ipv4Addr::new(8, 0, 0, 0));
            SocketAddr::new(Ipv4Addr::from(first + round * 100 + number).into(), 9)
        });
        let outcome = client.permit(&peers.collect::<Vec<_>>());
        assert!(matches!(outcome, Ok(()) | Err(508)), "{outcome:?}");
        granted += if outcome.is_ok() { 100 } else { 0 };
        assert_eq!(client.refresh(0), Ok(()));
    }
    // What there was at first, and five a second.
    let most = 300 + 5 * (began.elapsed().as_secs() + 1);
    assert!((300..=most).contains(&granted), "{granted} of {most}");
    let refused = "peerage_turn_requests_refused_total{reason=\"capacity\"}";
    client.let_count();
    assert!(server.metric(refused) > 0);
    // Others are not held to it.
    let mut neighbour = Prober::new(server.turn);
    neighbour.sign_in_as("bob", "bob's password");
    neighbour.allocate().expect("allocated");
    let peer = SocketAddr::from(([8, 8, 8, 8], 9));
    assert_eq!(neighbour.permit(&[peer]), Ok(()));
}

#[test]
fn data_of_peers_without_permission_reaches_nobody() {
    let server = Process::start(&format!("{NO_LIMITS}\nallow_peers = [\"127.0.0.0/8\"]"));
    let client = Prober::new(server.turn);
    let relayed = client.allocate().expect("allocated");
    for number in 0..1_000 {
        let socket = UdpSocket::bind((source(number), 0)).expect("loopback has ports");
        socket.send_to(b"fake", relayed).expect("sent");
    }
    // One that is permitted shows that the others have been handled.
    let (peer, address) = canary("127.0.0.1:0");
    assert_eq!(client.permit(&[address]), Ok(()));
    peer.send_to(b"true", relayed).expect("sent");
    let mut buffer = [0; 100];
    let (length, _) = client.socket.recv_from(&mut buffer).expect("the true one");
    let data = Message::parse(&buffer[..length]).expect("a Data indication");
    assert_eq!(data.find(Attribute::DATA), Some(&b"true"[..]));
    assert_eq!(client.settle(), Vec::<Vec<u8>>::new());
}

#[test]
fn odd_datagrams_of_every_length_do_no_harm() {
    let server = Process::start(NO_LIMITS);
    let client = Prober::new(server.turn);
    client.allocate().expect("allocated");
    let valid = client.signed(7, Method::CREATE_PERMISSION, |writer| {
        writer.attribute(Attribute::XOR_PEER_ADDRESS, &[]);
        writer.attribute(Attribute::LIFETIME, &[1]);
    });
    for length in (0..=valid.len()).chain([1_500, 9_000, 65_507]) {
        for byte in [0, 0x40, 0x4f, 0x7f, 0xff] {
            let mut datagram = vec![byte; length];
            let kept = length.min(valid.len());
            datagram[..kept].copy_from_slice(&valid[..kept]);
            if let Some(at) = datagram.get_mut(length / 2) {
                *at ^= byte;
            }
            client.send(&datagram);
        }
        client.settle();
    }
    assert_eq!(client.refresh(600), Ok(()));
}

#[test]
fn tcp_relays_are_not_to_be_had_unless_asked_for() {
    let server = Process::start(NO_LIMITS);
    let client = Prober::new(server.turn);
    let answer = client.request(Method::ALLOCATE, |writer| {
        writer.attribute(Attribute::REQUESTED_TRANSPORT, &[6, 0, 0, 0]);
    });
    assert_eq!(code(&answer), Err(442));
    let connect = client.signed(5, Method(0x00a), |_| {});
    client.send(&connect);
    for answer in client.settle() {
        assert!(code(&answer).is_err());
    }
}

#[test]
fn secrets_stand_in_no_log() {
    let mut server = Process::start(&format!("{NO_LIMITS}\nsecret = \"sesame-of-the-test\"\n"));
    let mut client = Prober::new(server.turn);
    client.allocate().expect("allocated");
    client.login.password = "guess".to_owned();
    client.permit(&[]).expect_err("wrong");
    let log = server.stop();
    assert!(log.contains("stopped"), "{log}");
    for secret in [
        "sesame-of-the-test",
        "alice's password",
        "bob's password",
        "guess",
    ] {
        assert!(!log.contains(secret), "{log}");
    }
}
