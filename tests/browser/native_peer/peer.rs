//! Another member of the room and the connection to it.

use crate::chat::Chat;
use crate::handler::Handler;
use crate::media::{self, Received, Silence};
use crate::negotiation::Negotiation;
use crate::path::Path;
use crate::session::Outgoing;
use crate::{Failure, report};
use peerage::client::{IceServer, Kind, Member};
use peerage::signal::SessionId;
use rtc::ice::mdns::MulticastDnsMode;
use rtc::peer_connection::transport::RTCDtlsRole;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};
use webrtc::peer_connection::{
    MediaEngine, PeerConnection, PeerConnectionBuilder, RTCConfiguration, RTCConfigurationBuilder,
    RTCIceCandidate, RTCIceServer, RTCIceTransportPolicy, RTCPeerConnectionState, Registry,
    SettingEngineBuilder, configure_nack, configure_rtcp_reports,
};

const REPORT_EVERY: Duration = Duration::from_secs(1);

/// How long a direct way is looked for before one by a relay will do.
const RELAY_WAIT: Duration = Duration::from_secs(6);

/// How connections are made.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) ice_servers: Vec<IceServer>,
    pub(crate) relay_only: bool,
    pub(crate) eager: bool,
    pub(crate) from: Vec<String>,
}

impl Settings {
    fn configuration(&self) -> RTCConfiguration {
        let servers = self.ice_servers.iter().map(|server| RTCIceServer {
            urls: server.urls.clone(),
            username: server.username.clone().unwrap_or_default(),
            credential: server.credential.clone().unwrap_or_default(),
        });
        let policy = match self.relay_only {
            true => RTCIceTransportPolicy::Relay,
            false => RTCIceTransportPolicy::All,
        };
        RTCConfigurationBuilder::new()
            .with_ice_servers(servers.collect())
            .with_ice_transport_policy(policy)
            .build()
    }

    /// The crate's is that of IPv4, and fails where there is none.
    fn multicast_dns(&self) -> MulticastDnsMode {
        match self.from.iter().all(|address| address.starts_with('[')) {
            true => MulticastDnsMode::Disabled,
            false => MulticastDnsMode::QueryOnly,
        }
    }

    /// The crate takes the first pair that works after this wait, and never leaves it for a better
    /// one: a busy machine must not make it settle for a relay that is not needed.
    fn relay_wait(&self) -> Option<Duration> {
        (!self.relay_only).then_some(RELAY_WAIT)
    }
}

/// What the task of a peer reacts to, one at a time.
pub(crate) enum Input {
    Signal(Kind, Value),
    Configure(Settings),
    NegotiationNeeded,
    LocalCandidate(Box<RTCIceCandidate>),
    GatheringComplete,
    State(RTCPeerConnectionState),
    Close,
}

/// A handle to the task that owns a connection.
pub(crate) struct Peer {
    /// The epoch in which the two met.
    pub(crate) met: u64,
    /// The present one: another where the meeting went on after a restart of the server.
    pub(crate) epoch: u64,
    inputs: mpsc::UnboundedSender<Input>,
    task: JoinHandle<()>,
}

impl Peer {
    /// Starts connecting to a member.
    pub(crate) fn open(
        member: &Member,
        settings: Settings,
        outbox: mpsc::UnboundedSender<Outgoing>,
    ) -> Self {
        let Member {
            ref name,
            polite,
            epoch,
            ..
        } = *member;
        let session = member.session.to_string();
        let met = json!({ "peer": session, "name": name, "polite": polite, "epoch": epoch });
        report::event("peer", met);
        let (inputs, receiver) = mpsc::unbounded_channel();
        let handler = Arc::new(Handler {
            inputs: inputs.clone(),
            received: Arc::default(),
        });
        let sender = Sender {
            to: member.session,
            met: epoch,
            outbox,
        };
        let task = tokio::spawn(async move {
            let opened = Connected::open(session.clone(), polite, settings, handler, sender).await;
            let result = match opened {
                Ok(peer) => peer.run(receiver).await,
                Err(failure) => Err(failure),
            };
            if let Err(failure) = result {
                fail(&session, &failure);
            }
        });
        Self {
            met: epoch,
            epoch,
            inputs,
            task,
        }
    }

    /// Takes in what the other side sent.
    pub(crate) fn take_in(&self, kind: Kind, body: Value) {
        self.tell(Input::Signal(kind, body));
    }

    /// Hands on new credentials.
    pub(crate) fn configure(&self, settings: Settings) {
        self.tell(Input::Configure(settings));
    }

    /// Closes the connection and gives back what it holds on the relay.
    pub(crate) async fn close(self) {
        self.tell(Input::Close);
        drop(self.task.await);
    }

    fn tell(&self, input: Input) {
        // A task that has failed has told so itself.
        drop(self.inputs.send(input));
    }
}

/// The way to the other side.
pub(crate) struct Sender {
    to: SessionId,
    met: u64,
    outbox: mpsc::UnboundedSender<Outgoing>,
}

impl Sender {
    pub(crate) fn send(&self, kind: Kind, body: Value) {
        let outgoing = Outgoing {
            kind,
            to: self.to,
            met: self.met,
            body,
        };
        // The session outlives its peers but for the last moment.
        drop(self.outbox.send(outgoing));
    }
}

/// The connection and all that goes on over it, owned by one task.
struct Connected {
    session: String,
    connection: Arc<dyn PeerConnection>,
    negotiation: Negotiation,
    received: Arc<Received>,
    silence: Option<Silence>,
    path: Path,
}

impl Connected {
    async fn open(
        session: String,
        polite: bool,
        settings: Settings,
        handler: Arc<Handler>,
        sender: Sender,
    ) -> Result<Self, Failure> {
        let received = Arc::clone(&handler.received);
        let connection = connect(&settings, handler).await?;
        let chat = Chat::open(session.clone(), connection.as_ref()).await?;
        tokio::spawn(chat.run());
        let silence = Some(Silence::add(connection.as_ref()).await?);
        media::reserve_video(connection.as_ref()).await?;
        let mut negotiation =
            Negotiation::new(Arc::clone(&connection), session.clone(), polite, sender);
        if settings.eager {
            negotiation.start_eagerly().await?;
        }
        let path = Path::default();
        Ok(Self {
            session,
            connection,
            negotiation,
            received,
            silence,
            path,
        })
    }

    async fn run(mut self, mut inputs: mpsc::UnboundedReceiver<Input>) -> Result<(), Failure> {
        let mut ticks = interval(REPORT_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                input = inputs.recv() => match input {
                    None | Some(Input::Close) => break,
                    Some(input) => {
                        if let Err(failure) = self.take_in(input).await {
                            fail(&self.session, &failure);
                        }
                    }
                },
                () = self.negotiation.head_start() => self.negotiation.head_start_over().await?,
                _ = ticks.tick() => self.tell().await?,
            }
        }
        Ok(self.connection.close().await?)
    }

    async fn take_in(&mut self, input: Input) -> Result<(), Failure> {
        match input {
            Input::Signal(Kind::Candidate, body) => self.negotiation.candidate(body).await,
            Input::Signal(kind, body) => self.negotiation.description(kind, &body).await,
            Input::Configure(settings) => Ok(self
                .connection
                .set_configuration(settings.configuration())
                .await?),
            Input::NegotiationNeeded => self.negotiation.needed().await,
            Input::LocalCandidate(candidate) => self.negotiation.tell(&candidate).await,
            Input::GatheringComplete => {
                self.negotiation.tell_end();
                Ok(())
            }
            Input::State(state) => self.changed(state).await,
            Input::Close => Ok(()),
        }
    }

    async fn changed(&mut self, state: RTCPeerConnectionState) -> Result<(), Failure> {
        // "connected" and "failed" are what a suite waits for.
        report::event(&state.to_string(), json!({ "peer": self.session }));
        if state == RTCPeerConnectionState::Connected {
            if let Some(silence) = self.silence.take() {
                tokio::spawn(silence.send());
            }
            self.tell().await?;
        }
        Ok(())
    }

    async fn tell(&mut self) -> Result<(), Failure> {
        self.received.tell(&self.session);
        self.path
            .tell(&self.session, self.connection.as_ref())
            .await
    }
}

async fn connect(
    settings: &Settings,
    handler: Arc<Handler>,
) -> Result<Arc<dyn PeerConnection>, Failure> {
    let mut codecs = MediaEngine::default();
    codecs.register_default_codecs()?;
    // No header extensions: Chromium keeps the numbers of an offer that it has taken back, and can
    // make no other beside ours where they differ.
    let interceptors = configure_rtcp_reports(configure_nack(Registry::new(), &mut codecs));
    // The crate answers every offer with the role set here, while a browser insists that the first
    // one is kept. As browsers answer "active", this side is the server whoever offers first.
    let setting = SettingEngineBuilder::new()
        .with_answering_dtls_role(RTCDtlsRole::Server)
        .with_multicast_dns_mode(settings.multicast_dns())
        .with_relay_acceptance_min_wait(settings.relay_wait())
        .build();
    let connection = PeerConnectionBuilder::new()
        .with_configuration(settings.configuration())
        .with_media_engine(codecs)
        .with_setting_engine(setting)
        .with_interceptor_registry(interceptors)
        .with_handler(handler)
        // The crate makes this one socket an interface, loopback left out as browsers do.
        .with_udp_addrs(settings.from.clone())
        .build()
        .await?;
    Ok(Arc::new(connection))
}

fn fail(session: &str, failure: &Failure) {
    report::event(
        "peer-error",
        json!({ "peer": session, "message": failure.to_string() }),
    );
}
