//! Sets of keys as authorization servers publish them (RFC 7517).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::algorithm::Algorithm;
use super::key::{KeyError, VerifyingKey};

/// Why a set of keys cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JwksError {
    /// Not JSON of the form `{"keys": […]}`.
    Malformed,
    /// A key, counted from 1, is damaged.
    Key(usize, KeyError),
    /// None of the keys is for a signature that is supported.
    Empty,
}

impl fmt::Display for JwksError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str(r#"not a JSON Web Key Set ({"keys": […]})"#),
            Self::Key(number, error) => write!(f, "key {number} is damaged: {error}"),
            Self::Empty => f.write_str("has no key for HS256, RS256, ES256 or EdDSA"),
        }
    }
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Jwk>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    k: Option<String>,
}

/// The keys of a set that are for signatures of a kind that is supported. Others are passed over,
/// as RFC 7517 section 5 asks for.
///
/// # Errors
/// If it is no such set, a key is damaged, or none is left.
pub fn read_jwks(text: &str) -> Result<Vec<VerifyingKey>, JwksError> {
    let set: Set = serde_json::from_str(text).map_err(|_| JwksError::Malformed)?;
    let mut keys = Vec::new();
    for (index, jwk) in set.keys.iter().enumerate() {
        let Some(algorithm) = jwk.algorithm() else {
            continue;
        };
        let key = jwk.key(algorithm);
        let key = key.map_err(|error| JwksError::Key(index + 1, error))?;
        keys.push(match &jwk.kid {
            Some(id) => key.with_id(id),
            None => key,
        });
    }
    if keys.is_empty() {
        return Err(JwksError::Empty);
    }
    Ok(keys)
}

impl Jwk {
    /// What the key is for; `None` if that is nothing that is done here.
    fn algorithm(&self) -> Option<Algorithm> {
        let by_kind = match (self.kty.as_str(), self.crv.as_deref()) {
            ("oct", _) => Algorithm::Hs256,
            ("RSA", _) => Algorithm::Rs256,
            ("EC", Some("P-256")) => Algorithm::Es256,
            ("OKP", Some("Ed25519")) => Algorithm::EdDsa,
            _ => return None,
        };
        let is_named = |name: &String| Algorithm::named(name) == Some(by_kind);
        let is_fit = self.alg.as_ref().is_none_or(is_named)
            && self
                .purpose
                .as_deref()
                .is_none_or(|purpose| purpose == "sig")
            && self
                .key_ops
                .as_ref()
                .is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        is_fit.then_some(by_kind)
    }

    fn key(&self, algorithm: Algorithm) -> Result<VerifyingKey, KeyError> {
        match algorithm {
            Algorithm::Hs256 => VerifyingKey::symmetric(&decoded(self.k.as_ref())?),
            Algorithm::Rs256 => {
                VerifyingKey::rsa(&decoded(self.n.as_ref())?, &decoded(self.e.as_ref())?)
            }
            Algorithm::Es256 => {
                let (x, y) = (coordinate(self.x.as_ref())?, coordinate(self.y.as_ref())?);
                // An uncompressed point (SEC 1 section 2.3.3).
                VerifyingKey::public(algorithm, &[&[4], &x[..], &y[..]].concat())
            }
            Algorithm::EdDsa => VerifyingKey::public(algorithm, &coordinate(self.x.as_ref())?),
        }
    }
}

fn decoded(member: Option<&String>) -> Result<Vec<u8>, KeyError> {
    let member = member.ok_or(KeyError::Unsupported)?;
    URL_SAFE_NO_PAD
        .decode(member)
        .map_err(|_| KeyError::Unsupported)
}

fn coordinate(member: Option<&String>) -> Result<[u8; 32], KeyError> {
    decoded(member)?
        .try_into()
        .map_err(|_| KeyError::Unsupported)
}

#[cfg(test)]
mod tests {
    use super::*;

    // The examples of RFC 7517 appendix A.1 and RFC 8037 appendix A.2.
    const EC: &str = r#"{"kty":"EC","crv":"P-256","kid":"1","use":"sig",
        "x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}"#;
    const OKP: &str = r#"{"kty":"OKP","crv":"Ed25519","kid":"2",
        "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    const OCT: &str = r#"{"kty":"oct","alg":"HS256","key_ops":["sign","verify"],
        "k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#;

    fn read(keys: &[&str]) -> Result<Vec<VerifyingKey>, JwksError> {
        read_jwks(&format!(r#"{{"keys":[{}]}}"#, keys.join(",")))
    }

    #[test]
    fn keys_of_each_kind_are_read_with_their_ids() {
        let keys = read(&[EC, OKP, OCT]).expect("a set");
        let told: Vec<_> = keys.iter().map(|key| (key.algorithm(), key.id())).collect();
        assert_eq!(
            told,
            [
                (Algorithm::Es256, Some("1")),
                (Algorithm::EdDsa, Some("2")),
                (Algorithm::Hs256, None),
            ]
        );
    }

    #[test]
    fn keys_for_something_else_are_passed_over() {
        let others = [
            &EC.replace("sig", "enc"),
            &EC.replace("P-256", "secp256k1"),
            &OCT.replace("HS256", "HS512"),
            &OCT.replace(r#","verify""#, ""),
            r#"{"kty":"RSA","alg":"RSA-OAEP"}"#,
            r#"{"kty":"strange"}"#,
        ];
        assert_eq!(read(&others).map(|keys| keys.len()), Err(JwksError::Empty));
        let with_one = [&others[..], &[OKP]].concat();
        assert_eq!(read(&with_one).map(|keys| keys.len()), Ok(1));
    }

    #[test]
    fn a_damaged_key_or_set_is_an_error() {
        let damaged = |key: &str| read(&[OKP, key]).map(|keys| keys.len());
        for key in [
            EC.replace("MKBC", "MKBD"),
            EC.replace("\"y\"", "\"z\""),
            OKP.replace("URo", ""),
            OKP.replace("URo", "UR!"),
            r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#.to_owned(),
            r#"{"kty":"RSA","e":"AQAB"}"#.to_owned(),
        ] {
            let expected = Err(JwksError::Key(2, KeyError::Unsupported));
            assert_eq!(damaged(&key), expected, "{key}");
        }
        assert_eq!(
            damaged(r#"{"kty":"oct","k":"c2hvcnQ"}"#),
            Err(JwksError::Key(2, KeyError::ShortSecret))
        );
        for text in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[{}]}"#] {
            let read = read_jwks(text).map(|keys| keys.len());
            assert_eq!(read, Err(JwksError::Malformed), "{text}");
        }
    }
}
