//! What an access token of this server says.

use std::time::Duration;

use serde_json::{Value, json};

use super::config::Config;
use crate::auth::jwt::Claims;
use crate::signal::Grant;

/// Whom a token is for, and what it grants.
#[derive(Clone, Debug)]
pub struct Bearer<'a> {
    /// Whom it is for.
    pub subject: &'a str,
    /// The rooms: names, beginnings with `*` behind them, or `*`.
    pub rooms: &'a [String],
    /// What the bearer is there.
    pub role: &'a str,
    /// Whether only one session may be begun with it.
    pub once: bool,
    /// For how long it is good.
    pub lifetime: Duration,
    /// What tells it from other tokens.
    pub token_id: &'a str,
}

/// The claims of a token that a server of this configuration takes from `now` on, in time since
/// 1970, as JSON.
///
/// # Errors
/// What is wrong with what is wanted, in words.
pub fn access_claims(bearer: &Bearer<'_>, config: &Config, now: Duration) -> Result<Value, String> {
    let rules = config.auth.tokens.rules();
    if bearer.lifetime > rules.max_lifetime {
        let most = rules.max_lifetime.as_secs();
        return Err(format!(
            "a token is good for auth.max_lifetime at most, which is {most} s"
        ));
    }
    if !(1..=255).contains(&bearer.subject.len()) || bearer.subject.chars().any(char::is_control) {
        return Err("a subject has 1 to 255 bytes and no control characters".to_owned());
    }
    let expires = now + bearer.lifetime;
    let rooms: Vec<Value> = bearer
        .rooms
        .iter()
        .map(|room| json!({"room": room, "role": bearer.role}))
        .collect();
    let mut peerage = json!({"rooms": rooms});
    if bearer.once {
        peerage["once"] = json!(true);
    }
    let claims = Claims {
        subject: bearer.subject.into(),
        expires,
        issued: Some(now),
        token_id: Some(bearer.token_id.into()),
        peerage: serde_json::value::to_raw_value(&peerage).map_err(|error| error.to_string())?,
    };
    Grant::new(claims).map_err(|_| {
        "a room is 1 to 128 characters out of A-Z a-z 0-9 . _ ~ -, and may end with *".to_owned()
    })?;
    let mut claims = json!({
        "sub": bearer.subject,
        "aud": rules.audience,
        "iat": now.as_secs(),
        "exp": expires.as_secs(),
        "jti": bearer.token_id,
        "peerage": peerage,
    });
    if let Some(issuer) = &rules.issuer {
        claims["iss"] = json!(issuer);
    }
    Ok(claims)
}
