//! How the library is told that a cookie is good.
//!
//! Each of its sessions makes a secret for cookies of its own, so it would only know a cookie
//! that it has given out itself, and there would have to be a session before there is a cookie.
//! Here cookies are looked at before there is a session; so while one is given the hello that
//! began it, its computation of the expected cookie gives the one that was found good. For all
//! else HMAC is HMAC.

use std::cell::Cell;

use dimpl::CryptoError;
use dimpl::crypto::{CryptoProvider, HashAlgorithm, HmacProvider, aws_lc_rs};

use super::hello::COOKIE;

thread_local! {
    static ACCEPTED: Cell<Option<[u8; COOKIE]>> = const { Cell::new(None) };
}

/// The library's cryptography, but for the cookie.
pub(super) fn provider() -> CryptoProvider {
    CryptoProvider {
        hmac_provider: &Hmac,
        ..aws_lc_rs::default_provider()
    }
}

/// Calls `begin`, in which `cookie` is the one that is expected.
pub(super) fn expecting<R>(cookie: [u8; COOKIE], begin: impl FnOnce() -> R) -> R {
    ACCEPTED.set(Some(cookie));
    let begun = begin();
    ACCEPTED.set(None);
    begun
}

#[derive(Debug)]
struct Hmac;

impl HmacProvider for Hmac {
    /// Of this form the library makes use for cookies only.
    fn hmac_sha256(&self, key: &[u8], data: &[u8]) -> Result<[u8; 32], CryptoError> {
        match ACCEPTED.get() {
            Some(cookie) => Ok(cookie),
            None => aws_lc_rs::default_provider()
                .hmac_provider
                .hmac_sha256(key, data),
        }
    }

    fn hmac(
        &self,
        hash: HashAlgorithm,
        key: &[u8],
        data: &[u8],
        out: &mut [u8],
    ) -> Result<usize, CryptoError> {
        aws_lc_rs::default_provider()
            .hmac_provider
            .hmac(hash, key, data, out)
    }
}
