//! RFC 8656 sections 13 to 15: the IP header of what leaves a relayed address, read off the wire.
//! That takes a raw socket; where the process may not have one, these tests say so and pass.

use std::io::{ErrorKind, Read};
use std::net::SocketAddr;
use std::time::Duration;

use peerage::stun::Attribute;
use socket2::{Domain, Protocol, Socket, Type};

use crate::raw_client::{RawClient, at_peer, bound};
use crate::relay;

/// Addresses of loopback where nobody else is heard, one a test.
const ALONE: [&str; 1] = ["127.86.56.1"];

/// A socket that sees all UDP packets to `address` with their IPv4 headers.
fn wire(address: &str) -> Option<Socket> {
    match Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::UDP)) {
        Ok(socket) => {
            let patience = Some(Duration::from_secs(10));
            socket.set_read_timeout(patience).expect("not zero");
            let address = SocketAddr::new(address.parse().expect("an address"), 0);
            socket.bind(&address.into()).expect("of loopback");
            Some(socket)
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            eprintln!("not tested: a raw socket takes privilege");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// The IPv4 header of the next packet with this `payload` to `peer`.
fn header(mut wire: &Socket, peer: SocketAddr, payload: &[u8]) -> [u8; 20] {
    let mut buffer = [0; 70_000];
    loop {
        let length = wire.read(&mut buffer).expect("in time");
        let packet = &buffer[..length];
        let port = u16::from_be_bytes([packet[22], packet[23]]);
        if port == peer.port() && packet.ends_with(payload) {
            return *packet.first_chunk().expect("whole");
        }
    }
}

fn has_df(header: &[u8; 20]) -> bool {
    header[6] & 0x40 != 0
}

#[test]
fn dont_fragment_sets_df_on_its_packet_and_on_no_other() {
    let Some(wire) = wire(ALONE[0]) else { return };
    let relay = relay::start(&["127.0.0.0/8"]);
    let mut client = RawClient::new(relay.addresses()[0]);
    let dont_fragment = [(Attribute::DONT_FRAGMENT, &[][..])];
    assert_eq!(client.allocate(&dont_fragment).code(), 0);
    let peer = bound(relay::address(&format!("{}:0", ALONE[0])));
    let place = peer.local_addr().expect("bound");
    client.bind_channel(0x4000, place);
    for round in 0..10_u8 {
        for (number, df) in [(1, true), (2, false), (3, false)] {
            // One after the other: a train would show one header for all of its packets.
            match number {
                1 => client.send(place, &[round, number], &dont_fragment),
                2 => client.send(place, &[round, number], &[]),
                _ => client.send_on(0x4000, &[round, number]),
            }
            let header = header(&wire, place, &[round, number]);
            assert_eq!(has_df(&header), df, "packet {number}");
            assert_eq!(at_peer(&peer).0, [round, number]);
        }
    }
}
