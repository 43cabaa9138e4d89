//! A server that is killed and started again: its sessions come back by their tickets.

use std::net::SocketAddr;
use std::path::Path;

use futures_util::future::join_all;
use serde_json::json;

use crate::process::Server;
use crate::session::Client;

fn start(state: &Path, listen: &str) -> Server {
    Server::start_on(state, listen, &[])
}

/// Kills the server, and starts another one at the same address.
fn restart(server: Server, state: &Path) -> Server {
    let address = server.http.to_string();
    server.kill();
    start(state, &address)
}

const ROOMS: usize = 50;
const MEMBERS: usize = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_sessions_come_back_after_a_kill_under_their_names() {
    let state = tempfile::tempdir().expect("a folder");
    let server = start(state.path(), "127.0.0.1:0");
    let to = server.http;
    let rooms = join_all((0..ROOMS).map(|room| fill(to, room))).await;
    let server = restart(server, state.path());
    let back = rooms.into_iter().enumerate();
    join_all(back.map(|(room, (members, epoch))| return_to(to, room, members, epoch))).await;
    drop(server);
}

/// Ten members join a room; gives them, and the largest epoch of them.
async fn fill(to: SocketAddr, room: usize) -> (Vec<Client>, u64) {
    let mut members = Vec::new();
    let mut largest = 0;
    for _ in 0..MEMBERS {
        let mut client = Client::connect(to, None).await;
        let joined = client.join(1, &format!("room-{room}")).await;
        let epochs = joined["members"].as_array().expect("a list").iter();
        let epochs = epochs.filter_map(|member| member["epoch"].as_u64());
        largest = epochs.chain([largest]).max().expect("at least this one");
        members.push(client);
    }
    (members, largest)
}

/// All come back, meet under larger epochs, and say something to each other.
async fn return_to(to: SocketAddr, room: usize, former: Vec<Client>, epoch_before: u64) {
    let room = format!("room-{room}");
    let mut members: Vec<Client> = Vec::new();
    for former in &former {
        let mut client = Client::connect(to, Some(former)).await;
        assert_eq!(client.resumed, "restored");
        assert_eq!(client.session, former.session);
        let joined = client.join(2, &room).await;
        let others = joined["members"].as_array().expect("a list");
        assert_eq!(others.len(), members.len());
        for (index, (other, known)) in others.iter().zip(&members).enumerate() {
            assert_eq!(other["session"], known.session);
            assert!(other["epoch"].as_u64() > Some(epoch_before));
            let offer = json!({"type": "offer", "id": index + 3, "nr": 1, "room": room,
                "to": other["session"], "epoch": other["epoch"], "body": "again"});
            client.say(&offer).await;
        }
        members.push(client);
    }
    for (index, member) in members.iter_mut().enumerate() {
        for _ in index + 1..MEMBERS {
            let offer = member.expect("offer").await;
            assert_eq!((&offer["nr"], &offer["body"]), (&json!(1), &json!("again")));
        }
    }
}

#[tokio::test]
async fn without_the_key_of_before_a_session_begins_anew() {
    let state = tempfile::tempdir().expect("a folder");
    let server = start(state.path(), "127.0.0.1:0");
    let to = server.http;
    let ada = Client::connect(to, None).await;
    let keys = state.path().join("ticket-keys");
    let old = std::fs::read_to_string(&keys).expect("it is kept there");
    let rotated = format!("{}\n{old}", "f".repeat(64));
    std::fs::write(&keys, rotated).expect("written");
    let server = restart(server, state.path());
    let ada = Client::connect(to, Some(&ada)).await;
    assert_eq!(ada.resumed, "restored", "an older key is still taken");
    std::fs::write(&keys, &old).expect("written");
    let server = restart(server, state.path());
    let stranger = Client::connect(to, Some(&ada)).await;
    assert_eq!(stranger.resumed, "none", "it was signed with the newer key");
    assert_ne!(stranger.session, ada.session);
    drop(server);
}
