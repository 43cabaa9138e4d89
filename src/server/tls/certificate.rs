//! The certificate that TLS listeners show, and that may be replaced while they run.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::error::CertificateError;

/// A certificate with its key, as it was loaded.
#[derive(Clone, Debug)]
pub struct Loaded {
    key: Arc<CertifiedKey>,
    not_after: Duration,
}

impl Loaded {
    /// Puts a chain, leaf first, and the leaf's key together. `path` is for messages.
    ///
    /// # Errors
    /// If the key is not the leaf's, or the leaf is no certificate.
    pub(super) fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        path: &Path,
    ) -> Result<Self, CertificateError> {
        let not_after = not_after(chain.first().map_or(&[], |leaf| leaf.as_ref()))
            .ok_or_else(|| CertificateError::new(path, "not a certificate of X.509"))?;
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let key = CertifiedKey::from_der(chain, key, &provider)
            .map_err(|error| CertificateError::new(path, reason(&error)))?;
        Ok(Self {
            key: Arc::new(key),
            not_after,
        })
    }

    /// When it ends, in time since 1970.
    #[must_use]
    pub fn not_after(&self) -> Duration {
        self.not_after
    }
}

/// The certificate that is shown now.
#[derive(Debug)]
pub struct Certificate(ArcSwap<Loaded>);

impl Certificate {
    pub(super) fn new(loaded: Loaded) -> Arc<Self> {
        Arc::new(Self(ArcSwap::from_pointee(loaded)))
    }

    /// Shows `loaded` from the next handshake on; gives whether that is another certificate.
    pub fn replace(&self, loaded: Loaded) -> bool {
        let before = self.0.swap(Arc::new(loaded));
        before.key.cert != self.0.load().key.cert
    }

    /// See [`Loaded::not_after`].
    #[must_use]
    pub fn not_after(&self) -> Duration {
        self.0.load().not_after
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.load().key))
    }
}

fn not_after(leaf: &[u8]) -> Option<Duration> {
    let (_, leaf) = X509Certificate::from_der(leaf).ok()?;
    let seconds = leaf.validity().not_after.timestamp();
    Some(Duration::from_secs(seconds.try_into().unwrap_or(0)))
}

fn reason(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InconsistentKeys(_) => {
            "the private key (http.tls.key) does not belong to this certificate".into()
        }
        other => other.to_string(),
    }
}
