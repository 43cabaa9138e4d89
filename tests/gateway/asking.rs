//! A client that speaks the protocol by requests, by hand.

use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::handshake;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::documents::checker;
use crate::world::{PATIENCE, Server, text};

/// How a client reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Events,
    Held,
    Polls,
}

pub(crate) const WAYS: [Way; 3] = [Way::Events, Way::Held, Way::Polls];

/// A client whose session requests carry.
pub(crate) struct Asking {
    pub(crate) server: std::net::SocketAddr,
    pub(crate) way: Way,
    pub(crate) key: String,
    pub(crate) ticket: String,
    pub(crate) cursor: u64,
    pub(crate) session: String,
    pub(crate) token: String,
    /// What was read and not looked at.
    pub(crate) unseen: Vec<Value>,
    pub(crate) events: Option<Events>,
    /// How often it was asked whether it lives: on a stream, or by an answer to a poll that says
    /// nothing.
    pub(crate) asked: u32,
    /// Whether it answers what it is asked on a stream.
    pub(crate) answers: bool,
    /// For how long the last answer to a poll asks it to wait.
    pub(crate) pause: Duration,
}

/// An event stream.
pub(crate) struct Events {
    body: Incoming,
    buffer: String,
}

/// One event: its id, its name and its data.
pub(crate) type Event = (Option<u64>, String, Value);

impl Events {
    /// All that still comes, as it is written.
    pub(crate) async fn rest(self) -> String {
        let body = tokio::time::timeout(PATIENCE, self.body.collect()).await;
        let bytes = body.expect("the end in time").expect("whole").to_bytes();
        self.buffer + std::str::from_utf8(&bytes).expect("UTF-8")
    }

    /// The next event; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((block, rest)) = self.buffer.split_once("\n\n") {
                let event = parse(block);
                self.buffer = rest.to_owned();
                if let Some(event) = event {
                    return Some(event);
                }
                continue;
            }
            let frame = tokio::time::timeout(PATIENCE, self.body.frame());
            let frame = frame.await.expect("an event in time")?.ok()?;
            let data = frame.into_data().expect("no trailers");
            self.buffer += std::str::from_utf8(&data).expect("UTF-8");
        }
    }
}

fn parse(block: &str) -> Option<Event> {
    let (mut id, mut name, mut data) = (None, "message".to_owned(), None);
    for line in block.lines() {
        match line.split_once(": ") {
            Some(("id", value)) => id = Some(value.parse().expect("a number")),
            Some(("event", value)) => name = value.to_owned(),
            Some(("data", value)) => data = Some(serde_json::from_str(value).expect("JSON")),
            _ => {}
        }
    }
    Some((id, name, data?))
}

/// Makes one request over a connection of its own.
pub(crate) async fn request(
    server: std::net::SocketAddr,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Response<Incoming> {
    let stream = TcpStream::connect(server).await.expect("it listens");
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.expect("HTTP");
    // It ends with the response's body.
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path);
    request = request.header("host", server.to_string());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = Full::new(Bytes::from(body.to_owned()));
    let request = request.body(body).expect("a request");
    let answer = tokio::time::timeout(PATIENCE, sender.send_request(request)).await;
    answer.expect("an answer in time").expect("an answer")
}

/// For how long an answer asks to wait.
fn retry_after(answer: &Response<Incoming>) -> Duration {
    let told = answer.headers().get("retry-after");
    let seconds = told.map(|told| told.to_str().expect("text").parse().expect("a number"));
    Duration::from_secs(seconds.unwrap_or_default())
}

/// The body of an answer, which is JSON.
pub(crate) async fn json_of(answer: Response<Incoming>) -> Value {
    let bytes = answer
        .into_body()
        .collect()
        .await
        .expect("whole")
        .to_bytes();
    serde_json::from_slice(&bytes).expect("JSON")
}

impl Asking {
    /// A client that has said hello.
    pub(crate) async fn new(server: &Server, way: Way) -> Self {
        Self::hello(server, way, json!({"type": "hello", "version": 1}))
            .await
            .0
    }

    /// A client that has said this, and how it was welcomed.
    pub(crate) async fn hello(server: &Server, way: Way, hello: Value) -> (Self, Value) {
        let path = "/v1/connect";
        let answer = request(server.address, Method::POST, path, &[], &hello.to_string()).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["cache-control"], "no-store");
        let answer = json_of(answer).await;
        let mut messages = answer["messages"].as_array().expect("messages").clone();
        let welcome = messages.remove(0);
        checker::received(&welcome);
        assert_eq!(welcome["type"], "welcome", "{answer}");
        let client = Self {
            server: server.address,
            way,
            key: text(&answer["connection"]),
            ticket: text(&answer["ticket"]),
            cursor: answer["cursor"].as_u64().expect("a number"),
            session: text(&welcome["session"]),
            token: text(&welcome["token"]),
            unseen: messages,
            events: None,
            asked: 0,
            answers: true,
            pause: Duration::ZERO,
        };
        (client, welcome)
    }

    pub(crate) async fn resume(
        server: &Server,
        way: Way,
        session: &str,
        token: &str,
        seq: u64,
    ) -> (Self, Value) {
        let resume = json!({"session": session, "token": token, "seq": seq});
        Self::hello(
            server,
            way,
            json!({"type": "hello", "version": 1, "resume": resume}),
        )
        .await
    }

    pub(crate) async fn ask(&self, method: Method, path: &str, body: &str) -> Response<Incoming> {
        let bearer = format!("Bearer {}", self.key);
        request(
            self.server,
            method,
            path,
            &[("authorization", &bearer)],
            body,
        )
        .await
    }

    /// Says one message or an array of them.
    pub(crate) async fn send(&self, message: Value) {
        match &message {
            Value::Array(messages) => messages.iter().for_each(checker::sent),
            message => checker::sent(message),
        }
        let answer = self
            .ask(Method::POST, "/v1/messages", &message.to_string())
            .await;
        assert_eq!(answer.status(), 204);
    }

    /// One poll from `cursor` on.
    pub(crate) async fn poll(&self, cursor: u64, wait: u64) -> Value {
        json_of(self.ask_for(cursor, wait).await).await
    }

    async fn ask_for(&self, cursor: u64, wait: u64) -> Response<Incoming> {
        let path = format!("/v1/poll?cursor={cursor}&wait={wait}");
        let answer = self.ask(Method::GET, &path, "").await;
        assert_eq!(answer.status(), 200);
        answer
    }

    /// A new event stream from `cursor` on.
    pub(crate) async fn stream(&self, cursor: u64) -> Events {
        let bearer = format!("Bearer {}", self.key);
        let cursor = cursor.to_string();
        let headers = [("authorization", &*bearer), ("last-event-id", &*cursor)];
        let answer = request(self.server, Method::GET, "/v1/events", &headers, "").await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        assert_eq!(answer.headers()["x-accel-buffering"], "no");
        Events {
            body: answer.into_body(),
            buffer: String::new(),
        }
    }

    /// The next message, or `None` once the connection is closed.
    pub(crate) async fn receive(&mut self) -> Option<Value> {
        let received = tokio::time::timeout(PATIENCE, self.receive_at_last());
        received.await.expect("something in time")
    }

    async fn receive_at_last(&mut self) -> Option<Value> {
        while self.unseen.is_empty() {
            self.read().await?;
        }
        let message = self.unseen.remove(0);
        checker::received(&message);
        Some(message)
    }

    /// Reads once, be it nothing; `None` once the connection is closed.
    pub(crate) async fn read(&mut self) -> Option<()> {
        if self.way == Way::Events {
            return self.read_event().await;
        }
        let wait = if self.way == Way::Held { 25 } else { 0 };
        let answer = self.ask_for(self.cursor, wait).await;
        self.pause = retry_after(&answer);
        let answer = json_of(answer).await;
        self.cursor = answer["cursor"].as_u64().expect("a number");
        let messages = answer["messages"].as_array().expect("messages");
        self.asked += u32::from(messages.is_empty());
        self.unseen.extend(messages.iter().cloned());
        let is_over = messages.is_empty() && !answer["closed"].is_null();
        (!is_over).then_some(())
    }

    async fn read_event(&mut self) -> Option<()> {
        if self.events.is_none() {
            self.events = Some(self.stream(self.cursor).await);
        }
        let (id, name, data) = self.events.as_mut()?.next().await?;
        if name == "ping" {
            self.asked += 1;
            assert_eq!(data, json!({}));
            if self.answers {
                // Where the connection is over, the stream says so as well.
                self.ask(Method::POST, "/v1/messages", "[]").await;
            }
            return Some(());
        }
        if name != "message" {
            return None;
        }
        self.cursor = id.expect("every message has one");
        self.unseen.push(data);
        Some(())
    }

    /// The next message of this type; others are passed over.
    pub(crate) async fn expect(&mut self, kind: &str) -> Value {
        loop {
            let message = self.receive().await.expect("it is open");
            if message["type"] == kind {
                return message;
            }
        }
    }
}
