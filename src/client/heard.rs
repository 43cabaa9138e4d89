//! Up to where each sender has been heard.

use std::collections::{HashMap, VecDeque};

use crate::signal::SessionId;

/// How many senders are remembered. After a restart of the server a sender says again what was
/// not confirmed; so far back nobody speaks again.
const SENDERS: usize = 1_024;

/// The number of the last message of each sender.
#[derive(Debug, Default)]
pub(super) struct Heard {
    last: HashMap<SessionId, u64>,
    order: VecDeque<SessionId>,
}

impl Heard {
    /// Whether this message is new, and from now on is not.
    pub(super) fn take(&mut self, from: SessionId, number: u64) -> bool {
        if let Some(last) = self.last.get_mut(&from) {
            let is_new = number > *last;
            *last = number.max(*last);
            return is_new;
        }
        if self.order.len() == SENDERS
            && let Some(oldest) = self.order.pop_front()
        {
            self.last.remove(&oldest);
        }
        self.order.push_back(from);
        self.last.insert(from, number);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(number: usize) -> SessionId {
        let id = format!("6f0c7c1e-5d0b-4c55-9a3e-{number:012x}");
        SessionId::parse(&id).expect("an id")
    }

    #[test]
    fn what_a_sender_says_again_is_not_new() {
        let mut heard = Heard::default();
        assert!(heard.take(sender(1), 7));
        assert!(!heard.take(sender(1), 7));
        assert!(!heard.take(sender(1), 3));
        assert!(heard.take(sender(1), 8));
        assert!(heard.take(sender(2), 1));
    }

    #[test]
    fn senders_are_forgotten_when_there_are_too_many_others() {
        let mut heard = Heard::default();
        for number in 0..=SENDERS {
            heard.take(sender(number), 1);
        }
        assert_eq!(heard.last.len(), SENDERS);
        assert!(heard.take(sender(0), 1));
        assert!(!heard.take(sender(SENDERS), 1));
    }
}
