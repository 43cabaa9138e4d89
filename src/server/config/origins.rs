//! The values that are origins, as browsers write them.

use super::model::{AllowedOrigin, PublicUrl};
use super::value::{Value, quoted};

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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_host_is_cut_out_of_a_public_url() {
        let host = |url| PublicUrl::from_text(url).map(|url| url.host().to_owned());
        assert_eq!(
            host("https://a.example:8443/").as_deref(),
            Some("a.example")
        );
        assert_eq!(host("https://[::1]:8443").as_deref(), Some("::1"));
    }
}
