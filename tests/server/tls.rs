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
