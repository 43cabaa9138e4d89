//! Rooms: who is in them, who is polite, and the epoch of each pair.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;

use super::Config;
use super::ids::{RoomName, SessionId};
use super::knock::Knocks;
use super::meetings::Meetings;
use super::message::{Member, Profile, State};
use super::role::{Permissions, Role, Standing};
use super::settings::{Duplicates, Settings};
use super::state::RoomState;
use crate::time::Instant;

/// All rooms that have a member, and some that had one or have somebody at the door.
pub(super) struct Rooms {
    by_name: HashMap<RoomName, Room>,
    /// By their numbers.
    names: HashMap<u64, RoomName>,
    last_number: u64,
    /// How many have no member.
    empty: usize,
    /// No room that is gone has counted further than this. A new one goes on from here, so that
    /// an epoch never comes again in a room of the same name.
    counted: u64,
}

/// A room. Its members are in the order in which they joined.
pub(super) struct Room {
    members: Vec<Membership>,
    joins: u64,
    /// How often anything has changed.
    version: u64,
    /// By which timers know it.
    number: u64,
    /// Whether who wants to come in has to knock.
    pub(super) locked: bool,
    /// How many members it may have, if hosts have said so.
    pub(super) limit: Option<usize>,
    pub(super) knocks: Knocks,
    /// What becomes of a second session of a subject, if hosts have said so.
    pub(super) duplicates: Option<Duplicates>,
    /// Those who may not come back.
    barred: Vec<Barred>,
    pub(super) state: RoomState,
    /// Until when it is kept, if it has no member.
    empty_until: Option<Instant>,
}

/// How many a room may keep out.
const BARRED: usize = 256;

/// As whom somebody is kept out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Barred {
    Session(SessionId),
    Subject(Arc<str>),
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
    fn new(number: u64, counted: u64) -> Self {
        Self {
            members: Vec::new(),
            joins: counted,
            version: counted,
            number,
            locked: false,
            limit: None,
            knocks: Knocks::default(),
            duplicates: None,
            barred: Vec::new(),
            state: RoomState::default(),
            empty_until: None,
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// What hosts have decided, and the server where they have not.
    pub(super) fn settings(&self, config: &Config) -> Settings {
        Settings {
            locked: self.locked,
            limit: self.limit.unwrap_or(config.room_members),
            duplicates: self.duplicates.unwrap_or(config.duplicates),
        }
    }

    /// Keeps somebody out from now on; whether there was room to remember it.
    pub(super) fn bar(&mut self, who: Barred) -> bool {
        let is_known = self.barred.contains(&who);
        let has_room = self.barred.len() < BARRED;
        if !is_known && has_room {
            self.barred.push(who);
        }
        is_known || has_room
    }

    pub(super) fn is_barred(&self, session: SessionId, subject: Option<&str>) -> bool {
        self.barred.iter().any(|barred| match barred {
            Barred::Session(known) => *known == session,
            Barred::Subject(known) => Some(&**known) == subject,
        })
    }

    /// Whether there is anything that a member who comes back would miss.
    fn is_worth_keeping(&self) -> bool {
        let is_set = self.locked || self.limit.is_some() || self.duplicates.is_some();
        is_set || !self.barred.is_empty() || !self.state.is_empty()
    }

    /// When something in the room ends next by itself.
    pub(super) fn next_end(&self) -> Option<Instant> {
        let is_over = self.members.is_empty() && self.knocks.len() == 0;
        let end = self.empty_until.filter(|_| is_over);
        let ends = [end, self.knocks.next_end(), self.state.next_end()];
        ends.into_iter().flatten().min()
    }

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

    /// The members, in order, who go on with no meeting of before any more.
    pub(super) fn given_up(&self, now: Duration) -> Vec<SessionId> {
        let over = |member: &&Membership| member.meetings.is_over(now);
        let members = self.members.iter().filter(over);
        let mut sessions: Vec<_> = members.map(Membership::session).collect();
        sessions.sort_unstable();
        sessions
    }

    /// The epoch of two members; `None` if one of them is none.
    pub(super) fn epoch(&self, one: SessionId, other: SessionId) -> Option<u64> {
        let (one, other) = (self.find(one)?, self.find(other)?);
        Some(one.epoch_with(other))
    }

    pub(super) fn add(
        &mut self,
        profile: Arc<Profile>,
        standing: Standing,
        meetings: Meetings,
    ) -> Membership {
        self.joins += 1;
        let member = Membership {
            profile,
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

    pub(super) fn is_last_host(&self, session: SessionId) -> bool {
        let members = self.members.iter();
        let mut hosts = members.filter(|member| member.standing.role == Role::Host);
        hosts.next().map(Membership::session) == Some(session) && hosts.next().is_none()
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
            names: HashMap::new(),
            last_number: 0,
            empty: 0,
            counted: number,
        }
    }

    /// How many have a member.
    pub(super) fn len(&self) -> usize {
        self.by_name.len() - self.empty
    }

    /// How many have no member.
    pub(super) fn empty(&self) -> usize {
        self.empty
    }

    /// The room that timers know by this number.
    pub(super) fn numbered(&self, number: u64) -> Option<(RoomName, &Room)> {
        let (name, room) = self.get(self.names.get(&number)?)?;
        Some((Arc::clone(name), room))
    }

    /// A room, and its name as all who hold it share it.
    pub(super) fn get(&self, name: &str) -> Option<(&RoomName, &Room)> {
        self.by_name.get_key_value(name)
    }

    pub(super) fn find_mut(&mut self, name: &str) -> Option<&mut Room> {
        self.by_name.get_mut(name)
    }

    pub(super) fn get_or_make(&mut self, name: &RoomName) -> &mut Room {
        self.by_name.entry(Arc::clone(name)).or_insert_with(|| {
            self.last_number += 1;
            self.names.insert(self.last_number, Arc::clone(name));
            Room::new(self.last_number, self.counted)
        })
    }

    /// A room into which somebody comes.
    pub(super) fn open(&mut self, name: &RoomName) -> &mut Room {
        if let Some(room) = self.by_name.get_mut(name)
            && room.empty_until.take().is_some()
        {
            self.empty -= 1;
        }
        self.get_or_make(name)
    }

    /// Keeps a room without members for `life`, if there is something to keep and there are fewer
    /// than `most` of them. Gives its number once it is forgotten.
    pub(super) fn close_if_empty(
        &mut self,
        name: &str,
        now: Instant,
        life: Duration,
        most: usize,
    ) -> Option<u64> {
        let room = self.by_name.get_mut(name)?;
        if !room.members.is_empty() {
            return None;
        }
        if room.empty_until.is_none() {
            let is_kept = room.is_worth_keeping() && self.empty < most;
            room.empty_until = Some(if is_kept { now + life } else { now });
            self.empty += 1;
        }
        let is_over = room.empty_until.is_some_and(|until| until <= now);
        if !is_over || room.knocks.len() > 0 {
            return None;
        }
        let number = room.number;
        self.counted = self.counted.max(room.joins).max(room.version);
        self.by_name.remove(name);
        self.names.remove(&number);
        self.empty -= 1;
        Some(number)
    }
}
