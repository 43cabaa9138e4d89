//! What a relayed packet and an allocation cost, beside other servers in the same run.
//!
//! `cargo bench --bench relay` starts each server as a process of its own for each load, round by
//! round, so that what disturbs the machine disturbs all of them, and prints one table of medians
//! and of ratios within a round. Options, behind `--`:
//!
//! - `--quick`: one short round
//! - `--rounds N`: instead of five
//! - `--only TEXT`: the loads whose name contains it
//! - `--record`: write the table into `docs/performance.md`, and `docs/performance.svg`

mod chart;
mod loads;
mod page;
mod results;
mod servers;

use std::time::Duration;

use loads::{Load, loads};
use peerage::load;
use results::Results;
use servers::{Kind, Running};

pub(crate) type Error = Box<dyn std::error::Error>;

const ROUNDS: usize = 5;
const SECONDS: Duration = Duration::from_millis(2_000);
const QUICK_SECONDS: Duration = Duration::from_millis(700);

struct Options {
    rounds: usize,
    duration: Duration,
    only: String,
    record: bool,
}

impl Options {
    fn read() -> Result<Self, Error> {
        let mut this = Self {
            rounds: ROUNDS,
            duration: SECONDS,
            only: String::new(),
            record: false,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                // Given before `--rounds`, this counts for the length only.
                "--quick" => (this.rounds, this.duration) = (1, QUICK_SECONDS),
                "--record" => this.record = true,
                "--rounds" => this.rounds = arguments.next().ok_or("--rounds N")?.parse()?,
                "--only" => this.only = arguments.next().ok_or("--only TEXT")?,
                // Cargo's own.
                "--bench" => {}
                other => return Err(format!("unknown option {other}").into()),
            }
        }
        Ok(this)
    }
}

fn main() -> Result<(), Error> {
    let options = Options::read()?;
    servers::build_yardsticks()?;
    let kinds = servers::available();
    let loads: Vec<Load> = loads()
        .into_iter()
        .filter(|load| load.name.contains(&options.only))
        .collect();
    let mut results = Results::default();
    for round in 1..=options.rounds {
        for load in &loads {
            for &kind in &kinds {
                eprintln!(
                    "round {round} of {}: {}: {}",
                    options.rounds,
                    load.name,
                    kind.name()
                );
                match measure(load, kind, options.duration) {
                    Ok(Some(report)) => results.add(round, load, kind, report),
                    Ok(None) => {}
                    Err(error) => eprintln!("  no result: {error}"),
                }
            }
        }
    }
    let table = results.table(&loads);
    println!("{table}");
    if options.record {
        page::write(&table, options.rounds, &chart::draw(&results, &loads))?;
    }
    Ok(())
}

/// Runs `load` on a server that is started for it. `None` if the server does not know such loads.
fn measure(load: &Load, kind: Kind, duration: Duration) -> Result<Option<load::Report>, Error> {
    let Some(mode) = load.mode(kind) else {
        return Ok(None);
    };
    let server = Running::start(kind, load.train > 1)?;
    let settings = load.settings(mode, &server, duration)?;
    Ok(Some(load::run(&settings, &|_| ())?))
}
