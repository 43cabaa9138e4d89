//! Why there is no certificate.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::server::state::StateError;

/// Why there is no certificate: the file and what is wrong with it.
#[derive(Debug)]
pub struct CertificateError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong.
    pub reason: String,
}

impl CertificateError {
    pub(super) fn new(path: &Path, reason: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }
}

impl From<StateError> for CertificateError {
    fn from(error: StateError) -> Self {
        Self {
            path: error.path,
            reason: error.source.to_string(),
        }
    }
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "certificate {}: {}", self.path.display(), self.reason)
    }
}

impl std::error::Error for CertificateError {}
