//! What floods, bombs and messages without an end cost in memory.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::stream::MaybeTlsStream;
use tokio_tungstenite::tungstenite::{Message, WebSocket, connect};

use crate::client::{connect as connect_to, get, read_to_end};
use crate::process::{PATIENCE, Server};

/// How many do each of these things.
const EACH: usize = 8;
/// The first byte of a frame.
const TEXT: u8 = 0x81;

fn server() -> (tempfile::TempDir, Server) {
    let state = tempfile::tempdir().expect("a folder");
    let server = Server::start(state.path(), &[]);
    (state, server)
}

/// A frame of a client, with a mask that changes nothing.
fn frame(first: u8, length: u64, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match u8::try_from(length) {
        Ok(short @ ..126) => frame.push(0x80 | short),
        _ => {
            frame.push(0xff);
            frame.extend(length.to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

fn text(message: &serde_json::Value) -> Vec<u8> {
    let text = message.to_string();
    frame(TEXT, text.len() as u64, text.as_bytes())
}

/// Somebody with a session, who means harm.
struct Attacker(WebSocket<MaybeTlsStream<TcpStream>>);

impl Attacker {
    fn new(server: &Server) -> Self {
        Self::offering(server, None)
    }

    /// One who offers an extension of the WebSocket protocol.
    fn offering(server: &Server, extension: Option<&'static str>) -> Self {
        let url = format!("ws://{}/v1/ws", server.http);
        let mut request = url.into_client_request().expect("a URL");
        if let Some(extension) = extension {
            let offer = HeaderValue::from_static(extension);
            let headers = request.headers_mut();
            headers.insert("sec-websocket-extensions", offer);
        }
        let (socket, answer) = connect(request).expect("it upgrades");
        let agreed = answer.headers().get("sec-websocket-extensions");
        assert_eq!(agreed, None);
        let mut attacker = Self(socket);
        attacker.say(&json!({"type": "hello", "version": 1}), "welcome");
        attacker
    }

    /// Says something, and waits for this answer.
    fn say(&mut self, message: &serde_json::Value, answer: &str) {
        self.0
            .send(Message::text(message.to_string()))
            .expect("it reads");
        let answer = format!("\"type\":\"{answer}\"");
        while !self
            .0
            .read()
            .expect("an answer")
            .to_text()
            .expect("text")
            .contains(&answer)
        {}
    }

    fn stream(&mut self) -> &mut TcpStream {
        match self.0.get_mut() {
            MaybeTlsStream::Plain(stream) => stream,
            _ => panic!("not plain"),
        }
    }

    /// Sends without ever reading.
    fn send(&mut self, bytes: &[u8]) {
        let stream = self.stream();
        // The server stops reading when there is too much; whatever that does to the rest.
        let patience = Some(Duration::from_secs(2));
        stream.set_write_timeout(patience).expect("set");
        drop(stream.write_all(bytes));
    }

    /// With which code the server has closed. What was on its way to a closed socket may take the
    /// reason with it.
    fn end(mut self) -> Option<u16> {
        self.stream().set_read_timeout(Some(PATIENCE)).expect("set");
        loop {
            match self.0.read() {
                Ok(Message::Close(frame)) => return frame.map(|frame| frame.code.into()),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }
}

/// Has each send its bytes, all at once, and wait for its end, which must be one of these.
/// Gives how much memory the server has had at most beyond what it had before.
fn cost(server: &Server, attacks: Vec<(Attacker, &[u8])>, codes: &[u16]) -> usize {
    let before = server.resident();
    let ends = std::thread::scope(|scope| {
        let attack = |(mut attacker, bytes): (Attacker, _)| {
            scope.spawn(move || {
                attacker.send(bytes);
                attacker.end()
            })
        };
        let running: Vec<_> = attacks.into_iter().map(attack).collect();
        let ends = running.into_iter().map(|it| it.join().expect("no panic"));
        ends.collect::<Vec<_>>()
    });
    let grown = server.peak().saturating_sub(before);
    assert!(
        ends.iter()
            .all(|end| end.is_none_or(|end| codes.contains(&end))),
        "{ends:?}"
    );
    assert_eq!(get(server.http, "/healthz").status, 200);
    grown
}

/// Messages that never end, in pieces of one byte and in large ones, with pings between them; and
/// the head of one that is a gibibyte long.
fn endless_messages() -> [Vec<u8>; 3] {
    const BEGINS: u8 = 1;
    const GOES_ON: u8 = 0;
    const PING: u8 = 0x89;
    let in_pieces = |piece: &[u8], pieces: usize, between: usize| {
        let mut all = frame(BEGINS, piece.len() as u64, piece);
        for number in 1..pieces {
            all.extend(frame(GOES_ON, piece.len() as u64, piece));
            if number % between == 0 {
                all.extend(frame(PING, 0, b""));
            }
        }
        all
    };
    [
        in_pieces(b"x", 1_000_000, 1_000),
        in_pieces(&[b'x'; 60_000], 100, 10),
        frame(TEXT, 1 << 30, &[b'x'; 60_000]),
    ]
}

#[test]
fn messages_that_never_end_are_cut_and_cost_less_than_a_megabyte_each() {
    let (_state, server) = server();
    let messages = endless_messages();
    let kinds = (0..EACH).flat_map(|_| &messages);
    let attacks: Vec<_> = kinds
        .map(|bytes| (Attacker::new(&server), &bytes[..]))
        .collect();
    let count = attacks.len();
    let grown = cost(&server, attacks, &[1009]);
    assert!(grown < count << 20, "{grown} bytes");
}

/// Floods of what is short, of what is refused, and of what goes to many.
fn floods() -> [Vec<u8>; 3] {
    let many = |count, message: &dyn Fn(usize) -> serde_json::Value| {
        (2..count).flat_map(|id| text(&message(id))).collect()
    };
    let body = "x".repeat(16_000);
    [
        many(100_000, &|_| json!({"type": "ping"})),
        many(
            50_000,
            &|id| json!({"type": "join", "id": id, "room": format!("room-{id}")}),
        ),
        many(
            1_000,
            &|id| json!({"type": "broadcast", "id": id, "room": "blue", "body": body}),
        ),
    ]
}

#[test]
fn floods_of_messages_cost_little_memory() {
    let (_state, server) = server();
    let floods = floods();
    let kinds = (0..EACH).flat_map(|_| &floods);
    let attacks: Vec<_> = kinds
        .map(|bytes| {
            let mut attacker = Attacker::new(&server);
            attacker.say(&json!({"type": "join", "id": 1, "room": "blue"}), "joined");
            (attacker, &bytes[..])
        })
        .collect();
    let count = attacks.len();
    // They also read nothing of what they are told.
    let grown = cost(&server, attacks, &[4429, 4408]);
    assert!(grown < count * (320 << 10), "{grown} bytes");
}

/// Zeros, deflated (RFC 1951) to a hundred and fiftieth of their length; no message has more.
fn bomb() -> Vec<u8> {
    // Not the last block, fixed codes; a zero.
    let mut bits = vec![0, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0];
    while bits.len() < 8 * 60_000 {
        // What was one byte before, 258 times.
        bits.extend([1, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0]);
    }
    let byte = |bits: &[u8]| (0..8).map(|at| bits[at] << at).sum();
    bits.chunks_exact(8).map(byte).collect()
}

#[test]
fn a_bomb_on_a_websocket_is_not_inflated() {
    const COMPRESSED: u8 = TEXT | 0x40;
    let (_state, server) = server();
    let bomb = bomb();
    let bytes = frame(COMPRESSED, bomb.len() as u64, &bomb);
    let offers = [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits; server_no_context_takeover",
        "x-webkit-deflate-frame",
    ];
    let attacks = (0..EACH).flat_map(|_| offers);
    let attacks: Vec<_> = attacks
        .map(|offer| (Attacker::offering(&server, Some(offer)), &bytes[..]))
        .collect();
    let count = attacks.len();
    let grown = cost(&server, attacks, &[1002]);
    assert!(grown < count * (128 << 10), "{grown} bytes");
}

#[test]
fn a_bomb_in_a_request_is_not_inflated() {
    let (_state, server) = server();
    let bomb = bomb();
    let before = server.resident();
    for coding in ["deflate", "gzip", "br", "zstd", "identity, deflate"] {
        for _ in 0..EACH {
            let mut stream = connect_to(server.http);
            let head = format!(
                "POST /v1/connect HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                 Content-Type: application/json\r\nContent-Encoding: {coding}\r\n\
                 Content-Length: {}\r\n\r\n",
                bomb.len()
            );
            stream.write_all(head.as_bytes()).expect("it reads");
            stream.write_all(&bomb).expect("it reads");
            let answer = read_to_end(&mut stream);
            assert!(answer.starts_with(b"HTTP/1.1 400 "), "{answer:?}");
        }
    }
    let grown = server.peak().saturating_sub(before);
    assert!(grown < 4 << 20, "{grown} bytes");
}
