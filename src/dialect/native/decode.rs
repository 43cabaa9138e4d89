//! From bytes to commands.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::signal::{
    Access, Command, Directed, Duplicates, ForAll, Hello, Kind, Meeting, Offset, Reject, Rejection,
    Request, Resume, Role, SessionId, SetState,
};

/// Why bytes are not a message.
#[derive(Debug)]
pub enum DecodeError {
    /// They are not a JSON object of the required form.
    Malformed {
        /// The message's id, where one could be read.
        re: Option<u64>,
        /// What is wrong with them.
        detail: String,
    },
    /// No such message type.
    UnknownType {
        /// The message's id, where one could be read.
        re: Option<u64>,
    },
}

impl From<DecodeError> for Rejection {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Malformed { re, detail } => {
                Self::new(re, Reject::Malformed).with_detail(&detail)
            }
            DecodeError::UnknownType { re } => Self::new(re, Reject::UnknownType),
        }
    }
}

/// Reads one message. Bodies and data are checked to be JSON and copied as they are.
///
/// # Errors
///
/// The bytes are not a message of the protocol.
pub fn decode(bytes: &[u8]) -> Result<Command, DecodeError> {
    let envelope: Envelope<'_> = parse(bytes, None)?;
    let re = envelope
        .id
        .and_then(|id| serde_json::from_str::<u64>(id.get()).ok());
    match &*envelope.r#type {
        "hello" => hello(parse(bytes, re)?),
        "ack" => Ok(Command::Ack(Offset(parse::<AckFrame>(bytes, re)?.seq))),
        "ping" => Ok(Command::Ping),
        "bye" => Ok(Command::Bye),
        "authorize" => request(re, authorize(&parse(bytes, re)?)),
        "join" => request(re, join(parse(bytes, re)?)),
        "set_room" => request(re, set_room(parse(bytes, re)?, re)?),
        "set_role" => request(re, set_role(parse(bytes, re)?, re)?),
        "remove" => request(re, remove(parse(bytes, re)?)),
        "admit" => request(re, admit(parse(bytes, re)?)),
        "deny" => request(re, deny(parse(bytes, re)?)),
        "set_state" => request(re, set_state(parse(bytes, re)?, re)?),
        "update" => request(re, update(parse(bytes, re)?)),
        "leave" => request(re, leave(parse(bytes, re)?)),
        "offer" => request(re, directed(Kind::Offer, parse(bytes, re)?)),
        "answer" => request(re, directed(Kind::Answer, parse(bytes, re)?)),
        "candidate" => request(re, directed(Kind::Candidate, parse(bytes, re)?)),
        "broadcast" => request(re, broadcast(parse(bytes, re)?)),
        _ => Err(DecodeError::UnknownType { re }),
    }
}

fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8], re: Option<u64>) -> Result<T, DecodeError> {
    // A sequence would do for serde where an object is meant.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(malformed(re, "not a JSON object"));
    }
    serde_json::from_slice(bytes).map_err(|error| malformed(re, &error.to_string()))
}

fn malformed(re: Option<u64>, detail: &str) -> DecodeError {
    let detail = detail.to_owned();
    DecodeError::Malformed { re, detail }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
}

/// Here `null` is as good as nothing.
#[derive(Deserialize)]
struct HelloFrame<'a> {
    version: u64,
    client: Option<Box<str>>,
    #[serde(borrow)]
    access_token: Option<Cow<'a, str>>,
    #[serde(borrow)]
    resume: Option<ResumeFrame<'a>>,
}

#[derive(Deserialize)]
struct ResumeFrame<'a> {
    #[serde(borrow)]
    session: Cow<'a, str>,
    #[serde(borrow)]
    token: Cow<'a, str>,
    seq: u64,
}

#[derive(Deserialize)]
struct AuthorizeFrame<'a> {
    #[serde(borrow)]
    access_token: Cow<'a, str>,
}

#[derive(Deserialize)]
struct AckFrame {
    seq: u64,
}

#[derive(Deserialize)]
struct MemberFrame {
    room: Box<str>,
    #[serde(default, deserialize_with = "given")]
    name: Option<Box<str>>,
    // `null` is a value like any other, not the same as nothing.
    #[serde(default, deserialize_with = "given")]
    data: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct JoinFrame<'a> {
    room: Box<str>,
    #[serde(default, deserialize_with = "given")]
    name: Option<Box<str>>,
    #[serde(default, deserialize_with = "given")]
    data: Option<Box<RawValue>>,
    #[serde(default)]
    knock: bool,
    #[serde(borrow, default)]
    meetings: Vec<MeetingFrame<'a>>,
}

#[derive(Deserialize)]
struct MeetingFrame<'a> {
    #[serde(borrow)]
    session: Cow<'a, str>,
    epoch: u64,
    polite: bool,
}

#[derive(Deserialize)]
struct SetRoomFrame<'a> {
    room: Box<str>,
    #[serde(borrow, default, deserialize_with = "given")]
    duplicates: Option<Cow<'a, str>>,
    #[serde(default, deserialize_with = "given")]
    locked: Option<bool>,
    // `null` gives the limit back to the server; left out, it stays.
    #[serde(default, deserialize_with = "given")]
    limit: Option<Option<usize>>,
}

#[derive(Deserialize)]
struct SetRoleFrame<'a> {
    room: Box<str>,
    #[serde(borrow)]
    session: Cow<'a, str>,
    #[serde(borrow)]
    role: Cow<'a, str>,
}

#[derive(Deserialize)]
struct AboutFrame<'a> {
    room: Box<str>,
    #[serde(borrow)]
    session: Cow<'a, str>,
    #[serde(default)]
    bar: bool,
}

#[derive(Deserialize)]
struct SetStateFrame {
    room: Box<str>,
    key: Box<str>,
    value: Box<RawValue>,
    #[serde(default, deserialize_with = "given")]
    expires_in_ms: Option<u64>,
    #[serde(default)]
    while_present: bool,
    #[serde(default, deserialize_with = "given")]
    if_version: Option<u64>,
}

#[derive(Deserialize)]
struct LeaveFrame {
    room: Box<str>,
}

#[derive(Deserialize)]
struct DirectedFrame<'a> {
    room: Box<str>,
    #[serde(borrow)]
    to: Cow<'a, str>,
    epoch: u64,
    #[serde(default, deserialize_with = "given")]
    nr: Option<u64>,
    body: Box<RawValue>,
}

#[derive(Deserialize)]
struct BroadcastFrame {
    room: Box<str>,
    #[serde(default, deserialize_with = "given")]
    nr: Option<u64>,
    body: Box<RawValue>,
}

/// What may be left out, but is not `null` unless that is a value of it.
fn given<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(from).map(Some)
}

/// The longest time after which an entry of a room's state may go: a day, in milliseconds.
const LONGEST_EXPIRY: u64 = 86_400_000;

/// The longest `client`, in bytes.
const CLIENT_BYTES: usize = 128;

fn hello(frame: HelloFrame<'_>) -> Result<Command, DecodeError> {
    let client = frame.client;
    let is_too_long = |client: &str| client.len() > CLIENT_BYTES;
    if client.as_deref().is_some_and(is_too_long) {
        return Err(malformed(None, "client is longer than 128 bytes"));
    }
    let resume = frame
        .resume
        .map(|resume| Resume::new(&resume.session, &resume.token, Offset(resume.seq)));
    let token = frame.access_token;
    Ok(Command::Hello(Hello {
        version: frame.version,
        client,
        access: token.map_or(Access::Nothing, |token| Access::shown(&token)),
        resume,
    }))
}

fn request(id: Option<u64>, request: Request) -> Result<Command, DecodeError> {
    match id {
        Some(id @ 1..) => Ok(Command::Request { id, request }),
        _ => Err(malformed(None, "id must be a positive integer")),
    }
}

fn authorize(frame: &AuthorizeFrame<'_>) -> Request {
    Request::Authorize(Access::shown(&frame.access_token))
}

fn join(frame: JoinFrame<'_>) -> Request {
    let meetings = frame.meetings.iter().filter_map(|meeting| {
        // Who is nobody's session was met by nobody.
        let session = SessionId::parse(&meeting.session)?;
        let MeetingFrame { epoch, polite, .. } = *meeting;
        Some(Meeting {
            session,
            epoch,
            polite,
        })
    });
    Request::Join {
        room: frame.room,
        name: frame.name,
        data: frame.data,
        meetings: meetings.collect(),
        knock: frame.knock,
    }
}

fn set_room(frame: SetRoomFrame<'_>, re: Option<u64>) -> Result<Request, DecodeError> {
    let parse = |name: Cow<'_, str>| {
        let parsed = Duplicates::parse(&name);
        parsed.ok_or_else(|| malformed(re, "duplicates must be allow, replace or reject"))
    };
    Ok(Request::SetRoom {
        room: frame.room,
        locked: frame.locked,
        limit: frame.limit,
        duplicates: frame.duplicates.map(parse).transpose()?,
    })
}

fn set_role(frame: SetRoleFrame<'_>, re: Option<u64>) -> Result<Request, DecodeError> {
    let role = Role::parse(&frame.role);
    Ok(Request::SetRole {
        room: frame.room,
        session: SessionId::parse(&frame.session),
        role: role.ok_or_else(|| malformed(re, "role must be host, member or guest"))?,
    })
}

fn remove(frame: AboutFrame<'_>) -> Request {
    Request::Remove {
        room: frame.room,
        session: SessionId::parse(&frame.session),
        bar: frame.bar,
    }
}

fn admit(frame: AboutFrame<'_>) -> Request {
    Request::Admit {
        room: frame.room,
        session: SessionId::parse(&frame.session),
    }
}

fn deny(frame: AboutFrame<'_>) -> Request {
    Request::Deny {
        room: frame.room,
        session: SessionId::parse(&frame.session),
        bar: frame.bar,
    }
}

fn set_state(frame: SetStateFrame, re: Option<u64>) -> Result<Request, DecodeError> {
    let expiry = frame.expires_in_ms;
    if expiry.is_some_and(|time| !(1..=LONGEST_EXPIRY).contains(&time)) {
        return Err(malformed(re, "expires_in_ms must be from 1 to 86400000"));
    }
    let value = Some(frame.value).filter(|value| value.get() != "null");
    Ok(Request::SetState(SetState {
        room: frame.room,
        key: frame.key,
        value,
        expires_in: expiry.map(Duration::from_millis),
        while_present: frame.while_present,
        if_version: frame.if_version,
    }))
}

fn update(frame: MemberFrame) -> Request {
    let MemberFrame { room, name, data } = frame;
    Request::Update { room, name, data }
}

fn leave(frame: LeaveFrame) -> Request {
    Request::Leave { room: frame.room }
}

fn directed(kind: Kind, frame: DirectedFrame<'_>) -> Request {
    Request::Directed(Directed {
        kind,
        room: frame.room,
        to: SessionId::parse(&frame.to),
        epoch: frame.epoch,
        number: frame.nr,
        body: frame.body,
    })
}

fn broadcast(frame: BroadcastFrame) -> Request {
    Request::Broadcast(ForAll {
        room: frame.room,
        number: frame.nr,
        body: frame.body,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rejection(text: &str) -> Rejection {
        decode(text.as_bytes())
            .expect_err("this is no message")
            .into()
    }

    #[test]
    fn an_offer_is_read_and_its_body_stays_as_it_is() {
        let text = r#"{"type":"offer","id":7,"room":"blue","epoch":8,
            "to":"6f0c7c1e-5d0b-4c55-9a3e-1f6c2f6f3c11","body":{ "sdp" : "v=0\r\n", "n":1.0e0}}"#;
        let command = decode(text.as_bytes()).expect("an offer");
        let Command::Request {
            id: 7,
            request: Request::Directed(directed),
        } = command
        else {
            panic!("not the offer: {command:?}");
        };
        assert_eq!(directed.kind, Kind::Offer);
        assert_eq!(directed.epoch, 8);
        assert_eq!(directed.body.get(), r#"{ "sdp" : "v=0\r\n", "n":1.0e0}"#);
        assert!(directed.to.is_some());
    }

    #[test]
    fn the_end_of_candidates_is_a_null_body() {
        let text = r#"{"type":"candidate","id":7,"room":"blue","epoch":8,"to":"x","body":null}"#;
        let command = decode(text.as_bytes()).expect("a candidate");
        let Command::Request {
            request: Request::Directed(directed),
            ..
        } = command
        else {
            panic!("not the candidate: {command:?}");
        };
        assert_eq!(directed.body.get(), "null");
        assert_eq!(directed.to, None);
    }

    #[test]
    fn data_that_is_null_is_data() {
        let text = r#"{"type":"update","id":1,"room":"blue","data":null}"#;
        let command = decode(text.as_bytes()).expect("an update");
        let Command::Request {
            request: Request::Update { data, name, .. },
            ..
        } = command
        else {
            panic!("not the update: {command:?}");
        };
        assert_eq!(data.expect("given").get(), "null");
        assert_eq!(name, None);
    }

    #[test]
    fn a_limit_that_is_null_is_not_one_that_is_left_out() {
        let limit = |text: &str| match decode(text.as_bytes()) {
            Ok(Command::Request {
                request: Request::SetRoom { limit, .. },
                ..
            }) => limit,
            other => panic!("{other:?}"),
        };
        let text = r#"{"type":"set_room","id":1,"room":"blue""#;
        assert_eq!(limit(&format!("{text}}}")), None);
        assert_eq!(limit(&format!("{text},\"limit\":null}}")), Some(None));
        assert_eq!(limit(&format!("{text},\"limit\":4}}")), Some(Some(4)));
    }

    #[test]
    fn an_entry_stays_for_a_day_at_most_and_goes_with_null() {
        let set = |rest: &str| {
            let text = format!(r#"{{"type":"set_state","id":1,"room":"blue","key":"k",{rest}}}"#);
            match decode(text.as_bytes()) {
                Ok(Command::Request {
                    request: Request::SetState(set),
                    ..
                }) => Some((set.value.map(|it| it.get().to_owned()), set.expires_in)),
                _ => None,
            }
        };
        let day = Some(Duration::from_secs(86_400));
        let of_day = set(r#""value":"x","expires_in_ms":86400000"#);
        assert_eq!(of_day, Some((Some("\"x\"".to_owned()), day)));
        assert_eq!(set(r#""value":1,"expires_in_ms":86400001"#), None);
        assert_eq!(set(r#""value":1,"expires_in_ms":0"#), None);
        assert_eq!(set(r#""value":null"#), Some((None, None)));
        assert_eq!(set(r#""if_version":1"#), None);
    }

    #[test]
    fn fields_that_nobody_knows_are_ignored() {
        assert!(decode(br#"{"type":"ping","colour":{"a":[1]}}"#).is_ok());
        assert!(decode(br#"{"type":"ack","seq":3,"room":5}"#).is_ok());
    }

    #[test]
    fn an_unknown_type_is_told_with_its_id() {
        let rejection = rejection(r#"{"type":"dance","id":3,"to":["a","b"]}"#);
        assert_eq!(rejection.reject, Reject::UnknownType);
        assert_eq!(rejection.re, Some(3));
    }

    #[test]
    fn what_lacks_a_field_is_told_which() {
        let rejection = rejection(r#"{"type":"join","id":3}"#);
        assert_eq!(rejection.reject, Reject::Malformed);
        assert_eq!(rejection.re, Some(3));
        assert!(rejection.detail.expect("a detail").contains("`room`"));
    }

    #[test]
    fn what_is_no_object_or_has_no_good_id_is_malformed() {
        for text in [
            "",
            "null",
            "[\"ping\"]",
            "{",
            "{}",
            r#"{"type":5}"#,
            r#"{"type":"ping"} x"#,
            r#"{"type":"leave","room":"a"}"#,
            r#"{"type":"leave","room":"a","id":0}"#,
            r#"{"type":"leave","room":"a","id":-1}"#,
            r#"{"type":"leave","room":"a","id":"1"}"#,
            r#"{"type":"leave","room":"a","id":1.5}"#,
            r#"{"type":"leave","type":"join","room":"a","id":1}"#,
        ] {
            assert_eq!(rejection(text).reject, Reject::Malformed, "{text}");
        }
        let long = format!(
            r#"{{"type":"hello","version":1,"client":"{}"}}"#,
            "x".repeat(129)
        );
        assert_eq!(rejection(&long).reject, Reject::Malformed);
    }

    #[test]
    fn deep_nesting_costs_no_stack() {
        let deep = format!(r#"{{"type":"ping","x":{}"#, "[".repeat(65_000));
        assert_eq!(rejection(&deep).reject, Reject::Malformed);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&bytes).map_err(Rejection::from);
        }

        #[test]
        fn no_object_makes_it_panic(
            kind in "hello|ack|join|update|leave|offer|broadcast|set_(room|role|state)|remove|deny|bye|.{0,5}",
            key in "id|room|to|seq|epoch|body|version|resume|.{0,5}",
            value in "[0-9]{1,25}|\"\\PC{0,9}\"|null|\\{\\}|\\[1\\]|\\PC{0,20}",
        ) {
            let text = format!(r#"{{"type":"{kind}","room":"a","id":1,"{key}":{value}}}"#);
            let _ = decode(text.as_bytes()).map_err(Rejection::from);
        }
    }
}
