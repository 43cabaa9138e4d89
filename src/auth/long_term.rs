//! The long-term credential mechanism of RFC 8489 section 9.2, as the relay asks for it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::access_token::TokenKeys;
use super::credentials::{Claim, Credentials, Verified};
use super::key::Key;
use super::listed::{KeyPair, Listed};
use super::opaque_string::prepare;
use super::secret::{Secret, password};
use super::username::{expiry, holder_of, without_expiry};
use crate::stun::PasswordAlgorithm;
use crate::time::Now;

/// How long after its expiry a time-limited user name is still taken, for clocks that differ.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// The USERHASH of a user in a realm (RFC 8489 section 14.4).
#[must_use]
pub fn userhash(username: &str, realm: &str) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(prepare(username).as_deref().unwrap_or(username));
    digest.update(":");
    digest.update(prepare(realm).as_deref().unwrap_or(realm));
    digest.finalize().into()
}

/// The users of the relay: those with time-limited names, made from a shared secret, and those
/// that the configuration lists.
#[derive(Clone, Debug)]
pub struct RelayCredentials {
    realm: String,
    secrets: Vec<Secret>,
    users: HashMap<Arc<str>, Arc<Listed>>,
    hashes: HashMap<[u8; 32], Arc<Listed>>,
    tokens: Option<Arc<TokenKeys>>,
    /// Sessions and holders whose time-limited names are not taken any more.
    revoked: Arc<BTreeSet<Box<str>>>,
    /// What is tried for who does not exist.
    nobody: Arc<Listed>,
    /// As many keys as any listed user has: so many are tried for everybody.
    tries: usize,
}

impl RelayCredentials {
    /// No users yet, in `realm`.
    #[must_use]
    pub fn new(realm: impl Into<String>) -> Self {
        let realm = realm.into();
        let nobody = Listed {
            name: "".into(),
            keys: vec![KeyPair::new("", &realm, "")],
        };
        Self {
            realm,
            secrets: Vec::new(),
            users: HashMap::new(),
            hashes: HashMap::new(),
            tokens: None,
            revoked: Arc::default(),
            nobody: Arc::new(nobody),
            tries: 1,
        }
    }

    /// Also takes `<expiry>:<name>` (or `<expiry>` alone) with the password that
    /// [`TimeLimited`](super::TimeLimited) computes from `secret`. There may be several secrets,
    /// while one takes another's place.
    #[must_use]
    pub fn with_secret(mut self, secret: Secret) -> Self {
        self.secrets.push(secret);
        self
    }

    /// Also takes this user.
    #[must_use]
    pub fn with_user(mut self, username: &str, password: &Secret) -> Self {
        let password = password.expose();
        let name: Arc<str> = prepare(username).as_deref().unwrap_or(username).into();
        let prepared = prepare(password);
        let prepared = prepared.as_deref().unwrap_or(password);
        let mut keys = vec![KeyPair::new(&name, &self.realm, prepared)];
        if *name != *username || prepared != password {
            keys.push(KeyPair::new(username, &self.realm, password));
        }
        self.tries = self.tries.max(keys.len());
        let listed = Arc::new(Listed { name, keys });
        self.hashes
            .insert(userhash(username, &self.realm), Arc::clone(&listed));
        self.users.insert(Arc::clone(&listed.name), listed);
        self
    }

    /// Also takes access tokens that one of `keys` opens. Who comes by a token is named as its key.
    #[must_use]
    pub fn with_token_keys(mut self, keys: Arc<TokenKeys>) -> Self {
        self.tokens = Some(keys);
        self
    }

    /// Does not take time-limited names of these sessions and holders.
    #[must_use]
    pub fn with_revoked(mut self, revoked: Arc<BTreeSet<Box<str>>>) -> Self {
        self.revoked = revoked;
        self
    }

    fn is_revoked(&self, username: &str) -> bool {
        let name = without_expiry(username);
        let (session, holder) = holder_of(name).unwrap_or((name, ""));
        self.revoked.contains(session) || self.revoked.contains(holder)
    }

    /// For each secret, a key that servers with the same secret also find, and that tells nothing
    /// of the secret. What it is for keeps it apart from other such keys.
    #[must_use]
    pub fn derived_keys(&self, purpose: &str) -> Vec<[u8; 32]> {
        let derive = |secret: &Secret| {
            let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
                .expect("HMAC takes a key of any length");
            // No time-limited name begins like this: its first character is a digit.
            mac.update(b"derived:");
            mac.update(purpose.as_bytes());
            mac.finalize().into_bytes().into()
        };
        self.secrets.iter().map(derive).collect()
    }

    fn listed(&self, claim: Claim<'_>) -> Option<&Listed> {
        match claim {
            Claim::Hash(hash) => self.hashes.get(<&[u8; 32]>::try_from(hash).ok()?),
            Claim::Name(name) => {
                let name = std::str::from_utf8(name).ok()?;
                self.users.get(&*prepare(name)?)
            }
            Claim::Token { .. } => None,
        }
        .map(|listed| &**listed)
    }

    /// The time-limited name in a claim, where there is a secret to make its password from.
    fn time_limited<'a>(&self, claim: Claim<'a>) -> Option<(&'a str, Duration)> {
        let Claim::Name(name) = claim else {
            return None;
        };
        let name = std::str::from_utf8(name).ok()?;
        let expiry = expiry(name)?;
        (!self.secrets.is_empty()).then_some((name, expiry))
    }

    /// The key of a time-limited name that is the signature's, if any secret makes one. All are
    /// tried, so that the time does not tell which it was.
    fn time_limited_key(
        &self,
        username: &str,
        algorithm: PasswordAlgorithm,
        signed: &mut dyn FnMut(&Key) -> bool,
    ) -> Option<Key> {
        let keys = self.secrets.iter().map(|secret| {
            let password = password(secret, username);
            Key::new(algorithm, username, &self.realm, &password)
        });
        keys.fold(
            None,
            |found, key| if signed(&key) { Some(key) } else { found },
        )
    }

    /// The user of a token, named as the token's key.
    fn verify_token(
        &self,
        kid: &[u8],
        token: &[u8],
        now: Now,
        signed: &mut dyn FnMut(&Key) -> bool,
    ) -> Option<Verified> {
        let keys = self.tokens.as_ref();
        let grant = keys.and_then(|keys| keys.open(kid, token, now));
        let key = grant.map_or(self.nobody.keys[0].md5, |grant| grant.key);
        let is_signed = signed(&key);
        let grant = grant.filter(|_| is_signed)?;
        Some(Verified {
            name: std::str::from_utf8(kid).ok()?.into(),
            key,
            expires: Some(now.unix + grant.remaining),
        })
    }
}

impl Credentials for RelayCredentials {
    fn verify(
        &self,
        claim: Claim<'_>,
        algorithm: PasswordAlgorithm,
        now: Now,
        signed: &mut dyn FnMut(&Key) -> bool,
    ) -> Option<Verified> {
        if let Claim::Token { kid, token } = claim {
            return self.verify_token(kid, token, now, signed);
        }
        if let Some(listed) = self.listed(claim) {
            let key = listed.key(algorithm, self.tries, signed)?;
            let name = Arc::clone(&listed.name);
            return Some(Verified {
                name,
                key,
                expires: None,
            });
        }
        let Some((name, expiry)) = self.time_limited(claim) else {
            // Whatever is signed with nobody's key, it is nobody.
            self.nobody.key(algorithm, self.tries, signed);
            return None;
        };
        // A name that has expired costs what a good one costs.
        let key = self.time_limited_key(name, algorithm, signed);
        let expires = expiry.saturating_add(CLOCK_SKEW);
        let is_good = expires >= now.unix && !self.is_revoked(name);
        key.filter(|_| is_good).map(|key| Verified {
            name: name.into(),
            key,
            expires: Some(expires),
        })
    }

    fn token_server_name(&self) -> Option<&str> {
        self.tokens.as_deref().map(TokenKeys::server_name)
    }
}

#[cfg(test)]
mod tests {
    use super::super::TimeLimited;
    use super::*;
    use PasswordAlgorithm::{Md5, Sha256};

    fn at(unix: u64) -> Now {
        Now {
            unix: Duration::from_secs(unix),
            ..Now::default()
        }
    }

    fn key(username: &str, password: &str) -> Key {
        Key::new(Md5, username, "realm", password)
    }

    /// Who is taken for having signed with `key`, and how many keys were tried for it.
    fn verified(
        credentials: &RelayCredentials,
        claim: Claim<'_>,
        now: Now,
        key: Key,
    ) -> (Option<Arc<str>>, usize) {
        let mut tries = 0;
        let algorithm = key.algorithm().expect("no token's key");
        let verified = credentials.verify(claim, algorithm, now, &mut |candidate| {
            tries += 1;
            *candidate == key
        });
        if let Some(verified) = &verified {
            assert_eq!(verified.key, key);
        }
        (verified.map(|verified| verified.name), tries)
    }

    fn name_of(credentials: &RelayCredentials, name: &str, now: Now, key: Key) -> Option<Arc<str>> {
        verified(credentials, Claim::Name(name.as_bytes()), now, key).0
    }

    #[test]
    fn a_listed_user_signs_with_either_algorithm_and_by_name_or_hash() {
        let credentials = RelayCredentials::new("realm").with_user("user", &Secret::new("pass"));
        for algorithm in [Md5, Sha256] {
            let key = Key::new(algorithm, "user", "realm", "pass");
            for claim in [
                Claim::Name(b"user"),
                Claim::Hash(&userhash("user", "realm")),
            ] {
                let (name, _) = verified(&credentials, claim, at(0), key);
                assert_eq!(name.as_deref(), Some("user"));
                let wrong = Key::new(algorithm, "user", "realm", "wrong");
                assert_eq!(verified(&credentials, claim, at(0), wrong).0, None);
            }
        }
    }

    #[test]
    fn nobody_is_taken_for_a_stranger() {
        let credentials = RelayCredentials::new("realm").with_user("user", &Secret::new("pass"));
        let claims = [
            Claim::Name(b"mallory"),
            Claim::Name(b""),
            Claim::Name(b"\xff"),
            Claim::Hash(&[0; 32]),
            Claim::Hash(b""),
        ];
        for claim in claims {
            for key in [key("user", "pass"), key("", ""), key("mallory", "")] {
                assert_eq!(verified(&credentials, claim, at(0), key), (None, 1));
            }
        }
    }

    #[test]
    fn a_stranger_costs_as_many_tries_as_a_wrong_password() {
        let credentials = RelayCredentials::new("realm")
            .with_user("user", &Secret::new("pass"))
            .with_user("Ame\u{301}lie", &Secret::new("pass"));
        let wrong = key("user", "wrong");
        for name in ["user", "mallory", "Am\u{e9}lie", "Ame\u{301}lie", "\u{e9}"] {
            let claim = Claim::Name(name.as_bytes());
            assert_eq!(verified(&credentials, claim, at(0), wrong), (None, 2));
        }
    }

    #[test]
    fn a_name_works_in_every_form_of_its_characters() {
        let (composed, decomposed) = ("Am\u{e9}lie", "Ame\u{301}lie");
        for listed in [composed, decomposed] {
            let credentials =
                RelayCredentials::new("realm").with_user(listed, &Secret::new("e\u{301}t\u{e9}"));
            let prepared = key(composed, "\u{e9}t\u{e9}");
            for sent in [composed, decomposed] {
                let name = name_of(&credentials, sent, at(0), prepared);
                assert_eq!(name.as_deref(), Some(composed));
            }
            // What a client sends that prepares nothing.
            let raw = key(listed, "e\u{301}t\u{e9}");
            let name = name_of(&credentials, listed, at(0), raw);
            assert_eq!(name.as_deref(), Some(composed));
            let (name, _) = verified(
                &credentials,
                Claim::Hash(&userhash(decomposed, "realm")),
                at(0),
                prepared,
            );
            assert_eq!(name.as_deref(), Some(composed));
        }
    }

    #[test]
    fn a_time_limited_name_works_until_its_expiry_and_a_minute_for_skewed_clocks() {
        let secret = Secret::new("north");
        let minted = TimeLimited::mint(&secret, "ada", Duration::from_secs(100), at(1_000));
        let credentials = RelayCredentials::new("realm").with_secret(secret);
        let name = &minted.username;
        for algorithm in [Md5, Sha256] {
            let key = Key::new(algorithm, name, "realm", minted.password.expose());
            let taken = |unix| name_of(&credentials, name, at(unix), key).is_some();
            assert_eq!([1_000, 1_160, 1_161].map(taken), [true, true, false]);
        }
    }

    #[test]
    fn every_secret_is_taken_while_one_takes_anothers_place() {
        let secrets = ["new", "old"].map(Secret::new);
        let credentials = secrets
            .iter()
            .fold(RelayCredentials::new("realm"), |credentials, secret| {
                credentials.with_secret(secret.clone())
            });
        for secret in &secrets {
            let minted = TimeLimited::mint(secret, "ada", Duration::from_secs(100), at(1_000));
            let key = key(&minted.username, minted.password.expose());
            let claim = Claim::Name(minted.username.as_bytes());
            let (name, tries) = verified(&credentials, claim, at(1_000), key);
            assert_eq!((name.as_deref(), tries), (Some(&*minted.username), 2));
        }
        let stolen = TimeLimited::mint(
            &Secret::new("older"),
            "ada",
            Duration::from_secs(100),
            at(1_000),
        );
        let key = key(&stolen.username, stolen.password.expose());
        assert_eq!(
            name_of(&credentials, &stolen.username, at(1_000), key),
            None
        );
    }

    #[test]
    fn an_expired_name_costs_as_many_tries_as_a_good_one() {
        let credentials = RelayCredentials::new("realm")
            .with_secret(Secret::new("new"))
            .with_secret(Secret::new("old"));
        let wrong = key("", "wrong");
        for name in ["1:ada", "9000:ada"] {
            let claim = Claim::Name(name.as_bytes());
            assert_eq!(verified(&credentials, claim, at(5_000), wrong), (None, 2));
        }
    }

    #[test]
    fn who_is_revoked_is_nobody_by_session_and_by_holder() {
        let secret = Secret::new("north");
        let revoked = ["6f0c7c1e-5d0b-4c55-9a3e-1f6c2f6f3c11", "AbCdEfGhIjKlMn_-"];
        let revoked = revoked.map(Box::from).into_iter().collect();
        let credentials = RelayCredentials::new("realm")
            .with_secret(secret.clone())
            .with_revoked(Arc::new(revoked));
        for (name, is_taken) in [
            ("9000:6f0c7c1e-5d0b-4c55-9a3e-1f6c2f6f3c11", false),
            (
                "9000:6f0c7c1e-5d0b-4c55-9a3e-1f6c2f6f3c11:0123456789abcdef",
                false,
            ),
            (
                "9000:6f0c7c1e-5d0b-4c55-9a3e-1f6c2f6f3c12:AbCdEfGhIjKlMn_-",
                false,
            ),
            (
                "9000:6f0c7c1e-5d0b-4c55-9a3e-1f6c2f6f3c12:0123456789abcdef",
                true,
            ),
            ("9000:6f0c7c1e-5d0b-4c55-9a3e-1f6c2f6f3c12", true),
            ("9000", true),
        ] {
            let right = key(name, &password(&secret, name));
            let taken = name_of(&credentials, name, at(0), right);
            assert_eq!(taken.is_some(), is_taken, "{name}");
        }
    }

    #[test]
    fn names_that_are_no_expiry_are_nobody() {
        let secret = Secret::new("north");
        let credentials = RelayCredentials::new("realm").with_secret(secret.clone());
        let right = |name: &str| key(name, &password(&secret, name));
        for name in [
            "",
            ":",
            "ada",
            "-1:ada",
            "+1:ada",
            "1e9:ada",
            "99999999999999999999:ada",
        ] {
            let name = name_of(&credentials, name, at(0), right(name));
            assert_eq!(name, None);
        }
        let most = u64::MAX.to_string();
        assert!(name_of(&credentials, &most, at(0), right(&most)).is_some());
    }

    #[test]
    fn servers_with_one_secret_derive_the_same_keys_and_others_do_not() {
        let keys = |secret: &str, purpose: &str| {
            let credentials = RelayCredentials::new("realm").with_secret(Secret::new(secret));
            credentials.derived_keys(purpose)
        };
        assert_eq!(keys("north", "nonce"), keys("north", "nonce"));
        assert_ne!(keys("north", "nonce"), keys("south", "nonce"));
        assert_ne!(keys("north", "nonce"), keys("north", "other"));
    }
}
