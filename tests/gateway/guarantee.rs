//! What is said arrives, once and in order, however often connections are cut, over every
//! transport and across every change between them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use peerage::client::{
    Body, Client, Event, Kind, MemberState, Profile, Request, Settings, Transport,
};
use peerage::gateway;
use peerage::signal::{Config, SessionId};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::cutting::cutting_proxy;
use crate::world::{PATIENCE, Server};

/// One pair begins with each transport.
const PAIRS: usize = Transport::ALL.len();
const SPEAKERS: usize = 2 * PAIRS;
/// A connection is cut after this many bytes at most.
const BYTES: u64 = 120_000;
/// A speaker moves to the next transport after hearing so many.
const MOVE_AFTER: u64 = 700;

/// Who is done, and when all are.
#[derive(Default)]
struct Finish {
    done: AtomicUsize,
    all: Notify,
}

/// One end of a conversation.
struct Speaker {
    client: Client,
    room: String,
    partner: Option<SessionId>,
    messages: u64,
    said: u64,
    delivered: u64,
    heard: u64,
    transport: usize,
    finish: Arc<Finish>,
}

impl Speaker {
    fn new(proxy: SocketAddr, index: usize, messages: u64, finish: &Arc<Finish>) -> Self {
        let url = format!("ws://{proxy}/v1/ws");
        let mut settings = Settings::new(&url).expect("a URL");
        let transport = index / 2;
        settings.transports = vec![Transport::ALL[transport]];
        settings.backoff_base = Duration::from_millis(10);
        settings.backoff_ceiling = Duration::from_millis(200);
        settings.poll_interval = Some(Duration::from_millis(5));
        let mut client = Client::new(settings).expect("settings");
        let room = format!("pair-{transport}");
        let join = Request::join(&room, Profile::default());
        client.ask(join).expect("the first request");
        Self {
            client,
            room,
            partner: None,
            messages,
            said: 0,
            delivered: 0,
            heard: 0,
            transport,
            finish: Arc::clone(finish),
        }
    }

    async fn run(mut self) {
        let finish = Arc::clone(&self.finish);
        let all_done = finish.all.notified();
        tokio::pin!(all_done);
        // Before anybody can be done.
        all_done.as_mut().enable();
        loop {
            self.say();
            tokio::select! {
                event = self.client.next() => self.take(event.expect("it goes on")),
                () = &mut all_done => break,
            }
        }
        assert_eq!((self.heard, self.delivered), (self.messages, self.messages));
    }

    fn say(&mut self) {
        let Some(partner) = self.partner else {
            return;
        };
        while self.said < self.messages {
            let body = Body::new(&self.said).expect("JSON");
            let say = Request::say(&self.room, partner, Kind::Candidate, body);
            if self.client.ask(say).is_err() {
                return;
            }
            self.said += 1;
        }
    }

    fn take(&mut self, event: Event) {
        let before = self.is_done();
        match event {
            Event::Said(said) => {
                let number: u64 = said.body.json().parse().expect("as it was said");
                assert_eq!(number, self.heard, "each once, and in order");
                self.heard += 1;
                if self.heard.is_multiple_of(MOVE_AFTER) {
                    self.transport = (self.transport + 1) % Transport::ALL.len();
                    self.client.move_to(Transport::ALL[self.transport]);
                }
            }
            Event::Delivered { .. } => self.delivered += 1,
            Event::Joined { room, .. } => {
                self.partner = room.members.first().map(|member| member.session);
            }
            Event::Presence { member, .. } => {
                assert_ne!(member.state, MemberState::Left, "nobody is given up");
                self.partner = Some(member.session);
            }
            Event::Refused { code, message, .. } => panic!("refused: {code} {message}"),
            Event::Undeliverable { reason, .. } => panic!("undeliverable: {reason}"),
            Event::Ended(end) => panic!("over: {end:?}"),
            _ => {}
        }
        if !before
            && self.is_done()
            && self.finish.done.fetch_add(1, Ordering::SeqCst) == SPEAKERS - 1
        {
            self.finish.all.notify_waiters();
        }
    }

    fn is_done(&self) -> bool {
        self.heard == self.messages && self.delivered == self.messages
    }
}

/// Eight speakers say `messages` in all, over connections that are cut again and again. Gives how
/// often that was.
async fn all_arrive(messages: u64, seed: u64) -> u64 {
    let config = Config {
        messages_per_second: 1_000_000,
        message_burst: 1_000_000,
        bytes_per_second: u32::MAX,
        byte_burst: u32::MAX,
        ..Config::default()
    };
    let settings = gateway::Settings {
        // All come from one address.
        connections_per_address: 0,
        ..gateway::Settings::default()
    };
    let server = Server::with(config, settings).await;
    let (proxy, cuts) = cutting_proxy(server.address, BYTES, seed).await;
    let finish = Arc::new(Finish::default());
    let each = messages / SPEAKERS as u64;
    let mut speakers = JoinSet::new();
    for index in 0..SPEAKERS {
        speakers.spawn(Speaker::new(proxy, index, each, &finish).run());
    }
    while let Some(speaker) = speakers.join_next().await {
        // The first that fails ends the test: the others would wait for it.
        speaker.expect("what was said has arrived, once and in order");
    }
    cuts.load(Ordering::Relaxed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_is_said_arrives_once_over_connections_that_are_cut() {
    let arrived = tokio::time::timeout(10 * PATIENCE, all_arrive(20_000, 1)).await;
    let cuts = arrived.expect("all has arrived in time");
    assert!(cuts > 20, "only {cuts} cuts");
}

#[ignore = "takes minutes: cargo nextest run --test gateway --run-ignored all -E 'test(million)'"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_messages_arrive_once_over_connections_that_are_cut() {
    let begun = std::time::Instant::now();
    let cuts = all_arrive(1_000_000, 2).await;
    println!("1,000,000 messages, {cuts} cuts, {:.0?}", begun.elapsed());
    assert!(cuts > 1_000);
}
