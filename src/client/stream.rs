//! A byte stream to the server.

use std::io;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::closing::End;
use super::settings::Settings;

/// What both plain TCP and TLS are.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

pub(super) type Stream = Box<dyn Duplex>;

/// Where to connect to, and how.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) settings: Arc<Settings>,
    pub(super) tls: Option<Arc<ClientConfig>>,
}

impl Target {
    pub(super) async fn connect(&self) -> Result<Stream, End> {
        let connected = self.try_connect().await;
        connected.map_err(|error| End::broken(&format!("cannot connect: {error}")))
    }

    async fn try_connect(&self) -> io::Result<Stream> {
        let place = &self.settings.place;
        let stream = TcpStream::connect((place.name(), place.port)).await?;
        // Without this the last of several small messages waits for the peer's delayed ACK.
        stream.set_nodelay(true)?;
        if !place.is_secure {
            return Ok(Box::new(stream));
        }
        let config = self
            .tls
            .as_ref()
            .ok_or_else(|| io::Error::other("nobody is trusted"))?;
        let name = ServerName::try_from(place.name().to_owned()).map_err(io::Error::other)?;
        let connector = TlsConnector::from(Arc::clone(config));
        Ok(Box::new(connector.connect(name, stream).await?))
    }
}
