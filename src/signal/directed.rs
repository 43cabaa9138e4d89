//! Offers, answers and candidates: from one member of a room to one other.

use super::{Delivery, Directed, Hub, Message, Reject, SessionId};
use crate::time::Now;

impl Hub {
    pub(super) fn direct(
        &mut self,
        from: SessionId,
        directed: Directed,
        now: Now,
    ) -> Result<(), Reject> {
        let room = self.room_of(from, &directed.room)?;
        let to = directed.to.filter(|&to| to != from);
        let to = to.ok_or(Reject::NoSuchMember)?;
        let (_, members) = self.rooms.get(&room).ok_or(Reject::NotInRoom)?;
        let epoch = members.epoch(from, to).ok_or(Reject::NoSuchMember)?;
        if epoch != directed.epoch {
            return Err(Reject::StaleEpoch);
        }
        let message = Message::Delivery(Delivery {
            kind: directed.kind,
            room,
            from,
            epoch,
            body: directed.body,
        });
        // Nothing that somebody said is forgotten to make room for this: the sender is told.
        if !self.make_room(to, message.size(), now) {
            return Err(Reject::AddresseeOverloaded);
        }
        self.post(to, message, now);
        Ok(())
    }
}
