//! One WebSocket: frames in, frames out, and every way in which it can end.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message as WsMessage, Utf8Bytes, WebSocket};
use futures_util::SinkExt;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};
use tracing::debug;

use super::door::Visitor;
use super::frames;
use super::lease::Lease;
use super::outbox::{Nothing, Outbox, Outgoing};
use super::settings::Settings;
use super::switchboard::{Gone, Switchboard};
use crate::dialect::native;
use crate::signal::{Close, Command, ConnectionId, Ending, Input, Message, Offset, Rejection};

/// How many messages are written together at most, so that what comes in gets its turn as well.
const TOGETHER: usize = 32;
/// How long an end may take: what still waits, the close frame and the peer's answer to it.
const GOODBYE: Duration = Duration::from_secs(5);
/// With which a browser closes when its page is left (RFC 6455, section 7.4.1).
const PAGE_LEFT: u16 = 1001;
/// What stands for a close frame without a code there.
const NO_CODE: u16 = 1005;
/// The hub learns that a connection lives at most this often.
const ALIVE: Duration = Duration::from_secs(1);

/// A place among the connections, and what the connection below wants to be kept.
pub(super) type Place = (OwnedSemaphorePermit, Option<Lease>);

/// A connection's task.
pub(super) struct Carrier {
    id: ConnectionId,
    visitor: Visitor,
    socket: WebSocket,
    /// Given back when the task ends.
    _place: Place,
    hub: Arc<Switchboard>,
    outbox: Outbox,
    write_timeout: Duration,
    /// When the hub last heard that the connection lives.
    told: Instant,
    /// Once the hub has let the connection go: when it must be over.
    over: Option<Instant>,
}

/// How a connection ends.
enum End {
    /// The server closes it.
    Close(Ending),
    /// The server closes it, and cannot read what still comes.
    Unreadable(Close),
    /// The peer has closed it, with this code.
    Closed(u16),
    /// It is broken.
    Gone,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Close(Ending { close, .. }) | Self::Unreadable(close) => {
                write!(f, "closed with {}, {}", close.code(), close.reason())
            }
            Self::Closed(code) => write!(f, "closed by the peer with {code}"),
            Self::Gone => f.write_str("gone"),
        }
    }
}

impl From<Close> for End {
    fn from(close: Close) -> Self {
        Self::Close(close.into())
    }
}

impl Carrier {
    pub(super) fn new(
        id: ConnectionId,
        visitor: Visitor,
        (socket, place): (WebSocket, Place),
        (hub, outbox): (Arc<Switchboard>, Outbox),
        settings: &Settings,
    ) -> Self {
        Self {
            id,
            visitor,
            socket,
            _place: place,
            hub,
            outbox,
            write_timeout: settings.write_timeout,
            told: Instant::now(),
            over: None,
        }
    }

    /// Carries messages both ways until the connection ends.
    pub(super) async fn run(mut self) {
        let end = self.exchange().await;
        debug!(connection = self.id.0, %end, "over");
        self.outbox.close();
        // The session is suspended now; how long the goodbye takes does not matter to others.
        let input = match end {
            End::Closed(PAGE_LEFT) => Input::Left,
            _ => Input::Closed,
        };
        let _ = self.hub.tell(self.id, input);
        let deadline = self.over.unwrap_or_else(|| Instant::now() + GOODBYE);
        // Who does not answer a close frame in time is cut off: there is nothing else to do.
        let _ = timeout_at(deadline, self.goodbye(end)).await;
    }

    async fn exchange(&mut self) -> End {
        loop {
            let step = tokio::select! {
                frame = self.socket.recv() => self.receive(frame),
                outgoing = self.outbox.next() => self.pass_on(outgoing).await,
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    fn receive(&mut self, frame: Option<Result<WsMessage, axum::Error>>) -> Result<(), End> {
        match frame {
            None => Err(End::Gone),
            Some(Err(error)) => Err(self.unreadable(error)),
            Some(Ok(WsMessage::Text(text))) => self.take(&text),
            Some(Ok(WsMessage::Binary(_))) => {
                self.visitor.is_ended(Close::Binary);
                Err(End::from(Close::Binary))
            }
            Some(Ok(WsMessage::Ping(_) | WsMessage::Pong(_))) => self.alive(),
            Some(Ok(WsMessage::Close(frame))) => {
                Err(End::Closed(frame.map_or(NO_CODE, |frame| frame.code)))
            }
        }
    }

    /// How the connection ends, since its next frame could not be read.
    fn unreadable(&self, error: axum::Error) -> End {
        let Some(close) = frames::unreadable(error) else {
            return End::Gone;
        };
        self.visitor.is_ended(close);
        End::Unreadable(close)
    }

    fn take(&mut self, text: &Utf8Bytes) -> Result<(), End> {
        let mut command = native::decode(text.as_bytes()).map_err(Rejection::from);
        self.visitor.check(&mut command);
        if let Ok(Command::Hello(hello)) = &command {
            debug!(connection = self.id.0, client = ?hello.client, "hello");
        }
        let length = text.len();
        self.tell(Input::Message { length, command })
    }

    fn alive(&mut self) -> Result<(), End> {
        if self.told.elapsed() < ALIVE {
            return Ok(());
        }
        self.tell(Input::Alive)
    }

    fn tell(&mut self, input: Input) -> Result<(), End> {
        self.told = Instant::now();
        let told = self.hub.tell(self.id, input);
        told.map_err(|Gone| End::from(Close::GoingAway))
    }

    /// Sends what the hub wants sent, and whatever else waits by then.
    async fn pass_on(&mut self, first: Option<Outgoing>) -> Result<(), End> {
        self.queue(first).await?;
        for _ in 1..TOGETHER {
            match self.outbox.take() {
                Ok(next) => self.queue(Some(next)).await?,
                Err(Nothing::Yet) => break,
                Err(Nothing::More) => self.queue(None).await?,
            }
        }
        self.in_time(SinkExt::flush).await
    }

    async fn queue(&mut self, outgoing: Option<Outgoing>) -> Result<(), End> {
        match outgoing {
            Some(Outgoing::Message(offset, message)) => self.send(offset, &message).await,
            Some(Outgoing::Ping(_)) => self.write(WsMessage::Ping(Vec::new().into())).await,
            Some(Outgoing::Close(ending)) => Err(End::Close(ending)),
            // The hub has let go without a word: the queue was full.
            None => Err(End::from(Close::TooSlow)),
        }
    }

    async fn send(&mut self, offset: Option<Offset>, message: &Message) -> Result<(), End> {
        self.visitor.is_told(message);
        let mut text = Vec::with_capacity(message.size());
        native::encode(offset, message, &mut text);
        let text = String::from_utf8(text).expect("JSON is written in UTF-8");
        self.write(WsMessage::Text(text.into())).await
    }

    /// Puts a frame behind those that are to be written.
    async fn write(&mut self, frame: WsMessage) -> Result<(), End> {
        self.in_time(|socket| socket.feed(frame)).await
    }

    /// A socket that takes nothing for too long is given up; once the hub has let go, all that is
    /// left has the time of a goodbye together.
    async fn in_time<'s, F>(
        &'s mut self,
        write: impl FnOnce(&'s mut WebSocket) -> F,
    ) -> Result<(), End>
    where
        F: Future<Output = Result<(), axum::Error>> + 's,
    {
        if self.outbox.is_let_go() {
            let goodbye = || Instant::now() + GOODBYE;
            self.over.get_or_insert_with(goodbye);
        }
        let deadline = self
            .over
            .unwrap_or_else(|| Instant::now() + self.write_timeout);
        match timeout_at(deadline, write(&mut self.socket)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End::Gone),
        }
    }

    async fn goodbye(&mut self, end: End) {
        let is_over = match end {
            End::Close(ending) => frames::close(&mut self.socket, &ending).await,
            End::Unreadable(close) => return frames::give_up(&mut self.socket, close).await,
            End::Closed(_) => true,
            End::Gone => false,
        };
        if is_over {
            self.read_to_the_end().await;
        }
    }

    /// Until the closing handshake is done. What still comes says nothing any more.
    async fn read_to_the_end(&mut self) {
        while let Some(Ok(_)) = self.socket.recv().await {}
    }
}
