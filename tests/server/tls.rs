//! HTTPS and its certificates.

use std::fs;
use std::io::Write;

use crate::client::{get_by_tls, read_to_end, tls};
use crate::process::{Server, run};

#[test]
fn https_is_verified_by_the_generated_ca_and_kept_over_a_restart() {
    let state = tempfile::tempdir().expect("a folder");
    let ca = state.path().join("ca.pem");
    let server = Server::start(state.path(), &[]);
    let (answer, first) = get_by_tls(server.https, &ca, "/healthz");
    assert_eq!(answer.status, 200);
    drop(server);
    let before = fs::read(&ca).expect("readable");
    let server = Server::start(state.path(), &[]);
    let (_, again) = get_by_tls(server.https, &ca, "/healthz");
    assert_eq!(fs::read(&ca).expect("readable"), before);
    assert_eq!(first, again);
}

#[test]
fn tls_1_2_is_spoken_too() {
    let state = tempfile::tempdir().expect("a folder");
    let server = Server::start(state.path(), &[]);
    let mut stream = tls(
        server.https,
        &state.path().join("ca.pem"),
        &rustls::version::TLS12,
    );
    let request = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    stream.write_all(request).expect("sent");
    assert!(read_to_end(&mut stream).starts_with(b"HTTP/1.1 200 OK"));
}

#[test]
#[cfg(unix)]
fn keys_are_readable_by_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let state = tempfile::tempdir().expect("a folder");
    let _server = Server::start(state.path(), &[]);
    for file in ["ca-key.pem", "certificate-key.pem", "turn-secret"] {
        let metadata = fs::metadata(state.path().join(file)).expect(file);
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{file}");
    }
}

#[test]
fn the_operators_certificate_is_used_and_brings_hsts() {
    let made = tempfile::tempdir().expect("a folder");
    drop(Server::start(made.path(), &[]));
    let state = tempfile::tempdir().expect("a folder");
    let file = state.path().join("peerage.toml");
    let text = format!(
        "[http.tls]\ncertificate = \"{0}/certificate.pem\"\nkey = \"{0}/certificate-key.pem\"",
        made.path().display()
    );
    fs::write(&file, text).expect("written");
    let server = Server::start(state.path(), &["--config", file.to_str().expect("plain")]);
    let (answer, _) = get_by_tls(server.https, &made.path().join("ca.pem"), "/");
    let hsts = answer.header("strict-transport-security");
    assert_eq!(hsts, "max-age=63072000; includeSubDomains");
    assert!(!state.path().join("ca.pem").exists());
}

#[test]
fn a_renewed_certificate_is_shown_without_a_restart_and_a_wrong_one_is_not() {
    let made = ["first", "second"].map(|_| {
        let made = tempfile::tempdir().expect("a folder");
        drop(Server::start(made.path(), &[]));
        made
    });
    let state = tempfile::tempdir().expect("a folder");
    let install = |from: &std::path::Path, files: &[&str]| {
        for file in files {
            fs::copy(from.join(file), state.path().join(file)).expect("copied");
        }
    };
    let both = ["certificate.pem", "certificate-key.pem"];
    install(made[0].path(), &both);
    let file = state.path().join("peerage.toml");
    let text = "[http.tls]\ncertificate = \"certificate.pem\"\nkey = \"certificate-key.pem\"";
    fs::write(&file, text).expect("written");
    let mut server = Server::start(state.path(), &["--config", file.to_str().expect("plain")]);
    let ca = |of: usize| made[of].path().join("ca.pem");
    let (_, first) = get_by_tls(server.https, &ca(0), "/");
    // A certificate whose key has not come yet.
    install(made[1].path(), &both[..1]);
    let line = server.wait_for_log("the old one goes on");
    assert!(
        line.contains("does not belong to this certificate"),
        "{line}"
    );
    assert_eq!(get_by_tls(server.https, &ca(0), "/").1, first);
    install(made[1].path(), &both);
    server.wait_for_log("another certificate is shown");
    let (answer, second) = get_by_tls(server.https, &ca(1), "/");
    assert_eq!(answer.status, 200);
    assert_ne!(first, second);
}

#[test]
fn metrics_tell_when_the_certificate_ends() {
    let state = tempfile::tempdir().expect("a folder");
    let server = Server::start(state.path(), &[]);
    let metrics = crate::client::get(server.metrics, "/metrics").body;
    let name = "peerage_certificate_expiry_seconds ";
    let line = metrics.lines().find_map(|line| line.strip_prefix(name));
    let expiry: u64 = line.expect("there").parse().expect("a number");
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970");
    let days = (expiry - now.as_secs()) / 86_400;
    assert!((394..=396).contains(&days), "{days} days");
}

#[test]
fn a_wrong_certificate_names_the_file_and_why() {
    let made = tempfile::tempdir().expect("a folder");
    drop(Server::start(made.path(), &[]));
    let file = |name: &str| made.path().join(name).to_str().expect("plain").to_owned();
    fs::write(made.path().join("empty.pem"), "").expect("written");
    for (certificate, key, blamed, why) in [
        ("missing.pem", "ca-key.pem", "missing.pem", "No such file"),
        (
            "empty.pem",
            "ca-key.pem",
            "empty.pem",
            "there is no certificate in PEM in this file",
        ),
        (
            "certificate.pem",
            "ca.pem",
            "ca.pem",
            "there is no private key in PEM in this file",
        ),
        (
            "certificate.pem",
            "ca-key.pem",
            "certificate.pem",
            "does not belong to this certificate",
        ),
    ] {
        let config = made.path().join("peerage.toml");
        let text = format!("[http.tls]\ncertificate = \"{certificate}\"\nkey = \"{key}\"");
        fs::write(&config, text).expect("written");
        for command in ["check", "serve"] {
            let config = file("peerage.toml");
            let state = file("state");
            let mut arguments = vec![command, "--config", &config, "--state-directory", &state];
            // Free ports, so that the certificate is all that can be wrong.
            arguments.extend(["--listen=", "--metrics-listen=", "--turn-listen="]);
            arguments.push("--tls-listen=127.0.0.1:0");
            let output = run(&arguments);
            let said = String::from_utf8(output.stderr).expect("text");
            assert_eq!(output.status.code(), Some(1), "{said}");
            assert_eq!(said.lines().count(), 1, "{said}");
            let begins = format!("peerage: certificate {}: ", file(blamed));
            assert!(said.starts_with(&begins) && said.contains(why), "{said}");
        }
    }
}
