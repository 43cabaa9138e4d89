//! The long-term credential mechanism of RFC 8489 section 9.2, as the relay asks for it.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use md5::{Digest, Md5};
use subtle::ConstantTimeEq;

use super::Secret;
use super::secret::password;
use crate::time::Now;

/// How long after its expiry a time-limited user name is still taken, for clocks that differ.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// The key of the long-term mechanism: MD5 of `username:realm:password`. It is the key of
/// MESSAGE-INTEGRITY.
#[derive(Clone, Copy)]
pub struct Key([u8; 16]);

impl Key {
    /// The key of a user in a realm (RFC 8489 section 9.2.2).
    #[must_use]
    pub fn new(username: &str, realm: &str, password: &str) -> Self {
        let mut digest = Md5::new();
        digest.update(username);
        digest.update(":");
        digest.update(realm);
        digest.update(":");
        digest.update(password);
        Self(digest.finalize().into())
    }

    /// The bytes, for an HMAC.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// The one question that the relay asks: with which key does this user sign?
pub trait Credentials {
    /// The key of `username` in the server's realm; `None` if there is no such user, or no more.
    fn key(&self, username: &str, now: Now) -> Option<Key>;
}

impl<C: Credentials + ?Sized> Credentials for Arc<C> {
    fn key(&self, username: &str, now: Now) -> Option<Key> {
        (**self).key(username, now)
    }
}

/// Whom a user name stands for: that of a time-limited name without its expiry, so that one
/// person stays one person when new credentials come.
#[must_use]
pub fn account(username: &str) -> &str {
    match username.split_once(':') {
        Some((expiry, name)) if expiry.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => username,
    }
}

/// The users of the relay: those with time-limited names, made from a shared secret, and those
/// that the configuration lists.
#[derive(Clone, Debug)]
pub struct RelayCredentials {
    realm: String,
    secret: Option<Secret>,
    users: HashMap<String, Key>,
}

impl RelayCredentials {
    /// No users yet, in `realm`.
    #[must_use]
    pub fn new(realm: impl Into<String>) -> Self {
        Self {
            realm: realm.into(),
            secret: None,
            users: HashMap::new(),
        }
    }

    /// Also takes `<expiry>:<name>` (or `<expiry>` alone) with the password that
    /// [`TimeLimited`](super::TimeLimited) computes from `secret`.
    #[must_use]
    pub fn with_secret(mut self, secret: Secret) -> Self {
        self.secret = Some(secret);
        self
    }

    /// Also takes this user. Only the key is kept, not the password.
    #[must_use]
    pub fn with_user(mut self, username: &str, password: &Secret) -> Self {
        let key = Key::new(username, &self.realm, password.expose());
        self.users.insert(username.to_owned(), key);
        self
    }

    fn time_limited_key(&self, username: &str, now: Now) -> Option<Key> {
        let secret = self.secret.as_ref()?;
        let expiry = username.split(':').next().unwrap_or(username);
        let expiry = Duration::from_secs(expiry.parse().ok()?);
        if expiry.saturating_add(CLOCK_SKEW) < now.unix {
            return None;
        }
        Some(Key::new(username, &self.realm, &password(secret, username)))
    }
}

impl Credentials for RelayCredentials {
    fn key(&self, username: &str, now: Now) -> Option<Key> {
        match self.users.get(username) {
            Some(key) => Some(*key),
            None => self.time_limited_key(username, now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::TimeLimited;
    use super::*;

    fn at(unix: u64) -> Now {
        Now {
            unix: Duration::from_secs(unix),
            ..Now::default()
        }
    }

    #[test]
    fn the_key_is_that_of_the_rfc() {
        let key = Key::new("user", "realm", "pass");
        let hex: String = key
            .as_bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(hex, "8493fbc53ba582fb4c044c456bdc40eb");
    }

    #[test]
    fn a_listed_user_has_a_key_and_a_stranger_has_none() {
        let credentials = RelayCredentials::new("realm").with_user("user", &Secret::new("pass"));
        assert_eq!(
            credentials.key("user", at(0)),
            Some(Key::new("user", "realm", "pass"))
        );
        assert_eq!(credentials.key("mallory", at(0)), None);
    }

    #[test]
    fn a_time_limited_name_works_until_its_expiry_and_a_minute_for_skewed_clocks() {
        let secret = Secret::new("north");
        let minted = TimeLimited::mint(&secret, "ada", Duration::from_secs(100), at(1_000));
        let credentials = RelayCredentials::new("realm").with_secret(secret);
        let key = Key::new(&minted.username, "realm", minted.password.expose());
        assert_eq!(credentials.key(&minted.username, at(1_000)), Some(key));
        assert_eq!(credentials.key(&minted.username, at(1_160)), Some(key));
        assert_eq!(credentials.key(&minted.username, at(1_161)), None);
    }

    #[test]
    fn the_account_of_a_time_limited_name_is_the_name() {
        for (username, expected) in [
            ("1000:ada", "ada"),
            ("ada", "ada"),
            ("ada:1000", "ada:1000"),
            ("1000", "1000"),
        ] {
            assert_eq!(account(username), expected);
        }
    }

    #[test]
    fn names_that_are_no_expiry_are_nobody() {
        let credentials = RelayCredentials::new("realm").with_secret(Secret::new("north"));
        for name in [
            "",
            ":",
            "ada",
            "-1:ada",
            "1e9:ada",
            "99999999999999999999:ada",
        ] {
            assert_eq!(credentials.key(name, at(0)), None, "{name:?}");
        }
        assert!(credentials.key(&u64::MAX.to_string(), at(0)).is_some());
    }
}
