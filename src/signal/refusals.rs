//! Refusals that a client may not have got: they go over the connection alone, and may be lost
//! with it.

use std::collections::VecDeque;

use super::ids::Offset;
use super::reject::Reject;

/// How many are kept for a session. Whoever is refused more often in a row, and reads nothing
/// meanwhile, does not wait for answers.
pub(super) const MOST: usize = 256;

/// The refusals of a session that nothing proves to have arrived.
#[derive(Debug, Default)]
pub(super) struct Refusals(VecDeque<Refusal>);

#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal {
    pub(super) re: u64,
    pub(super) reject: Reject,
    /// The position of the last message before it.
    pub(super) after: Offset,
}

impl Refusals {
    pub(super) fn note(&mut self, refusal: Refusal) {
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back(refusal);
    }

    /// The client has got everything up to `seen`, and so whatever was said before that.
    pub(super) fn acknowledge(&mut self, seen: Offset) {
        while self.0.pop_front_if(|it| it.after < seen).is_some() {}
        if self.0.is_empty() {
            self.0 = VecDeque::new();
        }
    }

    /// Those of requests before `applied`. The others are forgotten.
    pub(super) fn before(&mut self, applied: u64) -> Vec<Refusal> {
        self.0.retain(|it| it.re < applied);
        self.0.iter().copied().collect()
    }
}
