//! Secrets, and the time-limited relay credentials made from them.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;

use crate::time::Now;

/// A value that no log and no error may show.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes `value` into keeping.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for computing with it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A user name and password for the relay that end by themselves: the name is
/// `<expiry>:<name>`, with the expiry in seconds since 1970, and the password the HMAC-SHA1 of
/// the name under a secret that signaling and relay share, in base64. It is the scheme that
/// WebRTC servers have in common (draft-uberti-behave-turn-rest).
#[derive(Clone, Debug)]
pub struct TimeLimited {
    /// `<expiry>:<name>`.
    pub username: String,
    /// What the browser gives as `credential`.
    pub password: Secret,
}

impl TimeLimited {
    /// Credentials for `name` that are good for `lifetime` from `now`.
    #[must_use]
    pub fn mint(secret: &Secret, name: &str, lifetime: Duration, now: Now) -> Self {
        let expiry = (now.unix + lifetime).as_secs();
        let username = format!("{expiry}:{name}");
        let password = Secret(password(secret, &username));
        Self { username, password }
    }

    /// The same for a session that somebody holds ([`holder`]): limits of a user hold for all
    /// sessions of one holder together.
    #[must_use]
    pub fn mint_held(
        secret: &Secret,
        session: &str,
        holder: &str,
        lifetime: Duration,
        now: Now,
    ) -> Self {
        Self::mint(secret, &format!("{session}:{holder}"), lifetime, now)
    }
}

/// How long the name of a holder is.
const HOLDER: usize = 16;

/// By which name the relay knows whoever holds a session: nothing can be learnt from it of the
/// subject, and all who know the secret find the same. `since` begins the name anew.
#[must_use]
pub fn holder(secret: &Secret, subject: &str, since: Duration) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
        .expect("HMAC takes a key of any length");
    // No time-limited name begins like this: its first character is a digit.
    mac.update(b"holder:");
    mac.update(&since.as_nanos().to_be_bytes());
    mac.update(subject.as_bytes());
    let mut holder = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
    holder.truncate(HOLDER);
    holder
}

/// Whether a name has the form of a holder's.
pub(super) fn is_holder(name: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    name.len() == HOLDER && name.bytes().all(is_digit)
}

/// The password that belongs to a time-limited user name.
pub(super) fn password(secret: &Secret, username: &str) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret.expose().as_bytes())
        .expect("HMAC takes a key of any length");
    mac.update(username.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show_itself() {
        assert_eq!(format!("{:?}", Secret::new("hush")), "Secret(…)");
    }

    #[test]
    fn the_user_name_carries_the_expiry() {
        let now = Now {
            unix: Duration::from_secs(1_000),
            ..Now::default()
        };
        let minted = TimeLimited::mint(&Secret::new("north"), "ada", Duration::from_secs(60), now);
        assert_eq!(minted.username, "1060:ada");
    }

    #[test]
    fn the_password_is_what_other_servers_compute() {
        // echo -n 1433895918:12334 | openssl dgst -binary -sha1 -hmac north | base64
        assert_eq!(
            password(&Secret::new("north"), "1433895918:12334"),
            "D2z3GKCuvPnlJaCR4joJ/GuCSzM="
        );
    }
}
