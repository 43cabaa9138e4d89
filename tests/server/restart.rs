//! A server that is killed and started again: its sessions come back by their tickets.

use std::net::SocketAddr;
use std::path::Path;

use futures_util::future::join_all;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::process::{PATIENCE, Server};

/// A client that keeps to the protocol, as far as it matters here.
struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    session: String,
    token: String,
    resumed: String,
}

impl Client {
    async fn connect(to: SocketAddr, former: Option<&Self>) -> Self {
        let (socket, _) = connect_async(format!("ws://{to}/v1/ws"))
            .await
            .expect("it upgrades");
        let mut client = Self {
            socket,
            session: String::new(),
            token: String::new(),
            resumed: String::new(),
        };
        let resume = former
            .map(|former| json!({"session": former.session, "token": former.token, "seq": 1}));
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

    async fn say(&mut self, message: &Value) {
        let frame = Message::text(message.to_string());
        self.socket.send(frame).await.expect("the server reads");
    }

    /// The next message of this type; others are passed over.
    async fn expect(&mut self, kind: &str) -> Value {
        loop {
            let frame = tokio::time::timeout(PATIENCE, self.socket.next()).await;
            let frame = frame.expect("an answer in time").expect("it is open");
            let Message::Text(text) = frame.expect("a frame") else {
                continue;
            };
            let message: Value = serde_json::from_str(&text).expect("JSON");
            if message["type"] == kind {
                return message;
            }
            assert_ne!(message["type"], "error", "{message}");
        }
    }

    async fn join(&mut self, id: u64, room: &str) -> Value {
        self.say(&json!({"type": "join", "id": id, "room": room}))
            .await;
        self.expect("joined").await
    }
}

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
