//! `POST /admin/revoke`, on the operator's listener only.

use axum::body::{Body, to_bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::revoker::{NotRevoked, Revoker};
use crate::signal::{Revocation, SessionId};

/// The longest body, in bytes.
const LONGEST: usize = 4_096;

/// What is to be revoked: one of these.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    subject: Option<String>,
    token_id: Option<String>,
    session: Option<String>,
}

impl Wanted {
    fn revocation(self) -> Option<Revocation> {
        let named = |name: String| (!name.is_empty()).then(|| name.into());
        match (self.subject, self.token_id, self.session) {
            (Some(subject), None, None) => named(subject).map(Revocation::Subject),
            (None, Some(id), None) => named(id).map(Revocation::Token),
            (None, None, Some(session)) => SessionId::parse(&session).map(Revocation::Session),
            _ => None,
        }
    }
}

/// Does what the body asks for. Who may ask has been found out already.
pub(super) async fn revoke(revoker: &Revoker, headers: &HeaderMap, body: Body) -> Response {
    // A page in the operator's browser can reach a listener on loopback, but not without these.
    if headers.contains_key(ORIGIN) {
        return refuse(StatusCode::FORBIDDEN, "pages may not ask for this");
    }
    let is_json = headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if !is_json {
        let text = "Content-Type must be application/json";
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, text);
    }
    let Ok(body) = to_bytes(body, LONGEST).await else {
        return refuse(
            StatusCode::PAYLOAD_TOO_LARGE,
            "a body has at most 4096 bytes",
        );
    };
    let wanted = serde_json::from_slice::<Wanted>(&body).ok();
    let Some(revocation) = wanted.and_then(Wanted::revocation) else {
        let text = r#"the body must be {"subject": …}, {"token_id": …} or {"session": …}"#;
        return refuse(StatusCode::BAD_REQUEST, text);
    };
    report(revoker.revoke(revocation).await)
}

/// Says what has become of it.
fn report(outcome: Result<usize, NotRevoked>) -> Response {
    match outcome {
        Ok(sessions) => answer(StatusCode::OK, &json!({"sessions": sessions})),
        Err(NotRevoked::NotKept(sessions)) => {
            let text = "revoked until the server stops, but it cannot be kept; see its log";
            let body = json!({"error": text, "sessions": sessions});
            answer(StatusCode::INTERNAL_SERVER_ERROR, &body)
        }
        Err(NotRevoked::Refused) => refuse(
            StatusCode::SERVICE_UNAVAILABLE,
            "the server stops, or remembers as many revocations as it may; see its log",
        ),
    }
}

fn refuse(status: StatusCode, text: &str) -> Response {
    answer(status, &json!({"error": text}))
}

fn answer(status: StatusCode, body: &Value) -> Response {
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "no-store"),
    ];
    (status, headers, body.to_string() + "\n").into_response()
}

#[cfg(test)]
mod tests {
    use super::super::operations;
    use super::*;

    #[test]
    fn the_document_has_every_outcome() {
        let operation = operations::revoke();
        for (outcome, status) in [
            (Ok(2), StatusCode::OK),
            (
                Err(NotRevoked::NotKept(2)),
                StatusCode::INTERNAL_SERVER_ERROR,
            ),
            (Err(NotRevoked::Refused), StatusCode::SERVICE_UNAVAILABLE),
        ] {
            assert_eq!(report(outcome).status(), status);
            let mut told = operation.answers.iter().map(|answer| answer.status);
            assert!(told.any(|told| told == status), "{status}");
        }
    }

    #[test]
    fn exactly_one_thing_is_revoked_at_a_time() {
        let read = |text: &str| serde_json::from_str::<Wanted>(text).ok()?.revocation();
        assert_eq!(
            read(r#"{"subject":"ada"}"#),
            Some(Revocation::Subject("ada".into()))
        );
        assert_eq!(
            read(r#"{"token_id":"t1"}"#),
            Some(Revocation::Token("t1".into()))
        );
        assert!(read(r#"{"session":"6f0c7c1e-5d0b-4c55-9a3e-1f6c2f6f3c11"}"#).is_some());
        for text in [
            "{}",
            "[]",
            r#"{"subject":""}"#,
            r#"{"subject":5}"#,
            r#"{"session":"ada"}"#,
            r#"{"subject":"ada","token_id":"t1"}"#,
            r#"{"subject":"ada","colour":"blue"}"#,
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
