//! Signs access tokens.

use std::path::Path;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::auth::Secret;
use crate::auth::jwt::Algorithm;

/// What signs tokens.
pub(super) enum Signer {
    Secret(Secret),
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    Rsa(rsa::KeyPair),
}

impl Signer {
    /// The first of the secrets.
    pub(super) fn of_secrets(secrets: &[Secret]) -> Result<Self, String> {
        let first = secrets.first().cloned();
        first
            .map(Self::Secret)
            .ok_or("auth.secret is not set: set it, or give a private key with --key".to_owned())
    }

    /// A private key in PEM.
    pub(super) fn of_file(file: &Path) -> Result<Self, String> {
        let refuse = |problem: String| format!("--key {}: {problem}", file.display());
        let text = std::fs::read(file).map_err(|error| refuse(error.to_string()))?;
        let key = PrivateKeyDer::from_pem_slice(&text)
            .map_err(|_| refuse("not a private key in PEM".to_owned()))?;
        let unfit = "neither an Ed25519 key nor a P-256 key nor an RSA key of 2048 bits or more";
        Self::of_der(&key).ok_or_else(|| refuse(unfit.to_owned()))
    }

    fn of_der(key: &PrivateKeyDer<'_>) -> Option<Self> {
        let p256 = &ECDSA_P256_SHA256_FIXED_SIGNING;
        match key {
            PrivateKeyDer::Pkcs8(key) => {
                let key = key.secret_pkcs8_der();
                let ed25519 = Ed25519KeyPair::from_pkcs8_maybe_unchecked(key);
                ed25519
                    .map(Self::Ed25519)
                    .or_else(|_| EcdsaKeyPair::from_pkcs8(p256, key).map(Self::P256))
                    .or_else(|_| rsa::KeyPair::from_pkcs8(key).map(Self::Rsa))
                    .ok()
            }
            PrivateKeyDer::Sec1(key) => {
                let key = key.secret_sec1_der();
                let key = EcdsaKeyPair::from_private_key_der(p256, key);
                key.map(Self::P256).ok()
            }
            PrivateKeyDer::Pkcs1(key) => {
                let key = rsa::KeyPair::from_der(key.secret_pkcs1_der());
                key.map(Self::Rsa).ok()
            }
            _ => None,
        }
    }

    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Secret(_) => Algorithm::Hs256,
            Self::Ed25519(_) => Algorithm::EdDsa,
            Self::P256(_) => Algorithm::Es256,
            Self::Rsa(_) => Algorithm::Rs256,
        }
    }

    /// A token with these claims, in the compact serialization (RFC 7515 section 7.1).
    pub(super) fn token(&self, claims: &Value, key_id: Option<&str>) -> Result<String, String> {
        let mut header = json!({"alg": self.algorithm().name(), "typ": "JWT"});
        if let Some(key_id) = key_id {
            header["kid"] = json!(key_id);
        }
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(claims));
        let signature = self.sign(signed.as_bytes());
        let signature = signature.ok_or("the key cannot sign")?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match self {
            Self::Secret(secret) => {
                let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).ok()?;
                mac.update(message);
                Some(mac.finalize().into_bytes().to_vec())
            }
            Self::Ed25519(key) => Some(key.sign(message).as_ref().to_vec()),
            Self::P256(key) => Some(key.sign(&random, message).ok()?.as_ref().to_vec()),
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                let signed = key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature);
                signed.ok().map(|()| signature)
            }
        }
    }
}
