//! TURN over TLS on the port of HTTPS.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use peerage::stun::{Attribute, Class, Message, Method, TransactionId, Writer};
use rustls::{ClientConnection, StreamOwned};

use crate::client::{get_by_tls, read_to_end, tls, tls_with};
use crate::process::Server;

type Secure = StreamOwned<ClientConnection, TcpStream>;

fn binding_request() -> Vec<u8> {
    let mut buffer = [0; 100];
    let id = TransactionId([7; 12]);
    let writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, id);
    let length = writer.finish().expect("it fits");
    buffer[..length].to_vec()
}

/// The client's own address, as the relay tells it.
fn read_answer(stream: &mut Secure) -> SocketAddr {
    let mut answer = [0; 32];
    stream.read_exact(&mut answer).expect("an answer");
    let message = Message::parse(&answer).expect("well formed");
    let mapped = message.find_xor_address(Attribute::XOR_MAPPED_ADDRESS);
    mapped.expect("there").expect("an address")
}

#[test]
fn a_client_that_begins_with_stun_or_names_it_gets_to_the_relay() {
    let state = tempfile::tempdir().expect("a folder");
    let ca = state.path().join("ca.pem");
    let server = Server::start(state.path(), &[]);
    for version in rustls::ALL_VERSIONS {
        for protocols in [&[][..], &["stun.turn"], &["stun.nat-discovery"]] {
            let mut stream = tls_with(server.https, &ca, version, protocols);
            let local = stream.sock.local_addr().expect("connected");
            // In pieces, so that it is decided by the first byte alone.
            let request = binding_request();
            stream.write_all(&request[..1]).expect("sent");
            stream.write_all(&request[1..]).expect("sent");
            assert_eq!(read_answer(&mut stream), local);
            // And goes on there.
            stream.write_all(&binding_request()).expect("sent");
            assert_eq!(read_answer(&mut stream), local);
        }
    }
}

#[test]
fn clients_of_http_notice_nothing() {
    let state = tempfile::tempdir().expect("a folder");
    let ca = state.path().join("ca.pem");
    let server = Server::start(state.path(), &[]);
    assert_eq!(get_by_tls(server.https, &ca, "/healthz").0.status, 200);
    for method in ["GET", "HEAD", "OPTIONS", "POST"] {
        for protocols in [&[][..], &["http/1.1"], &["spdy/3", "http/1.1"]] {
            let version = &rustls::version::TLS13;
            let mut stream = tls_with(server.https, &ca, version, protocols);
            let request = format!("{method} / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            let (first, rest) = request.split_at(1);
            stream.write_all(first.as_bytes()).expect("sent");
            stream.write_all(rest.as_bytes()).expect("sent");
            let answer = read_to_end(&mut stream);
            assert!(answer.starts_with(b"HTTP/1.1 "), "{method} {protocols:?}");
        }
    }
}

#[test]
fn the_relay_stays_out_where_the_operator_says_so() {
    let state = tempfile::tempdir().expect("a folder");
    let ca = state.path().join("ca.pem");
    let file = state.path().join("peerage.toml");
    std::fs::write(&file, "[turn]\nshare_https = false\n").expect("written");
    let file = file.display().to_string();
    let server = Server::start(state.path(), &["--config", &file]);
    let mut stream = tls(server.https, &ca, &rustls::version::TLS13);
    stream.write_all(&binding_request()).expect("sent");
    let answer = read_to_end(&mut stream);
    assert!(answer.starts_with(b"HTTP/1.1 400") || answer.is_empty());
}
