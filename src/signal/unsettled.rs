//! Broadcasts of which it is not known yet whom they have reached.

use std::collections::VecDeque;

use super::ids::SessionId;
use super::message::{BroadcastReceipt, Loss};

/// The broadcasts of a session that are not settled, by their ids.
#[derive(Default)]
pub(super) struct Unsettled {
    pending: VecDeque<Pending>,
}

/// A broadcast that is not settled.
pub(super) struct Pending {
    receipt: BroadcastReceipt,
    /// How many addressees have neither got it nor gone.
    waiting: usize,
}

impl Unsettled {
    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }

    /// Keeps a broadcast, whose id is larger than all before. Gives the receipt if it waits for
    /// nobody.
    pub(super) fn add(&mut self, pending: Pending) -> Option<BroadcastReceipt> {
        if pending.waiting == 0 {
            return Some(pending.receipt);
        }
        self.pending.push_back(pending);
        None
    }

    /// One addressee has got the broadcast `id`, or never will. Gives the receipt if it was the
    /// last one.
    pub(super) fn settle(
        &mut self,
        id: u64,
        lost: Option<(SessionId, Loss)>,
    ) -> Option<BroadcastReceipt> {
        let found = self.pending.binary_search_by_key(&id, |it| it.receipt.re);
        let at = found.ok()?;
        let pending = &mut self.pending[at];
        pending.waiting -= 1;
        match lost {
            Some((session, loss)) => pending.lose(session, loss),
            None => pending.receipt.delivered += 1,
        }
        if pending.waiting > 0 {
            return None;
        }
        self.pending.remove(at).map(|pending| pending.receipt)
    }
}

impl Pending {
    /// A broadcast that has not been sent to anybody yet.
    pub(super) fn new(receipt: BroadcastReceipt) -> Self {
        let waiting = 0;
        Self { receipt, waiting }
    }

    /// It is on its way to one more.
    pub(super) fn wait(&mut self) {
        self.waiting += 1;
    }

    /// It will never get there.
    pub(super) fn lose(&mut self, session: SessionId, loss: Loss) {
        self.receipt.undeliverable.push((session, loss));
    }
}
