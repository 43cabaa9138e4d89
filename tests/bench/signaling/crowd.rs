//! All pairs of a load.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::line::Target;
use crate::pair::{Board, Order, Pair};
use crate::rounds::Error;
use crate::servers::Kind;

/// How many pairs connect at a time.
const AT_ONCE: usize = 32;
/// How long nobody may connect while somebody should.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often to look.
const GLANCE: Duration = Duration::from_millis(5);

pub(crate) struct Crowd {
    pub(crate) board: Arc<Board>,
    kind: Kind,
    target: Target,
    orders: watch::Sender<Order>,
    places: Arc<Semaphore>,
    pairs: JoinSet<Result<(), String>>,
}

impl Crowd {
    pub(crate) fn new(kind: Kind, target: Target) -> Self {
        Self {
            board: Arc::new(Board::new()),
            kind,
            target,
            orders: watch::Sender::new(Order::Stay),
            places: Arc::new(Semaphore::new(AT_ONCE)),
            pairs: JoinSet::new(),
        }
    }

    /// Brings the crowd to `count` connections. Gives how long that took.
    pub(crate) async fn grow_to(&mut self, count: usize) -> Result<Duration, Error> {
        let begun = Instant::now();
        let pairs = count / 2;
        for number in self.pairs.len()..pairs {
            let pair = Pair::new(self.kind, number, &self.target, &self.board, &self.places);
            let orders = self.orders.subscribe();
            let run = async move {
                let ended = pair.run(pairs, orders).await;
                ended.map_err(|error| error.to_string())
            };
            self.pairs.spawn(run);
        }
        self.all_ready(2 * pairs).await?;
        Ok(begun.elapsed())
    }

    /// Cuts all connections at once. Gives how long it took until all were back.
    pub(crate) async fn cut(&mut self) -> Result<Duration, Error> {
        self.board.ready.store(0, Ordering::Relaxed);
        let begun = Instant::now();
        self.order(Order::Cut);
        self.all_ready(2 * self.pairs.len()).await?;
        Ok(begun.elapsed())
    }

    pub(crate) fn order(&self, order: Order) {
        // If nobody listens any more, `check` says why.
        let _ = self.orders.send(order);
    }

    /// # Errors
    /// A pair has ended.
    pub(crate) fn check(&mut self) -> Result<(), Error> {
        match self.pairs.try_join_next() {
            None => Ok(()),
            Some(Ok(Ok(()))) => Err("a pair has ended".into()),
            Some(Ok(Err(error))) => Err(error.into()),
            Some(Err(error)) => Err(error.into()),
        }
    }

    async fn all_ready(&mut self, count: usize) -> Result<(), Error> {
        let (mut before, mut since) = (0, Instant::now());
        loop {
            let ready = self.board.ready.load(Ordering::Relaxed);
            self.check()?;
            if ready >= count {
                return Ok(());
            }
            if ready != before {
                (before, since) = (ready, Instant::now());
            }
            if since.elapsed() > PATIENCE {
                return Err(format!("only {ready} of {count} have connected").into());
            }
            tokio::time::sleep(GLANCE).await;
        }
    }
}
