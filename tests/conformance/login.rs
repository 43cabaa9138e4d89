//! How somebody signs in, in every way there is.

use peerage::auth::Key;
use peerage::stun::{Attribute, Integrity, PasswordAlgorithm, Writer};

use crate::relay::REALM;

/// A name, a password and how they are used.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) username: String,
    pub(crate) password: String,
    /// `None`: as a client that knows no password algorithms.
    pub(crate) algorithm: Option<PasswordAlgorithm>,
    pub(crate) integrity: Integrity,
    pub(crate) nonce: Vec<u8>,
}

impl Login {
    /// As browsers do it, without a nonce so far.
    pub(crate) fn of(username: &str, password: &str) -> Self {
        Self {
            username: username.to_owned(),
            password: password.to_owned(),
            algorithm: None,
            integrity: Integrity::Sha1,
            nonce: Vec::new(),
        }
    }

    pub(crate) fn key(&self) -> Key {
        let algorithm = self.algorithm.unwrap_or(PasswordAlgorithm::Md5);
        Key::new(algorithm, &self.username, REALM, &self.password)
    }

    /// Writes all that signs a request.
    pub(crate) fn sign(&self, writer: &mut Writer<'_>) {
        writer.text(Attribute::USERNAME, &self.username);
        writer.text(Attribute::REALM, REALM);
        writer.attribute(Attribute::NONCE, &self.nonce);
        if let Some(algorithm) = self.algorithm {
            writer.attribute(Attribute::PASSWORD_ALGORITHMS, &PasswordAlgorithm::ALL);
            writer.attribute(Attribute::PASSWORD_ALGORITHM, &algorithm.value());
        }
        writer.integrity(self.integrity, self.key().as_bytes());
    }
}
