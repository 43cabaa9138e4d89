//! What the end of a connection means.

use std::time::Duration;

use super::event::Ended;

/// How a connection has ended, as its transport knows it.
#[derive(Clone, Debug, Default)]
pub struct End {
    /// The close code; `None` where it just broke.
    pub code: Option<u16>,
    /// The reason in words.
    pub reason: Box<str>,
    /// How long the server wants the client to wait (`Retry-After`).
    pub retry_after: Option<Duration>,
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

    /// The server has closed it.
    #[must_use]
    pub fn closed(code: u16, reason: &str) -> Self {
        Self {
            code: Some(code),
            reason: reason.into(),
            retry_after: None,
        }
    }

    /// Why the session is over with this, if it is.
    pub(super) fn ended(&self) -> Option<Ended> {
        match self.code? {
            1000 => Some(Ended::Closed),
            4409 => Some(Ended::Replaced),
            code @ (1002 | 1003 | 1007 | 1009 | 4400) => Some(Ended::Refused {
                code,
                reason: self.reason.clone(),
            }),
            _ => None,
        }
    }

    /// The least wait before the next connection.
    pub(super) fn pause(&self) -> Duration {
        let of_code = match self.code {
            Some(4429) => Duration::from_secs(10),
            Some(4503) => Duration::from_secs(5),
            _ => Duration::ZERO,
        };
        self.retry_after.unwrap_or_default().max(of_code)
    }
}
