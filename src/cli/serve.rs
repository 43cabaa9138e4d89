//! `peerage serve`

use std::io::{IsTerminal, Write};

use clap::Args;
use tracing::info;

use super::announce::Announcement;
use super::logging;
use super::options::Options;
use super::room::{RANDOM_BYTES, room};
use crate::server::config::Config;
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
        logging::start(resolved.config.log_level);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|error| format!("cannot start the runtime: {error}"))?;
        let served = runtime.block_on(serve(&resolved.config, &interfaces));
        // Whatever still runs belongs to clients that did not go.
        runtime.shutdown_background();
        served
    }
}

async fn serve(config: &Config, interfaces: &Interfaces) -> Result<(), String> {
    // Heard from the first moment, so that a stop during the start is a stop.
    let mut stop = StopSignals::listen()?;
    let server = Server::start(config, interfaces)
        .await
        .map_err(|error| error.to_string())?;
    announce(&server, config, interfaces)?;
    log_ready(server.addresses());
    stop.heard().await;
    tokio::select! {
        () = server.stop() => Ok(()),
        // Somebody is impatient: not even the relay's threads are waited for.
        () = stop.heard() => std::process::exit(EXIT_BY_SIGNAL),
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
