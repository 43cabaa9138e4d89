//! What has to be true of a world.

use std::time::Duration;

use peerage::signal::{Role, SessionId};
use peerage::time::Instant;

use crate::client::Client;
use crate::person::Person;
use crate::world::{CLIENTS, ROOMS, World};

/// Where nothing is broken, what becomes of a word is known within this time.
const RESOLVES_WITHIN: Duration = Duration::from_secs(15);
/// When nothing has come from a client for so long, its session is over.
const OVER_AFTER: Duration = Duration::from_secs(95);
/// A client that is connected and acknowledges nothing for so long loses its connection.
const HEEDED_WITHIN: Duration = Duration::from_secs(30);
/// For how long, once connected, one waits after a restart for those to whom something is to be
/// said again.
const WAITED_FOR: Duration = Duration::from_secs(96);

impl World {
    /// What is true at any time. What clients are told they have checked themselves.
    pub(crate) fn check(&mut self) {
        let now = self.now.instant;
        self.note_trouble();
        self.check_wires();
        assert!(self.hub.rooms() <= ROOMS.len());
        for (number, word) in self.ledger.open() {
            let since = self.may_wait_since(word.client, word.to, word.at);
            let within = RESOLVES_WITHIN + self.unheeded_for(word.to, since);
            assert!(now <= since + within, "{number}: no fate: {word:?}");
        }
    }

    pub(crate) fn check_wires(&self) {
        for wire in self.wires.values() {
            wire.check_found(self.now.instant);
        }
    }

    /// Whoever is not well at this moment may be told later, and so may who waits for somebody
    /// that forgets to acknowledge.
    pub(crate) fn note_trouble(&mut self) {
        let now = self.now.instant;
        for client in 0..CLIENTS {
            if !self.are_well(client) {
                self.troubled[client] = now;
            }
            if self.people[client].is_forgetful(now) {
                self.forgot[client] = Some(now);
            }
        }
    }

    /// For how long the addressees of something may have heeded nothing before it is noticed.
    fn unheeded_for(&self, to: Option<SessionId>, since: Instant) -> Duration {
        let forgot = match to {
            Some(to) => self.forgot[self.owners[&to]],
            None => self.forgot.iter().copied().flatten().max(),
        };
        forgot
            .filter(|at| *at >= since)
            .map_or(Duration::ZERO, |_| HEEDED_WITHIN)
    }

    /// Since when nothing keeps a word from its fate.
    fn may_wait_since(&self, from: usize, to: Option<SessionId>, at: Instant) -> Instant {
        let to = to.map(|to| self.owners[&to]);
        let others = (0..CLIENTS).filter(|other| to.is_none_or(|to| *other == to));
        let others = others.map(|it| self.troubled[it].min(self.heard[it] + OVER_AFTER));
        let connected = |at: Instant| at.max(self.troubled[from]);
        let again = self.restored[from].map(|at| connected(at) + WAITED_FOR);
        let again = again.filter(|_| self.ledger.restarted.is_some());
        let since = others.chain(again).chain([at, self.troubled[from]]);
        since.max().expect("one at least")
    }

    /// Everybody sees the same rooms, and each pair agrees on its roles and its epoch.
    pub(crate) fn check_views(&self) {
        for room in ROOMS {
            let inside = self.people.iter().enumerate();
            let inside = inside.filter(|(_, person)| person.views(room).is_some());
            let inside: Vec<_> = inside
                .map(|(it, person)| (it, person.session().expect("welcome"), person))
                .collect();
            for (one, session, person) in &inside {
                let views = person.views(room).expect("it is inside");
                assert_eq!(
                    views.len() + 1,
                    inside.len(),
                    "{one} sees no ghosts: {views:?}"
                );
                for (_, other, others) in inside.iter().filter(|(it, ..)| it != one) {
                    let (mine, theirs) = (person.view(room, *other), others.view(room, *session));
                    let (mine, theirs) = (mine.expect("it is there"), theirs.expect("so am I"));
                    assert_eq!(mine.epoch, theirs.epoch);
                    assert_ne!(mine.polite, theirs.polite);
                    assert!(!mine.suspended, "all are back");
                }
            }
            self.check_strict(room);
        }
    }

    fn strict(&self, room: &str) -> Vec<&Client> {
        let strict = self.people.iter().filter_map(|person| match person {
            Person::Strict(client) => Some(&**client),
            Person::Library(_) => None,
        });
        let inside = strict.filter(|client| client.rooms.views.contains_key(room));
        inside.collect()
    }

    /// All strict members see the same state and the same lock, and one of all is the host.
    fn check_strict(&self, room: &str) {
        let strict = self.strict(room);
        let Some(first) = strict.first() else { return };
        for client in &strict {
            assert_eq!(client.rooms.state.get(room), first.rooms.state.get(room));
            assert_eq!(client.rooms.locked[room], first.rooms.locked[room]);
            let views = &client.rooms.views[room];
            let others = views.values().filter_map(|view| view.role);
            let roles = others.chain([client.rooms.roles[room]]);
            let hosts = roles.filter(|role| *role == Role::Host).count();
            assert_eq!(hosts, 1, "one host: {views:?}");
            for other in &strict {
                let session = other.session().expect("welcome");
                let Some(view) = views.get(&session) else {
                    continue;
                };
                assert_eq!(view.role, Some(other.rooms.roles[room]));
                let own = client.session().expect("welcome");
                let theirs = &other.rooms.views[room][&own];
                assert_eq!(view.continues, theirs.continues, "both or neither go on");
            }
        }
    }

    /// What has happened in this world at all, and how often.
    pub(crate) fn happened(&self) -> Vec<(&'static str, u32)> {
        let of_clients = self.people.iter().filter_map(|person| match person {
            Person::Strict(client) => Some(client.seen_at_all.iter()),
            Person::Library(_) => None,
        });
        let all = of_clients.flatten().chain(&self.seen);
        all.chain(&self.ledger.fates)
            .map(|(&it, &n)| (it, n))
            .collect()
    }
}
