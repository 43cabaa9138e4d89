//! A server, and clients that speak the protocol by hand.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::ListenerExt;
use futures_util::{SinkExt, StreamExt};
use peerage::gateway::{Gateway, Settings};
use peerage::metrics::SignalCounters;
use peerage::signal::{Config, Hub};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::documents::checker;

/// Whatever takes longer than this has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) gateway: Gateway,
    pub(crate) counters: Arc<SignalCounters>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        // A client of a test that waits for its turn does not read, and answers no ping.
        let config = Config {
            negotiation_timeout: Duration::from_secs(60),
            ..Config::default()
        };
        Self::with(config, Settings::default()).await
    }

    pub(crate) async fn with(config: Config, settings: Settings) -> Self {
        // Before anybody's patience is measured.
        checker::prepare();
        let counters = Arc::new(SignalCounters::default());
        let hub = Hub::new(config, [7; 32]);
        let gateway = Gateway::start(hub, settings, Arc::clone(&counters));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let router = gateway.router();
        // As the server does: what is said waits for no more.
        let listener = listener.tap_io(|socket| socket.set_nodelay(true).expect("open"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            address,
            gateway,
            counters,
        }
    }

    pub(crate) async fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address).await.expect("it listens");
        self.connect_over(stream).await
    }

    pub(crate) async fn connect_over(&self, stream: TcpStream) -> Client {
        let url = format!("ws://{}/v1/ws", self.address);
        let (socket, _) = tokio_tungstenite::client_async(url, stream)
            .await
            .expect("it upgrades");
        Client {
            socket,
            session: String::new(),
            token: String::new(),
        }
    }

    /// A client that has said hello.
    pub(crate) async fn client(&self) -> Client {
        let mut client = self.connect().await;
        client.hello().await;
        client
    }

    /// A client that has joined a room, and what it was told there.
    pub(crate) async fn member(&self, room: &str) -> (Client, Value) {
        let mut client = self.client().await;
        let joined = client.join(1, room).await;
        (client, joined)
    }
}

pub(crate) struct Client {
    pub(crate) socket: WebSocketStream<TcpStream>,
    pub(crate) session: String,
    pub(crate) token: String,
}

impl Client {
    pub(crate) async fn send(&mut self, message: Value) {
        checker::sent(&message);
        self.send_frame(Message::text(message.to_string())).await;
    }

    pub(crate) async fn send_frame(&mut self, frame: Message) {
        self.socket.send(frame).await.expect("the server reads");
    }

    /// The next frame that is no ping.
    pub(crate) async fn next(&mut self) -> Message {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let frame = tokio::time::timeout_at(deadline, self.socket.next())
                .await
                .expect("an answer in time")
                .expect("the connection is open")
                .expect("a frame");
            if !frame.is_ping() && !frame.is_pong() {
                return frame;
            }
        }
    }

    /// The next message.
    pub(crate) async fn receive(&mut self) -> Value {
        match self.next().await {
            Message::Text(text) => {
                let message = serde_json::from_str(&text).expect("JSON");
                checker::received(&message);
                message
            }
            other => panic!("not a message: {other:?}"),
        }
    }

    /// The next message of this type; others are passed over.
    pub(crate) async fn expect(&mut self, kind: &str) -> Value {
        loop {
            let message = self.receive().await;
            if message["type"] == kind {
                return message;
            }
        }
    }

    /// The code with which the server closes; messages before it are passed over.
    pub(crate) async fn close_code(&mut self) -> u16 {
        self.end().await.0
    }

    /// With which code the server closes, and what the reason says; messages before it are passed
    /// over.
    pub(crate) async fn end(&mut self) -> (u16, Value) {
        loop {
            if let Message::Close(frame) = self.next().await {
                let frame = frame.expect("a code");
                return (frame.code.into(), checker::closed(&frame.reason));
            }
        }
    }

    pub(crate) async fn hello(&mut self) -> Value {
        self.send(json!({"type": "hello", "version": 1})).await;
        self.welcome().await
    }

    pub(crate) async fn resume(&mut self, session: &str, token: &str, seq: u64) -> Value {
        let resume = json!({"session": session, "token": token, "seq": seq});
        self.send(json!({"type": "hello", "version": 1, "resume": resume}))
            .await;
        self.welcome().await
    }

    pub(crate) async fn welcome(&mut self) -> Value {
        let welcome = self.receive().await;
        assert_eq!(welcome["type"], "welcome", "{welcome}");
        self.session = text(&welcome["session"]);
        self.token = text(&welcome["token"]);
        welcome
    }

    pub(crate) async fn join(&mut self, id: u64, room: &str) -> Value {
        self.send(json!({"type": "join", "id": id, "room": room}))
            .await;
        self.expect("joined").await
    }

    /// Everything that is on its way has arrived once this returns.
    pub(crate) async fn ping(&mut self) {
        self.send(json!({"type": "ping"})).await;
        self.expect("pong").await;
    }
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}
