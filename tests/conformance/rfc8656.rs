//! RFC 8656 through real sockets: what the unit tests of the server cannot see.

use peerage::stun::{Attribute, Method};

use crate::answer::Answer;
use crate::peers::{at_peer, bound};
use crate::prober::Prober;
use crate::relay;

const RELAYED: Attribute = Attribute::XOR_RELAYED_ADDRESS;

#[test]
fn a_dual_allocation_relays_both_families_and_goes_on_with_one() {
    let relay = relay::start(&["127.0.0.0/8", "::1"]);
    let client = Prober::new(relay.addresses()[0]);
    let in_addition = [(Attribute::ADDITIONAL_ADDRESS_FAMILY, &[2, 0, 0, 0][..])];
    let relayed = client.allocate_with(&in_addition).addresses(RELAYED);
    assert!(relayed[0].is_ipv4() && relayed[1].is_ipv6());
    let peers = [bound(relayed[0]), bound(relayed[1])];
    let places = peers.each_ref().map(|it| it.local_addr().expect("bound"));
    client.permit(&places).expect("permitted");
    let both_ways = |client: &Prober, number: usize| {
        client.indicate(places[number], b"there");
        let (bytes, from) = at_peer(&peers[number]);
        assert_eq!((&bytes[..], from), (&b"there"[..], relayed[number]));
        peers[number]
            .send_to(b"back", relayed[number])
            .expect("sent");
        let answer = Answer(client.receive());
        assert_eq!(answer.data(), (places[number], b"back".to_vec()));
    };
    both_ways(&client, 0);
    both_ways(&client, 1);
    let ended = Answer(client.request(Method::REFRESH, |writer| {
        writer.attribute(Attribute::REQUESTED_ADDRESS_FAMILY, &[1, 0, 0, 0]);
        writer.u32(Attribute::LIFETIME, 0);
    }));
    assert_eq!(ended.code(), 0);
    both_ways(&client, 1);
    // The port of the other is free for anybody.
    drop(std::net::UdpSocket::bind(relayed[0]).expect("free"));
    let counters = relay::counters(&relay);
    assert_eq!(counters.allocations(), 1);
}

#[test]
fn a_reserved_port_is_had_with_its_token_whichever_worker_the_client_meets() {
    for relay in [relay::start(&["127.0.0.0/8"]), relay::start_portless(&[])] {
        let server = relay.addresses()[0];
        let mut clients = Vec::new();
        for _ in 0..20 {
            let (first, second) = (Prober::new(server), Prober::new(server));
            let pair = first.allocate_with(&[(Attribute::EVEN_PORT, &[0x80])]);
            let even = pair.addresses(RELAYED)[0];
            assert!(even.port().is_multiple_of(2));
            let token = pair.find(Attribute::RESERVATION_TOKEN).expect("a token");
            let with_token = [(Attribute::RESERVATION_TOKEN, &token[..])];
            let odd = second.allocate_with(&with_token).addresses(RELAYED)[0];
            assert_eq!((odd.ip(), odd.port()), (even.ip(), even.port() + 1));
            assert_eq!(Prober::new(server).allocate_with(&with_token).code(), 508);
            clients.extend([(first, even), (second, odd)]);
        }
        // What was reserved relays like any other.
        let (a, b) = (clients.len() - 1, clients.len() - 2);
        let (at_a, at_b) = (clients[a].1, clients[b].1);
        clients[a].0.permit(&[at_b]).expect("permitted");
        clients[b].0.permit(&[at_a]).expect("permitted");
        clients[a].0.indicate(at_b, b"hello");
        let answer = Answer(clients[b].0.receive());
        assert_eq!(answer.data(), (at_a, b"hello".to_vec()));
    }
}

#[test]
fn a_reserved_port_belongs_to_nobody_else() {
    let relay = relay::start(&[]);
    let client = Prober::new(relay.addresses()[0]);
    let pair = client.allocate_with(&[(Attribute::EVEN_PORT, &[0x80])]);
    let mut next = pair.addresses(RELAYED)[0];
    next.set_port(next.port() + 1);
    assert!(std::net::UdpSocket::bind(next).is_err());
}
