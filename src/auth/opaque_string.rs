//! How names, realms and passwords are made alike before they are hashed: the OpaqueString
//! profile of RFC 8265 section 4.2, as RFC 8489 asks.

use std::borrow::Cow;

use precis_profiles::OpaqueString;
use precis_profiles::precis_core::profile::PrecisFastInvocation;

/// `text` in normal form C, with every space a plain one. `None` if it is empty or has a
/// character that no name or password may have, such as a control character.
#[must_use]
pub fn prepare(text: &str) -> Option<Cow<'_, str>> {
    // The usual case is its own normal form.
    if !text.is_empty() && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Some(Cow::Borrowed(text));
    }
    OpaqueString::enforce(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_and_its_accent_become_one_character() {
        assert_eq!(prepare("Ame\u{301}lie").as_deref(), Some("Am\u{e9}lie"));
        assert_eq!(prepare("Am\u{e9}lie").as_deref(), Some("Am\u{e9}lie"));
    }

    #[test]
    fn every_space_becomes_a_plain_one() {
        assert_eq!(prepare("a\u{a0}b\u{3000}c").as_deref(), Some("a b c"));
    }

    #[test]
    fn case_and_compatibility_forms_are_kept() {
        for text in ["TheMatrIX", "\u{fb01}", "\u{30DE}\u{30C8}", "a b"] {
            assert_eq!(prepare(text).as_deref(), Some(text));
        }
    }

    #[test]
    fn control_characters_and_nothing_are_refused() {
        for text in ["", "a\nb", "\0", "a\u{7f}"] {
            assert_eq!(prepare(text), None, "{text:?}");
        }
    }
}
