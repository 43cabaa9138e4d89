//! Messages from one member of a room to the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior};

use super::super::histogram::Histogram;
use super::crowd::{cpu, member, wait_for};
use super::report::TalkReport;
use super::settings::{Progress, Settings};
use crate::client::{Body, Client, Event, Kind, Request};
use crate::signal::SessionId;

/// How long messages flow before they count.
const WARM_UP: Duration = Duration::from_secs(1);
/// How many messages of one pair may be under way.
const WINDOW: u64 = 16;
/// The digits of the time in a body.
const DIGITS: usize = 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Meet,
    Talk,
    Over,
}

/// What all pairs have come to.
#[derive(Debug, Default)]
struct Board {
    met: AtomicUsize,
    arrived: AtomicU64,
    is_measuring: AtomicBool,
}

/// Two members of a room, one of whom talks.
struct Pair {
    speaker: Client,
    listener: Client,
    room: String,
    to: Option<SessionId>,
    /// What bodies are stamped by.
    clock: Instant,
    padding: String,
    /// Says when to talk; `None` is as fast as it goes.
    pace: Option<Interval>,
    said: u64,
    heard: u64,
    delays: Histogram,
    board: Arc<Board>,
}

impl Pair {
    fn new(
        settings: &Settings,
        number: usize,
        clock: Instant,
        board: &Arc<Board>,
    ) -> Result<Self, String> {
        let room = format!("bench-talk-{number}");
        let rate = settings.rate.map(|rate| rate / settings.pairs as f64);
        let pace = rate.map(|rate| {
            let mut pace = tokio::time::interval(Duration::from_secs_f64(1.0 / rate));
            pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
            pace
        });
        Ok(Self {
            speaker: member(settings, &room)?,
            listener: member(settings, &room)?,
            room,
            to: None,
            clock,
            padding: "x".repeat(settings.bytes.saturating_sub(DIGITS + 2)),
            pace,
            said: 0,
            heard: 0,
            delays: Histogram::default(),
            board: Arc::clone(board),
        })
    }

    async fn run(mut self, mut stage: watch::Receiver<Stage>) -> Result<Histogram, String> {
        loop {
            let is_talking = *stage.borrow() == Stage::Talk;
            if is_talking && self.pace.is_none() {
                while self.said < self.heard + WINDOW && self.say()? {}
            }
            tokio::select! {
                event = self.speaker.next() => self.take(event, true)?,
                event = self.listener.next() => self.take(event, false)?,
                () = tick(&mut self.pace), if is_talking => {
                    self.say()?;
                }
                changed = stage.changed() => {
                    if changed.is_err() || *stage.borrow() == Stage::Over {
                        return Ok(self.delays);
                    }
                }
            }
        }
    }

    /// Says something. Gives whether there was room for it.
    fn say(&mut self) -> Result<bool, String> {
        let Some(to) = self.to else {
            return Ok(false);
        };
        let body = format!(
            "{:0DIGITS$}{}",
            self.clock.elapsed().as_nanos(),
            self.padding
        );
        let body = Body::new(&body).map_err(|error| error.to_string())?;
        let is_taken = self
            .speaker
            .ask(Request::say(&self.room, to, Kind::Candidate, body))
            .is_ok();
        self.said += u64::from(is_taken);
        Ok(is_taken)
    }

    fn take(&mut self, event: Option<Event>, is_speaker: bool) -> Result<(), String> {
        match event {
            Some(Event::Said(said)) => self.hear(said.body.json()),
            Some(Event::Joined { room, .. }) if is_speaker => {
                if let Some(member) = room.members.first() {
                    self.meet(member.session);
                }
            }
            Some(Event::Presence { member, .. }) if is_speaker => self.meet(member.session),
            Some(Event::Refused { code, message, .. }) => {
                return Err(format!(
                    "the server refused a message with {code}: {message}"
                ));
            }
            Some(Event::Ended(why)) => return Err(format!("a session has ended: {why:?}")),
            None => return Err("a session has ended".to_owned()),
            Some(_) => {}
        }
        Ok(())
    }

    fn meet(&mut self, session: SessionId) {
        if self.to.replace(session).is_none() {
            self.board.met.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn hear(&mut self, body: &str) {
        self.heard += 1;
        self.board.arrived.fetch_add(1, Ordering::Relaxed);
        let said: Option<u64> = body.get(1..=DIGITS).and_then(|digits| digits.parse().ok());
        if let Some(said) = said
            && self.board.is_measuring.load(Ordering::Relaxed)
        {
            let now = self.clock.elapsed().as_nanos() as u64;
            self.delays.record(now.saturating_sub(said));
        }
    }
}

async fn tick(pace: &mut Option<Interval>) {
    match pace {
        Some(pace) => drop(pace.tick().await),
        None => std::future::pending().await,
    }
}

/// Has the pairs talk, and measures.
pub(super) async fn talk(
    settings: &Settings,
    progress: &dyn Fn(Progress),
) -> Result<Option<TalkReport>, String> {
    if settings.pairs == 0 {
        return Ok(None);
    }
    let (clock, board) = (Instant::now(), Arc::new(Board::default()));
    let stage = watch::Sender::new(Stage::Meet);
    let mut pairs = JoinSet::new();
    for number in 0..settings.pairs {
        let pair = Pair::new(settings, number, clock, &board)?;
        pairs.spawn(pair.run(stage.subscribe()));
    }
    let met = || board.met.load(Ordering::Relaxed);
    wait_for(settings.pairs, met, &|_| ()).await?;
    let _ = stage.send(Stage::Talk);
    progress(Progress::Talking);
    tokio::time::sleep(WARM_UP).await;
    board.is_measuring.store(true, Ordering::Relaxed);
    let arrived = || board.arrived.load(Ordering::Relaxed);
    let (begun, cpu_before, before) = (Instant::now(), cpu(settings)?, arrived());
    tokio::time::sleep(settings.duration).await;
    let (seconds, cpu_after, messages) = (begun.elapsed(), cpu(settings)?, arrived() - before);
    board.is_measuring.store(false, Ordering::Relaxed);
    let _ = stage.send(Stage::Over);
    let mut delays = Histogram::default();
    while let Some(pair) = pairs.join_next().await {
        delays.add(&pair.map_err(|error| error.to_string())??);
    }
    if messages == 0 {
        return Err("no message came through".to_owned());
    }
    let seconds = seconds.as_secs_f64();
    let spent = cpu_after
        .zip(cpu_before)
        .map(|(after, before)| after - before);
    let microseconds = |share| {
        delays
            .quantile(share)
            .map(|nanoseconds| nanoseconds as f64 / 1e3)
    };
    Ok(Some(TalkReport {
        seconds,
        bytes: settings.bytes,
        messages,
        messages_per_second: messages as f64 / seconds,
        cpu_microseconds_per_message: spent.map(|cpu| cpu.as_secs_f64() * 1e6 / messages as f64),
        microseconds_p50: microseconds(0.5),
        microseconds_p99: microseconds(0.99),
        microseconds_p999: microseconds(0.999),
    }))
}
