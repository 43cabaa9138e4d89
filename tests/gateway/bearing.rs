//! The Rust client with access tokens, what it hears of broadcasts, and a server that is full.

use std::time::Duration;

use peerage::client::{AccessToken, Client, Ended, Event, Profile, Request, Settings, Transport};
use peerage::gateway;
use peerage::signal::Config;
use serde_json::json;

use crate::bearer::{bearer, claims, now, server, token, token_for};
use crate::world::{PATIENCE, Server};

fn client(server: &Server, transport: Transport, token: &str) -> Client {
    let url = format!("ws://{}/v1/ws", server.address);
    let mut settings = Settings::new(&url).expect("a URL");
    settings.transports = vec![transport];
    settings.backoff_base = Duration::from_millis(10);
    settings.poll_interval = Some(Duration::from_millis(10));
    settings.access_token = Some(AccessToken::new(token));
    Client::new(settings).expect("settings")
}

/// What comes first of what is looked for.
async fn first<T>(client: &mut Client, look: impl Fn(&Event) -> Option<T>) -> T {
    let seen = async {
        loop {
            let event = client.next().await.expect("it has not ended");
            if let Some(found) = look(&event) {
                return found;
            }
        }
    };
    tokio::time::timeout(PATIENCE, seen).await.expect("in time")
}

/// A token that is good until so many seconds from now.
fn token_until(seconds: i64) -> String {
    let mut claims = claims("ada", &json!([{"room": "blue"}]));
    claims["exp"] = json!(now().saturating_add_signed(seconds));
    token(&claims)
}

#[tokio::test]
async fn the_client_renews_its_token_when_it_is_told_to() {
    let server = server().await;
    for transport in [Transport::WebSocket, Transport::Poll] {
        let mut ada = client(&server, transport, &token_until(4));
        first(&mut ada, |event| {
            matches!(event, Event::AccessExpires { .. }).then_some(())
        })
        .await;
        let asked = ada.authorize(AccessToken::new(&token_for("ada", "blue")));
        let asked = asked.expect("room").expect("a connection");
        let done = |event: &Event| match event {
            Event::Done { re } => Some(*re),
            Event::Refused { code, .. } => panic!("{code}"),
            _ => None,
        };
        assert_eq!(first(&mut ada, done).await, asked);
    }
}

#[tokio::test]
async fn a_token_that_is_not_good_is_replaced_or_ends_the_session() {
    let server = server().await;
    for transport in [Transport::WebSocket, Transport::Poll] {
        let refused = |event: &Event| matches!(event, Event::AccessRefused { .. }).then_some(());
        let mut ada = client(&server, transport, &token_until(-60));
        first(&mut ada, refused).await;
        let asked = ada.authorize(AccessToken::new(&token_for("ada", "blue")));
        assert_eq!(asked, Ok(None));
        first(&mut ada, |event| {
            matches!(event, Event::Connected { .. }).then_some(())
        })
        .await;
        let mut eve = client(&server, transport, "nonsense");
        first(&mut eve, refused).await;
        first(&mut eve, refused).await;
        let ended = |event: &Event| match event {
            Event::Ended(ended) => Some(ended.clone()),
            _ => None,
        };
        let ended = first(&mut eve, ended).await;
        assert!(
            matches!(ended, Ended::Refused { code: 4403, .. }),
            "{ended:?}"
        );
    }
}

#[tokio::test]
async fn the_client_hears_what_is_said_to_all() {
    let server = server().await;
    let (mut ada, _) = bearer(&server, &token_for("ada", "blue")).await;
    ada.join(1, "blue").await;
    let mut grace = client(&server, Transport::WebSocket, &token_for("grace", "blue"));
    grace
        .ask(Request::join("blue", Profile::default()))
        .expect("the first request");
    first(&mut grace, |event| {
        matches!(event, Event::Joined { .. }).then_some(())
    })
    .await;
    // The same number again, as after a restart that has swallowed the receipt.
    for (id, nr, body) in [(2, 2, "one"), (3, 2, "one"), (4, 4, "two")] {
        let broadcast =
            json!({"type": "broadcast", "id": id, "nr": nr, "room": "blue", "body": body});
        ada.send(broadcast).await;
    }
    let heard = |event: &Event| match event {
        Event::Broadcast(broadcast) => Some((broadcast.number, broadcast.body.to_string())),
        _ => None,
    };
    assert_eq!(first(&mut grace, heard).await, (2, "\"one\"".to_owned()));
    assert_eq!(first(&mut grace, heard).await, (4, "\"two\"".to_owned()));
}

#[tokio::test]
async fn who_finds_the_server_full_comes_back_when_it_has_said() {
    let settings = gateway::Settings {
        max_connections: 1,
        ..gateway::Settings::default()
    };
    let server = Server::with(Config::default(), settings).await;
    let _grace = server.client().await;
    for transport in Transport::ALL {
        // By itself it would be back after ten milliseconds.
        let mut ada = client(&server, transport, "none is needed");
        let waits = |event: &Event| match event {
            Event::Disconnected { retry_in, .. } => Some(*retry_in),
            _ => None,
        };
        let wait = first(&mut ada, waits).await;
        assert!(wait >= Duration::from_secs(1), "{transport:?}: {wait:?}");
    }
}
