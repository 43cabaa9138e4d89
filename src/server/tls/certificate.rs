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
use crate::net::{DtlsConfig, DtlsIdentity, UnfitKey};

/// A certificate with its key, as it was loaded.
#[derive(Clone, Debug)]
pub struct Loaded {
    key: Arc<CertifiedKey>,
    dtls: Result<Arc<DtlsIdentity>, UnfitKey>,
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
        let leaf = chain.first().map_or(&[][..], |leaf| leaf.as_ref());
        let dtls = DtlsIdentity::new(leaf, key.secret_der()).map(Arc::new);
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let key = CertifiedKey::from_der(chain, key, &provider)
            .map_err(|error| CertificateError::new(path, reason(&error)))?;
        Ok(Self {
            key: Arc::new(key),
            dtls,
            not_after,
        })
    }

    /// When it ends, in time since 1970.
    #[must_use]
    pub fn not_after(&self) -> Duration {
        self.not_after
    }

    /// Whether DTLS can be spoken with it.
    ///
    /// # Errors
    /// If it cannot.
    pub fn fits_dtls(&self) -> Result<(), UnfitKey> {
        self.dtls.as_ref().map(drop).map_err(|unfit| *unfit)
    }
}

/// The certificate that is shown now.
#[derive(Debug)]
pub struct Certificate {
    shown: ArcSwap<Loaded>,
    /// The same for DTLS, or what there was last that fits.
    dtls: Result<DtlsConfig, UnfitKey>,
}

impl Certificate {
    pub(super) fn new(loaded: Loaded) -> Arc<Self> {
        let dtls = loaded.dtls.clone();
        Arc::new(Self {
            shown: ArcSwap::from_pointee(loaded),
            dtls: dtls.map(|identity| Arc::new(ArcSwap::new(identity))),
        })
    }

    /// Shows `loaded` from the next handshake on; gives whether that is another certificate.
    pub fn replace(&self, loaded: Loaded) -> bool {
        if let Ok(dtls) = &self.dtls {
            match &loaded.dtls {
                Ok(identity) => dtls.store(Arc::clone(identity)),
                Err(unfit) => tracing::warn!(
                    "over DTLS the certificate of before is shown still, since that of \
                     http.tls.key does not fit: {unfit}"
                ),
            }
        }
        let before = self.shown.swap(Arc::new(loaded));
        before.key.cert != self.shown.load().key.cert
    }

    /// What DTLS is spoken with.
    ///
    /// # Errors
    /// If it cannot be spoken with the certificate that there was at first.
    pub fn dtls(&self) -> Result<DtlsConfig, UnfitKey> {
        self.dtls.clone()
    }

    /// How many certificates are shown with it, up to that of a known authority.
    #[must_use]
    pub fn intermediates(&self) -> usize {
        self.shown.load().key.cert.len().saturating_sub(1)
    }

    /// See [`Loaded::not_after`].
    #[must_use]
    pub fn not_after(&self) -> Duration {
        self.shown.load().not_after
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.shown.load().key))
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
