//! What an operator takes back, from signaling through to the relay; with tokens that
//! `peerage token` has made.

use std::process::Command;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::http::post;
use crate::prober::Prober;
use crate::process::{Process, configuration};

const AUTH: &str = "[auth]\nmode = \"token\"\nsecret = \"a secret of thirty-two bytes, at least\"\nleeway = \"2s\"\n";

/// A server that only lets bearers in.
fn server(turn: &str) -> Process {
    let text = configuration(turn);
    let text = text.replacen("listen = []", "listen = [\"127.0.0.1:0\"]", 1);
    Process::start_with(&format!("{text}{AUTH}"))
}

/// A token of `peerage token`.
fn token(server: &Process, subject: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_peerage"))
        .args(["token", "--subject", subject, "--room", "blue", "--config"])
        .arg(server.file("peerage.toml"))
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{output:?}");
    let token = String::from_utf8(output.stdout).expect("text");
    token.trim_end().to_owned()
}

const JSON: &str = "content-type: application/json\r\n";

fn revoke(server: &Process, what: &Value) -> (u16, Value) {
    post(server.metrics_at, "/admin/revoke", JSON, what)
}

/// A session of this subject: its id, and its credentials for the relay.
fn credentials(server: &Process, subject: &str) -> [String; 3] {
    let hello = json!({"type": "hello", "version": 1, "access_token": token(server, subject)});
    let (status, answer) = post(server.http_at(), "/v1/connect", "", &hello);
    assert_eq!(status, 200, "{answer}");
    let welcome = &answer["messages"][0];
    let with_name = |server: &&Value| server["username"].is_string();
    let servers = welcome["ice_servers"].as_array().expect("servers");
    let turn = servers.iter().find(with_name).expect("a relay");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    [&welcome["session"], &turn["username"], &turn["credential"]].map(text)
}

/// A session of this subject: its id, and a client of the relay with its credentials.
fn session(server: &Process, subject: &str) -> (String, Prober) {
    let [session, name, password] = credentials(server, subject);
    (session, prober(server, &name, &password))
}

fn prober(server: &Process, name: &str, password: &str) -> Prober {
    let mut prober = Prober::new(server.turn);
    prober.sign_in_as(name, password);
    prober
}

/// With which code somebody who brings this token is sent away, if so.
fn close_code(server: &Process, token: &str) -> Option<u64> {
    let hello = json!({"type": "hello", "version": 1, "access_token": token});
    let (_, answer) = post(server.http_at(), "/v1/connect", "", &hello);
    answer["closed"]["code"].as_u64()
}

/// What a token of `peerage token` can be revoked by.
fn token_id(token: &str) -> String {
    let payload = token.split('.').nth(1).expect("three parts");
    let payload = URL_SAFE_NO_PAD.decode(payload).expect("base64url");
    let claims: Value = serde_json::from_slice(&payload).expect("JSON");
    claims["jti"].as_str().expect("an id").to_owned()
}

#[test]
fn what_is_revoked_relays_nothing_within_a_second_and_others_go_on() {
    let server = server("");
    let [(_, ada), (_, alan), (grace_session, grace)] =
        ["ada", "alan", "grace"].map(|subject| session(&server, subject));
    let [of_ada, of_alan, _] =
        [&ada, &alan, &grace].map(|client| client.allocate().expect("allocated"));
    for (client, peer) in [(&ada, of_alan), (&alan, of_ada)] {
        assert_eq!(client.bind_channel(0x4000, peer), Ok(()));
    }
    assert_eq!(
        revoke(&server, &json!({"subject": "ada"})),
        (200, json!({"sessions": 1}))
    );
    let took = server.wait_for_metric("peerage_turn_allocations", 2);
    assert!(took < Duration::from_secs(1), "{took:?}");
    alan.channel(0x4000, b"is anybody there?");
    assert_eq!(ada.settle(), Vec::<Vec<u8>>::new());
    assert_eq!(ada.allocate(), Err(401));
    assert_eq!((alan.refresh(600), grace.refresh(600)), (Ok(()), Ok(())));
    let answer = revoke(&server, &json!({"session": grace_session}));
    assert_eq!(answer, (200, json!({"sessions": 1})));
    server.wait_for_metric("peerage_turn_allocations", 1);
    assert_eq!(grace.allocate(), Err(401));
    assert_eq!(alan.refresh(600), Ok(()));
}

/// Tokens that are made later get their bearer in again.
fn wait_until_let_in(server: &Process, subject: &str) {
    while let Some(told) = close_code(server, &token(server, subject)) {
        assert!([4410, 4403].contains(&told), "{told}");
    }
}

#[test]
fn who_is_revoked_gets_back_in_with_a_later_token_only() {
    let server = server("");
    let (_, ada) = session(&server, "ada");
    ada.allocate().expect("allocated");
    let before = token(&server, "ada");
    assert_eq!(revoke(&server, &json!({"subject": "ada"})).0, 200);
    // The clocks of two processes may differ.
    let told = close_code(&server, &before).expect("refused");
    assert!([4410, 4403].contains(&told), "{told}");
    wait_until_let_in(&server, "ada");
}

#[test]
fn what_is_revoked_is_revoked_for_the_server_after_a_kill() {
    let server = server("");
    let [of_ada, of_grace] = ["ada", "grace"].map(|subject| credentials(&server, subject));
    let before = token(&server, "ada");
    let alan = token(&server, "alan");
    let id_of_alan = token_id(&alan);
    for what in [json!({"subject": "ada"}), json!({"token_id": id_of_alan})] {
        assert_eq!(revoke(&server, &what).0, 200);
    }
    let server = server.restart();
    assert_eq!(close_code(&server, &before), Some(4410));
    assert_eq!(close_code(&server, &alan), Some(4410));
    assert_eq!(close_code(&server, &token(&server, "alan")), None);
    let allocate = |[_, name, password]: [String; 3]| {
        let prober = prober(&server, &name, &password);
        prober.allocate().map(drop)
    };
    assert_eq!(allocate(of_ada), Err(401));
    assert_eq!(allocate(of_grace), Ok(()));
    wait_until_let_in(&server, "ada");
    let (_, anew) = session(&server, "ada");
    anew.allocate().expect("her new credentials are good");
}

#[test]
fn sessions_of_one_subject_share_its_quota() {
    let server = server("max_allocations_per_user = 2");
    let clients = ["ada", "ada", "ada", "grace"].map(|subject| session(&server, subject).1);
    let allocated = clients.map(|client| client.allocate().map(drop));
    assert_eq!(allocated, [Ok(()), Ok(()), Err(486), Ok(())]);
}

#[test]
fn only_the_operator_revokes() {
    let server = server("");
    let what = json!({"subject": "ada"});
    let at = server.metrics_at;
    let from_a_page = format!("{JSON}origin: http://{at}\r\n");
    for (headers, what, status) in [
        (from_a_page.as_str(), &what, 403),
        ("", &what, 415),
        ("content-type: text/plain\r\n", &what, 415),
        (JSON, &json!({}), 400),
        (JSON, &json!({"session": "ada"}), 400),
        (JSON, &json!({"subject": "x".repeat(5_000)}), 413),
    ] {
        assert_eq!(
            post(at, "/admin/revoke", headers, what).0,
            status,
            "{headers}"
        );
    }
    let (public, _) = post(server.http_at(), "/admin/revoke", JSON, &what);
    assert!([404, 405].contains(&public), "{public}");
}
