//! Access tokens, and clients that come in by them.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use peerage::auth::Secret;
use peerage::auth::jwt::{AccessTokens, TokenRules, VerifyingKey};
use peerage::gateway::Settings;
use peerage::signal::{AccessConfig, Config};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::world::{Client, Server};

/// What tokens are signed with.
pub(crate) const SECRET: &str = "a secret of thirty-two bytes, at least";

pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("it is later than 1970").as_secs()
}

/// The claims of a token that is good for an hour.
pub(crate) fn claims(subject: &str, rooms: &Value) -> Value {
    json!({
        "sub": subject, "aud": "peerage", "iat": now(), "exp": now() + 3_600,
        "peerage": {"rooms": rooms},
    })
}

pub(crate) fn token(claims: &Value) -> String {
    signed(claims, SECRET)
}

pub(crate) fn signed(claims: &Value, secret: &str) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(&json!({"alg": "HS256"})), part(claims));
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
    mac.update(message.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
    format!("{message}.{signature}")
}

/// A token for one room.
pub(crate) fn token_for(subject: &str, room: &str) -> String {
    token(&claims(subject, &json!([{"room": room}])))
}

/// What checks tokens that are signed with this secret.
pub(crate) fn tokens_of(secret: &str) -> Arc<AccessTokens> {
    let key = VerifyingKey::of_secret(&Secret::new(secret)).expect("long enough");
    let rules = TokenRules {
        issuer: None,
        audience: "peerage".to_owned(),
        leeway: Duration::from_secs(30),
        max_lifetime: Duration::from_secs(86_400),
    };
    Arc::new(AccessTokens::new(vec![key], rules))
}

/// A server that only lets bearers in.
pub(crate) async fn server() -> Server {
    let config = Config {
        access: AccessConfig {
            by_token: true,
            grace: Duration::from_secs(1),
            ..AccessConfig::default()
        },
        ..Config::default()
    };
    let settings = Settings {
        tokens: Some(tokens_of(SECRET)),
        ..Settings::default()
    };
    Server::with(config, settings).await
}

/// The first message of a bearer.
pub(crate) fn hello(token: &str) -> Value {
    json!({"type": "hello", "version": 1, "access_token": token})
}

/// A client that has come in, and its welcome.
pub(crate) async fn bearer(server: &Server, token: &str) -> (Client, Value) {
    let mut client = server.connect().await;
    client.send(hello(token)).await;
    let welcome = client.welcome().await;
    (client, welcome)
}

/// What comes of showing another token; one a second is looked at.
pub(crate) async fn authorize(client: &mut Client, first_id: u64, token: &str) -> Value {
    for id in first_id.. {
        client
            .send(json!({"type": "authorize", "id": id, "access_token": token}))
            .await;
        let answer = loop {
            let message = client.receive().await;
            if message["re"] == id {
                break message;
            }
        };
        if answer["code"] != "rate_limited" {
            return answer;
        }
        let wait = answer["retry_after_ms"].as_u64().expect("a time");
        tokio::time::sleep(Duration::from_millis(wait)).await;
    }
    unreachable!("ids do not run out")
}
