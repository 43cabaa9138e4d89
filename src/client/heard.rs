//! What each sender has been heard to say.

use std::collections::{HashMap, VecDeque};

use crate::signal::SessionId;

/// How many senders are remembered. After a restart of the server a sender says again what was
/// not confirmed; so far back nobody speaks again.
const SENDERS: usize = 1_024;

/// How many broadcasts of a sender are remembered. No server lets it have more under way.
const BROADCASTS: usize = 256;

/// Somebody, in one room.
type Sender = (Box<str>, SessionId);

/// The number of the last message of each sender.
#[derive(Debug, Default)]
pub(super) struct Heard(Senders<u64>);

impl Heard {
    /// Whether this message is new, and from now on is not.
    pub(super) fn take(&mut self, room: &str, from: SessionId, number: u64) -> bool {
        let last = self.0.entry((room.into(), from));
        let is_new = number > *last;
        *last = number.max(*last);
        is_new
    }
}

/// The numbers of the last broadcasts of each sender. What is said again after a restart may come
/// behind what is newer, so each number counts for itself.
#[derive(Debug, Default)]
pub(super) struct Broadcasts(Senders<VecDeque<u64>>);

impl Broadcasts {
    /// Whether this broadcast is new, and from now on is not.
    pub(super) fn take(&mut self, room: &str, from: SessionId, number: u64) -> bool {
        let numbers = self.0.entry((room.into(), from));
        if numbers.contains(&number) {
            return false;
        }
        if numbers.len() == BROADCASTS {
            numbers.pop_front();
        }
        numbers.push_back(number);
        true
    }
}

/// Something about each of the senders that were heard last.
#[derive(Debug)]
struct Senders<T> {
    by_sender: HashMap<Sender, T>,
    order: VecDeque<Sender>,
}

impl<T> Default for Senders<T> {
    fn default() -> Self {
        Self {
            by_sender: HashMap::new(),
            order: VecDeque::new(),
        }
    }
}

impl<T: Default> Senders<T> {
    fn entry(&mut self, sender: Sender) -> &mut T {
        if !self.by_sender.contains_key(&sender) {
            if self.order.len() == SENDERS
                && let Some(oldest) = self.order.pop_front()
            {
                self.by_sender.remove(&oldest);
            }
            self.order.push_back(sender.clone());
        }
        self.by_sender.entry(sender).or_default()
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
        assert!(heard.take("blue", sender(1), 7));
        assert!(!heard.take("blue", sender(1), 7));
        assert!(!heard.take("blue", sender(1), 3));
        assert!(heard.take("blue", sender(1), 8));
        assert!(heard.take("blue", sender(2), 1));
        assert!(heard.take("green", sender(1), 1));
    }

    #[test]
    fn a_broadcast_is_new_once_though_newer_ones_came_before() {
        let mut heard = Broadcasts::default();
        assert!(heard.take("blue", sender(1), 7));
        assert!(heard.take("blue", sender(1), 5));
        assert!(!heard.take("blue", sender(1), 7));
        assert!(!heard.take("blue", sender(1), 5));
        assert!(heard.take("blue", sender(2), 5));
    }

    #[test]
    fn senders_are_forgotten_when_there_are_too_many_others() {
        let mut heard = Heard::default();
        for number in 0..=SENDERS {
            heard.take("blue", sender(number), 1);
        }
        assert_eq!(heard.0.by_sender.len(), SENDERS);
        assert!(heard.take("blue", sender(0), 1));
        assert!(!heard.take("blue", sender(SENDERS), 1));
    }
}
