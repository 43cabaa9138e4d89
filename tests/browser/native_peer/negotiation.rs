//! Perfect negotiation (W3C webrtc-pc, section 10.7) on a connection that takes no offer back by
//! itself.

use crate::peer::Sender;
use crate::{Failure, report};
use peerage::client::Kind;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};
use webrtc::peer_connection::{
    PeerConnection, RTCIceCandidate, RTCIceCandidateInit, RTCSessionDescription,
};

/// So long the polite side waits for the other's first offer, as the browser's client does.
const HEAD_START: Duration = Duration::from_secs(1);

pub(crate) struct Negotiation {
    connection: Arc<dyn PeerConnection>,
    session: String,
    polite: bool,
    sender: Sender,
    /// Whether this side still waits for the first offer of the other.
    waits: bool,
    head_start: Option<Instant>,
    /// Whether an offer of this side is unanswered.
    offering: bool,
    ignoring_offer: bool,
}

impl Negotiation {
    pub(crate) fn new(
        connection: Arc<dyn PeerConnection>,
        session: String,
        polite: bool,
        sender: Sender,
    ) -> Self {
        Self {
            connection,
            session,
            polite,
            sender,
            waits: polite,
            head_start: None,
            offering: false,
            ignoring_offer: false,
        }
    }

    /// Makes the first offer before anything of the other side is taken in.
    pub(crate) async fn start_eagerly(&mut self) -> Result<(), Failure> {
        self.stop_waiting();
        self.offer().await
    }

    /// Something has changed that only an offer can settle.
    pub(crate) async fn needed(&mut self) -> Result<(), Failure> {
        if self.waits {
            self.head_start
                .get_or_insert_with(|| Instant::now() + HEAD_START);
            return Ok(());
        }
        // The connection asks again once it is stable.
        if self.offering {
            return Ok(());
        }
        self.offer().await
    }

    /// Resolves when the other side has had its time for the first offer.
    pub(crate) fn head_start(&self) -> impl Future<Output = ()> + use<> {
        let until = self.head_start;
        async move {
            match until {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        }
    }

    pub(crate) async fn head_start_over(&mut self) -> Result<(), Failure> {
        self.stop_waiting();
        self.offer().await
    }

    /// Takes in an offer or an answer.
    pub(crate) async fn description(&mut self, kind: Kind, body: &Value) -> Result<(), Failure> {
        let sdp = body["sdp"]
            .as_str()
            .ok_or("a description without sdp")?
            .to_owned();
        match kind {
            Kind::Offer => self.answer(RTCSessionDescription::offer(sdp)?).await,
            // The answer to an offer that was taken back in the meantime.
            _ if !self.offering => Ok(()),
            _ => {
                self.ignoring_offer = false;
                self.offering = false;
                let answer = RTCSessionDescription::answer(sdp)?;
                Ok(self.connection.set_remote_description(answer).await?)
            }
        }
    }

    /// Takes in a candidate of the other side.
    pub(crate) async fn candidate(&self, body: Value) -> Result<(), Failure> {
        // No body: there will be no more.
        if body.is_null() {
            return Ok(());
        }
        let candidate: RTCIceCandidateInit = serde_json::from_value(body)?;
        let remote = self.connection.remote_description().await;
        // The crate would take it for one of the present generation.
        if remote
            .as_ref()
            .is_some_and(|remote| is_stale(&candidate, &remote.sdp))
        {
            return Ok(());
        }
        match self.connection.add_ice_candidate(candidate).await {
            Err(error) if !self.ignoring_offer => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Sends a candidate of this side.
    pub(crate) async fn tell(&self, candidate: &RTCIceCandidate) -> Result<(), Failure> {
        let local = self.connection.local_description().await;
        let fragment = local
            .as_ref()
            .and_then(|local| username_fragment(&local.sdp));
        let RTCIceCandidateInit { candidate, .. } = candidate.to_json()?;
        // All media are bundled, so that the first section stands for all; its mid is not known.
        let body = json!({
            "candidate": candidate, "sdpMLineIndex": 0, "usernameFragment": fragment,
        });
        self.sender.send(Kind::Candidate, body);
        Ok(())
    }

    /// Says that there will be no more candidates.
    pub(crate) fn tell_end(&self) {
        self.sender.send(Kind::Candidate, Value::Null);
    }

    fn stop_waiting(&mut self) {
        self.waits = false;
        self.head_start = None;
    }

    async fn offer(&mut self) -> Result<(), Failure> {
        let offer = self.connection.create_offer(None).await?;
        self.connection.set_local_description(offer).await?;
        self.offering = true;
        self.describe(Kind::Offer).await
    }

    async fn answer(&mut self, offer: RTCSessionDescription) -> Result<(), Failure> {
        let collision = self.offering;
        self.ignoring_offer = collision && !self.polite;
        if collision {
            let peer = &self.session;
            report::event("collision", json!({ "peer": peer, "polite": self.polite }));
        }
        if self.ignoring_offer {
            return Ok(());
        }
        self.stop_waiting();
        if collision {
            let rollback = RTCSessionDescription::rollback(None)?;
            self.connection.set_local_description(rollback).await?;
            self.offering = false;
        }
        self.connection.set_remote_description(offer).await?;
        let answer = self.connection.create_answer(None).await?;
        self.connection.set_local_description(answer).await?;
        self.describe(Kind::Answer).await
    }

    /// Sends the local description, with the candidates that are known by now.
    async fn describe(&self, kind: Kind) -> Result<(), Failure> {
        let local = self
            .connection
            .local_description()
            .await
            .ok_or("no local description")?;
        self.sender
            .send(kind, json!({ "type": kind, "sdp": local.sdp }));
        Ok(())
    }
}

/// Whether a candidate is of a generation that an ICE restart or a rollback has replaced.
fn is_stale(candidate: &RTCIceCandidateInit, sdp: &str) -> bool {
    match (
        candidate.username_fragment.as_deref(),
        username_fragment(sdp),
    ) {
        (Some(fragment), Some(present)) => fragment != present,
        _ => false,
    }
}

fn username_fragment(sdp: &str) -> Option<&str> {
    sdp.lines()
        .find_map(|line| line.strip_prefix("a=ice-ufrag:"))
        .map(str::trim_end)
}
