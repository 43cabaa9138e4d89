//! Keys of access tokens that are fetched from an authorization server.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{CertificateParams, Issuer, KeyPair, PKCS_ED25519};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{get, post};
use crate::process::{PATIENCE, Server, run};

/// An authorization server: one path under HTTPS, with a certificate of its own CA.
struct Authority {
    address: SocketAddr,
    /// The CA's certificate in PEM.
    ca: String,
    /// The set; `None` is answered by 503.
    set: Arc<Mutex<Option<String>>>,
    asked: Arc<AtomicU64>,
}

impl Authority {
    fn start() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        let name = rcgen::DnType::CommonName;
        params.distinguished_name.push(name, "an authority");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca_key = KeyPair::generate().expect("a key");
        let ca = params.self_signed(&ca_key).expect("signed");
        let issuer = Issuer::new(params, ca_key);
        let key = KeyPair::generate().expect("a key");
        let leaf = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        let leaf = leaf.signed_by(&key, &issuer).expect("signed");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .expect("a certificate");
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let authority = Self {
            address: listener.local_addr().expect("bound"),
            ca: ca.pem(),
            set: Arc::default(),
            asked: Arc::default(),
        };
        let (set, asked) = (Arc::clone(&authority.set), Arc::clone(&authority.asked));
        let config = Arc::new(config);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                asked.fetch_add(1, Ordering::Relaxed);
                let set = set.lock().expect("whole").clone();
                // Whoever does not trust this certificate is gone by now.
                let _ = answer(stream, &config, set);
            }
        });
        authority
    }

    fn publish(&self, keys: &[&Key]) {
        let keys: Vec<_> = keys.iter().map(|key| key.public()).collect();
        *self.set.lock().expect("whole") = Some(json!({"keys": keys}).to_string());
    }

    fn fail(&self) {
        *self.set.lock().expect("whole") = None;
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }
}

fn answer(
    stream: TcpStream,
    config: &Arc<ServerConfig>,
    set: Option<String>,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let session = ServerConnection::new(Arc::clone(config)).expect("a session");
    let mut stream = StreamOwned::new(session, stream);
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    let is_right = request.starts_with(b"GET /keys?of=calls HTTP/1.1\r\n");
    let (status, body) = match set {
        Some(set) if is_right => ("200 OK", set),
        Some(_) => ("404 Not Found", String::new()),
        None => ("503 Service Unavailable", String::new()),
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}"
    )?;
    stream.conn.send_close_notify();
    stream.flush()
}

/// What tokens are signed with.
struct Key {
    id: &'static str,
    pair: KeyPair,
    file: PathBuf,
}

impl Key {
    fn new(id: &'static str, folder: &TempDir) -> Self {
        let pair = KeyPair::generate_for(&PKCS_ED25519).expect("a key");
        let file = folder.path().join(id);
        std::fs::write(&file, pair.serialize_pem()).expect("written");
        Self { id, pair, file }
    }

    fn public(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.pair.public_key_raw());
        json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": self.id, "x": x})
    }

    fn token(&self) -> String {
        let file = self.file.to_str().expect("a plain path");
        let output = run(&[
            "token",
            "--subject",
            "ada",
            "--room",
            "blue",
            "--key",
            file,
            "--key-id",
            self.id,
        ]);
        assert!(output.status.success(), "{output:?}");
        let token = String::from_utf8(output.stdout).expect("text");
        token.trim_end().to_owned()
    }
}

/// A server that fetches its keys there.
fn server(folder: &TempDir, authority: &Authority, ca: &str) -> Server {
    std::fs::write(folder.path().join("authority.pem"), ca).expect("written");
    let port = authority.address.port();
    let text = format!(
        "[auth]\nmode = \"token\"\njwks = \"https://localhost:{port}/keys?of=calls\"\n\
         jwks_ca = \"authority.pem\"\n"
    );
    let file = folder.path().join("peerage.toml");
    std::fs::write(&file, text).expect("written");
    let file = file.display().to_string();
    Server::start(folder.path(), &["--config", &file])
}

/// How somebody who comes with this token is sent away; `null` if not at all.
fn refusal(server: &Server, token: &str) -> Value {
    let hello = json!({"type": "hello", "version": 1, "access_token": token});
    let (_, mut answer) = post(server.http, "/v1/connect", &hello);
    answer["closed"].take()
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "{what} does not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn metric(server: &Server, name: &str) -> u64 {
    let text = get(server.metrics, "/metrics").body;
    let line = text.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
    value.unwrap_or_else(|| panic!("no {name} in {text}"))
}

#[test]
fn keys_are_fetched_and_followed_and_what_is_there_survives_the_authority() {
    let folder = tempfile::tempdir().expect("a folder");
    let [north, south, stranger] = ["north", "south", "stranger"].map(|id| Key::new(id, &folder));
    let [of_north, of_south, of_stranger] = [&north, &south, &stranger].map(Key::token);
    let authority = Authority::start();
    let server = server(&folder, &authority, &authority.ca);
    // There are no keys yet: nobody can say anything about a token.
    let ready = get(server.http, "/readyz");
    assert_eq!(
        (ready.status, ready.body.contains("auth.jwks")),
        (503, true)
    );
    let told = refusal(&server, &of_north);
    assert_eq!(
        (&told["code"], &told["advice"]),
        (&json!(4503), &json!("retry"))
    );
    assert!(told["after_ms"].as_u64() >= Some(1_000), "{told}");
    authority.publish(&[&north]);
    wait_until("the first set", || {
        get(server.http, "/readyz").status == 200
    });
    assert_eq!(refusal(&server, &of_north), Value::Null);
    assert!(metric(&server, "peerage_key_set_fetched_seconds") > 1_700_000_000);
    // Tokens of a key that is not there are a reason to ask again, now and then.
    authority.publish(&[&south]);
    let (began, before) = (Instant::now(), authority.asked());
    wait_until("the next key", || {
        assert_eq!(refusal(&server, &of_stranger)["code"], 4403);
        refusal(&server, &of_south).is_null()
    });
    let asked = authority.asked() - before;
    assert!(
        (1..=began.elapsed().as_secs() / 5 + 2).contains(&asked),
        "{asked}"
    );
    assert_eq!(refusal(&server, &of_north)["code"], 4403, "its key is gone");
    authority.fail();
    let failures = metric(&server, "peerage_key_set_fetch_failures");
    wait_until("a failure", || {
        assert_eq!(refusal(&server, &of_stranger)["code"], 4403);
        metric(&server, "peerage_key_set_fetch_failures") > failures
    });
    assert_eq!(refusal(&server, &of_south), Value::Null);
    assert_eq!(get(server.http, "/readyz").status, 200);
}

#[test]
fn nobody_but_the_named_authority_can_stand_in_for_the_place_of_the_keys() {
    let folder = tempfile::tempdir().expect("a folder");
    let north = Key::new("north", &folder);
    let (authority, other) = (Authority::start(), Authority::start());
    authority.publish(&[&north]);
    let mut server = server(&folder, &authority, &other.ca);
    // It may have been tried before the server was ready.
    if !server.log.contains("no keys from") {
        server.wait_for_log("no keys from");
    }
    assert!(
        server.log.contains("invalid peer certificate"),
        "{}",
        server.log
    );
    assert_eq!(refusal(&server, &north.token())["code"], 4503);
    assert_eq!(get(server.http, "/readyz").status, 503);
}
