//! What a token says, once its signature is proven.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::compact::object;
use super::fault::TokenFault;

/// The longest subject, token id and issuer, in bytes.
const LONGEST: usize = 255;
/// The last second that numbers in JSON name exactly.
const LAST_SECOND: f64 = 9_007_199_254_740_992.0;

/// What a token says that its issuer has signed.
#[derive(Clone, Debug)]
pub struct Claims {
    /// `sub`: whom it was made for.
    pub subject: Arc<str>,
    /// `exp`: until when it is good, since 1970.
    pub expires: Duration,
    /// `iat`: when it was made, since 1970.
    pub issued: Option<Duration>,
    /// `jti`: what tells it from others.
    pub token_id: Option<Arc<str>>,
    /// `peerage`: what it grants, as JSON.
    pub peerage: Box<RawValue>,
}

/// The claims as they are written.
#[derive(Deserialize)]
pub(super) struct Written {
    sub: String,
    exp: f64,
    #[serde(default, deserialize_with = "present")]
    nbf: Option<f64>,
    #[serde(default, deserialize_with = "present")]
    iat: Option<f64>,
    #[serde(default, deserialize_with = "present")]
    iss: Option<String>,
    #[serde(default, deserialize_with = "present")]
    aud: Option<Audience>,
    #[serde(default, deserialize_with = "present")]
    jti: Option<String>,
    peerage: Box<RawValue>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// `null` is no value of a claim, and not the same as nothing.
fn present<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(from).map(Some)
}

impl Written {
    pub(super) fn read(payload: &[u8]) -> Result<Self, TokenFault> {
        object(payload).ok_or(TokenFault::Claims)
    }

    pub(super) fn is_by(&self, issuer: &str) -> bool {
        self.iss.as_deref() == Some(issuer)
    }

    pub(super) fn is_for(&self, audience: &str) -> bool {
        match &self.aud {
            Some(Audience::One(one)) => one == audience,
            Some(Audience::Several(several)) => several.iter().any(|one| one == audience),
            None => false,
        }
    }

    /// `nbf`, if there is one.
    pub(super) fn begins(&self) -> Result<Option<Duration>, TokenFault> {
        self.nbf.map(time).transpose()
    }

    /// The claims, each of the form that it must have.
    pub(super) fn into_claims(self) -> Result<Claims, TokenFault> {
        let names = [Some(&self.sub), self.jti.as_ref(), self.iss.as_ref()];
        if !names.into_iter().flatten().all(|name| is_name(name)) {
            return Err(TokenFault::Claims);
        }
        Ok(Claims {
            subject: self.sub.into(),
            expires: time(self.exp)?,
            issued: self.iat.map(time).transpose()?,
            token_id: self.jti.map(Into::into),
            peerage: self.peerage,
        })
    }
}

fn is_name(name: &str) -> bool {
    (1..=LONGEST).contains(&name.len()) && !name.chars().any(char::is_control)
}

/// A `NumericDate` (RFC 7519 section 2).
fn time(seconds: f64) -> Result<Duration, TokenFault> {
    if (0.0..LAST_SECOND).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(TokenFault::Claims)
    }
}
