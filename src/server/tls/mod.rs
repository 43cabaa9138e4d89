//! TLS for HTTPS and for the relay: the certificate and how it is shown.

mod certificate;
mod error;
mod files;
mod local_ca;

pub use certificate::{Certificate, Loaded};
pub use error::CertificateError;
pub use local_ca::leaf_names;

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::config::CertificateSource;
use super::state::StateDirectory;
use crate::net::{TlsConfig, UnfitKey};

/// How HTTP/2 is named (RFC 9113, section 3.2).
pub(super) const HTTP_2: &[u8] = b"h2";
/// How clients of the relay name what they speak (RFC 7443).
pub(super) const STUN_TURN: &[u8] = b"stun.turn";
/// Likewise for the discovery of NATs.
pub(super) const STUN_NAT_DISCOVERY: &[u8] = b"stun.nat-discovery";

/// What listeners need that speak TLS.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The configuration of rustls. It shows the certificate below; so does every copy of it,
    /// whatever else is changed in the copy.
    pub config: Arc<rustls::ServerConfig>,
    /// What is shown, and may be replaced.
    pub certificate: Arc<Certificate>,
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
    let certificate = Certificate::new(load(source, state, names)?);
    Ok(Tls {
        config: server_config(&certificate),
        certificate,
        local_ca: match source {
            CertificateSource::LocalCa => Some(local_ca::ca_file(state)),
            CertificateSource::Files { .. } => None,
        },
    })
}

/// Loads the certificate as it is now: what to replace another one with.
///
/// # Errors
/// As [`prepare`].
pub fn load(
    source: &CertificateSource,
    state: &StateDirectory,
    names: &[String],
) -> Result<Loaded, CertificateError> {
    match source {
        CertificateSource::LocalCa => {
            let issued = local_ca::certificate(state, names)?;
            Loaded::new(issued.chain, issued.key, &issued.path)
        }
        CertificateSource::Files { certificate, key } => {
            Loaded::new(files::chain(certificate)?, files::key(key)?, certificate)
        }
    }
}

/// Reads the operator's certificate files, if that is the source, and changes nothing.
///
/// Gives why DTLS cannot be spoken with it, if it cannot.
///
/// # Errors
/// As [`prepare`].
pub fn check(source: &CertificateSource) -> Result<Option<UnfitKey>, CertificateError> {
    let CertificateSource::Files { certificate, key } = source else {
        return Ok(None);
    };
    let loaded = Loaded::new(files::chain(certificate)?, files::key(key)?, certificate)?;
    Ok(loaded.fits_dtls().err())
}

/// TLS 1.2 and 1.3 with HTTP/2 or HTTP/1.1 above.
fn server_config(certificate: &Arc<Certificate>) -> Arc<rustls::ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .expect("the provider has suites for TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(certificate) as Arc<_>);
    config.alpn_protocols = vec![HTTP_2.to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

/// The same certificate for the relay, whose clients may name what they speak (RFC 7443).
#[must_use]
pub fn for_relay(config: &rustls::ServerConfig) -> TlsConfig {
    let mut config = config.clone();
    config.alpn_protocols = vec![STUN_TURN.to_vec(), STUN_NAT_DISCOVERY.to_vec()];
    Arc::new(ArcSwap::from_pointee(config))
}

/// The same certificate for HTTPS on a port where the relay is reached, too.
#[must_use]
pub fn for_both(config: &rustls::ServerConfig) -> Arc<rustls::ServerConfig> {
    let mut config = config.clone();
    config
        .alpn_protocols
        .extend([STUN_TURN.to_vec(), STUN_NAT_DISCOVERY.to_vec()]);
    Arc::new(config)
}
