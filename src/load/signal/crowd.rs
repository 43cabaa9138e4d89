//! All sessions of the load together.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::member::{Board, Order, stay};
use super::settings::{Progress, Settings};
use crate::client::{Client, Event, Profile, Request};

/// How long nothing may happen while something should.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often to look.
const GLANCE: Duration = Duration::from_millis(20);

pub(super) struct Crowd {
    pub(super) board: Arc<Board>,
    pub(super) orders: watch::Sender<Order>,
    members: JoinSet<()>,
    places: Arc<Semaphore>,
}

impl Crowd {
    pub(super) fn new(at_once: usize) -> Self {
        Self {
            board: Arc::default(),
            orders: watch::Sender::new(Order::Stay),
            members: JoinSet::new(),
            places: Arc::new(Semaphore::new(at_once.max(1))),
        }
    }

    /// Brings the crowd to `count` members, all in their rooms.
    pub(super) async fn grow_to(
        &mut self,
        count: usize,
        settings: &Settings,
        progress: &dyn Fn(Progress),
    ) -> Result<(), String> {
        for number in self.members.len()..count {
            let mut client = member(settings, &format!("bench-{}", number / 2))?;
            let (board, orders) = (Arc::clone(&self.board), self.orders.subscribe());
            let places = Arc::clone(&self.places);
            self.members.spawn(async move {
                // The semaphore is never closed.
                let place = places.acquire_owned().await;
                while let Some(event) = client.next().await {
                    board.note(&event);
                    if let Event::Joined { .. } | Event::Refused { .. } = event {
                        break;
                    }
                }
                drop(place);
                stay(client, board, orders).await;
            });
        }
        let board = Arc::clone(&self.board);
        let joined = || board.joined.load(Ordering::Relaxed);
        let connecting = |done| Progress::Connecting { done, of: count };
        wait_for(count, joined, &|done| progress(connecting(done))).await?;
        match self.board.refused.load(Ordering::Relaxed) {
            0 => Ok(()),
            refused => Err(format!("the server refused {refused} requests")),
        }
    }

    /// Waits until all are back. Gives how long that was after `since`.
    pub(super) async fn all_return(
        &self,
        since: Instant,
        progress: &dyn Fn(Progress),
    ) -> Result<Duration, String> {
        let of = self.members.len();
        let returned = || self.board.returned();
        let returning = |done| progress(Progress::Returning { done, of });
        wait_for(of, returned, &returning).await?;
        Ok(since.elapsed())
    }

    pub(super) async fn leave(mut self) {
        let _ = self.orders.send(Order::Leave);
        while self.members.join_next().await.is_some() {}
    }
}

/// A session that has asked to join a room.
pub(super) fn member(settings: &Settings, room: &str) -> Result<Client, String> {
    let mut client = Client::new(settings.client.clone()).map_err(|error| error.to_string())?;
    let join = Request::join(room, Profile::default());
    client.ask(join).map_err(|error| error.to_string())?;
    Ok(client)
}

/// Waits until `done` gives `count`, or gives up when nothing changes any more.
pub(super) async fn wait_for(
    count: usize,
    done: impl Fn() -> usize,
    progress: &dyn Fn(usize),
) -> Result<(), String> {
    let (mut before, mut since) = (done(), Instant::now());
    loop {
        let now = done();
        progress(now);
        if now >= count {
            return Ok(());
        }
        if now != before {
            (before, since) = (now, Instant::now());
        }
        if since.elapsed() > PATIENCE {
            return Err(format!(
                "only {now} of {count} sessions are there: does the server listen, and does it \
                 let so many in (signal.sessions, http.max_connections, open files)?"
            ));
        }
        tokio::time::sleep(GLANCE).await;
    }
}

/// The server's CPU time so far, where its process is known.
pub(super) fn cpu(settings: &Settings) -> Result<Option<Duration>, String> {
    let cpu = settings.process.map(|process| process.cpu());
    cpu.transpose()
        .map_err(|error| format!("the server has ended: {error}"))
}
