//! Why a message of a client was not applied.

use std::time::Duration;

/// The stable code of an error: it travels as it is written here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reject {
    /// Not a JSON object of the required form.
    Malformed,
    /// No such message type.
    UnknownType,
    /// `hello` asked for a version that this server does not speak.
    UnsupportedVersion,
    /// Something else came before `hello`.
    HelloExpected,
    /// A second `hello` on one connection.
    HelloRepeated,
    /// The access token is missing or not good.
    Unauthorized,
    /// The access token has expired.
    TokenExpired,
    /// The access token is for one session, and another one has shown it.
    TokenUsed,
    /// What the access token gave has been taken back.
    Revoked,
    /// The bearer of the access token has as many sessions as it may have.
    TooManySessions,
    /// The room's name is not of the required form.
    InvalidRoom,
    /// The name is too long or has control characters.
    InvalidName,
    /// `data` is too long.
    DataTooLarge,
    /// The room has as many members as it may have.
    RoomFull,
    /// The access token does not let its bearer into that room, if there is one.
    NotAllowed,
    /// The session is in as many rooms as it may be in.
    TooManyRooms,
    /// The session is in that room.
    AlreadyJoined,
    /// The session is not in that room.
    NotInRoom,
    /// The addressee is not in that room.
    NoSuchMember,
    /// The epoch is not that of the pair.
    StaleEpoch,
    /// The addressee is connected no more and its mailbox is full.
    AddresseeOverloaded,
    /// The member may not do this in this room.
    NotPermitted,
    /// The body of a broadcast is too long.
    BodyTooLarge,
    /// As many broadcasts of the session wait as may.
    TooManyBroadcasts,
    /// The room is locked.
    RoomLocked,
    /// A host has not let the session in.
    KnockDenied,
    /// Nobody has answered the knock in time.
    KnockExpired,
    /// As many knock at the room as may.
    TooManyKnocks,
    /// Whom this is about does not knock there.
    NoSuchKnock,
    /// Another session of the same subject is in that room.
    DuplicateMember,
    /// The session may not come back into this room.
    Barred,
    /// As many are kept out of the room as may.
    TooManyBarred,
    /// The limit is none that the room may have.
    InvalidLimit,
    /// The last host of a room stays one.
    LastHost,
    /// The key is not of the required form.
    InvalidKey,
    /// The value is too long.
    ValueTooLarge,
    /// The room keeps as much as it may.
    StateFull,
    /// The entry has another version.
    VersionConflict,
    /// Too many messages; this one was dropped.
    RateLimited,
}

impl Reject {
    /// The code on the wire.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.words().0
    }

    /// What is wrong, for people.
    #[must_use]
    pub const fn explanation(self) -> &'static str {
        self.words().1
    }

    #[expect(clippy::too_many_lines, reason = "a table with a row a code")]
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Malformed => ("malformed", "not a JSON object of the required form"),
            Self::UnknownType => ("unknown_type", "no such message type"),
            Self::UnsupportedVersion => ("unsupported_version", "this server speaks version 1"),
            Self::HelloExpected => ("hello_expected", "the first message must be hello"),
            Self::HelloRepeated => ("hello_repeated", "this connection has said hello already"),
            Self::Unauthorized => ("unauthorized", "a good access token is needed"),
            Self::TokenExpired => ("token_expired", "the access token has expired"),
            Self::TokenUsed => (
                "token_used",
                "the access token is for one session, and has been used",
            ),
            Self::Revoked => ("revoked", "this access has been taken back"),
            Self::TooManySessions => (
                "too_many_sessions",
                "you have as many sessions as you may have",
            ),
            Self::NotAllowed => ("not_allowed", "you may not enter this room"),
            Self::InvalidRoom => (
                "invalid_room",
                "a room is 1 to 128 characters out of A-Z a-z 0-9 . _ ~ -",
            ),
            Self::InvalidName => (
                "invalid_name",
                "a name is at most 64 characters and has no control characters",
            ),
            Self::DataTooLarge => ("data_too_large", "data is longer than limits.data_bytes"),
            Self::RoomFull => ("room_full", "the room has as many members as it may have"),
            Self::TooManyRooms => (
                "too_many_rooms",
                "you are in limits.rooms rooms, or knock there",
            ),
            Self::AlreadyJoined => (
                "already_joined",
                "you are in this room already, or knock there",
            ),
            Self::NotInRoom => ("not_in_room", "you are not in this room"),
            Self::NoSuchMember => ("no_such_member", "the addressee is not in this room"),
            Self::StaleEpoch => ("stale_epoch", "the epoch is not that of this pair"),
            Self::AddresseeOverloaded => (
                "addressee_overloaded",
                "the addressee is away and its mailbox is full",
            ),
            Self::NotPermitted => ("not_permitted", "you may not do this in this room"),
            Self::BodyTooLarge => (
                "body_too_large",
                "the body is longer than limits.broadcast_bytes",
            ),
            Self::TooManyBroadcasts => (
                "too_many_broadcasts",
                "limits.broadcasts of your broadcasts are not settled yet",
            ),
            Self::RateLimited => (
                "rate_limited",
                "too much of this in a short time; this message was dropped",
            ),
            Self::RoomLocked => ("room_locked", "the room is locked; knock to be let in"),
            Self::KnockDenied => ("knock_denied", "you were not let in"),
            Self::KnockExpired => ("knock_expired", "nobody has answered your knock"),
            Self::TooManyKnocks => ("too_many_knocks", "too many wait to be let into this room"),
            Self::NoSuchKnock => ("no_such_knock", "nobody of that name knocks at this room"),
            Self::DuplicateMember => (
                "duplicate_member",
                "you are in this room with another session",
            ),
            Self::Barred => ("barred", "you may not come back into this room"),
            Self::TooManyBarred => (
                "too_many_barred",
                "as many are kept out of this room as may",
            ),
            Self::InvalidLimit => ("invalid_limit", "a limit is from 1 to limits.room_members"),
            Self::LastHost => ("last_host", "the last host of a room stays one"),
            Self::InvalidKey => (
                "invalid_key",
                "a key is 1 to limits.state_key_bytes bytes without control characters",
            ),
            Self::ValueTooLarge => (
                "value_too_large",
                "the value is longer than limits.state_value_bytes",
            ),
            Self::StateFull => (
                "state_full",
                "the room keeps limits.state_entries entries or limits.state_bytes bytes",
            ),
            Self::VersionConflict => (
                "version_conflict",
                "the entry is not of the version that you expect",
            ),
        }
    }
}

/// A message that was not applied, as its sender is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The message's id, where one could be read.
    pub re: Option<u64>,
    /// What rule it broke.
    pub reject: Reject,
    /// More than [`Reject::explanation`] says, for people.
    pub detail: Option<Box<str>>,
    /// When to go on.
    pub retry_after: Option<Duration>,
}

impl Rejection {
    /// A rejection with nothing more to say than its code.
    #[must_use]
    pub fn new(re: Option<u64>, reject: Reject) -> Self {
        Self {
            re,
            reject,
            detail: None,
            retry_after: None,
        }
    }

    /// Says more, in at most 200 characters, without control characters.
    #[must_use]
    pub fn with_detail(mut self, detail: &str) -> Self {
        let detail: String = detail
            .chars()
            .filter(|character| !character.is_control())
            .take(200)
            .collect();
        self.detail = Some(detail.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_is_short_and_fit_for_a_terminal() {
        let detail = format!("\x1b[31m{}", "x".repeat(500));
        let rejection = Rejection::new(None, Reject::Malformed).with_detail(&detail);
        let detail = rejection.detail.expect("just given");
        assert_eq!(detail.len(), 200);
        assert!(detail.starts_with("[31mx"));
    }
}
