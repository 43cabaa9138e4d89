//! What was said, as a stream of events (Server-Sent Events, of the HTML standard).

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::super::settings::Settings;
use super::super::shared::Shared;
use super::answers::{NO_STORE, Refusal};
use super::carried::{Carried, News, Reader};
use super::line::Said;
use super::promptness::Reading;
use super::shown::{check_origin, shown};
use crate::dialect::native;
use crate::signal::Ending;

/// By which a client says up to where it has got the events.
pub(super) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Asks proxies to pass every event on at once.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// After how many milliseconds a client asks for another stream.
const BEGINNING: &[u8] = b"retry: 1000\n\n";

/// The same, and the first question: from its answer it is known how soon this client answers.
const FIRST_QUESTION: &[u8] = b"retry: 1000\n\nevent: ping\ndata: {}\n\n";

/// Asks the client for a sign of life.
const PING: &[u8] = b"event: ping\ndata: {}\n\n";

/// `GET /v1/events`: everything from `Last-Event-ID` on (`cursor` in the query says the same), with
/// the key, or with a ticket in the query.
pub(super) async fn events(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let answer = async {
        let query = query.unwrap_or_default();
        let carried = of(&shared, &headers, &query)?;
        let cursor = cursor(&headers, &query)?;
        let confirmed = carried.confirm(cursor);
        confirmed.map_err(|_| Refusal::Malformed("this id was never given"))?;
        Ok(stream(
            Reader::new(&carried, Reading::Stream),
            cursor,
            Pace::of(&shared.settings),
        ))
    };
    answer.await.unwrap_or_else(Refusal::into_response)
}

fn of(shared: &Shared, headers: &HeaderMap, query: &str) -> Result<Arc<Carried>, Refusal> {
    match parameter(query, "ticket") {
        Some(ticket) => {
            check_origin(shared, headers)?;
            let redeemed = shared.keys.redeem(ticket);
            redeemed.ok_or(Refusal::UnknownConnection)
        }
        None => shown(shared, headers).map(|(_, carried)| carried),
    }
}

fn cursor(headers: &HeaderMap, query: &str) -> Result<u64, Refusal> {
    let wrong = Refusal::Malformed("Last-Event-ID and cursor are whole numbers");
    let header = headers.get(LAST_EVENT_ID);
    let text = match header {
        Some(value) => Some(value.to_str().map_err(|_| wrong)?),
        None => parameter(query, "cursor"),
    };
    text.map_or(Ok(0), |text| text.parse().map_err(|_| wrong))
}

fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value)
}

/// How long a stream may take for what.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// How often something is sent, so that nobody on the way takes the stream for dead.
    heartbeat: Duration,
    /// For how long a stream goes on. A client then asks for the next one, from where it ended.
    life: Duration,
    /// How long a client may take nothing of what is written.
    write: Duration,
}

impl Pace {
    fn of(settings: &Settings) -> Self {
        Self {
            heartbeat: settings.ping_interval,
            life: settings.stream_life,
            write: settings.write_timeout,
        }
    }
}

fn stream(reader: Reader, cursor: u64, pace: Pace) -> Response {
    let (pieces, body) = mpsc::channel(1);
    tokio::spawn(write(reader, cursor, pieces, pace));
    let kind = HeaderValue::from_static("text/event-stream");
    let unbuffered = (X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    let headers = [(CONTENT_TYPE, kind), NO_STORE, unbuffered];
    (headers, Body::new(Pieces(body))).into_response()
}

/// Writes the stream until the connection is over, the client has gone or takes nothing, or it has
/// another one.
async fn write(reader: Reader, mut cursor: u64, pieces: mpsc::Sender<Bytes>, pace: Pace) {
    let end = Instant::now() + pace.life;
    let mut piece = Bytes::from_static(match reader.carried().closed() {
        Some(_) => BEGINNING,
        None => FIRST_QUESTION,
    });
    let mut is_over = false;
    loop {
        let written = pieces.send_timeout(piece, pace.write).await;
        if written.is_err() || is_over || Instant::now() >= end {
            return;
        }
        let heartbeat = (Instant::now() + pace.heartbeat).min(end);
        let news = tokio::select! {
            news = reader.after(cursor, heartbeat) => news,
            () = pieces.closed() => return,
        };
        piece = match news {
            News::Superseded => return,
            News::Nothing => Bytes::from_static(b":\n\n"),
            News::Asked => Bytes::from_static(PING),
            News::Said(said, closed) => {
                cursor = said.last().map_or(cursor, |said| said.number);
                is_over = closed.is_some();
                text(&said, closed.as_ref())
            }
        };
    }
}

/// Events as they are written.
fn text(said: &[Said], closed: Option<&Ending>) -> Bytes {
    let mut out = Vec::new();
    for said in said {
        out.extend_from_slice(format!("id: {}\ndata: ", said.number).as_bytes());
        // JSON of one line: what it has of line ends is escaped.
        native::encode(said.offset, &said.message, &mut out);
        out.extend_from_slice(b"\n\n");
    }
    if let Some(ending) = closed {
        let closed = native::encode_closed(ending);
        out.extend_from_slice(format!("event: closed\ndata: {closed}\n\n").as_bytes());
    }
    out.into()
}

/// A body whose pieces come one after the other. While one waits, the writer does.
struct Pieces(mpsc::Receiver<Bytes>);

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = ready!(self.0.poll_recv(context));
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }
}
