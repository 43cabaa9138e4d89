//! Where a set of public keys comes from: a file, or a URL that is asked for it.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::http::Uri;
use rustls::pki_types::CertificateDer;

/// A URL of `https`, or of `http` on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySetUrl {
    written: String,
    uri: Uri,
}

/// A set of public keys that is fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteKeys {
    /// From where.
    pub url: KeySetUrl,
    /// Whose certificates are taken there; `None`: those that this system trusts.
    pub authorities: Option<Arc<[CertificateDer<'static>]>>,
}

/// What `auth.jwks` is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum KeySource {
    File(PathBuf),
    Url(KeySetUrl),
}

impl KeySetUrl {
    /// Reads one; `None` if it is none that may be asked.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        let authority = uri.authority()?;
        let (host, written) = (uri.host()?, authority.as_str());
        // A port that is no number is none to this kind of URL.
        let is_port_read = written == host || authority.port_u16().is_some();
        let is_plain = !written.contains('@') && is_port_read && !host.is_empty();
        let url = Self {
            written: text.to_owned(),
            uri,
        };
        let is_safe = match url.uri.scheme_str() {
            Some("https") => true,
            Some("http") => url.is_on_this_machine(),
            _ => false,
        };
        (is_plain && is_safe && !text.contains('#')).then_some(url)
    }

    fn is_on_this_machine(&self) -> bool {
        let address = self.host().parse::<IpAddr>();
        self.host() == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// Whether it is asked by TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.uri.scheme_str() == Some("https")
    }

    /// The host, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        let host = self.uri.host().unwrap_or_default();
        host.trim_start_matches('[').trim_end_matches(']')
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        let usual = if self.is_secure() { 443 } else { 80 };
        self.uri.port_u16().unwrap_or(usual)
    }

    /// The value of `Host`.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.uri
            .authority()
            .map_or("", |authority| authority.as_str())
    }

    /// What is asked for there.
    #[must_use]
    pub fn path(&self) -> &str {
        self.uri.path_and_query().map_or("/", |path| path.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_host_a_port_and_a_path() {
        let parts = |text: &str| {
            let url = KeySetUrl::parse(text).expect("a URL");
            (url.host().to_owned(), url.port(), url.path().to_owned())
        };
        let at = |host: &str, port, path: &str| (host.to_owned(), port, path.to_owned());
        assert_eq!(
            parts("https://id.example.org"),
            at("id.example.org", 443, "/")
        );
        assert_eq!(
            parts("https://id.example.org:8443/keys?v=1"),
            at("id.example.org", 8443, "/keys?v=1")
        );
        assert_eq!(parts("http://[::1]:80/a"), at("::1", 80, "/a"));
        assert_eq!(parts("http://127.0.0.1/a"), at("127.0.0.1", 80, "/a"));
    }

    #[test]
    fn without_tls_only_this_machine_is_asked() {
        for wrong in [
            "http://id.example.org/keys",
            "http://192.0.2.1/keys",
            "ftp://localhost/keys",
            "https://",
            "https:///keys",
            "https://ada@id.example.org/keys",
            "https://id.example.org/keys#1",
            "https://id.example.org:99999/keys",
        ] {
            assert_eq!(KeySetUrl::parse(wrong), None, "{wrong}");
        }
    }
}
