//! What holds for the frames of every WebSocket.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use tungstenite::Error;
use tungstenite::error::CapacityError;

use crate::dialect::native;
use crate::signal::{Close, Ending, MESSAGE_BYTES};

/// How long to leave a connection open that can be read no more, so that the peer sees the close
/// frame before the reset that follows from what was not read.
const LINGER: Duration = Duration::from_secs(1);

/// What every WebSocket has for reading all the time: room for a usual message. Longer ones get room
/// when they come; what comes together is read together all the same, by [`crate::net::Bulk`] and by
/// the buffers of TLS.
const READ_BUFFER: usize = 1 << 10;

/// From how many bytes on frames are written before the last one that waits is there.
const WRITE_BUFFER: usize = 16 << 10;

/// The bounds of every WebSocket. A router of one's own beside the gateway's can have them, too.
pub fn bounded(request: WebSocketUpgrade) -> WebSocketUpgrade {
    request
        .read_buffer_size(READ_BUFFER)
        // What waits is written together, and at once when nothing more waits.
        .write_buffer_size(WRITE_BUFFER)
        .max_message_size(MESSAGE_BYTES)
        .max_frame_size(MESSAGE_BYTES)
}

/// Why to close a WebSocket whose next frame could not be read (RFC 6455, section 7.4.1); `None` if
/// it is broken.
#[must_use]
pub fn unreadable(error: axum::Error) -> Option<Close> {
    match error.into_inner().downcast::<Error>().as_deref() {
        Ok(Error::Capacity(CapacityError::MessageTooLong { .. })) => Some(Close::TooLong),
        Ok(Error::Capacity(_) | Error::Protocol(_)) => Some(Close::NotWebSocket),
        Ok(Error::Utf8(_)) => Some(Close::NotUtf8),
        _ => None,
    }
}

/// Closes a WebSocket that can be read no more.
pub async fn give_up(socket: &mut WebSocket, why: Close) {
    if close(socket, &why.into()).await {
        tokio::time::sleep(LINGER).await;
    }
}

/// Says that this is the end; gives whether that could be said.
pub(super) async fn close(socket: &mut WebSocket, ending: &Ending) -> bool {
    let code = ending.close.code();
    let reason = Utf8Bytes::from(native::encode_reason(ending));
    let frame = Message::Close(Some(CloseFrame { code, reason }));
    socket.send(frame).await.is_ok()
}
