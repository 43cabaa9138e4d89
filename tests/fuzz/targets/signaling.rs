//! What clients say to the signaling: every line is a message of one of three connections.

use std::time::Duration;

use peerage::dialect::native;
use peerage::signal::{Config, ConnectionId, Event, Hub, Input};
use peerage::time::Now;

pub(crate) fn run(input: &[u8]) {
    let mut hub = Hub::new(Config::default(), [1; 32]);
    let mut now = Now::default();
    let connections = [ConnectionId(1), ConnectionId(2), ConnectionId(3)];
    for connection in connections {
        hub.handle(connection, Input::Open, now);
    }
    for line in input.split(|&byte| byte == b'\n') {
        let (which, line) = line
            .split_first()
            .map_or((0, line), |(&which, rest)| (which, rest));
        let input = Input::Message {
            length: line.len(),
            command: native::decode(line).map_err(Into::into),
        };
        hub.handle(connections[usize::from(which) % 3], input, now);
        now = now.after(Duration::from_millis(u64::from(which)));
        if hub.poll_timeout().is_some_and(|due| due <= now.instant) {
            hub.handle_timeout(now);
        }
        let mut written = Vec::new();
        while let Some(event) = hub.poll_event() {
            if let Event::Send {
                offset, message, ..
            } = event
            {
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
