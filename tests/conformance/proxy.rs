//! The PROXY protocol in front of the listeners for streams.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use peerage::relay::Relay;
use peerage::turn::Transport;

use crate::client::{Client, Stream, connect, over_tcp};
use crate::relay::{self, address, await_counters};
use crate::tcp::converse;
use crate::tls::secure_over;

/// A relay that takes loopback for a proxy, and gives each client two connections.
fn start() -> Relay {
    relay::start_adapted(|settings| {
        settings.proxies = vec!["127.0.0.0/8".parse().expect("a range")];
        settings.connections_per_address = 2;
    })
}

fn tcp(relay: &Relay) -> SocketAddr {
    relay::server(relay, Transport::Tcp)
}

fn text(client: &str) -> Vec<u8> {
    let client = address(client);
    let (ip, port) = (client.ip(), client.port());
    format!("PROXY TCP4 {ip} 198.51.100.1 {port} 3478\r\n").into_bytes()
}

/// The binary form for 203.0.113.9:4660, with something that the proxy adds.
fn binary() -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0f".to_vec();
    header.extend_from_slice(&[203, 0, 113, 9, 198, 51, 100, 1, 0x12, 0x34, 0x0d, 0x96]);
    header.extend_from_slice(&[4, 0, 0]);
    header
}

fn by_proxy(relay: &Relay, header: &[u8]) -> TcpStream {
    let mut stream = connect(tcp(relay));
    stream.write_all(header).expect("sent");
    stream
}

fn is_closed(mut stream: TcpStream) -> bool {
    match stream.read(&mut [0; 10]) {
        Ok(length) => length == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

#[test]
fn a_client_behind_a_proxy_has_its_own_address() {
    let relay = start();
    let client = "203.0.113.9:4660";
    for header in [text(client), binary()] {
        let mut client_of_proxy = Client::new(Stream(by_proxy(&relay, &header)));
        assert_eq!(client_of_proxy.bind(), address(client));
        drop(client_of_proxy);
        await_counters(&relay, |counters| counters.connections() == 0);
        // And byte by byte.
        let mut stream = connect(tcp(&relay));
        for byte in header {
            stream.write_all(&[byte]).expect("sent");
        }
        assert_eq!(Client::new(Stream(stream)).bind(), address(client));
        await_counters(&relay, |counters| counters.connections() == 0);
    }
}

#[test]
fn a_proxy_that_looks_whether_somebody_is_there_is_its_own_client() {
    let relay = start();
    let stream = by_proxy(&relay, b"PROXY UNKNOWN\r\n");
    let local = stream.local_addr().expect("connected");
    assert_eq!(Client::new(Stream(stream)).bind(), local);
}

#[test]
fn tls_is_spoken_behind_the_header() {
    let relay = start();
    let stream = by_proxy(&relay, &text("203.0.113.9:1000"));
    let mut client = Client::new(Stream(secure_over(stream, rustls::ALL_VERSIONS, &[])));
    assert_eq!(client.bind(), address("203.0.113.9:1000"));
}

#[test]
fn clients_behind_one_proxy_meet_each_other() {
    let relay = start();
    for port in 1..=8 {
        let client = |ip: &str| {
            let header = text(&format!("{ip}:{port}"));
            Client::new(Stream(by_proxy(&relay, &header)))
        };
        converse(&mut client("203.0.113.1"), &mut client("203.0.113.2"));
        await_counters(&relay, |counters| counters.allocations() == 0);
    }
}

#[test]
fn a_proxy_that_says_nothing_is_refused() {
    let relay = start();
    let mut stream = connect(tcp(&relay));
    stream.write_all(&[0, 1, 0, 0]).expect("sent");
    assert!(is_closed(stream));
}

#[test]
fn nobody_else_may_say_whose_connection_it_is() {
    let relay = relay::start(&[]);
    for header in [text("203.0.113.9:1000"), binary()] {
        assert!(is_closed(by_proxy(&relay, &header)));
    }
    over_tcp(tcp(&relay)).bind();
}

#[test]
fn connections_are_counted_for_the_client_and_not_for_the_proxy() {
    let relay = start();
    let client = |at: &str| Client::new(Stream(by_proxy(&relay, &text(at))));
    let mut clients: Vec<_> = [
        "203.0.113.1:1",
        "203.0.113.1:2",
        "203.0.113.2:1",
        "203.0.113.3:1",
    ]
    .map(client)
    .into();
    for client in &mut clients {
        client.bind();
    }
    assert!(is_closed(by_proxy(&relay, &text("203.0.113.1:3"))));
    drop(clients);
    await_counters(&relay, |counters| counters.connections() == 0);
    client("203.0.113.1:3").bind();
}

#[test]
fn a_client_that_is_said_to_be_there_twice_loses_nothing() {
    let relay = relay::start_adapted(|settings| {
        settings.proxies = vec!["127.0.0.0/8".parse().expect("a range")];
        settings.workers = 1;
    });
    let mut first = Client::new(Stream(by_proxy(&relay, &text("203.0.113.1:1"))));
    first.allocate();
    assert!(is_closed(by_proxy(&relay, &text("203.0.113.1:1"))));
    first.permit(address("8.8.8.8:1"));
    assert_eq!(relay::counters(&relay).allocations(), 1);
}
