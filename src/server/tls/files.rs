//! Certificate and key files in PEM.

use std::path::Path;

use rustls::pki_types::pem::{Error, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::error::CertificateError;

/// The certificates of a file, leaf first.
pub(super) fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let chain: Result<Vec<_>, Error> =
        CertificateDer::pem_file_iter(path).and_then(|certificates| certificates.collect());
    let chain = chain.map_err(|error| wrong(path, &error, "certificate"))?;
    if chain.is_empty() {
        return Err(CertificateError::new(path, NO_CERTIFICATE));
    }
    Ok(chain)
}

const NO_CERTIFICATE: &str = "there is no certificate in PEM in this file";

/// The private key of a file.
pub(super) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, CertificateError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| wrong(path, &error, "private key"))
}

fn wrong(path: &Path, error: &Error, what: &str) -> CertificateError {
    let reason = match error {
        Error::Io(error) => error.to_string(),
        Error::NoItemsFound => format!("there is no {what} in PEM in this file"),
        other => format!("not PEM: {other}"),
    };
    CertificateError::new(path, reason)
}
