//! What outsiders try against the web side, and what it costs others.

use std::io::{Read, Write};
use std::time::Duration;

use tokio_tungstenite::tungstenite::{Message, connect};

use crate::client::{connect as connect_to, get, read_to_end, request, tls_with};
use crate::process::Server;

/// Connections that want to take places: slow ones of each kind.
const SLOW: usize = 100;

#[test]
fn slow_clients_of_every_kind_are_cut_and_others_are_served() {
    let state = tempfile::tempdir().expect("a folder");
    let server = Server::start(state.path(), &[]);
    let begin = |text: &str| {
        let mut stream = connect_to(server.http);
        stream.write_all(text.as_bytes()).expect("it reads");
        stream
    };
    let body = "POST /v1/connect HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{";
    let headers = "GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ";
    let bodies: Vec<_> = (0..SLOW).map(|_| begin(body)).collect();
    let others: Vec<_> = (0..SLOW)
        .flat_map(|_| [begin(headers), begin("")])
        .collect();
    // Over HTTP/2: nothing at all, and headers that never end.
    let ca = state.path().join("ca.pem");
    let open = || {
        let mut stream = tls_with(server.https, &ca, &rustls::version::TLS13, &["h2"]);
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
        stream.write_all(preface).expect("it reads");
        stream
    };
    let silent = open();
    let mut endless = open();
    let begun = b"\0\0\x01\x01\0\0\0\0\x01\x82";
    endless.write_all(begun).expect("it reads");
    for _ in 0..20 {
        assert_eq!(get(server.http, "/healthz").status, 200);
    }
    for mut stream in bodies {
        let answer = read_to_end(&mut stream);
        assert!(answer.starts_with(b"HTTP/1.1 408 "), "{answer:?}");
    }
    for mut stream in others {
        read_to_end(&mut stream);
    }
    for mut stream in [silent, endless] {
        read_to_end(&mut stream);
    }
    assert_eq!(get(server.http, "/healthz").status, 200);
}

#[test]
fn nothing_that_a_client_says_forges_a_line_of_the_log() {
    let state = tempfile::tempdir().expect("a folder");
    let mut server = Server::start(state.path(), &["--log-level", "debug"]);
    let url = format!("ws://{}/v1/ws", server.http);
    let (mut socket, _) = connect(url).expect("it upgrades");
    let client = r"evil\n2026-01-01T00:00:00Z ERROR forged\u001b[31m\u202e\r\u009b";
    let hello = format!(r#"{{"type":"hello","version":1,"client":"{client}"}}"#);
    socket.send(Message::text(hello)).expect("it reads");
    let line = server.wait_for_log("forged");
    assert!(line.contains("hello"), "{line}");
    // What cannot be read is told to the client, and by the log at most as escaped.
    let wrong = "{\"type\":\"\u{9b}\\u001b[2J\\nforged again\",\"id\":1}";
    socket.send(Message::text(wrong)).expect("it reads");
    socket
        .send(Message::text(r#"{"type":"bye"}"#))
        .expect("it reads");
    server.wait_for_log("over");
    let is_raw = |c: char| c.is_control() && c != '\n';
    assert!(!server.log.contains(is_raw), "{:?}", server.log);
    assert!(!server.log.contains('\u{202e}'), "{:?}", server.log);
    let forged = server.log.lines().filter(|line| line.contains("forged"));
    assert!(forged.clone().all(|line| !line.starts_with("2026-01-01")));
}

/// A ClientHello of this version, which offers what such clients had.
fn client_hello(minor: u8) -> Vec<u8> {
    let mut hello = vec![3, minor];
    hello.extend([7; 32]);
    // No session; ECDHE-RSA and RSA with AES-128-CBC-SHA; no compression; no extension.
    hello.extend([0, 0, 4, 0xc0, 0x13, 0, 0x2f, 1, 0]);
    let length = u8::try_from(hello.len()).expect("short");
    let mut record = vec![0x16, 3, minor.min(1), 0, length + 4, 1, 0, 0, length];
    record.extend(hello);
    record
}

#[test]
fn tls_before_1_2_is_refused() {
    let state = tempfile::tempdir().expect("a folder");
    let server = Server::start(state.path(), &[]);
    // SSL 3.0, TLS 1.0 and 1.1; and 1.2 without anything that is safe.
    for minor in 0..=3 {
        let mut stream = connect_to(server.https);
        stream.write_all(&client_hello(minor)).expect("it reads");
        let answer = read_to_end(&mut stream);
        // A fatal alert, and nothing of a handshake.
        assert_eq!(answer.first(), Some(&0x15), "3.{minor}: {answer:?}");
        assert_eq!(answer.get(5), Some(&2), "3.{minor}: {answer:?}");
    }
    let mut stream = connect_to(server.https);
    let sslv2 = [0x80, 0x2e, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10];
    stream.write_all(&sslv2).expect("it reads");
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .expect("set");
    let mut first = [0];
    // However it says so, it does not shake hands.
    let read = stream.read(&mut first).unwrap_or(0);
    assert!(read == 0 || first == [0x15], "{first:?}");
}

#[test]
fn ranges_are_not_served_in_pieces() {
    let state = tempfile::tempdir().expect("a folder");
    let web = state.path().join("web");
    std::fs::create_dir(&web).expect("made");
    std::fs::write(web.join("index.html"), "x".repeat(10_000)).expect("written");
    let web = web.to_str().expect("a plain path");
    let server = Server::start(state.path(), &["--web-root", web]);
    let pieces: Vec<_> = (0..1_000).map(|number| format!("{number}-")).collect();
    let pieces = pieces.join(",");
    for range in ["0-0", "0-,0-,0-", &pieces] {
        let headers = format!("Range: bytes={range}\r\n");
        let answer = request(server.http, "GET", "/", &headers);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.body.len(), 10_000);
    }
}
