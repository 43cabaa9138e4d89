//! Two clients in a room.

use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use peerage::load::Histogram;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::line::{Line, Target};
use crate::protocol::{Heard, MARK, Protocol, client};
use crate::rounds::Error;
use crate::servers::Kind;

/// Bytes of a body, and the digits of the time in it.
const BODY: usize = 600;
const DIGITS: usize = 20;
/// How many messages of a pair may be under way.
const WINDOW: u64 = 4;
/// How long a client waits before it acknowledges.
const ACKNOWLEDGE_WITHIN: Duration = Duration::from_millis(300);

/// What all pairs are told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Order {
    Stay,
    /// One talks to the other: so often a second, all pairs together.
    Talk(f64),
    /// Both connections are cut, and made again.
    Cut,
}

/// What all pairs have come to.
pub(crate) struct Board {
    /// Connections that are there.
    pub(crate) ready: AtomicUsize,
    /// Messages that have arrived.
    pub(crate) arrived: AtomicU64,
    pub(crate) is_measuring: AtomicBool,
    pub(crate) delays: Mutex<Histogram>,
    /// What bodies are stamped by.
    clock: Instant,
}

impl Board {
    pub(crate) fn new() -> Self {
        Self {
            ready: AtomicUsize::new(0),
            arrived: AtomicU64::new(0),
            is_measuring: AtomicBool::new(false),
            delays: Mutex::default(),
            clock: Instant::now(),
        }
    }

    fn stamp(&self) -> String {
        let now = self.clock.elapsed().as_nanos();
        let padding = BODY - DIGITS - 1;
        format!("{MARK}{now:0DIGITS$}{:x<padding$}", "")
    }

    fn note(&self, text: &str) {
        self.arrived.fetch_add(1, Ordering::Relaxed);
        if !self.is_measuring.load(Ordering::Relaxed) {
            return;
        }
        let stamp = text
            .split(MARK)
            .nth(1)
            .and_then(|stamp| stamp.get(..DIGITS));
        if let Some(said) = stamp.and_then(|stamp| stamp.parse().ok()) {
            let now = self.clock.elapsed().as_nanos() as u64;
            let mut delays = self.delays.lock().unwrap_or_else(PoisonError::into_inner);
            delays.record(now.saturating_sub(said));
        }
    }
}

/// One of the two.
struct Side {
    client: Box<dyn Protocol>,
    line: Option<Line>,
    number: usize,
    /// When to acknowledge, at the latest.
    due: Option<Instant>,
}

impl Side {
    async fn connect(&mut self, target: &Target, board: &Board) -> Result<(), Error> {
        self.line = Some(Line::open(target, self.number, &mut *self.client).await?);
        self.due = None;
        self.note_owed().await?;
        board.ready.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// The next text, with whatever it wants answered. Gives it if it is a marked one.
    async fn next(&mut self) -> Result<Option<impl AsRef<str> + use<>>, Error> {
        let (Some(line), due) = (&mut self.line, self.due) else {
            return pending().await;
        };
        let text = tokio::select! {
            text = line.next() => Some(text?),
            () = until(due) => None,
        };
        let Some(text) = text else {
            self.acknowledge().await?;
            return Ok(None);
        };
        let heard = self.client.hear(&text)?;
        self.note_owed().await?;
        match heard {
            Heard::Said => Ok(Some(text)),
            Heard::Reply(reply) => {
                self.say(reply).await?;
                Ok(None)
            }
            Heard::Ready | Heard::Other => Ok(None),
        }
    }

    async fn say(&mut self, text: String) -> Result<(), Error> {
        match &mut self.line {
            Some(line) => line.say(text).await,
            None => Ok(()),
        }
    }

    async fn note_owed(&mut self) -> Result<(), Error> {
        if self.client.owes_now() {
            return self.acknowledge().await;
        }
        if self.client.owes() && self.due.is_none() {
            self.due = Some(Instant::now() + ACKNOWLEDGE_WITHIN);
        }
        Ok(())
    }

    async fn acknowledge(&mut self) -> Result<(), Error> {
        self.due = None;
        match self.client.acknowledge() {
            Some(text) => self.say(text).await,
            None => Ok(()),
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => pending().await,
    }
}

pub(crate) struct Pair {
    speaker: Side,
    listener: Side,
    number: usize,
    target: Target,
    board: Arc<Board>,
    /// How many pairs may connect at a time.
    places: Arc<Semaphore>,
    said: u64,
    heard: u64,
}

impl Pair {
    pub(crate) fn new(
        kind: Kind,
        number: usize,
        target: &Target,
        board: &Arc<Board>,
        places: &Arc<Semaphore>,
    ) -> Self {
        let side = |side| Side {
            client: client(kind, number, side),
            line: None,
            number: 2 * number + side,
            due: None,
        };
        Self {
            speaker: side(0),
            listener: side(1),
            number,
            target: target.clone(),
            board: Arc::clone(board),
            places: Arc::clone(places),
            said: 0,
            heard: 0,
        }
    }

    /// Lives until something goes wrong, or it is dropped.
    pub(crate) async fn run(
        mut self,
        pairs: usize,
        mut orders: watch::Receiver<Order>,
    ) -> Result<(), Error> {
        self.connect().await?;
        let mut pace = None;
        loop {
            tokio::select! {
                text = self.speaker.next() => drop(text?),
                text = self.listener.next() => {
                    if let Some(text) = text? {
                        self.heard += 1;
                        self.board.note(text.as_ref());
                    }
                }
                () = tick(&mut pace) => self.say().await?,
                changed = orders.changed() => {
                    changed?;
                    let order = *orders.borrow_and_update();
                    match order {
                        Order::Stay => pace = None,
                        Order::Talk(rate) => pace = Some(pace_of(self.number, pairs, rate)),
                        Order::Cut => {
                            (self.speaker.line, self.listener.line) = (None, None);
                            self.connect().await?;
                        }
                    }
                }
            }
        }
    }

    async fn connect(&mut self) -> Result<(), Error> {
        let places = Arc::clone(&self.places);
        let _place = places.acquire().await?;
        self.speaker.connect(&self.target, &self.board).await?;
        self.listener.connect(&self.target, &self.board).await
    }

    async fn say(&mut self) -> Result<(), Error> {
        if self.said < self.heard + WINDOW
            && let Some(text) = self.speaker.client.say(&self.board.stamp())
        {
            self.said += 1;
            self.speaker.say(text).await?;
        }
        Ok(())
    }
}

/// The pairs' turns are spread evenly.
fn pace_of(number: usize, pairs: usize, rate: f64) -> Interval {
    let period = Duration::from_secs_f64(pairs as f64 / rate);
    let first = Instant::now() + period.mul_f64(number as f64 / pairs as f64);
    let mut pace = interval_at(first, period);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pace
}

async fn tick(pace: &mut Option<Interval>) {
    match pace {
        Some(pace) => drop(pace.tick().await),
        None => pending().await,
    }
}
