//! What the configuration allows, and what is said when it does not.

use std::fs;
use std::path::Path;

use crate::process::{Server, peerage, run};

/// What `check` says on stderr about a file of this text; it must be one line and status 1.
#[track_caller]
fn refused(text: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("peerage.toml");
    fs::write(&file, text).expect("written");
    let output = run(&["check", "--config", file.to_str().expect("plain")]);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(output.stdout.is_empty(), "{text}");
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!(said.lines().count(), 1, "{said}");
    let folder = format!("{}/", folder.path().display());
    said.trim_end().replace(&folder, "")
}

/// Files and what is said about them.
const WRONG: &[(&str, &str)] = &[
    (
        "[http]\nlisten = [\"localhost\"]",
        r#"http.listen = "localhost": must be a list, and each of it an IP address and a port such as "127.0.0.1:8080" or "[::]:8080" (peerage.toml line 2)"#,
    ),
    (
        "[turn]\nrelm = \"x\"",
        "turn.relm: no such key; did you mean turn.realm? (peerage.toml line 2)",
    ),
    (
        "\n[tern]\nrealm = \"x\"",
        "tern: no such key; `peerage check` lists those that exist (peerage.toml line 2)",
    ),
    (
        "[turn]\nlisten = [\"sctp://0.0.0.0:3478\"]",
        r#"turn.listen = "sctp://0.0.0.0:3478": must be a list, and each of it a listener such as "udp://0.0.0.0:3478", "tls://[::]:5349" or "dtls://0.0.0.0:5349" (peerage.toml line 2)"#,
    ),
    (
        "[turn]\nrelay_ports = \"9-1\"",
        r#"turn.relay_ports = "9-1": must be a range of ports such as "49152-65535", the first above 0 and not above the last, or "none" (peerage.toml line 2)"#,
    ),
    (
        "[turn]\nallow_peers = [\"10.0.0.1/8\"]",
        r#"turn.allow_peers = "10.0.0.1/8": must be a list, and each of it an address range such as "10.0.0.0/8" or "fd00::/8", with no bits set beyond the prefix (peerage.toml line 2)"#,
    ),
    (
        "[turn]\nallow_peers = [\"10.0.0.0/8\", \"224.0.0.0/4\"]",
        r#"turn.allow_peers = ["10.0.0.0/8", "224.0.0.0/4"]: 224.0.0.0/4 can have no effect: 0.0.0.0/8, [::], multicast, broadcast, Teredo and 6to4 are never peers (peerage.toml line 2)"#,
    ),
    (
        "[turn]\nallow_peers = [\"::ffff:10.0.0.0/104\"]",
        r#"turn.allow_peers = ["::ffff:10.0.0.0/104"]: ::ffff:10.0.0.0/104 can have no effect: such addresses are judged as the IPv4 addresses in them; allow those (peerage.toml line 2)"#,
    ),
    (
        "[turn]\nrelay_addresses = [\"10.0.0.1\"]\nexternal_addresses = [\"2001:db8::1\"]",
        r#"turn.external_addresses = ["2001:db8::1"]: 2001:db8::1 has no partner of its family in turn.relay_addresses (peerage.toml line 3)"#,
    ),
    (
        "[turn]\nnat_discovery_alternate = \"203.0.113.8\"",
        r#"turn.nat_discovery_alternate = "203.0.113.8": must be an IP address of this machine and a port such as "203.0.113.8:3479", or "" for none (peerage.toml line 2)"#,
    ),
    (
        "[turn]\nnat_discovery_alternate = \"203.0.113.8:3479\"",
        r#"turn.nat_discovery_alternate = "203.0.113.8:3479": needs a udp:// listener in turn.listen at one address of the same family (not 0.0.0.0 or [::]), with another address and another port than this (peerage.toml line 2)"#,
    ),
    (
        "[turn]\nlisten = [\"udp://203.0.113.7:3479\", \"udp://203.0.113.8:3478\", \"udp://[2001:db8::1]:3478\", \"tcp://203.0.113.7:3478\"]\nnat_discovery_alternate = \"203.0.113.8:3479\"",
        r#"turn.nat_discovery_alternate = "203.0.113.8:3479": needs a udp:// listener in turn.listen at one address of the same family (not 0.0.0.0 or [::]), with another address and another port than this (peerage.toml line 3)"#,
    ),
    (
        "[turn]\nlisten = [\"udp://203.0.113.7:3478\", \"udp://0.0.0.0:3479\"]\nnat_discovery_alternate = \"203.0.113.8:3479\"",
        r#"turn.nat_discovery_alternate = "203.0.113.8:3479": udp://0.0.0.0:3479 in turn.listen takes what comes to the port (peerage.toml line 3)"#,
    ),
    (
        "[turn]\nlisten = [\"udp://10.0.0.5:3478\"]\nrelay_addresses = [\"10.0.0.5\"]\nexternal_addresses = [\"203.0.113.7\"]\nnat_discovery_alternate = \"10.0.0.6:3479\"",
        r#"turn.nat_discovery_alternate = "10.0.0.6:3479": needs two addresses that the machine has itself, and turn.external_addresses says that it is behind a NAT (peerage.toml line 5)"#,
    ),
    (
        "[turn]\nrelay_ports = \"none\"\ntcp_relay = true",
        r#"turn.tcp_relay = true: must be false where turn.relay_ports is "none" (peerage.toml line 3)"#,
    ),
    (
        "[turn]\npeer_connections = 0",
        "turn.peer_connections = 0: must be a whole number from 1 to 1000000 (peerage.toml line 2)",
    ),
    (
        "[turn]\nsecret = 5",
        "turn.secret: must be a string that is not empty, or a list of such (peerage.toml line 2)",
    ),
    (
        "[turn]\nsecret = []",
        "turn.secret: must be a string that is not empty, or a list of such (peerage.toml line 2)",
    ),
    (
        "[turn]\nsecret = [\"a\", \"\"]",
        "turn.secret: must be a string that is not empty, or a list of such (peerage.toml line 2)",
    ),
    (
        "[turn]\nsecret = [\"a\", \"b\", \"c\", \"d\", \"e\"]",
        "turn.secret: must be at most 4 secrets (peerage.toml line 2)",
    ),
    (
        "[turn.token_keys]\nnorth = \"c2hvcnQ=\"",
        "turn.token_keys: must be a table of key ids and keys, each key 16 or 32 bytes in base64 (peerage.toml line 1)",
    ),
    (
        "[turn]\nrealm = \"a\\u0007b\"",
        "turn.realm = \"a\\u{7}b\": must be 1 to 127 bytes, without quotes and control characters (peerage.toml line 2)",
    ),
    (
        "[turn.users]\nalice = 5",
        r#"turn.users: must be a table of names and passwords, none of them empty (in a variable: "name=password,…") (peerage.toml line 1)"#,
    ),
    (
        "[auth]\nmode = \"token\"",
        r#"auth.mode = "token": needs a key beside it: auth.secret, auth.public_keys or auth.jwks (peerage.toml line 2)"#,
    ),
    (
        "[auth]\nmode = \"closed\"",
        r#"auth.mode = "closed": must be "open" or "token" (peerage.toml line 2)"#,
    ),
    (
        "[auth]\nsecret = \"too short\"",
        "auth.secret: must be at most 4 secrets, each of at least 32 bytes (peerage.toml line 2)",
    ),
    (
        "[auth]\naudience = \"\"",
        r#"auth.audience = "": must be a string that is not empty (peerage.toml line 2)"#,
    ),
    (
        "[auth]\nleeway = \"1h\"",
        r#"auth.leeway = "1h": must be from "0s" to "600s" (peerage.toml line 2)"#,
    ),
    (
        "[auth]\njwks = \"peerage.toml\"",
        r#"auth.jwks = "peerage.toml": peerage.toml: not a JSON Web Key Set ({"keys": […]}) (peerage.toml line 2)"#,
    ),
    (
        "[auth]\npublic_keys = [\"peerage.toml\"]",
        r#"auth.public_keys = ["peerage.toml"]: peerage.toml: not a public key in PEM (BEGIN PUBLIC KEY) (peerage.toml line 2)"#,
    ),
    (
        "[cluster]\nbus = \"redis://u:hush@h\"",
        r#"cluster.bus: not available in this version; use "local" (peerage.toml line 2)"#,
    ),
    (
        "[http]\nallowed_origins = [\"https://a.example/\"]",
        r#"http.allowed_origins = "https://a.example/": must be a list, and each of it an origin such as "https://app.example.org" (lower case, no path), or "*" for all (peerage.toml line 2)"#,
    ),
    (
        "[signal]\nroom_members = 0",
        "signal.room_members = 0: must be a whole number from 1 to 1024 (peerage.toml line 2)",
    ),
    (
        "[signal]\nconnect_rate = 1000001",
        "signal.connect_rate = 1000001: must be a whole number from 0 (no limit) to 1000000 (peerage.toml line 2)",
    ),
    (
        "[signal]\nsession_rate = 1000001",
        "signal.session_rate = 1000001: must be a whole number from 0 (no limit) to 1000000 (peerage.toml line 2)",
    ),
    (
        "[signal]\nmax_delay = \"61s\"",
        r#"signal.max_delay = "61s": must be from "0s" (no limit) to "60s" (peerage.toml line 2)"#,
    ),
    (
        "[turn]\npeer_policy = \"rooms\"",
        r#"turn.peer_policy = "rooms": must be "any" or "room" (peerage.toml line 2)"#,
    ),
    (
        "[signal]\nduplicates = \"maybe\"",
        r#"signal.duplicates = "maybe": must be "allow", "replace" or "reject" (peerage.toml line 2)"#,
    ),
    (
        "[signal]\nresume_window = 60",
        r#"signal.resume_window = 60: must be a time such as "500ms", "60s", "10m" or "24h" (peerage.toml line 2)"#,
    ),
    (
        "[metrics]\nlisten = [\"0.0.0.0:9090\"]",
        r#"metrics.listen = ["0.0.0.0:9090"]: must be loopback addresses such as "127.0.0.1:9090", unless metrics.token is set (peerage.toml line 2)"#,
    ),
    (
        "[http.tls]\ncertificate = \"a.pem\"",
        r#"http.tls.certificate = "a.pem": needs http.tls.key beside it (peerage.toml line 2)"#,
    ),
    (
        "[http]\nweb_root = \"missing\"",
        r#"http.web_root = "missing": must be a folder that exists (peerage.toml line 2)"#,
    ),
    (
        "http = 5",
        "http: no such key; `peerage check` lists those that exist (peerage.toml line 1)",
    ),
];

#[test]
fn an_error_names_key_value_what_is_allowed_and_the_line() {
    for (text, expected) in WRONG {
        assert_eq!(refused(text), format!("peerage: {expected}"), "{text}");
    }
    let said = refused("[turn\n");
    assert!(
        said.starts_with("peerage: not TOML: ") && said.ends_with("line 1)"),
        "{said}"
    );
}

#[test]
fn an_unknown_variable_is_an_error_with_a_suggestion() {
    let output = peerage(&["check"]).env("PEERAGE_TURN_RELM", "x").output();
    let said = String::from_utf8(output.expect("runs").stderr).expect("text");
    let expected = "peerage: PEERAGE_TURN_RELM: no such variable; did you mean PEERAGE_TURN_REALM? \
                    (variable PEERAGE_TURN_RELM)\n";
    assert_eq!(said, expected);
}

#[test]
fn flags_win_over_variables_and_variables_over_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("peerage.toml");
    let text = "log_level = \"warn\"\n[http]\nlisten = [\"127.0.0.1:1\"]\n[turn]\nrealm = \"file\"";
    fs::write(&file, text).expect("written");
    let output = peerage(&["check", "--log-level", "error"])
        .env("PEERAGE_CONFIG", &file)
        .env("PEERAGE_LOG_LEVEL", "debug")
        .env("PEERAGE_HTTP_LISTEN", "127.0.0.1:2, [::1]:2")
        .output()
        .expect("runs");
    let said = String::from_utf8(output.stdout).expect("text");
    for line in [
        "log_level = \"error\"  # flag --log-level",
        "listen = [\"127.0.0.1:2\", \"[::1]:2\"]  # variable PEERAGE_HTTP_LISTEN",
        &format!("realm = \"file\"  # {} line 5", file.display()),
        "relay_ports = \"49152-65535\"  # default",
    ] {
        assert!(
            said.lines().any(|said| said == line),
            "no {line:?} in\n{said}"
        );
    }
}

#[test]
fn tls_and_dtls_are_served_on_port_5349_by_default() {
    let said = String::from_utf8(run(&["check"]).stdout).expect("text");
    for listener in ["\"tls://0.0.0.0:5349\"", "\"dtls://0.0.0.0:5349\""] {
        assert!(said.contains(listener), "{said}");
    }
}

#[test]
fn check_tells_of_a_key_that_dtls_cannot_be_spoken_with() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).expect("a key");
    let params = rcgen::CertificateParams::new(["localhost".to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("signed");
    let files = [
        ("certificate.pem", certificate.pem()),
        ("key.pem", key.serialize_pem()),
    ];
    for (name, pem) in files {
        fs::write(folder.path().join(name), pem).expect("written");
    }
    let file = folder.path().join("peerage.toml");
    let check = |listen: &str| {
        let text = format!(
            "[http.tls]\ncertificate = \"certificate.pem\"\nkey = \"key.pem\"\n[turn]\n{listen}"
        );
        fs::write(&file, text).expect("written");
        let output = run(&["check", "--config", file.to_str().expect("plain")]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stderr).expect("text")
    };
    let said = check("listen = [\"udp://0.0.0.0:3478\", \"dtls://0.0.0.0:5349\"]");
    let begins =
        "warning: turn.listen: dtls://0.0.0.0:5349 left out, since the key in http.tls.key";
    assert!(said.starts_with(begins), "{said}");
    assert_eq!(check("listen = [\"tls://0.0.0.0:5349\"]"), "");
}

#[test]
fn what_check_prints_is_a_configuration() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("printed.toml");
    let first = run(&["check"]);
    fs::write(&file, &first.stdout).expect("written");
    let second = run(&["check", "--config", file.to_str().expect("plain")]);
    assert_eq!(second.status.code(), Some(0), "{second:?}");
}

const SECRETS: [&str; 6] = [
    "hush-shared",
    "hush-older",
    "hush-alice",
    "hush-bob",
    "hush-metrics",
    "hush-tokens",
];

#[test]
fn secrets_show_in_neither_check_nor_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("peerage.toml");
    let text = "[turn]\nsecret = [\"hush-shared\", \"hush-older\"]\n[turn.users]\nalice = \"hush-alice\"\n\
                bob = \"hush-bob\"\n[metrics]\ntoken = \"hush-metrics\"\n\
                [auth]\nmode = \"token\"\nsecret = \"hush-tokens, at least thirty-two bytes\"\n";
    fs::write(&file, text).expect("written");
    let file = file.to_str().expect("plain");
    let check = run(&["check", "--config", file]);
    let shown = String::from_utf8(check.stdout).expect("text");
    assert!(
        shown.contains("secret = [\"(redacted)\", \"(redacted)\"]"),
        "{shown}"
    );
    assert!(
        shown.contains("users = {\"alice\" = \"(redacted)\", "),
        "{shown}"
    );
    let server = Server::start(folder.path(), &["--config", file, "--log-level", "trace"]);
    server.terminate();
    let (_, stdout, log) = server.wait();
    for secret in SECRETS {
        for (where_, text) in [("check", &shown), ("stdout", &stdout), ("log", &log)] {
            assert!(!text.contains(secret), "{secret} in {where_}:\n{text}");
        }
    }
}

#[test]
fn the_generated_secret_is_kept_and_not_shown() {
    let state = tempfile::tempdir().expect("a folder");
    let kept = |state: &Path| fs::read_to_string(state.join("turn-secret")).expect("kept");
    let server = Server::start(state.path(), &["--log-level", "trace"]);
    let first = kept(state.path());
    server.terminate();
    let (_, stdout, log) = server.wait();
    assert!(!stdout.contains(first.trim()) && !log.contains(first.trim()));
    let _again = Server::start(state.path(), &[]);
    assert_eq!(kept(state.path()), first);
}
