//! A thousand at once.

use std::time::Duration;

use futures_util::future::join_all;
use peerage::gateway::Settings;
use peerage::signal::Config;
use serde_json::json;

use crate::world::{Client, Server};

const ROOMS: usize = 100;
const MEMBERS: usize = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_sessions_in_a_hundred_rooms_exchange_offers() {
    // Whoever waits for its turn does not read, and answers no ping.
    let config = Config {
        negotiation_timeout: Duration::from_secs(600),
        silence_timeout: Duration::from_secs(600),
        ..Config::default()
    };
    let server = Server::with(config, Settings::default()).await;
    let rooms = join_all((0..ROOMS).map(|room| everybody_offers(&server, room))).await;
    assert_eq!(rooms.iter().map(Vec::len).sum::<usize>(), ROOMS * MEMBERS);
    assert_eq!(server.counters.rejected.total(), 0);
}

/// Ten members join a room; each sends an offer to every member that was there before it.
async fn everybody_offers(server: &Server, room: usize) -> Vec<Client> {
    let room = format!("room-{room}");
    let mut members = Vec::new();
    for _ in 0..MEMBERS {
        let (mut client, joined) = server.member(&room).await;
        let others = joined["members"].as_array().expect("a list");
        assert_eq!(others.len(), members.len());
        for (index, other) in others.iter().enumerate() {
            client
                .send(json!({"type": "offer", "id": index + 2, "room": room,
                    "to": other["session"], "epoch": other["epoch"], "body": "sdp"}))
                .await;
        }
        members.push(client);
    }
    for (index, member) in members.iter_mut().enumerate() {
        for _ in index + 1..MEMBERS {
            assert_eq!(member.expect("offer").await["body"], "sdp");
        }
    }
    members
}
