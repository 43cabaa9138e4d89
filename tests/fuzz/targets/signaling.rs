//! What clients say to the signaling: every line is a message of one of three connections. Where
//! it names one of their sessions as `$1`, `$2` or `$3`, it is told as the session is.

use std::time::Duration;

use peerage::dialect::native;
use peerage::signal::{Config, ConnectionId, Event, Hub, Input, Message};
use peerage::time::Now;

pub(crate) fn run(input: &[u8]) {
    let mut hub = Hub::new(Config::default(), [1; 32]);
    let mut now = Now::default();
    let connections = [ConnectionId(1), ConnectionId(2), ConnectionId(3)];
    for connection in connections {
        hub.handle(connection, Input::Open, now);
    }
    let mut sessions = [const { String::new() }; 3];
    for line in input.split(|&byte| byte == b'\n') {
        let (which, line) = line
            .split_first()
            .map_or((0, line), |(&which, rest)| (which, rest));
        let line = named(line, &sessions);
        let input = Input::Message {
            length: line.len(),
            command: native::decode(&line).map_err(Into::into),
        };
        hub.handle(connections[usize::from(which) % 3], input, now);
        now = now.after(Duration::from_millis(u64::from(which)));
        if hub.poll_timeout().is_some_and(|due| due <= now.instant) {
            hub.handle_timeout(now);
        }
        let mut written = Vec::new();
        while let Some(event) = hub.poll_event() {
            if let Event::Send {
                connection,
                offset,
                message,
            } = event
            {
                if let Message::Welcome(welcome) = &*message {
                    let which = connections.iter().position(|it| *it == connection);
                    sessions[which.expect("one of the three")] = welcome.session.to_string();
                }
                written.clear();
                native::encode(offset, &message, &mut written);
                let value: serde_json::Value =
                    serde_json::from_slice(&written).expect("what is sent is JSON");
                assert!(value["type"].is_string());
            }
        }
    }
    for connection in connections {
        hub.handle(connection, Input::Closed, now);
    }
    hub.handle_timeout(now.after(Duration::from_secs(3_600)));
    assert_eq!((hub.connections(), hub.sessions(), hub.rooms()), (0, 0, 0));
}

/// The line, with the sessions that it names.
fn named(line: &[u8], sessions: &[String; 3]) -> Vec<u8> {
    let mut named = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.iter().position(|&byte| byte == b'$') {
        named.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        let which = match rest.first() {
            Some(which @ b'1'..=b'3') => usize::from(which - b'1'),
            _ => {
                named.push(b'$');
                continue;
            }
        };
        named.extend_from_slice(sessions[which].as_bytes());
        rest = &rest[1..];
    }
    named.extend_from_slice(rest);
    named
}
