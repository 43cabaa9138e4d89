//! One connection of a client.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::ServerName;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::protocol::{Heard, Protocol};
use crate::rounds::Error;
use crate::tls;

/// How long one connection may take, and how often it is tried.
const PATIENCE: Duration = Duration::from_secs(30);
const TRIES: usize = 20;
const PAUSE: Duration = Duration::from_millis(100);
/// Connections from one address of the load: all of them would be too many for its ports.
const OF_ADDRESS: usize = 4_000;
/// What the load keeps for each connection.
const BUFFER: usize = 4_096;

/// Where a server is.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) tls: Option<TlsConnector>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

pub(crate) struct Line {
    socket: WebSocketStream<Box<dyn Stream>>,
}

impl Line {
    /// Connects the client with this number, until the server says that it is ready.
    pub(crate) async fn open(
        target: &Target,
        number: usize,
        client: &mut dyn Protocol,
    ) -> Result<Self, Error> {
        for _ in 1..TRIES {
            match tokio::time::timeout(PATIENCE, Self::try_open(target, number, client)).await? {
                Ok(line) => return Ok(line),
                // It is busy, perhaps, and takes nobody.
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
        Self::try_open(target, number, client).await
    }

    async fn try_open(
        target: &Target,
        number: usize,
        client: &mut dyn Protocol,
    ) -> Result<Self, Error> {
        let stream = connect(target, number).await?;
        let request = format!("ws://{}{}", target.address, client.path());
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(BUFFER);
        let opened =
            tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await?;
        let mut line = Self { socket: opened.0 };
        for text in client.opening() {
            line.say(text).await?;
        }
        loop {
            let text = line.next().await?;
            match client.hear(&text)? {
                Heard::Ready => return Ok(line),
                Heard::Reply(text) => line.say(text).await?,
                Heard::Said | Heard::Other => {}
            }
        }
    }

    pub(crate) async fn say(&mut self, text: String) -> Result<(), Error> {
        Ok(self.socket.send(Message::text(text)).await?)
    }

    /// The next text of the server. Pings are answered meanwhile.
    pub(crate) async fn next(&mut self) -> Result<Utf8Bytes, Error> {
        loop {
            match self.socket.next().await.ok_or("the server has closed")?? {
                Message::Text(text) => return Ok(text),
                Message::Close(why) => return Err(format!("the server has closed: {why:?}").into()),
                _ => {}
            }
        }
    }
}

async fn connect(target: &Target, number: usize) -> Result<Box<dyn Stream>, Error> {
    let socket = TcpSocket::new_v4()?;
    let own = Ipv4Addr::new(127, 0, 0, 2 + (number / OF_ADDRESS) as u8);
    socket.bind(SocketAddr::from((own, 0)))?;
    let stream: TcpStream = socket.connect(target.address).await?;
    stream.set_nodelay(true)?;
    // A connection is cut, not closed, and leaves no port behind that is not free for a minute.
    SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
    let Some(connector) = &target.tls else {
        return Ok(Box::new(stream));
    };
    let name = ServerName::try_from(tls::NAME)?;
    Ok(Box::new(connector.connect(name, stream).await?))
}
