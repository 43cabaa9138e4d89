//! What a load has shown.

use std::fmt;

use serde::Serialize;

/// The result of a load.
#[derive(Clone, Debug, Serialize)]
pub struct SignalReport {
    /// How many sessions there were, two to a room.
    pub sessions: usize,
    /// How many of them connected and joined a second, beyond the first.
    pub connections_per_second: f64,
    /// CPU time of the server for one, from the connection to the joined room.
    pub cpu_microseconds_per_connection: Option<f64>,
    /// Resident memory of the server for one that is idle.
    pub bytes_per_session: Option<f64>,
    /// Messages between members.
    pub talk: Option<TalkReport>,
    /// All connections cut at once.
    pub storm: Option<ReturnReport>,
    /// A restart of the server.
    pub restart: Option<ReturnReport>,
}

/// What messages have cost.
#[derive(Clone, Debug, Serialize)]
pub struct TalkReport {
    /// For how long was measured.
    pub seconds: f64,
    /// Bytes of each body.
    pub bytes: usize,
    /// Messages that have arrived in that time.
    pub messages: u64,
    /// The same a second.
    pub messages_per_second: f64,
    /// CPU time of the server for one, with its acknowledgement and receipt.
    pub cpu_microseconds_per_message: Option<f64>,
    /// How long the way took, half of them at most.
    pub microseconds_p50: Option<f64>,
    /// 99 per cent at most.
    pub microseconds_p99: Option<f64>,
    /// 99.9 per cent at most.
    pub microseconds_p999: Option<f64>,
}

/// How sessions came back.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ReturnReport {
    /// How long it took until all were there.
    pub seconds: f64,
    /// How many went on as they were.
    pub resumed: usize,
    /// How many went on under their id, after a restart.
    pub restored: usize,
    /// How many had to begin anew.
    pub lost: usize,
    /// CPU time of the server for one, if it is the same process.
    pub cpu_microseconds_per_session: Option<f64>,
}

impl fmt::Display for SignalReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        line(f, "sessions", Some(self.sessions as f64), 0, "")?;
        let rate = self.connections_per_second;
        line(f, "connected and joined", Some(rate), 0, "a second")?;
        let cpu = self.cpu_microseconds_per_connection;
        line(f, "server's CPU time", cpu, 1, "µs a connection")?;
        let bytes = self.bytes_per_session;
        line(f, "server's memory", bytes, 0, "bytes an idle session")?;
        if let Some(talk) = &self.talk {
            talk.fmt(f)?;
        }
        for (what, returned) in [("storm", self.storm), ("restart", self.restart)] {
            let Some(returned) = returned else { continue };
            line(f, what, Some(returned.seconds), 2, "s until all are back")?;
            for (how, count) in [
                ("resumed", returned.resumed),
                ("restored", returned.restored),
                ("lost", returned.lost),
            ] {
                line(f, how, Some(count as f64), 0, "sessions")?;
            }
            let cpu = returned.cpu_microseconds_per_session;
            line(f, "server's CPU time", cpu, 1, "µs a session")?;
        }
        Ok(())
    }
}

impl fmt::Display for TalkReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.bytes as f64;
        line(f, "body of a message", Some(bytes), 0, "bytes")?;
        let rate = self.messages_per_second;
        line(f, "messages relayed", Some(rate), 0, "a second")?;
        let cpu = self.cpu_microseconds_per_message;
        line(f, "server's CPU time", cpu, 2, "µs a relayed message")?;
        line(f, "whole way, median", self.microseconds_p50, 0, "µs")?;
        line(f, "whole way, 99 %", self.microseconds_p99, 0, "µs")?;
        line(f, "whole way, 99.9 %", self.microseconds_p999, 0, "µs")
    }
}

fn line(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    value: Option<f64>,
    decimals: usize,
    unit: &str,
) -> fmt::Result {
    match value {
        Some(value) => writeln!(f, "{name:<30} {value:>14.decimals$} {unit}"),
        None => Ok(()),
    }
}
