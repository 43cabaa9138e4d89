//! A WebSocket that carries a session.

use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{Sink, SinkExt, StreamExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::closing::End;
use super::happened::Happened;
use super::message::LONGEST;
use super::session::Session;
use super::stream::{Stream, Target};

pub(super) struct WebSocket(WebSocketStream<Stream>);

impl WebSocket {
    pub(super) async fn open(target: &Target) -> Result<Self, End> {
        let stream = target.connect().await?;
        let place = &target.settings.place;
        let scheme = if place.is_secure { "wss" } else { "ws" };
        let url = format!("{scheme}://{}{}/ws", place.authority(), place.prefix);
        // The default buffer is 128 KiB.
        let config = WebSocketConfig::default()
            .read_buffer_size(4_096)
            .max_message_size(Some(LONGEST));
        let opened = tokio_tungstenite::client_async_with_config(url, stream, Some(config));
        let (socket, _) = opened.await.map_err(|error| refused(&error))?;
        Ok(Self(socket))
    }

    /// Sends what the session has to say, and gives what comes.
    pub(super) fn poll(
        &mut self,
        session: &mut Session,
        context: &mut Context<'_>,
    ) -> Poll<Happened> {
        if let Err(error) = self.send(session, context) {
            return Poll::Ready(Happened::Ended(End::broken(&error.to_string())));
        }
        let Poll::Ready(frame) = self.0.poll_next_unpin(context) else {
            return Poll::Pending;
        };
        Poll::Ready(match frame {
            Some(Ok(Message::Text(text))) => Happened::Text(text.as_str().into()),
            Some(Ok(Message::Close(frame))) => Happened::Ended(closed(frame)),
            Some(Ok(_)) => Happened::Alive,
            Some(Err(error)) => Happened::Ended(End::broken(&error.to_string())),
            None => Happened::Ended(End::broken("the connection was closed")),
        })
    }

    fn send(&mut self, session: &mut Session, context: &mut Context<'_>) -> Result<(), Error> {
        while session.has_text() {
            if self.0.poll_ready_unpin(context)?.is_pending() {
                return Ok(());
            }
            if let Some(text) = session.poll_text() {
                self.0.start_send_unpin(Message::text(text))?;
            }
        }
        // What is not out yet goes on with the next call.
        let _ = std::pin::Pin::new(&mut self.0).poll_flush(context)?;
        Ok(())
    }
}

fn closed(frame: Option<CloseFrame>) -> End {
    match frame {
        Some(frame) => End::closed(frame.code.into(), &frame.reason),
        None => End::broken("closed without a reason"),
    }
}

fn refused(error: &Error) -> End {
    let mut end = End::broken(&error.to_string());
    if let Error::Http(response) = error {
        end.retry_after = retry_after(response);
    }
    end
}

fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get("retry-after")?.to_str().ok()?;
    value.parse().ok().map(Duration::from_secs)
}
