//! What many messages have in them, as it is written.

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::signal::{Reason, SessionId};

pub(super) struct Id(pub(super) SessionId);

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn reason_word(reason: Reason) -> &'static str {
    match reason {
        Reason::Left => "left",
        Reason::Bye => "bye",
        Reason::Expired => "expired",
        Reason::Removed => "removed",
        Reason::Replaced => "replaced",
        Reason::Unauthorized => "unauthorized",
    }
}
