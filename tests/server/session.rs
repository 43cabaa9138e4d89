//! A client of signaling.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::process::PATIENCE;

/// A client that keeps to the protocol, as far as a test has it do so: it acknowledges nothing by
/// itself.
pub(crate) struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub(crate) session: String,
    token: String,
    pub(crate) resumed: String,
    /// Of the last message that it has read.
    seq: u64,
}

impl Client {
    /// Begins a session, or resumes that of `former`.
    pub(crate) async fn connect(to: SocketAddr, former: Option<&Self>) -> Self {
        let (socket, _) = connect_async(format!("ws://{to}/v1/ws"))
            .await
            .expect("it upgrades");
        let mut client = Self {
            socket,
            session: String::new(),
            token: String::new(),
            resumed: String::new(),
            seq: former.map_or(0, |former| former.seq),
        };
        let resume = former.map(|former| {
            let Self {
                session,
                token,
                seq,
                ..
            } = former;
            json!({"session": session, "token": token, "seq": seq})
        });
        client
            .say(&json!({"type": "hello", "version": 1, "resume": resume}))
            .await;
        let welcome = client.expect("welcome").await;
        let text = |name: &str| welcome[name].as_str().expect("a string").to_owned();
        client.session = text("session");
        client.token = text("token");
        client.resumed = text("resumed");
        client
    }

    pub(crate) async fn say(&mut self, message: &Value) {
        let frame = Message::text(message.to_string());
        self.socket.send(frame).await.expect("the server reads");
    }

    /// The next message.
    pub(crate) async fn next(&mut self) -> Value {
        loop {
            let frame = tokio::time::timeout(PATIENCE, self.socket.next()).await;
            let frame = frame.expect("an answer in time").expect("it is open");
            let Message::Text(text) = frame.expect("a frame") else {
                continue;
            };
            let message: Value = serde_json::from_str(&text).expect("JSON");
            assert_ne!(message["type"], "error", "{message}");
            self.seq = message["seq"].as_u64().unwrap_or(self.seq);
            return message;
        }
    }

    /// The next message of this type; others are passed over.
    pub(crate) async fn expect(&mut self, kind: &str) -> Value {
        loop {
            let message = self.next().await;
            if message["type"] == kind {
                return message;
            }
        }
    }

    pub(crate) async fn join(&mut self, id: u64, room: &str) -> Value {
        self.say(&json!({"type": "join", "id": id, "room": room}))
            .await;
        self.expect("joined").await
    }

    /// Acknowledges all that it has read.
    pub(crate) async fn acknowledge(&mut self) {
        self.say(&json!({"type": "ack", "seq": self.seq})).await;
    }
}
