//! RFC 8656, what requests and data lack or have too much of, through real sockets.

use std::collections::BTreeSet;

use peerage::stun::{Attribute, Class, Message, Method};

use crate::peers::{at_peer, bound};
use crate::prober::{Prober, code, message};
use crate::relay;

#[test]
fn without_an_allocation_requests_get_437_and_data_gets_silence() {
    let relay = relay::start(&["127.0.0.0/8"]);
    let prober = Prober::new(relay.addresses()[0]);
    let peer = relay::address("127.0.0.1:9");
    assert_eq!(prober.refresh(600), Err(437));
    assert_eq!(prober.refresh(0), Err(437));
    assert_eq!(prober.permit(&[peer]), Err(437));
    assert_eq!(prober.bind_channel(0x4000, peer), Err(437));
    prober.indicate(peer, b"hello");
    prober.channel(0x4000, b"hello");
    assert_eq!(prober.settle(), Vec::<Vec<u8>>::new());
}

#[test]
fn the_software_is_named_where_turn_asks_for_it() {
    let relay = relay::start(&[]);
    let prober = Prober::new(relay.addresses()[0]);
    let names_software = |answer: &[u8]| {
        let message = Message::parse(answer).expect("well formed");
        message.find_text(Attribute::SOFTWARE) == Some("Peerage")
    };
    let allocate = |transport: u8| {
        prober.request(Method::ALLOCATE, |writer| {
            writer.attribute(Attribute::REQUESTED_TRANSPORT, &[transport, 0, 0, 0]);
        })
    };
    // Successes and failures, but not before who asks is known.
    assert!(names_software(&prober.request(Method::REFRESH, |_| {})));
    assert!(names_software(&allocate(99)));
    assert!(names_software(&allocate(17)));
    assert!(names_software(&prober.request(Method::REFRESH, |_| {})));
    assert!(!names_software(&prober.ask(Method::ALLOCATE, |_| {})));
}

#[test]
fn relayed_ports_are_dynamic_ones_in_no_order() {
    let relay = relay::start(&[]);
    // All at once, so that no two have the same address one after the other.
    let probers: Vec<_> = (0..40).map(|_| Prober::new(relay.addresses()[0])).collect();
    let ports: Vec<_> = probers
        .iter()
        .map(|prober| prober.allocate().expect("allocated").port())
        .collect();
    assert!(ports.iter().all(|&port| port >= 49_152));
    let distinct: BTreeSet<_> = ports.iter().collect();
    // Those of 40 are far apart, and no step is the one before.
    let near = ports
        .windows(2)
        .filter(|pair| pair[0].abs_diff(pair[1]) < 16);
    assert!(near.count() < 5, "{ports:?}");
    assert_eq!(distinct.len(), ports.len());
}

#[test]
fn a_send_indication_that_lacks_something_is_dropped() {
    let relay = relay::start(&["127.0.0.0/8"]);
    let prober = Prober::new(relay.addresses()[0]);
    let peer = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    let at = peer.local_addr().expect("bound");
    prober.allocate().expect("allocated");
    prober.permit(&[at]).expect("permitted");
    prober.send(&message(Class::Indication, Method::SEND, 1, |writer| {
        writer.xor_address(Attribute::XOR_PEER_ADDRESS, at);
    }));
    prober.send(&message(Class::Indication, Method::SEND, 2, |writer| {
        writer.attribute(Attribute::DATA, b"to nobody");
    }));
    prober.send(&message(Class::Indication, Method::SEND, 3, |writer| {
        writer.xor_address(Attribute::XOR_PEER_ADDRESS, at);
        writer.attribute(Attribute::DATA, b"with something unknown");
        writer.attribute(Attribute(0x7abc), b"?");
    }));
    prober.indicate(at, b"whole");
    let mut buffer = [0; 100];
    let (length, _) = peer.recv_from(&mut buffer).expect("a datagram");
    assert_eq!(&buffer[..length], b"whole");
    assert_eq!(prober.settle(), Vec::<Vec<u8>>::new());
}

#[test]
fn dont_fragment_does_nothing_to_what_goes_to_ipv6() {
    let relay = relay::start(&["::1"]);
    let dont_fragment = [(Attribute::DONT_FRAGMENT, &[][..])];
    for server in relay.addresses() {
        let client = Prober::new(server);
        let family = [(Attribute::REQUESTED_ADDRESS_FAMILY, &[2, 0, 0, 0][..])];
        assert_eq!(client.allocate_with(&family).code(), 0);
        let peer = bound(relay::address("[::1]:0"));
        let place = peer.local_addr().expect("bound");
        client.permit(&[place]).expect("permitted");
        // Longer than any link but loopback takes whole.
        for data in [&b"short"[..], &[7; 20_000]] {
            client.indicate_with(&dont_fragment, place, data);
            assert_eq!(at_peer(&peer).0, data);
        }
    }
}

#[test]
fn a_channel_needs_a_number_and_a_peer() {
    let relay = relay::start(&["127.0.0.0/8"]);
    let prober = Prober::new(relay.addresses()[0]);
    let peer = relay::address("127.0.0.1:9");
    prober.allocate().expect("allocated");
    let without_peer = prober.request(Method::CHANNEL_BIND, |writer| {
        writer.u32(Attribute::CHANNEL_NUMBER, 0x4000 << 16);
    });
    assert_eq!(code(&without_peer), Err(400));
    let without_number = prober.request(Method::CHANNEL_BIND, |writer| {
        writer.xor_address(Attribute::XOR_PEER_ADDRESS, peer);
    });
    assert_eq!(code(&without_number), Err(400));
    for number in [0, 0x3fff, 0x5000, 0x7fff, 0xffff] {
        assert_eq!(prober.bind_channel(number, peer), Err(400), "{number:#x}");
    }
    assert_eq!(prober.bind_channel(0x4fff, peer), Ok(()));
}

#[test]
fn reserved_bits_are_ignored() {
    let relay = relay::start(&["127.0.0.0/8"]);
    let prober = Prober::new(relay.addresses()[0]);
    let answer = prober.request(Method::ALLOCATE, |writer| {
        writer.attribute(Attribute::REQUESTED_TRANSPORT, &[17, 1, 2, 3]);
        writer.attribute(Attribute::REQUESTED_ADDRESS_FAMILY, &[1, 4, 5, 6]);
        writer.attribute(Attribute::EVEN_PORT, &[0x7f]);
    });
    assert_eq!(code(&answer), Ok(()));
    let message = Message::parse(&answer).expect("well formed");
    assert_eq!(message.find(Attribute::RESERVATION_TOKEN), None);
    let answer = prober.request(Method::CHANNEL_BIND, |writer| {
        writer.attribute(Attribute::CHANNEL_NUMBER, &[0x40, 0, 7, 8]);
        let peer = relay::address("127.0.0.1:9");
        writer.xor_address(Attribute::XOR_PEER_ADDRESS, peer);
    });
    assert_eq!(code(&answer), Ok(()));
}
