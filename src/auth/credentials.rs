//! What the relay asks of whoever knows its users.

use std::sync::Arc;
use std::time::Duration;

use super::key::Key;
use crate::stun::PasswordAlgorithm;
use crate::time::Now;

/// Who a request says it is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim<'a> {
    /// USERNAME, whatever its bytes.
    Name(&'a [u8]),
    /// USERHASH.
    Hash(&'a [u8]),
    /// USERNAME and ACCESS-TOKEN (RFC 7635).
    Token {
        /// The name of the key that the token was made with.
        kid: &'a [u8],
        /// The token.
        token: &'a [u8],
    },
}

/// A user who has signed.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified {
    /// The user's name, also where only its hash was given.
    pub name: Arc<str>,
    /// What the user has signed with.
    pub key: Key,
    /// When the credentials are no longer taken, in time since 1970; `None`: they do not end.
    pub expires: Option<Duration>,
}

/// The one question that the relay asks: is this user known, and is the signature the user's?
pub trait Credentials {
    /// The user behind `claim`, if `signed` says yes to a key of that user made by `algorithm`.
    /// For a user who does not exist, `signed` is asked about a key that nobody has, so that the
    /// answer takes as long as that to a wrong password.
    fn verify(
        &self,
        claim: Claim<'_>,
        algorithm: PasswordAlgorithm,
        now: Now,
        signed: &mut dyn FnMut(&Key) -> bool,
    ) -> Option<Verified>;

    /// By which name access tokens are made for this server; `None` if none are taken.
    fn token_server_name(&self) -> Option<&str>;
}

impl<C: Credentials + ?Sized> Credentials for Arc<C> {
    fn verify(
        &self,
        claim: Claim<'_>,
        algorithm: PasswordAlgorithm,
        now: Now,
        signed: &mut dyn FnMut(&Key) -> bool,
    ) -> Option<Verified> {
        (**self).verify(claim, algorithm, now, signed)
    }

    fn token_server_name(&self) -> Option<&str> {
        (**self).token_server_name()
    }
}
