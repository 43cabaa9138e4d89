//! How a connection ended, as clients are told on every transport.

use serde::Serialize;

use super::fields::milliseconds;
use crate::signal::Ending;

/// What a close frame says beside its code, and requests say with it.
#[derive(Serialize)]
struct Fields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u16>,
    reason: &'static str,
    advice: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after_ms: Option<u64>,
}

/// The reason in a WebSocket's close frame: JSON of at most 123 bytes, which is what fits there
/// (RFC 6455, section 5.5).
#[must_use]
pub fn encode_reason(ending: &Ending) -> String {
    written(ending, None)
}

/// The object that tells of the end where there are no close frames.
#[must_use]
pub fn encode_closed(ending: &Ending) -> String {
    written(ending, Some(ending.close.code()))
}

fn written(ending: &Ending, code: Option<u16>) -> String {
    let fields = Fields {
        code,
        reason: ending.close.reason(),
        advice: ending.advice().name(),
        url: ending.elsewhere.as_deref(),
        after_ms: ending.after.map(milliseconds),
    };
    serde_json::to_string(&fields).expect("there are only texts and numbers in it")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::signal::Close;

    #[test]
    fn a_reason_fits_a_close_frame_whatever_the_wait() {
        let ending = Ending {
            after: Some(Duration::MAX),
            ..Close::BrokenProtocol.into()
        };
        let reason = encode_reason(&ending);
        assert!(reason.len() <= 123, "{reason}");
    }

    #[test]
    fn a_reason_with_the_longest_url_fits_with_a_wait_of_an_hour() {
        let ending = Ending {
            close: Close::GoingAway,
            after: Some(Duration::from_secs(3_600)),
            elsewhere: Some("x".repeat(50).into()),
        };
        let reason = encode_reason(&ending);
        assert!(reason.len() <= 123, "{reason}");
    }

    #[test]
    fn an_end_says_why_what_to_do_where_and_when() {
        let mut ending = Ending {
            after: Some(Duration::from_millis(1_400)),
            ..Close::GoingAway.into()
        };
        let reason = r#"{"reason":"going_away","advice":"retry","after_ms":1400}"#;
        assert_eq!(encode_reason(&ending), reason);
        ending.elsewhere = Some("https://green.example".into());
        let reason = r#"{"reason":"going_away","advice":"elsewhere","url":"https://green.example","after_ms":1400}"#;
        assert_eq!(encode_reason(&ending), reason);
        let closed = r#"{"code":4409,"reason":"replaced","advice":"never"}"#;
        assert_eq!(encode_closed(&Close::Replaced.into()), closed);
    }
}
