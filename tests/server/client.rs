//! An HTTP client that sends exactly what it is told.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;

use crate::process::PATIENCE;

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let status = status.and_then(|status| status.parse().ok());
        let header = |line: &str| {
            let (name, value) = line.split_once(": ")?;
            Some((name.to_lowercase(), value.to_owned()))
        };
        Self {
            status: status.unwrap_or_else(|| panic!("no answer: {text:?}")),
            headers: lines.filter_map(header).collect(),
            body: body.to_owned(),
        }
    }

    /// The value of a header, empty if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map_or("", |(_, value)| value)
    }
}

pub(crate) fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).expect("the server listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    stream
}

/// Reads until the server closes. That it resets instead is an end too.
pub(crate) fn read_to_end(stream: &mut impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Err(error) = stream.read_to_end(&mut bytes) {
        assert_ne!(
            error.kind(),
            std::io::ErrorKind::WouldBlock,
            "no end in sight"
        );
    }
    bytes
}

fn exchange(stream: impl Read + Write, method: &str, path: &str, headers: &str) -> Answer {
    exchange_with(stream, method, path, headers, "")
}

fn exchange_with(
    mut stream: impl Read + Write,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> Answer {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n{body}"
    );
    // A server that has heard enough answers and closes before it has everything.
    match stream.write_all(request.as_bytes()) {
        Err(error)
            if !matches!(
                error.kind(),
                ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
            ) =>
        {
            panic!("not sent: {error}")
        }
        _ => {}
    }
    Answer::parse(&read_to_end(&mut stream))
}

/// A request over plain HTTP; `headers` end with CRLF each.
pub(crate) fn request(to: SocketAddr, method: &str, path: &str, headers: &str) -> Answer {
    exchange(connect(to), method, path, headers)
}

/// The same, with a body.
pub(crate) fn ask(to: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> Answer {
    let length = body.len();
    let headers = format!("{headers}Content-Length: {length}\r\n");
    exchange_with(connect(to), method, path, &headers, body)
}

/// The status of the answer to JSON that is posted, and its body.
pub(crate) fn post(to: SocketAddr, path: &str, body: &Value) -> (u16, Value) {
    let kind = "Content-Type: application/json\r\n";
    let answer = ask(to, "POST", path, kind, &body.to_string());
    let body = serde_json::from_str(&answer.body).unwrap_or_default();
    (answer.status, body)
}

pub(crate) fn get(to: SocketAddr, path: &str) -> Answer {
    request(to, "GET", path, "")
}

/// A TLS connection to `localhost` that trusts this CA and nothing else.
pub(crate) fn tls(
    to: SocketAddr,
    ca: &Path,
    version: &'static rustls::SupportedProtocolVersion,
) -> StreamOwned<ClientConnection, TcpStream> {
    tls_with(to, ca, version, &[])
}

/// The same, and the client names what it speaks.
pub(crate) fn tls_with(
    to: SocketAddr,
    ca: &Path,
    version: &'static rustls::SupportedProtocolVersion,
    protocols: &[&str],
) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_file(ca).expect("a certificate");
    roots.add(ca).expect("a CA");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .expect("a version")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    let name = ServerName::try_from("localhost").expect("a name");
    let session = ClientConnection::new(Arc::new(config), name).expect("a session");
    StreamOwned::new(session, connect(to))
}

/// A GET over HTTPS, and the certificate that the server showed.
pub(crate) fn get_by_tls(to: SocketAddr, ca: &Path, path: &str) -> (Answer, Vec<u8>) {
    let mut stream = tls(to, ca, &rustls::version::TLS13);
    let answer = exchange(&mut stream, "GET", path, "");
    let shown = stream.conn.peer_certificates().expect("shaken hands");
    (answer, shown[0].to_vec())
}
