//! The names by which the hub knows things.

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

/// A connection. The shell gives it out and never gives it out twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// A session: what others address it by. It is public and proves nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(Uuid);

impl SessionId {
    /// The id with these random bytes.
    pub(super) fn from_random(bytes: [u8; 16]) -> Self {
        Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }

    /// The id of these bytes.
    pub(super) fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// Reads an id as it is written in messages; `None` if it is none, and so nobody's.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // The length settles which of the forms of a UUID it is.
        if text.len() != uuid::fmt::Hyphenated::LENGTH {
            return None;
        }
        Uuid::try_parse(text).ok().map(Self)
    }

    /// The bytes of the id.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.hyphenated(), f)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A position in what is said to a session: 1, 2, 3 … without gaps; 0 is before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(pub u64);

impl Offset {
    /// The one after this.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// The name of a room. Shared by all who hold it.
pub type RoomName = Arc<str>;

/// Whether `name` is 1 to 128 characters out of `A–Z a–z 0–9 . _ ~ -`.
pub(super) fn is_room_name(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_written() {
        let id = SessionId::from_random([7; 16]);
        assert_eq!(SessionId::parse(&id.to_string()), Some(id));
    }

    #[test]
    fn other_spellings_of_a_uuid_are_nobodys_id() {
        for text in [
            "",
            "nobody",
            "{6f0c7c1e-5d0b-4c55-9a3e-1f6c2f6f3c11}",
            "6f0c7c1e5d0b4c559a3e1f6c2f6f3c11",
            "urn:uuid:6f0c7c1e-5d0b-4c55-9a3e-1f6c2f6f3c11",
            "6f0c7c1e-5d0b-4c55-9a3e-1f6c2f6f3c1g",
        ] {
            assert_eq!(SessionId::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_room_is_named_with_what_a_link_can_carry() {
        assert!(is_room_name("blue-heron"));
        assert!(is_room_name("A.z_0~-"));
        assert!(is_room_name(&"x".repeat(128)));
        for name in ["", "a b", "ä", "a/b", "a\n", &"x".repeat(129)] {
            assert!(!is_room_name(name), "{name:?}");
        }
    }
}
