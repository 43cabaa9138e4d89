//! What the peer connection tells, passed on to the task that owns it.

use crate::media::Received;
use crate::peer::Input;
use async_trait::async_trait;
use std::sync::Arc;
use tokio::sync::mpsc;
use webrtc::media_stream::track_remote::TrackRemote;
use webrtc::peer_connection::{
    PeerConnectionEventHandler, RTCIceGatheringState, RTCPeerConnectionIceEvent,
    RTCPeerConnectionState,
};

/// The callbacks run inside the connection's own task, so none of them may wait for it.
pub(crate) struct Handler {
    pub(crate) inputs: mpsc::UnboundedSender<Input>,
    pub(crate) received: Arc<Received>,
}

impl Handler {
    fn tell(&self, input: Input) {
        // The task is gone only when the peer is closed; then nothing matters any more.
        drop(self.inputs.send(input));
    }
}

#[async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_negotiation_needed(&self) {
        self.tell(Input::NegotiationNeeded);
    }

    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        self.tell(Input::LocalCandidate(Box::new(event.candidate)));
    }

    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.tell(Input::GatheringComplete);
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        self.tell(Input::State(state));
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        tokio::spawn(Arc::clone(&self.received).count(track));
    }
}
