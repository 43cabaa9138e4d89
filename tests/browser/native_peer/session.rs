//! The membership in the room: who is there, and which peer belongs to whom.

use crate::peer::{Peer, Settings};
use crate::signaling::{Member, MemberState, Message, Signal, SignalKind, Signaling};
use crate::{Failure, Options, report};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::mpsc;

/// So long the server may take to close the connection after `bye`.
const FAREWELL: Duration = Duration::from_secs(2);

/// What a peer has to say to its other side.
pub(crate) struct Outgoing {
    pub(crate) kind: SignalKind,
    pub(crate) to: String,
    pub(crate) epoch: u64,
    pub(crate) body: Value,
}

/// Joins the room and stays until `stop` resolves.
pub(crate) async fn run(options: Options, stop: impl Future<Output = ()>) -> Result<(), Failure> {
    let signaling = Signaling::connect(&options.url).await?;
    let (outbox, mut outgoing) = mpsc::unbounded_channel();
    let settings = Settings {
        ice_servers: Vec::new(),
        relay_only: options.relay_only,
        eager: options.eager,
        from: options.from,
    };
    let mut session = Session {
        room: options.room,
        signaling,
        settings,
        outbox,
        peers: HashMap::new(),
    };
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return session.leave().await,
            message = session.signaling.next() => session.take_in(message?).await?,
            Some(signal) = outgoing.recv() => session.say(signal).await?,
        }
    }
}

struct Session {
    room: String,
    signaling: Signaling,
    settings: Settings,
    outbox: mpsc::UnboundedSender<Outgoing>,
    peers: HashMap<String, Peer>,
}

impl Session {
    async fn take_in(&mut self, message: Message) -> Result<(), Failure> {
        match message {
            Message::Welcome {
                session,
                ice_servers,
            } => {
                report::event("welcome", json!({ "session": session }));
                self.settings.ice_servers = ice_servers;
                self.join().await?;
            }
            Message::Joined { members } => {
                report::event(
                    "joined",
                    json!({ "room": self.room, "members": members.len() }),
                );
                for member in members {
                    self.meet(member).await;
                }
            }
            Message::Presence { member } => self.meet(member).await,
            Message::Offer(signal) => self.hand_on(SignalKind::Offer, signal),
            Message::Answer(signal) => self.hand_on(SignalKind::Answer, signal),
            Message::Candidate(signal) => self.hand_on(SignalKind::Candidate, signal),
            Message::IceServers { ice_servers } => {
                self.settings.ice_servers = ice_servers;
                for peer in self.peers.values() {
                    peer.configure(self.settings.clone());
                }
            }
            Message::Error { code, message } => {
                report::event("refused", json!({ "code": code, "message": message }));
            }
            Message::Other => {}
        }
        Ok(())
    }

    async fn join(&mut self) -> Result<(), Failure> {
        // The data is what the call application reads: which media this member sends.
        let data = json!({ "audio": true, "video": false, "screen": false });
        let join = json!({ "type": "join", "room": self.room, "name": "Native", "data": data });
        self.signaling.request(join).await
    }

    /// Opens, keeps or ends the peer of a member. Another epoch is another meeting.
    async fn meet(&mut self, member: Member) {
        let known = self.peers.get(&member.session).map(|peer| peer.epoch);
        if member.state == MemberState::Left {
            if known == Some(member.epoch) {
                self.part(&member.session).await;
            }
            return;
        }
        if known == Some(member.epoch) {
            return;
        }
        self.part(&member.session).await;
        let peer = Peer::open(&member, self.settings.clone(), self.outbox.clone());
        self.peers.insert(member.session, peer);
    }

    async fn part(&mut self, session: &str) {
        let Some(peer) = self.peers.remove(session) else {
            return;
        };
        peer.close().await;
        report::event("left", json!({ "peer": session }));
    }

    fn hand_on(&self, kind: SignalKind, signal: Signal) {
        let peer = self.peers.get(&signal.from);
        if let Some(peer) = peer.filter(|peer| peer.epoch == signal.epoch) {
            peer.take_in(kind, signal.body);
        }
    }

    async fn say(&mut self, signal: Outgoing) -> Result<(), Failure> {
        let Outgoing {
            kind,
            to,
            epoch,
            body,
        } = signal;
        // What a peer said before it was closed would only be answered with `stale_epoch`.
        if self.peers.get(&to).map(|peer| peer.epoch) != Some(epoch) {
            return Ok(());
        }
        let message = json!({
            "type": kind.name(), "room": self.room, "to": to, "epoch": epoch, "body": body,
        });
        self.signaling.request(message).await
    }

    async fn leave(mut self) -> Result<(), Failure> {
        let farewell = tokio::time::timeout(FAREWELL, self.signaling.bye());
        farewell
            .await
            .unwrap_or_else(|_| Err("the server did not answer the bye".into()))?;
        for (_, peer) in self.peers.drain() {
            peer.close().await;
        }
        report::event("bye", json!({}));
        Ok(())
    }
}
