//! Who is let in while more come than the server can take.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use hyper::Method;
use peerage::gateway::Settings;
use peerage::signal::Config;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Error;

use crate::asking::{json_of, request};
use crate::world::{Client, PATIENCE, Server};

const HELLO: &str = r#"{"type":"hello","version":1}"#;

/// Tries to open a WebSocket; an error is the time that `Retry-After` gives.
async fn knock(server: &Server) -> Result<Client, Duration> {
    let stream = TcpStream::connect(server.address)
        .await
        .expect("it listens");
    let url = format!("ws://{}/v1/ws", server.address);
    match tokio_tungstenite::client_async(url, stream).await {
        Ok((socket, _)) => Ok(Client {
            socket,
            session: String::new(),
            token: String::new(),
        }),
        Err(Error::Http(answer)) => {
            assert_eq!(answer.status(), 503);
            let wait = answer.headers()["retry-after"].to_str().expect("text");
            let seconds = wait.parse().expect("seconds");
            assert!((1..=30).contains(&seconds), "{seconds}");
            Err(Duration::from_secs(seconds))
        }
        Err(other) => panic!("{other}"),
    }
}

/// One of a storm: it comes back when it is told to, until it is in.
async fn come_in(server: &Server) -> Client {
    loop {
        match knock(server).await {
            Ok(mut client) => {
                client.hello().await;
                return client;
            }
            Err(wait) => tokio::time::sleep(wait).await,
        }
    }
}

/// Tries until the server lets nobody in.
async fn until_refused(server: &Server) -> Vec<Client> {
    let mut clients = Vec::new();
    let refused = async {
        while let Ok(client) = knock(server).await {
            clients.push(client);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let refused = tokio::time::timeout(PATIENCE, refused).await;
    refused.expect("somebody is refused");
    clients
}

#[tokio::test]
async fn a_storm_is_spread_and_all_come_in_while_who_is_there_is_served() {
    let settings = Settings {
        connect_rate: 10,
        ..Settings::default()
    };
    let server = Server::with(Config::default(), settings).await;
    let mut ada = server.client().await;
    let storm = join_all((0..60).map(|_| come_in(&server)));
    tokio::pin!(storm);
    let mut answers = 0;
    let clients = loop {
        tokio::select! {
            clients = &mut storm => break clients,
            () = ada.ping() => answers += 1,
        }
    };
    assert_eq!(clients.len(), 60);
    assert!(answers > 0);
    assert!(server.counters.refused.of("rate") > 0);
}

#[tokio::test]
async fn requests_are_refused_by_the_rate_as_well() {
    let settings = Settings {
        connect_rate: 1,
        ..Settings::default()
    };
    let server = Server::with(Config::default(), settings).await;
    let _clients = until_refused(&server).await;
    let refused = ask_until_refused(&server).await;
    assert_eq!(refused["error"]["code"], "busy");
}

#[tokio::test]
async fn while_the_hub_is_behind_nobody_comes_in_and_who_is_there_is_served() {
    // Whatever it is, it is longer than this.
    let settings = Settings {
        max_delay: Duration::from_nanos(1),
        ..Settings::default()
    };
    let server = Server::with(Config::default(), settings).await;
    let mut ada = server.client().await;
    let _clients = until_refused(&server).await;
    assert!(server.counters.refused.of("delay") > 0);
    assert!(server.counters.hub_delay.load(Ordering::Relaxed) > 0);
    ada.ping().await;
}

#[tokio::test]
async fn when_too_many_sessions_begin_those_who_resume_come_first() {
    let config = Config {
        session_rate: 1,
        ..Config::default()
    };
    let server = Server::with(config, Settings::default()).await;
    let first = server.client().await;
    let (session, token) = (first.session.clone(), first.token.clone());
    drop(first);
    let end = greet_until_refused(&server).await;
    assert_eq!(
        (&end["reason"], &end["advice"]),
        (&json!("busy"), &json!("retry"))
    );
    let after = end["after_ms"].as_u64().expect("a time");
    assert!((1_000..=30_000).contains(&after), "{after}");
    let mut again = server.connect().await;
    let welcome = again.resume(&session, &token, 0).await;
    assert_eq!(welcome["resumed"], "full");
    let refused = ask_until_refused(&server).await;
    let closed = &refused["closed"];
    assert_eq!(
        (&closed["code"], &closed["reason"]),
        (&json!(4503), &json!("busy"))
    );
    assert!(server.counters.closed.of("busy") >= 2);
}

/// Begins sessions until one is refused; gives what it is told.
async fn greet_until_refused(server: &Server) -> Value {
    let refused = async {
        loop {
            let mut client = server.connect().await;
            client.send(json!({"type": "hello", "version": 1})).await;
            if let Some(end) = end_of(&mut client).await {
                return end;
            }
        }
    };
    let refused = tokio::time::timeout(PATIENCE, refused).await;
    refused.expect("a session is refused in the end")
}

/// Connects by requests until one is refused for now; gives what it is told.
async fn ask_until_refused(server: &Server) -> Value {
    let refused = async {
        loop {
            let answer = request(server.address, Method::POST, "/v1/connect", &[], HELLO).await;
            if answer.status() != 200 {
                return answer;
            }
        }
    };
    let refused = tokio::time::timeout(PATIENCE, refused).await;
    let refused = refused.expect("a request is refused in the end");
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    json_of(refused).await
}

/// What the server says when it closes, unless it says welcome.
async fn end_of(client: &mut Client) -> Option<Value> {
    use tokio_tungstenite::tungstenite::Message;
    match client.next().await {
        Message::Close(frame) => Some(crate::documents::checker::closed(
            &frame.expect("a reason").reason,
        )),
        _ => None,
    }
}
