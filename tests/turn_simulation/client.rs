//! A client: it asks, asks again until there is an answer, and checks what it is answered.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use peerage::stun::Family;

use super::ask::{Answer, Ask, Time, What};
use super::random::Random;

/// The first wait for an answer; every further one is twice as long, up to the last.
const FIRST_WAIT: Time = 500;
const LAST_WAIT: Time = 8_000;

#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
    /// Index into the users.
    user: usize,
    knows_password: bool,
    nonce: Option<Vec<u8>>,
    /// The request that has no answer yet.
    pub(crate) pending: Option<Ask>,
    wait: Time,
    /// Whether the pending request has already been made with a new nonce.
    challenged: bool,
    /// All requests so far.
    pub(crate) made: BTreeMap<u64, Ask>,
    pub(crate) relayed: Vec<SocketAddr>,
    /// The peers that it has had a permission for.
    pub(crate) peers: Vec<SocketAddr>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr, user: usize, knows_password: bool) -> Self {
        Self {
            address,
            user,
            knows_password,
            nonce: None,
            pending: None,
            wait: FIRST_WAIT,
            challenged: false,
            made: BTreeMap::new(),
            relayed: Vec::new(),
            peers: Vec::new(),
        }
    }

    /// Begins a request. Now and then somebody else asks from this client's address.
    pub(crate) fn ask(&mut self, what: What, id: u64, random: &mut Random, users: usize) {
        let user = if random.one_in(20) {
            random.below(users)
        } else {
            self.user
        };
        self.pending = Some(Ask {
            id,
            what,
            user,
            knows_password: self.knows_password,
            nonce: self.nonce.clone(),
        });
        self.challenged = false;
        self.wait = FIRST_WAIT;
        self.note();
    }

    fn note(&mut self) {
        let ask = self.pending.clone().expect("there is one");
        self.made.insert(ask.id, ask);
    }

    /// How long to wait for an answer now.
    pub(crate) fn next_wait(&mut self) -> Time {
        let wait = self.wait;
        self.wait = (wait * 2).min(LAST_WAIT);
        wait
    }

    /// Takes in an answer. Gives `true` if the request has to be made once more, with the new
    /// nonce and as the transaction `next`.
    pub(crate) fn take_in(&mut self, answer: &Answer, next: u64) -> bool {
        let pending = self.pending.as_ref();
        let Some(ask) = pending.filter(|ask| ask.id == answer.id).cloned() else {
            // A late or repeated one.
            return false;
        };
        self.pending = None;
        match answer.code {
            Some(401 | 438) => self.challenge(ask, answer, next),
            Some(_) => false,
            None => {
                self.note_success(&ask, answer);
                false
            }
        }
    }

    fn challenge(&mut self, mut ask: Ask, answer: &Answer, next: u64) -> bool {
        self.nonce = answer.nonce.clone();
        if self.challenged && (!self.knows_password || answer.code == Some(438)) {
            return false;
        }
        assert!(
            !self.challenged,
            "who knows the password is asked for it once"
        );
        self.challenged = true;
        ask.nonce = self.nonce.clone();
        ask.id = next;
        self.pending = Some(ask);
        self.wait = FIRST_WAIT;
        self.note();
        true
    }

    fn note_success(&mut self, ask: &Ask, answer: &Answer) {
        assert!(self.knows_password, "nobody gets anywhere with a guess");
        match &ask.what {
            What::Allocate(_) => {
                assert_eq!(answer.mapped, Some(self.address));
                self.relayed.clone_from(&answer.relayed);
            }
            What::Refresh {
                lifetime: Some(0),
                family,
            } => self
                .relayed
                .retain(|own| family.is_some_and(|family| Family::of(own.ip()) != family)),
            What::CreatePermission { peers } => self.peers.extend(peers),
            What::ChannelBind { peer, .. } => self.peers.push(*peer),
            What::Refresh { .. } => {}
        }
    }
}
