//! What the application decides.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper::Uri;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::error::ClientError;
use super::request::AccessToken;

/// What carries a session. A session may move from any one to any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// A WebSocket.
    WebSocket,
    /// A stream of Server-Sent Events, and requests to send.
    Events,
    /// Requests that the server holds, and requests to send.
    HeldPoll,
    /// Requests now and then.
    Poll,
}

impl Transport {
    /// All, the best first.
    pub const ALL: [Self; 4] = [Self::WebSocket, Self::Events, Self::HeldPoll, Self::Poll];
}

/// Whose certificate the server may show.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Trust {
    /// Nobody's: TLS is not used.
    Nobody,
    /// One that these authorities have signed.
    Authorities(Arc<[CertificateDer<'static>]>),
    /// Anybody's. Whoever is between can read and change everything: for tests.
    Anybody,
}

impl Trust {
    /// Reads the certificates of authorities from a PEM file.
    ///
    /// # Errors
    /// If it cannot be read or has no certificate in it.
    pub fn authorities(file: &Path) -> Result<Self, ClientError> {
        let text = |error: &dyn std::fmt::Display| {
            ClientError(format!(
                "cannot read certificates of {}: {error}",
                file.display()
            ))
        };
        let found = CertificateDer::pem_file_iter(file).map_err(|error| text(&error))?;
        let found: Result<Vec<_>, _> = found.collect();
        let found = found.map_err(|error| text(&error))?;
        if found.is_empty() {
            return Err(text(&"there is none"));
        }
        Ok(Self::Authorities(found.into()))
    }
}

/// What the application decides.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// What the client says it is, for the server's log; at most 128 bytes. `peerage/` and the
    /// version.
    pub name: Box<str>,
    /// What to carry the session by. The first that comes through stays until it fails. All.
    pub transports: Vec<Transport>,
    /// Whose certificate the server may show. Nobody's.
    pub trust: Trust,
    /// What a server in token mode lets this client in by. None.
    pub access_token: Option<AccessToken>,
    /// How many requests may wait for the server or for a receipt. 128: a server keeps twice as
    /// many messages for an addressee that is away.
    pub outbox: usize,
    /// The bound of the first wait before connecting again. 500 ms.
    pub backoff_base: Duration,
    /// The bound that no wait exceeds. 30 s.
    pub backoff_ceiling: Duration,
    /// How often to ask by [`Transport::Poll`]. As the server says.
    pub poll_interval: Option<Duration>,
    pub(super) place: Place,
}

/// Where the server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) is_secure: bool,
    pub(super) host: Box<str>,
    pub(super) port: u16,
    /// What the paths begin with, such as `/v1`.
    pub(super) prefix: Box<str>,
}

impl Settings {
    /// Settings for the server whose WebSocket is at `url`, such as
    /// `wss://call.example/v1/ws`.
    ///
    /// # Errors
    /// If it is no such URL.
    pub fn new(url: &str) -> Result<Self, ClientError> {
        Ok(Self {
            name: concat!("peerage/", env!("CARGO_PKG_VERSION")).into(),
            transports: Transport::ALL.to_vec(),
            trust: Trust::Nobody,
            access_token: None,
            outbox: 128,
            backoff_base: Duration::from_millis(500),
            backoff_ceiling: Duration::from_secs(30),
            poll_interval: None,
            place: Place::new(url)?,
        })
    }
}

impl Place {
    fn new(url: &str) -> Result<Self, ClientError> {
        let wrong = || ClientError(format!("{url:?}: must be ws://HOST:PORT/v1/ws or wss://…"));
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let is_secure = match uri.scheme_str() {
            Some("ws") => false,
            Some("wss") => true,
            _ => return Err(wrong()),
        };
        let prefix = uri.path().strip_suffix("/ws").ok_or_else(wrong)?;
        let host = uri.host().filter(|host| !host.is_empty());
        Ok(Self {
            is_secure,
            host: host.ok_or_else(wrong)?.into(),
            port: uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 }),
            prefix: prefix.into(),
        })
    }

    /// Where a server is by its base URL, `https://HOST:PORT` or `http://…`; `None` where this is
    /// anything else.
    pub(super) fn of_server(url: &str) -> Option<Self> {
        let (scheme, authority) = url.split_once("://")?;
        let socket = match scheme {
            "https" => "wss",
            "http" => "ws",
            _ => return None,
        };
        if authority.contains(['/', '?', '#', '@', '\\']) {
            return None;
        }
        Self::new(&format!("{socket}://{authority}/v1/ws")).ok()
    }

    /// The host to connect to: brackets are the URL's.
    pub(super) fn name(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// The value of `Host`.
    pub(super) fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_the_server_is() {
        let place = Place::new("wss://call.example/v1/ws").expect("a URL");
        assert_eq!((place.is_secure, place.port), (true, 443));
        assert_eq!((&*place.host, &*place.prefix), ("call.example", "/v1"));
        let place = Place::new("ws://[::1]:8080/behind/v1/ws").expect("a URL");
        assert_eq!((place.name(), &*place.prefix), ("::1", "/behind/v1"));
        assert_eq!(place.authority(), "[::1]:8080");
    }

    #[test]
    fn what_is_no_url_of_a_websocket_is_refused() {
        for url in [
            "",
            "call.example",
            "https://call.example/v1/ws",
            "ws://a/",
            "ws:///v1/ws",
        ] {
            assert!(Place::new(url).is_err(), "{url}");
        }
    }
}
