//! What is counted. Routing takes the clients in turn, so that no cache of one client helps.

use std::hint::black_box;

use peerage::stun::{
    Attribute, ChannelData, ChannelNumber, Class, Message, Method, TransactionId, Writer,
    data_indication_header,
};

use crate::turn_server::{Loaded, PEER, key, request};

const PAYLOAD: [u8; 172] = [7; 172];

type Run = Box<dyn FnMut()>;

pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// Everything that does not count; what is returned does.
    pub(crate) prepare: fn() -> Run,
}

const fn case(name: &'static str, prepare: fn() -> Run) -> Case {
    Case { name, prepare }
}

pub(crate) const CASES: &[Case] = &[
    case("parse ChannelData", parse_channel_data),
    case("parse a request", parse_request),
    case("parse a request and verify its integrity", verify_request),
    case("write a request with integrity", write_request),
    case(
        "write the header of a Data indication",
        write_indication_header,
    ),
    case("route ChannelData, 1 allocation", || {
        route(1, &channel_data())
    }),
    case("route ChannelData, 100 allocations", || {
        route(100, &channel_data())
    }),
    case("route ChannelData, 1,000 allocations", || {
        route(1_000, &channel_data())
    }),
    case("route a Send indication, 1 allocation", || {
        route(1, &indication())
    }),
    case("route a Send indication, 1,000 allocations", || {
        route(1_000, &indication())
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
    let length = request(&mut buffer, Method::ALLOCATE, Some(&[b'n'; 32]));
    buffer[..length].to_vec()
}

fn parse_channel_data() -> Run {
    let datagram = channel_data();
    Box::new(move || {
        black_box(ChannelData::parse(black_box(&datagram)));
    })
}

fn parse_request() -> Run {
    let datagram = a_request();
    Box::new(move || {
        black_box(Message::parse(black_box(&datagram)).is_ok());
    })
}

fn verify_request() -> Run {
    let (datagram, key) = (a_request(), key());
    Box::new(move || {
        let message = Message::parse(black_box(&datagram)).expect("well formed");
        assert!(message.verify_integrity(key.as_bytes()));
    })
}

fn write_request() -> Run {
    let key = key();
    Box::new(move || {
        let mut buffer = [0; 200];
        let id = TransactionId([1; 12]);
        let mut writer = Writer::new(&mut buffer, Class::Request, Method::REFRESH, id);
        writer.u32(Attribute::LIFETIME, black_box(600));
        writer.text(Attribute::USERNAME, black_box("alice"));
        writer.integrity(key.as_bytes());
        black_box(writer.finish().is_ok());
        black_box(&buffer);
    })
}

fn write_indication_header() -> Run {
    Box::new(|| {
        let id = TransactionId([1; 12]);
        black_box(data_indication_header(black_box(PEER), 172, id));
    })
}

fn route(allocations: u32, datagram: &[u8]) -> Run {
    let (mut loaded, datagram) = (Loaded::new(allocations), datagram.to_vec());
    let mut turn = 0;
    Box::new(move || {
        let (client, _) = loaded.clients[turn];
        turn = (turn + 1) % loaded.clients.len();
        let datagram = black_box(&datagram);
        let route = loaded.server.handle_client(client, datagram, loaded.now);
        assert!(black_box(route).is_some());
    })
}

fn route_from_peer(allocations: u32) -> Run {
    let mut loaded = Loaded::new(allocations);
    let mut turn = 0;
    Box::new(move || {
        let (_, allocation) = loaded.clients[turn];
        turn = (turn + 1) % loaded.clients.len();
        let route = loaded
            .server
            .handle_peer(allocation, black_box(PEER), loaded.now);
        assert!(black_box(route).is_some());
    })
}
