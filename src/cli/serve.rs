//! `peerage serve`

use std::io::{IsTerminal, Write};

use clap::Args;
use tracing::{info, warn};

use super::announce::Announcement;
use super::logging::Logs;
use super::options::Options;
use super::room::{RANDOM_BYTES, room};
use super::watch::Watch;
use crate::server::config::{Config, Resolved};
use crate::server::interfaces::Interfaces;
use crate::server::{Addresses, Server};

/// The status of a process that ended by Ctrl-C.
const EXIT_BY_SIGNAL: i32 = 130;

/// Run the server
///
/// Without a file and without flags it serves calls on this machine and its network. Every key of
/// the configuration is also a variable PEERAGE_SECTION_KEY; see docs/operator.md.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  peerage serve
  peerage serve --config /etc/peerage.toml
  peerage serve --listen 127.0.0.1:9000 --tls-listen \"\" --log-level debug")]
pub(super) struct Serve {
    #[command(flatten)]
    options: Options,
}

impl Serve {
    pub(super) fn run(&self) -> Result<(), String> {
        let interfaces = Interfaces::of_this_machine();
        let resolved = self
            .options
            .resolve(&interfaces)
            .map_err(|error| error.to_string())?;
        let logs = Logs::start(resolved.config.log_level);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads())
            .enable_all()
            .build()
            .map_err(|error| format!("cannot start the runtime: {error}"))?;
        let served = runtime.block_on(self.serve(resolved, &interfaces, &logs));
        // Whatever still runs belongs to clients that did not go.
        runtime.shutdown_background();
        served
    }

    async fn serve(
        &self,
        resolved: Resolved,
        interfaces: &Interfaces,
        logs: &Logs,
    ) -> Result<(), String> {
        // Heard from the first moment, so that a stop during the start is a stop.
        let mut stop = StopSignals::listen()?;
        let mut watch = Watch::start(self.options.file(), &resolved.config)?;
        let server = Server::start(&resolved.config, interfaces)
            .await
            .map_err(|error| error.to_string())?;
        announce(&server, &resolved.config, interfaces)?;
        log_ready(server.addresses());
        let mut present = resolved.clone();
        loop {
            tokio::select! {
                () = stop.heard() => break,
                () = watch.wait() => {}
            }
            if let Some(newer) = self.reload(&server, logs).await {
                tell_changes(&resolved, &present, &newer);
                watch.follow(&newer.config);
                present = newer;
            }
        }
        tokio::select! {
            () = server.stop() => Ok(()),
            // Somebody is impatient: not even the relay's threads are waited for.
            () = stop.heard() => std::process::exit(EXIT_BY_SIGNAL),
        }
    }

    /// Reads the configuration again and puts into force what can be changed while the server
    /// runs. What is wrong changes nothing.
    async fn reload(&self, server: &Server, logs: &Logs) -> Option<Resolved> {
        let interfaces = Interfaces::of_this_machine();
        let newer = match self.options.resolve(&interfaces) {
            Ok(newer) => newer,
            Err(error) => {
                warn!("the new configuration is wrong, the old one goes on: {error}");
                return None;
            }
        };
        if let Err(error) = server.reload(&newer.config, &interfaces) {
            warn!("the new configuration cannot be used, the old one goes on: {error}");
            return None;
        }
        logs.set_level(newer.config.log_level);
        Some(newer)
    }
}

/// Names what is different since the last time, and what waits since the `start`.
fn tell_changes(start: &Resolved, present: &Resolved, newer: &Resolved) {
    let waiting = start.changes(newer).fixed;
    if !waiting.is_empty() {
        warn!(
            "changed, but only taken over by a new start: {}",
            waiting.join(", ")
        );
    }
    match &present.changes(newer).live[..] {
        [] => info!("configuration reloaded, nothing is different"),
        changed => info!("configuration reloaded, changed: {}", changed.join(", ")),
    }
}

fn announce(server: &Server, config: &Config, interfaces: &Interfaces) -> Result<(), String> {
    let mut random = [0; RANDOM_BYTES];
    getrandom::fill(&mut random)
        .map_err(|error| format!("the system has no randomness: {error}"))?;
    let mut stdout = std::io::stdout().lock();
    let text = Announcement {
        config,
        addresses: server.addresses(),
        interfaces,
        local_ca: server.local_ca(),
        room: &room(random),
        terminal: stdout.is_terminal(),
    }
    .text();
    // Nobody may be there to read it; the server is for its clients.
    drop(
        stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush()),
    );
    Ok(())
}

/// One line that names the actual addresses, for people and for programs that start the server
/// with port 0.
fn log_ready(addresses: &Addresses) {
    info!(
        "ready http={} https={} turn={} metrics={} turn_listeners={}",
        joined(addresses.http.iter()),
        joined(addresses.https.iter()),
        joined(addresses.turn_by_datagrams()),
        joined(addresses.metrics.iter()),
        joined(addresses.turn.iter()),
    );
}

fn joined<'a>(addresses: impl Iterator<Item = &'a (impl ToString + 'a)>) -> String {
    let addresses: Vec<String> = addresses.map(ToString::to_string).collect();
    addresses.join(",")
}

/// Ctrl-C and, on Unix, SIGTERM.
struct StopSignals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl StopSignals {
    fn listen() -> Result<Self, String> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| signal(kind).map_err(|error| format!("cannot hear signals: {error}"));
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    async fn heard(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => (),
            _ = self.terminate.recv() => (),
        }
    }
}

#[cfg(not(unix))]
impl StopSignals {
    fn listen() -> Result<Self, String> {
        Ok(Self {})
    }

    async fn heard(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            // Without a way to hear it, only the system can end the process.
            std::future::pending::<()>().await;
        }
    }
}

/// How many threads signaling and HTTP have: half of the cores. A message costs less than it takes
/// to hand it to another thread, and the relay has a thread for each core as well.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2))
}
