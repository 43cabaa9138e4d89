//! A server that stops sends its clients to another one, on every transport, and nothing is lost.

use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use peerage::auth::Secret;
use peerage::client::{Body, Client, Event, Kind, Profile, Request, Resumed, Settings, Transport};
use peerage::gateway::{self, Farewell};
use peerage::signal::{Config, Drain, SessionId};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::asking::{Asking, WAYS, Way, json_of, request};
use crate::documents::checker;
use crate::world::{PATIENCE, Server, text};

/// Every speaker says so many messages before its server stops, and as many again.
const MESSAGES: u64 = 300;

/// A server whose tickets are those of the others. To all of them the others began in 1970.
async fn server() -> Server {
    let config = Config {
        ticket_keys: vec![Secret::new("north")],
        // A client of a test that waits for its turn does not read, and answers no ping.
        negotiation_timeout: Duration::from_secs(60),
        messages_per_second: 1_000_000,
        message_burst: 1_000_000,
        ..Config::default()
    };
    Server::with(config, gateway::Settings::default()).await
}

fn url_of(server: &Server) -> String {
    format!("http://{}", server.address)
}

/// Has `from` stop, and send all to `url`.
fn drain(from: &Server, url: &str, within: Duration) {
    let gateway = from.gateway.clone();
    let farewell = Farewell {
        drain: Drain {
            within,
            elsewhere: Some(url.into()),
        },
        closing: PATIENCE,
        linger: 10 * PATIENCE,
    };
    tokio::spawn(async move { gateway.drain(farewell).await });
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The server runs.
    Before,
    /// It stops.
    Moving,
    /// All has arrived.
    After,
}

/// How far all have got.
struct Progress {
    half: Semaphore,
    done: Semaphore,
    phase: watch::Sender<Phase>,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            half: Semaphore::new(0),
            done: Semaphore::new(0),
            phase: watch::Sender::new(Phase::Before),
        }
    }
}

/// One end of a conversation.
struct Speaker {
    client: Client,
    room: String,
    partner: Option<SessionId>,
    said: u64,
    delivered: u64,
    heard: u64,
    moved_to: Option<Box<str>>,
    resumed: Vec<(SessionId, Resumed)>,
}

impl Speaker {
    fn new(server: &Server, index: usize) -> Self {
        let mut settings = Settings::new(&format!("ws://{}/v1/ws", server.address)).expect("a URL");
        let transport = Transport::ALL[index / 2];
        settings.transports = vec![transport];
        settings.backoff_base = Duration::from_millis(10);
        settings.poll_interval = Some(Duration::from_millis(5));
        let mut client = Client::new(settings).expect("settings");
        let room = format!("pair-{transport:?}");
        let join = Request::join(&room, Profile::default());
        client.ask(join).expect("the first request");
        Self {
            client,
            room,
            partner: None,
            said: 0,
            delivered: 0,
            heard: 0,
            moved_to: None,
            resumed: Vec::new(),
        }
    }

    /// Half of it is said by the time that the server stops; the rest while they move.
    async fn run(mut self, progress: Arc<Progress>) {
        let mut phase = progress.phase.subscribe();
        let (mut is_half, mut is_done) = (false, false);
        loop {
            let present = *phase.borrow_and_update();
            match present {
                Phase::Before => self.say(MESSAGES),
                Phase::Moving => self.say(2 * MESSAGES),
                // Not before all are done: others wait for what this client acknowledges.
                Phase::After => break,
            }
            if !is_half && self.has_said_and_heard(MESSAGES) {
                is_half = true;
                progress.half.add_permits(1);
            }
            if !is_done && self.has_said_and_heard(2 * MESSAGES) && self.resumed.len() == 2 {
                is_done = true;
                progress.done.add_permits(1);
            }
            tokio::select! {
                event = self.client.next() => self.take(event.expect("it goes on")),
                _ = phase.changed() => {}
            }
        }
        let [(before, Resumed::None), (after, Resumed::Restored)] = self.resumed[..] else {
            panic!("{}: {:?}", self.room, self.resumed);
        };
        assert_eq!(before, after, "under its name");
        assert!(self.moved_to.is_some());
    }

    fn has_said_and_heard(&self, messages: u64) -> bool {
        self.heard >= messages && self.delivered >= messages
    }

    fn say(&mut self, most: u64) {
        while let Some(partner) = self.partner.filter(|_| self.said < most) {
            let body = Body::new(&self.said).expect("JSON");
            let say = Request::say(&self.room, partner, Kind::Candidate, body);
            if self.client.ask(say).is_err() {
                return;
            }
            self.said += 1;
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Said(said) => {
                let number: u64 = said.body.json().parse().expect("as it was said");
                assert_eq!(number, self.heard, "each once, and in order");
                self.heard += 1;
            }
            Event::Delivered { .. } => self.delivered += 1,
            Event::Joined { room, .. } => {
                let others = room.members.first().map(|member| member.session);
                self.partner = self.partner.or(others);
            }
            Event::Presence { member, .. } => self.partner = Some(member.session),
            Event::Connected {
                session, resumed, ..
            } => self.resumed.push((session, resumed)),
            Event::Moved { url } => assert_eq!(self.moved_to.replace(url), None, "once"),
            Event::Refused { code, message, .. } => panic!("refused: {code} {message}"),
            Event::Undeliverable { reason, .. } => panic!("undeliverable: {reason}"),
            Event::Missing { .. } => panic!("somebody is missing"),
            Event::Ended(end) => panic!("over: {end:?}"),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_every_transport_clients_go_elsewhere_in_the_midst_of_a_talk_and_nothing_is_lost() {
    let (blue, green) = (server().await, server().await);
    let speakers = 2 * Transport::ALL.len();
    let progress = Arc::new(Progress::default());
    let mut running = JoinSet::new();
    for index in 0..speakers {
        running.spawn(Speaker::new(&blue, index).run(Arc::clone(&progress)));
    }
    let director = Arc::clone(&progress);
    let to = url_of(&green);
    running.spawn(async move {
        let speakers = u32::try_from(speakers).expect("few");
        let half = director.half.acquire_many(speakers).await;
        half.expect("open").forget();
        drain(&blue, &to, Duration::from_millis(500));
        director.phase.send_replace(Phase::Moving);
        let done = director.done.acquire_many(speakers).await;
        done.expect("open").forget();
        director.phase.send_replace(Phase::After);
    });
    let all = async {
        while let Some(speaker) = running.join_next().await {
            // The first that fails ends the test: the others would wait for it.
            speaker.expect("what was said has arrived, once and in order");
        }
    };
    let arrived = tokio::time::timeout(4 * PATIENCE, all).await;
    arrived.expect("all has arrived in time");
}

#[tokio::test]
async fn a_websocket_is_told_where_to_go_and_its_ticket_brings_it_back_there() {
    let (blue, green) = (server().await, server().await);
    let (mut ada, _) = blue.member("blue").await;
    let to = url_of(&green);
    drain(&blue, &to, Duration::ZERO);
    let token = ada.expect("token").await;
    let goaway = ada.expect("goaway").await;
    assert_eq!(goaway["url"], to);
    let (code, end) = ada.end().await;
    assert_eq!(code, 1001);
    let told = json!({"reason": "going_away", "advice": "elsewhere", "url": to,
        "after_ms": goaway["reconnect_in_ms"]});
    assert_eq!(end, told);
    let mut there = green.connect().await;
    let welcome = there.resume(&ada.session, &text(&token["token"]), 0).await;
    assert_eq!(welcome["resumed"], "restored");
    assert_eq!(welcome["session"], ada.session);
}

/// What a client that reads by requests is told at the end.
async fn closed_for(asking: &mut Asking) -> Value {
    if asking.way == Way::Events {
        let mut events = asking.stream(asking.cursor).await;
        while let Some((_, name, data)) = events.next().await {
            if name == "closed" {
                return data;
            }
        }
        panic!("it ends with a word");
    }
    loop {
        let wait = if asking.way == Way::Held { 25 } else { 0 };
        let answer = asking.poll(asking.cursor, wait).await;
        if !answer["closed"].is_null() {
            return answer["closed"].clone();
        }
        asking.cursor = answer["cursor"].as_u64().expect("a number");
    }
}

#[tokio::test]
async fn requests_are_told_where_to_go_also_when_they_come_late() {
    for way in WAYS {
        let (blue, green) = (server().await, server().await);
        let mut asking = Asking::new(&blue, way).await;
        let to = url_of(&green);
        drain(&blue, &to, Duration::ZERO);
        let closed = closed_for(&mut asking).await;
        checker::closed(&without_code(&closed).to_string());
        assert_eq!(closed["code"], 1001);
        assert_eq!(
            (&closed["advice"], &closed["url"]),
            (&json!("elsewhere"), &json!(to))
        );
        let answer = asking
            .ask(Method::POST, "/v1/messages", r#"{"type":"ping"}"#)
            .await;
        assert_eq!(answer.status(), 410);
        assert_eq!(json_of(answer).await["closed"], closed);
    }
}

fn without_code(closed: &Value) -> Value {
    let mut closed = closed.clone();
    closed.as_object_mut().expect("an object").remove("code");
    closed
}

#[tokio::test]
async fn who_comes_to_a_server_that_stops_is_sent_on() {
    let (blue, green) = (server().await, server().await);
    // Somebody whom it takes long to send away keeps it from being gone.
    let (_grace, _) = blue.member("blue").await;
    let (ada, _) = blue.member("green").await;
    let (session, token) = (ada.session.clone(), ada.token.clone());
    drop(ada);
    let to = url_of(&green);
    drain(&blue, &to, Duration::from_secs(600));
    while blue.gateway.is_ready() {
        tokio::task::yield_now().await;
    }
    let mut stranger = blue.connect().await;
    stranger.send(json!({"type": "hello", "version": 1})).await;
    assert_eq!(stranger.receive().await["type"], "goaway");
    assert_eq!(stranger.end().await.1["url"], to);

    let resume = json!({"session": session, "token": token, "seq": 0});
    let hello = json!({"type": "hello", "version": 1, "resume": resume}).to_string();
    let answer = request(blue.address, Method::POST, "/v1/connect", &[], &hello).await;
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    let answer = json_of(answer).await;
    let messages = answer["messages"].as_array().expect("messages");
    messages.iter().for_each(checker::received);
    assert_eq!(answer["closed"]["url"], to);
    assert_eq!(messages[0]["type"], "token", "{answer}");
    let token = text(&messages[0]["token"]);
    let (_, welcome) = Asking::resume(&green, Way::Held, &session, &token, 0).await;
    assert_eq!(welcome["resumed"], "restored");
}

#[tokio::test]
async fn who_is_sent_to_what_is_no_server_comes_back() {
    for wrong in ["http://localhost:1/path", "ftp://localhost", "nonsense"] {
        let blue = server().await;
        let url = format!("ws://{}/v1/ws", blue.address);
        let mut settings = Settings::new(&url).expect("a URL");
        settings.transports = vec![Transport::WebSocket];
        let mut client = Client::new(settings).expect("settings");
        let mut disconnected = 0;
        let mut is_draining = false;
        // The second time shows where it was in between.
        while disconnected < 2 {
            let event = tokio::time::timeout(PATIENCE, client.next()).await;
            match event.expect("in time").expect("it goes on") {
                Event::Connected { .. } if !is_draining => {
                    drain(&blue, wrong, Duration::ZERO);
                    is_draining = true;
                }
                Event::Disconnected { why, .. } => {
                    assert_eq!(&*why, "going_away", "the server has answered");
                    disconnected += 1;
                }
                Event::Moved { url } => panic!("it has gone to {url}"),
                _ => {}
            }
        }
    }
}

#[tokio::test]
async fn who_is_sent_where_nobody_is_comes_back_after_some_attempts() {
    let blue = server().await;
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let nowhere = format!("http://{}", nobody.local_addr().expect("bound"));
    drop(nobody);
    let proxy = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let url = format!("ws://{}/v1/ws", proxy.local_addr().expect("bound"));
    // What takes the place of the first server under its address.
    let red = server().await;
    let (first, second) = (blue.address, red.address);
    tokio::spawn(async move {
        let mut to = first;
        while let Ok((mut client, _)) = proxy.accept().await {
            let mut server = tokio::net::TcpStream::connect(to)
                .await
                .expect("it listens");
            to = second;
            tokio::spawn(async move {
                // However it ends.
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    let mut settings = Settings::new(&url).expect("a URL");
    settings.transports = vec![Transport::WebSocket];
    settings.backoff_base = Duration::from_millis(1);
    let mut client = Client::new(settings).expect("settings");
    let mut failures = 0;
    loop {
        let event = tokio::time::timeout(PATIENCE, client.next()).await;
        match event.expect("in time").expect("it goes on") {
            Event::Connected {
                resumed: Resumed::None,
                ..
            } => {
                drain(&blue, &nowhere, Duration::ZERO);
            }
            Event::Connected { resumed, .. } => {
                assert_eq!(resumed, Resumed::Restored);
                break;
            }
            Event::Disconnected { .. } => failures += 1,
            _ => {}
        }
    }
    assert_eq!(failures, 1 + 4, "the farewell, and four attempts");
}
