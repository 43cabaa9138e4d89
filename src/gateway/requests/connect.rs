//! The first request of a connection, and tickets for those that can send no headers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::time::Instant;
use tracing::{debug, error};

use super::super::admission::Refused;
use super::super::door::Visitor;
use super::super::outbox::outbox;
use super::super::shared::Shared;
use super::answers::{Refusal, batch, ended, json_response};
use super::carried::{Carried, News, Reader};
use super::keys::Key;
use super::line::Said;
use super::promptness::Reading;
use super::shown::{check_origin, shown, whole};
use crate::dialect::native;
use crate::signal::{Command, Ending, Input, Message, Rejection};

/// How long the hub may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// For how long a connection that is over can still be asked what has become of it.
const LINGER: Duration = Duration::from_secs(30);

/// `POST /v1/connect`: `hello` in, `welcome` out, and the key for all further requests.
pub(super) async fn connect(
    State(shared): State<Arc<Shared>>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let peer = peer.map(|Extension(ConnectInfo(peer))| peer);
    match begin(&shared, peer, &headers, body).await {
        Ok(response) => response,
        Err(refusal) => refusal.into_response(),
    }
}

async fn begin(
    shared: &Arc<Shared>,
    peer: Option<SocketAddr>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    check_origin(shared, headers)?;
    let body = whole(body).await?;
    let address = peer.map(|peer| peer.ip());
    if let Some(barred) = shared.door.barred_for(address) {
        return Err(Refusal::Guesses(barred.as_secs() + 1));
    }
    let of_address = match address.map(|address| shared.addresses.admit(address)) {
        Some(None) => return Err(shared.gate.turn_back(Refused::Address).into()),
        Some(place) => place,
        None => None,
    };
    let place = shared.place()?;
    let id = shared.next_connection();
    let (slot, outbox) = outbox();
    let hub = Arc::clone(&shared.hub);
    let opened = hub.open(id, slot);
    opened.map_err(|_| no_hub(shared))?;
    let absence = shared.settings.absence;
    let visitor = Visitor::new(&shared.door, address);
    let carried = Carried::new(id, visitor, hub, absence, (place, of_address));
    let carried = Arc::new(carried);
    let reader = Reader::new(&carried, Reading::Poll);
    let mut command = native::decode(&body).map_err(Rejection::from);
    carried.check(&mut command);
    if let Ok(Command::Hello(hello)) = &command {
        debug!(connection = id.0, client = ?hello.client, "hello, by requests");
    }
    let key = shared.keys.insert(Arc::clone(&carried)).map_err(|failed| {
        error!("no randomness for a key: {failed}");
        no_hub(shared)
    })?;
    let keeper = (Arc::clone(shared), Arc::clone(&carried));
    tokio::spawn(async move {
        let (shared, carried) = keeper;
        carried.run(outbox).await;
        tokio::time::sleep(LINGER).await;
        shared.keys.remove(key);
    });
    let length = body.len();
    carried.take(Input::Message { length, command });
    welcome(shared, key, &reader).await
}

/// The server cannot go on with this one: the hub is gone, or does not answer.
fn no_hub(shared: &Shared) -> Refusal {
    shared.gate.turn_back(Refused::Stopping).into()
}

/// What the hub says to `hello`, and whether that was all. Whatever is no welcome is followed by
/// the end of the connection, but not in the same breath.
async fn first_words(reader: &Reader) -> Option<(Vec<Said>, Option<Ending>)> {
    let deadline = Instant::now() + PATIENCE;
    let mut number = 0;
    loop {
        let (news, closed) = match reader.after(number, deadline).await {
            News::Said(news, closed) => (news, closed),
            News::Asked => continue,
            News::Nothing | News::Superseded => return None,
        };
        let is_welcome = |said: &Said| matches!(*said.message, Message::Welcome(_));
        if closed.is_none() && number == 0 && news.iter().any(is_welcome) {
            return Some((news, None));
        }
        if closed.is_some() {
            break;
        }
        number = news.last().map_or(number, |said| said.number);
    }
    match reader.after(0, deadline).await {
        News::Said(said, closed) => Some((said, closed)),
        News::Nothing | News::Asked | News::Superseded => None,
    }
}

/// Waits for what the hub says to `hello`.
async fn welcome(shared: &Shared, key: Key, reader: &Reader) -> Result<Response, Refusal> {
    let first_words = first_words(reader).await;
    let (said, closed) = first_words.ok_or_else(|| no_hub(shared))?;
    let cursor = said.last().map_or(0, |said| said.number);
    if let Some(ending) = closed {
        return Ok(ended(&ending, &said, cursor));
    }
    let first = first_fields(shared, key);
    let body = batch(&first, &said, cursor, None);
    reader.carried().lets_go_for(Duration::ZERO);
    Ok(json_response(StatusCode::OK, body))
}

/// The key, and a first ticket.
fn first_fields(shared: &Shared, key: Key) -> String {
    let ticket = shared.keys.ticket(key).map(Key::text);
    // Without one, a client can still ask for another.
    let ticket = ticket.unwrap_or_default();
    format!(
        "\"connection\":{},\"ticket\":{},",
        json!(key.text()),
        json!(ticket)
    )
}

/// `POST /v1/ticket`: a ticket for one event stream, in place of the key.
pub(super) async fn ticket(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let (key, carried) = match shown(&shared, &headers) {
        Ok(shown) => shown,
        Err(refusal) => return refusal.into_response(),
    };
    carried.alive();
    match shared.keys.ticket(key) {
        Ok(ticket) => {
            let body = json!({"ticket": ticket.text()}).to_string();
            json_response(StatusCode::OK, body.into_bytes())
        }
        Err(failed) => {
            error!("no randomness for a ticket: {failed}");
            no_hub(&shared).into_response()
        }
    }
}
