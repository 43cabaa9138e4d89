//! What `peerage token` makes lets its bearer in where the server knows the key, and nobody else:
//! access tokens signed with private keys that OpenSSL has made, and credentials of the relay.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::http::post;
use crate::prober::Prober;
use crate::process::{Process, configuration};

/// Kinds of keys, and how OpenSSL is asked for one.
const KINDS: [(&str, &[&str]); 3] = [
    ("ed25519", &["-algorithm", "ed25519"]),
    (
        "p256",
        &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    ),
    (
        "rsa",
        &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    ),
];

/// Has OpenSSL write a file; gives where.
fn openssl(folder: &Path, name: &str, arguments: &[&str]) -> PathBuf {
    let file = folder.join(name);
    let mut command = Command::new("openssl");
    let made = command.args(arguments).arg("-out").arg(&file).output();
    let made = made.expect("tests/install-packages.sh installs openssl");
    assert!(made.status.success(), "{made:?}");
    file
}

fn private_key(folder: &Path, name: &str, kind: &[&str]) -> PathBuf {
    openssl(folder, name, &[&["genpkey"], kind].concat())
}

/// The key in another form.
fn converted(folder: &Path, name: &str, command: &[&str], key: &Path) -> PathBuf {
    let key = key.to_str().expect("a plain path");
    openssl(folder, name, &[command, &["-in", key]].concat())
}

fn peerage(server: &Process, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_peerage"));
    command.args(arguments).arg("--config");
    let output = command.arg(server.file("peerage.toml")).output();
    output.expect("it runs")
}

fn text(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    text.trim_end().to_owned()
}

/// Makes a token with this key.
fn token(server: &Process, key: &Path) -> Output {
    let key = key.to_str().expect("a plain path");
    let ada = ["token", "--subject", "ada", "--room", "blue", "--key", key];
    peerage(server, &ada)
}

/// A server that only lets in who shows a token signed by one of these keys.
fn server(public_keys: &[PathBuf]) -> Process {
    let text = configuration("").replacen("listen = []", "listen = [\"127.0.0.1:0\"]", 1);
    let text = format!("{text}[auth]\nmode = \"token\"\npublic_keys = {public_keys:?}\n");
    Process::start_with(&text)
}

/// How the server answers to a token.
fn answer(server: &Process, token: &str) -> (u16, Value) {
    let hello = json!({"type": "hello", "version": 1, "access_token": token});
    post(server.http_at(), "/v1/connect", "", &hello)
}

#[test]
fn a_private_key_in_pem_signs_for_who_knows_its_public_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let keys = KINDS.map(|(kind, ask)| private_key(folder, kind, ask));
    let public = |key: &PathBuf| {
        let name = format!("{}.public", key.display());
        converted(folder, &name, &["pkey", "-pubout"], key)
    };
    let server = server(&keys.each_ref().map(public));
    let older_forms = [
        converted(folder, "sec1", &["ec"], &keys[1]),
        converted(folder, "pkcs1", &["rsa", "-traditional"], &keys[2]),
    ];
    for (file, begin) in older_forms.iter().zip(["EC", "RSA"]) {
        let pem = std::fs::read_to_string(file).expect("written");
        let begin = format!("-----BEGIN {begin} PRIVATE KEY-----");
        assert!(pem.starts_with(&begin), "{pem}");
    }
    for key in keys.iter().chain(&older_forms) {
        let token = text(token(&server, key));
        let (status, answer) = answer(&server, &token);
        assert_eq!(status, 200, "{}: {answer}", key.display());
        assert_eq!(answer["messages"][0]["type"], "welcome");
    }
    for (kind, ask) in KINDS {
        let other = private_key(folder, &format!("other-{kind}"), ask);
        let token = text(token(&server, &other));
        let (status, answer) = answer(&server, &token);
        assert_eq!(status, 401, "{kind}: {answer}");
        assert_eq!(answer["messages"][0]["code"], "unauthorized", "{kind}");
    }
}

#[test]
fn a_key_that_no_server_would_take_signs_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let weak = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"];
    let p384 = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"];
    let good = private_key(folder, "good", KINDS[0].1);
    let public = converted(folder, "public", &["pkey", "-pubout"], &good);
    let keys = [
        private_key(folder, "weak", &weak),
        private_key(folder, "p384", &p384),
        public.clone(),
        folder.join("nowhere"),
    ];
    let server = server(&[public]);
    for key in keys {
        let output = token(&server, &key);
        assert!(!output.status.success(), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        let told = String::from_utf8(output.stderr).expect("text");
        let named = format!("--key {}", key.display());
        assert!(told.contains(&named), "{told}");
    }
}

#[test]
fn credentials_of_the_relay_are_taken_by_the_server_that_they_are_made_for() {
    for turn in ["", "secret = \"a secret that operators have chosen\""] {
        let server = Process::start(turn);
        let minted = peerage(
            &server,
            &["token", "turn", "--name", "ada", "--expires", "10m"],
        );
        let minted: Value = serde_json::from_str(&text(minted)).expect("JSON");
        let [username, credential] =
            ["username", "credential"].map(|name| minted[name].as_str().expect("text").to_owned());
        assert!(username.ends_with(":ada"), "{username}");
        let mut ada = Prober::new(server.turn);
        ada.sign_in_as(&username, &credential);
        ada.allocate().expect("allocated");
        let mut mallory = Prober::new(server.turn);
        mallory.sign_in_as(&username.replace("ada", "eve"), &credential);
        assert_eq!(mallory.allocate(), Err(401));
    }
}
