//! What the server says. Fields and types that this version does not know are ignored, so that
//! servers can grow.

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::member::{Broadcast, IceServer, Limits, Member, Missed, RoomMembers, Said, session_id};
use super::request::{Body, Kind};
use crate::signal::SessionId;

/// The longest that is taken in at once, in bytes. What the server says is longer than what it takes
/// only where a room is full of data.
pub(super) const LONGEST: usize = 16 << 20;

/// One message of the server.
#[derive(Debug)]
pub(super) enum Message {
    Welcome(Box<Welcome>),
    Joined { re: u64, room: RoomMembers },
    Answered { re: u64 },
    Token(Box<str>),
    Role(Role),
    Presence(Presence),
    Said(Said),
    Broadcast(Broadcast),
    BroadcastDelivered(BroadcastReceipt),
    Removed(Removed),
    TokenExpiring { expires_in: Duration },
    Delivered { to: SessionId, through: u64 },
    Undeliverable { to: SessionId, reason: Box<str> },
    Snapshot { rooms: Vec<RoomMembers> },
    IceServers(IceServers),
    Pong,
    Goaway(Goaway),
    Refusal(Refusal),
    Unknown(Box<str>),
}

#[derive(Debug, Deserialize)]
pub(super) struct Welcome {
    #[serde(deserialize_with = "session_id")]
    pub(super) session: SessionId,
    pub(super) token: Box<str>,
    pub(super) resumed: Box<str>,
    pub(super) resume_window_ms: u64,
    #[serde(default)]
    pub(super) applied: u64,
    pub(super) limits: Limits,
    pub(super) ice_servers: Vec<IceServer>,
    pub(super) ice_servers_expire_in_ms: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct IceServers {
    pub(super) ice_servers: Vec<IceServer>,
    pub(super) ice_servers_expire_in_ms: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Presence {
    pub(super) room: Box<str>,
    pub(super) version: u64,
    pub(super) member: Member,
}

#[derive(Debug, Deserialize)]
pub(super) struct Refusal {
    pub(super) re: Option<u64>,
    pub(super) code: Box<str>,
    #[serde(default)]
    pub(super) message: Box<str>,
    pub(super) retry_after_ms: Option<u64>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    seq: Option<u64>,
}

#[derive(Deserialize)]
struct Answer {
    re: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Role {
    pub(super) room: Box<str>,
    pub(super) version: u64,
    pub(super) role: Box<str>,
    #[serde(default)]
    pub(super) permissions: Vec<Box<str>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct BroadcastReceipt {
    pub(super) re: u64,
    pub(super) delivered: usize,
    #[serde(default)]
    pub(super) undeliverable: Vec<Missed>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Removed {
    pub(super) room: Box<str>,
    pub(super) reason: Box<str>,
}

#[derive(Deserialize)]
struct TokenFields {
    token: Box<str>,
}

#[derive(Deserialize)]
struct SaidFields {
    room: Box<str>,
    #[serde(deserialize_with = "session_id")]
    from: SessionId,
    epoch: u64,
    nr: Option<u64>,
    body: Box<RawValue>,
}

#[derive(Deserialize)]
struct TokenExpiringFields {
    expires_in_ms: u64,
}

#[derive(Deserialize)]
struct DeliveredFields {
    #[serde(deserialize_with = "session_id")]
    to: SessionId,
    through: u64,
}

#[derive(Deserialize)]
struct UndeliverableFields {
    #[serde(deserialize_with = "session_id")]
    to: SessionId,
    reason: Box<str>,
}

#[derive(Deserialize)]
struct SnapshotFields {
    rooms: Vec<RoomMembers>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Goaway {
    pub(super) reconnect_in_ms: u64,
    pub(super) url: Option<Box<str>>,
}

/// Reads one message, and its position where it has one.
pub(super) fn decode(text: &str) -> serde_json::Result<(Option<u64>, Message)> {
    let Envelope { r#type, seq } = serde_json::from_str(text)?;
    let message = match &*r#type {
        "welcome" => Message::Welcome(serde_json::from_str(text)?),
        "joined" => {
            let Answer { re } = serde_json::from_str(text)?;
            let room = serde_json::from_str(text)?;
            Message::Joined { re, room }
        }
        "token" => Message::Token(serde_json::from_str::<TokenFields>(text)?.token),
        "role" => Message::Role(serde_json::from_str(text)?),
        "broadcast" => Message::Broadcast(serde_json::from_str(text)?),
        "broadcast_delivered" => Message::BroadcastDelivered(serde_json::from_str(text)?),
        "removed" => Message::Removed(serde_json::from_str(text)?),
        "token_expiring" => {
            let TokenExpiringFields { expires_in_ms } = serde_json::from_str(text)?;
            let expires_in = Duration::from_millis(expires_in_ms);
            Message::TokenExpiring { expires_in }
        }
        "left" | "updated" | "authorized" => {
            let Answer { re } = serde_json::from_str(text)?;
            Message::Answered { re }
        }
        "presence" => Message::Presence(serde_json::from_str(text)?),
        "offer" => said(Kind::Offer, serde_json::from_str(text)?),
        "answer" => said(Kind::Answer, serde_json::from_str(text)?),
        "candidate" => said(Kind::Candidate, serde_json::from_str(text)?),
        "delivered" => {
            let DeliveredFields { to, through } = serde_json::from_str(text)?;
            Message::Delivered { to, through }
        }
        "undeliverable" => {
            let UndeliverableFields { to, reason } = serde_json::from_str(text)?;
            Message::Undeliverable { to, reason }
        }
        "snapshot" => Message::Snapshot {
            rooms: serde_json::from_str::<SnapshotFields>(text)?.rooms,
        },
        "ice_servers" => Message::IceServers(serde_json::from_str(text)?),
        "pong" => Message::Pong,
        "goaway" => Message::Goaway(serde_json::from_str(text)?),
        "error" => Message::Refusal(serde_json::from_str(text)?),
        _ => Message::Unknown(text.into()),
    };
    Ok((seq, message))
}

fn said(kind: Kind, fields: SaidFields) -> Message {
    Message::Said(Said {
        room: fields.room,
        from: fields.from,
        kind,
        epoch: fields.epoch,
        number: fields.nr,
        body: Body(fields.body),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_types_that_nobody_knows_are_passed_over() {
        let text = r#"{"type":"pong","colour":{"a":[1]}}"#;
        assert!(matches!(decode(text), Ok((None, Message::Pong))));
        let text = r#"{"type":"dance","seq":3}"#;
        assert!(matches!(decode(text), Ok((Some(3), Message::Unknown(_)))));
        assert!(decode(r#"["pong"]"#).is_err());
    }

    #[test]
    fn a_body_stays_as_it_was_said() {
        let text = r#"{"type":"offer","seq":1,"room":"blue","epoch":2,
            "from":"6f0c7c1e-5d0b-4c55-9a3e-1f6c2f6f3c11","body":{ "n" : 1.0e0 }}"#;
        let Ok((Some(1), Message::Said(said))) = decode(text) else {
            panic!("not the offer");
        };
        assert_eq!(said.body.json(), r#"{ "n" : 1.0e0 }"#);
        assert_eq!(said.kind, Kind::Offer);
    }
}
