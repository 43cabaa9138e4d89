//! Secrets, and the time-limited relay credentials made from them.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

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
