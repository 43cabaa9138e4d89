//! RFC 8016 through real sockets, with several workers.

use peerage::stun::{Attribute, Method};

use crate::raw_client::{RawClient, at_peer, bound};
use crate::relay;

const TICKET: Attribute = Attribute::MOBILITY_TICKET;

#[test]
fn an_allocation_follows_its_client_whichever_worker_the_new_address_meets() {
    let relay = relay::start(&["127.0.0.0/8"]);
    let server = relay.addresses()[0];
    let mut client = RawClient::new(server);
    let answer = client.allocate(&[(TICKET, &[])]);
    let relayed = answer.addresses(Attribute::XOR_RELAYED_ADDRESS)[0];
    let mut ticket = answer.find(TICKET).expect("a ticket");
    let peer = bound(server);
    let place = peer.local_addr().expect("bound");
    client.permit(&[place]);
    client.bind_channel(0x4000, place);
    // So many moves that some surely go to another worker.
    for round in 0..20_u8 {
        let mut moved = RawClient::new(server);
        let answer = moved.request(Method::REFRESH, |writer| {
            writer.attribute(TICKET, &ticket);
        });
        assert_eq!(answer.code(), 0);
        let next = answer.find(TICKET).expect("a ticket");
        assert_ne!(next, ticket);
        ticket = next;
        // The old address is served until data come from the new one.
        peer.send_to(&[round, 1], relayed).expect("sent");
        let data = client.receive().expect("in time");
        assert_eq!(data.0, [0x40, 0, 0, 2, round, 1]);
        moved.send_on(0x4000, &[round, 2]);
        assert_eq!(at_peer(&peer), (vec![round, 2], relayed));
        peer.send_to(&[round, 3], relayed).expect("sent");
        let data = moved.receive().expect("in time");
        assert_eq!(data.0, [0x40, 0, 0, 2, round, 3]);
        client = moved;
    }
    let counters = relay::counters(&relay);
    assert_eq!(counters.allocations(), 1);
    assert!(counters.packets_posted > 0, "all met the same worker");
}
