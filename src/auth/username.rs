//! What time-limited user names say: when they end, and whose they are.

use std::time::Duration;

use super::secret::is_holder;

/// How long the name of a session is.
const SESSION: usize = 36;

/// Whom a user name stands for: that of a time-limited name without its expiry, so that one
/// person stays one person when new credentials come. Where signaling says who holds a session
/// ([`TimeLimited::mint_held`](super::TimeLimited::mint_held)), it is the holder, so that one
/// person stays one person in several sessions.
#[must_use]
pub fn account(username: &str) -> &str {
    let name = without_expiry(username);
    holder_of(name).map_or(name, |(_, holder)| holder)
}

/// The session whose credentials these are, as signaling makes them: `<expiry>:<session>`, perhaps
/// with a holder behind it. `None` for every other name.
#[must_use]
pub fn session_of(username: &str) -> Option<&str> {
    let name = without_expiry(username);
    if name.len() == username.len() {
        return None;
    }
    let session = holder_of(name).map_or(name, |(session, _)| session);
    is_session(session).then_some(session)
}

/// A time-limited name without its expiry.
pub(super) fn without_expiry(username: &str) -> &str {
    match username.split_once(':') {
        Some((expiry, name)) if expiry.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => username,
    }
}

/// The session and its holder in `<session>:<holder>`; `None` for every other name.
pub(super) fn holder_of(name: &str) -> Option<(&str, &str)> {
    let (session, holder) = name.split_at_checked(SESSION)?;
    let holder = holder.strip_prefix(':')?;
    (is_session(session) && is_holder(holder)).then_some((session, holder))
}

/// Whether `name` has the form of a session's.
fn is_session(name: &str) -> bool {
    let mut bytes = name.bytes().enumerate();
    name.len() == SESSION
        && bytes.all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// When a time-limited name ends, in time since 1970.
pub(super) fn expiry(username: &str) -> Option<Duration> {
    let expiry = username.split(':').next()?;
    let is_number = expiry.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = expiry.parse().ok().filter(|_| is_number)?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_of_a_time_limited_name_is_the_name() {
        for (username, expected) in [
            ("1000:ada", "ada"),
            ("ada", "ada"),
            ("ada:1000", "ada:1000"),
            ("1000", "1000"),
            ("1000:ada:grace", "ada:grace"),
            (
                "1000:6f0c7c1e-5d0b-4c55-9a3e-1f6c2f6f3c11",
                "6f0c7c1e-5d0b-4c55-9a3e-1f6c2f6f3c11",
            ),
            (
                "1000:6f0c7c1e-5d0b-4c55-9a3e-1f6c2f6f3c11:AbCdEfGhIjKlMn_-",
                "AbCdEfGhIjKlMn_-",
            ),
            (
                "1000:6f0c7c1e-5d0b-4c55-9a3e-1f6c2f6f3c11:short",
                "6f0c7c1e-5d0b-4c55-9a3e-1f6c2f6f3c11:short",
            ),
            (
                "6f0c7c1e-5d0b-4c55-9a3e-1f6c2f6f3c1g:AbCdEfGhIjKlMn_-",
                "6f0c7c1e-5d0b-4c55-9a3e-1f6c2f6f3c1g:AbCdEfGhIjKlMn_-",
            ),
        ] {
            assert_eq!(account(username), expected);
        }
    }
}
