//! Access tokens, over WebSockets and over requests.

use std::io::Write;
use std::sync::{Arc, Mutex};

use hyper::Method;
use peerage::signal::Revocation;
use serde_json::{Value, json};

use crate::asking::{json_of, request};
use crate::bearer::{
    authorize, bearer, claims, hello, now, server, signed, token, token_for, tokens_of,
};
use crate::world::{Server, text};

const OTHER_SECRET: &str = "another secret of at least thirty-two bytes";

/// Tokens that nobody gets in by, and the code that says so.
fn bad_tokens() -> Vec<(Value, &'static str)> {
    let good = claims("ada", &json!([{"room": "blue"}]));
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        token(&claims)
    };
    vec![
        (json!({"type": "hello", "version": 1}), "unauthorized"),
        (hello(""), "unauthorized"),
        (hello("nonsense"), "unauthorized"),
        (hello(&signed(&good, OTHER_SECRET)), "unauthorized"),
        (hello(&with("aud", json!("another"))), "unauthorized"),
        (hello(&with("peerage", json!({}))), "unauthorized"),
        (hello(&with("exp", json!(now() - 60))), "token_expired"),
    ]
}

async fn connect(server: &Server, hello: &Value) -> (u16, Value) {
    let body = hello.to_string();
    let answer = request(server.address, Method::POST, "/v1/connect", &[], &body).await;
    (answer.status().as_u16(), json_of(answer).await)
}

#[tokio::test]
async fn without_a_good_token_nobody_comes_in_on_any_transport() {
    let server = server().await;
    for (hello, code) in bad_tokens() {
        let mut client = server.connect().await;
        client.send(hello.clone()).await;
        assert_eq!(client.expect("error").await["code"], code, "{hello}");
        assert_eq!(client.close_code().await, 4403, "{hello}");
        let (status, answer) = connect(&server, &hello).await;
        assert_eq!(status, 401, "{hello}");
        assert_eq!(answer["messages"][0]["code"], code, "{hello}");
        assert_eq!(answer["closed"]["code"], 4403, "{hello}");
        assert_eq!(answer["connection"], Value::Null, "{hello}");
    }
    let good = token_for("ada", "blue");
    let (_, welcome) = bearer(&server, &good).await;
    let left = welcome["access_expires_in_ms"].as_u64().expect("a time");
    assert!((3_000_000..=3_600_000).contains(&left), "{left}");
    let (status, answer) = connect(&server, &hello(&good)).await;
    assert_eq!(status, 200);
    assert_eq!(answer["messages"][0]["type"], "welcome");
}

#[tokio::test]
async fn a_bearer_enters_the_rooms_of_its_token_in_its_role_and_no_others() {
    let server = server().await;
    let rooms = json!([{"room": "team-*", "role": "host"}, {"room": "blue"}]);
    let (mut ada, _) = bearer(&server, &token(&claims("ada", &rooms))).await;
    assert_eq!(ada.join(1, "team-red").await["role"], "host");
    assert_eq!(ada.join(2, "blue").await["role"], "member");
    ada.send(json!({"type": "join", "id": 3, "room": "green"}))
        .await;
    let refused = ada.expect("error").await;
    // The same for a room that is there.
    let (mut grace, _) = bearer(&server, &token_for("grace", "green")).await;
    grace.join(1, "green").await;
    ada.send(json!({"type": "join", "id": 4, "room": "green"}))
        .await;
    let mut again = ada.expect("error").await;
    again["re"] = json!(3);
    assert_eq!(refused, again);
    assert_eq!(refused["code"], "not_allowed");
}

#[tokio::test]
async fn an_invitation_lets_one_session_in_on_any_transport() {
    let server = server().await;
    let mut claims = claims("guest", &json!([{"room": "blue"}]));
    claims["peerage"]["once"] = json!(true);
    let without_id = token(&claims);
    assert_eq!(connect(&server, &hello(&without_id)).await.0, 401);
    claims["jti"] = json!("8c1f");
    let invitation = token(&claims);
    let (guest, _) = bearer(&server, &invitation).await;
    let mut other = server.connect().await;
    other.send(hello(&invitation)).await;
    assert_eq!(other.expect("error").await["code"], "token_used");
    let (code, end) = other.end().await;
    assert_eq!((code, &end["advice"]), (4403, &json!("authorize")));
    let (status, answer) = connect(&server, &hello(&invitation)).await;
    assert_eq!(
        (status, &answer["messages"][0]["code"]),
        (401, &json!("token_used"))
    );
    let (session, ticket) = (guest.session.clone(), guest.token.clone());
    drop(guest);
    let mut again = server.connect().await;
    let mut hello = hello(&invitation);
    hello["resume"] = json!({"session": session, "token": ticket, "seq": 0});
    again.send(hello).await;
    assert_eq!(again.welcome().await["resumed"], "full");
}

#[tokio::test]
async fn a_session_is_resumed_by_its_own_subject_only() {
    let server = server().await;
    let (ada, _) = bearer(&server, &token_for("ada", "blue")).await;
    let (session, ticket) = (ada.session.clone(), ada.token.clone());
    drop(ada);
    let resume = json!({"session": session, "token": ticket, "seq": 0});
    for (subject, resumed) in [("mallory", "none"), ("ada", "full")] {
        let mut client = server.connect().await;
        let mut hello = hello(&token_for(subject, "blue"));
        hello["resume"] = resume.clone();
        client.send(hello).await;
        assert_eq!(client.welcome().await["resumed"], resumed, "{subject}");
    }
    let mut nobody = server.connect().await;
    nobody
        .send(json!({"type": "hello", "version": 1, "resume": resume}))
        .await;
    assert_eq!(nobody.close_code().await, 4403);
}

#[tokio::test]
async fn a_connection_ends_with_its_token_unless_another_one_comes() {
    let server = server().await;
    let short = |subject: &str| {
        let mut claims = claims(subject, &json!([{"room": "blue"}]));
        claims["exp"] = json!(now() + 6);
        token(&claims)
    };
    let (mut careless, _) = bearer(&server, &short("careless")).await;
    let (mut careful, _) = bearer(&server, &short("careful")).await;
    let warning = careful.expect("token_expiring").await;
    assert!(warning["expires_in_ms"].as_u64().is_some(), "{warning}");
    let newer = token_for("careful", "blue");
    let authorized = authorize(&mut careful, 1, &newer).await;
    assert_eq!(authorized["type"], "authorized");
    assert!(
        authorized["expires_in_ms"].as_u64() > Some(3_000_000),
        "{authorized}"
    );
    assert_eq!(careless.close_code().await, 4403);
    careful.ping().await;
}

#[tokio::test]
async fn another_subjects_token_does_not_refresh() {
    let server = server().await;
    let (mut ada, _) = bearer(&server, &token_for("ada", "blue")).await;
    let other = token_for("grace", "blue");
    let refused = authorize(&mut ada, 1, &other).await;
    assert_eq!(refused["code"], "unauthorized");
    let own = authorize(&mut ada, 100, &token_for("ada", "blue")).await;
    assert_eq!(own["type"], "authorized");
}

#[tokio::test]
async fn keys_are_replaced_while_it_runs() {
    let server = server().await;
    let (mut ada, _) = bearer(&server, &token_for("ada", "blue")).await;
    server.gateway.replace_tokens(tokens_of(OTHER_SECRET));
    let mut late = server.connect().await;
    late.send(hello(&token_for("ada", "blue"))).await;
    assert_eq!(late.close_code().await, 4403);
    let newer = signed(&claims("ada", &json!([])), OTHER_SECRET);
    bearer(&server, &newer).await;
    // Who is in stays in.
    ada.ping().await;
}

#[tokio::test]
async fn who_is_revoked_is_told_never_to_come_back() {
    let server = server().await;
    let good = token_for("ada", "blue");
    let (mut ada, _) = bearer(&server, &good).await;
    let (mut grace, _) = bearer(&server, &token_for("grace", "blue")).await;
    let meant = server.gateway.revoke(Revocation::Subject("ada".into()));
    let meant: Vec<String> = meant
        .expect("done")
        .sessions
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(meant, [ada.session.as_str()]);
    assert_eq!(ada.close_code().await, 4410);
    let again = hello(&good);
    let (status, answer) = connect(&server, &again).await;
    assert_eq!((status, &answer["closed"]["code"]), (401, &json!(4410)));
    assert_eq!(answer["messages"][0]["code"], "revoked");
    grace.ping().await;
}

/// What is logged, as it is written.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("whole").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_token_and_no_ticket_stands_in_a_log() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // All tasks of this test run on this thread.
    let _guard = tracing::subscriber::set_default(subscriber);
    let server = server().await;
    let good = token_for("ada", "blue");
    let (mut ada, welcome) = bearer(&server, &good).await;
    let (_, answer) = connect(&server, &hello(&good)).await;
    let newer = token_for("ada", "green");
    authorize(&mut ada, 1, &newer).await;
    let mut secrets = vec![good, newer];
    secrets.push(text(&welcome["token"]));
    secrets.extend(["connection", "ticket"].map(|name| text(&answer[name])));
    for (hello, _) in bad_tokens() {
        connect(&server, &hello).await;
        let token = hello["access_token"].as_str().unwrap_or_default();
        secrets.extend((token.len() > 20).then(|| token.to_owned()));
    }
    server.gateway.revoke(Revocation::Subject("ada".into()));
    assert_eq!(ada.close_code().await, 4410);
    let log = String::from_utf8(log.0.lock().expect("whole").clone()).expect("text");
    assert!(log.contains("a token is refused"), "{log}");
    for secret in secrets {
        let end = secret.rsplit('.').next().expect("a part");
        assert!(!log.contains(end), "{secret} in\n{log}");
    }
}
