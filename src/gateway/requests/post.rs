//! What a client says.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::value::RawValue;

use super::super::shared::Shared;
use super::answers::{NO_STORE, Refusal, json_response};
use super::carried::Carried;
use super::shown::{shown, whole};
use crate::dialect::native;
use crate::signal::{Ending, Input, Rejection};

/// How many messages a request may bring.
const MESSAGES: usize = 256;

/// `POST /v1/messages`: one message, or an array of them, of none to say only that the client is
/// there. What becomes of each is said where the client reads, as on every transport.
pub(super) async fn messages(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let answer = async {
        let (_, carried) = shown(&shared, &headers)?;
        // However long the rest takes.
        carried.alive();
        let body = whole(body).await?;
        match carried.closed() {
            Some(ending) => Ok(gone(&ending)),
            None => take_all(&carried, &body),
        }
    };
    answer.await.unwrap_or_else(Refusal::into_response)
}

fn gone(ending: &Ending) -> Response {
    let body = format!("{{\"closed\":{}}}", native::encode_closed(ending));
    json_response(StatusCode::GONE, body.into_bytes())
}

fn take_all(carried: &Carried, body: &[u8]) -> Result<Response, Refusal> {
    match each(body) {
        Some(messages) if messages.len() > MESSAGES => {
            return Err(Refusal::Malformed("at most 256 messages a request"));
        }
        Some(messages) if messages.is_empty() => carried.answered(),
        Some(messages) => {
            for message in messages {
                take(carried, message.get().as_bytes());
            }
        }
        // One message; or nothing that can be read, which the hub says as on every transport.
        None => take(carried, body),
    }
    Ok((StatusCode::NO_CONTENT, [NO_STORE]).into_response())
}

/// The messages of an array.
fn each(body: &[u8]) -> Option<Vec<&RawValue>> {
    serde_json::from_slice(body).ok()
}

fn take(carried: &Carried, message: &[u8]) {
    let mut command = native::decode(message).map_err(Rejection::from);
    carried.check(&mut command);
    let length = message.len();
    carried.take(Input::Message { length, command });
}
