//! What every kind of value has: what is allowed, how it is read, how it is shown.

use super::sources::Raw;

/// A kind of value.
pub(super) trait Value: Sized {
    /// What is allowed, to stand after "must be".
    fn allowed() -> String;
    /// Reads a value that is written as a string.
    fn from_text(text: &str) -> Option<Self>;
    /// As TOML.
    fn show(&self) -> String;

    /// Reads a value as written; on failure says which part is wrong.
    fn from_raw(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Text(text) | Raw::Words(text) => Self::from_text(text),
            _ => None,
        }
        .ok_or_else(|| raw.to_string())
    }
}

/// As a string of TOML.
pub(super) fn quoted(text: &str) -> String {
    let mut shown = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => shown.extend(['\\', character]),
            control if control.is_control() => {
                shown.push_str(&format!("\\u{:04X}", u32::from(control)));
            }
            other => shown.push(other),
        }
    }
    shown + "\""
}

impl<T: Value> Value for Vec<T> {
    fn allowed() -> String {
        format!("a list, and each of it {}", T::allowed())
    }
    fn from_text(text: &str) -> Option<Self> {
        text.split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(T::from_text)
            .collect()
    }
    fn show(&self) -> String {
        let items: Vec<String> = self.iter().map(T::show).collect();
        format!("[{}]", items.join(", "))
    }
    fn from_raw(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::List(items) => items.iter().map(T::from_raw).collect(),
            Raw::Words(text) => Self::from_text(text).ok_or_else(|| raw.to_string()),
            _ => Err(raw.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_be_read_again() {
        let shown = format!("realm = {}", quoted("a\"b\\c\u{1b}"));
        assert!(shown.parse::<toml::Table>().is_ok(), "{shown}");
    }
}
