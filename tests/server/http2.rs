//! HTTP/2: the page, requests and WebSockets on one connection.

use std::path::Path;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::ext::Protocol;
use hyper::upgrade::Upgraded;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::process::{PATIENCE, Server};

/// A connection of HTTP/2, and what becomes true when it has ended.
struct Client {
    requests: SendRequest<Full<Bytes>>,
    ended: tokio::task::JoinHandle<()>,
}

type Socket = WebSocketStream<TokioIo<Upgraded>>;

impl Client {
    async fn connect(server: &Server, state: &Path) -> Self {
        let ca = CertificateDer::from_pem_file(state.join("ca.pem")).expect("a certificate");
        let mut roots = rustls::RootCertStore::empty();
        roots.add(ca).expect("a CA");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let stream = TcpStream::connect(server.https).await.expect("it listens");
        let name = ServerName::try_from("localhost").expect("a name");
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream);
        let stream = stream.await.expect("shaken hands");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (requests, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("HTTP/2");
        let ended = tokio::spawn(async move {
            // How it ends is the server's affair; that it does is what is asked.
            drop(connection.await);
        });
        Self { requests, ended }
    }

    async fn ask(&mut self, request: hyper::http::request::Builder) -> Response<Incoming> {
        let request = request.body(Full::default()).expect("a request");
        let answer = timeout(PATIENCE, self.requests.send_request(request)).await;
        answer.expect("an answer in time").expect("an answer")
    }

    /// A WebSocket by RFC 8441, or what is answered instead.
    async fn upgrade(&mut self, origin: Option<&str>) -> Result<Socket, u16> {
        let mut request = Request::builder()
            .method(Method::CONNECT)
            .uri("https://localhost/v1/ws")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-extensions", "permessage-deflate");
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let protocol = Protocol::from_static("websocket");
        let answer = self.ask(request.extension(protocol)).await;
        let status = answer.status().as_u16();
        if status != 200 {
            return Err(status);
        }
        assert!(!answer.headers().contains_key("sec-websocket-extensions"));
        let upgraded = hyper::upgrade::on(answer).await.expect("a stream");
        let stream = TokioIo::new(upgraded);
        Ok(WebSocketStream::from_raw_socket(stream, Role::Client, None).await)
    }

    /// A WebSocket that has said hello.
    async fn member(&mut self) -> Socket {
        let mut socket = self.upgrade(None).await.expect("200");
        say(&mut socket, json!({"type": "hello", "version": 1})).await;
        assert_eq!(hear(&mut socket).await["type"], "welcome");
        socket
    }
}

async fn say(socket: &mut Socket, message: Value) {
    let sent = socket.send(Message::text(message.to_string())).await;
    sent.expect("it is open");
}

async fn next(socket: &mut Socket) -> Message {
    loop {
        let frame = timeout(PATIENCE, socket.next()).await;
        let frame = frame.expect("a frame in time").expect("it is open");
        let frame = frame.expect("a frame");
        if !frame.is_ping() {
            return frame;
        }
    }
}

async fn hear(socket: &mut Socket) -> Value {
    let text = next(socket).await.into_text().expect("text");
    serde_json::from_str(&text).expect("JSON")
}

#[tokio::test]
async fn the_page_and_websockets_share_one_connection() {
    let state = tempfile::tempdir().expect("a folder");
    let server = Server::start(state.path(), &[]);
    let mut client = Client::connect(&server, state.path()).await;
    let page = client.ask(Request::get("https://localhost/")).await;
    assert_eq!(page.status(), 200);
    let policy = page.headers()["content-security-policy"]
        .to_str()
        .expect("text");
    assert!(policy.contains("wss://localhost;"), "{policy}");
    let mut ada = client.member().await;
    let mut grace = client.member().await;
    say(&mut ada, json!({"type": "join", "id": 1, "room": "blue"})).await;
    assert_eq!(hear(&mut ada).await["type"], "joined");
    say(&mut grace, json!({"type": "join", "id": 1, "room": "blue"})).await;
    let joined = hear(&mut grace).await;
    let to = &joined["members"][0];
    assert_eq!(hear(&mut ada).await["type"], "presence");
    let body = "x".repeat(60_000);
    say(
        &mut grace,
        json!({"type": "offer", "id": 2, "room": "blue", "to": to["session"],
        "epoch": to["epoch"], "body": body}),
    )
    .await;
    assert_eq!(hear(&mut ada).await["body"], body);
}

#[tokio::test]
async fn requests_carry_a_session_over_http_2() {
    let state = tempfile::tempdir().expect("a folder");
    let server = Server::start(state.path(), &[]);
    let mut client = Client::connect(&server, state.path()).await;
    let hello = Request::post("https://localhost/v1/connect");
    let hello = hello
        .body(Full::from(r#"{"type":"hello","version":1}"#))
        .expect("a request");
    let answer = client
        .requests
        .send_request(hello)
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 200);
    let answer = answer
        .into_body()
        .collect()
        .await
        .expect("whole")
        .to_bytes();
    let answer: Value = serde_json::from_slice(&answer).expect("JSON");
    let key = answer["connection"].as_str().expect("a key");
    let events = Request::get("https://localhost/v1/events?cursor=0");
    let events = client
        .ask(events.header("authorization", format!("Bearer {key}")))
        .await;
    assert_eq!(events.headers()["content-type"], "text/event-stream");
    let mut events = events.into_body();
    let mut text = String::new();
    while !text.contains("\"welcome\"") {
        let frame = timeout(PATIENCE, events.frame())
            .await
            .expect("an event in time");
        let data = frame
            .expect("open")
            .expect("a frame")
            .into_data()
            .expect("data");
        text += std::str::from_utf8(&data).expect("text");
    }
}

#[tokio::test]
async fn origins_are_checked_over_http_2_as_well() {
    let state = tempfile::tempdir().expect("a folder");
    let server = Server::start(state.path(), &[]);
    let mut client = Client::connect(&server, state.path()).await;
    for origin in [
        "https://evil.example",
        "null",
        "https://sub.localhost",
        "https://localhost.evil",
    ] {
        assert_eq!(
            client.upgrade(Some(origin)).await.err(),
            Some(403),
            "{origin}"
        );
        let connect = Request::post("https://localhost/v1/connect").header("origin", origin);
        assert_eq!(client.ask(connect).await.status(), 403, "{origin}");
    }
    // The host is what `:authority` says, not what else stands there.
    let connect = Request::post("https://localhost/v1/connect");
    let connect = connect
        .header("host", "evil.example")
        .header("origin", "https://evil.example");
    assert_eq!(client.ask(connect).await.status(), 403);
    let mut socket = client
        .upgrade(Some("https://localhost"))
        .await
        .expect("200");
    say(&mut socket, json!({"type": "hello", "version": 1})).await;
    assert_eq!(hear(&mut socket).await["type"], "welcome");
    let plain = client.ask(Request::get("https://localhost/v1/ws")).await;
    assert_eq!(plain.status(), 426);
    let other = Request::builder()
        .method(Method::CONNECT)
        .uri("https://localhost/v1/poll");
    let other = client
        .ask(other.extension(Protocol::from_static("websocket")))
        .await;
    assert_eq!(other.status(), 405);
}

#[tokio::test]
async fn bounds_hold_for_websockets_over_http_2() {
    let state = tempfile::tempdir().expect("a folder");
    let config = state.path().join("peerage.toml");
    std::fs::write(&config, "[signal]\nconnections = 2\n").expect("written");
    let config = config.to_str().expect("a plain path");
    let server = Server::start(state.path(), &["--config", config]);
    let mut client = Client::connect(&server, state.path()).await;
    let mut socket = client.member().await;
    let _second = client.member().await;
    assert_eq!(client.upgrade(None).await.err(), Some(503));
    let long = "x".repeat(65_537);
    socket.send(Message::text(long)).await.expect("sent");
    let Message::Close(Some(frame)) = next(&mut socket).await else {
        panic!("not closed");
    };
    assert_eq!(u16::from(frame.code), 1009);
}

#[tokio::test]
async fn a_server_that_stops_sends_websockets_over_http_2_away() {
    let state = tempfile::tempdir().expect("a folder");
    let server = Server::start(state.path(), &[]);
    let mut client = Client::connect(&server, state.path()).await;
    let mut socket = client.member().await;
    let mut idle = Client::connect(&server, state.path()).await;
    assert_eq!(
        idle.ask(Request::get("https://localhost/healthz"))
            .await
            .status(),
        200
    );
    server.terminate();
    for kind in ["token", "goaway"] {
        assert_eq!(hear(&mut socket).await["type"], kind);
    }
    let Message::Close(Some(frame)) = next(&mut socket).await else {
        panic!("not closed");
    };
    assert_eq!(u16::from(frame.code), 1001);
    // The closing handshake.
    while let Some(Ok(_)) = socket.next().await {}
    for client in [client, idle] {
        let ended = timeout(PATIENCE, client.ended).await;
        ended.expect("an end in time").expect("no panic");
    }
    let (status, _, log) = server.wait();
    assert!(status.success(), "{log}");
    assert!(!log.contains("cut off"), "{log}");
}

#[tokio::test]
async fn a_connection_ends_with_its_last_websocket() {
    let state = tempfile::tempdir().expect("a folder");
    let server = Server::start(state.path(), &[]);
    let mut client = Client::connect(&server, state.path()).await;
    let mut socket = client.member().await;
    say(&mut socket, json!({"type": "bye"})).await;
    while let Some(Ok(_)) = socket.next().await {}
    drop(socket);
    let ended = timeout(PATIENCE, client.ended).await;
    ended.expect("an end in time").expect("no panic");
}
