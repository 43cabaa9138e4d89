//! The connection to the server, as docs/protocol.md describes it.

use crate::Failure;
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// A message of the server.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Message {
    Welcome {
        session: String,
        ice_servers: Vec<IceServer>,
    },
    Joined {
        members: Vec<Member>,
    },
    Presence {
        member: Member,
    },
    Offer(Signal),
    Answer(Signal),
    Candidate(Signal),
    IceServers {
        ice_servers: Vec<IceServer>,
    },
    Error {
        code: String,
        message: String,
    },
    #[serde(other)]
    Other,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct IceServer {
    pub(crate) urls: Vec<String>,
    #[serde(default)]
    pub(crate) username: String,
    #[serde(default)]
    pub(crate) credential: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Member {
    pub(crate) session: String,
    #[serde(default)]
    pub(crate) name: Option<String>,
    pub(crate) state: MemberState,
    pub(crate) polite: bool,
    pub(crate) epoch: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MemberState {
    Joined,
    Suspended,
    Left,
}

/// An offer, an answer or a candidate from another member.
#[derive(Debug, Deserialize)]
pub(crate) struct Signal {
    pub(crate) from: String,
    pub(crate) epoch: u64,
    #[serde(default)]
    pub(crate) body: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignalKind {
    Offer,
    Answer,
    Candidate,
}

impl SignalKind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Offer => "offer",
            Self::Answer => "answer",
            Self::Candidate => "candidate",
        }
    }
}

/// One WebSocket and the session that it carries.
pub(crate) struct Signaling {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    last_id: u64,
}

impl Signaling {
    /// Opens the connection and says hello; the `welcome` is the first message to come.
    pub(crate) async fn connect(url: &str) -> Result<Self, Failure> {
        let (socket, _) = connect_async(url).await?;
        let mut signaling = Self { socket, last_id: 0 };
        let hello = json!({ "type": "hello", "version": 1, "client": "native-peer" });
        signaling.send(&hello).await?;
        Ok(signaling)
    }

    /// Sends a message that carries no id.
    pub(crate) async fn send(&mut self, message: &Value) -> Result<(), Failure> {
        Ok(self.socket.send(Frame::text(message.to_string())).await?)
    }

    /// Sends a message under the next id.
    pub(crate) async fn request(&mut self, mut message: Value) -> Result<(), Failure> {
        self.last_id += 1;
        message["id"] = json!(self.last_id);
        self.send(&message).await
    }

    /// The next message; an error once the connection is closed.
    pub(crate) async fn next(&mut self) -> Result<Message, Failure> {
        loop {
            match self.socket.next().await {
                Some(Ok(Frame::Text(text))) => return self.take_in(&text).await,
                Some(Ok(Frame::Close(close))) => {
                    return Err(format!("the server closed the connection: {close:?}").into());
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
                None => return Err("the connection was lost".into()),
            }
        }
    }

    /// Ends the session and waits until the server has closed the connection.
    pub(crate) async fn bye(&mut self) -> Result<(), Failure> {
        self.send(&json!({ "type": "bye" })).await?;
        while self.next().await.is_ok() {}
        Ok(())
    }

    async fn take_in(&mut self, text: &str) -> Result<Message, Failure> {
        let value: Value = serde_json::from_str(text)?;
        // At once, rather than after the half second that the protocol allows: nothing to keep.
        if let Some(seq) = value.get("seq") {
            self.send(&json!({ "type": "ack", "seq": seq })).await?;
        }
        Ok(serde_json::from_value(value)?)
    }
}
