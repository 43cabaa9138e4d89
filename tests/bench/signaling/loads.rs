//! The loads, and what is read of each.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::crowd::Crowd;
use crate::line::Target;
use crate::pair::Order;
use crate::rounds::Error;
use crate::servers::{Kind, Running};
use crate::tls::Certificate;

/// What the first ones cost is the process's, not theirs.
const FIRST: usize = 100;
/// How long to leave a server alone before its memory is read.
const REST: Duration = Duration::from_secs(2);
/// How long messages flow before they count.
const WARM_UP: Duration = Duration::from_secs(1);

pub(crate) enum Load {
    /// Connections that say nothing: their memory at each of these counts, and what it takes to
    /// make the first so many.
    Idle { counts: Vec<usize>, has_tls: bool },
    /// Messages from one of each pair to the other, at this rate a second of all together.
    Talk {
        pairs: usize,
        rate: f64,
        duration: Duration,
    },
    /// So many connections are cut at once.
    Storm { count: usize },
}

impl Load {
    pub(crate) fn all(is_quick: bool) -> Vec<Self> {
        let (counts, storm, seconds) = if is_quick {
            (vec![2_000], 2_000, 2)
        } else {
            (vec![5_000, 15_000], 10_000, 5)
        };
        let talk = |pairs, rate| Self::Talk {
            pairs,
            rate,
            duration: Duration::from_secs(seconds),
        };
        let idle = |has_tls| Self::Idle {
            counts: counts.clone(),
            has_tls,
        };
        vec![
            idle(false),
            idle(true),
            talk(250, 5_000.0),
            // Each as often as Peerage lets a client by default, with some room for the rest.
            talk(1_000, 40_000.0),
            Self::Storm { count: storm },
        ]
    }

    pub(crate) fn name(&self) -> String {
        match self {
            Self::Idle { has_tls: false, .. } => "idle".to_owned(),
            Self::Idle { has_tls: true, .. } => "idle, TLS".to_owned(),
            Self::Talk { pairs, rate, .. } => {
                format!(
                    "{} messages a second offered by {} pairs",
                    grouped(*rate as usize),
                    grouped(*pairs)
                )
            }
            Self::Storm { count } => format!("{} connections cut at once", grouped(*count)),
        }
    }

    pub(crate) fn is_for(&self, kind: Kind) -> bool {
        !matches!(self, Self::Idle { has_tls: true, .. }) || kind.has_tls()
    }

    /// Puts the load on a server that is started for it. Gives figures, by row.
    pub(crate) async fn run(
        &self,
        kind: Kind,
        certificate: &Certificate,
    ) -> Result<Vec<(String, f64)>, Error> {
        let has_tls = matches!(self, Self::Idle { has_tls: true, .. });
        let server = Running::start(kind, has_tls.then_some(certificate))?;
        let tls = has_tls.then(|| certificate.connector()).transpose()?;
        let target = Target {
            address: server.address,
            tls,
        };
        let mut crowd = Crowd::new(kind, target);
        let name = self.name();
        match self {
            Self::Idle { counts, .. } => idle(&mut crowd, &server, &name, counts).await,
            Self::Talk {
                pairs,
                rate,
                duration,
            } => {
                crowd.grow_to(2 * pairs).await?;
                talk(&mut crowd, &server, &name, *rate, *duration).await
            }
            Self::Storm { count } => {
                crowd.grow_to(*count).await?;
                tokio::time::sleep(REST).await;
                let took = crowd.cut().await?.as_secs_f64();
                Ok(vec![(format!("{name}: s until all are back"), took)])
            }
        }
    }
}

async fn idle(
    crowd: &mut Crowd,
    server: &Running,
    name: &str,
    counts: &[usize],
) -> Result<Vec<(String, f64)>, Error> {
    let process = server.process()?;
    crowd.grow_to(FIRST).await?;
    tokio::time::sleep(REST).await;
    let (memory, cpu) = (process.resident()?, process.cpu()?);
    let mut figures = Vec::new();
    for (number, &count) in counts.iter().enumerate() {
        let took = crowd.grow_to(count).await?;
        let spent = process.cpu()? - cpu;
        tokio::time::sleep(REST).await;
        crowd.check()?;
        let made = (count - FIRST) as f64;
        let bytes = process.resident()? as f64 - memory as f64;
        if number == 0 {
            let micros = spent.as_secs_f64() * 1e6 / made;
            figures.push((format!("{name}: µs of CPU to connect"), micros));
            let rate = made / took.as_secs_f64();
            figures.push((format!("{name}: connections a second"), rate));
        }
        let row = format!("{name}: bytes each of {}", grouped(count));
        figures.push((row, bytes / made));
    }
    Ok(figures)
}

async fn talk(
    crowd: &mut Crowd,
    server: &Running,
    name: &str,
    rate: f64,
    duration: Duration,
) -> Result<Vec<(String, f64)>, Error> {
    let process = server.process()?;
    crowd.order(Order::Talk(rate));
    tokio::time::sleep(WARM_UP).await;
    let board = std::sync::Arc::clone(&crowd.board);
    board.is_measuring.store(true, Ordering::Relaxed);
    let arrived = || board.arrived.load(Ordering::Relaxed);
    let (begun, cpu, before) = (Instant::now(), process.cpu()?, arrived());
    tokio::time::sleep(duration).await;
    let (seconds, spent, messages) = (begun.elapsed(), process.cpu()? - cpu, arrived() - before);
    board.is_measuring.store(false, Ordering::Relaxed);
    crowd.check()?;
    if messages == 0 {
        return Err("no message came through".into());
    }
    let messages = messages as f64;
    let delays = board.delays.lock().unwrap_or_else(PoisonError::into_inner);
    let micros = |share| delays.quantile(share).unwrap_or(0) as f64 / 1e3;
    let figures = [
        ("µs of CPU a message", spent.as_secs_f64() * 1e6 / messages),
        ("messages a second", messages / seconds.as_secs_f64()),
        ("µs on the way, half of them", micros(0.5)),
        ("µs on the way, 99 %", micros(0.99)),
    ];
    let under_name = |(figure, value)| (format!("{name}: {figure}"), value);
    Ok(figures.map(under_name).to_vec())
}

/// With a comma between thousands.
fn grouped(number: usize) -> String {
    match (number / 1_000, number % 1_000) {
        (0, rest) => rest.to_string(),
        (thousands, rest) => format!("{},{rest:03}", grouped(thousands)),
    }
}
