//! From messages to bytes.

use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;

use super::fields::{Id, milliseconds, reason_word};
use super::rooms::{
    BroadcastFields, KnockFields, MemberFields, ReceiptFields, RoleFields, RoomFields,
    SettingsChangeFields, StateFields, broadcast_fields, knock_fields, member_fields,
    receipt_fields, role_fields, room_fields, settings_change_fields, state_fields,
};
use crate::signal::{
    Delivery, IceServers, Kind, Limits, Message, Offset, Reason, Rejection, Resumed, SessionId,
    Welcome,
};

/// Appends one message to `out`, with its position where it has one.
pub fn encode(offset: Option<Offset>, message: &Message, out: &mut Vec<u8>) {
    let frame = frame(offset.map(|offset| offset.0), message);
    serde_json::to_writer(out, &frame).expect("a Vec takes every byte, and every key is a string");
}

/// A message as it is written.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Frame<'a> {
    Welcome(WelcomeFields<'a>),
    Joined {
        seq: Option<u64>,
        re: u64,
        #[serde(flatten)]
        room: RoomFields<'a>,
    },
    Authorized {
        seq: Option<u64>,
        re: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        expires_in_ms: Option<u64>,
    },
    TokenExpiring {
        expires_in_ms: u64,
    },
    Left {
        seq: Option<u64>,
        re: u64,
        room: &'a str,
    },
    Removed {
        seq: Option<u64>,
        room: &'a str,
        reason: &'static str,
    },
    Knocking {
        seq: Option<u64>,
        re: u64,
        room: &'a str,
        expires_in_ms: u64,
    },
    Knock(KnockFields<'a>),
    Room(SettingsChangeFields<'a>),
    State(StateFields<'a>),
    Done {
        seq: Option<u64>,
        re: u64,
        room: &'a str,
    },
    Updated {
        seq: Option<u64>,
        re: u64,
        room: &'a str,
    },
    Presence {
        seq: Option<u64>,
        room: &'a str,
        version: u64,
        member: MemberFields<'a>,
    },
    Role(RoleFields<'a>),
    Offer(DeliveryFields<'a>),
    Answer(DeliveryFields<'a>),
    Candidate(DeliveryFields<'a>),
    Broadcast(BroadcastFields<'a>),
    BroadcastDelivered(ReceiptFields<'a>),
    Delivered {
        seq: Option<u64>,
        to: Id,
        through: u64,
    },
    Undeliverable {
        seq: Option<u64>,
        to: Id,
        reason: &'static str,
    },
    Snapshot {
        seq: Option<u64>,
        rooms: Vec<RoomFields<'a>>,
        knocking: Vec<&'a str>,
    },
    IceServers(IceFields<'a>),
    Token {
        token: &'a str,
    },
    Pong,
    Goaway {
        reason: &'static str,
        reconnect_in_ms: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        url: Option<&'a str>,
    },
    Error(ErrorFields<'a>),
}

fn authorized(seq: Option<u64>, re: u64, expires_in: Option<Duration>) -> Frame<'static> {
    let expires_in_ms = expires_in.map(milliseconds);
    Frame::Authorized {
        seq,
        re,
        expires_in_ms,
    }
}

fn removed(seq: Option<u64>, room: &str, reason: Reason) -> Frame<'_> {
    let reason = reason_word(reason);
    Frame::Removed { seq, room, reason }
}

fn undeliverable(seq: Option<u64>, to: SessionId, reason: Reason) -> Frame<'static> {
    let (to, reason) = (Id(to), reason_word(reason));
    Frame::Undeliverable { seq, to, reason }
}

#[expect(clippy::too_many_lines, reason = "a table with a row a message")]
fn frame(seq: Option<u64>, message: &Message) -> Frame<'_> {
    match message {
        Message::Welcome(welcome) => Frame::Welcome(welcome_fields(welcome)),
        Message::Joined { re, room } => Frame::Joined {
            seq,
            re: *re,
            room: room_fields(room),
        },
        Message::Authorized { re, expires_in } => authorized(seq, *re, *expires_in),
        Message::TokenExpiring { expires_in } => Frame::TokenExpiring {
            expires_in_ms: milliseconds(*expires_in),
        },
        Message::PutOut { room, reason } => removed(seq, room, *reason),
        Message::Left { re, room } => Frame::Left { seq, re: *re, room },
        Message::Knocking {
            re,
            room,
            expires_in,
        } => Frame::Knocking {
            seq,
            re: *re,
            room,
            expires_in_ms: milliseconds(*expires_in),
        },
        Message::Knock(news) => Frame::Knock(knock_fields(seq, news)),
        Message::Room(change) => Frame::Room(settings_change_fields(seq, change)),
        Message::State(change) => Frame::State(state_fields(seq, change)),
        Message::Done { re, room } => Frame::Done { seq, re: *re, room },
        Message::Updated { re, room } => Frame::Updated { seq, re: *re, room },
        Message::Presence {
            room,
            version,
            member,
        } => Frame::Presence {
            seq,
            room,
            version: *version,
            member: member_fields(member),
        },
        Message::Role(change) => Frame::Role(role_fields(seq, change)),
        Message::Delivery(delivery) => delivery_frame(seq, delivery),
        Message::Broadcast(broadcast) => Frame::Broadcast(broadcast_fields(seq, broadcast)),
        Message::BroadcastDelivered(receipt) => {
            Frame::BroadcastDelivered(receipt_fields(seq, receipt))
        }
        Message::Delivered { to, through } => Frame::Delivered {
            seq,
            to: Id(*to),
            through: *through,
        },
        Message::Undeliverable { to, reason } => undeliverable(seq, *to, *reason),
        Message::Snapshot { rooms, knocking } => Frame::Snapshot {
            seq,
            rooms: rooms.iter().map(room_fields).collect(),
            knocking: knocking.iter().map(|room| &**room).collect(),
        },
        Message::IceServers(servers) => Frame::IceServers(ice_fields(servers)),
        Message::Token(token) => Frame::Token {
            token: token.expose(),
        },
        Message::Pong => Frame::Pong,
        Message::Goaway {
            reconnect_in,
            elsewhere,
        } => Frame::Goaway {
            reason: "shutdown",
            reconnect_in_ms: milliseconds(*reconnect_in),
            url: elsewhere.as_deref(),
        },
        Message::Error(rejection) => Frame::Error(error_fields(seq, rejection)),
    }
}

#[derive(Serialize)]
struct WelcomeFields<'a> {
    session: Id,
    token: &'a str,
    resumed: &'static str,
    resume_window_ms: u64,
    applied: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_expires_in_ms: Option<u64>,
    #[serde(flatten)]
    ice: IceFields<'a>,
    limits: LimitsFields,
}

fn welcome_fields(welcome: &Welcome) -> WelcomeFields<'_> {
    WelcomeFields {
        session: Id(welcome.session),
        token: welcome.token.expose(),
        resumed: match welcome.resumed {
            Resumed::Full => "full",
            Resumed::Snapshot => "snapshot",
            Resumed::Restored => "restored",
            Resumed::None => "none",
        },
        resume_window_ms: milliseconds(welcome.resume_window),
        applied: welcome.applied,
        access_expires_in_ms: welcome.access_expires_in.map(milliseconds),
        ice: ice_fields(&welcome.ice),
        limits: limits_fields(welcome.limits),
    }
}

#[derive(Serialize)]
struct LimitsFields {
    message_bytes: usize,
    messages_per_second: u32,
    burst: u32,
    room_members: usize,
    rooms: usize,
    data_bytes: usize,
    broadcast_bytes: usize,
    broadcasts: usize,
    state_key_bytes: usize,
    state_value_bytes: usize,
    state_entries: usize,
    state_bytes: usize,
}

fn limits_fields(limits: Limits) -> LimitsFields {
    LimitsFields {
        message_bytes: limits.message_bytes,
        messages_per_second: limits.messages_per_second,
        burst: limits.burst,
        room_members: limits.room_members,
        rooms: limits.rooms,
        data_bytes: limits.data_bytes,
        broadcast_bytes: limits.broadcast_bytes,
        broadcasts: limits.broadcasts,
        state_key_bytes: limits.state_key_bytes,
        state_value_bytes: limits.state_value_bytes,
        state_entries: limits.state_entries,
        state_bytes: limits.state_bytes,
    }
}

#[derive(Serialize)]
struct IceFields<'a> {
    ice_servers: Vec<IceServerFields<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ice_servers_expire_in_ms: Option<u64>,
}

#[derive(Serialize)]
struct IceServerFields<'a> {
    urls: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<&'a str>,
}

fn ice_fields(servers: &IceServers) -> IceFields<'_> {
    let stun = (!servers.stun_urls.is_empty()).then(|| IceServerFields {
        urls: &servers.stun_urls,
        username: None,
        credential: None,
    });
    let turn = servers
        .credentials
        .as_ref()
        .map(|(minted, _)| IceServerFields {
            urls: &servers.turn_urls,
            username: Some(&minted.username),
            credential: Some(minted.password.expose()),
        });
    let lifetime = servers.credentials.as_ref().map(|(_, lifetime)| *lifetime);
    IceFields {
        ice_servers: stun.into_iter().chain(turn).collect(),
        ice_servers_expire_in_ms: lifetime.map(milliseconds),
    }
}

#[derive(Serialize)]
struct DeliveryFields<'a> {
    seq: Option<u64>,
    room: &'a str,
    from: Id,
    epoch: u64,
    nr: u64,
    body: &'a RawValue,
}

fn delivery_frame(seq: Option<u64>, delivery: &Delivery) -> Frame<'_> {
    let fields = DeliveryFields {
        seq,
        room: &delivery.room,
        from: Id(delivery.from),
        epoch: delivery.epoch,
        nr: delivery.number,
        body: &delivery.body,
    };
    match delivery.kind {
        Kind::Offer => Frame::Offer(fields),
        Kind::Answer => Frame::Answer(fields),
        Kind::Candidate => Frame::Candidate(fields),
    }
}

#[derive(Serialize)]
struct ErrorFields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    re: Option<u64>,
    code: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

fn error_fields(seq: Option<u64>, rejection: &Rejection) -> ErrorFields<'_> {
    let explanation = rejection.reject.explanation();
    ErrorFields {
        seq,
        re: rejection.re,
        code: rejection.reject.code(),
        message: rejection.detail.as_deref().unwrap_or(explanation),
        // Rounded up: who waits as told is let through.
        retry_after_ms: rejection.retry_after.map(|wait| milliseconds(wait) + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::super::decode;
    use super::*;
    use crate::signal::{Config, ConnectionId, Event, Hub, IceConfig, Input, Reject};
    use serde_json::{Value, json};

    fn value(offset: Option<Offset>, message: &Message) -> Value {
        let mut out = Vec::new();
        encode(offset, message, &mut out);
        serde_json::from_slice(&out).expect("what is written is JSON")
    }

    /// What a hub answers to the texts of one client, the answer to `hello` first.
    fn answers(config: Config, texts: &[&str]) -> Vec<Value> {
        let mut hub = Hub::new(config, [1; 32]);
        let id = ConnectionId(1);
        hub.handle(id, Input::Open, Default::default());
        for text in texts {
            let input = Input::Message {
                length: text.len(),
                command: decode(text.as_bytes()).map_err(Rejection::from),
            };
            hub.handle(id, input, Default::default());
        }
        std::iter::from_fn(|| hub.poll_event())
            .filter_map(|event| match event {
                Event::Send {
                    offset, message, ..
                } => Some(value(offset, &message)),
                Event::Ping { .. } | Event::Close { .. } | Event::Redeemed(_) => None,
            })
            .collect()
    }

    const HELLO: &str = r#"{"type":"hello","version":1}"#;

    #[test]
    fn a_welcome_has_the_fields_of_the_protocol() {
        let ice = IceConfig {
            stun_urls: vec!["stun:a".to_owned()],
            ..IceConfig::default()
        };
        let config = Config {
            ice,
            ..Config::default()
        };
        let welcome = answers(config, &[HELLO]).remove(0);
        assert_eq!(welcome["type"], "welcome");
        assert_eq!(welcome["resumed"], "none");
        assert_eq!(welcome["resume_window_ms"], 60_000);
        assert_eq!(welcome["applied"], 0);
        assert_eq!(welcome["ice_servers"], json!([{"urls": ["stun:a"]}]));
        assert_eq!(
            welcome["limits"],
            json!({"message_bytes": 65536, "messages_per_second": 50, "burst": 200,
                "room_members": 64, "rooms": 8, "data_bytes": 4096,
                "broadcast_bytes": 16384, "broadcasts": 256, "state_key_bytes": 64,
                "state_value_bytes": 4096, "state_entries": 64, "state_bytes": 16384})
        );
        assert_eq!(welcome.get("seq"), None);
    }

    #[test]
    fn without_a_relay_there_are_no_credentials_to_expire() {
        let welcome = answers(Config::default(), &[HELLO]).remove(0);
        assert_eq!(welcome["ice_servers"], json!([]));
        assert_eq!(welcome.get("ice_servers_expire_in_ms"), None);
    }

    #[test]
    fn the_answers_to_a_member_have_their_positions() {
        let answers = answers(
            Config::default(),
            &[
                HELLO,
                r#"{"type":"join","id":1,"room":"blue","name":"Ada","data":{"a":1}}"#,
                r#"{"type":"update","id":2,"room":"blue","name":"Ada L."}"#,
                r#"{"type":"leave","id":3,"room":"blue"}"#,
                r#"{"type":"ping"}"#,
            ],
        );
        assert_eq!(
            answers[1..],
            [
                json!({"type": "joined", "seq": 1, "re": 1, "room": "blue",
                    "version": 1, "role": "host",
                    "permissions": ["speak", "broadcast", "state", "moderate"],
                    "settings": {"locked": false, "limit": 64, "duplicates": "allow"}, "members": [], "knocks": [],
                    "state": []}),
                json!({"type": "updated", "seq": 2, "re": 2, "room": "blue"}),
                json!({"type": "left", "seq": 3, "re": 3, "room": "blue"}),
                json!({"type": "pong"}),
            ]
        );
    }

    #[test]
    fn a_receipt_says_who_has_not_got_a_broadcast_and_why() {
        use crate::signal::{BroadcastReceipt, Loss, Reason, SessionId};
        let text = "6f0c7c1e-5d0b-4c55-9a3e-1f6c2f6f3c11";
        let session = SessionId::parse(text).expect("an id");
        let receipt = BroadcastReceipt {
            re: 4,
            room: "blue".into(),
            delivered: 2,
            undeliverable: vec![
                (session, Loss::Overloaded),
                (session, Loss::Ended(Reason::Expired)),
            ],
        };
        assert_eq!(
            value(Some(Offset(9)), &Message::BroadcastDelivered(receipt)),
            json!({"type": "broadcast_delivered", "seq": 9, "re": 4, "room": "blue", "delivered": 2,
                "undeliverable": [{"session": text, "reason": "overloaded"},
                    {"session": text, "reason": "expired"}]})
        );
    }

    #[test]
    fn an_error_names_what_it_answers() {
        let answers = answers(
            Config::default(),
            &[HELLO, r#"{"type":"leave","id":3,"room":"blue"}"#],
        );
        assert_eq!(
            answers[1],
            json!({"type": "error", "re": 3, "code": Reject::NotInRoom.code(),
                "message": Reject::NotInRoom.explanation()})
        );
    }
}
