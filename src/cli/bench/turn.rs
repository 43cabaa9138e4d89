//! `peerage bench turn`

use std::io::{IsTerminal, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::auth::Secret;
use crate::load::{
    self, Carriage, Families, Login, Mode, Pace, Process, Progress, Protocol, Report, Settings,
};

/// Measure a TURN server over UDP, any one
///
/// Makes allocations, sends packets through them, checks what arrives, and, with --pid, reads what
/// the server process spends. A relayed packet is one crossing of the server: an echo is two. The
/// generator keeps a core busy for each of its threads.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  peerage bench turn udp://127.0.0.1:3478 --secret S --pid \"$(pgrep -o peerage)\"
  peerage bench turn udp://127.0.0.1:3478 --secret S --payload 1200 --train 16 --allocations 10
  peerage bench turn udp://192.0.2.1:3478 --user alice --password P --rate 10000 --json
  peerage bench turn udp://127.0.0.1:3478 --secret S --mode idle --allocations 100000 --families both --shared-socket

The echoing peer is in this process. The server must be able to reach it: one on this machine has
to allow peers on loopback (turn.allow_peers = [\"127.0.0.0/8\"]).")]
pub(super) struct Turn {
    /// The server, as udp://HOST:PORT
    #[arg(value_name = "SERVER")]
    server: String,
    /// The secret of time-limited credentials
    #[arg(long, value_name = "SECRET", conflicts_with = "user")]
    secret: Option<String>,
    /// A static user
    #[arg(long, value_name = "NAME", requires = "password")]
    user: Option<String>,
    /// The static user's password
    #[arg(long, value_name = "PASSWORD", requires = "user")]
    password: Option<String>,
    /// Which way packets go
    #[arg(long, value_enum, default_value_t = Way::Echo)]
    mode: Way,
    /// Bytes of each packet
    #[arg(long, value_name = "BYTES", default_value_t = 172)]
    payload: usize,
    /// How many clients
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    allocations: usize,
    /// Of which family relayed addresses are, in mode idle
    #[arg(long, value_enum, default_value_t = Relayed::V4)]
    families: Relayed,
    /// How many packets a client sends at once, as video does
    #[arg(long, value_name = "PACKETS", default_value_t = 1)]
    train: usize,
    /// Packets a second by all clients together, or "saturate"
    #[arg(long, value_name = "PACKETS", default_value = "saturate")]
    rate: String,
    /// Packets under way at a time when saturating
    #[arg(long, value_name = "PACKETS", default_value_t = 64)]
    window: usize,
    /// One client sends so many at once, and the next ones when all have arrived
    #[arg(long, value_name = "PACKETS", conflicts_with = "train")]
    burst: Option<usize>,
    /// For how long to measure
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    seconds: f64,
    /// The server's process on this machine, to read its CPU time and memory
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Send on bound channels (the default)
    #[arg(long, conflicts_with = "indications")]
    channels: bool,
    /// Send in indications
    #[arg(long)]
    indications: bool,
    /// Where the echoing peer listens; the default is the address towards the server
    #[arg(long, value_name = "ADDRESS")]
    peer: Option<SocketAddr>,
    /// Threads of the generator
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    threads: usize,
    /// One socket for all clients, each with an address of 127.0.0.0/8
    #[arg(long)]
    shared_socket: bool,
    /// What the server speaks
    #[arg(long, value_enum, default_value_t = Speaks::Turn)]
    protocol: Speaks,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Way {
    /// To an echoing peer and back
    Echo,
    /// To a peer
    Oneway,
    /// Between pairs of clients
    Relay,
    /// No packets: allocations only
    Idle,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Relayed {
    /// IPv4
    #[value(name = "ipv4")]
    V4,
    /// IPv6
    #[value(name = "ipv6")]
    V6,
    /// Every other one IPv6
    Both,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Speaks {
    /// TURN
    Turn,
    /// ChannelData without requests: the bare forwarder of the benchmarks
    Forwarder,
}

impl Turn {
    pub(super) fn run(&self) -> Result<(), String> {
        let settings = self.settings()?;
        let terminal = std::io::stderr().is_terminal();
        let report = load::run(&settings, &|progress| {
            if terminal {
                eprint!("\r\x1b[K{}", text(progress));
            }
        });
        if terminal {
            eprint!("\r\x1b[K");
        }
        let report = report.map_err(|error| error.to_string())?;
        let text = if self.json {
            json(&report)?
        } else {
            report.to_string()
        };
        let written = std::io::stdout().write_all(text.as_bytes());
        written.map_err(|error| format!("cannot write to stdout: {error}"))
    }

    fn settings(&self) -> Result<Settings, String> {
        let process = self.pid.map(Process::new).transpose();
        Ok(Settings {
            server: resolve(&self.server)?,
            protocol: match self.protocol {
                Speaks::Turn => Protocol::Turn(self.login()?),
                Speaks::Forwarder => Protocol::Forwarder,
            },
            mode: match self.mode {
                Way::Echo => Mode::Echo,
                Way::Oneway => Mode::Oneway,
                Way::Relay => Mode::Relay,
                Way::Idle => Mode::Idle,
            },
            carriage: if self.indications {
                Carriage::Indications
            } else {
                Carriage::Channels
            },
            payload: self.payload,
            allocations: self.allocations,
            families: match self.families {
                Relayed::V4 => Families::V4,
                Relayed::V6 => Families::V6,
                Relayed::Both => Families::Both,
            },
            train: self.train,
            pace: self.pace()?,
            duration: Duration::try_from_secs_f64(self.seconds)
                .map_err(|_| format!("--seconds {}: not a duration", self.seconds))?,
            peer: self.peer,
            threads: self.threads,
            shared_socket: self.shared_socket,
            process: process
                .map_err(|error| format!("--pid {}: {error}", self.pid.unwrap_or_default()))?,
        })
    }

    fn login(&self) -> Result<Login, String> {
        match (&self.secret, &self.user, &self.password) {
            (Some(secret), _, _) => Ok(Login::Secret(Secret::new(secret))),
            (None, Some(username), Some(password)) => Ok(Login::User {
                username: username.clone(),
                password: Secret::new(password),
            }),
            _ => Err("credentials are missing: --secret, or --user and --password".to_owned()),
        }
    }

    fn pace(&self) -> Result<Pace, String> {
        if let Some(packets) = self.burst {
            return Ok(Pace::Bursts(packets));
        }
        if self.rate == "saturate" {
            return Ok(Pace::Saturate {
                window: self.window,
            });
        }
        match self.rate.parse() {
            Ok(rate) if rate > 0.0 && f64::is_finite(rate) => Ok(Pace::Rate(rate)),
            _ => Err(format!(
                "--rate {:?}: a number of packets a second, or \"saturate\"",
                self.rate
            )),
        }
    }
}

/// The address in `udp://HOST:PORT`.
fn resolve(server: &str) -> Result<SocketAddr, String> {
    let allowed = "udp://HOST:PORT";
    let host = server
        .strip_prefix("udp://")
        .ok_or_else(|| format!("server {server:?}: must be {allowed}"))?;
    let mut addresses = host
        .to_socket_addrs()
        .map_err(|error| format!("server {server:?}: must be {allowed}: {error}"))?;
    addresses
        .next()
        .ok_or_else(|| format!("server {server:?}: the name has no address"))
}

fn text(progress: Progress) -> String {
    match progress {
        Progress::Allocating { done, of } => format!("allocating: {done} of {of}"),
        Progress::Binding { done, of } => format!("binding: {done} of {of}"),
        Progress::Measuring => "measuring".to_owned(),
        Progress::Releasing { done, of } => format!("giving back: {done} of {of}"),
    }
}

fn json(report: &Report) -> Result<String, String> {
    let text = serde_json::to_string_pretty(report);
    let text = text.map_err(|error| format!("cannot write JSON: {error}"))?;
    Ok(text + "\n")
}
