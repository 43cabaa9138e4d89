//! Takes connections, shakes hands and serves HTTP on them, or hands them to the relay.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower::ServiceExt;
use tracing::{debug, warn};

use super::admission::{Admission, Permit};
use super::bounds::{HEADER_BYTES, HEADERS, LAST_REQUEST, LIFE};
use super::http2;
use crate::net::Bulk;
use crate::relay::Entrance;
use crate::server::tls::{HTTP_2, STUN_NAT_DISCOVERY, STUN_TURN};
use crate::stun::{Protocol, classify};

/// How long a client may take for the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Header fields of a request.
const HEADER_FIELDS: usize = 100;
/// The pause after `accept` failed, which mostly means that no file descriptor is free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Said to a client for whom there is no place.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\n\
    X-Content-Type-Options: nosniff\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// A bound listener with all that its connections need.
pub(in crate::server) struct Listener {
    /// The socket.
    pub(in crate::server) socket: TcpListener,
    /// For HTTPS.
    pub(in crate::server) tls: Option<TlsAcceptor>,
    /// Where clients go that speak TURN over TLS to this port.
    pub(in crate::server) relay: Option<Entrance>,
    /// What answers.
    pub(in crate::server) router: Router,
    /// How many connections there may be.
    pub(in crate::server) admission: Arc<Admission>,
}

impl Listener {
    /// Serves until `stop` turns true, then closes the socket. Connections end by themselves soon
    /// after: idle ones at once, others with the answer that they wait for.
    pub(in crate::server) async fn run(self, mut stop: watch::Receiver<bool>) {
        loop {
            let accepted = tokio::select! {
                // An error means that the owner is gone, which is a stop too.
                _ = stop.wait_for(|stop| *stop) => return,
                accepted = self.socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.take(stream, peer, &stop),
                Err(error) => {
                    warn!("cannot take a connection: {error}");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn take(&self, stream: TcpStream, peer: SocketAddr, stop: &watch::Receiver<bool>) {
        let Some(permit) = self.admission.admit(peer.ip()) else {
            debug!("no place for a connection from {peer}");
            if self.tls.is_none() {
                // What does not fit into an empty send buffer is not worth waiting for.
                drop(stream.try_write(FULL));
            }
            return;
        };
        // Signaling messages are small and should not wait for more.
        if let Err(error) = stream.set_nodelay(true) {
            debug!("{peer} was gone at once: {error}");
            return;
        }
        let connection = Connection {
            peer,
            router: self.router.clone(),
            stop: stop.clone(),
            permit,
        };
        match self.tls.clone() {
            None => tokio::spawn(connection.serve(Bulk::new(stream))),
            Some(tls) => tokio::spawn(connection.shake_hands(tls, stream, self.relay.clone())),
        };
    }
}

struct Connection {
    peer: SocketAddr,
    router: Router,
    stop: watch::Receiver<bool>,
    permit: Permit,
}

impl Connection {
    async fn shake_hands(mut self, tls: TlsAcceptor, stream: TcpStream, relay: Option<Entrance>) {
        let shaken = tokio::select! {
            _ = self.stop.wait_for(|stop| *stop) => return,
            shaken = timeout(HANDSHAKE, tls.accept(stream)) => shaken,
        };
        match shaken {
            Ok(Ok(stream)) => self.choose(stream, relay).await,
            Ok(Err(error)) => debug!("no TLS with {}: {error}", self.peer),
            Err(_) => debug!("{} took too long for the TLS handshake", self.peer),
        }
    }

    /// Serves HTTP, unless the client turns out to speak TURN.
    async fn choose(mut self, mut stream: TlsStream<TcpStream>, relay: Option<Entrance>) {
        let Some(relay) = relay else {
            return self.serve_chosen(stream).await;
        };
        let speaks_turn = tokio::select! {
            _ = self.stop.wait_for(|stop| *stop) => return,
            speaks_turn = timeout(HEADERS, speaks_turn(&mut stream)) => speaks_turn,
        };
        match speaks_turn {
            Ok(Ok(false)) => self.serve_chosen(stream).await,
            Ok(Ok(true)) => {
                let (socket, session) = stream.into_inner();
                let handed = socket
                    .into_std()
                    .and_then(|socket| relay.hand_over(socket, session));
                if let Err(error) = handed {
                    debug!("{} did not get to the relay: {error}", self.peer);
                }
            }
            Ok(Err(error)) => debug!("connection of {}: {error}", self.peer),
            Err(_) => debug!("{} said nothing", self.peer),
        }
    }

    /// Serves the HTTP that the handshake has settled on.
    async fn serve_chosen(self, stream: TlsStream<TcpStream>) {
        let (_, session) = stream.get_ref();
        if session.alpn_protocol() == Some(HTTP_2) {
            let Self {
                peer,
                router,
                stop,
                permit,
            } = self;
            // In a box: a WebSocket of HTTP/1.1 must not pay for what only HTTP/2 needs.
            let served = Box::pin(http2::serve(stream, peer, router, permit, stop));
            return served.await;
        }
        self.serve(stream).await;
    }

    async fn serve<S>(mut self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (peer, router, _permit) = (self.peer, self.router.clone(), self.permit);
        let service = service_fn(move |request| answer(router.clone(), peer, request));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADERS)
            .max_headers(HEADER_FIELDS)
            .max_header_size(HEADER_BYTES)
            .max_buf_size(2 * HEADER_BYTES)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => Some(ended),
            _ = self.stop.wait_for(|stop| *stop) => None,
            () = sleep(LIFE) => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                connection.as_mut().graceful_shutdown();
                match timeout(LAST_REQUEST, connection).await {
                    Ok(ended) => ended,
                    Err(_) => return debug!("{peer} was cut off"),
                }
            }
        };
        if let Err(error) = ended {
            debug!("connection of {peer}: {error}");
        }
    }
}

/// Whether a client speaks TURN: it says so in the handshake (RFC 7443), or begins with a STUN
/// message, whose first byte is that of no HTTP request. Browsers do the latter. Nothing is taken
/// from the stream.
async fn speaks_turn(stream: &mut TlsStream<TcpStream>) -> std::io::Result<bool> {
    let (_, session) = stream.get_ref();
    match session.alpn_protocol() {
        Some(STUN_TURN | STUN_NAT_DISCOVERY) => Ok(true),
        Some(_) => Ok(false),
        None => {
            let begun = stream.fill_buf().await?;
            Ok(classify(begun) == Protocol::Stun)
        }
    }
}

async fn answer(
    router: Router,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response, Infallible> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(ConnectInfo(peer));
    router.oneshot(request).await
}

#[cfg(test)]
mod tests {
    use axum::extract::WebSocketUpgrade;
    use axum::extract::ws::WebSocket;
    use axum::routing::any;
    use futures_util::{SinkExt, StreamExt};
    use tokio_tungstenite::tungstenite::Message;

    use super::*;

    async fn echo(mut socket: WebSocket) {
        while let Some(Ok(message)) = socket.recv().await {
            if socket.send(message).await.is_err() {
                return;
            }
        }
    }

    #[tokio::test]
    async fn a_websocket_takes_no_place_and_outlives_the_listener() {
        let upgrade = |upgrade: WebSocketUpgrade| async { upgrade.on_upgrade(echo) };
        let socket = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = socket.local_addr().expect("bound");
        let admission = Arc::new(Admission::new(1, 0));
        let listener = Listener {
            socket,
            tls: None,
            relay: None,
            router: Router::new().route("/", any(upgrade)),
            admission: Arc::clone(&admission),
        };
        let stop = watch::Sender::new(false);
        let running = tokio::spawn(listener.run(stop.subscribe()));
        let stream = TcpStream::connect(address).await.expect("connected");
        let (mut client, _) = tokio_tungstenite::client_async(format!("ws://{address}/"), stream)
            .await
            .expect("upgraded");
        admission.all_gone().await;
        stop.send_replace(true);
        running.await.expect("ended");
        client
            .send(Message::text("still here"))
            .await
            .expect("sent");
        let answer = client.next().await.expect("open").expect("a message");
        assert_eq!(answer, Message::text("still here"));
    }
}
