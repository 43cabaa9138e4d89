//! What waits for a connection: the hub puts it in, the connection's task takes it out.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::signal::{Ending, Message, Offset};

/// How many may wait: all that a mailbox keeps, and as many answers again. An outbox takes memory
/// only as it fills.
const CAPACITY: usize = 512;
/// An empty queue of more places is given back.
const PLACES_KEPT: usize = 8;

/// What a connection should do.
pub(super) enum Outgoing {
    /// Send a message.
    Message(Option<Offset>, Arc<Message>),
    /// Find out whether the client lives. It has this long to answer.
    Ping(Duration),
    /// Close. Nothing follows.
    Close(Ending),
}

/// Why something was not put into an outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotTaken {
    /// Too much waits there already.
    Full,
    /// Nobody will take it out.
    Closed,
}

/// What [`Outbox::take`] found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Nothing {
    /// Nothing waits now.
    Yet,
    /// Nothing waits, and nothing will come.
    More,
}

/// The hub's end. With it goes the promise that something may come.
pub(super) struct Slot(Arc<Shared>);

/// The end of a connection's task.
pub(super) struct Outbox(Arc<Shared>);

type Shared = Mutex<State>;

#[derive(Default)]
struct State {
    waiting: VecDeque<Outgoing>,
    /// Whom to wake when something comes.
    taker: Option<Waker>,
    /// The hub has let go.
    is_let_go: bool,
    /// The connection wants nothing more.
    is_closed: bool,
}

/// An outbox with both its ends.
pub(super) fn outbox() -> (Slot, Outbox) {
    let shared = Arc::new(Shared::default());
    (Slot(Arc::clone(&shared)), Outbox(shared))
}

impl Slot {
    /// Puts something behind what waits, without waiting itself.
    pub(super) fn put(&self, outgoing: Outgoing) -> Result<(), NotTaken> {
        let mut state = lock(&self.0);
        if state.is_closed {
            return Err(NotTaken::Closed);
        }
        if state.waiting.len() >= CAPACITY {
            return Err(NotTaken::Full);
        }
        state.waiting.push_back(outgoing);
        wake(state);
        Ok(())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = lock(&self.0);
        state.is_let_go = true;
        wake(state);
    }
}

impl Outbox {
    /// The next that is put in; `None` once the hub has let go and nothing waits any more. Nothing
    /// is lost where the future is dropped.
    pub(super) async fn next(&mut self) -> Option<Outgoing> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Outgoing>> {
        let mut state = lock(&self.0);
        match state.take() {
            Ok(outgoing) => Poll::Ready(Some(outgoing)),
            Err(Nothing::More) => Poll::Ready(None),
            Err(Nothing::Yet) => {
                match &mut state.taker {
                    Some(taker) => taker.clone_from(cx.waker()),
                    none => *none = Some(cx.waker().clone()),
                }
                Poll::Pending
            }
        }
    }

    /// What waits longest.
    pub(super) fn take(&mut self) -> Result<Outgoing, Nothing> {
        lock(&self.0).take()
    }

    /// Whether nothing more will be put in.
    pub(super) fn is_let_go(&self) -> bool {
        lock(&self.0).is_let_go
    }

    /// Wants nothing more; what waits is forgotten.
    pub(super) fn close(&mut self) {
        let mut state = lock(&self.0);
        state.is_closed = true;
        let forgotten = std::mem::take(&mut state.waiting);
        drop(state);
        drop(forgotten);
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.close();
    }
}

impl State {
    fn take(&mut self) -> Result<Outgoing, Nothing> {
        if let Some(outgoing) = self.waiting.pop_front() {
            if self.waiting.is_empty() && self.waiting.capacity() > PLACES_KEPT {
                self.waiting = VecDeque::new();
            }
            return Ok(outgoing);
        }
        Err(if self.is_let_go {
            Nothing::More
        } else {
            Nothing::Yet
        })
    }
}

fn lock(shared: &Shared) -> MutexGuard<'_, State> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Wakes who waits, once the lock is free again.
fn wake(mut state: MutexGuard<'_, State>) {
    let taker = state.taker.take();
    drop(state);
    if let Some(taker) = taker {
        taker.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::Close;

    const PING: Outgoing = Outgoing::Ping(Duration::ZERO);

    fn is_ping(taken: Option<&Outgoing>) -> bool {
        matches!(taken, Some(Outgoing::Ping(_)))
    }

    #[tokio::test]
    async fn what_is_put_in_comes_out_in_order_also_after_the_hub_has_let_go() {
        let (slot, mut outbox) = outbox();
        assert_eq!(slot.put(PING), Ok(()));
        assert_eq!(slot.put(Outgoing::Close(Close::TooSlow.into())), Ok(()));
        assert!(!outbox.is_let_go());
        drop(slot);
        assert!(outbox.is_let_go());
        assert!(is_ping(outbox.next().await.as_ref()));
        let last = outbox.next().await;
        assert!(matches!(last, Some(Outgoing::Close(ending)) if ending.close == Close::TooSlow));
        assert!(outbox.next().await.is_none());
        assert_eq!(outbox.take().err(), Some(Nothing::More));
    }

    #[tokio::test]
    async fn who_waits_is_woken_by_what_comes_and_by_the_end() {
        let (slot, mut outbox) = outbox();
        let waiting = tokio::spawn(async move {
            let first = is_ping(outbox.next().await.as_ref());
            (first, outbox.next().await.is_none())
        });
        // On this runtime of one thread the task gets its turn here, and finds nothing.
        tokio::task::yield_now().await;
        assert_eq!(slot.put(PING), Ok(()));
        tokio::task::yield_now().await;
        drop(slot);
        assert_eq!(waiting.await.expect("ended"), (true, true));
    }

    #[tokio::test]
    async fn a_full_outbox_takes_more_once_something_is_taken_out() {
        let (slot, mut outbox) = outbox();
        for _ in 0..CAPACITY {
            assert_eq!(slot.put(PING), Ok(()));
        }
        assert_eq!(slot.put(PING), Err(NotTaken::Full));
        assert!(outbox.take().is_ok());
        assert_eq!(slot.put(PING), Ok(()));
        while outbox.take().is_ok() {}
        assert_eq!(outbox.take().err(), Some(Nothing::Yet));
        assert_eq!(slot.put(PING), Ok(()));
        assert!(is_ping(outbox.next().await.as_ref()));
    }

    #[test]
    fn nothing_goes_into_an_outbox_that_is_closed_or_gone() {
        let (slot, mut outbox) = outbox();
        assert_eq!(slot.put(PING), Ok(()));
        outbox.close();
        assert_eq!(outbox.take().err(), Some(Nothing::Yet));
        assert_eq!(slot.put(PING), Err(NotTaken::Closed));
        let (slot, gone) = super::outbox();
        drop(gone);
        assert_eq!(slot.put(PING), Err(NotTaken::Closed));
    }
}
