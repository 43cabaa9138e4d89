//! What a client of each server says and hears. Every client is one of two in a room, and what one
//! says to the other is marked, so that it is found in any envelope.

use crate::peerage_client::PeerageClient;
use crate::servers::Kind;

/// What begins the body of every message that is measured; no envelope has it.
pub(crate) const MARK: char = '@';

/// What a text of the server is to the load.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// The client is in its room.
    Ready,
    /// A marked message of the other client.
    Said,
    /// Something that wants this answer.
    Reply(String),
    /// Nothing to the load.
    Other,
}

/// One client, from connection to connection.
pub(crate) trait Protocol: Send {
    /// Where its WebSocket is.
    fn path(&self) -> String;

    /// What it says when a WebSocket has opened.
    fn opening(&mut self) -> Vec<String>;

    /// Takes in what the server says.
    ///
    /// # Errors
    /// The server has refused something.
    fn hear(&mut self, text: &str) -> Result<Heard, String>;

    /// A message with this body for the other client, once it is known.
    fn say(&mut self, body: &str) -> Option<String>;

    /// Whether something is to be acknowledged before long.
    fn owes(&self) -> bool {
        false
    }

    /// Whether so much that it cannot wait.
    fn owes_now(&self) -> bool {
        false
    }

    /// The acknowledgement.
    fn acknowledge(&mut self) -> Option<String> {
        None
    }
}

/// A client of a server of this kind: one of the two (`side` 0 or 1) in the room with this number.
pub(crate) fn client(kind: Kind, room: usize, side: usize) -> Box<dyn Protocol> {
    match kind {
        Kind::Bare => Box::new(Bare { room }),
        Kind::Peerage => Box::new(PeerageClient::new(room)),
        Kind::Peer => Box::new(Peer { room, side }),
        Kind::YWebrtc => Box::new(YWebrtc { room }),
        Kind::SocketIo => Box::new(SocketIo { room }),
    }
}

fn is_marked(text: &str) -> Heard {
    if text.contains(MARK) {
        Heard::Said
    } else {
        Heard::Other
    }
}

/// Of the bare relay, which hands on what it gets.
struct Bare {
    room: usize,
}

impl Protocol for Bare {
    fn path(&self) -> String {
        format!("/{}", self.room)
    }

    fn opening(&mut self) -> Vec<String> {
        Vec::new()
    }

    fn hear(&mut self, text: &str) -> Result<Heard, String> {
        Ok(match text {
            "ready" => Heard::Ready,
            text => is_marked(text),
        })
    }

    fn say(&mut self, body: &str) -> Option<String> {
        Some(body.to_owned())
    }
}

/// Of PeerJS's server. Clients have ids that they choose.
struct Peer {
    room: usize,
    side: usize,
}

impl Protocol for Peer {
    fn path(&self) -> String {
        let Self { room, side } = self;
        format!("/peerjs?key=peerjs&id=bench-{room}-{side}&token=token-{room}-{side}")
    }

    fn opening(&mut self) -> Vec<String> {
        Vec::new()
    }

    fn hear(&mut self, text: &str) -> Result<Heard, String> {
        match text {
            r#"{"type":"OPEN"}"# => Ok(Heard::Ready),
            text if text.starts_with(r#"{"type":"CANDIDATE""#) => Ok(is_marked(text)),
            text => Err(text.to_owned()),
        }
    }

    fn say(&mut self, body: &str) -> Option<String> {
        let (room, other) = (self.room, 1 - self.side);
        Some(format!(
            r#"{{"type":"CANDIDATE","dst":"bench-{room}-{other}","payload":"{body}"}}"#
        ))
    }
}

/// Of y-webrtc's signaling server. Whoever publishes to a topic gets it as well.
struct YWebrtc {
    room: usize,
}

impl Protocol for YWebrtc {
    fn path(&self) -> String {
        "/".to_owned()
    }

    fn opening(&mut self) -> Vec<String> {
        // It does not answer the first.
        vec![
            format!(r#"{{"type":"subscribe","topics":["bench-{}"]}}"#, self.room),
            r#"{"type":"ping"}"#.to_owned(),
        ]
    }

    fn hear(&mut self, text: &str) -> Result<Heard, String> {
        Ok(match text {
            r#"{"type":"pong"}"# => Heard::Ready,
            text => is_marked(text),
        })
    }

    fn say(&mut self, body: &str) -> Option<String> {
        let room = self.room;
        Some(format!(
            r#"{{"type":"publish","topic":"bench-{room}","data":"{body}"}}"#
        ))
    }
}

/// Of the relay made with socket.io: Engine.IO 4 over a WebSocket from the start.
struct SocketIo {
    room: usize,
}

impl Protocol for SocketIo {
    fn path(&self) -> String {
        "/socket.io/?EIO=4&transport=websocket".to_owned()
    }

    fn opening(&mut self) -> Vec<String> {
        Vec::new()
    }

    fn hear(&mut self, text: &str) -> Result<Heard, String> {
        Ok(match text {
            "2" => Heard::Reply("3".to_owned()),
            "430[]" => Heard::Ready,
            text if text.starts_with('0') => Heard::Reply("40".to_owned()),
            text if text.starts_with("40") => {
                Heard::Reply(format!(r#"420["join","bench-{}"]"#, self.room))
            }
            text => is_marked(text),
        })
    }

    fn say(&mut self, body: &str) -> Option<String> {
        Some(format!(r#"42["say","{body}"]"#))
    }
}
