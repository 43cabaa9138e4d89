//! RFC 8016 through real sockets, with several workers.

use peerage::stun::{Attribute, Method};

use crate::answer::Answer;
use crate::peers::{at_peer, bound};
use crate::prober::Prober;
use crate::relay;

const TICKET: Attribute = Attribute::MOBILITY_TICKET;

#[test]
fn an_allocation_follows_its_client_whichever_worker_the_new_address_meets() {
    let relay = relay::start(&["127.0.0.0/8"]);
    let server = relay.addresses()[0];
    let mut client = Prober::new(server);
    let answer = client.allocate_with(&[(TICKET, &[])]);
    let relayed = answer.addresses(Attribute::XOR_RELAYED_ADDRESS)[0];
    let mut ticket = answer.find(TICKET).expect("a ticket");
    let peer = bound(server);
    let place = peer.local_addr().expect("bound");
    client.permit(&[place]).expect("permitted");
    client.bind_channel(0x4000, place).expect("bound");
    // So many moves that some surely go to another worker.
    for round in 0..20_u8 {
        let moved = Prober::new(server);
        let answer = Answer(moved.request(Method::REFRESH, |writer| {
            writer.attribute(TICKET, &ticket);
        }));
        assert_eq!(answer.code(), 0);
        let next = answer.find(TICKET).expect("a ticket");
        assert_ne!(next, ticket);
        ticket = next;
        // The old address is served until data come from the new one.
        peer.send_to(&[round, 1], relayed).expect("sent");
        let data = client.receive();
        assert_eq!(data, [0x40, 0, 0, 2, round, 1]);
        moved.channel(0x4000, &[round, 2]);
        assert_eq!(at_peer(&peer), (vec![round, 2], relayed));
        peer.send_to(&[round, 3], relayed).expect("sent");
        let data = moved.receive();
        assert_eq!(data, [0x40, 0, 0, 2, round, 3]);
        client = moved;
    }
    let counters = relay::counters(&relay);
    assert_eq!(counters.allocations(), 1);
    assert!(counters.packets_posted > 0, "all met the same worker");
}
