//! What has been said on a connection that requests carry, until the client has surely got it.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::signal::{Ending, Message, Offset};

/// How much may wait: all that a mailbox keeps, and as many answers again.
const MOST: usize = 512;

/// The messages of a connection that its client has not confirmed, in order, each with a number
/// that counts up from 1. An answer that gets lost on its way is given once more.
#[derive(Debug, Default)]
pub(super) struct Line {
    waiting: VecDeque<Said>,
    last: u64,
    closed: Option<Ending>,
}

/// One message and its numbers.
#[derive(Clone, Debug)]
pub(super) struct Said {
    /// Its number on this connection.
    pub(super) number: u64,
    /// Its position in what is said to the session.
    pub(super) offset: Option<Offset>,
    pub(super) message: Arc<Message>,
}

/// The client does not keep up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// The client claims to have got what was never said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NeverSaid;

impl Line {
    /// Puts a message behind all others. Where there are too many, the oldest that is only about
    /// the connection, and would not be repeated elsewhere either, is forgotten.
    pub(super) fn say(
        &mut self,
        offset: Option<Offset>,
        message: Arc<Message>,
    ) -> Result<(), Full> {
        if self.waiting.len() >= MOST {
            let mut waiting = self.waiting.iter();
            let passing = waiting.position(|said| said.offset.is_none());
            self.waiting.remove(passing.ok_or(Full)?);
        }
        self.last += 1;
        self.waiting.push_back(Said {
            number: self.last,
            offset,
            message,
        });
        Ok(())
    }

    /// Nothing more will be said.
    pub(super) fn close(&mut self, ending: Ending) {
        self.closed.get_or_insert(ending);
    }

    /// Why nothing more will be said, if so.
    pub(super) fn closed(&self) -> Option<Ending> {
        self.closed.clone()
    }

    /// The client has got everything up to and including `number`. Gives the position up to which
    /// its session has been told, if that is news.
    pub(super) fn confirm(&mut self, number: u64) -> Result<Option<Offset>, NeverSaid> {
        if number > self.last {
            return Err(NeverSaid);
        }
        let mut told = None;
        while let Some(said) = self.waiting.pop_front_if(|said| said.number <= number) {
            told = said.offset.or(told);
        }
        Ok(told)
    }

    /// The client has acknowledged everything up to and including `offset`, and so it has got
    /// what was said before that.
    pub(super) fn acknowledge(&mut self, offset: Offset) {
        let is_seen = |said: &Said| said.offset.is_some_and(|position| position <= offset);
        if let Some(last) = self.waiting.iter().rposition(is_seen) {
            self.waiting.drain(..=last);
        }
    }

    /// Whether anything came after `number`.
    pub(super) fn has_after(&self, number: u64) -> bool {
        self.waiting.back().is_some_and(|said| said.number > number)
    }

    /// What came after `number`.
    pub(super) fn after(&self, number: u64) -> impl Iterator<Item = &Said> {
        self.waiting.iter().filter(move |said| said.number > number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::Close;

    fn line(offsets: &[Option<u64>]) -> Line {
        let mut line = Line::default();
        for offset in offsets {
            let said = line.say(offset.map(Offset), Arc::new(Message::Pong));
            said.expect("there is room");
        }
        line
    }

    fn numbers(line: &Line, after: u64) -> Vec<u64> {
        line.after(after).map(|said| said.number).collect()
    }

    #[test]
    fn what_is_not_confirmed_is_given_again() {
        let mut line = line(&[None, Some(1), Some(2)]);
        assert_eq!(numbers(&line, 0), [1, 2, 3]);
        assert_eq!(numbers(&line, 2), [3]);
        assert_eq!(line.confirm(2), Ok(Some(Offset(1))));
        assert_eq!(numbers(&line, 0), [3]);
        assert!(line.has_after(2) && !line.has_after(3));
        assert_eq!(line.confirm(2), Ok(None));
        assert_eq!(line.confirm(3), Ok(Some(Offset(2))));
        assert_eq!(line.confirm(4), Err(NeverSaid));
    }

    #[test]
    fn an_acknowledgement_confirms_what_was_said_before() {
        let mut line = line(&[None, Some(1), None, Some(2), None]);
        line.acknowledge(Offset(1));
        assert_eq!(numbers(&line, 0), [3, 4, 5]);
        line.acknowledge(Offset(9));
        assert_eq!(numbers(&line, 0), [5]);
    }

    #[test]
    fn a_full_line_forgets_what_is_about_the_connection_only() {
        let mut line = line(&[None; MOST]);
        for offset in 1..=MOST as u64 {
            let said = line.say(Some(Offset(offset)), Arc::new(Message::Pong));
            assert_eq!(said, Ok(()));
        }
        assert_eq!(line.say(None, Arc::new(Message::Pong)), Err(Full));
        assert_eq!(numbers(&line, 0).len(), MOST);
        assert!(line.after(0).all(|said| said.offset.is_some()));
    }

    #[test]
    fn the_first_reason_to_close_stays() {
        let mut line = line(&[]);
        assert_eq!(line.closed(), None);
        line.close(Close::Bye.into());
        line.close(Close::Silent.into());
        assert_eq!(line.closed(), Some(Close::Bye.into()));
    }
}
