//! RFC 8656 sections 13 to 15: the IP header of what leaves a relayed address, read off the wire.
//! That takes a raw socket; where the process may not have one, these tests say so and pass.

use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use peerage::relay::Relay;
use peerage::stun::Attribute;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::peers::{at_peer, bound};
use crate::prober::Prober;
use crate::relay;

/// Addresses of loopback where nobody else is heard, one a test.
const ALONE: [&str; 4] = ["127.86.56.1", "127.86.56.2", "127.86.56.3", "127.86.56.4"];

/// Bytes of DSCP and ECN: none, expedited forwarding, assured forwarding with each value of ECN,
/// and all bits.
const CLASSES: [u8; 7] = [0x00, 0xb8, 0x88, 0x89, 0x8a, 0x8b, 0xff];

/// The number of IPv6 among the protocols of Ethernet.
const IPV6: u16 = 0x86dd;

/// A socket that sees all UDP packets to `address` with their IPv4 headers.
fn wire(address: &str) -> Option<Socket> {
    let socket = raw(Domain::IPV4, Type::RAW, Protocol::UDP)?;
    let address = SocketAddr::new(address.parse().expect("an address"), 0);
    socket.bind(&address.into()).expect("of loopback");
    Some(socket)
}

/// A socket that sees all packets of IPv6 with their headers.
fn wire_v6() -> Option<Socket> {
    let protocol = Protocol::from(i32::from(IPV6.to_be()));
    let socket = raw(Domain::PACKET, Type::DGRAM, protocol)?;
    // It hears what other tests say, too.
    socket.set_recv_buffer_size(8 << 20).expect("set");
    Some(socket)
}

fn raw(domain: Domain, kind: Type, protocol: Protocol) -> Option<Socket> {
    match Socket::new(domain, kind, Some(protocol)) {
        Ok(socket) => {
            let patience = Some(Duration::from_secs(10));
            socket.set_read_timeout(patience).expect("not zero");
            Some(socket)
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            eprintln!("not tested: a raw socket takes privilege");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// The IPv4 header, or the beginning of the IPv6 header, of the next packet with this `payload` to
/// `peer`.
fn header(mut wire: &Socket, peer: SocketAddr, payload: &[u8]) -> [u8; 20] {
    let mut buffer = [0; 70_000];
    let header_length = if peer.is_ipv4() { 20 } else { 40 };
    loop {
        let length = wire.read(&mut buffer).expect("in time");
        let packet = &buffer[..length];
        let Some(ports) = packet.get(header_length..header_length + 4) else {
            continue;
        };
        if ports[2..] == peer.port().to_be_bytes() && packet.ends_with(payload) {
            return *packet.first_chunk().expect("whole");
        }
    }
}

/// DSCP and ECN.
fn traffic_class(header: &[u8; 20]) -> u8 {
    match header[0] >> 4 {
        4 => header[1],
        _ => header[0] << 4 | header[1] >> 4,
    }
}

/// TTL or hop limit.
fn hops_left(header: &[u8; 20]) -> u8 {
    match header[0] >> 4 {
        4 => header[8],
        _ => header[7],
    }
}

/// What leaves `socket` from now on has this traffic class.
fn set_traffic_class(socket: &UdpSocket, class: u8) {
    let is_ipv4 = socket.local_addr().expect("bound").is_ipv4();
    let (socket, class) = (SockRef::from(socket), u32::from(class));
    let set = if is_ipv4 {
        socket.set_tos_v4(class)
    } else {
        socket.set_tclass_v6(class)
    };
    set.expect("set");
}

fn has_df(header: &[u8; 20]) -> bool {
    header[6] & 0x40 != 0
}

#[test]
fn dont_fragment_sets_df_on_its_packet_and_on_no_other() {
    let Some(wire) = wire(ALONE[0]) else { return };
    let relay = relay::start(&["127.0.0.0/8"]);
    let client = Prober::new(relay.addresses()[0]);
    let dont_fragment = [(Attribute::DONT_FRAGMENT, &[][..])];
    assert_eq!(client.allocate_with(&dont_fragment).code(), 0);
    let peer = bound(relay::address(&format!("{}:0", ALONE[0])));
    let place = peer.local_addr().expect("bound");
    client.bind_channel(0x4000, place).expect("bound");
    for round in 0..10_u8 {
        for (number, df) in [(1, true), (2, false), (3, false)] {
            // One after the other: a train would show one header for all of its packets.
            match number {
                1 => client.indicate_with(&dont_fragment, place, &[round, number]),
                2 => client.indicate(place, &[round, number]),
                _ => client.channel(0x4000, &[round, number]),
            }
            let header = header(&wire, place, &[round, number]);
            assert_eq!(has_df(&header), df, "packet {number}");
            assert_eq!(at_peer(&peer).0, [round, number]);
        }
    }
}

/// A relay that copies DSCP and ECN, or not.
fn copying(copies: bool) -> Relay {
    relay::start_adapted(|settings| {
        settings.copy_traffic_class = copies;
        let allowed = ["127.0.0.0/8", "::1/128"];
        settings.allow_peers = allowed.map(|it| it.parse().expect("a range")).to_vec();
    })
}

/// A client at `ip` with an allocation of that family, and its relayed address.
fn allocated(relay: &Relay, ip: &str) -> (Prober, SocketAddr) {
    let socket = bound(SocketAddr::new(ip.parse().expect("an address"), 0));
    let is_ipv4 = socket.local_addr().expect("bound").is_ipv4();
    let (server, family) = if is_ipv4 { (0, 1) } else { (1, 2) };
    let mut client = Prober::on(socket, relay.addresses()[server]);
    client.learn_nonce();
    let answer = client.allocate_with(&[(Attribute::REQUESTED_ADDRESS_FAMILY, &[family, 0, 0, 0])]);
    assert_eq!(answer.code(), 0);
    let relayed = answer.addresses(Attribute::XOR_RELAYED_ADDRESS)[0];
    (client, relayed)
}

/// Sends with each class there and back, by a channel and by indications; what leaves has the
/// class that `expected` makes of it.
fn goes_there_and_back(relay: &Relay, wire: &Socket, ip: &str, expected: impl Fn(u8) -> u8) {
    let (client, relayed) = allocated(relay, ip);
    let at_client = client.socket.local_addr().expect("bound");
    let [peer, other] = [bound(at_client), bound(at_client)];
    let [place, elsewhere] = [&peer, &other].map(|it| it.local_addr().expect("bound"));
    client.bind_channel(0x4000, place).expect("bound");
    for class in CLASSES {
        let passes = |to: SocketAddr, payload: &[u8]| {
            let seen = traffic_class(&header(wire, to, payload));
            assert_eq!(seen, expected(class), "{class:#x} to {to}");
        };
        set_traffic_class(&client.socket, class);
        client.channel(0x4000, &[class, 1, 1, 1]);
        passes(place, &[class, 1, 1, 1]);
        client.indicate(elsewhere, &[class, 2, 2, 2]);
        passes(elsewhere, &[class, 2, 2, 2]);
        for (from, number) in [(&peer, 3), (&other, 4)] {
            set_traffic_class(from, class);
            let payload = [class, number, number, number];
            from.send_to(&payload, relayed).expect("sent");
            passes(at_client, &payload);
        }
    }
}

#[test]
fn dscp_and_ecn_are_copied_both_ways_where_that_is_wanted() {
    let (Some(v4), Some(v6)) = (wire(ALONE[1]), wire_v6()) else {
        return;
    };
    let relay = copying(true);
    goes_there_and_back(&relay, &v4, ALONE[1], |class| class);
    goes_there_and_back(&relay, &v6, "::1", |class| class);
}

#[test]
fn dscp_and_ecn_are_copied_between_families_and_between_clients() {
    let (Some(v4), Some(v6)) = (wire(ALONE[2]), wire_v6()) else {
        return;
    };
    let relay = copying(true);
    let at = |ip: &str| bound(SocketAddr::new(ip.parse().expect("an address"), 0));
    let mut client = Prober::on(at(ALONE[2]), relay.addresses()[0]);
    client.learn_nonce();
    let dual = client.allocate_with(&[(Attribute::ADDITIONAL_ADDRESS_FAMILY, &[2, 0, 0, 0])]);
    let relayed = dual.addresses(Attribute::XOR_RELAYED_ADDRESS);
    assert_eq!(relayed.len(), 2);
    let peer = at("::1");
    let place = peer.local_addr().expect("bound");
    client.bind_channel(0x4000, place).expect("bound");
    let (neighbour, of_neighbour) = allocated(&relay, ALONE[2]);
    let at_neighbour = neighbour.socket.local_addr().expect("bound");
    client.bind_channel(0x4001, of_neighbour).expect("bound");
    neighbour.permit(&[relayed[0]]).expect("permitted");
    for class in CLASSES {
        set_traffic_class(&client.socket, class);
        for (wire, channel, to) in [(&v6, 0x4000, place), (&v4, 0x4001, at_neighbour)] {
            client.channel(channel, &[class, 5, 5, 5]);
            let seen = traffic_class(&header(wire, to, &[class, 5, 5, 5]));
            assert_eq!(seen, class, "to {to}");
        }
        set_traffic_class(&peer, class);
        let at_client = client.socket.local_addr().expect("bound");
        peer.send_to(&[class, 6, 6, 6], relayed[1]).expect("sent");
        let seen = traffic_class(&header(&v4, at_client, &[class, 6, 6, 6]));
        assert_eq!(seen, class);
    }
}

#[test]
fn what_leaves_has_the_systems_ttl_and_no_class_unless_that_is_wanted() {
    let (Some(v4), Some(v6)) = (wire(ALONE[3]), wire_v6()) else {
        return;
    };
    let relay = copying(false);
    goes_there_and_back(&relay, &v4, ALONE[3], |_| 0);
    goes_there_and_back(&relay, &v6, "::1", |_| 0);
    // The TTL is the system's also where the class is copied.
    let relay = copying(true);
    for (wire, ip) in [(&v4, ALONE[3]), (&v6, "::1")] {
        let (client, _) = allocated(&relay, ip);
        let (own, peer) = (
            SockRef::from(&client.socket),
            bound(client.socket.local_addr().expect("bound")),
        );
        let set = if ip == ALONE[3] {
            own.set_ttl_v4(9)
        } else {
            own.set_unicast_hops_v6(9)
        };
        set.expect("set");
        let place = peer.local_addr().expect("bound");
        client.bind_channel(0x4000, place).expect("bound");
        client.channel(0x4000, &[7; 4]);
        let left = hops_left(&header(wire, place, &[7; 4]));
        let usual = hops_left(&header_of_own(wire, &peer));
        assert_eq!((left, usual != 9), (usual, true));
    }
}

/// The header of what a plain socket sends to itself.
fn header_of_own(wire: &Socket, socket: &UdpSocket) -> [u8; 20] {
    let own = socket.local_addr().expect("bound");
    socket.send_to(&[8; 4], own).expect("sent");
    header(wire, own, &[8; 4])
}
