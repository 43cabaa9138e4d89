//! The kinds of values, one `impl` a kind: what is allowed, how it is read, how it is shown.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::key_source::{KeySetUrl, KeySource};
use super::model::{AllowedOrigin, LogLevel, Peers, PublicUrl, RelayPorts};
use super::sources::Raw;
use crate::auth::Secret;
use crate::relay::Listener;
use crate::signal::Duplicates;
use crate::turn::{Cidr, Transport};

/// A kind of value.
pub(super) trait Value: Sized {
    /// What is allowed, to stand after "must be".
    fn allowed() -> String;
    /// Reads a value that is written as a string.
    fn from_text(text: &str) -> Option<Self>;
    /// As TOML.
    fn show(&self) -> String;

    /// Reads a value as written; on failure says which part is wrong.
    fn from_raw(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Text(text) | Raw::Words(text) => Self::from_text(text),
            _ => None,
        }
        .ok_or_else(|| raw.to_string())
    }
}

fn quoted(text: &str) -> String {
    let mut shown = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => shown.extend(['\\', character]),
            control if control.is_control() => {
                shown.push_str(&format!("\\u{:04X}", u32::from(control)));
            }
            other => shown.push(other),
        }
    }
    shown + "\""
}

impl Value for bool {
    fn allowed() -> String {
        "true or false".into()
    }
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
    fn show(&self) -> String {
        self.to_string()
    }
    fn from_raw(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Boolean(boolean) => Some(*boolean),
            Raw::Words(text) => Self::from_text(text),
            _ => None,
        }
        .ok_or_else(|| raw.to_string())
    }
}

impl Value for u32 {
    fn allowed() -> String {
        "a whole number from 0 to 4294967295".into()
    }
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
    fn show(&self) -> String {
        self.to_string()
    }
    fn from_raw(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Integer(text) | Raw::Words(text) => Self::from_text(text),
            _ => None,
        }
        .ok_or_else(|| raw.to_string())
    }
}

impl Value for String {
    fn allowed() -> String {
        "a string".into()
    }
    fn from_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
    fn show(&self) -> String {
        quoted(self)
    }
}

impl Value for PathBuf {
    fn allowed() -> String {
        "a path".into()
    }
    fn from_text(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| text.into())
    }
    fn show(&self) -> String {
        quoted(&self.to_string_lossy())
    }
}

impl Value for KeySource {
    fn allowed() -> String {
        "a path, or a URL of https, or of http on loopback".into()
    }

    fn from_text(text: &str) -> Option<Self> {
        if text.contains("://") {
            return KeySetUrl::parse(text).map(Self::Url);
        }
        PathBuf::from_text(text).map(Self::File)
    }

    fn show(&self) -> String {
        match self {
            Self::File(path) => path.show(),
            Self::Url(url) => quoted(url.as_str()),
        }
    }
}

impl Value for Secret {
    fn allowed() -> String {
        "a string that is not empty".into()
    }
    fn from_text(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self::new(text))
    }
    fn show(&self) -> String {
        quoted("(redacted)")
    }
}

/// Bytes a second; 0 is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bandwidth(pub(super) u64);

impl Value for Bandwidth {
    fn allowed() -> String {
        r#"bytes a second such as "250000", "250k" or "2M", or "0" for no limit"#.into()
    }
    fn from_text(text: &str) -> Option<Self> {
        let (number, unit) = match text.split_at_checked(text.len().checked_sub(1)?)? {
            (number, "k") => (number, 1_000),
            (number, "M") => (number, 1_000_000),
            (number, "G") => (number, 1_000_000_000),
            _ => (text, 1),
        };
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
        let number: u64 = number.parse().ok().filter(|_| is_number)?;
        number.checked_mul(unit).map(Self)
    }
    fn show(&self) -> String {
        quoted(&self.0.to_string())
    }
}

impl Value for Duration {
    fn allowed() -> String {
        r#"a time such as "500ms", "60s", "10m" or "24h""#.into()
    }
    fn from_text(text: &str) -> Option<Self> {
        let unit_at = text.find(|character: char| !character.is_ascii_digit())?;
        let (number, unit) = text.split_at(unit_at);
        let number: u64 = number.parse().ok()?;
        match unit {
            "ms" => Some(Self::from_millis(number)),
            "s" => Some(Self::from_secs(number)),
            "m" => number.checked_mul(60).map(Self::from_secs),
            "h" => number.checked_mul(3600).map(Self::from_secs),
            _ => None,
        }
    }
    fn show(&self) -> String {
        if self.subsec_millis() == 0 {
            quoted(&format!("{}s", self.as_secs()))
        } else {
            quoted(&format!("{}ms", self.as_millis()))
        }
    }
}

impl Value for SocketAddr {
    fn allowed() -> String {
        r#"an IP address and a port such as "127.0.0.1:8080" or "[::]:8080""#.into()
    }
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

/// An address of the server's own, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Alternate(pub(super) Option<SocketAddr>);

impl Value for Alternate {
    fn allowed() -> String {
        r#"an IP address of this machine and a port such as "203.0.113.8:3479", or "" for none"#
            .into()
    }
    fn from_text(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self(None));
        }
        let address: SocketAddr = text.parse().ok()?;
        let ip = address.ip();
        let is_of_a_machine = !ip.is_unspecified() && !ip.is_multicast() && address.port() != 0;
        is_of_a_machine.then_some(Self(Some(address)))
    }
    fn show(&self) -> String {
        match self.0 {
            Some(address) => address.show(),
            None => quoted(""),
        }
    }
}

impl Value for IpAddr {
    fn allowed() -> String {
        r#"an IP address such as "203.0.113.7" or "2001:db8::7""#.into()
    }
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

impl Value for Cidr {
    fn allowed() -> String {
        r#"an address range such as "10.0.0.0/8" or "fd00::/8", with no bits set beyond the prefix"#
            .into()
    }
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

impl Value for Listener {
    fn allowed() -> String {
        r#"a listener such as "udp://0.0.0.0:3478", "tls://[::]:5349" or "dtls://0.0.0.0:5349""#
            .into()
    }
    fn from_text(text: &str) -> Option<Self> {
        let (scheme, address) = text.split_once("://")?;
        let transport = match scheme {
            "udp" => Transport::Udp,
            "tcp" => Transport::Tcp,
            "tls" => Transport::Tls,
            "dtls" => Transport::Dtls,
            _ => return None,
        };
        let address = address.parse().ok()?;
        Some(Self { transport, address })
    }
    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

impl Value for RelayPorts {
    fn allowed() -> String {
        r#"a range of ports such as "49152-65535", the first above 0 and not above the last, or "none""#
            .into()
    }
    fn from_text(text: &str) -> Option<Self> {
        if text == "none" {
            return Some(Self::None);
        }
        let (first, last) = text.split_once('-')?;
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        (first > 0 && first <= last).then_some(Self::Range { first, last })
    }
    fn show(&self) -> String {
        match self {
            Self::Range { first, last } => quoted(&format!("{first}-{last}")),
            Self::None => quoted("none"),
        }
    }
}

impl Value for LogLevel {
    fn allowed() -> String {
        r#""error", "warn", "info", "debug" or "trace""#.into()
    }
    fn from_text(text: &str) -> Option<Self> {
        Some(match text {
            "error" => Self::Error,
            "warn" => Self::Warn,
            "info" => Self::Info,
            "debug" => Self::Debug,
            "trace" => Self::Trace,
            _ => return None,
        })
    }
    fn show(&self) -> String {
        quoted(&format!("{self:?}").to_lowercase())
    }
}

impl Value for Duplicates {
    fn allowed() -> String {
        r#""allow", "replace" or "reject""#.into()
    }
    fn from_text(text: &str) -> Option<Self> {
        Self::parse(text)
    }
    fn show(&self) -> String {
        quoted(self.name())
    }
}

impl Value for Peers {
    fn allowed() -> String {
        r#""any" or "room""#.into()
    }
    fn from_text(text: &str) -> Option<Self> {
        Some(match text {
            "any" => Self::Any,
            "room" => Self::Room,
            _ => return None,
        })
    }
    fn show(&self) -> String {
        quoted(&format!("{self:?}").to_lowercase())
    }
}

impl Value for PublicUrl {
    fn allowed() -> String {
        r#"a URL without a path such as "https://call.example.org""#.into()
    }
    fn from_text(text: &str) -> Option<Self> {
        let text = text.strip_suffix('/').unwrap_or(text);
        is_origin(text).then(|| Self(text.to_owned()))
    }
    fn show(&self) -> String {
        quoted(self.as_str())
    }
}

impl Value for AllowedOrigin {
    fn allowed() -> String {
        r#"an origin such as "https://app.example.org" (lower case, no path), or "*" for all"#
            .into()
    }
    fn from_text(text: &str) -> Option<Self> {
        (text == "*" || is_origin(text)).then(|| Self(text.to_owned()))
    }
    fn show(&self) -> String {
        quoted(self.as_str())
    }
}

/// Whether `text` is an origin as browsers write it: `http` or `https`, a host in lower case,
/// perhaps a port.
fn is_origin(text: &str) -> bool {
    let Some((scheme, authority)) = text.split_once("://") else {
        return false;
    };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let host_is_valid = match host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_'))
        }
    };
    let port_is_valid = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    matches!(scheme, "http" | "https") && host_is_valid && port_is_valid
}

impl<T: Value> Value for Vec<T> {
    fn allowed() -> String {
        format!("a list, and each of it {}", T::allowed())
    }
    fn from_text(text: &str) -> Option<Self> {
        text.split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(T::from_text)
            .collect()
    }
    fn show(&self) -> String {
        let items: Vec<String> = self.iter().map(T::show).collect();
        format!("[{}]", items.join(", "))
    }
    fn from_raw(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::List(items) => items.iter().map(T::from_raw).collect(),
            Raw::Words(text) => Self::from_text(text).ok_or_else(|| raw.to_string()),
            _ => Err(raw.to_string()),
        }
    }
}

/// One secret, or a list of them; in a variable with commas between them.
#[derive(Clone, Debug, Default)]
pub(super) struct Secrets(pub(super) Vec<Secret>);

impl Value for Secrets {
    fn allowed() -> String {
        "a string that is not empty, or a list of such".into()
    }
    fn from_text(text: &str) -> Option<Self> {
        Some(Self(vec![Secret::from_text(text)?]))
    }
    fn show(&self) -> String {
        match &self.0[..] {
            [secret] => secret.show(),
            secrets => secrets.to_vec().show(),
        }
    }
    fn from_raw(raw: &Raw) -> Result<Self, String> {
        let secrets = match raw {
            Raw::List(_) | Raw::Words(_) => Vec::from_raw(raw).map(Self),
            _ => Secret::from_raw(raw).map(|secret| Self(vec![secret])),
        };
        match secrets {
            Ok(Self(secrets)) if secrets.is_empty() => Err(raw.to_string()),
            secrets => secrets,
        }
    }
}

/// Names and passwords: a table of the file, or `name=password,…` in a variable.
#[derive(Clone, Debug, Default)]
pub(super) struct Users(pub(super) Vec<(String, Secret)>);

impl Value for Users {
    fn allowed() -> String {
        r#"a table of names and passwords, none of them empty (in a variable: "name=password,…")"#
            .into()
    }
    fn from_text(text: &str) -> Option<Self> {
        text.split(',')
            .map(str::trim)
            .filter(|user| !user.is_empty())
            .map(|user| {
                let (name, password) = user.split_once('=')?;
                (!name.is_empty()).then_some((name.to_owned(), Secret::from_text(password)?))
            })
            .collect::<Option<_>>()
            .map(Self)
    }
    fn show(&self) -> String {
        let users: Vec<String> = self
            .0
            .iter()
            .map(|(name, password)| format!("{} = {}", quoted(name), password.show()))
            .collect();
        format!("{{{}}}", users.join(", "))
    }
    fn from_raw(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Table(users) => users
                .iter()
                .map(|(name, password)| {
                    if name.is_empty() {
                        return Err(String::new());
                    }
                    Ok((name.clone(), Secret::from_raw(password)?))
                })
                .collect::<Result<_, _>>()
                .map(Self),
            Raw::Words(text) => Self::from_text(text).ok_or_else(|| raw.to_string()),
            _ => Err(raw.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bandwidth_may_have_a_unit() {
        for (text, bytes) in [("0", 0), ("250000", 250_000), ("250k", 250_000)] {
            assert_eq!(Bandwidth::from_text(text), Some(Bandwidth(bytes)));
        }
        assert_eq!(Bandwidth::from_text("2M"), Some(Bandwidth(2_000_000)));
        assert_eq!(Bandwidth::from_text("1G"), Some(Bandwidth(1_000_000_000)));
        for wrong in [
            "",
            "k",
            "-1",
            "+1k",
            "1 k",
            "1m",
            "1.5M",
            "é",
            "99999999999999G",
        ] {
            assert_eq!(Bandwidth::from_text(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_time_needs_a_unit() {
        assert_eq!(Duration::from_text("60s"), Some(Duration::from_secs(60)));
        assert_eq!(Duration::from_text("2h"), Some(Duration::from_secs(7200)));
        for wrong in ["60", "s", "-1s", "1d", "", "1 s", "99999999999999999999h"] {
            assert_eq!(Duration::from_text(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_origin_is_what_browsers_write() {
        for right in [
            "http://localhost:8080",
            "https://a.example",
            "https://[::1]:8443",
        ] {
            assert!(is_origin(right), "{right}");
        }
        let wrong = [
            "",
            "a.example",
            "ftp://a",
            "https://",
            "https://A.example",
            "https://a/b",
            "https://a:0",
            "https://a:b",
            "https://u@a",
        ];
        for wrong in wrong {
            assert!(!is_origin(wrong), "{wrong}");
        }
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        let shown = format!("realm = {}", quoted("a\"b\\c\u{1b}"));
        assert!(shown.parse::<toml::Table>().is_ok(), "{shown}");
    }

    #[test]
    fn a_host_is_cut_out_of_a_public_url() {
        let host = |url| PublicUrl::from_text(url).map(|url| url.host().to_owned());
        assert_eq!(
            host("https://a.example:8443/").as_deref(),
            Some("a.example")
        );
        assert_eq!(host("https://[::1]:8443").as_deref(), Some("::1"));
    }
}
