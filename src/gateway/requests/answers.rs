//! What requests are answered with.

use std::time::Duration;

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::super::admission::Refused;
use super::super::gate::TurnedBack;
use super::super::operation;
use super::line::Said;
use crate::dialect::native;
use crate::signal::{Advice, Close, Ending};

/// No answer is anybody else's business, and none is good twice.
pub(super) const NO_STORE: (HeaderName, HeaderValue) =
    (CACHE_CONTROL, HeaderValue::from_static("no-store"));

/// When to come back where nothing else is known of it.
const SOME_TIME: Duration = Duration::from_secs(5);

/// Why a request is refused that never got to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The page's origin is not allowed.
    Origin,
    /// As many connections as there may be, of all or of this address; others may come in so many
    /// seconds.
    Full(u64),
    /// Too many come, or the hub is behind; others may come in so many seconds.
    Busy(u64),
    /// No key, or one of no connection.
    UnknownConnection,
    /// The body is longer than a message may be.
    TooLarge,
    /// The body did not come in time.
    TooSlow,
    /// A cursor or a time that is no number, or a cursor that was never given.
    Malformed(&'static str),
    /// Too many guesses from this address; others are heard in so many seconds.
    Guesses(u64),
    /// A newer request reads what this one waited for.
    Superseded,
}

impl Refusal {
    fn words(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Origin => (
                StatusCode::FORBIDDEN,
                "origin_not_allowed",
                "this origin may not connect: it is neither this server's own nor allowed",
            ),
            Self::Full(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "full",
                "no more connections at present",
            ),
            Self::Busy(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                "too many come at present, or the server is behind with its work",
            ),
            Self::UnknownConnection => (
                StatusCode::NOT_FOUND,
                "unknown_connection",
                "no such connection, or no longer: POST /v1/connect begins one, \
                 and its key goes into Authorization: Bearer",
            ),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                "a body has at most 65536 bytes",
            ),
            Self::TooSlow => (
                StatusCode::REQUEST_TIMEOUT,
                "too_slow",
                "a body comes within ten seconds",
            ),
            Self::Guesses(_) => (
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_guesses",
                "too many guesses from this address",
            ),
            Self::Malformed(text) => (StatusCode::BAD_REQUEST, "malformed", text),
            Self::Superseded => (
                StatusCode::CONFLICT,
                "superseded",
                "a newer request reads this connection",
            ),
        }
    }
}

impl Refusal {
    /// As it is described.
    pub(super) fn told(self) -> operation::Refused {
        let (status, code, text) = self.words();
        operation::Refused {
            status: status.as_u16(),
            code,
            text,
            retry_after: matches!(self, Self::Full(_) | Self::Busy(_) | Self::Guesses(_)),
        }
    }
}

impl From<TurnedBack> for Refusal {
    fn from(turned_back: TurnedBack) -> Self {
        let seconds = turned_back.seconds();
        match turned_back.why {
            Refused::Rate | Refused::Delay => Self::Busy(seconds),
            Refused::Places | Refused::Address | Refused::Stopping => Self::Full(seconds),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code, text) = self.words();
        let body = json!({"error": {"code": code, "message": text}});
        let mut response = json_response(status, body.to_string().into_bytes());
        match self {
            Self::Full(seconds) | Self::Busy(seconds) | Self::Guesses(seconds) => {
                retry_after(&mut response, seconds);
            }
            _ => {}
        }
        response
    }
}

/// A JSON answer.
pub(super) fn json_response(status: StatusCode, body: Vec<u8>) -> Response {
    let kind = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
    (status, [kind, NO_STORE], body).into_response()
}

/// Says when to ask again, in seconds.
pub(super) fn retry_after(response: &mut Response, seconds: u64) {
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
}

/// An object with what was said, up to where, and how it ended; `first` are fields before these.
pub(super) fn batch(first: &str, said: &[Said], cursor: u64, closed: Option<&Ending>) -> Vec<u8> {
    let size: usize = said.iter().map(|said| said.message.size()).sum();
    let mut out = Vec::with_capacity(size + 200);
    out.extend_from_slice(format!("{{{first}\"cursor\":{cursor},\"messages\":[").as_bytes());
    for (index, said) in said.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        native::encode(said.offset, &said.message, &mut out);
    }
    out.push(b']');
    if let Some(ending) = closed {
        out.extend_from_slice(b",\"closed\":");
        out.extend_from_slice(native::encode_closed(ending).as_bytes());
    }
    out.push(b'}');
    out
}

/// The answer to a first request that ended like this.
pub(super) fn ended(ending: &Ending, said: &[Said], cursor: u64) -> Response {
    let status = status_of(ending.close);
    let mut response = json_response(status, batch("", said, cursor, Some(ending)));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        let wait = ending.after.unwrap_or(SOME_TIME);
        let seconds = wait.as_millis().div_ceil(1_000).max(1);
        retry_after(&mut response, seconds as u64);
    }
    response
}

fn status_of(close: Close) -> StatusCode {
    match close.advice() {
        Advice::Retry | Advice::Elsewhere => StatusCode::SERVICE_UNAVAILABLE,
        Advice::Authorize => StatusCode::UNAUTHORIZED,
        Advice::Never if close == Close::Revoked => StatusCode::UNAUTHORIZED,
        Advice::Never => StatusCode::BAD_REQUEST,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::signal::{Message, Offset};

    #[test]
    fn a_batch_is_one_json_object() {
        let said = |number, offset| Said {
            number,
            offset,
            message: Arc::new(Message::Pong),
        };
        let said = [said(6, None), said(7, Some(Offset(3)))];
        let bytes = batch(
            "\"connection\":\"key\",",
            &said,
            7,
            Some(&Close::Bye.into()),
        );
        let value: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
        assert_eq!(value["connection"], "key");
        assert_eq!(value["cursor"], 7);
        assert_eq!(value["messages"].as_array().map(Vec::len), Some(2));
        assert_eq!(value["closed"]["code"], 1000);
        let bytes = batch("", &[], 7, None);
        assert_eq!(bytes, br#"{"cursor":7,"messages":[]}"#);
    }
}
