//! HTTP/2 on one connection: requests, and WebSockets as RFC 8441 has them.
//!
//! A connection with a WebSocket goes on as long as that does. Any other ends as one of HTTP/1.1
//! would: when nothing is asked for a while, and in any case after some minutes.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::header::HOST;
use axum::http::{HeaderValue, Method, Request};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tower::ServiceExt;
use tracing::debug;

use super::admission::Permit;
use super::bounds::{HEADER_BYTES, HEADERS, LAST_REQUEST, LIFE};
use super::occupancy::{Answering, Counts, Occupancy};
use crate::gateway::Lease;

/// Requests and WebSockets at a time.
const STREAMS: u32 = 100;
/// Streams that the client may have reset before the server has seen them.
const RESETS: usize = 20;
/// Bytes that one stream may send ahead: a message and a little more.
const STREAM_WINDOW: u32 = 72 * 1024;
/// Bytes that all streams together may send ahead.
const CONNECTION_WINDOW: u32 = 256 * 1024;
/// Bytes of one stream that may wait to be sent.
const UNSENT: usize = 64 * 1024;
/// How long a request may still take when the connection has lived long enough: a poll may be
/// held for 25 seconds.
const LAST_POLL: Duration = Duration::from_secs(30);

/// Serves HTTP/2 until the connection ends, or is ended.
pub(super) async fn serve<S>(
    stream: S,
    peer: SocketAddr,
    router: Router,
    permit: Permit,
    mut stop: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let occupancy = Occupancy::default();
    let mut changes = occupancy.subscribe();
    let service =
        service_fn(move |request| answer(router.clone(), peer, occupancy.clone(), request));
    let connection = builder().serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let mut life = Life::new(permit);
    loop {
        let cause = tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    debug!("connection of {peer}: {error}");
                }
                return;
            }
            _ = stop.wait_for(|stop| *stop), if !life.is_ending => life.end(LAST_REQUEST),
            // What counts is part of the connection, and outlives it.
            _ = changes.changed() => life.change(*changes.borrow_and_update()),
            () = sleep_until(life.deadline) => life.expire(),
        };
        match cause {
            Step::Go => {}
            Step::Finish => connection.as_mut().graceful_shutdown(),
            Step::Cut => return debug!("{peer} was cut off"),
        }
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .enable_connect_protocol()
        .max_concurrent_streams(STREAMS)
        .max_pending_accept_reset_streams(RESETS)
        .max_local_error_reset_streams(RESETS)
        .max_header_list_size(u32::try_from(HEADER_BYTES).unwrap_or(u32::MAX))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(UNSENT);
    builder
}

/// What to do with the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Go,
    /// Take no more requests, and end with the last answer.
    Finish,
    Cut,
}

/// Until when a connection goes on.
struct Life {
    /// Its place among the connections. One with a WebSocket counts no more: the gateway has its
    /// own bound for these.
    permit: Option<Permit>,
    begun: Instant,
    counts: Counts,
    is_ending: bool,
    deadline: Instant,
}

/// Longer than anything takes.
const NEVER: Duration = Duration::from_secs(86_400 * 365);

impl Life {
    fn new(permit: Permit) -> Self {
        let begun = Instant::now();
        Self {
            permit: Some(permit),
            begun,
            counts: Counts::default(),
            is_ending: false,
            deadline: begun + HEADERS,
        }
    }

    fn change(&mut self, counts: Counts) -> Step {
        let had_sockets = self.permit.is_none();
        self.counts = counts;
        if counts.sockets > 0 {
            self.permit = None;
            self.deadline = Instant::now() + NEVER;
            return Step::Go;
        }
        if had_sockets && !self.is_ending {
            // Its place is taken by others.
            return self.end(LAST_REQUEST);
        }
        if had_sockets {
            self.deadline = self.deadline.min(Instant::now() + LAST_REQUEST);
        } else if !self.is_ending {
            self.deadline = match counts.requests {
                0 => Instant::now() + HEADERS,
                _ => self.begun + LIFE,
            };
        }
        Step::Go
    }

    fn expire(&mut self) -> Step {
        if self.is_ending {
            return Step::Cut;
        }
        let last = match self.counts.requests {
            0 => LAST_REQUEST,
            _ => LAST_POLL,
        };
        self.end(last)
    }

    fn end(&mut self, within: Duration) -> Step {
        self.is_ending = true;
        if self.counts.sockets == 0 {
            self.deadline = Instant::now() + within;
        }
        Step::Finish
    }
}

async fn answer(
    router: Router,
    peer: SocketAddr,
    occupancy: Occupancy,
    request: Request<Incoming>,
) -> Result<Response, Infallible> {
    let requested = occupancy.request();
    let mut request = request.map(Body::new);
    name_host(&mut request);
    request.extensions_mut().insert(ConnectInfo(peer));
    let lease = (request.method() == Method::CONNECT).then(Lease::default);
    if let Some(lease) = &lease {
        request.extensions_mut().insert(lease.clone());
    }
    let response = router.oneshot(request).await?;
    if let Some(lease) = lease
        && response.status().is_success()
    {
        lease.keep(Box::new(occupancy.socket()));
    }
    Ok(response.map(|body| Answering::body(body, requested)))
}

/// In HTTP/2 the host stands in `:authority`, whatever else a client may say (RFC 9113, 8.3.1).
fn name_host(request: &mut Request<Body>) {
    let Some(authority) = request.uri().authority() else {
        return;
    };
    if let Ok(host) = HeaderValue::from_str(authority.as_str()) {
        request.headers_mut().insert(HOST, host);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::admission::Admission;
    use super::*;

    fn life() -> (Arc<Admission>, Life) {
        let admission = Arc::new(Admission::new(1, 0));
        let permit = admission.admit(std::net::Ipv4Addr::LOCALHOST.into());
        let life = Life::new(permit.expect("there is one place"));
        (admission, life)
    }

    fn is_free(admission: &Admission) -> bool {
        admission
            .admit(std::net::Ipv4Addr::LOCALHOST.into())
            .is_some()
    }

    const fn counts(requests: usize, sockets: usize) -> Counts {
        Counts { requests, sockets }
    }

    #[test]
    fn a_connection_without_requests_soon_ends() {
        let (_admission, mut life) = life();
        assert_eq!(life.deadline, life.begun + HEADERS);
        assert_eq!(life.change(counts(1, 0)), Step::Go);
        assert_eq!(life.deadline, life.begun + LIFE);
        assert_eq!(life.change(counts(0, 0)), Step::Go);
        assert!(life.deadline >= life.begun + HEADERS);
        assert!(life.deadline < life.begun + LIFE);
        assert_eq!(life.expire(), Step::Finish);
        assert_eq!(life.expire(), Step::Cut);
    }

    #[test]
    fn requests_may_end_before_the_connection_does() {
        let (_admission, mut life) = life();
        life.change(counts(2, 0));
        assert_eq!(life.expire(), Step::Finish);
        let deadline = life.deadline;
        assert_eq!(life.change(counts(1, 0)), Step::Go);
        assert_eq!(life.deadline, deadline);
        assert_eq!(life.expire(), Step::Cut);
    }

    #[test]
    fn a_connection_with_a_websocket_goes_on_as_long_as_that_and_takes_no_place() {
        let (admission, mut life) = life();
        assert!(!is_free(&admission));
        assert_eq!(life.change(counts(1, 1)), Step::Go);
        assert!(is_free(&admission));
        assert_eq!(life.change(counts(5, 2)), Step::Go);
        assert!(life.deadline > life.begun + 2 * LIFE);
        assert_eq!(life.end(LAST_REQUEST), Step::Finish);
        assert!(life.deadline > life.begun + 2 * LIFE);
        assert_eq!(life.change(counts(1, 0)), Step::Go);
        assert!(life.deadline < life.begun + LIFE);
    }

    #[test]
    fn a_connection_ends_with_its_last_websocket() {
        let (_admission, mut life) = life();
        life.change(counts(0, 1));
        assert_eq!(life.change(counts(0, 0)), Step::Finish);
        assert!(life.is_ending);
    }

    #[test]
    fn the_authority_is_the_host() {
        let mut request = Request::builder()
            .uri("https://call.example/v1/ws")
            .header(HOST, "evil.example")
            .body(Body::empty())
            .expect("a request");
        name_host(&mut request);
        assert_eq!(request.headers()[HOST], "call.example");
    }
}
