//! One load, from the first connection to the last.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::crowd::{Crowd, cpu};
use super::member::Order;
use super::report::{ReturnReport, SignalReport};
use super::settings::{Progress, Settings};
use super::talk::talk;

/// What the first ones cost is the process's, not theirs.
const FIRST: usize = 100;
/// How long to leave the server alone before its memory is read: acknowledgements are on the way.
const REST: Duration = Duration::from_secs(2);

/// Makes the load, and says how far it has come.
///
/// # Errors
/// The server does not answer, refuses something, or is not the process that was named.
pub async fn run(settings: &Settings, progress: &dyn Fn(Progress)) -> Result<SignalReport, String> {
    let mut crowd = Crowd::new(settings.at_once);
    let first = FIRST.min(settings.sessions / 2);
    crowd.grow_to(first, settings, progress).await?;
    tokio::time::sleep(REST).await;
    let (memory_before, cpu_before) = (resident(settings)?, cpu(settings)?);
    let begun = Instant::now();
    crowd.grow_to(settings.sessions, settings, progress).await?;
    let took = begun.elapsed().as_secs_f64();
    let cpu_after = cpu(settings)?;
    tokio::time::sleep(REST).await;
    let grown = resident(settings)?.zip(memory_before);
    let count = (settings.sessions - first).max(1) as f64;
    let spent = cpu_after
        .zip(cpu_before)
        .map(|(after, before)| after - before);
    let mut report = SignalReport {
        sessions: settings.sessions,
        connections_per_second: count / took,
        cpu_microseconds_per_connection: spent.map(|cpu| cpu.as_secs_f64() * 1e6 / count),
        bytes_per_session: grown.map(|(after, before)| (after as f64 - before as f64) / count),
        talk: talk(settings, progress).await?,
        storm: None,
        restart: None,
    };
    if settings.storm {
        report.storm = Some(storm(&crowd, settings, progress).await?);
    }
    if let Some(command) = &settings.restart_command {
        report.restart = Some(restart(&crowd, command, progress).await?);
    }
    crowd.leave().await;
    Ok(report)
}

async fn storm(
    crowd: &Crowd,
    settings: &Settings,
    progress: &dyn Fn(Progress),
) -> Result<ReturnReport, String> {
    crowd.board.clear();
    let (begun, cpu_before) = (Instant::now(), cpu(settings)?);
    // Nobody listens only once all have ended.
    let _ = crowd.orders.send(Order::Reconnect);
    let took = crowd.all_return(begun, progress).await?;
    let spent = cpu(settings)?.zip(cpu_before);
    let mut report = returned(crowd, took);
    report.cpu_microseconds_per_session = spent
        .map(|(after, before)| (after - before).as_secs_f64() * 1e6 / settings.sessions as f64);
    Ok(report)
}

async fn restart(
    crowd: &Crowd,
    command: &str,
    progress: &dyn Fn(Progress),
) -> Result<ReturnReport, String> {
    crowd.board.clear();
    progress(Progress::Restarting);
    let mut shell = tokio::process::Command::new("/bin/sh");
    let status = shell.arg("-c").arg(command).status().await;
    let status = status.map_err(|error| format!("cannot run {command:?}: {error}"))?;
    if !status.success() {
        return Err(format!("{command:?} has failed: {status}"));
    }
    let took = crowd.all_return(Instant::now(), progress).await?;
    Ok(returned(crowd, took))
}

fn returned(crowd: &Crowd, took: Duration) -> ReturnReport {
    let board = &crowd.board;
    ReturnReport {
        seconds: took.as_secs_f64(),
        resumed: board.resumed.load(Ordering::Relaxed),
        restored: board.restored.load(Ordering::Relaxed),
        lost: board.lost.load(Ordering::Relaxed),
        cpu_microseconds_per_session: None,
    }
}

fn resident(settings: &Settings) -> Result<Option<u64>, String> {
    let resident = settings.process.map(|process| process.resident());
    resident
        .transpose()
        .map_err(|error| format!("the server has ended: {error}"))
}
