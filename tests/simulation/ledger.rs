//! What was said, who has heard it, and what its sender was told of it.

use std::collections::{BTreeMap, BTreeSet};

use peerage::signal::SessionId;
use peerage::time::Instant;

/// What a sender has been told of something that it said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It has arrived.
    Delivered,
    /// It never will.
    Undeliverable,
    /// The server did not take it.
    Refused,
    /// A broadcast has arrived with so many, and never will with these.
    Settled(usize, Vec<SessionId>),
    /// The session that said it is gone: nobody knows.
    Unknown,
}

/// Something that was said. Its number is larger than that of everything before.
#[derive(Debug)]
pub(crate) struct Word {
    /// Which of the clients has said it, and as whom.
    pub(crate) client: usize,
    pub(crate) from: SessionId,
    /// To whom; `None` is to all.
    pub(crate) to: Option<SessionId>,
    pub(crate) room: Box<str>,
    pub(crate) at: Instant,
}

/// What a client has to tell.
#[derive(Clone, Debug)]
pub(crate) enum News {
    /// It has said something: the number, as whom, to whom, in which room.
    Said(u64, SessionId, Option<SessionId>, Box<str>),
    /// It has heard something: the number, from whom, as whom, and whether it was said to all.
    Heard(u64, SessionId, SessionId, bool),
    /// It knows what became of something that it has said.
    Knows(u64, Fate),
}

#[derive(Default)]
pub(crate) struct Ledger {
    words: BTreeMap<u64, Word>,
    /// What nobody knows the fate of.
    open: BTreeSet<u64>,
    heard: BTreeMap<u64, BTreeSet<SessionId>>,
    /// The last number that one has heard from another; and of what is said to it alone in one
    /// room.
    last: BTreeMap<(SessionId, SessionId), u64>,
    last_in: BTreeMap<(SessionId, SessionId, Box<str>), u64>,
    /// When the server was restarted last.
    pub(crate) restarted: Option<Instant>,
    pub(crate) fates: BTreeMap<&'static str, u32>,
}

impl Ledger {
    pub(crate) fn note(&mut self, client: usize, news: News, at: Instant) {
        match news {
            News::Said(number, from, to, room) => {
                let word = Word {
                    client,
                    from,
                    to,
                    room,
                    at,
                };
                self.words.insert(number, word);
                self.open.insert(number);
            }
            News::Heard(number, from, by, to_all) => self.hear(number, from, by, to_all),
            News::Knows(number, fate) => self.resolve(number, &fate),
        }
    }

    /// Whatever one says, to one or to all, comes to those whom it was said to, once and in order.
    /// What is said again after a restart is in order where it is said to one in one room.
    fn hear(&mut self, number: u64, from: SessionId, by: SessionId, to_all: bool) {
        let word = self.words.get(&number).expect("it was said");
        assert_eq!(word.from, from, "{number}: nobody speaks for another");
        assert_eq!(word.to, (!to_all).then_some(by), "{number}: to nobody else");
        let before = self.last.insert((from, by), number);
        let is_in_order = before < Some(number);
        assert!(is_in_order || self.restarted.is_some(), "{number}: order");
        if !to_all {
            let key = (from, by, word.room.clone());
            let before = self.last_in.insert(key, number);
            assert!(before < Some(number), "{number}: order in a room");
        }
        let is_new = self.heard.entry(number).or_default().insert(by);
        assert!(is_new, "{number}: once");
    }

    fn resolve(&mut self, number: u64, fate: &Fate) {
        assert!(self.open.remove(&number), "{number} has one fate: {fate:?}");
        let word = &self.words[&number];
        let heard = self.heard.get(&number);
        match fate {
            Fate::Delivered => {
                let has_heard = heard.zip(word.to).is_some_and(|(by, to)| by.contains(&to));
                assert!(has_heard, "{number}: confirmed and lost");
            }
            Fate::Settled(delivered, lost) => {
                let heard = heard.into_iter().flatten();
                let heard = heard.filter(|by| !lost.contains(by)).count();
                // Of those who heard it before a restart, some are not asked after it.
                let is_exact = self.restarted.is_none_or(|at| at < word.at);
                assert!(heard >= *delivered, "{number}: confirmed and lost");
                assert!(!is_exact || heard == *delivered, "{number}: not counted");
            }
            _ => {}
        }
        let name = match fate {
            Fate::Delivered => "delivered",
            Fate::Undeliverable => "undeliverable",
            Fate::Refused => "refused",
            Fate::Settled(_, lost) if lost.is_empty() => "settled",
            Fate::Settled(..) => "settled with a loss",
            Fate::Unknown => "a word that went with its session",
        };
        *self.fates.entry(name).or_default() += 1;
    }

    /// What waits for its fate.
    pub(crate) fn open(&self) -> impl Iterator<Item = (u64, &Word)> {
        self.open
            .iter()
            .map(|number| (*number, &self.words[number]))
    }

    /// Everything that was heard, as far as it tells one history from another.
    pub(crate) fn heard(&self) -> Vec<(u64, Vec<SessionId>)> {
        let heard = self.heard.iter();
        heard
            .map(|(number, by)| (*number, by.iter().copied().collect()))
            .collect()
    }
}
