//! What the end of a connection means.

use std::time::Duration;

use serde::Deserialize;

use super::event::Ended;
use super::message::Goaway;
use crate::signal::Advice;

/// How a connection has ended, as its transport knows it.
#[derive(Clone, Debug, Default)]
pub struct End {
    /// The close code; `None` where it just broke.
    pub code: Option<u16>,
    /// The reason, in a word of the protocol where the server gives it.
    pub reason: Box<str>,
    /// What the server says the client had better do.
    pub advice: Option<Advice>,
    /// How long the server wants the client to wait.
    pub retry_after: Option<Duration>,
    /// The base URL of the server to which this one sends the client.
    pub elsewhere: Option<Box<str>>,
}

/// What the server said before it closed.
#[derive(Debug, Default)]
pub(super) struct Farewell {
    /// Why.
    pub(super) said: Option<Box<str>>,
    /// After which time to come back.
    pub(super) wait: Option<Duration>,
    /// Where to.
    pub(super) elsewhere: Option<Box<str>>,
}

impl End {
    /// It broke.
    #[must_use]
    pub fn broken(reason: &str) -> Self {
        Self {
            reason: reason.into(),
            ..Self::default()
        }
    }

    /// A WebSocket was closed with this code and reason. The reason is JSON where the server gives
    /// it, and text where something on the way does.
    #[must_use]
    pub fn closed(code: u16, reason: &str) -> Self {
        let told = serde_json::from_str::<Told>(reason);
        let mut end = told.map_or_else(|_| Self::broken(reason), Self::from);
        end.code = Some(code);
        end
    }

    /// Why the session is over with this, if it is.
    pub(super) fn ended(&self) -> Option<Ended> {
        let code = self.code?;
        if self.advice.unwrap_or_else(|| usual_advice(code)) != Advice::Never {
            return None;
        }
        Some(match code {
            1000 => Ended::Closed,
            4409 => Ended::Replaced,
            code => Ended::Refused {
                code,
                reason: self.reason.clone(),
            },
        })
    }

    /// Whether the access token was not good.
    pub(super) fn is_about_access(&self) -> bool {
        let by_code = self.code == Some(4403);
        self.advice
            .map_or(by_code, |advice| advice == Advice::Authorize)
    }

    /// Whether nobody has answered: no server has closed it, and none wants the client to wait.
    pub(super) fn is_silent(&self) -> bool {
        self.code.is_none() && self.retry_after.is_none()
    }

    /// The least wait before the next connection.
    pub(super) fn pause(&self) -> Duration {
        self.retry_after.unwrap_or_default()
    }
}

impl Farewell {
    pub(super) fn take(&mut self, goaway: Goaway) {
        self.wait = Some(Duration::from_millis(goaway.reconnect_in_ms));
        self.elsewhere = goaway.url;
    }
}

/// What the server says of the end of a connection.
#[derive(Debug, Deserialize)]
pub(super) struct Told {
    pub(super) code: Option<u16>,
    reason: Box<str>,
    advice: Option<Box<str>>,
    after_ms: Option<u64>,
    url: Option<Box<str>>,
}

impl From<Told> for End {
    fn from(told: Told) -> Self {
        let advice = told.advice.as_deref().and_then(Advice::of_name);
        Self {
            code: told.code,
            reason: told.reason,
            advice,
            retry_after: told.after_ms.map(Duration::from_millis),
            elsewhere: told.url.filter(|_| advice == Some(Advice::Elsewhere)),
        }
    }
}

/// What to do where nobody has given advice: what is on the way closes WebSockets, too.
const fn usual_advice(code: u16) -> Advice {
    match code {
        1000 | 1002 | 1003 | 1007 | 1009 => Advice::Never,
        _ => Advice::Retry,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_advice_of_the_server_counts_whatever_the_code() {
        let never = End::closed(4999, r#"{"reason":"closed_down","advice":"never"}"#);
        let refused = Ended::Refused {
            code: 4999,
            reason: "closed_down".into(),
        };
        assert_eq!(never.ended(), Some(refused));
        let later = r#"{"reason":"full","advice":"retry","after_ms":7100}"#;
        let later = End::closed(1009, later);
        assert_eq!(later.ended(), None);
        assert_eq!(later.pause(), Duration::from_millis(7_100));
    }

    #[test]
    fn a_url_counts_with_the_advice_to_go_there() {
        let url = "https://green.example";
        for (advice, elsewhere) in [("elsewhere", Some(url)), ("retry", None), ("dance", None)] {
            let reason = format!(r#"{{"reason":"going_away","advice":"{advice}","url":"{url}"}}"#);
            let end = End::closed(1001, &reason);
            assert_eq!(end.elsewhere.as_deref(), elsewhere, "{advice}");
            assert_eq!(end.ended(), None);
        }
    }

    #[test]
    fn without_advice_the_code_counts() {
        assert_eq!(End::closed(1000, "").ended(), Some(Ended::Closed));
        assert_eq!(End::closed(1001, "restarting").ended(), None);
        let unknown = End::closed(4999, r#"{"reason":"x","advice":"dance"}"#);
        assert_eq!(unknown.ended(), None);
    }
}
