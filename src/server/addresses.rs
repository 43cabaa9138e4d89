//! Where the server listens, and where it tells clients to go.

use std::net::SocketAddr;

use crate::relay;
use crate::turn::Transport;

/// The port that browsers mean by `https:` alone.
const HTTPS_PORT: u16 = 443;

/// Where the server listens, with the ports that the system gave.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    /// Plain HTTP.
    pub http: Vec<SocketAddr>,
    /// HTTPS.
    pub https: Vec<SocketAddr>,
    /// STUN and TURN.
    pub turn: Vec<relay::Listener>,
    /// Metrics.
    pub metrics: Vec<SocketAddr>,
}

impl Addresses {
    /// Where clients are told to find the relay. Of several ways in by TLS the one on the port of
    /// HTTPS comes first: more networks let it pass than any other.
    pub(super) fn told_of_turn(&self, share_https: bool) -> Vec<relay::Listener> {
        let is_secure = |listener: &relay::Listener| listener.transport == Transport::Tls;
        let mut told = self.turn.clone();
        let is_usual = self
            .https
            .iter()
            .any(|address| address.port() == HTTPS_PORT);
        if share_https && !told.is_empty() && (is_usual || !told.iter().any(is_secure)) {
            told.retain(|listener| !is_secure(listener));
            told.extend(self.https.iter().map(|&address| relay::Listener {
                transport: Transport::Tls,
                address,
            }));
        }
        told
    }

    /// Where else than at the relay's listeners the server is reached by TCP.
    pub(super) fn by_tcp(&self) -> Vec<SocketAddr> {
        [&self.http[..], &self.https, &self.metrics].concat()
    }

    /// Where STUN and TURN are spoken over UDP.
    pub fn turn_by_datagrams(&self) -> impl Iterator<Item = &SocketAddr> {
        let by_datagrams = |listener: &&relay::Listener| listener.transport == Transport::Udp;
        self.turn
            .iter()
            .filter(by_datagrams)
            .map(|listener| &listener.address)
    }
}
