//! Which pages may open a connection.

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderValue};

/// Whether a request with these headers may be upgraded: it comes from no page, from a page of
/// this very server, or from one of the origins `allowed`, where `*` is any.
///
/// A browser sends `Origin` with every WebSocket, and no page can forge it; there are no cookies,
/// so what a program outside a browser sends proves and costs nothing.
pub(super) fn is_allowed(headers: &HeaderMap, allowed: &[String]) -> bool {
    let mut origins = headers.get_all(ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (None, _) => true,
        (Some(origin), None) => origin
            .to_str()
            .is_ok_and(|origin| is_listed(origin, allowed) || is_own(origin, headers.get(HOST))),
        (Some(_), Some(_)) => false,
    }
}

fn is_listed(origin: &str, allowed: &[String]) -> bool {
    allowed
        .iter()
        .any(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(origin))
}

fn is_own(origin: &str, host: Option<&HeaderValue>) -> bool {
    let Some(host) = host.and_then(|host| host.to_str().ok()) else {
        return false;
    };
    let (authority, default_port) = match origin.split_once("://") {
        Some(("http", authority)) => (authority, ":80"),
        Some(("https", authority)) => (authority, ":443"),
        _ => return false,
    };
    let host = host.strip_suffix(default_port).unwrap_or(host);
    let authority = authority.strip_suffix(default_port).unwrap_or(authority);
    !host.is_empty() && authority.eq_ignore_ascii_case(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(host: &'static str, origins: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static(host));
        for origin in origins {
            headers.append(ORIGIN, HeaderValue::from_static(origin));
        }
        headers
    }

    #[test]
    fn a_client_that_is_no_page_is_let_in() {
        assert!(is_allowed(&headers("call.example", &[]), &[]));
    }

    #[test]
    fn a_page_of_this_server_is_let_in() {
        for (host, origin) in [
            ("call.example", "https://call.example"),
            ("Call.Example", "https://call.example"),
            ("call.example:443", "https://call.example"),
            ("call.example:8443", "https://call.example:8443"),
            ("localhost:8080", "http://localhost:8080"),
            ("[::1]:8080", "http://[::1]:8080"),
        ] {
            assert!(is_allowed(&headers(host, &[origin]), &[]), "{origin}");
        }
    }

    #[test]
    fn a_page_of_another_server_is_not() {
        for origin in [
            "https://evil.example",
            "https://sub.call.example",
            "https://call.example.evil",
            "https://call.example:8443",
            "https://call.example:80",
            "wss://call.example",
            "null",
            "",
            "call.example",
            "https://",
        ] {
            assert!(
                !is_allowed(&headers("call.example", &[origin]), &[]),
                "{origin}"
            );
        }
        let two = ["https://call.example", "https://call.example"];
        assert!(!is_allowed(&headers("call.example", &two), &[]));
    }

    #[test]
    fn a_listed_page_is_let_in_by_its_exact_origin() {
        let allowed = ["https://app.example".to_owned()];
        let is_allowed = |origin| is_allowed(&headers("call.example", &[origin]), &allowed);
        assert!(is_allowed("https://app.example"));
        assert!(is_allowed("https://call.example"));
        assert!(!is_allowed("http://app.example"));
        assert!(!is_allowed("https://app.example.evil"));
    }

    #[test]
    fn a_star_lets_every_page_in() {
        let headers = headers("call.example", &["https://evil.example"]);
        assert!(is_allowed(&headers, &["*".to_owned()]));
    }
}
