//! The loads, what is read of each, and what it should be.

use std::time::Duration;

use peerage::load::{Carriage, Families, Mode, Pace, Report, Settings};

use crate::Error;
use crate::servers::{Kind, Running};

/// Packets under way: few enough for servers with small socket buffers to lose none.
const WINDOW: usize = 64;

pub(crate) struct Load {
    pub(crate) name: &'static str,
    pub(crate) mode: Mode,
    pub(crate) payload: usize,
    pub(crate) allocations: usize,
    pub(crate) train: usize,
    pub(crate) pace: Pace,
    pub(crate) figures: Vec<Figure>,
}

/// A row of the table.
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) read: fn(&Report) -> Option<f64>,
    pub(crate) decimals: usize,
    /// The most that it may be of the bare forwarder's, and of coturn's.
    pub(crate) to_forwarder: Option<f64>,
    pub(crate) to_coturn: Option<f64>,
}

impl Load {
    /// How a server of this kind is loaded, if it is at all.
    pub(crate) fn mode(&self, kind: Kind) -> Option<Mode> {
        match (kind, self.mode) {
            (Kind::Forwarder, Mode::Idle) => None,
            // One crossing is what a delivered packet should cost.
            (Kind::Forwarder, Mode::Relay) => Some(Mode::Echo),
            (_, mode) => Some(mode),
        }
    }

    pub(crate) fn settings(
        &self,
        mode: Mode,
        server: &Running,
        duration: Duration,
    ) -> Result<Settings, Error> {
        Ok(Settings {
            server: server.address,
            protocol: server.protocol(),
            mode,
            carriage: Carriage::Channels,
            payload: self.payload,
            allocations: self.allocations,
            families: Families::V4,
            train: self.train,
            pace: self.pace,
            duration: if mode == Mode::Idle {
                Duration::ZERO
            } else {
                duration
            },
            peer: server.peer,
            threads: 1,
            shared_socket: false,
            process: Some(server.process()?),
        })
    }
}

const fn packet(to_forwarder: f64, to_coturn: f64) -> Figure {
    Figure {
        name: "ns a packet",
        read: |report| report.traffic.cpu_nanoseconds_per_packet,
        decimals: 0,
        to_forwarder: Some(to_forwarder),
        to_coturn: Some(to_coturn),
    }
}

const LOSS: Figure = Figure {
    name: "packets lost",
    read: |report| Some(report.traffic.lost as f64),
    decimals: 0,
    to_forwarder: None,
    to_coturn: None,
};

/// A figure of the setup.
const fn of_setup(
    name: &'static str,
    read: fn(&Report) -> Option<f64>,
    to_coturn: Option<f64>,
) -> Figure {
    Figure {
        name,
        read,
        decimals: 0,
        to_forwarder: None,
        to_coturn,
    }
}

fn setup() -> Vec<Figure> {
    vec![
        of_setup(
            "µs an allocation",
            |report| report.setup.as_ref()?.cpu_microseconds_per_allocation,
            Some(0.3),
        ),
        of_setup(
            "bytes an allocation",
            |report| report.setup.as_ref()?.bytes_per_allocation,
            Some(0.1),
        ),
        of_setup(
            "allocations a second",
            |report| Some(report.setup.as_ref()?.allocations_per_second),
            None,
        ),
    ]
}

/// A saturated echo, with the most that a packet may cost of the forwarder's and of coturn's.
fn echo(name: &'static str, allocations: usize, targets: (f64, f64)) -> Load {
    Load {
        name,
        mode: Mode::Echo,
        payload: 172,
        allocations,
        train: 1,
        pace: Pace::Saturate { window: WINDOW },
        figures: vec![packet(targets.0, targets.1), LOSS],
    }
}

/// A whole burst by one client, of which nothing may be lost.
fn bursts(name: &'static str, packets: usize, payload: usize) -> Load {
    Load {
        payload,
        pace: Pace::Bursts(packets),
        figures: vec![LOSS],
        ..echo(name, 1, (0.0, 0.0))
    }
}

pub(crate) fn loads() -> Vec<Load> {
    vec![
        echo("echo, 1 allocation, 172 B", 1, (1.05, 0.85)),
        echo("echo, 100 allocations, 172 B", 100, (1.10, 0.80)),
        Load {
            payload: 1_200,
            ..echo("echo, 100 allocations, 1,200 B", 100, (1.10, 0.80))
        },
        echo("echo, 1,000 allocations, 172 B", 1_000, (1.15, 0.75)),
        Load {
            // An echo is two packets to the server.
            pace: Pace::Rate(5_000.0),
            ..echo(
                "paced, 100 allocations, 10,000 packets a second",
                100,
                (1.05, 0.85),
            )
        },
        Load {
            payload: 1_200,
            train: 16,
            ..echo("trains of sixteen 1,200 B, 1 flow", 1, (1.2, 0.22))
        },
        Load {
            payload: 1_200,
            train: 16,
            ..echo("trains of sixteen 1,200 B, 10 flows", 10, (1.2, 0.22))
        },
        Load {
            mode: Mode::Relay,
            ..echo("relay to relay, 100 allocations, 172 B", 100, (1.05, 0.40))
        },
        bursts("bursts of 1,000 × 172 B", 1_000, 172),
        bursts("bursts of 200 × 1,200 B", 200, 1_200),
        Load {
            mode: Mode::Idle,
            figures: setup(),
            ..echo("setup of 1,000 allocations", 1_000, (0.0, 0.0))
        },
    ]
}
