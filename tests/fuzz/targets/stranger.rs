//! The whole TURN server, and people who know no password. Whatever they send, nothing is
//! relayed, nothing is kept, and each datagram has one answer at most, which goes to its sender.

use peerage::stun::{Class, HEADER_LENGTH, MAGIC_COOKIE, Message};

use super::bytes::Bytes;
use super::host::{Host, Sent, Setting, five_tuple};

pub(crate) fn run(input: &[u8]) {
    let mut input = Bytes(input);
    let mut host = Host::new(&Setting {
        quota: 10,
        ports: 50_000..=50_009,
        portless: false,
        mobile: false,
        bandwidth: 0,
        seed: 1,
    });
    while !input.is_empty() {
        let client = input.client();
        let shape = input.u8();
        let mut datagram = input.short().to_vec();
        if shape & 1 == 0 {
            put_right(&mut datagram);
        }
        let sent = host.client_sends(client, &datagram);
        match &sent[..] {
            [] => {}
            [Sent::Answer { client: to, bytes }] => {
                assert_eq!(*to, five_tuple(client));
                let request = Message::parse(&datagram).expect("only a message is answered");
                let answer = Message::parse(bytes).expect("well formed");
                assert_eq!(request.class(), Class::Request);
                assert_eq!(answer.transaction_id(), request.transaction_id());
                assert_eq!(answer.method(), request.method());
            }
            _ => panic!("for a stranger: {sent:?}"),
        }
        assert_eq!(
            (host.allocations(), host.claimed(), host.reachable()),
            (0, 0, 0)
        );
        assert!(
            host.peer_sends(
                client,
                "198.51.100.9:50000".parse().expect("an address"),
                &datagram
            )
            .is_empty()
        );
    }
}

/// Makes the header one of a STUN message of this length.
fn put_right(datagram: &mut Vec<u8>) {
    if datagram.len() >= HEADER_LENGTH {
        datagram.truncate(datagram.len() & !3);
        let length = u16::try_from(datagram.len() - HEADER_LENGTH).expect("short");
        datagram[0] &= 3;
        datagram[2..4].copy_from_slice(&length.to_be_bytes());
        datagram[4..8].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
    }
}
