//! The membership in the room: who is there, and which peer belongs to whom.

use crate::peer::{Peer, Settings};
use crate::{Failure, Options, report};
use peerage::client::{
    self, Body, Client, Event, Kind, Member, MemberState, Profile, Request, Resumed, RoomMembers,
    Said, Seal, Trust,
};
use peerage::signal::SessionId;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::mpsc;

/// So long the server may take to close the connection after `bye`.
const FAREWELL: Duration = Duration::from_secs(2);

/// What a peer has to say to its other side.
pub(crate) struct Outgoing {
    pub(crate) kind: Kind,
    pub(crate) to: SessionId,
    /// The epoch in which the two met; a restart of the server may have given another one since.
    pub(crate) met: u64,
    pub(crate) body: Value,
}

/// Joins the room and stays until `stop` resolves.
pub(crate) async fn run(options: Options, stop: impl Future<Output = ()>) -> Result<(), Failure> {
    let (outbox, mut outgoing) = mpsc::unbounded_channel();
    let mut session = Session::new(options, outbox)?;
    session.join()?;
    tokio::pin!(stop);
    loop {
        let has_room = session.client.waiting() < session.capacity;
        tokio::select! {
            () = &mut stop => return session.leave().await,
            event = session.client.next() => {
                let event = event.ok_or("the session is over")?;
                session.take_in(event).await?;
            }
            Some(signal) = outgoing.recv(), if has_room => session.say(signal)?,
        }
    }
}

struct Session {
    /// As the server knows it.
    room: String,
    client: Client,
    /// How much may wait for the server.
    capacity: usize,
    settings: Settings,
    outbox: mpsc::UnboundedSender<Outgoing>,
    peers: HashMap<SessionId, Peer>,
}

impl Session {
    fn new(options: Options, outbox: mpsc::UnboundedSender<Outgoing>) -> Result<Self, Failure> {
        let mut settings = client::Settings::new(&options.url)?;
        settings.name = "native-peer".into();
        // The suites make their certificates themselves.
        settings.trust = Trust::Anybody;
        let capacity = settings.outbox;
        let mut client = Client::new(settings)?;
        let room = match options.key {
            None => options.room,
            Some(key) => {
                let seal = Seal::new(&options.room, &key)?;
                let room = seal.room().to_owned();
                client.seal(seal);
                room
            }
        };
        Ok(Self {
            room,
            client,
            capacity,
            settings: Settings {
                ice_servers: Vec::new(),
                relay_only: options.relay_only,
                eager: options.eager,
                from: options.from,
            },
            outbox,
            peers: HashMap::new(),
        })
    }

    fn join(&mut self) -> Result<(), Failure> {
        let mut profile = Profile::named("Native");
        // The data is what the call application reads: which media this member sends.
        let data = json!({ "audio": true, "video": false, "screen": false });
        profile.data = Some(Body::new(&data)?);
        self.client.ask(Request::join(&self.room, profile))?;
        Ok(())
    }

    async fn take_in(&mut self, event: Event) -> Result<(), Failure> {
        match event {
            Event::Connected {
                session, resumed, ..
            } => {
                let session = session.to_string();
                report::event("welcome", json!({ "session": session }));
                // Nobody knows this side any more; those who are there are met anew.
                if resumed == Resumed::None {
                    self.part_from(|_| true).await;
                }
            }
            Event::Joined { room, .. } => {
                let members = room.members.len();
                report::event("joined", json!({ "room": self.room, "members": members }));
                for member in &room.members {
                    self.meet(member).await;
                }
            }
            Event::Snapshot { rooms } => self.see(&rooms).await,
            Event::Presence { member, .. } => self.meet(&member).await,
            Event::Missing { session, .. } => self.part(session).await,
            Event::Said(said) => self.hand_on(&said)?,
            Event::IceServers { servers, .. } => {
                self.settings.ice_servers = servers;
                for peer in self.peers.values() {
                    peer.configure(self.settings.clone());
                }
            }
            Event::Refused { code, message, .. } => {
                report::event("refused", json!({ "code": code, "message": message }));
            }
            Event::Ended(end) => return Err(format!("the session is over: {end:?}").into()),
            _ => {}
        }
        Ok(())
    }

    /// Who is not in the server's account is there no more.
    async fn see(&mut self, rooms: &[RoomMembers]) {
        let members: Vec<_> = rooms.iter().flat_map(|room| &room.members).collect();
        self.part_from(|session| members.iter().all(|member| member.session != session))
            .await;
        for member in members {
            self.meet(member).await;
        }
    }

    /// Opens, keeps or ends the peer of a member. Another epoch is another meeting, unless it is
    /// said to continue the one before.
    async fn meet(&mut self, member: &Member) {
        if member.state == MemberState::Left {
            return self.part(member.session).await;
        }
        if let Some(peer) = self.peers.get_mut(&member.session)
            && (peer.epoch == member.epoch || Some(peer.epoch) == member.continues)
        {
            if peer.epoch != member.epoch {
                report::event("continues", json!({ "peer": member.session.to_string() }));
            }
            peer.epoch = member.epoch;
            return;
        }
        self.part(member.session).await;
        let peer = Peer::open(member, self.settings.clone(), self.outbox.clone());
        self.peers.insert(member.session, peer);
    }

    async fn part(&mut self, session: SessionId) {
        self.part_from(|known| known == session).await;
    }

    async fn part_from(&mut self, is_meant: impl Fn(SessionId) -> bool) {
        let parted: Vec<_> = self
            .peers
            .extract_if(|&session, _| is_meant(session))
            .collect();
        for (session, peer) in parted {
            peer.close().await;
            report::event("left", json!({ "peer": session.to_string() }));
        }
    }

    fn hand_on(&self, said: &Said) -> Result<(), Failure> {
        let peer = self.peers.get(&said.from);
        if let Some(peer) = peer.filter(|peer| peer.epoch == said.epoch) {
            peer.take_in(said.kind, serde_json::from_str(said.body.json())?);
        }
        Ok(())
    }

    fn say(&mut self, signal: Outgoing) -> Result<(), Failure> {
        let Outgoing {
            kind,
            to,
            met,
            body,
        } = signal;
        // What a peer said before it was closed would only be answered with `stale_epoch`.
        let Some(peer) = self.peers.get(&to).filter(|peer| peer.met == met) else {
            return Ok(());
        };
        self.client.ask(Request::Say {
            room: self.room.as_str().into(),
            to,
            kind,
            epoch: Some(peer.epoch),
            body: Body::new(&body)?,
        })?;
        Ok(())
    }

    async fn leave(mut self) -> Result<(), Failure> {
        self.client.close();
        let farewell = async { while self.client.next().await.is_some() {} };
        tokio::time::timeout(FAREWELL, farewell)
            .await
            .map_err(|_| "the server did not answer the bye")?;
        for (_, peer) in self.peers.drain() {
            peer.close().await;
        }
        report::event("bye", json!({}));
        Ok(())
    }
}
