//! `peerage bench signal`

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::client::{self, Transport, Trust};
use crate::load::Process;
use crate::load::signal::{self, Progress, Settings, SignalReport};

/// Measure a Peerage server's signaling
///
/// Connects sessions, two to a room, and leaves them idle; has members of further rooms talk; cuts
/// all connections at once, or has the server restarted, and sees the sessions come back. With
/// --pid, reads what the server process spends. Each session is a connection: both sides need as
/// many open files.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  peerage bench signal ws://127.0.0.1:8080/v1/ws --pid \"$(pgrep -o peerage)\"
  peerage bench signal wss://call.example/v1/ws --ca ca.pem --sessions 15000 --pairs 0
  peerage bench signal ws://127.0.0.1:8080/v1/ws --pairs 200 --rate 5000 --bytes 600 --json
  peerage bench signal ws://127.0.0.1:8080/v1/ws --sessions 10000 --storm \\
    --restart-command 'systemctl restart peerage'

A client keeps within the rate that the server allows a session, 40 messages a second out of the
box: for more, take more pairs.")]
pub(super) struct Signal {
    /// The server's WebSocket, as ws://HOST:PORT/v1/ws or wss://…
    #[arg(value_name = "URL")]
    url: String,
    /// Certificates of authorities in PEM, for wss://
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Take any certificate
    #[arg(long, conflicts_with = "ca")]
    insecure: bool,
    /// How many sessions to leave idle
    #[arg(long, value_name = "COUNT", default_value_t = 1_000)]
    sessions: usize,
    /// How many connections to make at a time
    #[arg(long, value_name = "COUNT", default_value_t = 64)]
    at_once: usize,
    /// In how many further rooms somebody talks
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    pairs: usize,
    /// Bytes of a message's body
    #[arg(long, value_name = "BYTES", default_value_t = 600)]
    bytes: usize,
    /// Messages a second by all pairs together, or "saturate"
    #[arg(long, value_name = "MESSAGES", default_value = "saturate")]
    rate: String,
    /// For how long to talk
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    seconds: f64,
    /// Cut all connections at once
    #[arg(long)]
    storm: bool,
    /// Restart the server by this, which returns once the server serves again
    #[arg(long, value_name = "COMMAND")]
    restart_command: Option<String>,
    /// The server's process on this machine, to read its CPU time and memory
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Signal {
    pub(super) fn run(&self) -> Result<(), String> {
        let settings = self.settings()?;
        let terminal = std::io::stderr().is_terminal();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| format!("cannot start: {error}"))?;
        let report = runtime.block_on(signal::run(&settings, &|progress| {
            if terminal {
                eprint!("\r\x1b[K{}", text(progress));
            }
        }));
        if terminal {
            eprint!("\r\x1b[K");
        }
        let report = report?;
        let text = if self.json {
            json(&report)?
        } else {
            report.to_string()
        };
        let written = std::io::stdout().write_all(text.as_bytes());
        written.map_err(|error| format!("cannot write to stdout: {error}"))
    }

    fn settings(&self) -> Result<Settings, String> {
        let mut client = client::Settings::new(&self.url).map_err(|error| error.to_string())?;
        client.transports = vec![Transport::WebSocket];
        client.trust = match &self.ca {
            Some(file) => Trust::authorities(file).map_err(|error| error.to_string())?,
            None if self.insecure => Trust::Anybody,
            None => Trust::Nobody,
        };
        let process = self.pid.map(Process::new).transpose();
        Ok(Settings {
            client,
            sessions: self.sessions,
            at_once: self.at_once,
            pairs: self.pairs,
            bytes: self.bytes,
            rate: self.rate()?,
            duration: Duration::try_from_secs_f64(self.seconds)
                .map_err(|_| format!("--seconds {}: not a duration", self.seconds))?,
            storm: self.storm,
            restart_command: self.restart_command.clone(),
            process: process
                .map_err(|error| format!("--pid {}: {error}", self.pid.unwrap_or_default()))?,
        })
    }

    fn rate(&self) -> Result<Option<f64>, String> {
        if self.rate == "saturate" {
            return Ok(None);
        }
        match self.rate.parse() {
            Ok(rate) if rate > 0.0 && f64::is_finite(rate) => Ok(Some(rate)),
            _ => Err(format!(
                "--rate {:?}: a number of messages a second, or \"saturate\"",
                self.rate
            )),
        }
    }
}

fn text(progress: Progress) -> String {
    match progress {
        Progress::Connecting { done, of } => format!("connecting: {done} of {of}"),
        Progress::Talking => "talking".to_owned(),
        Progress::Returning { done, of } => format!("coming back: {done} of {of}"),
        Progress::Restarting => "restarting the server".to_owned(),
    }
}

fn json(report: &SignalReport) -> Result<String, String> {
    let text = serde_json::to_string_pretty(report);
    let text = text.map_err(|error| format!("cannot write JSON: {error}"))?;
    Ok(text + "\n")
}
