//! What rooms do by themselves: entries and knocks end, and who is empty is forgotten.

use super::{Hub, KnockState, RoomName};
use crate::time::Now;

use super::timer::Timer;

impl Hub {
    /// Sees to it that the hub is called when something ends in the room next.
    pub(super) fn look_after_room(&mut self, name: &RoomName, now: Now) {
        let Some((_, room)) = self.rooms.get(name) else {
            return;
        };
        let timer = Timer::Room(room.number());
        match room.next_end() {
            Some(at) => self.deadlines.set(timer, at.max(now.instant)),
            None => self.deadlines.clear(timer),
        }
    }

    /// Something has ended in a room.
    pub(super) fn check_room(&mut self, number: u64, now: Now) {
        let Some((name, room)) = self.rooms.numbered(number) else {
            return;
        };
        let keys = room.state.over(now.instant);
        let knockers = room.knocks.over(now.instant);
        self.drop_state(&name, keys, None, now);
        for knocker in knockers {
            self.refuse_knock(&name, knocker, KnockState::Expired, now);
        }
        self.close_if_empty(&name, now);
        self.look_after_room(&name, now);
    }

    /// A room without members is kept for a while if there is something to keep, and as long as
    /// somebody knocks there; then it is forgotten.
    pub(super) fn close_if_empty(&mut self, name: &RoomName, now: Now) {
        let life = self.config.empty_room_life;
        let most = self.config.empty_rooms;
        if let Some(number) = self.rooms.close_if_empty(name, now.instant, life, most) {
            self.deadlines.clear(Timer::Room(number));
        } else {
            self.look_after_room(name, now);
        }
    }
}
