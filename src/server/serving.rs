//! HTTP and HTTPS on the listeners that are bound.

use std::sync::Arc;

use axum::Router;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::bind::Bound;
use super::http::{Admission, Listener};
use super::tls::{self, Tls};
use crate::relay::{Entrance, Relay};

/// What listeners serve.
pub(super) struct Service {
    /// For HTTPS.
    tls: Option<TlsAcceptor>,
    /// Where clients go that speak TURN.
    relay: Option<Entrance>,
    router: Router,
    admission: Arc<Admission>,
}

impl Service {
    /// Plain HTTP.
    pub(super) fn plain(router: Router, admission: &Arc<Admission>) -> Self {
        Self {
            tls: None,
            relay: None,
            router,
            admission: Arc::clone(admission),
        }
    }

    /// The same over TLS; `relay` is reached by the same ports.
    pub(super) fn secured(self, tls: &Tls, relay: Option<&Relay>) -> Self {
        let shown = match relay {
            Some(_) => tls::for_both(&tls.config),
            None => Arc::clone(&tls.config),
        };
        Self {
            tls: Some(TlsAcceptor::from(shown)),
            relay: relay.map(Relay::entrance),
            ..self
        }
    }

    /// Serves each listener until `stop` turns true. Returns at once.
    pub(super) fn run(&self, bound: Vec<Bound>, stop: &watch::Sender<bool>) {
        for Bound { socket, .. } in bound {
            let listener = Listener {
                socket,
                tls: self.tls.clone(),
                relay: self.relay.clone(),
                router: self.router.clone(),
                admission: Arc::clone(&self.admission),
            };
            tokio::spawn(listener.run(stop.subscribe()));
        }
    }
}
