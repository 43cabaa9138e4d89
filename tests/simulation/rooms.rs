//! What a client knows of its rooms, and that it is told nothing impossible of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use peerage::signal::{
    KnockNews, KnockState, Meeting, Member, Message, Role, RoomSnapshot, SessionId, State,
    StateEntry,
};

/// How one client sees another member of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) polite: bool,
    pub(crate) epoch: u64,
    pub(crate) role: Option<Role>,
    pub(crate) suspended: bool,
    pub(crate) continues: Option<u64>,
}

pub(crate) type Views = BTreeMap<SessionId, View>;

#[derive(Default)]
pub(crate) struct Rooms {
    pub(crate) views: BTreeMap<String, Views>,
    /// The rooms as they were before a restart, and which of them are to be joined again.
    before: BTreeMap<String, Views>,
    missing: BTreeSet<String>,
    versions: BTreeMap<String, u64>,
    /// What each room keeps: its entries, whether it is locked, and who knocks.
    pub(crate) state: BTreeMap<String, BTreeMap<String, (String, u64)>>,
    pub(crate) locked: BTreeMap<String, bool>,
    pub(crate) knocks: BTreeMap<String, BTreeSet<SessionId>>,
    pub(crate) had_knock: bool,
    /// What this client is in each room.
    pub(crate) roles: BTreeMap<String, Role>,
}

impl Rooms {
    /// The session is another one, and in no room.
    pub(crate) fn forget(&mut self) {
        self.views.clear();
        self.before.clear();
        self.missing.clear();
        self.versions.clear();
    }

    /// The server has been restarted, and knows of none. Gives those to join again.
    pub(crate) fn begin_again(&mut self) -> Vec<String> {
        let views = std::mem::take(&mut self.views);
        self.missing.extend(views.keys().cloned());
        self.before.extend(views);
        self.missing.iter().cloned().collect()
    }

    /// With whom this client was in a room before a restart.
    pub(crate) fn meetings(&self, room: &str) -> Vec<Meeting> {
        let before = self
            .before
            .get(room)
            .filter(|_| self.missing.contains(room));
        let before = before.into_iter().flatten();
        let meetings = before.map(|(&session, view)| Meeting {
            session,
            epoch: view.epoch,
            polite: view.polite,
        });
        meetings.collect()
    }

    pub(crate) fn enter(&mut self, room: &RoomSnapshot) {
        let name = room.room.to_string();
        let version = self.versions.insert(name.clone(), room.version);
        assert!(version <= Some(room.version), "never an earlier version");
        let members = room.members.iter().map(|member| (id(member), view(member)));
        let members: Views = members.collect();
        for (session, view) in &members {
            self.check_meeting(&name, *session, view);
        }
        self.missing.remove(&name);
        self.views.insert(name.clone(), members);
        self.roles.insert(name.clone(), room.standing.role);
        self.locked.insert(name.clone(), room.settings.locked);
        self.state.remove(&name);
        self.change_state(&name, &room.state);
        let knocks = room.knocks.iter().flatten();
        let knocks = knocks.map(|profile| profile.session).collect();
        self.knocks.insert(name, knocks);
    }

    /// A meeting that is said to go on is one that this client had; and epochs only grow.
    fn check_meeting(&self, room: &str, session: SessionId, view: &View) {
        let before = self.before.get(room);
        let before = before.and_then(|before| before.get(&session));
        assert!(before.is_none_or(|it| it.epoch < view.epoch), "later");
        if let Some(epoch) = view.continues {
            let before = before.expect("only a meeting that there was goes on");
            assert_eq!((before.epoch, before.polite), (epoch, view.polite));
        }
    }

    fn moves_on(&mut self, room: &str, version: u64) {
        let before = self.versions.insert(room.to_owned(), version);
        assert!(before < Some(version), "a later version each time");
    }

    pub(crate) fn presence(&mut self, room: &str, version: u64, member: &Member) {
        self.moves_on(room, version);
        let members = self.views.get(room).expect("told only of one's rooms");
        let (session, view) = (id(member), view(member));
        if let Some(before) = members.get(&session) {
            assert_eq!(before.epoch, view.epoch, "a pair has one epoch a meeting");
            assert_eq!(before.polite, view.polite);
        } else {
            // Who was let in may have lost its connection while it knocked.
            let comes = !matches!(member.state, State::Left(_));
            assert!(comes, "who was not there can only come");
            self.check_meeting(room, session, &view);
        }
        let members = self.views.entry(room.to_owned()).or_default();
        match member.state {
            State::Left(_) => members.remove(&session),
            State::Joined | State::Suspended => members.insert(session, view),
        };
    }

    /// Something about a room has changed, beside its members.
    pub(crate) fn learn(&mut self, message: &Message) {
        match message {
            Message::Role(change) => {
                self.moves_on(&change.room, change.version);
                let role = change.standing.role;
                self.roles.insert(change.room.to_string(), role);
            }
            Message::Room(change) => {
                let room = change.room.to_string();
                let is_locked = change.settings.locked;
                // What is like that already is confirmed to who has asked, and no change.
                let is_known = self.versions.get(&room) == Some(&change.version);
                if is_known && change.re.is_some() {
                    assert_eq!(self.locked.get(&room), Some(&is_locked));
                } else {
                    self.moves_on(&room, change.version);
                    self.locked.insert(room, is_locked);
                }
            }
            Message::State(change) => {
                self.moves_on(&change.room, change.version);
                self.change_state(&change.room, &change.entries);
            }
            Message::Knock(news) => self.hear_knock(news),
            _ => {}
        }
    }

    fn change_state(&mut self, room: &str, entries: &[Arc<StateEntry>]) {
        let state = self.state.entry(room.to_owned()).or_default();
        for entry in entries {
            let key = entry.key.to_string();
            let _ = match &entry.value {
                Some(value) => state.insert(key, (value.get().to_owned(), entry.version)),
                None => state.remove(&key),
            };
        }
    }

    fn hear_knock(&mut self, news: &KnockNews) {
        self.had_knock = true;
        assert_eq!(self.roles[&*news.room], Role::Host, "only who may let in");
        let waiting = self.knocks.entry(news.room.to_string()).or_default();
        match news.state {
            KnockState::Waiting => waiting.insert(news.profile.session),
            _ => waiting.remove(&news.profile.session),
        };
        assert!(waiting.len() < 5, "knocks are bounded");
    }
}

fn id(member: &Member) -> SessionId {
    member.profile.session
}

fn view(member: &Member) -> View {
    View {
        polite: member.polite,
        epoch: member.epoch,
        role: Some(member.role),
        suspended: member.state == State::Suspended,
        continues: member.continues,
    }
}
