//! Whose allocations are to be held against the rooms of their party again.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use mio::Waker;

use crate::turn::FiveTuple;

/// What each worker is to look at again. A client that is named twice is looked at once, so there
/// are never more than there are allocations.
#[derive(Debug, Default)]
pub(super) struct Reviews(OnceLock<Vec<OfWorker>>);

#[derive(Debug)]
struct OfWorker {
    clients: Mutex<HashSet<FiveTuple>>,
    waker: Arc<Waker>,
}

impl Reviews {
    /// Workers with these wakers, in their order, look from now on. Only the first call counts.
    pub(super) fn begin(&self, wakers: impl Iterator<Item = Arc<Waker>>) {
        self.0.get_or_init(|| {
            let of_worker = wakers.map(|waker| OfWorker {
                clients: Mutex::default(),
                waker,
            });
            of_worker.collect()
        });
    }

    /// Has the allocations of `clients` looked at by the workers that have them.
    pub(super) fn ask<'c>(&self, clients: impl Iterator<Item = (&'c FiveTuple, &'c usize)>) {
        let workers = self.0.get().map_or(&[][..], |workers| workers);
        for (client, worker) in clients {
            let Some(worker) = workers.get(*worker) else {
                continue;
            };
            let mut clients = worker
                .clients
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let is_first = clients.is_empty();
            clients.insert(*client);
            drop(clients);
            if is_first {
                // A worker that cannot be woken has ended.
                let _ = worker.waker.wake();
            }
        }
    }

    /// What a worker is to look at now.
    pub(super) fn take(&self, worker: usize) -> HashSet<FiveTuple> {
        let worker = self.0.get().and_then(|workers| workers.get(worker));
        let clients = worker.map(|worker| &worker.clients);
        let clients = clients.map(|it| it.lock().unwrap_or_else(PoisonError::into_inner));
        clients
            .map(|mut it| std::mem::take(&mut *it))
            .unwrap_or_default()
    }
}
