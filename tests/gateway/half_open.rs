//! Connections on which nothing arrives any more, though nobody has closed them.

use std::net::SocketAddr;
use std::time::Duration;

use peerage::client::{self, Event, Profile, Request, Transport};
use peerage::gateway::Settings;
use peerage::signal::Config;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::asking::{Asking, Way};
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

/// How long a client that requests carry has in these tests. It is held to what it has shown that it
/// can do, so this is long enough for a busy machine.
const IN_A_NEGOTIATION: Duration = Duration::from_secs(10);
const IN_PEACE: Duration = Duration::from_secs(15);
/// Longer than any test takes.
const FOR_EVER: Duration = Duration::from_secs(3_600);

/// A server that finds out who is gone in no other way than by asking.
async fn asking_server(silence: Duration, negotiation: Duration) -> Server {
    let config = Config {
        silence_timeout: silence,
        negotiation_timeout: negotiation,
        acknowledge_timeout: FOR_EVER,
        presence_grace: Duration::ZERO,
        ..Config::default()
    };
    let settings = Settings {
        absence: FOR_EVER,
        ..Settings::default()
    };
    Server::with(config, settings).await
}

/// A member on a WebSocket, one that requests carry, and the epoch of the pair.
async fn pair(server: &Server, way: Way) -> (Client, Asking, Value) {
    let (mut ada, _) = server.member("blue").await;
    let mut grace = Asking::new(server, way).await;
    let join = json!({"type": "join", "id": 1, "room": "blue"});
    grace.send(join).await;
    let joined = grace.expect("joined").await;
    assert_eq!(ada.expect("presence").await["member"]["state"], "joined");
    (ada, grace, joined["members"][0]["epoch"].clone())
}

async fn say_offer(ada: &mut Client, id: u64, grace: &str, epoch: &Value) {
    let offer = json!({"type": "offer", "id": id, "room": "blue", "to": grace,
        "epoch": epoch, "body": "sdp"});
    ada.send(offer).await;
}

/// A client that reads, and whose way to the server swallows everything from now on, is found.
async fn is_found(way: Way, is_negotiation: bool) {
    let (silence, negotiation) = if is_negotiation {
        (FOR_EVER, IN_A_NEGOTIATION)
    } else {
        (IN_PEACE, FOR_EVER)
    };
    let server = asking_server(silence, negotiation).await;
    let swallowing = Swallowing::to(server.address).await;
    let (mut ada, mut grace, epoch) = pair(&server, way).await;
    let session = grace.session.clone();
    grace.server = swallowing.address;
    grace.events = None;
    grace.send(json!({"type": "ping"})).await;
    grace.expect("pong").await;
    let reading = tokio::spawn(async move { while grace.receive().await.is_some() {} });
    // Meanwhile it begins to read.
    for _ in 0..10 {
        ada.ping().await;
    }
    swallowing.swallow.send_replace(true);
    if is_negotiation {
        say_offer(&mut ada, 2, &session, &epoch).await;
    }
    let presence = ada.expect("presence").await;
    assert_eq!(presence["member"]["session"], session, "{way:?}");
    assert_eq!(presence["member"]["state"], "suspended", "{way:?}");
    reading.abort();
}

/// The same of the client library: it has answered, or nobody could hold it to that.
async fn library_is_found(transport: Transport) {
    let server = asking_server(FOR_EVER, IN_A_NEGOTIATION).await;
    let swallowing = Swallowing::to(server.address).await;
    let (mut ada, _) = server.member("blue").await;
    let url = format!("ws://{}/v1/ws", swallowing.address);
    let mut settings = client::Settings::new(&url).expect("a URL");
    settings.transports = vec![transport];
    let mut grace = client::Client::new(settings).expect("settings");
    for request in [Request::join, Request::update] {
        let asked = grace.ask(request("blue", Profile::default()));
        asked.expect("one of the first requests");
    }
    while !matches!(grace.next().await, Some(Event::Done { .. })) {}
    let presence = ada.expect("presence").await;
    let (session, epoch) = (&presence["member"]["session"], &presence["member"]["epoch"]);
    let session = session.as_str().expect("an id");
    let reading = tokio::spawn(async move { while grace.next().await.is_some() {} });
    for _ in 0..10 {
        ada.ping().await;
    }
    swallowing.swallow.send_replace(true);
    say_offer(&mut ada, 2, session, epoch).await;
    while ada.expect("presence").await["member"]["state"] != "suspended" {}
    reading.abort();
}

#[tokio::test]
async fn whatever_carries_it_a_dead_connection_is_found() {
    // All at once, since they only wait.
    tokio::join!(
        is_found(Way::Events, true),
        is_found(Way::Held, true),
        is_found(Way::Polls, true),
        is_found(Way::Events, false),
        is_found(Way::Held, false),
        is_found(Way::Polls, false),
        library_is_found(Transport::Events),
        library_is_found(Transport::HeldPoll),
        library_is_found(Transport::Poll),
    );
}

/// A client that reads and answers is kept over a negotiation, and afterwards.
async fn is_kept(way: Way) {
    let server = asking_server(IN_PEACE, IN_A_NEGOTIATION).await;
    let (mut ada, mut grace, epoch) = pair(&server, way).await;
    say_offer(&mut ada, 2, &grace.session, &epoch).await;
    grace.expect("offer").await;
    // Twice while it is urgent and once in peace. Polls are answered whether they are asked or not.
    grace.asked = 0;
    let enough = if way == Way::Polls { 8 } else { 3 };
    let reading = async {
        while grace.asked < enough {
            grace.read().await.expect("it is open");
            tokio::time::sleep(grace.pause).await;
        }
    };
    // To wait is to answer pings.
    tokio::select! {
        () = reading => {}
        presence = ada.expect("presence") => panic!("{way:?}: {presence}"),
    }
    grace.send(json!({"type": "ping"})).await;
    grace.expect("pong").await;
    ada.ping().await;
}

#[tokio::test]
async fn whatever_carries_it_a_connection_that_answers_is_kept() {
    tokio::join!(
        is_kept(Way::Events),
        is_kept(Way::Held),
        is_kept(Way::Polls)
    );
}

#[tokio::test]
async fn who_does_not_know_the_questions_of_a_stream_is_kept() {
    let server = asking_server(Duration::from_secs(1), Duration::from_millis(500)).await;
    let mut grace = Asking::new(&server, Way::Events).await;
    grace.answers = false;
    while grace.asked < 4 {
        grace.read().await.expect("it is open");
    }
    grace.send(json!({"type": "ping"})).await;
    grace.expect("pong").await;
}

#[tokio::test]
async fn while_somebody_waits_polls_are_to_come_sooner() {
    let server = asking_server(FOR_EVER, Duration::from_secs(5)).await;
    let (mut ada, mut grace, epoch) = pair(&server, Way::Polls).await;
    grace.read().await.expect("it is open");
    assert_eq!(grace.pause, Duration::from_secs(2));
    // On a busy machine it may come too late for one offer, and not for all of them.
    for id in 2..12 {
        if grace.pause == Duration::from_secs(1) {
            return;
        }
        say_offer(&mut ada, id, &grace.session, &epoch).await;
        ada.ping().await;
        grace.expect("offer").await;
        // A little longer than it is told to: it is asked before it comes.
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        let before = grace.asked;
        grace.read().await.expect("it is open");
        assert_eq!(grace.asked, before + 1, "it is told nothing");
    }
    panic!("it is never told to come sooner");
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
