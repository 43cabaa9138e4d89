//! Members who read nothing while their room talks.

use std::collections::HashMap;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::process::Server;
use crate::session::Client;

const STALLED: usize = 100;
const SPEAKERS: usize = 8;
/// How often each speaks, and how long: all of it together is twenty times what is kept for one.
const EACH: u64 = 60;
const BYTES: usize = 12_000;
/// What one who reads nothing may cost.
const KEPT: usize = 320 << 10;

/// Settings with room for all, and with nobody's absence kept from the others.
const CONFIGURATION: &str = "[signal]\nroom_members = 128\npresence_grace = \"0s\"\n";

/// One that speaks, and hears what the others say.
struct Speaker {
    client: Client,
    /// The number of the last broadcast of each other one.
    heard: HashMap<String, u64>,
    suspended: usize,
    /// What has become of broadcasts, by their numbers.
    receipts: HashMap<u64, Value>,
    id: u64,
}

impl Speaker {
    async fn join(server: &Server) -> Self {
        let mut client = Client::connect(server.http, None).await;
        client.join(1, "blue").await;
        Self {
            client,
            heard: HashMap::new(),
            suspended: 0,
            receipts: HashMap::new(),
            id: 1,
        }
    }

    async fn broadcast(&mut self, body: &str) {
        self.id += 1;
        let (id, room) = (self.id, "blue");
        let message = json!({"type": "broadcast", "id": id, "room": room, "body": body});
        self.client.say(&message).await;
    }

    /// Takes in what comes until it is enough, and acknowledges it.
    async fn hear(&mut self, is_enough: impl Fn(&Self) -> bool) {
        while !is_enough(self) {
            let message = self.client.next().await;
            match message["type"].as_str().expect("a type") {
                "broadcast" => {
                    let from = message["from"].as_str().expect("a session").to_owned();
                    let number = message["nr"].as_u64().expect("a number");
                    let before = self.heard.insert(from, number);
                    assert!(before.is_none_or(|before| number == before + 1));
                }
                "presence" if message["member"]["state"] == "suspended" => self.suspended += 1,
                "broadcast_delivered" => {
                    let re = message["re"].as_u64().expect("a number");
                    self.receipts.insert(re, message);
                }
                _ => {}
            }
        }
        self.client.acknowledge().await;
    }

    /// Speaks in turn with the others, and gets all that they say.
    async fn talk(mut self) -> Self {
        let body = "x".repeat(BYTES);
        for round in 1..=EACH {
            self.broadcast(&body).await;
            // Numbers count from 2 on: the first was for joining.
            let has_all = |this: &Self| {
                this.heard.len() == SPEAKERS - 1 && this.heard.values().all(|&nr| nr > round)
            };
            self.hear(has_all).await;
        }
        self.hear(|this| this.suspended == STALLED).await;
        self
    }

    /// Says once more something, of which those who read nothing get nothing.
    async fn learn_who_misses_it(mut self) -> Self {
        // What is short may still find room.
        self.broadcast(&"x".repeat(BYTES)).await;
        self.hear(|this| this.receipts.contains_key(&this.id)).await;
        let receipt = &self.receipts[&self.id];
        let lost = receipt["undeliverable"].as_array().expect("a list");
        assert_eq!(lost.len(), STALLED, "{receipt}");
        assert!(lost.iter().all(|one| one["reason"] == "overloaded"));
        assert_eq!(receipt["delivered"], SPEAKERS - 1);
        self
    }
}

/// Comes back, and takes in what was kept.
async fn come_back(server: &Server, stalled: &Client) -> Client {
    let mut client = Client::connect(server.http, Some(stalled)).await;
    assert_eq!(client.session, stalled.session);
    assert_eq!(client.resumed, "snapshot");
    let snapshot = client.expect("snapshot").await;
    let members = snapshot["rooms"][0]["members"].as_array().expect("a list");
    assert_eq!(members.len(), STALLED + SPEAKERS - 1);
    client.expect("broadcast").await;
    client.say(&json!({"type": "ping"})).await;
    client.expect("pong").await;
    client.acknowledge().await;
    client.say(&json!({"type": "ping"})).await;
    client.expect("pong").await;
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_who_read_nothing_cost_little_and_come_back_by_a_snapshot() {
    let state = tempfile::tempdir().expect("a folder");
    let file = state.path().join("peerage.toml");
    std::fs::write(&file, CONFIGURATION).expect("written");
    let file = file.to_str().expect("a plain path");
    let server = Server::start(state.path(), &["--config", file]);
    let mut stalled = Vec::new();
    for _ in 0..STALLED {
        let mut client = Client::connect(server.http, None).await;
        client.join(1, "blue").await;
        stalled.push(client);
    }
    let speakers = join_all((0..SPEAKERS).map(|_| Speaker::join(&server))).await;
    let before = server.resident();
    let speakers = join_all(speakers.into_iter().map(Speaker::talk)).await;
    let grown = server.resident().saturating_sub(before);
    assert!(grown < STALLED * KEPT, "grown by {grown}");
    let mut speakers = speakers.into_iter();
    let first = speakers.next().expect("some");
    let others = join_all(speakers.map(|mut speaker| async {
        speaker
            .hear(|this| this.heard.values().any(|&nr| nr > EACH + 1))
            .await;
        speaker
    }));
    let (mut first, mut others) = tokio::join!(first.learn_who_misses_it(), others);
    for speaker in &mut others {
        let (id, data) = (speaker.id + 1, "x".repeat(4_000));
        let update = json!({"type": "update", "id": id, "room": "blue", "data": data});
        speaker.client.say(&update).await;
        speaker.client.expect("updated").await;
    }
    // One by one: whoever still has much to acknowledge is cut off when it is told of others.
    let mut back = Vec::new();
    for stalled in &stalled {
        back.push(come_back(&server, stalled).await);
    }
    first.broadcast("welcome back").await;
    join_all(back.iter_mut().map(async |client| {
        while client.expect("broadcast").await["body"] != "welcome back" {}
    }))
    .await;
}
