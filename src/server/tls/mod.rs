//! TLS for HTTPS and for the relay: the certificate and how it is shown.

mod error;
mod files;
mod local_ca;

pub use error::CertificateError;
pub use local_ca::leaf_names;

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::config::CertificateSource;
use super::state::StateDirectory;
use crate::net::TlsConfig;

/// What listeners need that speak TLS.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The configuration of rustls.
    pub config: Arc<rustls::ServerConfig>,
    /// Where the local CA's certificate lies, if the certificate is from it.
    pub local_ca: Option<PathBuf>,
}

/// Gets the certificate from where the operator says; `names` are those of a generated one.
///
/// # Errors
/// If a file is unreadable or wrong, or if the key is not the certificate's.
pub fn prepare(
    source: &CertificateSource,
    state: &StateDirectory,
    names: &[String],
) -> Result<Tls, CertificateError> {
    match source {
        CertificateSource::LocalCa => {
            let issued = local_ca::certificate(state, names)?;
            Ok(Tls {
                config: server_config(issued.chain, issued.key, &issued.path)?,
                local_ca: Some(issued.ca),
            })
        }
        CertificateSource::Files { .. } => Ok(Tls {
            config: check(source)?.expect("the source is files"),
            local_ca: None,
        }),
    }
}

/// Reads the operator's certificate files, if that is the source, and changes nothing.
///
/// # Errors
/// As [`prepare`].
pub fn check(
    source: &CertificateSource,
) -> Result<Option<Arc<rustls::ServerConfig>>, CertificateError> {
    let CertificateSource::Files { certificate, key } = source else {
        return Ok(None);
    };
    let chain = files::chain(certificate)?;
    let key = files::key(key)?;
    server_config(chain, key, certificate).map(Some)
}

/// TLS 1.2 and 1.3 with HTTP/1.1 above.
fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    path: &std::path::Path,
) -> Result<Arc<rustls::ServerConfig>, CertificateError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .expect("the provider has suites for TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| CertificateError::new(path, reason(&error)))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The same certificate for the relay, whose clients may name what they speak (RFC 7443).
#[must_use]
pub fn for_relay(config: &rustls::ServerConfig) -> TlsConfig {
    let mut config = config.clone();
    config.alpn_protocols = vec![b"stun.turn".to_vec(), b"stun.nat-discovery".to_vec()];
    Arc::new(ArcSwap::from_pointee(config))
}

fn reason(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InconsistentKeys(_) => {
            "the private key (http.tls.key) does not belong to this certificate".into()
        }
        other => other.to_string(),
    }
}
