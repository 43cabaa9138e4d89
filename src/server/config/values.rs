//! The plain kinds of values: switches, numbers, times, paths and words.

use std::path::PathBuf;
use std::time::Duration;

use super::key_source::{KeySetUrl, KeySource};
use super::model::{LogLevel, Peers};
use super::sources::Raw;
use super::value::{Value, quoted};
use crate::signal::Duplicates;

impl Value for bool {
    fn allowed() -> String {
        "true or false".into()
    }
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
    fn show(&self) -> String {
        self.to_string()
    }
    fn from_raw(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Boolean(boolean) => Some(*boolean),
            Raw::Words(text) => Self::from_text(text),
            _ => None,
        }
        .ok_or_else(|| raw.to_string())
    }
}

impl Value for u32 {
    fn allowed() -> String {
        "a whole number from 0 to 4294967295".into()
    }
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
    fn show(&self) -> String {
        self.to_string()
    }
    fn from_raw(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Integer(text) | Raw::Words(text) => Self::from_text(text),
            _ => None,
        }
        .ok_or_else(|| raw.to_string())
    }
}

impl Value for String {
    fn allowed() -> String {
        "a string".into()
    }
    fn from_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
    fn show(&self) -> String {
        quoted(self)
    }
}

impl Value for PathBuf {
    fn allowed() -> String {
        "a path".into()
    }
    fn from_text(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| text.into())
    }
    fn show(&self) -> String {
        quoted(&self.to_string_lossy())
    }
}

impl Value for KeySource {
    fn allowed() -> String {
        "a path, or a URL of https, or of http on loopback".into()
    }

    fn from_text(text: &str) -> Option<Self> {
        if text.contains("://") {
            return KeySetUrl::parse(text).map(Self::Url);
        }
        PathBuf::from_text(text).map(Self::File)
    }

    fn show(&self) -> String {
        match self {
            Self::File(path) => path.show(),
            Self::Url(url) => quoted(url.as_str()),
        }
    }
}

/// Bytes a second; 0 is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bandwidth(pub(super) u64);

impl Value for Bandwidth {
    fn allowed() -> String {
        r#"bytes a second such as "250000", "250k" or "2M", or "0" for no limit"#.into()
    }
    fn from_text(text: &str) -> Option<Self> {
        let (number, unit) = match text.split_at_checked(text.len().checked_sub(1)?)? {
            (number, "k") => (number, 1_000),
            (number, "M") => (number, 1_000_000),
            (number, "G") => (number, 1_000_000_000),
            _ => (text, 1),
        };
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
        let number: u64 = number.parse().ok().filter(|_| is_number)?;
        number.checked_mul(unit).map(Self)
    }
    fn show(&self) -> String {
        quoted(&self.0.to_string())
    }
}

impl Value for Duration {
    fn allowed() -> String {
        r#"a time such as "500ms", "60s", "10m" or "24h""#.into()
    }
    fn from_text(text: &str) -> Option<Self> {
        let unit_at = text.find(|character: char| !character.is_ascii_digit())?;
        let (number, unit) = text.split_at(unit_at);
        let number: u64 = number.parse().ok()?;
        match unit {
            "ms" => Some(Self::from_millis(number)),
            "s" => Some(Self::from_secs(number)),
            "m" => number.checked_mul(60).map(Self::from_secs),
            "h" => number.checked_mul(3600).map(Self::from_secs),
            _ => None,
        }
    }
    fn show(&self) -> String {
        if self.subsec_millis() == 0 {
            quoted(&format!("{}s", self.as_secs()))
        } else {
            quoted(&format!("{}ms", self.as_millis()))
        }
    }
}

impl Value for LogLevel {
    fn allowed() -> String {
        r#""error", "warn", "info", "debug" or "trace""#.into()
    }
    fn from_text(text: &str) -> Option<Self> {
        Some(match text {
            "error" => Self::Error,
            "warn" => Self::Warn,
            "info" => Self::Info,
            "debug" => Self::Debug,
            "trace" => Self::Trace,
            _ => return None,
        })
    }
    fn show(&self) -> String {
        quoted(&format!("{self:?}").to_lowercase())
    }
}

impl Value for Duplicates {
    fn allowed() -> String {
        r#""allow", "replace" or "reject""#.into()
    }
    fn from_text(text: &str) -> Option<Self> {
        Self::parse(text)
    }
    fn show(&self) -> String {
        quoted(self.name())
    }
}

impl Value for Peers {
    fn allowed() -> String {
        r#""any" or "room""#.into()
    }
    fn from_text(text: &str) -> Option<Self> {
        Some(match text {
            "any" => Self::Any,
            "room" => Self::Room,
            _ => return None,
        })
    }
    fn show(&self) -> String {
        quoted(&format!("{self:?}").to_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bandwidth_may_have_a_unit() {
        for (text, bytes) in [("0", 0), ("250000", 250_000), ("250k", 250_000)] {
            assert_eq!(Bandwidth::from_text(text), Some(Bandwidth(bytes)));
        }
        assert_eq!(Bandwidth::from_text("2M"), Some(Bandwidth(2_000_000)));
        assert_eq!(Bandwidth::from_text("1G"), Some(Bandwidth(1_000_000_000)));
        for wrong in [
            "",
            "k",
            "-1",
            "+1k",
            "1 k",
            "1m",
            "1.5M",
            "é",
            "99999999999999G",
        ] {
            assert_eq!(Bandwidth::from_text(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_time_needs_a_unit() {
        assert_eq!(Duration::from_text("60s"), Some(Duration::from_secs(60)));
        assert_eq!(Duration::from_text("2h"), Some(Duration::from_secs(7200)));
        for wrong in ["60", "s", "-1s", "1d", "", "1 s", "99999999999999999999h"] {
            assert_eq!(Duration::from_text(wrong), None, "{wrong}");
        }
    }
}
