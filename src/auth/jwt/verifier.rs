//! Which tokens are taken.

use std::time::Duration;

use super::algorithm::Algorithm;
use super::claims::{Claims, Written};
use super::compact::Compact;
use super::fault::TokenFault;
use super::key::VerifyingKey;
use crate::auth::Secret;
use crate::time::Now;

/// How many keys there may be: so many signatures at most are checked for a token that names none.
pub const MOST_KEYS: usize = 32;

/// What a token must be beside well signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRules {
    /// What `iss` must be; `None`: it is not asked for.
    pub issuer: Option<String>,
    /// What `aud` must be or have among others.
    pub audience: String,
    /// How far the clocks of issuer and server may differ.
    pub leeway: Duration,
    /// For how long a token may be good at most: from when it was made, or from now where it does not
    /// say when that was.
    pub max_lifetime: Duration,
}

/// Checks tokens.
#[derive(Clone, Debug)]
pub struct AccessTokens {
    keys: Vec<VerifyingKey>,
    rules: TokenRules,
    /// More keys are to come.
    awaits_keys: bool,
}

impl AccessTokens {
    /// Takes tokens that one of `keys` has signed and that keep to `rules`. Of more than
    /// [`MOST_KEYS`] keys, the first count.
    #[must_use]
    pub fn new(mut keys: Vec<VerifyingKey>, rules: TokenRules) -> Self {
        keys.truncate(MOST_KEYS);
        Self {
            keys,
            rules,
            awaits_keys: false,
        }
    }

    /// The same, with these keys beside. `None`: they are not there yet, and a token that no other
    /// key has signed is [`TokenFault::NoKeys`].
    #[must_use]
    pub fn with_set(&self, set: Option<&[VerifyingKey]>) -> Self {
        let keys = [&self.keys, set.unwrap_or_default()].concat();
        Self {
            awaits_keys: set.is_none(),
            ..Self::new(keys, self.rules.clone())
        }
    }

    /// How many keys there are.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.keys.len()
    }

    /// Whether `other` knows other public keys than this.
    #[must_use]
    pub fn has_other_keys(&self, other: &Self) -> bool {
        let public = |key: &&VerifyingKey| key.algorithm() != Algorithm::Hs256;
        let own = self.keys.iter().filter(public);
        !own.eq(other.keys.iter().filter(public))
    }

    /// What a token must be beside well signed.
    #[must_use]
    pub fn rules(&self) -> &TokenRules {
        &self.rules
    }

    /// What a token says, if it is good at `now`.
    ///
    /// # Errors
    /// Why it is refused. Only a token that is good in all but time is [`TokenFault::Expired`].
    pub fn verify(&self, token: &Secret, now: Now) -> Result<Claims, TokenFault> {
        let token = Compact::read(token.expose())?;
        let signed = self.check_signature(&token);
        signed.map_err(|fault| match self.awaits_keys {
            true => TokenFault::NoKeys,
            false => fault,
        })?;
        let written = Written::read(&token.payload)?;
        if let Some(issuer) = &self.rules.issuer
            && !written.is_by(issuer)
        {
            return Err(TokenFault::Issuer);
        }
        if !written.is_for(&self.rules.audience) {
            return Err(TokenFault::Audience);
        }
        let begins = written.begins()?;
        let claims = written.into_claims()?;
        self.check_times(begins, &claims, now)?;
        Ok(claims)
    }

    /// Whether a key of the token's algorithm has signed it: the one that it names, or else any
    /// that has no name.
    fn check_signature(&self, token: &Compact<'_>) -> Result<(), TokenFault> {
        let of_algorithm = || {
            let keys = self.keys.iter();
            keys.filter(|key| key.algorithm() == token.algorithm)
        };
        let named = |key: &&VerifyingKey| key.id().is_some() && key.id() == token.key.as_deref();
        let is_named = of_algorithm().any(|key| named(&key));
        let may_be_it = |key: &&VerifyingKey| match (is_named, &token.key) {
            (true, _) => named(key),
            (false, Some(_)) => key.id().is_none(),
            (false, None) => true,
        };
        let mut candidates = of_algorithm().filter(may_be_it).peekable();
        if candidates.peek().is_none() {
            return Err(TokenFault::UnknownKey);
        }
        let signed = token.signed.as_bytes();
        if candidates.any(|key| key.has_signed(signed, &token.signature)) {
            Ok(())
        } else {
            Err(TokenFault::Signature)
        }
    }

    fn check_times(
        &self,
        begins: Option<Duration>,
        claims: &Claims,
        now: Now,
    ) -> Result<(), TokenFault> {
        let TokenRules {
            leeway,
            max_lifetime,
            ..
        } = self.rules;
        let latest = now.unix.saturating_add(leeway);
        if [begins, claims.issued]
            .into_iter()
            .flatten()
            .any(|time| time > latest)
        {
            return Err(TokenFault::NotYet);
        }
        // From when it was made: one that is refused today must not be good near its end, when
        // what was revoked before may be forgotten.
        let made = claims
            .issued
            .map_or(latest, |issued| issued.saturating_add(leeway));
        if claims.expires > made.saturating_add(max_lifetime) {
            return Err(TokenFault::Lifetime);
        }
        if claims.expires.saturating_add(leeway) <= now.unix {
            return Err(TokenFault::Expired);
        }
        Ok(())
    }
}
