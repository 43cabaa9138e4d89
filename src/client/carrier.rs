//! The connection that carries a session, whichever transport it is.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::closing::End;
use super::happened::Happened;
use super::requests::Requests;
use super::session::Session;
use super::settings::Transport;
use super::stream::Target;
use super::websocket::WebSocket;

type Opening = Pin<Box<dyn Future<Output = Result<WebSocket, End>> + Send>>;

pub(super) enum Carrier {
    None,
    Opening(Opening),
    WebSocket(Box<WebSocket>),
    Requests(Requests),
}

impl Carrier {
    /// Begins to open a connection. Says whether it is open at once.
    pub(super) fn open(target: &Target, transport: Transport) -> (Self, bool) {
        let target = target.clone();
        match transport {
            Transport::WebSocket => {
                let opening = Box::pin(async move { WebSocket::open(&target).await });
                (Self::Opening(opening), false)
            }
            _ => (Self::Requests(Requests::open(target, transport)), true),
        }
    }

    /// What happens next on the connection. Dropping the future of this loses nothing.
    pub(super) fn poll(
        &mut self,
        session: &mut Session,
        context: &mut Context<'_>,
    ) -> Poll<Happened> {
        loop {
            match self {
                Self::None => return Poll::Pending,
                Self::WebSocket(socket) => return socket.poll(session, context),
                Self::Requests(requests) => return requests.poll(session, context),
                Self::Opening(opening) => match ready!(opening.as_mut().poll(context)) {
                    Ok(socket) => {
                        *self = Self::WebSocket(Box::new(socket));
                        session.handle_open();
                    }
                    Err(end) => return Poll::Ready(Happened::Ended(end)),
                },
            }
        }
    }
}
