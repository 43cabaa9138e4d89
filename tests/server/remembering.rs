//! What must not be forgotten when a server is killed and started again.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::post;
use crate::process::{PATIENCE, Server, peerage, run};

const CONFIGURATION: &str = "[auth]\nmode = \"token\"\nleeway = \"0s\"\n\
    secret = \"a secret of thirty-two bytes, at least\"\n";

/// The folder of a server that only lets bearers in.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("peerage.toml"), CONFIGURATION).expect("written");
        Self(folder)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn configuration(&self) -> String {
        self.file("peerage.toml").display().to_string()
    }

    fn start(&self) -> Server {
        Server::start(self.0.path(), &["--config", &self.configuration()])
    }

    /// A token of `peerage token`.
    fn token(&self, more: &[&str]) -> String {
        let file = self.configuration();
        let arguments = ["token", "--config", &file, "--room", "blue"];
        let output = run(&[&arguments[..], more].concat());
        assert!(output.status.success(), "{output:?}");
        let token = String::from_utf8(output.stdout).expect("text");
        token.trim_end().to_owned()
    }

    /// Waits until the server has written what contains `text`.
    fn wait_for(&self, name: &str, text: &str) {
        let began = Instant::now();
        let read = || std::fs::read_to_string(self.file(name)).unwrap_or_default();
        while !read().contains(text) {
            assert!(
                began.elapsed() < PATIENCE,
                "no {text} in {name}: {}",
                read()
            );
            std::thread::yield_now();
        }
    }
}

/// What is answered to who comes with a token, and perhaps with what it was told before.
fn hello(server: &Server, token: &str, former: Option<&Value>) -> Value {
    let resume =
        former.map(|told| json!({"session": told["session"], "token": told["token"], "seq": 0}));
    let hello = json!({"type": "hello", "version": 1, "access_token": token, "resume": resume});
    let (_, mut answer) = post(server.http, "/v1/connect", &hello);
    if answer["closed"].is_object() {
        return answer["closed"].take();
    }
    let welcome = answer["messages"][0].take();
    assert_eq!(welcome["type"], "welcome", "{answer}");
    welcome
}

fn revoke(server: &Server, what: &Value) {
    let (status, answer) = post(server.metrics, "/admin/revoke", what);
    assert_eq!(status, 200, "{answer}");
}

#[test]
fn a_session_that_was_revoked_does_not_come_back_after_a_kill() {
    let place = Place::new();
    let server = place.start();
    let [ada, grace] = ["ada", "grace"].map(|subject| place.token(&["--subject", subject]));
    let [of_ada, of_grace] = [&ada, &grace].map(|token| hello(&server, token, None));
    revoke(&server, &json!({"session": of_ada["session"]}));
    server.kill();
    let server = place.start();
    assert_eq!(hello(&server, &ada, Some(&of_ada))["resumed"], "none");
    let back = hello(&server, &grace, Some(&of_grace));
    assert_eq!(
        (&back["resumed"], &back["session"]),
        (&json!("restored"), &of_grace["session"])
    );
}

#[test]
fn a_subject_that_was_revoked_comes_back_with_later_tokens_and_in_new_sessions_only() {
    let place = Place::new();
    let server = place.start();
    let before = place.token(&["--subject", "ada"]);
    let ada = hello(&server, &before, None);
    revoke(&server, &json!({"subject": "ada"}));
    server.kill();
    let server = place.start();
    assert_eq!(hello(&server, &before, Some(&ada))["code"], 4410);
    let began = Instant::now();
    let anew = loop {
        let told = hello(&server, &place.token(&["--subject", "ada"]), Some(&ada));
        if told["code"].is_null() {
            break told;
        }
        assert_eq!(told["code"], 4410);
        assert!(began.elapsed() < PATIENCE, "not let in");
    };
    assert_eq!(anew["resumed"], "none");
    assert_ne!(anew["session"], ada["session"]);
}

/// A server that does not start, and says why.
fn refusal(place: &Place) -> String {
    let (state, file) = (place.0.path().display().to_string(), place.configuration());
    let mut command = peerage(&["serve", "--state-directory", &state, "--config", &file]);
    command.args(["--listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0"]);
    command.args([
        "--turn-listen",
        "udp://127.0.0.1:0",
        "--metrics-listen",
        "127.0.0.1:0",
    ]);
    let output = command.output().expect("the binary runs");
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_damaged_file_of_revocations_keeps_the_server_from_starting_and_a_torn_one_does_not() {
    let place = Place::new();
    let server = place.start();
    let ada = place.token(&["--subject", "ada"]);
    revoke(&server, &json!({"subject": "ada"}));
    server.kill();
    let whole = std::fs::read_to_string(place.file("revocations")).expect("it is there");
    write(&place.file("revocations"), &format!("{{}}\n{whole}"));
    let told = refusal(&place);
    assert!(
        told.contains("revocations: line 1 is damaged; mend it"),
        "{told}"
    );
    write(&place.file("revocations"), &format!("{whole}{{\"subj"));
    let mut server = place.start();
    assert!(
        server.log.contains("was not written to its end"),
        "{}",
        server.log
    );
    assert_eq!(hello(&server, &ada, None)["code"], 4410);
    revoke(&server, &json!({"subject": "grace"}));
    server.terminate();
    server.wait_for_log("stopped");
    let server = place.start();
    assert_eq!(hello(&server, &ada, None)["code"], 4410);
}

fn write(file: &Path, text: &str) {
    std::fs::write(file, text).expect("written");
}

#[test]
fn a_token_for_one_session_is_of_no_use_to_another_after_a_kill() {
    let place = Place::new();
    let server = place.start();
    let once = place.token(&["--subject", "guest", "--once"]);
    let guest = hello(&server, &once, None);
    assert_eq!(guest["resumed"], "none");
    assert_eq!(hello(&server, &once, None)["code"], 4403);
    place.wait_for("used-tokens", guest["session"].as_str().expect("an id"));
    server.kill();
    let mut server = place.start();
    assert_eq!(hello(&server, &once, None)["code"], 4403);
    let back = hello(&server, &once, Some(&guest));
    assert_eq!(
        (&back["resumed"], &back["session"]),
        (&json!("restored"), &guest["session"])
    );
    let other = place.token(&["--subject", "guest", "--once"]);
    let other_guest = hello(&server, &other, None);
    assert_eq!(other_guest["resumed"], "none");
    // Who stops loses nothing, however soon.
    server.terminate();
    server.wait_for_log("stopped");
    let server = place.start();
    for used in [&once, &other] {
        assert_eq!(hello(&server, used, None)["code"], 4403);
    }
}
