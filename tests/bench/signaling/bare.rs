//! The bare relay: tokio-tungstenite, two clients to a path, and what one says goes to the other
//! as it is. What it does not do, any signaling server must.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::rounds::Error;
use crate::tls;

/// Messages that may wait for a client; it loses what comes beyond.
const QUEUE: usize = 64;
/// The library's own are 128 KiB for each connection.
const BUFFER: usize = 4_096;

/// Who is there, by path.
type Rooms = Arc<Mutex<HashMap<String, Vec<mpsc::Sender<Utf8Bytes>>>>>;

/// Serves until it is killed.
pub(crate) async fn serve(address: SocketAddr, files: Option<(&Path, &Path)>) -> Result<(), Error> {
    let acceptor = match files {
        Some((certificate, key)) => Some(tls::acceptor(certificate, key)?),
        None => None,
    };
    let listener = TcpListener::bind(address).await?;
    let rooms = Rooms::default();
    loop {
        // A connection that is gone before it is taken is no reason to end.
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let _ = stream.set_nodelay(true);
        let (rooms, acceptor) = (Arc::clone(&rooms), acceptor.clone());
        tokio::spawn(async move {
            // However it has ended, the client is gone.
            let _ = match acceptor {
                Some(acceptor) => over_tls(&acceptor, stream, &rooms).await,
                None => relay(stream, &rooms).await,
            };
        });
    }
}

async fn over_tls(
    acceptor: &TlsAcceptor,
    stream: tokio::net::TcpStream,
    rooms: &Rooms,
) -> Result<(), Error> {
    relay(acceptor.accept(stream).await?, rooms).await
}

async fn relay<S>(stream: S, rooms: &Rooms) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut room = String::new();
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER);
    #[expect(clippy::result_large_err, reason = "the library's callback has it so")]
    let note_path = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        request.uri().path().clone_into(&mut room);
        Ok(response)
    };
    let opened =
        tokio_tungstenite::accept_hdr_async_with_config(stream, note_path, Some(config)).await?;
    let (mut sink, mut stream) = opened.split();
    let (sender, mut queue) = mpsc::channel(QUEUE);
    locked(rooms)
        .entry(room.clone())
        .or_default()
        .push(sender.clone());
    let _ = sender.try_send(Utf8Bytes::from_static("ready"));
    let ended = loop {
        tokio::select! {
            message = stream.next() => match message {
                Some(Ok(Message::Text(text))) => hand_on(rooms, &room, &sender, &text),
                Some(Ok(_)) => {}
                Some(Err(error)) => break Err(error.into()),
                None => break Ok(()),
            },
            Some(text) = queue.recv() => {
                if let Err(error) = sink.send(Message::Text(text)).await {
                    break Err(error.into());
                }
            }
        }
    };
    let mut rooms = locked(rooms);
    let members = rooms.entry(room.clone()).or_default();
    members.retain(|member| !member.same_channel(&sender));
    if members.is_empty() {
        rooms.remove(&room);
    }
    ended
}

fn hand_on(rooms: &Rooms, room: &str, own: &mpsc::Sender<Utf8Bytes>, text: &Utf8Bytes) {
    for member in locked(rooms).get(room).into_iter().flatten() {
        if !member.same_channel(own) {
            // There is no room for it, or the member is just going.
            let _ = member.try_send(text.clone());
        }
    }
}

fn locked(
    rooms: &Rooms,
) -> std::sync::MutexGuard<'_, HashMap<String, Vec<mpsc::Sender<Utf8Bytes>>>> {
    rooms.lock().unwrap_or_else(PoisonError::into_inner)
}
