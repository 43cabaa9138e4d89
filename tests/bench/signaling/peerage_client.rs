//! A client of Peerage, as `docs/protocol.md` has it: it acknowledges what it gets and resumes its
//! session.

use serde::Deserialize;

use crate::protocol::{Heard, Protocol};

/// Acknowledge after so many messages, if not because of the time.
const EVERY: u64 = 32;

/// What this client looks at in what the server says.
#[derive(Deserialize)]
struct Text<'a> {
    r#type: &'a str,
    seq: Option<u64>,
    session: Option<String>,
    token: Option<String>,
    resumed: Option<&'a str>,
    code: Option<&'a str>,
    #[serde(default)]
    members: Vec<Member>,
    member: Option<Member>,
}

/// Another member of the room.
#[derive(Deserialize)]
struct Member {
    session: String,
    epoch: u64,
}

pub(crate) struct PeerageClient {
    room: usize,
    session: String,
    token: String,
    /// Of the last message that has come, and of the last that is acknowledged.
    seq: u64,
    acknowledged: u64,
    /// Of the last message said.
    id: u64,
    other: Option<Member>,
}

impl PeerageClient {
    pub(crate) fn new(room: usize) -> Self {
        Self {
            room,
            session: String::new(),
            token: String::new(),
            seq: 0,
            acknowledged: 0,
            id: 0,
            other: None,
        }
    }

    fn welcome(&mut self, text: Text<'_>) -> Result<Heard, String> {
        let is_new = self.session.is_empty();
        let is_whole = text.resumed == Some(if is_new { "none" } else { "full" });
        if !is_whole {
            // What was lost stays lost: another attempt ends here, too.
            return Err(format!("a session is not resumed, but {:?}", text.resumed));
        }
        self.session = text.session.ok_or("a welcome without a session")?;
        self.token = text.token.ok_or("a welcome without a token")?;
        if !is_new {
            return Ok(Heard::Ready);
        }
        self.id += 1;
        let (id, room) = (self.id, self.room);
        let join = format!(r#"{{"type":"join","id":{id},"room":"bench-{room}"}}"#);
        Ok(Heard::Reply(join))
    }
}

impl Protocol for PeerageClient {
    fn path(&self) -> String {
        "/v1/ws".to_owned()
    }

    fn opening(&mut self) -> Vec<String> {
        self.acknowledged = self.seq;
        let Self { session, token, .. } = &*self;
        let resume = if session.is_empty() {
            String::new()
        } else {
            let seq = self.seq;
            format!(r#","resume":{{"session":"{session}","token":"{token}","seq":{seq}}}"#)
        };
        vec![format!(r#"{{"type":"hello","version":1{resume}}}"#)]
    }

    fn hear(&mut self, text: &str) -> Result<Heard, String> {
        let mut text: Text<'_> =
            serde_json::from_str(text).map_err(|error| format!("{error} in {text}"))?;
        self.seq = text.seq.unwrap_or(self.seq);
        let heard = match text.r#type {
            "welcome" => return self.welcome(text),
            "joined" => {
                self.other = text.members.pop();
                return Ok(Heard::Ready);
            }
            "candidate" => Heard::Said,
            "presence" => {
                self.other = text.member;
                Heard::Other
            }
            "token" => {
                self.token = text.token.unwrap_or_default();
                Heard::Other
            }
            "error" => return Err(text.code.unwrap_or_default().to_owned()),
            _ => Heard::Other,
        };
        Ok(heard)
    }

    fn say(&mut self, body: &str) -> Option<String> {
        let Member { session, epoch } = self.other.as_ref()?;
        self.id += 1;
        let (id, room) = (self.id, self.room);
        Some(format!(
            r#"{{"type":"candidate","id":{id},"room":"bench-{room}","to":"{session}","epoch":{epoch},"body":"{body}"}}"#
        ))
    }

    fn owes(&self) -> bool {
        self.seq > self.acknowledged
    }

    fn owes_now(&self) -> bool {
        self.seq - self.acknowledged >= EVERY
    }

    fn acknowledge(&mut self) -> Option<String> {
        let seq = self.seq;
        let is_due = self.owes();
        self.acknowledged = seq;
        is_due.then(|| format!(r#"{{"type":"ack","seq":{seq}}}"#))
    }
}
