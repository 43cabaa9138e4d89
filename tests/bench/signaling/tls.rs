//! One certificate for all servers, and clients that trust it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::rounds::Error;

/// The certificate's name, which clients ask for.
pub(crate) const NAME: &str = "localhost";

/// A certificate on P-256 in files.
pub(crate) struct Certificate {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    _folder: tempfile::TempDir,
}

impl Certificate {
    pub(crate) fn make() -> Result<Self, Error> {
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()])?;
        let folder = tempfile::tempdir()?;
        let this = Self {
            certificate: folder.path().join("certificate.pem"),
            key: folder.path().join("key.pem"),
            _folder: folder,
        };
        std::fs::write(&this.certificate, made.cert.pem())?;
        std::fs::write(&this.key, made.signing_key.serialize_pem())?;
        Ok(this)
    }

    /// Connects as somebody who has never been there: without a session to go on with.
    pub(crate) fn connector(&self) -> Result<TlsConnector, Error> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&self.certificate)?)?;
        let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config).into())
    }
}

/// Accepts with these files.
pub(crate) fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, Error> {
    let chain = vec![CertificateDer::from_pem_file(certificate)?];
    let key = PrivateKeyDer::from_pem_file(key)?;
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(Arc::new(config).into())
}
