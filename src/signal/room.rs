//! Rooms: who is in them, who is polite, and the epoch of each pair.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::ids::{RoomName, SessionId};
use super::meetings::Meetings;
use super::message::{Member, Profile, State};
use super::role::{Permissions, Role, Standing};

/// All rooms that have a member.
pub(super) struct Rooms {
    by_name: HashMap<RoomName, Room>,
    /// No room that is gone has counted further than this. A new one goes on from here, so that
    /// an epoch never comes again in a room of the same name.
    counted: u64,
}

/// A room. Its members are in the order in which they joined.
pub(super) struct Room {
    members: Vec<Membership>,
    joins: u64,
    /// How often anything about a member has changed.
    version: u64,
}

/// A member, as its room knows it.
#[derive(Clone)]
pub(super) struct Membership {
    pub(super) profile: Arc<Profile>,
    /// What it may do.
    pub(super) standing: Standing,
    /// The how-many-eth join of the room it was.
    pub(super) join: u64,
    /// Whom it was with before a restart.
    pub(super) meetings: Meetings,
}

/// What a member says of itself.
pub(super) type NameAndData = (Option<Box<str>>, Option<Box<RawValue>>);

impl Membership {
    pub(super) fn session(&self) -> SessionId {
        self.profile.session
    }

    /// The epoch of the two, the larger of their joins. So nothing is kept for a pair, and both
    /// sides always agree.
    fn epoch_with(&self, other: &Self) -> u64 {
        self.join.max(other.join)
    }

    /// How `self` is told of `other`.
    pub(super) fn sees(&self, other: &Self, state: State) -> Member {
        let before = self
            .meetings
            .in_common((self.session(), other.session()), &other.meetings);
        Member {
            profile: Arc::clone(&other.profile),
            state,
            role: other.standing.role,
            // The one who joined later is polite; where a meeting goes on, both stay what they were.
            polite: before.map_or(self.join > other.join, |before| before.polite),
            epoch: self.epoch_with(other),
            continues: before.map(|before| before.epoch),
        }
    }
}

impl Room {
    pub(super) fn members(&self) -> &[Membership] {
        &self.members
    }

    /// Which state of the room this is. Of two, the one with the larger number is the later.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// Something about a member has changed. Gives the new version.
    pub(super) fn change(&mut self) -> u64 {
        self.version += 1;
        self.version
    }

    pub(super) fn find(&self, session: SessionId) -> Option<&Membership> {
        let mut members = self.members.iter();
        members.find(|member| member.session() == session)
    }

    /// The epoch of two members; `None` if one of them is none.
    pub(super) fn epoch(&self, one: SessionId, other: SessionId) -> Option<u64> {
        let (one, other) = (self.find(one)?, self.find(other)?);
        Some(one.epoch_with(other))
    }

    pub(super) fn add(
        &mut self,
        profile: Profile,
        standing: Standing,
        meetings: Meetings,
    ) -> Membership {
        self.joins += 1;
        let member = Membership {
            profile: Arc::new(profile),
            standing,
            join: self.joins,
            meetings,
        };
        self.members.push(member.clone());
        member
    }

    pub(super) fn replace(
        &mut self,
        session: SessionId,
        (name, data): NameAndData,
    ) -> Option<Membership> {
        let mut members = self.members.iter_mut();
        let member = members.find(|member| member.session() == session)?;
        let before = &member.profile;
        member.profile = Arc::new(Profile {
            session,
            name: name.or_else(|| before.name.clone()),
            data: data.or_else(|| before.data.clone()),
        });
        Some(member.clone())
    }

    /// Whether the session is a member that may do this.
    pub(super) fn may(&self, session: SessionId, what: Permissions) -> bool {
        let member = self.find(session);
        member.is_some_and(|member| member.standing.permissions.contains(what))
    }

    /// What somebody is who comes into a room for which nobody has given roles: the host, if
    /// there is none.
    pub(super) fn standing_of_newcomer(&self) -> Standing {
        match self.has_host() {
            true => Role::Member.into(),
            false => Role::Host.into(),
        }
    }

    pub(super) fn has_host(&self) -> bool {
        let mut members = self.members.iter();
        members.any(|member| member.standing.role == Role::Host)
    }

    /// Who becomes host when the last one has gone: the one who has been there longest, before
    /// any guest.
    pub(super) fn successor(&self) -> Option<SessionId> {
        let mut members = self.members.iter();
        let first = members.find(|member| member.standing.role == Role::Member);
        first.or(self.members.first()).map(Membership::session)
    }

    /// Gives a member another standing.
    pub(super) fn set_standing(
        &mut self,
        session: SessionId,
        standing: Standing,
    ) -> Option<Membership> {
        let mut members = self.members.iter_mut();
        let member = members.find(|member| member.session() == session)?;
        member.standing = standing;
        Some(member.clone())
    }

    pub(super) fn remove(&mut self, session: SessionId) -> Option<Membership> {
        let mut members = self.members.iter();
        let index = members.position(|member| member.session() == session)?;
        Some(self.members.remove(index))
    }
}

impl Rooms {
    /// No rooms. What they count begins after `number`.
    pub(super) fn counting_after(number: u64) -> Self {
        Self {
            by_name: HashMap::new(),
            counted: number,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    /// A room, and its name as all who hold it share it.
    pub(super) fn get(&self, name: &str) -> Option<(&RoomName, &Room)> {
        self.by_name.get_key_value(name)
    }

    pub(super) fn find_mut(&mut self, name: &str) -> Option<&mut Room> {
        self.by_name.get_mut(name)
    }

    pub(super) fn get_or_make(&mut self, name: &RoomName) -> &mut Room {
        let joins = self.counted;
        self.by_name
            .entry(Arc::clone(name))
            .or_insert_with(|| Room {
                members: Vec::new(),
                joins,
                version: joins,
            })
    }

    pub(super) fn remove_if_empty(&mut self, name: &str) {
        if let Some(room) = self.by_name.get(name)
            && room.members.is_empty()
        {
            self.counted = self.counted.max(room.joins).max(room.version);
            self.by_name.remove(name);
        }
    }
}
