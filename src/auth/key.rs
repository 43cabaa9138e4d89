//! Keys of the long-term credential mechanism (RFC 8489 section 9.2.2).

use std::fmt;

use md5::{Digest, Md5};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::stun::PasswordAlgorithm;

/// What a user signs with: a hash of `username:realm:password`, or what an access token says.
#[derive(Clone, Copy)]
pub struct Key {
    origin: Origin,
    /// As many of them as the origin says.
    bytes: [u8; 32],
}

/// Where a key comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// 16 bytes for MD5, 32 for SHA-256.
    Password(PasswordAlgorithm),
    /// So many bytes.
    Token(u8),
}

impl Key {
    /// The key of a user in a realm. Realm and password count as they are given: who wants them
    /// prepared calls [`prepare`](super::prepare) before.
    #[must_use]
    pub fn new(algorithm: PasswordAlgorithm, username: &str, realm: &str, password: &str) -> Self {
        let mut bytes = [0; 32];
        match algorithm {
            PasswordAlgorithm::Md5 => {
                bytes[..16].copy_from_slice(&digest::<Md5>(username, realm, password));
            }
            PasswordAlgorithm::Sha256 => {
                bytes.copy_from_slice(&digest::<Sha256>(username, realm, password));
            }
        }
        Self {
            origin: Origin::Password(algorithm),
            bytes,
        }
    }

    /// The key in an access token: 1 to 32 bytes.
    pub(super) fn of_token(key: &[u8]) -> Option<Self> {
        let mut bytes = [0; 32];
        bytes.get_mut(..key.len())?.copy_from_slice(key);
        let length = u8::try_from(key.len()).ok().filter(|length| *length > 0)?;
        Some(Self {
            origin: Origin::Token(length),
            bytes,
        })
    }

    /// How it was made; `None` for the key of an access token.
    #[must_use]
    pub fn algorithm(&self) -> Option<PasswordAlgorithm> {
        match self.origin {
            Origin::Password(algorithm) => Some(algorithm),
            Origin::Token(_) => None,
        }
    }

    /// Whether it was made by `algorithm`. The key of a token is used as it is, whatever the
    /// client has chosen.
    #[must_use]
    pub fn is_made_by(&self, algorithm: PasswordAlgorithm) -> bool {
        self.algorithm().is_none_or(|own| own == algorithm)
    }

    /// Whether it comes from an access token.
    #[must_use]
    pub fn is_of_token(&self) -> bool {
        matches!(self.origin, Origin::Token(_))
    }

    /// The bytes, for an HMAC.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self.origin {
            Origin::Password(PasswordAlgorithm::Md5) => &self.bytes[..16],
            Origin::Password(PasswordAlgorithm::Sha256) => &self.bytes,
            Origin::Token(length) => &self.bytes[..usize::from(length)],
        }
    }
}

fn digest<D: Digest>(username: &str, realm: &str, password: &str) -> md5::digest::Output<D> {
    let mut digest = D::new();
    for part in [username, ":", realm, ":", password] {
        digest.update(part);
    }
    digest.finalize()
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.origin == other.origin && bool::from(self.bytes.ct_eq(&other.bytes))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(algorithm: PasswordAlgorithm) -> String {
        let key = Key::new(algorithm, "user", "realm", "pass");
        key.as_bytes().iter().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn the_md5_key_is_that_of_the_rfc() {
        assert_eq!(
            hex(PasswordAlgorithm::Md5),
            "8493fbc53ba582fb4c044c456bdc40eb"
        );
    }

    #[test]
    fn the_sha256_key_is_what_openssl_computes() {
        // echo -n user:realm:pass | openssl dgst -sha256
        assert_eq!(
            hex(PasswordAlgorithm::Sha256),
            "07e934117abd40836e7c6329b54731b2b2d2a5f9a71f544922d75e0730d8251b"
        );
    }

    #[test]
    fn a_key_does_not_show_itself() {
        let key = Key::new(PasswordAlgorithm::Md5, "user", "realm", "pass");
        assert_eq!(format!("{key:?}"), "Key(…)");
    }
}
