//! Who is in which room, and what was announced there, as signaling says it: where allocations only
//! talk within rooms, all workers ask this.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::reviews::Reviews;
use super::room::{ADDRESSES, Nobody, Room, SessionParty};
use crate::auth::session_of;
use crate::turn::{FiveTuple, Party};

/// Who is in which room, and what was announced there. Sessions are known by the name that is in
/// their credentials.
#[derive(Debug, Default)]
pub struct Rooms {
    state: Mutex<State>,
    reviews: Reviews,
}

#[derive(Debug, Default)]
struct State {
    /// Of the last session or room.
    last_number: u64,
    /// Those that have an allocation or are in a room.
    sessions: HashMap<Box<str>, Session>,
    /// Those that somebody is in.
    rooms: HashMap<Box<str>, Members>,
    /// Whose allocations are made from where.
    clients: HashMap<FiveTuple, Box<str>>,
}

#[derive(Debug)]
struct Session {
    party: Arc<SessionParty>,
    /// The names of the rooms that it is in: few.
    rooms: Vec<Box<str>>,
    allocations: u32,
    /// From where these are made, and which worker has them.
    clients: HashMap<FiveTuple, usize>,
}

#[derive(Debug)]
struct Members {
    room: Arc<Room>,
    sessions: BTreeSet<Box<str>>,
}

impl Rooms {
    /// A session has come into a room.
    pub fn enter(&self, session: &str, room: &str) {
        let mut state = self.lock();
        let name = session;
        let found = state.room(room);
        let session = state.session(name);
        if session.rooms.iter().any(|known| **known == *room) {
            return;
        }
        session.rooms.push(room.into());
        session.party.enter(&found);
        for client in session.clients.keys().take(ADDRESSES) {
            found.announce(session.party.number, address(*client));
        }
        if let Some(members) = state.rooms.get_mut(room) {
            members.sessions.insert(name.into());
        }
    }

    /// A session is in a room no more. What it has announced there is forgotten, and what it and
    /// the others there were allowed because of that ends.
    pub fn leave(&self, session: &str, room: &str) {
        let mut state = self.lock();
        let Some(found) = state.rooms.get_mut(room) else {
            return;
        };
        if !found.sessions.remove(session) {
            return;
        }
        let others: Vec<_> = found.sessions.iter().cloned().collect();
        let found = Arc::clone(&found.room);
        if others.is_empty() {
            state.rooms.remove(room);
        }
        let Some(left) = state.sessions.get_mut(session) else {
            return;
        };
        left.rooms.retain(|known| **known != *room);
        left.party.leave(found.number);
        found.forget(left.party.number);
        let affected = others.iter().map(|other| &**other).chain([session]);
        let affected = affected.filter_map(|name| state.sessions.get(name));
        self.reviews.ask(affected.flat_map(|it| &it.clients));
        state.forget_if_idle(session);
    }

    /// A member of a room has said there that these are its addresses.
    pub fn announce(&self, session: &str, room: &str, addresses: &[IpAddr]) {
        let state = self.lock();
        let (Some(known), Some(members)) = (state.sessions.get(session), state.rooms.get(room))
        else {
            return;
        };
        if members.sessions.contains(session) {
            for address in addresses {
                members.room.announce(known.party.number, *address);
            }
        }
    }

    /// One more allocation of `username`.
    pub(super) fn claim(&self, username: &str) {
        if let Some(session) = session_of(username) {
            self.lock().session(session).allocations += 1;
        }
    }

    /// Takes back one [`Rooms::claim`].
    pub(super) fn release(&self, username: &str) {
        let Some(name) = session_of(username) else {
            return;
        };
        let mut state = self.lock();
        if let Some(session) = state.sessions.get_mut(name) {
            session.allocations = session.allocations.saturating_sub(1);
        }
        state.forget_if_idle(name);
    }

    /// To whom an allocation of `username` belongs, of which one is claimed, and which `worker` has
    /// for `client`. The others in its rooms may reach it there: those are the addresses that its
    /// candidates name, and where what is said is sealed nobody here can read them.
    pub(super) fn party_of(
        &self,
        username: &str,
        client: FiveTuple,
        worker: usize,
    ) -> Arc<dyn Party> {
        let mut state = self.lock();
        let Some(name) = session_of(username).filter(|name| state.sessions.contains_key(*name))
        else {
            return Arc::new(Nobody);
        };
        let session = state.session(name);
        session.clients.insert(client, worker);
        session.party.announce(address(client));
        let party = Arc::clone(&session.party);
        state.clients.insert(client, name.into());
        party
    }

    /// `worker` has no allocation for `client` any more.
    pub(super) fn forget(&self, client: FiveTuple, worker: usize) {
        let mut state = self.lock();
        let State {
            sessions, clients, ..
        } = &mut *state;
        let session = clients.get(&client).and_then(|it| sessions.get_mut(it));
        let Some(session) = session else { return };
        if session.clients.get(&client) == Some(&worker) {
            session.clients.remove(&client);
            clients.remove(&client);
        }
    }

    /// Where workers find what they are to look at again.
    pub(super) fn reviews(&self) -> &Reviews {
        &self.reviews
    }

    /// It is whole whoever panicked elsewhere: nothing panics while it is held.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    fn session(&mut self, name: &str) -> &mut Session {
        let number = self.next_number();
        self.sessions.entry(name.into()).or_insert_with(|| Session {
            party: Arc::new(SessionParty::new(number)),
            rooms: Vec::new(),
            allocations: 0,
            clients: HashMap::new(),
        })
    }

    fn room(&mut self, name: &str) -> Arc<Room> {
        let number = self.next_number();
        let members = self.rooms.entry(name.into()).or_insert_with(|| Members {
            room: Arc::new(Room::new(number)),
            sessions: BTreeSet::new(),
        });
        Arc::clone(&members.room)
    }

    fn forget_if_idle(&mut self, name: &str) {
        let is_idle = |session: &Session| session.allocations == 0 && session.rooms.is_empty();
        if self.sessions.get(name).is_some_and(is_idle) {
            self.sessions.remove(name);
        }
    }
}

/// From where `client` comes, as others name it.
fn address(client: FiveTuple) -> IpAddr {
    client.client.ip().to_canonical()
}

#[cfg(test)]
mod tests {
    use mio::{Poll, Token};

    use super::*;
    use crate::turn::Transport;

    const ADA: &str = "6f0c1d5e-0000-4000-8000-000000000001";
    const GRACE: &str = "6f0c1d5e-0000-4000-8000-000000000002";
    const ALAN: &str = "6f0c1d5e-0000-4000-8000-000000000003";

    fn client(number: u8) -> FiveTuple {
        FiveTuple {
            client: ([192, 0, 2, number], 5_000).into(),
            server: ([198, 51, 100, 9], 3_478).into(),
            transport: Transport::Udp,
        }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    /// The party of an allocation of `session`, from a client of this number.
    fn party(rooms: &Rooms, session: &str, number: u8) -> Arc<dyn Party> {
        let username = format!("1800000000:{session}");
        rooms.claim(&username);
        rooms.party_of(&username, client(number), 0)
    }

    #[test]
    fn sessions_meet_as_long_as_they_are_in_a_room_together() {
        let rooms = Rooms::default();
        rooms.enter(ADA, "blue");
        let ada = party(&rooms, ADA, 1);
        let grace = party(&rooms, GRACE, 2);
        assert!(ada.meets(&*ada), "several allocations of one session");
        assert!(!ada.meets(&*grace) && !grace.meets(&*ada));
        rooms.enter(GRACE, "green");
        assert!(!ada.meets(&*grace));
        for room in ["green", "blue"] {
            rooms.enter(ADA, room);
            rooms.enter(GRACE, room);
        }
        assert!(ada.meets(&*grace) && grace.meets(&*ada));
        rooms.leave(GRACE, "green");
        assert!(ada.meets(&*grace), "there is another room");
        rooms.leave(ADA, "blue");
        rooms.leave(ADA, "blue");
        assert!(!ada.meets(&*grace) && !grace.meets(&*ada));
        // A room of the same name later is another one.
        rooms.leave(GRACE, "blue");
        rooms.enter(ADA, "blue");
        assert!(!ada.meets(&*grace));
    }

    #[test]
    fn what_is_announced_is_for_the_others_in_that_room_until_the_member_leaves() {
        let rooms = Rooms::default();
        let parties = [(ADA, 1), (GRACE, 2), (ALAN, 3)].map(|(it, at)| party(&rooms, it, at));
        let reach = |peer: &str| parties.each_ref().map(|party| party.may_reach(ip(peer)));
        for (session, room) in [(ADA, "blue"), (GRACE, "blue"), (ALAN, "green")] {
            rooms.enter(session, room);
        }
        rooms.announce(ADA, "green", &[ip("9.9.9.9")]);
        assert_eq!(reach("9.9.9.9"), [false; 3], "it is not there");
        rooms.announce(ADA, "blue", &[ip("9.9.9.9"), ip("2001:db8::7")]);
        rooms.announce(ADA, "blue", &[ip("9.9.9.9")]);
        assert_eq!(reach("9.9.9.9"), [false, true, false]);
        assert_eq!(reach("2001:db8::7"), [false, true, false]);
        rooms.announce(GRACE, "blue", &[ip("9.9.9.9")]);
        assert_eq!(reach("9.9.9.9"), [true, true, false]);
        rooms.leave(ADA, "blue");
        assert_eq!(reach("9.9.9.9"), [false; 3]);
        rooms.enter(ADA, "blue");
        assert_eq!(reach("9.9.9.9"), [true, false, false]);
    }

    /// In a room that is sealed nobody here can read what is announced.
    #[test]
    fn the_others_may_reach_a_session_where_its_allocations_are_made_from() {
        let rooms = Rooms::default();
        let ada = party(&rooms, ADA, 1);
        rooms.enter(ADA, "blue");
        rooms.enter(GRACE, "blue");
        let grace = party(&rooms, GRACE, 2);
        assert!(grace.may_reach(ip("192.0.2.1")), "from before it came");
        assert!(ada.may_reach(ip("192.0.2.2")), "and from since");
        assert!(!ada.may_reach(ip("192.0.2.1")) && !ada.may_reach(ip("192.0.2.3")));
    }

    #[test]
    fn who_has_no_session_meets_nobody() {
        let rooms = Rooms::default();
        rooms.enter(ADA, "blue");
        rooms.announce(ADA, "blue", &[ip("9.9.9.9")]);
        let ada = party(&rooms, ADA, 1);
        for username in ["alice", "1800000000:alice", ADA, "1800000000"] {
            rooms.claim(username);
            let nobody = rooms.party_of(username, client(2), 0);
            assert!(!nobody.meets(&*nobody) && !nobody.meets(&*ada) && !ada.meets(&*nobody));
            assert!(!nobody.may_reach(ip("9.9.9.9")) && !ada.may_reach(ip("192.0.2.2")));
            rooms.release(username);
        }
    }

    #[test]
    fn the_newest_addresses_of_a_member_are_known() {
        let rooms = Rooms::default();
        rooms.enter(ADA, "blue");
        rooms.enter(GRACE, "blue");
        let grace = party(&rooms, GRACE, 2);
        let all: Vec<_> = (0..100_u8)
            .map(|n| IpAddr::from([203, 0, 113, n]))
            .collect();
        rooms.announce(ADA, "blue", &all);
        let known = all.iter().filter(|address| grace.may_reach(**address));
        assert_eq!(known.count(), ADDRESSES);
        assert!(grace.may_reach(all[99]) && !grace.may_reach(all[0]));
    }

    #[test]
    fn whoever_has_something_to_do_with_one_who_leaves_is_looked_at_again() {
        let poll = Poll::new().expect("a poll");
        let wakers = || Arc::new(mio::Waker::new(poll.registry(), Token(0)).expect("a waker"));
        let rooms = Rooms::default();
        let waker = wakers();
        rooms
            .reviews()
            .begin([Arc::clone(&waker), waker].into_iter());
        for (session, number, worker, room) in [
            (ADA, 1, 0, "blue"),
            (GRACE, 2, 1, "blue"),
            (ALAN, 3, 1, "green"),
        ] {
            rooms.enter(session, room);
            let username = format!("1800000000:{session}");
            rooms.claim(&username);
            rooms.party_of(&username, client(number), worker);
        }
        let taken = || {
            [0, 1].map(|worker| {
                let taken = rooms.reviews().take(worker);
                taken.into_iter().collect::<Vec<_>>()
            })
        };
        assert_eq!(taken(), [vec![], vec![]]);
        rooms.leave(ADA, "blue");
        assert_eq!(taken(), [vec![client(1)], vec![client(2)]]);
        assert_eq!(taken(), [vec![], vec![]]);
        rooms.forget(client(2), 0);
        rooms.forget(client(3), 1);
        rooms.leave(GRACE, "blue");
        rooms.leave(ALAN, "green");
        assert_eq!(taken(), [vec![], vec![client(2)]]);
    }

    #[test]
    fn nothing_is_kept_of_those_who_are_gone() {
        let rooms = Rooms::default();
        for n in 0..3 {
            rooms.enter(ADA, "blue");
            rooms.announce(ADA, "blue", &[ip("9.9.9.9")]);
            let _party = party(&rooms, ADA, n);
            rooms.leave(ADA, "blue");
            assert_eq!(rooms.lock().sessions.len(), 1, "it has an allocation");
            rooms.forget(client(n), 0);
            rooms.release(&format!("1900000000:{ADA}"));
            let state = rooms.lock();
            let left = (state.sessions.len(), state.rooms.len(), state.clients.len());
            assert_eq!(left, (0, 0, 0));
        }
    }
}
