//! Connections on which nothing arrives any more, though nobody has closed them.

use std::net::SocketAddr;
use std::time::Duration;

use peerage::gateway::Settings;
use peerage::signal::Config;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::world::{Client, Server};

/// A way to the server that swallows everything from one moment on, and closes nothing.
struct Swallowing {
    address: SocketAddr,
    swallow: watch::Sender<bool>,
}

impl Swallowing {
    async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let (swallow, swallows) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(server).await.expect("it listens");
                let (client, server) = (client.into_split(), server.into_split());
                tokio::spawn(carry(client.0, server.1, swallows.clone()));
                tokio::spawn(carry(server.0, client.1, swallows.clone()));
            }
        });
        Self { address, swallow }
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, swallows: watch::Receiver<bool>) {
    let mut buffer = vec![0; 4_096];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if !*swallows.borrow() && to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
    if *swallows.borrow() {
        // Not even the end of it arrives.
        std::future::pending::<()>().await;
    }
}

/// Two members of a room, of whom the second comes over a way that may swallow everything.
struct Pair {
    /// It goes with the test.
    _server: Server,
    ada: Client,
    grace: Client,
    way: Swallowing,
    epoch: Value,
}

impl Pair {
    /// With a server that allows so much silence, and anything not to be acknowledged.
    async fn new(silence: Duration) -> Self {
        let config = Config {
            silence_timeout: silence,
            acknowledge_timeout: Duration::from_secs(3_600),
            presence_grace: Duration::ZERO,
            ..Config::default()
        };
        let server = Server::with(config, Settings::default()).await;
        let way = Swallowing::to(server.address).await;
        let (mut ada, _) = server.member("blue").await;
        let stream = TcpStream::connect(way.address).await.expect("it listens");
        let mut grace = server.connect_over(stream).await;
        grace.hello().await;
        let joined = grace.join(1, "blue").await;
        assert_eq!(ada.expect("presence").await["member"]["state"], "joined");
        Self {
            _server: server,
            ada,
            grace,
            way,
            epoch: joined["members"][0]["epoch"].clone(),
        }
    }

    /// The second one is found to be gone. To wait is to answer pings: the first one is kept for
    /// as long as the other is not found.
    async fn finds_it(mut self) {
        let presence = self.ada.expect("presence").await;
        assert_eq!(presence["member"]["session"], json!(self.grace.session));
        assert_eq!(presence["member"]["state"], "suspended");
        self.ada.ping().await;
    }
}

#[tokio::test]
async fn a_dead_connection_is_found_and_one_that_answers_is_kept() {
    let pair = Pair::new(Duration::from_secs(6)).await;
    pair.way.swallow.send_replace(true);
    pair.finds_it().await;
}

#[tokio::test]
async fn in_a_negotiation_a_dead_connection_is_found_though_silence_is_allowed() {
    let mut pair = Pair::new(Duration::from_secs(3_600)).await;
    pair.way.swallow.send_replace(true);
    let offer = json!({"type": "offer", "id": 2, "room": "blue", "to": pair.grace.session,
        "epoch": pair.epoch, "body": "sdp"});
    pair.ada.send(offer).await;
    pair.finds_it().await;
}
