//! Allocations, permissions and channels, driven by the `turn` crate's client.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use peerage::relay::Relay;
use tokio::net::UdpSocket;
use tokio::time::timeout;
use turn::client::{Client, ClientConfig};
use webrtc_util::Conn;

use crate::relay;

const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) async fn client(server: SocketAddr, username: &str, password: &str) -> Client {
    let socket = UdpSocket::bind((server.ip(), 0)).await.expect("bound");
    let client = Client::new(ClientConfig {
        stun_serv_addr: server.to_string(),
        turn_serv_addr: server.to_string(),
        username: username.to_owned(),
        password: password.to_owned(),
        realm: relay::REALM.to_owned(),
        software: String::new(),
        rto_in_ms: 0,
        conn: Arc::new(socket),
        vnet: None,
    });
    let client = client.await.expect("a client");
    client.listen().await.expect("listening");
    client
}

/// Sends until the other side has it: the first datagrams may meet no permission yet.
async fn pass(from: &impl Conn, to: SocketAddr, at: &UdpSocket, bytes: &[u8]) -> SocketAddr {
    let mut buffer = [0; 2_000];
    for _ in 0..100 {
        from.send_to(bytes, to).await.expect("sent");
        if let Ok(received) = timeout(Duration::from_millis(100), at.recv_from(&mut buffer)).await {
            let (length, source) = received.expect("received");
            assert_eq!(&buffer[..length], bytes);
            return source;
        }
    }
    panic!("nothing arrived");
}

#[tokio::test]
async fn the_turn_crate_relays_both_ways_through_a_channel() {
    let relay = relay::start(&["127.0.0.0/8"]);
    let minted = relay::time_limited("ada");
    let client = client(
        relay.addresses()[0],
        &minted.username,
        minted.password.expose(),
    )
    .await;
    let allocation = client.allocate().await.expect("allocated");
    let relayed = allocation.local_addr().expect("a relayed address");
    let peer = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
    let peer_address = peer.local_addr().expect("bound");
    for round in 0..50_u8 {
        let bytes = [round; 1_200];
        let source = pass(&allocation, peer_address, &peer, &bytes).await;
        assert_eq!(source, relayed);
        peer.send_to(&bytes, relayed).await.expect("sent");
        let mut buffer = [0; 2_000];
        let received = timeout(PATIENCE, allocation.recv_from(&mut buffer)).await;
        let (length, source) = received.expect("in time").expect("received");
        assert_eq!((&buffer[..length], source), (&bytes[..], peer_address));
    }
    let counters = relay::counters(&relay);
    // The last datagram may arrive before the worker has counted it.
    assert!(counters.packets_to_peers >= 50 && counters.packets_to_clients >= 49);
    client.close().await.expect("closed");
}

#[tokio::test]
async fn the_turn_crate_gets_no_allocation_with_a_wrong_password() {
    let relay = relay::start(&[]);
    let client = client(relay.addresses()[0], relay::USER.0, "wrong").await;
    assert!(client.allocate().await.is_err());
    client.close().await.expect("closed");
}

#[tokio::test]
async fn two_clients_of_the_turn_crate_meet_on_their_relayed_addresses() {
    meet(&relay::start(&[])).await;
}

#[tokio::test]
async fn two_clients_of_the_turn_crate_meet_without_relay_sockets() {
    let relay = relay::start_portless(&[]);
    meet(&relay).await;
    // A datagram may arrive before the worker has counted it.
    let both_counted = async {
        loop {
            let counters = relay::counters(&relay);
            if counters.packets_to_peers > 0
                && counters.packets_to_peers == counters.packets_to_clients
            {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, both_counted)
        .await
        .expect("each is counted on both sides");
}

/// Two clients with one account, and data both ways.
async fn meet(relay: &Relay) {
    let (username, password) = relay::USER;
    let server = relay.addresses()[0];
    let (a, b) = (
        client(server, username, password).await,
        client(server, username, password).await,
    );
    let (at_a, at_b) = (
        a.allocate().await.expect("allocated"),
        b.allocate().await.expect("allocated"),
    );
    let (address_a, address_b) = (
        at_a.local_addr().expect("relayed"),
        at_b.local_addr().expect("relayed"),
    );
    // Each side's first datagram brings its own permission; the other's may be early and lost.
    let (mut buffer, mut met) = ([0; 2_000], (false, false));
    for _ in 0..100 {
        at_b.send_to(b"from b", address_a).await.expect("sent");
        at_a.send_to(b"from a", address_b).await.expect("sent");
        met.0 |= arrives(&at_b, &mut buffer, (b"from a", address_a)).await;
        met.1 |= arrives(&at_a, &mut buffer, (b"from b", address_b)).await;
        if met == (true, true) {
            break;
        }
    }
    assert_eq!(met, (true, true));
    a.close().await.expect("closed");
    b.close().await.expect("closed");
}

/// Whether something arrives soon; if so, it is what is expected.
async fn arrives(at: &impl Conn, buffer: &mut [u8], expected: (&[u8], SocketAddr)) -> bool {
    match timeout(Duration::from_millis(100), at.recv_from(buffer)).await {
        Ok(received) => {
            let (length, source) = received.expect("received");
            assert_eq!((&buffer[..length], source), expected);
            true
        }
        Err(_) => false,
    }
}
