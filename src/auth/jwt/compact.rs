//! The compact serialization (RFC 7515 section 7.1) and its header.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::algorithm::Algorithm;
use super::fault::TokenFault;

/// The longest token that is looked at, in bytes.
const LONGEST: usize = 8 * 1_024;

/// A token taken apart. Nothing of it is proven.
pub(super) struct Compact<'a> {
    /// What is signed.
    pub(super) signed: &'a str,
    pub(super) algorithm: Algorithm,
    /// The id of the key.
    pub(super) key: Option<String>,
    pub(super) payload: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

/// What a header may say. Other members are ignored (RFC 7515 section 4), except those that ask
/// for what is never done.
#[derive(Deserialize)]
struct Header<'a> {
    #[serde(borrow)]
    alg: Cow<'a, str>,
    kid: Option<String>,
    #[serde(borrow)]
    typ: Option<Cow<'a, str>>,
    cty: Option<IgnoredAny>,
    crit: Option<IgnoredAny>,
    jku: Option<IgnoredAny>,
    jwk: Option<IgnoredAny>,
    x5u: Option<IgnoredAny>,
    x5c: Option<IgnoredAny>,
    b64: Option<IgnoredAny>,
    zip: Option<IgnoredAny>,
    enc: Option<IgnoredAny>,
}

impl Header<'_> {
    fn is_plain(&self) -> bool {
        let odd = [
            &self.cty, &self.crit, &self.jku, &self.jwk, &self.x5u, &self.x5c, &self.b64,
            &self.zip, &self.enc,
        ];
        // A token for another purpose may be signed by the same key (RFC 8725 section 3.11).
        let is_kind = |typ: &str| {
            let typ = typ.to_ascii_lowercase();
            let typ = typ.strip_prefix("application/").unwrap_or(&typ);
            matches!(typ, "jwt" | "at+jwt")
        };
        odd.iter().all(|member| member.is_none()) && self.typ.as_deref().is_none_or(is_kind)
    }
}

impl<'a> Compact<'a> {
    /// Takes a token apart.
    pub(super) fn read(token: &'a str) -> Result<Self, TokenFault> {
        if token.len() > LONGEST {
            return Err(TokenFault::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenFault::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(TokenFault::Malformed)?;
        let decode = |part: &str| {
            let decoded = URL_SAFE_NO_PAD.decode(part);
            decoded.map_err(|_| TokenFault::Malformed)
        };
        let header = decode(header)?;
        let header: Header<'_> = object(&header).ok_or(TokenFault::Malformed)?;
        if !header.is_plain() {
            return Err(TokenFault::Header);
        }
        Ok(Self {
            signed,
            algorithm: Algorithm::named(&header.alg).ok_or(TokenFault::Algorithm)?,
            key: header.kid,
            payload: decode(payload)?,
            signature: decode(signature)?,
        })
    }
}

/// Reads a JSON object; a sequence, which would do for serde, is none.
pub(super) fn object<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    let is_object = bytes.trim_ascii_start().first() == Some(&b'{');
    serde_json::from_slice(bytes).ok().filter(|_| is_object)
}
