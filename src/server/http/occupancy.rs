//! What goes on on one connection of HTTP/2, which carries many requests and WebSockets.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Error;
use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::sync::watch;

/// How many of which there are now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Requests whose answer is not whole.
    pub(super) requests: usize,
    /// WebSockets.
    pub(super) sockets: usize,
}

/// Counts them.
#[derive(Clone, Debug, Default)]
pub(super) struct Occupancy(Arc<watch::Sender<Counts>>);

/// A request that is being answered, until this is dropped.
#[derive(Debug)]
pub(super) struct Requested(Occupancy);

/// A WebSocket, until this is dropped.
#[derive(Debug)]
pub(super) struct Upgraded(Occupancy);

impl Occupancy {
    /// Tells when it changes.
    pub(super) fn subscribe(&self) -> watch::Receiver<Counts> {
        self.0.subscribe()
    }

    /// A request has come.
    pub(super) fn request(&self) -> Requested {
        self.0.send_modify(|counts| counts.requests += 1);
        Requested(self.clone())
    }

    /// A request has become a WebSocket.
    pub(super) fn socket(&self) -> Upgraded {
        self.0.send_modify(|counts| counts.sockets += 1);
        Upgraded(self.clone())
    }
}

impl Drop for Requested {
    fn drop(&mut self) {
        self.0.0.send_modify(|counts| counts.requests -= 1);
    }
}

impl Drop for Upgraded {
    fn drop(&mut self) {
        self.0.0.send_modify(|counts| counts.sockets -= 1);
    }
}

/// The body of an answer. The request is being answered until all of it is sent.
pub(super) struct Answering {
    body: Body,
    _request: Requested,
}

impl Answering {
    /// `body` as the answer to this request.
    pub(super) fn body(body: Body, request: Requested) -> Body {
        // Nothing waits where there is nothing to send; and the answer to an upgrade has no body.
        if body.is_end_stream() {
            return body;
        }
        let _request = request;
        Body::new(Self { body, _request })
    }
}

impl HttpBody for Answering {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_goes_on_until_its_answer_is_gone() {
        let occupancy = Occupancy::default();
        let counts = occupancy.subscribe();
        let answer = Answering::body(Body::from("text"), occupancy.request());
        assert_eq!(counts.borrow().requests, 1);
        drop(answer);
        assert_eq!(*counts.borrow(), Counts::default());
        let empty = Answering::body(Body::empty(), occupancy.request());
        assert_eq!(counts.borrow().requests, 0);
        drop(empty);
    }

    #[test]
    fn a_websocket_is_counted_for_itself() {
        let occupancy = Occupancy::default();
        let counts = occupancy.subscribe();
        let (request, socket) = (occupancy.request(), occupancy.socket());
        drop(request);
        let expected = Counts {
            requests: 0,
            sockets: 1,
        };
        assert_eq!(*counts.borrow(), expected);
        drop(socket);
        assert_eq!(*counts.borrow(), Counts::default());
    }
}
