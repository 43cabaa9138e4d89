//! Every way in which the server ends a connection.

use std::ops::RangeInclusive;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::Method;
use peerage::gateway::{Farewell, Settings};
use peerage::signal::{Config, Drain};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::asking::{Asking, WAYS, json_of, request};
use crate::world::{Client, Server};

#[tokio::test]
async fn the_first_message_must_be_a_hello_of_version_1() {
    let server = Server::start().await;
    for (message, code) in [
        (r#"{"type":"ping"}"#, "hello_expected"),
        (r#"{"type":"hello","version":2}"#, "unsupported_version"),
        (r#"{"type":"hello"}"#, "malformed"),
        ("hello", "malformed"),
        (r#"{"type":"dance"}"#, "unknown_type"),
    ] {
        let mut client = server.connect().await;
        client.send_frame(Message::text(message)).await;
        assert_eq!(client.receive().await["code"], code);
        assert_eq!(client.close_code().await, 4400);
    }
}

#[tokio::test]
async fn who_says_no_hello_in_time_is_closed() {
    let config = Config {
        hello_timeout: Duration::from_millis(50),
        ..Config::default()
    };
    let server = Server::with(config, Settings::default()).await;
    assert_eq!(server.connect().await.close_code().await, 4401);
}

#[tokio::test]
async fn a_binary_frame_ends_the_connection() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.send_frame(Message::binary(vec![1, 2, 3])).await;
    let never = json!({"reason": "binary", "advice": "never"});
    assert_eq!(client.end().await, (1003, never));
    assert_eq!(server.counters.closed.of("binary"), 1);
}

#[tokio::test]
async fn a_message_that_is_too_long_ends_the_connection() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let longest = format!(r#"{{"type":"ping","x":"{}"}}"#, "x".repeat(65_536 - 22));
    assert_eq!(longest.len(), 65_536);
    client.send_frame(Message::text(longest.clone())).await;
    assert_eq!(client.receive().await["type"], "pong");
    client.send_frame(Message::text(longest + " ")).await;
    assert_eq!(client.close_code().await, 1009);
}

#[tokio::test]
async fn bye_ends_the_session() {
    let server = Server::start().await;
    let (mut ada, _) = server.member("blue").await;
    let (mut grace, _) = server.member("blue").await;
    grace.send(json!({"type": "bye"})).await;
    assert_eq!(grace.close_code().await, 1000);
    ada.expect("presence").await;
    let left = ada.expect("presence").await;
    assert_eq!(left["member"]["state"], "left");
    assert_eq!(left["member"]["reason"], "bye");
}

#[tokio::test]
async fn who_goes_on_with_nonsense_is_closed() {
    let server = Server::start().await;
    let mut client = server.client().await;
    for _ in 0..17 {
        client.send_frame(Message::text("nonsense")).await;
    }
    assert_eq!(client.close_code().await, 4400);
}

#[tokio::test]
async fn who_goes_on_far_beyond_the_rate_is_closed() {
    let server = Server::start().await;
    let mut client = server.client().await;
    for _ in 0..1_000 {
        client.send(json!({"type": "ping"})).await;
    }
    let (code, end) = client.end().await;
    assert_eq!((code, &end["reason"]), (4429, &json!("flooding")));
    assert_eq!(server.counters.closed.of("flooding"), 1);
    assert!(server.counters.rejected.of("rate_limited") > 200);
    assert_wait(&end, 10_000..=15_000);
}

#[tokio::test]
async fn a_client_that_does_not_acknowledge_gets_4408_and_the_others_go_on() {
    let config = Config {
        mailbox_messages: 8,
        ..Config::default()
    };
    let server = Server::with(config, Settings::default()).await;
    let (mut ada, _) = server.member("blue").await;
    let (mut slow, joined) = server.member("blue").await;
    ada.expect("presence").await;
    let epoch = joined["members"][0]["epoch"].clone();
    for id in 2..20 {
        ada.send(json!({"type": "ack", "seq": id})).await;
        ada.send(
            json!({"type": "offer", "id": id, "room": "blue", "to": slow.session,
            "epoch": epoch, "body": id}),
        )
        .await;
    }
    assert_eq!(ada.expect("error").await["code"], "addressee_overloaded");
    assert_eq!(ada.expect("presence").await["member"]["state"], "suspended");
    assert_eq!(slow.close_code().await, 4408);
    ada.ping().await;
    assert_eq!(server.counters.slow_consumers.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_cut_off_and_the_others_go_on() {
    let settings = Settings {
        write_timeout: Duration::from_millis(200),
        ..Settings::default()
    };
    let config = Config {
        messages_per_second: 1_000_000,
        bytes_per_second: u32::MAX,
        byte_burst: u32::MAX,
        message_burst: 1_000_000,
        mailbox_bytes: 1 << 30,
        mailbox_messages: 1 << 20,
        ..Config::default()
    };
    let server = Server::with(config, settings).await;
    let (mut ada, _) = server.member("blue").await;
    let (stalled, joined) = server.member("blue").await;
    ada.expect("presence").await;
    let epoch = joined["members"][0]["epoch"].clone();
    // More than the sockets' buffers hold: nobody reads at the other end.
    let body = "x".repeat(60_000);
    for id in 2..700 {
        ada.send(
            json!({"type": "offer", "id": id, "room": "blue", "to": stalled.session,
            "epoch": epoch, "body": body}),
        )
        .await;
    }
    let presence = ada.expect("presence").await;
    assert_eq!(presence["member"]["session"], stalled.session);
    assert_eq!(presence["member"]["state"], "suspended");
    ada.ping().await;
}

#[tokio::test]
async fn who_is_silent_is_given_up() {
    let config = Config {
        silence_timeout: Duration::from_millis(50),
        ..Config::default()
    };
    let server = Server::with(config, Settings::default()).await;
    assert_eq!(server.client().await.close_code().await, 4408);
}

#[tokio::test]
async fn who_comes_when_all_sessions_are_taken_is_sent_away() {
    let config = Config {
        sessions: 1,
        ..Config::default()
    };
    let server = Server::with(config, Settings::default()).await;
    let _first = server.client().await;
    let mut second = server.connect().await;
    second.send(json!({"type": "hello", "version": 1})).await;
    let (code, end) = second.end().await;
    assert_eq!((code, &end["reason"]), (4503, &json!("full")));
    assert_wait(&end, 5_000..=10_000);
    let hello = r#"{"type":"hello","version":1}"#;
    let answer = request(server.address, Method::POST, "/v1/connect", &[], hello).await;
    assert_eq!(answer.status(), 503);
    let wait = answer.headers()["retry-after"].to_str().expect("text");
    let wait: u64 = wait.parse().expect("seconds");
    let closed = json_of(answer).await["closed"].clone();
    assert_eq!(
        (&closed["code"], &closed["advice"]),
        (&json!(4503), &json!("retry"))
    );
    assert_wait(&closed, 5_000..=10_000);
    let after = closed["after_ms"].as_u64().expect("a time");
    assert!(
        wait * 1_000 > after && wait * 1_000 <= after + 1_000,
        "{wait}"
    );
}

/// The time for which to stay away is within these bounds, in milliseconds.
fn assert_wait(end: &Value, bounds: RangeInclusive<u64>) {
    assert_eq!(end["advice"], "retry");
    let after = end["after_ms"].as_u64().expect("a time");
    assert!(bounds.contains(&after), "{after}");
}

#[tokio::test]
async fn who_is_replaced_is_told_never_to_come_back_on_every_transport() {
    let server = Server::start().await;
    let told = json!({"code": 4409, "reason": "replaced", "advice": "never"});
    let mut socket = server.client().await;
    let mut newest = server.connect().await;
    newest.resume(&socket.session, &socket.token, 0).await;
    let never = json!({"reason": "replaced", "advice": "never"});
    assert_eq!(socket.end().await, (4409, never));
    for way in WAYS {
        let mut asking = Asking::new(&server, way).await;
        let mut newest = server.connect().await;
        newest.resume(&asking.session, &asking.token, 0).await;
        let answer = asking.ask(Method::POST, "/v1/messages", "{}").await;
        if answer.status() == 410 {
            assert_eq!(json_of(answer).await["closed"], told);
        }
        assert_eq!(asking.receive().await, None);
        assert_eq!(asking.poll(asking.cursor, 0).await["closed"], told);
        let mut stream = asking.stream(asking.cursor).await;
        let (_, name, end) = stream.next().await.expect("an event");
        assert_eq!((name.as_str(), end), ("closed", told.clone()));
    }
}

#[tokio::test]
async fn a_drain_sends_everybody_away_and_lets_nobody_in() {
    let server = Server::start().await;
    let (mut ada, _) = server.member("blue").await;
    let mut fresh = server.connect().await;
    assert!(server.gateway.is_ready());
    let gateway = server.gateway.clone();
    let drain = tokio::spawn(async move { gateway.drain(farewell(10)).await });
    let goaway = ada.expect("goaway").await;
    assert_eq!(goaway["reason"], "shutdown");
    assert!(goaway["reconnect_in_ms"].as_u64().expect("a time") <= 10_000);
    let (code, end) = ada.end().await;
    assert_eq!((code, &end["reason"]), (1001, &json!("going_away")));
    // Who has overheard the one hears the other.
    assert_eq!(end["after_ms"], goaway["reconnect_in_ms"]);
    let (code, end) = fresh.end().await;
    assert_eq!(code, 1001);
    assert_wait(&end, 0..=10_000);
    leave(ada).await;
    leave(fresh).await;
    drain.await.expect("it ends");
    assert!(!server.gateway.is_ready());
    let url = format!("ws://{}/v1/ws", server.address);
    let refused = tokio_tungstenite::connect_async(url).await;
    assert!(refused.is_err());
}

/// All come back within so many seconds.
fn farewell(seconds: u64) -> Farewell {
    Farewell {
        drain: Drain {
            within: Duration::from_secs(seconds),
            elsewhere: None,
        },
        closing: Duration::from_secs(600),
        linger: Duration::ZERO,
    }
}

/// Finishes the closing handshake.
async fn leave(mut client: Client) {
    while let Some(Ok(_)) = futures_util::StreamExt::next(&mut client.socket).await {}
}
