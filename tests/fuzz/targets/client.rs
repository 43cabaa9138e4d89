//! What a server, or somebody in its place, says to the Rust client: every line is a message, or
//! the reason of a close. Whatever it is, the client says nothing that a server cannot read, and
//! keeps no more than it may.

use std::time::Duration;

use peerage::client::{Body, End, Profile, Request, Session, Settings, Step};
use peerage::dialect::native;
use peerage::time::Now;

const WELCOME: &str = r#"{"type":"welcome","session":"8f8a43f7-9e25-4f0c-8a4e-1f2e3d4c5b6a","token":"t","resumed":"none","resume_window_ms":60000,"applied":0,"ice_servers":[],"limits":{"message_bytes":65536,"messages_per_second":50,"burst":200,"room_members":64,"rooms":8,"data_bytes":4096,"broadcast_bytes":16384,"broadcasts":256,"state_key_bytes":64,"state_value_bytes":4096,"state_entries":64,"state_bytes":16384}}"#;
const OUTBOX: usize = 4;

pub(crate) fn run(input: &[u8]) {
    let mut settings = Settings::new("ws://test/v1/ws").expect("a URL");
    settings.outbox = OUTBOX;
    let mut session = Session::new(&settings, 1);
    let mut now = Now::default();
    // Refused where there is no more room, as it has to be.
    let _ = session.ask(Request::join("blue", Profile::named("Ada")), now.instant);
    session.handle_open();
    if input.first().is_some_and(|first| first & 1 == 0) {
        session.handle_text(WELCOME, now.instant);
    }
    for line in input.split(|&byte| byte == b'\n') {
        let (which, rest) = line.split_first().unwrap_or((&0, line));
        let text = String::from_utf8_lossy(rest);
        match which % 8 {
            0 | 1 => {
                let code = [1000, 1001, 1009, 4403, 4408, 4409, 4503, 4999];
                let end = End::closed(code[usize::from(which / 8) % code.len()], &text);
                session.handle_end(&end, now.instant);
            }
            2 => {
                let body = Body::new(&*text).expect("JSON");
                let _ = session.ask(Request::broadcast("blue", body), now.instant);
            }
            3 => {
                now = now.after(Duration::from_secs(u64::from(which / 8)));
                session.handle_timeout(now.instant);
            }
            _ => session.handle_text(&text, now.instant),
        }
        listen(&mut session);
    }
}

fn listen(session: &mut Session) {
    while session.poll_event().is_some() {}
    while let Some(step) = session.poll_step() {
        if step == Step::Open {
            session.handle_open();
        }
    }
    while let Some(text) = session.poll_text() {
        let command = native::decode(text.as_bytes());
        assert!(command.is_ok(), "{text}: {command:?}");
    }
    assert!(session.waiting() <= OUTBOX);
}
