//! The conversation over the channel that both sides have agreed on.

use crate::{Failure, report};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use webrtc::data_channel::{DataChannel, DataChannelEvent, RTCDataChannelInit};
use webrtc::peer_connection::PeerConnection;

/// The built-in channel of the browser's client: this label, and stream 0 without asking.
const LABEL: &str = "peerage";
const STREAM: u16 = 0;
const GREETING: &str = "hello from Native";
/// The crate loses what arrives in the moment before its own side of the channel is open; so one
/// of this program must not greet another too early.
const BREATH: Duration = Duration::from_millis(200);
const ECHO: &str = "echo: ";

pub(crate) struct Chat {
    session: String,
    channel: Arc<dyn DataChannel>,
}

impl Chat {
    pub(crate) async fn open(
        session: String,
        connection: &dyn PeerConnection,
    ) -> Result<Self, Failure> {
        let options = RTCDataChannelInit {
            negotiated: Some(STREAM),
            ..Default::default()
        };
        let channel = connection.create_data_channel(LABEL, Some(options)).await?;
        Ok(Self { session, channel })
    }

    /// Greets, and answers until the channel is closed.
    pub(crate) async fn run(self) {
        while let Some(event) = self.channel.poll().await {
            let result = match event {
                DataChannelEvent::OnOpen => self.greet().await,
                DataChannelEvent::OnMessage(message) => self.take_in(&message.data).await,
                _ => Ok(()),
            };
            if let Err(failure) = result {
                let fields = json!({ "peer": self.session, "message": failure.to_string() });
                report::event("peer-error", fields);
            }
        }
    }

    async fn greet(&self) -> Result<(), Failure> {
        report::event("open", json!({ "peer": self.session }));
        tokio::time::sleep(BREATH).await;
        self.say(GREETING).await
    }

    async fn take_in(&self, data: &[u8]) -> Result<(), Failure> {
        let Some(text) = chat_text(data) else {
            report::event(
                "message",
                json!({ "peer": self.session, "bytes": data.len() }),
            );
            return Ok(());
        };
        report::event("chat", json!({ "peer": self.session, "text": text }));
        // Two of this program would otherwise never come to an end.
        match text.starts_with(ECHO) {
            true => Ok(()),
            false => self.say(&format!("{ECHO}{text}")).await,
        }
    }

    async fn say(&self, text: &str) -> Result<(), Failure> {
        let message = json!({ "type": "chat", "text": text }).to_string();
        Ok(self.channel.send_text(&message).await?)
    }
}

/// The text of a chat message of the call application.
fn chat_text(data: &[u8]) -> Option<String> {
    let message: Value = serde_json::from_slice(data).ok()?;
    (message["type"] == "chat")
        .then(|| message["text"].as_str().map(str::to_owned))
        .flatten()
}
