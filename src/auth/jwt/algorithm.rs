//! The signatures that are taken.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, VerificationAlgorithm,
};

/// A signature algorithm of RFC 7518 or RFC 8037.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC with SHA-256, by a secret.
    Hs256,
    /// RSASSA-PKCS1-v1_5 with SHA-256, by keys of 2,048 to 8,192 bits.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// Those with a public key.
    pub(super) const ASYMMETRIC: [Self; 3] = [Self::EdDsa, Self::Es256, Self::Rs256];

    /// As `alg` names it. Letters count as they are written.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let all = [Self::Hs256, Self::Rs256, Self::Es256, Self::EdDsa];
        all.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// What `alg` says.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// What checks a signature with a public key; `None` for the one that has none.
    pub(super) fn verification(self) -> Option<&'static dyn VerificationAlgorithm> {
        match self {
            Self::Hs256 => None,
            Self::Rs256 => Some(&RSA_PKCS1_2048_8192_SHA256),
            Self::Es256 => Some(&ECDSA_P256_SHA256_FIXED),
            Self::EdDsa => Some(&ED25519),
        }
    }
}
