//! Resume tokens of any kind. Only the one that a client was given brings it back, to the hub that
//! gave it and to the one after that; nothing else ever does.

use std::sync::Arc;
use std::time::Duration;

use peerage::auth::Secret;
use peerage::dialect::native;
use peerage::signal::{Config, ConnectionId, Event, Hub, Input, Message, Resumed, Welcome};
use peerage::time::Now;
use serde_json::json;

use super::bytes::Bytes;

pub(crate) fn run(input: &[u8]) {
    let mut input = Bytes(input);
    let now = Now::default().after(Duration::from_secs(1_000));
    let mut hub = hub(now, 1);
    let first = welcome(&mut hub, 1, &json!({"type": "hello", "version": 1}), now);
    let Some(first) = first else {
        panic!("a welcome");
    };
    let now = now.after(Duration::from_secs(1));
    let is_restarted = input.u8() & 1 == 1;
    if is_restarted {
        hub = self::hub(now, 2);
    }
    let session = first.session.to_string();
    for connection in 2..6 {
        let shown = spoilt(first.token.expose(), &mut input);
        let resume = json!({"session": &session, "token": &shown, "seq": input.u8()});
        let hello = json!({"type": "hello", "version": 1, "resume": resume});
        let Some(welcome) = welcome(&mut hub, connection, &hello, now) else {
            continue;
        };
        let is_right = shown == first.token.expose();
        assert_eq!(welcome.session == first.session, is_right, "{shown}");
        assert_eq!(welcome.resumed != Resumed::None, is_right, "{shown}");
        if is_right {
            assert_eq!(welcome.resumed == Resumed::Restored, is_restarted);
        }
    }
}

fn hub(now: Now, seed: u8) -> Hub {
    let config = Config {
        ticket_keys: vec![Secret::new("north")],
        started: now.unix,
        ..Config::default()
    };
    Hub::new(config, [seed; 32])
}

/// The token as it is, with one character another one, cut short, made longer, or any text.
fn spoilt(token: &str, input: &mut Bytes<'_>) -> String {
    let (how, at) = (input.u8(), usize::from(input.u8()) % token.len());
    let text = |input: &mut Bytes<'_>| String::from_utf8_lossy(input.short()).into_owned();
    match how % 5 {
        0 => token.to_owned(),
        1 => {
            let other = char::from(input.u8() % 128);
            format!("{}{other}{}", &token[..at], &token[at + 1..])
        }
        2 => token[..at].to_owned(),
        3 => format!("{token}{}", text(input)),
        _ => text(input),
    }
}

/// Says hello on a connection of its own; the answer, if it is a welcome.
fn welcome(
    hub: &mut Hub,
    connection: u64,
    hello: &serde_json::Value,
    now: Now,
) -> Option<Box<Welcome>> {
    let connection = ConnectionId(connection);
    hub.handle(connection, Input::Open, now);
    let hello = hello.to_string();
    let input = Input::Message {
        length: hello.len(),
        command: native::decode(hello.as_bytes()).map_err(Into::into),
    };
    hub.handle(connection, input, now);
    let mut welcome = None;
    while let Some(event) = hub.poll_event() {
        if let Event::Send { message, .. } = event
            && let Ok(Message::Welcome(it)) = Arc::try_unwrap(message)
        {
            welcome = Some(it);
        }
    }
    welcome
}
