//! Which path the media take.

use crate::{Failure, report};
use serde_json::{Value, json};
use webrtc::peer_connection::{PeerConnection, RTCIceCandidate};

/// Tells of the selected pair of candidates when it changes.
#[derive(Default)]
pub(crate) struct Path {
    told: Option<Value>,
}

impl Path {
    pub(crate) async fn tell(
        &mut self,
        session: &str,
        connection: &dyn PeerConnection,
    ) -> Result<(), Failure> {
        let Some(sctp) = connection.sctp().await else {
            return Ok(());
        };
        let ice = sctp.transport().ice_transport();
        let Some(pair) = ice.get_selected_candidate_pair().await? else {
            return Ok(());
        };
        let (local, remote) = (pair.local(), pair.remote());
        let path = json!({
            "peer": session,
            "local": local.typ.to_string(),
            "remote": remote.typ.to_string(),
            "protocol": local.protocol.to_string(),
            "localAddress": address(local),
            "remoteAddress": address(remote),
        });
        if self.told.as_ref() != Some(&path) {
            report::event("selected", path.clone());
            self.told = Some(path);
        }
        Ok(())
    }
}

fn address(candidate: &RTCIceCandidate) -> String {
    format!("{}:{}", candidate.address, candidate.port)
}
