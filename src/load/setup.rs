//! Asking the server for the same thing for many clients, with many requests under way.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::allocation::{Allocation, Answer, Request};
use super::error::LoadError;
use super::sources::{Owner, Sources};
use super::stages::Board;
use crate::net::{Outgoing, ReceiveBatch, SendSpace};

/// How many clients wait for an answer at a time.
const UNDER_WAY: usize = 64;

/// After how long a request is sent again, and how often.
const RETRANSMISSION: Duration = Duration::from_millis(250);
const TRIES: u32 = 20;

/// Enough for the longest request.
const REQUEST_LENGTH: usize = 1_500;

/// A request that is to be sent again if nothing has come until then.
struct Pending {
    client: usize,
    tries: u32,
    next: Instant,
}

/// The clients of a thread, and what is needed to speak for them.
pub(super) struct Setup<'a> {
    pub(super) server: SocketAddr,
    pub(super) sources: &'a mut Sources,
    pub(super) clients: &'a mut [Allocation],
    pub(super) board: &'a Board,
    pub(super) batch: &'a mut ReceiveBatch,
    pub(super) space: &'a mut SendSpace,
}

impl Setup<'_> {
    /// Has these clients ask, and returns when all have got it.
    pub(super) fn ask(
        &mut self,
        clients: impl IntoIterator<Item = usize>,
        request: impl Fn(&[Allocation], usize) -> Request,
    ) -> Result<(), LoadError> {
        self.board.set_answered(0);
        let mut waiting: VecDeque<usize> = clients.into_iter().collect();
        let count = waiting.len();
        // In the order of their next try, as all wait equally long.
        let mut pending: VecDeque<Pending> = VecDeque::new();
        let mut is_under_way = vec![false; self.clients.len()];
        let mut answered = 0;
        while answered < count {
            while pending.len() < UNDER_WAY
                && let Some(client) = waiting.pop_front()
            {
                let wanted = request(self.clients, client);
                self.clients[client].ask(wanted);
                is_under_way[client] = true;
                self.send(client, 1, &mut pending);
            }
            self.sources.poll(Duration::from_millis(1))?;
            answered += self
                .take_answers(&mut is_under_way)
                .map_err(|error| with_count(error, answered))?;
            self.board.set_answered(answered);
            pending.retain(|pending| is_under_way[pending.client]);
            self.send_again(&mut pending)?;
        }
        Ok(())
    }

    /// Handles what has arrived; gives how many requests are done.
    fn take_answers(&mut self, is_under_way: &mut [bool]) -> Result<usize, LoadError> {
        let mut granted = 0;
        for _ in 0..self.sources.ready() {
            let owner = self.sources.receive(self.batch);
            for number in 0..self.batch.len() {
                let Some(arrived) = self.batch.arrived(number) else {
                    continue;
                };
                let client = match owner {
                    Some(Owner::Client(client)) => Some(client),
                    Some(Owner::Clients) => self.sources.client_at(arrived.to),
                    Some(Owner::Peer) | None => None,
                };
                let Some(client) = client.filter(|&client| is_under_way[client]) else {
                    continue;
                };
                match self.clients[client].handle(arrived.bytes)? {
                    Answer::Ignored => {}
                    Answer::Again => {
                        let request = write(&self.clients[client]);
                        transmit(self.sources, self.space, self.server, client, &request);
                    }
                    Answer::Granted => {
                        is_under_way[client] = false;
                        granted += 1;
                    }
                }
            }
        }
        Ok(granted)
    }

    fn send(&mut self, client: usize, tries: u32, pending: &mut VecDeque<Pending>) {
        let request = write(&self.clients[client]);
        transmit(self.sources, self.space, self.server, client, &request);
        let next = Instant::now() + RETRANSMISSION;
        pending.push_back(Pending {
            client,
            tries,
            next,
        });
    }

    fn send_again(&mut self, pending: &mut VecDeque<Pending>) -> Result<(), LoadError> {
        let now = Instant::now();
        while pending.front().is_some_and(|first| first.next <= now)
            && let Some(late) = pending.pop_front()
        {
            if late.tries == TRIES {
                return Err(LoadError::Unreachable {
                    server: self.server,
                    request: self.clients[late.client].request().name(),
                    patience: RETRANSMISSION * TRIES,
                });
            }
            self.send(late.client, late.tries + 1, pending);
        }
        Ok(())
    }
}

fn write(client: &Allocation) -> Vec<u8> {
    let mut request = vec![0; REQUEST_LENGTH];
    let length = client.write(&mut request);
    request.truncate(length);
    request
}

fn transmit(
    sources: &Sources,
    space: &mut SendSpace,
    server: SocketAddr,
    client: usize,
    request: &[u8],
) {
    let (socket, from) = sources.of_client(client);
    let mut batch = space.batch();
    batch.push(Outgoing {
        to: server,
        from,
        prefix: &[],
        payload: request,
        padding: 0,
    });
    // What is lost here is sent again like what is lost elsewhere.
    batch.send(socket);
}

/// Says how far the setup had come.
fn with_count(error: LoadError, count: usize) -> LoadError {
    match error {
        LoadError::Refused {
            request,
            code,
            reason,
            ..
        } => LoadError::Refused {
            request,
            code,
            reason,
            allocations: count,
        },
        other => other,
    }
}
