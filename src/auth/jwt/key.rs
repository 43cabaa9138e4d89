//! A key that checks signatures, with the one algorithm that it is for.

use std::fmt;

use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::algorithm::Algorithm;
use crate::auth::Secret;

/// How many bytes a secret must have at least (RFC 7518 section 3.2).
pub const LEAST_SECRET: usize = 32;

/// Why something is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// A secret of fewer than 32 bytes.
    ShortSecret,
    /// Not `-----BEGIN PUBLIC KEY-----` and base64.
    NotPem,
    /// Neither Ed25519 nor P-256 nor RSA of 2,048 bits and more.
    Unsupported,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ShortSecret => "a secret has at least 32 bytes",
            Self::NotPem => "not a public key in PEM (BEGIN PUBLIC KEY)",
            Self::Unsupported => {
                "neither an Ed25519 key nor a P-256 key nor an RSA key of 2048 bits or more"
            }
        })
    }
}

/// A key that checks signatures.
#[derive(Clone)]
pub struct VerifyingKey {
    /// How tokens name it, if they do.
    id: Option<Box<str>>,
    algorithm: Algorithm,
    material: Material,
}

#[derive(Clone)]
enum Material {
    Secret(Box<[u8]>),
    Public(ParsedPublicKey),
}

impl VerifyingKey {
    /// The key of HS256.
    ///
    /// # Errors
    /// If it is shorter than 32 bytes.
    pub fn of_secret(secret: &Secret) -> Result<Self, KeyError> {
        Self::symmetric(secret.expose().as_bytes())
    }

    /// The key of HS256 with these bytes.
    pub(super) fn symmetric(secret: &[u8]) -> Result<Self, KeyError> {
        if secret.len() < LEAST_SECRET {
            return Err(KeyError::ShortSecret);
        }
        Ok(Self {
            id: None,
            algorithm: Algorithm::Hs256,
            material: Material::Secret(secret.into()),
        })
    }

    /// A public key in PEM (`SubjectPublicKeyInfo`). What kind of key it is settles its algorithm.
    ///
    /// # Errors
    /// If it is none, or of a kind that is not supported.
    pub fn of_pem(text: &str) -> Result<Self, KeyError> {
        let der = der_of_pem(text).ok_or(KeyError::NotPem)?;
        let mut kinds = Algorithm::ASYMMETRIC.into_iter();
        let key = kinds.find_map(|algorithm| Self::public(algorithm, &der).ok());
        key.ok_or(KeyError::Unsupported)
    }

    /// A public key in the encoding that is usual for its algorithm, or a `SubjectPublicKeyInfo`.
    pub(super) fn public(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, KeyError> {
        let verification = algorithm.verification().ok_or(KeyError::Unsupported)?;
        let key = ParsedPublicKey::new(verification, bytes).map_err(|_| KeyError::Unsupported)?;
        Ok(Self {
            id: None,
            algorithm,
            material: Material::Public(key),
        })
    }

    /// An RSA key from its modulus and exponent.
    pub(super) fn rsa(n: &[u8], e: &[u8]) -> Result<Self, KeyError> {
        // The library asks for the size only when it checks a signature.
        let leading_zeros = n.iter().take_while(|byte| **byte == 0).count();
        if !(256..=1_024).contains(&(n.len() - leading_zeros)) {
            return Err(KeyError::Unsupported);
        }
        let components = RsaPublicKeyComponents { n, e };
        let key = components
            .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
            .map_err(|_| KeyError::Unsupported)?;
        Ok(Self {
            id: None,
            algorithm: Algorithm::Rs256,
            material: Material::Public(key),
        })
    }

    /// Tokens name it so.
    #[must_use]
    pub fn with_id(mut self, id: &str) -> Self {
        self.id = Some(id.into());
        self
    }

    /// How tokens name it, if they do.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The one algorithm that it is for.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether it has signed `message`. A secret is compared in constant time.
    pub(super) fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Secret(secret) => {
                let mut mac =
                    Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
                mac.update(message);
                mac.verify_slice(signature).is_ok()
            }
            Material::Public(key) => key.verify_sig(message, signature).is_ok(),
        }
    }
}

impl PartialEq for VerifyingKey {
    fn eq(&self, other: &Self) -> bool {
        let is_same = match (&self.material, &other.material) {
            (Material::Secret(own), Material::Secret(other)) => own.ct_eq(other).into(),
            (Material::Public(own), Material::Public(other)) => own.as_ref() == other.as_ref(),
            _ => false,
        };
        is_same && self.algorithm == other.algorithm && self.id == other.id
    }
}

impl Eq for VerifyingKey {}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({}, {:?})", self.algorithm.name(), self.id)
    }
}

/// What stands in the first block for a public key (RFC 7468 section 13).
fn der_of_pem(text: &str) -> Option<Vec<u8>> {
    let (_, rest) = text.split_once("-----BEGIN PUBLIC KEY-----")?;
    let (block, _) = rest.split_once("-----END PUBLIC KEY-----")?;
    let base64: String = block.split_ascii_whitespace().collect();
    STANDARD.decode(base64).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_is_too_short_to_sign_is_no_key() {
        let short = Secret::new("x".repeat(LEAST_SECRET - 1));
        assert_eq!(
            VerifyingKey::of_secret(&short).map(|key| key.algorithm()),
            Err(KeyError::ShortSecret)
        );
        assert!(VerifyingKey::of_secret(&Secret::new("x".repeat(LEAST_SECRET))).is_ok());
    }

    #[test]
    fn what_is_no_public_key_in_pem_is_none() {
        for (text, error) in [
            ("", KeyError::NotPem),
            (
                "-----BEGIN PUBLIC KEY-----\n!!\n-----END PUBLIC KEY-----",
                KeyError::NotPem,
            ),
            (
                "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
                KeyError::Unsupported,
            ),
            (
                "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
                KeyError::NotPem,
            ),
        ] {
            let read = VerifyingKey::of_pem(text).map(|key| key.algorithm());
            assert_eq!(read, Err(error), "{text:?}");
        }
    }

    #[test]
    fn a_key_does_not_show_itself() {
        let key = VerifyingKey::of_secret(&Secret::new("hush".repeat(10))).expect("long enough");
        assert_eq!(
            format!("{:?}", key.with_id("north")),
            "VerifyingKey(HS256, Some(\"north\"))"
        );
    }
}
