//! RFC 5780 through real sockets: two addresses and two ports, and answers that come from any of
//! them. What NATs are told for is seen in `tests/nat`.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use peerage::relay::{Listener, Relay};
use peerage::stun::{Attribute, Class, Message, Method, decode_address};
use peerage::turn::Transport;

use crate::coturn_tools::natdiscovery;
use crate::peers::{bound, receive_from};
use crate::prober::{Prober, code, message};
use crate::process::Process;
use crate::relay;

/// How long an answer may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// A relay that serves behaviour discovery at the first two addresses of 127.57.80.0 and so on,
/// one network a test.
fn discovering(network: u8) -> (Relay, [SocketAddr; 4]) {
    let own = |host: u8, port: u16| SocketAddr::from(([127, 57, network, host], port));
    let relay = relay::start_adapted(|settings| {
        settings.listen = vec![Listener {
            transport: Transport::Udp,
            address: own(1, 3_478),
        }];
        settings.nat_discovery_alternate = Some(own(2, 3_479));
        settings.allow_peers = vec!["127.0.0.0/8".parse().expect("a range")];
    });
    let places = [own(1, 3_478), own(1, 3_479), own(2, 3_478), own(2, 3_479)];
    (relay, places)
}

fn binding(attributes: &[(Attribute, &[u8])]) -> Vec<u8> {
    message(Class::Request, Method::BINDING, 1, |writer| {
        for (kind, value) in attributes {
            writer.attribute(*kind, value);
        }
    })
}

/// The next datagram, and where it comes from.
fn next(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    receive_from(socket, PATIENCE).expect("in time")
}

fn found(answer: &[u8], kind: Attribute) -> SocketAddr {
    let message = Message::parse(answer).expect("well formed");
    decode_address(message.find(kind).expect("there")).expect("an address")
}

#[test]
fn an_answer_leaves_from_the_address_and_port_that_the_client_wants() {
    let (_relay, places) = discovering(80);
    // Several, so that each worker has some.
    for client in std::iter::repeat_with(|| bound(places[0])).take(8) {
        for (at, place) in places.into_iter().enumerate() {
            // The places stand in an order in which one bit is the address, and one the port.
            for (flags, other) in [(0, at), (2, at ^ 1), (4, at ^ 2), (6, at ^ 3)] {
                let request = binding(&[(Attribute::CHANGE_REQUEST, &[0, 0, 0, flags])]);
                client.send_to(&request, place).expect("sent");
                let (answer, from) = next(&client);
                assert_eq!(from, places[other], "{place} {flags}");
                assert_eq!(found(&answer, Attribute::RESPONSE_ORIGIN), from);
                assert_eq!(found(&answer, Attribute::OTHER_ADDRESS), places[at ^ 3]);
                let own = client.local_addr().expect("bound");
                assert_eq!(found(&answer, Attribute::MAPPED_ADDRESS), own);
            }
        }
    }
}

#[test]
fn an_answer_goes_to_another_port_of_the_client() {
    let (_relay, places) = discovering(81);
    let (asking, waiting) = (bound(places[0]), bound(places[0]));
    let port = waiting.local_addr().expect("bound").port().to_be_bytes();
    for (flags, origin) in [(0, places[0]), (6, places[3])] {
        let request = binding(&[
            (Attribute::RESPONSE_PORT, &[port[0], port[1], 0, 0]),
            (Attribute::CHANGE_REQUEST, &[0, 0, 0, flags]),
        ]);
        asking.send_to(&request, places[0]).expect("sent");
        let (answer, from) = next(&waiting);
        assert_eq!(from, origin);
        let own = asking.local_addr().expect("bound");
        assert_eq!(found(&answer, Attribute::MAPPED_ADDRESS), own);
    }
}

#[test]
fn a_long_request_has_an_answer_that_is_as_long_and_no_longer() {
    let (_relay, places) = discovering(82);
    let client = bound(places[0]);
    let request = binding(&[(Attribute::PADDING, &[0; 1_500])]);
    client.send_to(&request, places[0]).expect("sent");
    assert_eq!(next(&client).0.len(), request.len());
}

#[test]
fn the_addresses_beside_the_listener_serve_no_turn_and_are_no_peers() {
    let (_relay, places) = discovering(83);
    let client = bound(places[0]);
    for place in places {
        let allocate = message(Class::Request, Method::ALLOCATE, 2, |_| {});
        client.send_to(&allocate, place).expect("sent");
        client.send_to(&binding(&[]), place).expect("sent");
        let (first, _) = next(&client);
        if place == places[0] {
            assert_eq!(code(&first), Err(401));
            next(&client);
        } else {
            let first = Message::parse(&first).expect("well formed");
            assert_eq!(first.method(), Method::BINDING, "{place}");
        }
    }
    let client = Prober::new(places[0]);
    assert_eq!(client.allocate_with(&[]).code(), 0);
    for place in places {
        let answer = client.request(Method::CHANNEL_BIND, |writer| {
            writer.u32(Attribute::CHANNEL_NUMBER, 0x4000 << 16);
            writer.xor_address(Attribute::XOR_PEER_ADDRESS, place);
        });
        assert_eq!(code(&answer), Err(403), "{place}");
    }
}

#[test]
fn natdiscovery_finds_that_nothing_is_in_its_way() {
    // The real binary listens at 127.0.0.1; a port there that was free a moment ago.
    let probe = bound(relay::address("127.0.0.1:0"));
    let port = probe.local_addr().expect("bound").port();
    drop(probe);
    let server = Process::start(&format!("nat_discovery_alternate = \"127.57.84.2:{port}\""));
    for padding in [&[][..], &["-P"]] {
        let mapping = natdiscovery(server.turn, &[&["-m"][..], padding].concat());
        let expected = "NAT with Endpoint Independent Mapping!";
        assert!(mapping.contains(expected), "{mapping}");
        assert!(
            mapping.contains("No ALG: Mapped == XOR-Mapped"),
            "{mapping}"
        );
        let filtering = natdiscovery(server.turn, &[&["-f"][..], padding].concat());
        let expected = "NAT with Endpoint Independent Filtering!";
        assert!(filtering.contains(expected), "{filtering}");
    }
    // The second answer comes to the first socket, which is what the lifetime is known by.
    let lifetime = natdiscovery(server.turn, &["-t", "-T", "1"]);
    assert!(lifetime.contains("RFC 5780 response 2"), "{lifetime}");
}
