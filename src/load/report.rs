//! What a load has shown.

use std::fmt;

use serde::Serialize;

use super::error::LoadError;
use super::settings::Settings;
use super::traffic::Counts;

/// The result of a load.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// How many clients there were.
    pub allocations: usize,
    /// Bytes of each packet.
    pub payload: usize,
    /// Making the allocations; none with a server that knows none.
    pub setup: Option<SetupReport>,
    /// Packets.
    pub traffic: TrafficReport,
}

/// What making allocations has cost, beyond the first of them.
#[derive(Clone, Debug, Serialize)]
pub struct SetupReport {
    /// How many were made a second.
    pub allocations_per_second: f64,
    /// CPU time of the server for one.
    pub cpu_microseconds_per_allocation: Option<f64>,
    /// Resident memory of the server for one, with its channel or permission.
    pub bytes_per_allocation: Option<f64>,
}

/// What packets have cost.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TrafficReport {
    /// For how long was measured.
    pub seconds: f64,
    /// Crossings of the server in that time.
    pub packets: u64,
    /// The same a second.
    pub packets_per_second: f64,
    /// CPU time of the server for one crossing.
    pub cpu_nanoseconds_per_packet: Option<f64>,
    /// How many cores the server kept busy.
    pub cpu_cores: Option<f64>,
    /// Packets sent, before and after the measured time too.
    pub sent: u64,
    /// Packets that this machine did not let out.
    pub unsent: u64,
    /// Packets that were sent and have not arrived.
    pub lost: u64,
    /// Packets with wrong bytes, or at the wrong client.
    pub corrupted: u64,
    /// Packets that came after a later one, or twice.
    pub misordered: u64,
    /// How long the whole way took, half of the packets at most.
    pub microseconds_p50: Option<f64>,
    /// 99 per cent at most.
    pub microseconds_p99: Option<f64>,
    /// 99.9 per cent at most.
    pub microseconds_p999: Option<f64>,
}

impl Report {
    pub(super) fn new(setup: Option<SetupReport>, traffic: TrafficReport) -> Self {
        Self {
            allocations: 0,
            payload: 0,
            setup,
            traffic,
        }
    }

    /// Adds what the threads have counted.
    pub(super) fn with(mut self, settings: &Settings, counts: &Counts) -> Result<Self, LoadError> {
        if counts.sent > 0 && counts.arrived == 0 {
            return Err(LoadError::NothingArrived { sent: counts.sent });
        }
        self.allocations = settings.allocations;
        self.payload = settings.payload;
        let microseconds = |quantile| {
            let nanoseconds = counts.delays.quantile(quantile)?;
            Some(nanoseconds as f64 / 1e3)
        };
        let traffic = &mut self.traffic;
        traffic.sent = counts.sent;
        traffic.unsent = counts.unsent;
        traffic.lost = counts.sent.saturating_sub(counts.arrived);
        traffic.corrupted = counts.corrupted;
        traffic.misordered = counts.misordered;
        traffic.microseconds_p50 = microseconds(0.5);
        traffic.microseconds_p99 = microseconds(0.99);
        traffic.microseconds_p999 = microseconds(0.999);
        Ok(self)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |name: &str, value: Option<f64>, decimals: usize, unit: &str| match value {
            Some(value) => writeln!(f, "{name:<30} {value:>14.decimals$} {unit}"),
            None => Ok(()),
        };
        if let Some(setup) = &self.setup {
            let rate = setup.allocations_per_second;
            line("allocations made", Some(rate), 0, "a second")?;
            let cpu = setup.cpu_microseconds_per_allocation;
            line("server's CPU time", cpu, 1, "µs an allocation")?;
            let bytes = setup.bytes_per_allocation;
            line("server's memory", bytes, 0, "bytes an allocation")?;
        }
        let traffic = &self.traffic;
        let cores = traffic.cpu_cores;
        line("server's load", cores, 2, "cores")?;
        if traffic.sent == 0 {
            return Ok(());
        }
        let cpu = traffic.cpu_nanoseconds_per_packet;
        line("server's CPU time", cpu, 0, "ns a relayed packet")?;
        let rate = traffic.packets_per_second;
        line("packets relayed", Some(rate), 0, "a second")?;
        let share = 100.0 * traffic.lost as f64 / traffic.sent as f64;
        line("lost", Some(share), 3, "%")?;
        line("lost", Some(traffic.lost as f64), 0, "packets")?;
        line("sent", Some(traffic.sent as f64), 0, "packets")?;
        for (name, count) in [
            ("not let out by this machine", traffic.unsent),
            ("corrupted", traffic.corrupted),
            ("out of order or twice", traffic.misordered),
        ] {
            let some = (count > 0).then_some(count as f64);
            line(name, some, 0, "packets")?;
        }
        line("whole way, median", traffic.microseconds_p50, 1, "µs")?;
        line("whole way, 99 %", traffic.microseconds_p99, 1, "µs")?;
        line("whole way, 99.9 %", traffic.microseconds_p999, 1, "µs")
    }
}
