//! Connections that are lost and come back.

use std::time::Duration;

use peerage::gateway::Settings;
use peerage::signal::Config;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::world::Server;

#[tokio::test]
async fn a_session_goes_on_where_it_was() {
    let server = Server::start().await;
    let (mut ada, _) = server.member("blue").await;
    let (grace, joined) = server.member("blue").await;
    ada.expect("presence").await;
    let epoch = joined["members"][0]["epoch"].clone();
    let (session, token) = (grace.session.clone(), grace.token.clone());
    drop(grace);
    let presence = ada.expect("presence").await;
    assert_eq!(presence["member"]["state"], "suspended");
    assert_eq!(presence["member"]["epoch"], epoch);
    for id in 2..5 {
        ada.send(
            json!({"type": "offer", "id": id, "room": "blue", "to": session,
            "epoch": epoch, "body": id}),
        )
        .await;
    }
    ada.ping().await;

    let mut grace = server.connect().await;
    let welcome = grace.resume(&session, &token, 1).await;
    assert_eq!(welcome["resumed"], "full");
    assert_eq!(welcome["session"], session);
    assert_eq!(welcome["applied"], 1);
    assert_ne!(welcome["token"], token);
    for id in 2..5 {
        let offer = grace.receive().await;
        assert_eq!((&offer["seq"], &offer["body"]), (&json!(id), &json!(id)));
    }
    let presence = ada.expect("presence").await;
    assert_eq!(presence["member"]["state"], "joined");
    assert_eq!(presence["member"]["epoch"], epoch);
}

#[tokio::test]
async fn a_page_that_is_left_shows_at_once_and_another_loss_only_when_it_lasts() {
    let config = Config {
        presence_grace: Duration::from_secs(3_600),
        resume_window: Duration::from_secs(7_200),
        ..Config::default()
    };
    let server = Server::with(config, Settings::default()).await;
    let (mut ada, _) = server.member("blue").await;
    let (grace, _) = server.member("blue").await;
    let (mut alan, _) = server.member("blue").await;
    drop(grace);
    let frame = CloseFrame {
        code: CloseCode::Away,
        reason: "".into(),
    };
    alan.send_frame(Message::Close(Some(frame))).await;
    let suspended = loop {
        let presence = ada.expect("presence").await;
        if presence["member"]["state"] == "suspended" {
            break presence["member"]["session"].clone();
        }
    };
    assert_eq!(suspended, json!(alan.session), "not the one that was cut");
}

#[tokio::test]
async fn a_newer_connection_takes_the_session_over() {
    let server = Server::start().await;
    let (mut ada, _) = server.member("blue").await;
    let (mut old, _) = server.member("blue").await;
    ada.expect("presence").await;
    let mut new = server.connect().await;
    let welcome = new.resume(&old.session, &old.token, 0).await;
    assert_eq!(welcome["resumed"], "full");
    assert_eq!(new.receive().await["type"], "joined");
    assert_eq!(old.close_code().await, 4409);
    new.ping().await;
    // Nobody else has seen anything of it.
    ada.send(json!({"type": "ping"})).await;
    assert_eq!(ada.receive().await["type"], "pong");
}

#[tokio::test]
async fn what_cannot_be_had_is_answered_with_a_new_session() {
    let server = Server::start().await;
    let ada = server.client().await;
    for (session, token, seq) in [
        (&*ada.session, "AAAAAAAAAAAAAAAAAAAAAA", 0),
        (&*ada.session, "", 0),
        ("6f0c7c1e-5d0b-4c55-9a3e-1f6c2f6f3c11", &*ada.token, 0),
        ("nobody", &*ada.token, 0),
    ] {
        let mut thief = server.connect().await;
        let welcome = thief.resume(session, token, seq).await;
        assert_eq!(welcome["resumed"], "none");
        assert_ne!(welcome["session"], ada.session);
    }
}

#[tokio::test]
async fn a_token_is_good_until_the_next_one_has_arrived() {
    let server = Server::start().await;
    let mut ada = server.client().await;
    ada.ping().await;
    let mut second = server.connect().await;
    let welcome = second.resume(&ada.session, &ada.token, 0).await;
    assert_eq!(welcome["resumed"], "full");
    second.ping().await;
    let mut third = server.connect().await;
    let welcome = third.resume(&ada.session, &ada.token, 0).await;
    assert_eq!(welcome["resumed"], "none");
    second.ping().await;
}

#[tokio::test]
async fn who_needs_what_is_no_longer_kept_gets_a_snapshot() {
    let server = Server::start().await;
    let (mut ada, _) = server.member("blue").await;
    let (mut grace, _) = server.member("blue").await;
    ada.expect("presence").await;
    grace.send(json!({"type": "ack", "seq": 1})).await;
    grace.ping().await;
    let mut again = server.connect().await;
    let welcome = again.resume(&grace.session, &grace.token, 0).await;
    assert_eq!(welcome["resumed"], "snapshot");
    assert_eq!(welcome["session"], grace.session);
    assert_eq!(grace.close_code().await, 4409);
    let snapshot = again.receive().await;
    assert_eq!(snapshot["type"], "snapshot");
    assert_eq!(snapshot["seq"], 2);
    let [blue] = &snapshot["rooms"].as_array().expect("a list")[..] else {
        panic!("one room: {snapshot}");
    };
    assert_eq!(blue["room"], "blue");
    assert_eq!(blue["version"], 2);
    assert_eq!(blue["role"], "member");
    let member = json!({"session": ada.session, "state": "joined", "role": "host",
        "polite": true, "epoch": 2});
    assert_eq!(blue["members"], json!([member]));
    // Nobody else has seen anything of it.
    ada.send(json!({"type": "ping"})).await;
    assert_eq!(ada.receive().await["type"], "pong");
}
