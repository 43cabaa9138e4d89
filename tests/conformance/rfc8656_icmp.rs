//! RFC 8656 section 11.5: what the network says of datagrams that did not arrive.

use std::net::SocketAddr;
use std::time::Duration;

use peerage::stun::Attribute;

use crate::answer::Answer;
use crate::peers::{at_peer, bound, receive_from};
use crate::prober::Prober;
use crate::relay;

/// How long what has arrived may take to be there.
const SOON: Duration = Duration::from_millis(50);

/// An address where nobody is.
fn closed(ip: &str) -> SocketAddr {
    let any = SocketAddr::new(ip.parse().expect("an address"), 0);
    bound(any).local_addr().expect("bound")
}

/// The peer and the ICMP attribute of a Data indication that has no data.
fn icmp(answer: &Answer) -> (SocketAddr, Vec<u8>) {
    assert_eq!(answer.find(Attribute::DATA), None);
    let peer = answer.addresses(Attribute::XOR_PEER_ADDRESS)[0];
    (peer, answer.find(Attribute::ICMP).expect("ICMP"))
}

#[test]
fn a_closed_port_comes_back_as_a_data_indication_with_icmp() {
    let relay = relay::start(&["127.0.0.0/8", "::1"]);
    for (ip, family, kind, code) in [("127.0.0.1", 1, 3, 3), ("::1", 2, 1, 4)] {
        let client = Prober::new(relay.addresses()[0]);
        let family = [(Attribute::REQUESTED_ADDRESS_FAMILY, &[family, 0, 0, 0][..])];
        assert_eq!(client.allocate_with(&family).code(), 0);
        let peer = closed(ip);
        client.permit(&[peer]).expect("permitted");
        let expected = (peer, vec![0, 0, kind, code, 0, 0, 0, 0]);
        client.indicate(peer, b"hello");
        assert_eq!(icmp(&Answer(client.receive())), expected);
        // Where a channel is bound, it is a Data indication all the same.
        client.bind_channel(0x4000, peer).expect("bound");
        client.channel(0x4000, b"hello");
        assert_eq!(icmp(&Answer(client.receive())), expected);
    }
}

#[test]
fn a_peer_that_is_not_there_costs_one_packet_and_nobody_else_any() {
    let relay = relay::start(&["127.0.0.0/8"]);
    let client = Prober::new(relay.addresses()[0]);
    assert_eq!(client.allocate_with(&[]).code(), 0);
    let peer = bound(relay.addresses()[0]);
    let (there, gone) = (peer.local_addr().expect("bound"), closed("127.0.0.1"));
    client.permit(&[there, gone]).expect("permitted");
    for round in 0..100_u8 {
        client.indicate(gone, b"lost");
        client.indicate(there, &[round]);
        assert_eq!(at_peer(&peer).0, [round]);
    }
    assert_eq!(relay::counters(&relay).allocations(), 1);
    assert_eq!(relay::counters(&relay).packets_unsent, 0);
}

#[test]
fn a_flood_of_errors_ends_no_allocation_and_is_answered_in_bounds() {
    let relay = relay::start(&["127.0.0.0/8"]);
    let client = Prober::new(relay.addresses()[0]);
    let relayed = client
        .allocate_with(&[])
        .addresses(Attribute::XOR_RELAYED_ADDRESS)[0];
    let peer = bound(relay.addresses()[0]);
    let (there, gone) = (peer.local_addr().expect("bound"), closed("127.0.0.1"));
    client.permit(&[there]).expect("permitted");
    client.bind_channel(0x4000, gone).expect("bound");
    for _ in 0..20_000 {
        client.channel(0x4000, b"lost");
    }
    // The way back is open, however many errors wait: errors and data share the socket's room.
    let mut got_back = false;
    for _ in 0..100 {
        peer.send_to(b"back", relayed).expect("sent");
        while let Some((bytes, _)) = receive_from(&client.socket, SOON) {
            got_back |= Answer(bytes).find(Attribute::DATA).is_some();
        }
        if got_back {
            break;
        }
    }
    assert!(got_back);
    client.indicate(there, b"there");
    assert_eq!(at_peer(&peer).0, b"there");
}
