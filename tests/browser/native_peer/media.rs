//! The media: what comes is counted, what goes is silence.

use crate::{Failure, report};
use rtc::rtp::{Header, Packet};
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind,
};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::interval;
use webrtc::media_stream::MediaStreamTrack;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::PeerConnection;
use webrtc::rtp_transceiver::{
    RTCRtpTransceiverDirection, RTCRtpTransceiverInit, RtpSender, RtpTransceiver,
};

/// What has come from a peer.
#[derive(Default)]
pub(crate) struct Received {
    audio: Count,
    video: Count,
}

#[derive(Default)]
struct Count {
    packets: AtomicU64,
    bytes: AtomicU64,
    told: AtomicU64,
}

impl Received {
    /// Counts the packets of a track until it ends.
    pub(crate) async fn count(self: Arc<Self>, track: Arc<dyn TrackRemote>) {
        let count = match track.kind().await {
            RtpCodecKind::Audio => &self.audio,
            _ => &self.video,
        };
        while let Some(event) = track.poll().await {
            if let TrackRemoteEvent::OnRtpPacket(packet) = event {
                count.packets.fetch_add(1, Ordering::Relaxed);
                count
                    .bytes
                    .fetch_add(packet.payload.len() as u64, Ordering::Relaxed);
            }
        }
    }

    /// Tells what has come, of each kind of which there is more than last time.
    pub(crate) fn tell(&self, session: &str) {
        self.audio.tell(session, "audio");
        self.video.tell(session, "video");
    }
}

impl Count {
    fn tell(&self, session: &str, kind: &str) {
        let packets = self.packets.load(Ordering::Relaxed);
        let bytes = self.bytes.load(Ordering::Relaxed);
        if self.told.swap(packets, Ordering::Relaxed) != packets {
            let fields =
                json!({ "peer": session, "kind": kind, "packets": packets, "bytes": bytes });
            report::event("rtp", fields);
        }
    }
}

const CLOCK_RATE: u32 = 48_000;
const FRAME: Duration = Duration::from_millis(20);
const FRAME_SAMPLES: u32 = 960;
/// 20 ms of silence in Opus.
const SILENT_FRAME: &[u8] = &[0xf8, 0xff, 0xfe];

/// Makes room for a camera that stays off, as the call application does.
///
/// It also gives this side's offers the sections of the application's. Chromium fails to take a
/// first offer back for one with fewer sections: it looks for its data channel under the old mid.
pub(crate) async fn reserve_video(connection: &dyn PeerConnection) -> Result<(), Failure> {
    let codec = RTCRtpCodec {
        mime_type: "video/VP8".to_owned(),
        clock_rate: 90_000,
        ..Default::default()
    };
    let track = local_track("video", RtpCodecKind::Video, codec, getrandom::u32()?);
    add(connection, track).await?;
    Ok(())
}

/// An audio track of nothing but silence.
pub(crate) struct Silence {
    track: Arc<TrackLocalStaticRTP>,
    sender: Arc<dyn RtpSender>,
    ssrc: u32,
}

impl Silence {
    pub(crate) async fn add(connection: &dyn PeerConnection) -> Result<Self, Failure> {
        // Two of this program must not send under the same source to each other.
        let ssrc = getrandom::u32()?;
        let codec = RTCRtpCodec {
            mime_type: "audio/opus".to_owned(),
            clock_rate: CLOCK_RATE,
            channels: 2,
            sdp_fmtp_line: "minptime=10;useinbandfec=1".to_owned(),
            ..Default::default()
        };
        let track = local_track("audio", RtpCodecKind::Audio, codec, ssrc);
        let transceiver = add(connection, Arc::clone(&track)).await?;
        let sender = transceiver
            .sender()
            .await?
            .ok_or("a transceiver without a sender")?;
        Ok(Self {
            track,
            sender,
            ssrc,
        })
    }

    /// Sends until the connection is closed.
    pub(crate) async fn send(self) {
        let mut frames = interval(FRAME);
        let mut header = Header {
            version: 2,
            ssrc: self.ssrc,
            ..Default::default()
        };
        loop {
            frames.tick().await;
            header.sequence_number = header.sequence_number.wrapping_add(1);
            header.timestamp = header.timestamp.wrapping_add(FRAME_SAMPLES);
            // Not known before the track is negotiated, which may be after the connection is.
            let Some(payload_type) = self.payload_type().await else {
                continue;
            };
            header.payload_type = payload_type;
            let packet = Packet {
                header: header.clone(),
                payload: SILENT_FRAME.into(),
            };
            if self.track.write_rtp(packet).await.is_err() {
                return;
            }
        }
    }

    async fn payload_type(&self) -> Option<u8> {
        let parameters = self.sender.get_parameters().await.ok()?;
        parameters
            .rtp_parameters
            .codecs
            .first()
            .map(|codec| codec.payload_type)
    }
}

/// Adds a track that is only sent, as in the browser's client, so that no offer of the other side
/// takes its transceiver over.
async fn add(
    connection: &dyn PeerConnection,
    track: Arc<TrackLocalStaticRTP>,
) -> Result<Arc<dyn RtpTransceiver>, Failure> {
    let direction = RTCRtpTransceiverDirection::Sendonly;
    let init = RTCRtpTransceiverInit {
        direction,
        ..Default::default()
    };
    Ok(connection
        .add_transceiver_from_track(track, Some(init))
        .await?)
}

fn local_track(
    label: &str,
    kind: RtpCodecKind,
    codec: RTCRtpCodec,
    ssrc: u32,
) -> Arc<TrackLocalStaticRTP> {
    let coding = RTCRtpCodingParameters {
        ssrc: Some(ssrc),
        ..Default::default()
    };
    let encoding = RTCRtpEncodingParameters {
        rtp_coding_parameters: coding,
        codec,
        ..Default::default()
    };
    let (stream, label) = ("native".to_owned(), label.to_owned());
    let track = MediaStreamTrack::new(stream, label.clone(), label, kind, vec![encoding]);
    Arc::new(TrackLocalStaticRTP::new(track))
}
