//! What is counted. Routing takes the clients in turn, so that no cache of one client helps.

use std::hint::black_box;

use peerage::stun::{
    Attribute, ChannelData, ChannelNumber, Class, Integrity, Message, Method, TransactionId,
    Writer, data_indication_header,
};

use crate::counted;
use crate::turn_server::{Loaded, PEER, Peers, key, request};

const PAYLOAD: [u8; 172] = [7; 172];

type Run = Box<dyn FnMut()>;

pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// Gives what is to be run; what it does within [`counted`] counts.
    pub(crate) prepare: fn() -> Run,
}

const fn case(name: &'static str, prepare: fn() -> Run) -> Case {
    Case { name, prepare }
}

pub(crate) const CASES: &[Case] = &[
    case("parse ChannelData", parse_channel_data),
    case("parse a request", parse_request),
    case("verify the integrity of a request", verify_request),
    case("write a request with integrity", write_request),
    case(
        "write the header of a Data indication",
        write_indication_header,
    ),
    case("route ChannelData, 1 allocation", || {
        route(1, Peers::Outside, &channel_data())
    }),
    case("route ChannelData, 100 allocations", || {
        route(100, Peers::Outside, &channel_data())
    }),
    case("route ChannelData, 1,000 allocations", || {
        route(1_000, Peers::Outside, &channel_data())
    }),
    case("route ChannelData to a client, 1,000 allocations", || {
        route(1_000, Peers::EachOther, &channel_data())
    }),
    case("route a Send indication, 1 allocation", || {
        route(1, Peers::Outside, &indication())
    }),
    case("route a Send indication, 1,000 allocations", || {
        route(1_000, Peers::Outside, &indication())
    }),
    case("route from a peer, 1 allocation", || route_from_peer(1)),
    case("route from a peer, 100 allocations", || {
        route_from_peer(100)
    }),
    case("route from a peer, 1,000 allocations", || {
        route_from_peer(1_000)
    }),
];

fn channel_data() -> Vec<u8> {
    let number = ChannelNumber::new(ChannelNumber::MIN).expect("in range");
    let mut datagram = ChannelData::header(number, PAYLOAD.len() as u16).to_vec();
    datagram.extend_from_slice(&PAYLOAD);
    datagram
}

fn indication() -> Vec<u8> {
    let mut buffer = [0; 500];
    let id = TransactionId([1; 12]);
    let mut writer = Writer::new(&mut buffer, Class::Indication, Method::SEND, id);
    writer.xor_address(Attribute::XOR_PEER_ADDRESS, PEER);
    writer.attribute(Attribute::DATA, &PAYLOAD);
    let length = writer.finish().expect("it fits");
    buffer[..length].to_vec()
}

fn a_request() -> Vec<u8> {
    let mut buffer = [0; 500];
    let length = request(&mut buffer, Method::ALLOCATE, PEER, Some(&[b'n'; 32]));
    buffer[..length].to_vec()
}

fn parse_channel_data() -> Run {
    let datagram = channel_data();
    Box::new(move || {
        let datagram = black_box(&datagram);
        black_box(counted(|| ChannelData::parse(datagram)));
    })
}

fn parse_request() -> Run {
    let datagram = a_request();
    Box::new(move || {
        let datagram = black_box(&datagram);
        black_box(counted(|| Message::parse(datagram)).is_ok());
    })
}

fn verify_request() -> Run {
    let (datagram, key) = (a_request(), key());
    Box::new(move || {
        let message = Message::parse(black_box(&datagram)).expect("well formed");
        assert!(counted(|| message.verify_integrity(key.as_bytes())));
    })
}

fn write_request() -> Run {
    let key = key();
    Box::new(move || {
        let mut buffer = [0; 200];
        let id = TransactionId([1; 12]);
        let written = counted(|| {
            let mut writer = Writer::new(&mut buffer, Class::Request, Method::REFRESH, id);
            writer.u32(Attribute::LIFETIME, black_box(600));
            writer.text(Attribute::USERNAME, black_box("alice"));
            writer.integrity(Integrity::Sha1, key.as_bytes());
            writer.finish()
        });
        assert!(written.is_ok());
        black_box(&buffer);
    })
}

fn write_indication_header() -> Run {
    Box::new(|| {
        let id = TransactionId([1; 12]);
        let peer = black_box(PEER);
        black_box(counted(|| data_indication_header(peer, 172, id)));
    })
}

fn route(allocations: u32, peers: Peers, datagram: &[u8]) -> Run {
    let (mut loaded, datagram) = (Loaded::new(allocations, peers), datagram.to_vec());
    let mut turn = 0;
    Box::new(move || {
        let (client, _) = loaded.clients[turn];
        turn = (turn + 1) % loaded.clients.len();
        let (datagram, server, now) = (black_box(&datagram), &mut loaded.server, loaded.now);
        // As a worker calls it.
        let route = counted(|| server.handle_sender(server.sender(&client), datagram, now));
        assert!(black_box(route).is_some());
    })
}

fn route_from_peer(allocations: u32) -> Run {
    let mut loaded = Loaded::new(allocations, Peers::Outside);
    let mut turn = 0;
    Box::new(move || {
        let (_, allocation) = loaded.clients[turn];
        turn = (turn + 1) % loaded.clients.len();
        let (peer, server, now) = (black_box(PEER), &mut loaded.server, loaded.now);
        let route = counted(|| server.handle_peer(allocation, peer, PAYLOAD.len(), now));
        assert!(black_box(route).is_some());
    })
}
