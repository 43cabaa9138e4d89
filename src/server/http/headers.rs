//! The headers that every answer carries.

use std::sync::{Arc, PoisonError, RwLock};

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{
    CONTENT_SECURITY_POLICY, HOST, HeaderName, HeaderValue, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, Request};
use axum::middleware::Next;
use axum::response::Response;

/// Headers with one value for all.
const FIXED: [(HeaderName, &str); 6] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (X_FRAME_OPTIONS, "DENY"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(self), microphone=(self), display-capture=(self), fullscreen=(self), \
         geolocation=(), usb=(), payment=()",
    ),
];

/// Two years, as browsers' preload lists ask for.
const TWO_YEARS: &str = "max-age=63072000; includeSubDomains";

/// The other servers that the page may connect to, as the operator wants it at present: origins.
#[derive(Clone, Debug, Default)]
pub(in crate::server) struct OtherServers(Arc<RwLock<Box<str>>>);

impl OtherServers {
    /// From now on it is these, for pages that are loaded from now on.
    pub(in crate::server) fn set<'a>(&self, origins: impl Iterator<Item = &'a str>) {
        let sources: String = origins.map(sources).collect();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = sources.into();
    }

    fn sources(&self) -> Box<str> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// What a policy calls an origin and the WebSockets there, with a space before each. Policies have
/// no form for IPv6 addresses.
fn sources(origin: &str) -> String {
    let Some((scheme, host)) = origin.split_once("://") else {
        return String::new();
    };
    let sockets = if scheme == "https" { "wss" } else { "ws" };
    if can_be_a_source(host) {
        format!(" {scheme}://{host} {sockets}://{host}")
    } else {
        format!(" {scheme}: {sockets}:")
    }
}

/// How answers of one listener are dressed.
#[derive(Clone, Debug, Default)]
pub(in crate::server) struct Dress {
    /// Whether browsers are told to come back by HTTPS only. Never with a certificate of the
    /// local CA: the name may be `localhost`, which other programs use without TLS.
    hsts: bool,
    other_servers: OtherServers,
}

impl Dress {
    /// With `hsts`, for TLS with a certificate that the world trusts.
    pub(in crate::server) fn new(hsts: bool, other_servers: OtherServers) -> Self {
        Self {
            hsts,
            other_servers,
        }
    }
}

/// Puts the security headers on an answer.
pub(super) async fn dress(
    State(how): State<Dress>,
    request: Request<Body>,
    next: Next,
) -> Response {
    let policy = content_security_policy(request.headers(), &how.other_servers);
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in FIXED {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    if how.hsts {
        let value = HeaderValue::from_static(TWO_YEARS);
        headers.insert(STRICT_TRANSPORT_SECURITY, value);
    }
    response
}

/// The policy of the page: its own files and its own signaling, that of servers to which it may be
/// sent, nothing from elsewhere, no inline code.
fn content_security_policy(request: &HeaderMap, others: &OtherServers) -> HeaderValue {
    let others = others.sources();
    let host = request.get(HOST).and_then(|host| host.to_str().ok());
    let sockets = host.filter(|host| can_be_a_source(host)).map_or_else(
        || "ws: wss:".to_owned(),
        |host| format!("ws://{host} wss://{host}"),
    );
    let policy = format!(
        "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
         media-src 'self' blob:; font-src 'self'; connect-src 'self' {sockets}{others}; \
         manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types peerage"
    );
    HeaderValue::from_str(&policy).expect("the policy is of visible ASCII")
}

/// Whether a `Host` can stand in a policy: a name or IPv4 address with perhaps a port, and nothing
/// that could end the directive. (Policies have no form for IPv6 addresses.)
fn can_be_a_source(host: &str) -> bool {
    let (name, port) = host.split_once(':').unwrap_or((host, "80"));
    !name.is_empty()
        && host.len() <= 260
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
        && port.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(host: &str) -> String {
        policy_with(host, &[])
    }

    fn policy_with(host: &str, others: &[&str]) -> String {
        let other_servers = OtherServers::default();
        other_servers.set(others.iter().copied());
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_str(host).expect("a header"));
        let policy = content_security_policy(&headers, &other_servers);
        policy.to_str().expect("ASCII").to_owned()
    }

    #[test]
    fn signaling_is_allowed_to_the_pages_own_host_alone() {
        let policy = policy("call.example:8443");
        let expected = "connect-src 'self' ws://call.example:8443 wss://call.example:8443;";
        assert!(policy.contains(expected), "{policy}");
    }

    #[test]
    fn the_servers_to_which_it_may_be_sent_are_allowed_too() {
        let others = ["https://green.example", "http://192.0.2.1:8080"];
        let policy = policy_with("call.example", &others);
        let expected = "connect-src 'self' ws://call.example wss://call.example \
            https://green.example wss://green.example \
            http://192.0.2.1:8080 ws://192.0.2.1:8080;";
        assert!(policy.contains(expected), "{policy}");
        let policy = policy_with("call.example", &["https://[2001:db8::1]"]);
        assert!(
            policy.contains("wss://call.example https: wss:;"),
            "{policy}"
        );
    }

    #[test]
    fn a_strange_host_changes_nothing_else() {
        for host in ["[::1]:8080", "a; script-src *", "a b", "*", "a:b", ""] {
            let policy = policy(host);
            assert!(policy.contains("connect-src 'self' ws: wss:;"), "{policy}");
            assert!(
                policy.starts_with("default-src 'none'; script-src 'self'; worker-src 'self'; ")
            );
        }
    }
}
