//! What a client has said and knows no fate of, as `docs/protocol.md` has it keep this.

use std::collections::VecDeque;

use peerage::signal::{Directed, ForAll, Kind, Request, SessionId};
use serde_json::value::RawValue;

use crate::ledger::Fate;

/// Something said: to one, or to all of a room.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// The id of the message, and the one under which it was said first.
    pub(crate) id: u64,
    pub(crate) nr: u64,
    /// What it says.
    pub(crate) number: u64,
    pub(crate) room: Box<str>,
    pub(crate) to: Option<SessionId>,
}

impl Entry {
    /// The message, with the epoch of the pair. An offer now and then, since a negotiation makes
    /// the server look after its connections more closely.
    pub(crate) fn request(&self, epoch: u64) -> Request {
        let body = RawValue::from_string(self.number.to_string()).expect("a number is JSON");
        let number = Some(self.nr).filter(|nr| *nr != self.id);
        let room = self.room.clone();
        let Some(to) = self.to else {
            return Request::Broadcast(ForAll { room, number, body });
        };
        let is_offer = self.number.is_multiple_of(5);
        Request::Directed(Directed {
            kind: if is_offer {
                Kind::Offer
            } else {
                Kind::Candidate
            },
            room,
            to: Some(to),
            epoch,
            number,
            body,
        })
    }
}

#[derive(Debug, Default)]
pub(crate) struct Words {
    said: VecDeque<Entry>,
    /// What is to be said again after a restart, or waits behind that, in order.
    parked: VecDeque<Entry>,
}

impl Words {
    pub(crate) fn add(&mut self, entry: Entry) {
        self.said.push_back(entry);
    }

    pub(crate) fn park(&mut self, entry: Entry) {
        self.parked.push_back(entry);
    }

    /// Whether something waits behind which this has to be said.
    pub(crate) fn has_to_wait(&self, room: &str, to: Option<SessionId>) -> bool {
        let before = |it: &Entry| to.is_some() && (&*it.room, it.to) == (room, to);
        self.parked.iter().any(before)
    }

    /// After a restart everything waits to be said again.
    pub(crate) fn begin_again(&mut self) {
        let mut said = std::mem::take(&mut self.said);
        said.append(&mut self.parked);
        self.parked = said;
    }

    /// The session is gone, and with it everything.
    pub(crate) fn lose(&mut self) -> Vec<(u64, Fate)> {
        let said = self.said.drain(..).chain(self.parked.drain(..));
        said.map(|it| (it.number, Fate::Unknown)).collect()
    }

    /// Those who have not come back by now never will.
    pub(crate) fn give_up_parked(&mut self) -> Vec<(u64, Fate)> {
        let parked = self.parked.drain(..);
        parked.map(|it| (it.number, Fate::Undeliverable)).collect()
    }

    /// What can be said again, as seen by who is in which room.
    pub(crate) fn unpark(
        &mut self,
        is_there: impl Fn(&str, Option<SessionId>) -> bool,
    ) -> Vec<Entry> {
        let parked = self.parked.drain(..);
        let (ready, parked): (Vec<_>, Vec<_>) = parked.partition(|it| is_there(&it.room, it.to));
        self.parked = parked.into();
        ready
    }

    pub(crate) fn delivered(&mut self, to: SessionId, through: u64) -> Vec<(u64, Fate)> {
        let meant = |it: &Entry| it.to == Some(to) && it.id <= through;
        self.take(meant, &Fate::Delivered)
    }

    /// Of what was said before this session's end, and not after it has come back (which it can
    /// only after a restart).
    pub(crate) fn undeliverable(&mut self, to: SessionId) -> Vec<(u64, Fate)> {
        self.take(|it| it.to == Some(to), &Fate::Undeliverable)
    }

    pub(crate) fn settled(&mut self, id: u64, fate: &Fate) -> Vec<(u64, Fate)> {
        self.take(|it| it.id == id, fate)
    }

    fn take(&mut self, is_meant: impl Fn(&Entry) -> bool, fate: &Fate) -> Vec<(u64, Fate)> {
        let (taken, kept): (VecDeque<_>, _) = self.said.drain(..).partition(is_meant);
        self.said = kept;
        let taken = taken.iter();
        taken.map(|it| (it.number, fate.clone())).collect()
    }
}
