//! The TCP sockets of the server, from when they are bound until they are served.

use super::addresses::Addresses;
use super::bind::{Bound, bind_all};
use super::config::Config;
use super::error::StartError;

/// What is bound by TCP, without the relay's listeners.
pub(super) struct Sockets {
    /// For plain HTTP.
    pub(super) http: Vec<Bound>,
    /// For HTTPS.
    pub(super) https: Vec<Bound>,
    /// For metrics.
    pub(super) metrics: Vec<Bound>,
}

impl Sockets {
    /// Binds all of them, or none.
    pub(super) fn bind(config: &Config) -> Result<Self, StartError> {
        Ok(Self {
            http: bind_all(&config.http.listen, "http.listen")?,
            https: bind_all(&config.http.tls_listen, "http.tls_listen")?,
            metrics: bind_all(&config.metrics.listen, "metrics.listen")?,
        })
    }

    /// Where they are; the relay's listeners are still missing.
    pub(super) fn addresses(&self) -> Addresses {
        let of = |bound: &[Bound]| bound.iter().map(|bound| bound.address).collect();
        Addresses {
            http: of(&self.http),
            https: of(&self.https),
            turn: Vec::new(),
            metrics: of(&self.metrics),
        }
    }
}
