//! Who was with this session before a restart of the server, and has not come back yet.

use std::collections::BTreeMap;
use std::time::Duration;

use super::pair::Meeting;
use crate::signal::SessionId;
use crate::time::Instant;

/// So long those who come back at once are waited for before anything is said to all again, so
/// that most is said once.
const GATHERING: Duration = Duration::from_secs(2);

/// The members of a room that are missing.
#[derive(Debug, Default)]
struct Absent {
    meetings: BTreeMap<SessionId, Meeting>,
    is_entered: bool,
    gathering: Option<Instant>,
}

#[derive(Debug, Default)]
pub(super) struct Returning {
    rooms: BTreeMap<Box<str>, Absent>,
    /// Who is not back by then never will be.
    until: Option<Instant>,
}

impl Returning {
    /// The server has been restarted. Those who were missing already still are.
    pub(super) fn begin(&mut self, before: Vec<(Box<str>, Vec<Meeting>)>) {
        for absent in self.rooms.values_mut() {
            absent.is_entered = false;
            absent.gathering = None;
        }
        for (room, meetings) in before {
            let absent = self.rooms.entry(room).or_default();
            let meetings = meetings.into_iter().map(|it| (it.session, it));
            absent.meetings.extend(meetings);
        }
    }

    /// How long to wait for them, if for anybody; what was asked for in the meantime may wait, too.
    pub(super) fn wait_until(&mut self, until: Instant) {
        self.until = Some(until);
    }

    /// Nobody is waited for any more.
    pub(super) fn end(&mut self) -> Vec<(Box<str>, Vec<SessionId>)> {
        self.until = None;
        let rooms = std::mem::take(&mut self.rooms).into_iter();
        let rooms = rooms.map(|(room, absent)| (room, absent.meetings.into_keys().collect()));
        rooms.collect()
    }

    /// This session is in no such room any more.
    pub(super) fn forget(&mut self, room: &str) {
        self.rooms.remove(room);
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.rooms.is_empty()
    }

    /// Whether some of this room may still come back.
    pub(super) fn is_about(&self, room: &str) -> bool {
        self.rooms.contains_key(room)
    }

    pub(super) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// The meetings of a room to tell the server of.
    pub(super) fn meetings(&self, room: &str) -> Vec<Meeting> {
        let absent = self.rooms.get(room);
        absent.map_or_else(Vec::new, |absent| {
            absent.meetings.values().copied().collect()
        })
    }

    pub(super) fn is_awaited(&self, room: &str, session: SessionId) -> bool {
        let absent = self.rooms.get(room);
        absent.is_some_and(|absent| absent.meetings.contains_key(&session))
    }

    /// This session is in the room again.
    pub(super) fn enter(&mut self, room: &str, now: Instant) {
        if let Some(absent) = self.rooms.get_mut(room) {
            absent.is_entered = true;
            absent.gathering = Some(now + GATHERING);
        }
    }

    /// Somebody is back.
    pub(super) fn take(&mut self, room: &str, session: SessionId) {
        if let Some(absent) = self.rooms.get_mut(room) {
            absent.meetings.remove(&session);
        }
    }

    /// Whether everybody is there who was before: then this is not asked again.
    pub(super) fn is_complete(&mut self, room: &str) -> bool {
        let is_complete = |absent: &Absent| absent.is_entered && absent.meetings.is_empty();
        if self.rooms.get(room).is_some_and(is_complete) {
            self.rooms.remove(room);
            return true;
        }
        false
    }

    /// When somebody has had time to come back.
    pub(super) fn gathering(&self) -> Option<Instant> {
        self.rooms.values().filter_map(|it| it.gathering).min()
    }

    /// The rooms in which those who are back at once are back.
    pub(super) fn gathered(&mut self, now: Instant) -> Vec<Box<str>> {
        let mut gathered = Vec::new();
        for (room, absent) in &mut self.rooms {
            if absent.gathering.is_some_and(|at| at <= now) {
                absent.gathering = None;
                gathered.push(room.clone());
            }
        }
        gathered
    }
}
