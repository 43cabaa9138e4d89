//! Tokens of every kind that should be refused, and the few that should not.

use std::time::Duration;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::{AccessTokens, TokenFault, TokenRules, VerifyingKey, read_jwks};
use crate::auth::Secret;
use crate::time::Now;

const NOW: u64 = 1_800_000_000;
const SECRET: &str = "a secret of thirty-two bytes, at least";

/// Keys of each kind, with which tokens are signed well or badly.
struct Issuer {
    ed25519: Ed25519KeyPair,
    p256: EcdsaKeyPair,
    rsa: rsa::KeyPair,
    pems: [String; 3],
}

fn pem(der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    format!("-----BEGIN PUBLIC KEY-----\n{base64}\n-----END PUBLIC KEY-----\n")
}

impl Issuer {
    fn new() -> Self {
        let ed25519 = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a seed");
        let p256 = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
        let rsa = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).expect("a key");
        let pems = [
            pem(ed25519.public_key().as_der().expect("DER").as_ref()),
            pem(p256.public_key().as_der().expect("DER").as_ref()),
            pem(rsa.public_key().as_der().expect("DER").as_ref()),
        ];
        Self {
            ed25519,
            p256,
            rsa,
            pems,
        }
    }

    /// A verifier that knows the secret, the public keys, and a named key of another issuer.
    fn verifier(&self) -> AccessTokens {
        let mut keys = vec![VerifyingKey::of_secret(&Secret::new(SECRET)).expect("long enough")];
        keys.extend(
            self.pems
                .iter()
                .map(|pem| VerifyingKey::of_pem(pem).expect("a key")),
        );
        let named = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"north",
            "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
        keys.extend(read_jwks(named).expect("a set"));
        let rules = TokenRules {
            issuer: Some("https://id.example".to_owned()),
            audience: "peerage".to_owned(),
            leeway: Duration::from_secs(30),
            max_lifetime: Duration::from_secs(86_400),
        };
        AccessTokens::new(keys, rules)
    }

    fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        match algorithm {
            "HS256" => hs256(SECRET.as_bytes(), message),
            "EdDSA" => self.ed25519.sign(message).as_ref().to_vec(),
            "ES256" => {
                let signature = self.p256.sign(&SystemRandom::new(), message);
                signature.expect("signed").as_ref().to_vec()
            }
            "RS256" => self.rsa_signature(&RSA_PKCS1_SHA256, message),
            other => panic!("nobody signs by {other}"),
        }
    }

    fn rsa_signature(
        &self,
        padding: &'static dyn aws_lc_rs::signature::RsaEncoding,
        message: &[u8],
    ) -> Vec<u8> {
        let mut signature = vec![0; self.rsa.public_modulus_len()];
        let signed = self
            .rsa
            .sign(padding, &SystemRandom::new(), message, &mut signature);
        signed.expect("signed");
        signature
    }

    /// A token that is signed as `by` would, whatever its header says.
    fn token(&self, header: &Value, claims: &Value, by: &str) -> String {
        self.raw(&header.to_string(), &claims.to_string(), by)
    }

    fn raw(&self, header: &str, claims: &str, by: &str) -> String {
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = self.sign(by, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// A token with these claims in place of good ones; `null` takes one out.
    fn with(&self, changes: &Value) -> String {
        let mut claims = claims();
        for (name, value) in changes.as_object().expect("an object") {
            let claims = claims.as_object_mut().expect("an object");
            match value {
                Value::Null => drop(claims.remove(name)),
                value => drop(claims.insert(name.clone(), value.clone())),
            }
        }
        self.token(&json!({"alg": "HS256"}), &claims, "HS256")
    }
}

fn hs256(secret: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("any length");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

fn part(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

fn claims() -> Value {
    json!({
        "sub": "ada", "iss": "https://id.example", "aud": "peerage", "exp": NOW + 600,
        "iat": NOW - 10, "nbf": NOW - 10, "jti": "t1", "peerage": {"rooms": []},
    })
}

fn at(seconds: u64) -> Now {
    Now {
        unix: Duration::from_secs(seconds),
        ..Now::default()
    }
}

fn check(tokens: &AccessTokens, token: &str) -> Result<(), TokenFault> {
    tokens.verify(&Secret::new(token), at(NOW)).map(drop)
}

#[test]
fn a_good_token_of_every_algorithm_passes() {
    let issuer = Issuer::new();
    let tokens = issuer.verifier();
    for by in ["HS256", "EdDSA", "ES256", "RS256"] {
        for header in [
            json!({"alg": by}),
            json!({"alg": by, "typ": "JWT", "x5t": "a thumbprint"}),
            json!({"alg": by, "typ": "at+jwt", "kid": "a name of the issuer's own"}),
        ] {
            let token = issuer.token(&header, &claims(), by);
            assert_eq!(check(&tokens, &token), Ok(()), "{header}");
        }
    }
    for changes in [
        json!({"aud": ["other", "peerage"]}),
        json!({"exp": NOW - 29, "iat": null, "nbf": null, "jti": null}),
        json!({"exp": NOW as f64 + 0.5, "nbf": NOW + 30}),
        json!({"exp": NOW + 20, "iat": NOW - 86_410}),
    ] {
        assert_eq!(check(&tokens, &issuer.with(&changes)), Ok(()), "{changes}");
    }
}

#[test]
fn what_a_token_says_is_given_out() {
    let issuer = Issuer::new();
    let token = Secret::new(issuer.with(&json!({"peerage": {"rooms": [1]}})));
    let claims = issuer.verifier().verify(&token, at(NOW)).expect("good");
    assert_eq!(&*claims.subject, "ada");
    assert_eq!(claims.expires, Duration::from_secs(NOW + 600));
    assert_eq!(claims.issued, Some(Duration::from_secs(NOW - 10)));
    assert_eq!(claims.token_id.as_deref(), Some("t1"));
    assert_eq!(claims.peerage.get(), r#"{"rooms":[1]}"#);
}

#[test]
fn no_token_with_odd_claims_passes() {
    use TokenFault::{Audience, Claims, Expired, Issuer as By, Lifetime, NotYet};
    let issuer = Issuer::new();
    let tokens = issuer.verifier();
    let corpus = [
        (json!({"exp": null}), Claims),
        (json!({"exp": "1800000600"}), Claims),
        (json!({"exp": true}), Claims),
        (json!({"exp": [NOW + 600]}), Claims),
        (json!({"exp": {"at": NOW + 600}}), Claims),
        (json!({"exp": -1}), Claims),
        (json!({"exp": 1e300}), Claims),
        (json!({"exp": 0}), Expired),
        (json!({"exp": NOW - 30}), Expired),
        (json!({"exp": NOW + 86_431, "iat": null}), Lifetime),
        (json!({"exp": NOW + 21, "iat": NOW - 86_410}), Lifetime),
        (json!({"nbf": "0"}), Claims),
        (json!({"nbf": false}), Claims),
        (json!({"nbf": -5}), Claims),
        (json!({"nbf": NOW + 31}), NotYet),
        (json!({"iat": "now"}), Claims),
        (json!({"iat": NOW + 31}), NotYet),
        (json!({"iss": null}), By),
        (json!({"iss": "https://evil.example"}), By),
        (json!({"iss": "https://id.example/"}), By),
        (json!({"iss": ["https://id.example"]}), Claims),
        (json!({"iss": 5}), Claims),
        (json!({"aud": null}), Audience),
        (json!({"aud": "another"}), Audience),
        (json!({"aud": ["another"]}), Audience),
        (json!({"aud": []}), Audience),
        (json!({"aud": 5}), Claims),
        (json!({"aud": {"peerage": true}}), Claims),
        (json!({"aud": ["peerage", 5]}), Claims),
        (json!({"sub": null}), Claims),
        (json!({"sub": ""}), Claims),
        (json!({"sub": 7}), Claims),
        (json!({"sub": "a\nb"}), Claims),
        (json!({"sub": "x".repeat(256)}), Claims),
        (json!({"jti": 7}), Claims),
        (json!({"jti": ""}), Claims),
        (json!({"peerage": null}), Claims),
    ];
    for (changes, fault) in corpus {
        assert_eq!(
            check(&tokens, &issuer.with(&changes)),
            Err(fault),
            "{changes}"
        );
    }
}

#[test]
fn no_token_with_an_odd_header_passes() {
    use TokenFault::{Algorithm, Header, Malformed, Signature};
    let issuer = Issuer::new();
    let tokens = issuer.verifier();
    let jwk = json!({"kty": "oct", "k": part(SECRET)});
    let corpus = [
        (json!({"alg": "none"}), Algorithm),
        (json!({"alg": "None"}), Algorithm),
        (json!({"alg": "hs256"}), Algorithm),
        (json!({"alg": "HS512"}), Algorithm),
        (json!({"alg": ""}), Algorithm),
        (json!({"alg": null}), Malformed),
        (json!({"alg": ["HS256"]}), Malformed),
        (json!({}), Malformed),
        // The signature is the secret's, whatever they say.
        (json!({"alg": "RS256"}), Signature),
        (json!({"alg": "ES256"}), Signature),
        (json!({"alg": "EdDSA"}), Signature),
        (json!({"alg": "EdDSA", "kid": "north"}), Signature),
        (
            json!({"alg": "HS256", "jku": "https://evil.example/keys"}),
            Header,
        ),
        (
            json!({"alg": "HS256", "x5u": "https://evil.example/cert"}),
            Header,
        ),
        (json!({"alg": "HS256", "jwk": jwk}), Header),
        (json!({"alg": "HS256", "x5c": ["AAAA"]}), Header),
        (json!({"alg": "HS256", "crit": ["exp"]}), Header),
        (json!({"alg": "HS256", "crit": []}), Header),
        (
            json!({"alg": "HS256", "crit": ["b64"], "b64": false}),
            Header,
        ),
        (json!({"alg": "HS256", "zip": "DEF"}), Header),
        (json!({"alg": "HS256", "enc": "A256GCM"}), Header),
        (json!({"alg": "HS256", "cty": "JWT"}), Header),
        (json!({"alg": "HS256", "typ": "secevent+jwt"}), Header),
        (json!({"alg": "HS256", "typ": 5}), Malformed),
        (json!({"alg": "HS256", "kid": 5}), Malformed),
        (json!({"alg": "HS256", "kid": ["north"]}), Malformed),
    ];
    for (header, fault) in corpus {
        let token = issuer.token(&header, &claims(), "HS256");
        assert_eq!(check(&tokens, &token), Err(fault), "{header}");
    }
}

#[test]
fn a_named_key_signs_under_its_own_name_only() {
    use TokenFault::{Signature, UnknownKey};
    let issuer = Issuer::new();
    let tokens = issuer.verifier();
    let by_name = json!({"alg": "EdDSA", "kid": "north"});
    let token = issuer.token(&by_name, &claims(), "EdDSA");
    assert_eq!(check(&tokens, &token), Err(Signature));
    let rules = tokens.rules().clone();
    let only_named = AccessTokens::new(
        vec![
            VerifyingKey::of_pem(&issuer.pems[0])
                .expect("a key")
                .with_id("north"),
        ],
        rules,
    );
    assert_eq!(check(&only_named, &token), Ok(()));
    let other_name = json!({"alg": "EdDSA", "kid": "../../etc/passwd"});
    let token = issuer.token(&other_name, &claims(), "EdDSA");
    assert_eq!(check(&only_named, &token), Err(UnknownKey));
}

#[test]
fn no_public_key_is_a_secret_and_no_signature_of_another_kind_passes() {
    let issuer = Issuer::new();
    let tokens = issuer.verifier();
    let signed = format!(
        "{}.{}",
        part(r#"{"alg":"HS256"}"#),
        part(&claims().to_string())
    );
    let rs256 = format!(
        "{}.{}",
        part(r#"{"alg":"RS256"}"#),
        part(&claims().to_string())
    );
    let es256 = format!(
        "{}.{}",
        part(r#"{"alg":"ES256"}"#),
        part(&claims().to_string())
    );
    let corpus = [
        (&signed, hs256(issuer.pems[0].as_bytes(), signed.as_bytes())),
        (&signed, hs256(issuer.pems[2].as_bytes(), signed.as_bytes())),
        (
            &signed,
            hs256(issuer.rsa.public_key().as_ref(), signed.as_bytes()),
        ),
        (&signed, hs256(b"", signed.as_bytes())),
        (&signed, Vec::new()),
        (
            &rs256,
            issuer.rsa_signature(&RSA_PSS_SHA256, rs256.as_bytes()),
        ),
        (&rs256, vec![0; 256]),
        // r = s = 0, which careless libraries took for everybody's signature.
        (&es256, vec![0; 64]),
        (&es256, Vec::new()),
    ];
    for (signed, signature) in corpus {
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(&signature));
        assert_eq!(
            check(&tokens, &token),
            Err(TokenFault::Signature),
            "{token}"
        );
    }
}

#[test]
fn nothing_that_is_no_token_passes() {
    use TokenFault::{Claims, Malformed, TooLong};
    let issuer = Issuer::new();
    let tokens = issuer.verifier();
    let good = issuer.with(&json!({}));
    let [header, payload, signature] =
        <[&str; 3]>::try_from(good.split('.').collect::<Vec<_>>()).expect("three parts");
    let twice = claims().to_string().replacen('{', r#"{"exp":1,"#, 1);
    let corpus = [
        (String::new(), Malformed),
        ("..".to_owned(), Malformed),
        ("a.b.c".to_owned(), Malformed),
        (format!("{header}.{payload}"), Malformed),
        (format!("{good}.{signature}"), Malformed),
        (format!("{good}="), Malformed),
        (format!(" {good}"), Malformed),
        (format!("{good}\n"), Malformed),
        (good.replace(signature, "!!!!"), Malformed),
        (issuer.raw(r#"["HS256"]"#, "{}", "HS256"), Malformed),
        (
            issuer.raw(r#"{"alg":"HS256","alg":"none"}"#, "{}", "HS256"),
            Malformed,
        ),
        (issuer.raw(r#"{"alg":"HS256"}"#, "[]", "HS256"), Claims),
        (issuer.raw(r#"{"alg":"HS256"}"#, "null", "HS256"), Claims),
        (issuer.raw(r#"{"alg":"HS256"}"#, "", "HS256"), Claims),
        (issuer.raw(r#"{"alg":"HS256"}"#, &twice, "HS256"), Claims),
        (issuer.with(&json!({"peerage": "x".repeat(8_000)})), TooLong),
        (".".repeat(1 << 20), TooLong),
    ];
    for (token, fault) in corpus {
        assert_eq!(check(&tokens, &token), Err(fault), "{token:.80}");
    }
}

#[test]
fn no_token_with_a_character_changed_passes() {
    let issuer = Issuer::new();
    let tokens = issuer.verifier();
    let good = issuer.with(&json!({}));
    for index in 0..good.len() {
        let mut bytes = good.clone().into_bytes();
        bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
        let token = String::from_utf8(bytes).expect("ASCII");
        assert!(check(&tokens, &token).is_err(), "character {index}");
    }
}
