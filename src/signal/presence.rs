//! What the members of a room are told of each other.

use std::sync::Arc;

use super::message::{Member, RoleChange};
use super::room::Membership;
use super::{Hub, Message, Permissions, Role, RoomName, SessionId, Standing, State};
use crate::time::Now;

impl Hub {
    /// How `member` sees all others of its room.
    pub(super) fn others(&self, room: &RoomName, member: &Membership) -> Vec<Member> {
        let Some((_, room)) = self.rooms.get(room) else {
            return Vec::new();
        };
        let others = room.members().iter();
        others
            .filter(|other| other.session() != member.session())
            .map(|other| member.sees(other, self.state(other.session())))
            .collect()
    }

    /// How a member is.
    pub(super) fn state(&self, session: SessionId) -> State {
        match self.sessions.get(&session) {
            Some(session) if !session.is_away => State::Joined,
            _ => State::Suspended,
        }
    }

    /// All members of a room.
    pub(super) fn all_of(&self, room: &str) -> Vec<SessionId> {
        self.all_who_may(room, Permissions::NONE)
    }

    /// All members of a room except one.
    pub(super) fn all_but(&self, room: &str, one: SessionId) -> Vec<SessionId> {
        let mut all = self.all_of(room);
        all.retain(|session| *session != one);
        all
    }

    /// All members of a room that may do this.
    pub(super) fn all_who_may(&self, room: &str, what: Permissions) -> Vec<SessionId> {
        let members = self.rooms.get(room).map(|(_, room)| room.members());
        let members = members.unwrap_or_default().iter();
        let may = members.filter(|it| it.standing.permissions.contains(what));
        may.map(Membership::session).collect()
    }

    /// Tells all other members of the room how `about` is.
    pub(super) fn broadcast(
        &mut self,
        room: &RoomName,
        about: &Membership,
        state: State,
        now: Now,
    ) {
        let Some(members) = self.rooms.find_mut(room) else {
            return;
        };
        let version = members.change();
        let receivers = members.members().iter();
        let receivers: Vec<_> = receivers
            .filter(|receiver| receiver.session() != about.session())
            .map(|receiver| (receiver.session(), receiver.sees(about, state)))
            .collect();
        for (receiver, member) in receivers {
            let presence = Message::Presence {
                room: Arc::clone(room),
                version,
                member,
            };
            self.post(receiver, presence, now);
        }
    }

    /// Gives a member another standing, and tells it and all others.
    pub(super) fn give_standing(
        &mut self,
        room: &RoomName,
        to: SessionId,
        standing: Standing,
        now: Now,
    ) {
        let Some(members) = self.rooms.find_mut(room) else {
            return;
        };
        let Some(member) = members.set_standing(to, standing) else {
            return;
        };
        // The presence of the others is this same change.
        let version = members.version() + 1;
        let change = RoleChange {
            room: Arc::clone(room),
            version,
            standing,
        };
        self.post(to, Message::Role(change), now);
        if standing.permissions.contains(Permissions::MODERATE) {
            self.tell_who_knocks(room, to, now);
        }
        let state = self.state(to);
        self.broadcast(room, &member, state, now);
    }

    /// When the last host has gone, somebody else becomes host.
    pub(super) fn see_that_there_is_a_host(&mut self, room: &RoomName, now: Now) {
        let known = self.rooms.get(room).map(|(_, room)| room);
        let successor = known.filter(|room| !room.has_host());
        if let Some(successor) = successor.and_then(|room| room.successor()) {
            self.give_standing(room, successor, Role::Host.into(), now);
        }
    }

    /// Tells all rooms of a session how it is.
    pub(super) fn announce(&mut self, id: SessionId, state: State, now: Now) {
        let session = self.sessions.get(&id);
        let rooms = session.map(|session| session.rooms.clone());
        for room in rooms.unwrap_or_default() {
            let membership = self.rooms.get(&room).and_then(|(_, room)| {
                let mut members = room.members().iter();
                members.find(|member| member.session() == id).cloned()
            });
            if let Some(membership) = membership {
                self.broadcast(&room, &membership, state, now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::testing::{Client, World, leave};
    use super::super::{Config, Input};
    use super::*;

    /// What a client has been told that it is, last.
    fn role(world: &mut World, client: &Client) -> Option<Role> {
        let got = world.got(client.connection);
        got.iter().rev().find_map(|message| match &**message {
            Message::Joined { room, .. } => Some(room.standing.role),
            Message::Role(change) => Some(change.standing.role),
            _ => None,
        })
    }

    #[test]
    fn who_comes_first_is_the_host() {
        let mut world = World::new(Config::default());
        let members = ["blue"; 3].map(|room| world.member(room));
        let roles = members.map(|member| role(&mut world, &member));
        assert_eq!(roles, [Role::Host, Role::Member, Role::Member].map(Some));
    }

    #[test]
    fn when_the_host_leaves_the_one_who_has_been_there_longest_takes_over() {
        let mut world = World::new(Config::default());
        let [ada, grace, alan] = ["blue"; 3].map(|room| world.member(room));
        for client in [&grace, &alan] {
            world.got(client.connection);
        }
        world.ask(&ada, leave("blue"));
        assert_eq!(role(&mut world, &grace), Some(Role::Host));
        let got = world.got(alan.connection);
        let [left, host] = &got[..] else {
            panic!("two changes: {got:?}");
        };
        assert!(matches!(
            &**left, Message::Presence { version: 4, member, .. }
                if member.state != State::Joined && member.role == Role::Host
        ));
        assert!(matches!(
            &**host, Message::Presence { version: 5, member, .. }
                if member.profile.session == grace.session && member.role == Role::Host
        ));
    }

    #[test]
    fn a_host_that_may_come_back_stays_the_host() {
        let mut world = World::new(Config::default());
        let [ada, grace] = ["blue"; 2].map(|room| world.member(room));
        world.input(ada.connection, Input::Closed);
        assert_eq!(role(&mut world, &grace), Some(Role::Member));
        world.resume(&ada, 1);
        assert_eq!(role(&mut world, &grace), None);
    }

    /// How the others of its room are told that a member is.
    fn told(world: &mut World, client: &Client) -> Vec<State> {
        let got = world.got(client.connection);
        let states = got.iter().filter_map(|message| match &**message {
            Message::Presence { member, .. } => Some(member.state),
            _ => None,
        });
        states.collect()
    }

    #[test]
    fn a_short_loss_shows_nowhere() {
        let mut world = World::new(Config::default());
        let ada = world.member("blue");
        let mut grace = world.member("blue");
        told(&mut world, &ada);
        for seen in 1..4 {
            world.input(grace.connection, Input::Closed);
            world.wait(Duration::from_millis(1_999));
            let alan = world.member("blue");
            let joined = told(&mut world, &ada);
            assert_eq!(joined, [State::Joined], "alan, and nothing of grace");
            world.say(alan.connection, super::super::Command::Bye);
            told(&mut world, &ada);
            grace = world.resume(&grace, seen);
            assert!(told(&mut world, &ada).is_empty());
        }
    }

    #[test]
    fn who_stays_away_is_suspended_after_the_grace_and_joined_when_it_is_back() {
        let mut world = World::new(Config::default());
        let (ada, grace) = (world.member("blue"), world.member("blue"));
        told(&mut world, &ada);
        world.input(grace.connection, Input::Closed);
        world.wait(Duration::from_secs(2));
        assert_eq!(told(&mut world, &ada), [State::Suspended]);
        let grace = world.resume(&grace, 1);
        assert_eq!(told(&mut world, &ada), [State::Joined]);
        world.wait(Duration::from_secs(20));
        assert!(told(&mut world, &ada).is_empty());
        assert!(!world.closed.contains_key(&grace.connection));
    }

    #[test]
    fn a_page_that_is_left_shows_at_once() {
        let mut world = World::new(Config::default());
        let (ada, grace) = (world.member("blue"), world.member("blue"));
        told(&mut world, &ada);
        world.input(grace.connection, Input::Left);
        assert_eq!(told(&mut world, &ada), [State::Suspended]);
        world.wait(Duration::from_secs(5));
        assert!(told(&mut world, &ada).is_empty());
    }
}
