//! Access tokens and sets of keys of any kind. A token counts only if it is signed with a key of
//! the server's, and says who, for whom and until when.

use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use peerage::auth::Secret;
use peerage::auth::jwt::{AccessTokens, TokenRules, VerifyingKey, read_jwks};
use peerage::signal::Grant;
use peerage::time::Now;
use sha2::Sha256;

use super::bytes::Bytes;

const SECRET: &str = "a secret that is long enough for HS256";
const UNIX: Duration = Duration::from_secs(1_000_000);
const LEEWAY: Duration = Duration::from_secs(60);
const LIFETIME: Duration = Duration::from_secs(3_600);

pub(crate) fn run(input: &[u8]) {
    let mut input = Bytes(input);
    match input.u8() % 3 {
        0 => any_token(input.0),
        1 => signed_token(&mut input),
        _ => keys(input.0),
    }
}

fn rules() -> TokenRules {
    TokenRules {
        issuer: None,
        audience: "peerage".to_owned(),
        leeway: LEEWAY,
        max_lifetime: LIFETIME,
    }
}

fn known() -> &'static AccessTokens {
    static KNOWN: OnceLock<AccessTokens> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let key = VerifyingKey::of_secret(&Secret::new(SECRET)).expect("it is long enough");
        AccessTokens::new(vec![key], rules())
    })
}

fn now() -> Now {
    Now {
        unix: UNIX,
        ..Now::default()
    }
}

/// Nobody guesses a signature.
fn any_token(text: &[u8]) {
    let text = Secret::new(String::from_utf8_lossy(text));
    let claims = known().verify(&text, now());
    assert!(claims.is_err() || is_signed(text.expose()), "{claims:?}");
}

fn is_signed(token: &str) -> bool {
    let parts = token.rsplit_once('.');
    parts.is_some_and(|(signed, mac)| mac == signature(signed))
}

fn signature(signed: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any length");
    mac.update(signed.as_bytes());
    URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
}

/// Any header and any payload, well signed; and the same with a bit of the signature another.
fn signed_token(input: &mut Bytes<'_>) {
    let flipped = usize::from(input.u8());
    let header = input.short();
    let [header, payload] = [header, input.0].map(|part| URL_SAFE_NO_PAD.encode(part));
    let signed = format!("{header}.{payload}");
    let mac = signature(&signed);
    let verify = |mac: &str| known().verify(&Secret::new(format!("{signed}.{mac}")), now());
    if let Ok(claims) = verify(&mac) {
        assert!((1..=255).contains(&claims.subject.len()));
        assert!(!claims.subject.chars().any(char::is_control));
        assert!(claims.expires + LEEWAY >= UNIX);
        assert!(claims.expires <= UNIX + LIFETIME + LEEWAY);
        // Whatever it grants is read, or refused as a whole.
        let _ = Grant::new(claims);
    }
    let mut wrong = mac.into_bytes();
    let at = flipped % (wrong.len() - 1);
    wrong[at] = if wrong[at] == b'A' { b'B' } else { b'A' };
    let wrong = String::from_utf8(wrong).expect("base64 is ASCII");
    assert!(verify(&wrong).is_err());
}

/// A set of keys is read or refused; and with the keys of others nobody signs as one of ours.
fn keys(text: &[u8]) {
    let Ok(keys) = read_jwks(&String::from_utf8_lossy(text)) else {
        return;
    };
    assert!(!keys.is_empty());
    let tokens = AccessTokens::new(keys, rules());
    for algorithm in ["HS256", "RS256", "ES256", "EdDSA"] {
        let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{algorithm}"}}"#));
        let signed = format!("{header}.e30");
        let mac = signature(&signed);
        let token = Secret::new(format!("{signed}.{mac}"));
        assert!(tokens.verify(&token, now()).is_err());
    }
}
