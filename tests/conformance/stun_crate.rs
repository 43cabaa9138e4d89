//! Binding, asked by the `stun` crate.

use std::sync::Arc;

use stun::agent::TransactionId;
use stun::client::ClientBuilder;
use stun::message::{BINDING_REQUEST, Getter, Message};
use stun::xoraddr::XorMappedAddress;
use tokio::net::UdpSocket;

use crate::relay;

#[tokio::test]
async fn the_stun_crate_learns_its_address_over_ipv4_and_ipv6() {
    let relay = relay::start(&[]);
    for server in relay.addresses() {
        let socket = UdpSocket::bind((server.ip(), 0)).await.expect("bound");
        let local = socket.local_addr().expect("bound");
        socket.connect(server).await.expect("connected");
        let mut client = ClientBuilder::new()
            .with_conn(Arc::new(socket))
            .build()
            .expect("a client");
        let mut request = Message::new();
        request
            .build(&[Box::<TransactionId>::default(), Box::new(BINDING_REQUEST)])
            .expect("a request");
        let (events, mut answers) = tokio::sync::mpsc::unbounded_channel();
        client
            .send(&request, Some(Arc::new(events)))
            .await
            .expect("sent");
        let answer = answers
            .recv()
            .await
            .expect("an event")
            .event_body
            .expect("an answer");
        let mut mapped = XorMappedAddress::default();
        mapped.get_from(&answer).expect("XOR-MAPPED-ADDRESS");
        assert_eq!((mapped.ip, mapped.port), (local.ip(), local.port()));
        client.close().await.expect("closed");
    }
}
