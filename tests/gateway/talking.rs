//! What two members say to each other, and what is refused.

use peerage::auth::Secret;
use peerage::gateway::Settings;
use peerage::signal::{Config, IceConfig};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::world::Server;

#[tokio::test]
async fn two_members_exchange_an_offer_an_answer_and_candidates() {
    let server = Server::start().await;
    let (mut ada, joined) = server.member("blue").await;
    for (field, value) in [
        ("type", json!("joined")),
        ("seq", json!(1)),
        ("re", json!(1)),
        ("room", json!("blue")),
        ("version", json!(1)),
        ("role", json!("host")),
        ("members", json!([])),
    ] {
        assert_eq!(joined[field], value);
    }
    let (mut grace, joined) = server.member("blue").await;
    let member = &joined["members"][0];
    assert_eq!(member["session"], ada.session);
    assert_eq!(member["state"], "joined");
    assert_eq!(member["polite"], true);
    let presence = ada.expect("presence").await;
    assert_eq!(presence["member"]["session"], grace.session);
    assert_eq!(presence["member"]["polite"], false);
    assert_eq!(presence["member"]["epoch"], member["epoch"]);
    let epoch = &member["epoch"];

    let body = json!({"type": "offer", "sdp": "v=0\r\n"});
    let offer = json!({"type": "offer", "id": 2, "room": "blue", "to": ada.session,
        "epoch": epoch, "from": "forged", "body": body});
    grace.send_frame(Message::text(offer.to_string())).await;
    assert_eq!(
        ada.receive().await,
        json!({"type": "offer", "seq": 3, "room": "blue", "from": grace.session,
            "epoch": epoch, "nr": 2, "body": body})
    );
    ada.send(
        json!({"type": "answer", "id": 2, "room": "blue", "to": grace.session,
        "epoch": epoch, "body": "sdp"}),
    )
    .await;
    ada.send(
        json!({"type": "candidate", "id": 3, "room": "blue", "to": grace.session,
        "epoch": epoch, "body": null}),
    )
    .await;
    assert_eq!(grace.receive().await["body"], "sdp");
    let end = grace.receive().await;
    assert_eq!(
        (&end["type"], &end["body"]),
        (&json!("candidate"), &json!(null))
    );
}

#[tokio::test]
async fn who_says_something_learns_what_became_of_it() {
    let server = Server::start().await;
    let (mut ada, _) = server.member("blue").await;
    let (mut grace, joined) = server.member("blue").await;
    ada.expect("presence").await;
    let epoch = &joined["members"][0]["epoch"];
    let offer = |id: u64| {
        json!({"type": "offer", "id": id, "room": "blue", "to": ada.session,
            "epoch": epoch, "body": id})
    };
    for id in 2..5 {
        grace.send(offer(id)).await;
    }
    for id in 2..5 {
        assert_eq!(ada.expect("offer").await["body"], id);
    }
    ada.send(json!({"type": "ack", "seq": 4})).await;
    let receipt = json!({"type": "delivered", "seq": 2, "to": ada.session, "through": 3});
    assert_eq!(grace.receive().await, receipt);
    ada.send(json!({"type": "bye"})).await;
    assert_eq!(grace.receive().await["member"]["state"], "left");
    assert_eq!(grace.receive().await["role"], "host");
    let end = json!({"type": "undeliverable", "seq": 5, "to": ada.session, "reason": "bye"});
    assert_eq!(grace.receive().await, end);
}

#[tokio::test]
async fn the_welcome_carries_time_limited_credentials() {
    let ice = IceConfig {
        stun_urls: vec!["stun:192.0.2.1".to_owned()],
        turn_urls: vec!["turn:192.0.2.1".to_owned()],
        secret: Some(Secret::new("north")),
        ..IceConfig::default()
    };
    let config = Config {
        ice,
        ..Config::default()
    };
    let server = Server::with(config, Settings::default()).await;
    let welcome = server.connect().await.hello().await;
    let servers = &welcome["ice_servers"];
    assert_eq!(servers[0], json!({"urls": ["stun:192.0.2.1"]}));
    assert_eq!(servers[1]["urls"], json!(["turn:192.0.2.1"]));
    let username = servers[1]["username"].as_str().expect("a user name");
    assert!(username.ends_with(welcome["session"].as_str().expect("a session")));
    assert!(servers[1]["credential"].is_string());
    assert_eq!(welcome["ice_servers_expire_in_ms"], 3_600_000);
}

#[tokio::test]
async fn what_is_refused_is_told_and_leaves_the_connection_open() {
    let server = Server::start().await;
    let (mut ada, _) = server.member("blue").await;
    let nobody = "6f0c7c1e-5d0b-4c55-9a3e-1f6c2f6f3c11";
    let long = "x".repeat(5_000);
    let name = "x".repeat(65);
    let own = ada.session.clone();
    for (message, code) in [
        (json!({"type": "join"}), "malformed"),
        (json!({"type": "dance"}), "unknown_type"),
        (json!({"type": "hello", "version": 1}), "hello_repeated"),
        (
            json!({"type": "join", "id": 9, "room": "a b"}),
            "invalid_room",
        ),
        (
            json!({"type": "join", "id": 9, "room": "b", "name": name}),
            "invalid_name",
        ),
        (
            json!({"type": "join", "id": 9, "room": "b", "name": "\u{1b}"}),
            "invalid_name",
        ),
        (
            json!({"type": "join", "id": 9, "room": "b", "data": long}),
            "data_too_large",
        ),
        (
            json!({"type": "join", "id": 9, "room": "blue"}),
            "already_joined",
        ),
        (
            json!({"type": "leave", "id": 9, "room": "b"}),
            "not_in_room",
        ),
        (
            json!({"type": "update", "id": 9, "room": "b"}),
            "not_in_room",
        ),
        (
            json!({"type": "offer", "id": 9, "room": "blue", "to": nobody, "epoch": 1, "body": 1}),
            "no_such_member",
        ),
        (
            json!({"type": "offer", "id": 9, "room": "blue", "to": own, "epoch": 1, "body": 1}),
            "no_such_member",
        ),
        (
            json!({"type": "offer", "id": 9, "room": "b", "to": nobody, "epoch": 1, "body": 1}),
            "not_in_room",
        ),
    ] {
        let id = message.get("id").cloned();
        ada.send(message).await;
        let error = ada.receive().await;
        assert_eq!(error["code"], code, "{error}");
        assert_eq!(error.get("re").cloned(), id, "{error}");
    }
    ada.ping().await;
}

#[tokio::test]
async fn a_message_of_an_earlier_meeting_is_stale() {
    let server = Server::start().await;
    let (mut ada, _) = server.member("blue").await;
    let (mut grace, joined) = server.member("blue").await;
    let epoch = joined["members"][0]["epoch"].clone();
    grace
        .send(json!({"type": "leave", "id": 2, "room": "blue"}))
        .await;
    grace.expect("left").await;
    let again = grace.join(3, "blue").await;
    assert!(again["members"][0]["epoch"].as_u64() > epoch.as_u64());
    ada.send(
        json!({"type": "offer", "id": 2, "room": "blue", "to": grace.session,
        "epoch": epoch, "body": 1}),
    )
    .await;
    assert_eq!(ada.expect("error").await["code"], "stale_epoch");
}

#[tokio::test]
async fn an_id_is_applied_once() {
    let server = Server::start().await;
    let (mut ada, _) = server.member("blue").await;
    ada.send(json!({"type": "leave", "id": 1, "room": "blue"}))
        .await;
    ada.send(json!({"type": "join", "id": 1, "room": "green"}))
        .await;
    ada.send(json!({"type": "ping"})).await;
    assert_eq!(ada.receive().await["type"], "pong");
}

#[tokio::test]
async fn a_message_may_come_in_fragments_with_pings_between() {
    let server = Server::start().await;
    let mut ada = server.connect().await;
    let text = r#"{"type":"hello","version":1}"#.as_bytes();
    let (first, rest) = text.split_at(10);
    let fragment = |bytes: &[u8], code, last| {
        Message::Frame(Frame::message(bytes.to_vec(), OpCode::Data(code), last))
    };
    ada.send_frame(fragment(first, Data::Text, false)).await;
    ada.send_frame(Message::Ping(vec![1].into())).await;
    for byte in &rest[..rest.len() - 1] {
        ada.send_frame(fragment(&[*byte], Data::Continue, false))
            .await;
    }
    ada.send_frame(fragment(b"}", Data::Continue, true)).await;
    assert_eq!(ada.receive().await["type"], "welcome");
}

#[tokio::test]
async fn what_goes_beyond_the_rate_is_dropped_and_told() {
    let config = Config {
        message_burst: 2,
        messages_per_second: 1,
        ..Config::default()
    };
    let server = Server::with(config, Settings::default()).await;
    let mut ada = server.client().await;
    for _ in 0..3 {
        ada.send(json!({"type": "ping"})).await;
    }
    assert_eq!(ada.receive().await["type"], "pong");
    assert_eq!(ada.receive().await["type"], "pong");
    let error = ada.receive().await;
    assert_eq!(error["code"], "rate_limited");
    assert!(error["retry_after_ms"].as_u64().expect("a time") <= 1_001);
}
