//! What `serve` tells people when it has started.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;

use super::qr;
use crate::server::Addresses;
use crate::server::config::{CertificateSource, Config};
use crate::server::interfaces::Interfaces;

/// What has started.
pub(super) struct Announcement<'a> {
    pub(super) config: &'a Config,
    pub(super) addresses: &'a Addresses,
    pub(super) interfaces: &'a Interfaces,
    pub(super) local_ca: Option<&'a Path>,
    /// The room that the links lead to.
    pub(super) room: &'a str,
    /// Whether a person looks at it, who may scan a code.
    pub(super) terminal: bool,
}

impl Announcement<'_> {
    /// The text.
    pub(super) fn text(&self) -> String {
        let parts = [
            self.links(),
            self.phone(),
            self.relay(),
            self.trust(),
            self.cautions(),
        ];
        let mut text = format!("\nPeerage {}\n", env!("CARGO_PKG_VERSION"));
        for part in parts.into_iter().flatten() {
            text.push('\n');
            text.push_str(&part);
        }
        text.push_str("\nStop with Ctrl-C.\n");
        text
    }

    fn links(&self) -> Option<String> {
        let public = self.config.http.public_url.as_ref();
        let urls = public
            .map(|url| url.as_str().to_owned())
            .into_iter()
            .chain(self.addresses.http.iter().map(|at| url("http", *at)))
            .chain(self.addresses.https.iter().map(|at| url("https", *at)));
        let mut text = String::from("A call for two or more, open this and send the link on:\n");
        let mut any = false;
        for url in urls {
            line(&mut text, &format!("{url}/#{}", self.room));
            any = true;
        }
        any.then_some(text)
    }

    /// The link for a phone on the same network, which needs HTTPS for its camera.
    fn phone(&self) -> Option<String> {
        let https = self
            .addresses
            .https
            .iter()
            .find(|at| !at.ip().is_loopback())?;
        let reachable = if https.ip().is_unspecified() {
            let found = if https.is_ipv4() {
                self.interfaces.ipv4()
            } else {
                self.interfaces.ipv6()
            };
            SocketAddr::new(found?, https.port())
        } else {
            *https
        };
        let link = format!("https://{reachable}/#{}", self.room);
        let mut text = String::from("From a phone on the same network:\n");
        line(&mut text, &link);
        if self.terminal {
            text.push_str(&qr::draw(&link).unwrap_or_default());
        }
        Some(text)
    }

    fn relay(&self) -> Option<String> {
        let told = self.config.advertised_turn(&self.addresses.turn);
        let first = told.first()?.address;
        let told: Vec<String> = told.iter().map(ToString::to_string).collect();
        let mut text = format!("STUN and TURN: {}\n", told.join(", "));
        if first.ip().is_loopback() {
            line(&mut text, "only for this machine: it has no other address");
        }
        Some(text)
    }

    fn trust(&self) -> Option<String> {
        let ca = self.local_ca?;
        let mut text = String::from(
            "HTTPS has a certificate of this machine's own CA. To trust it, take this file\n",
        );
        line(&mut text, &ca.display().to_string());
        text.push_str("and see certs/README.md; without that, browsers warn once.\n");
        Some(text)
    }

    fn cautions(&self) -> Option<String> {
        let mut text = String::new();
        if !self.config.auth.by_token {
            line(
                &mut text,
                "- auth.mode is \"open\": whoever has the link to a room may enter it,",
            );
            line(
                &mut text,
                "  and whoever reaches the server may open rooms and use the relay",
            );
        }
        if self.config.http.certificate == CertificateSource::LocalCa {
            line(
                &mut text,
                "- the certificate is not one that strangers' browsers trust;",
            );
            line(&mut text, "  set http.tls.certificate and http.tls.key");
        }
        if self.config.http.public_url.is_none() {
            line(&mut text, "- http.public_url is not set");
        }
        if self.plain_http_is_open() {
            line(
                &mut text,
                "- http.listen lets others connect without TLS, and browsers give no",
            );
            line(&mut text, "  camera to such a page");
        }
        if text.is_empty() {
            return None;
        }
        line(&mut text, "See docs/operator.md.");
        Some(format!(
            "Not ready for the public internet as it is:\n{text}"
        ))
    }

    fn plain_http_is_open(&self) -> bool {
        let mut plain = self.addresses.http.iter();
        plain.any(|address| !address.ip().is_loopback())
    }
}

/// The URL by which a browser on this machine reaches a listener.
fn url(scheme: &str, at: SocketAddr) -> String {
    if at.ip().is_loopback() || at.ip().is_unspecified() {
        format!("{scheme}://localhost:{}", at.port())
    } else {
        format!("{scheme}://{at}")
    }
}

fn line(text: &mut String, content: &str) {
    writeln!(text, "  {content}").expect("writing into a string cannot fail");
}
