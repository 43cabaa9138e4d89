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
mod results;
#[path = "../rounds/mod.rs"]
mod rounds;
mod servers;

use std::path::Path;
use std::time::Duration;

use loads::{Load, loads};
use peerage::load;
use results::Results;
pub(crate) use rounds::Error;
use rounds::Options;
use servers::{Kind, Running};

/// What stands before and behind the result in the page.
const BEGIN: &str = "<!-- recorded by make bench -->\n";
const END: &str = "<!-- end of the record -->";

const ROUNDS: usize = 5;
const SECONDS: Duration = Duration::from_millis(2_000);
const QUICK_SECONDS: Duration = Duration::from_millis(700);

fn main() -> Result<(), Error> {
    let options = Options::read(ROUNDS)?;
    let duration = if options.is_quick {
        QUICK_SECONDS
    } else {
        SECONDS
    };
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
                match measure(load, kind, duration) {
                    Ok(Some(report)) => results.add(round, load, kind, &report),
                    Ok(None) => {}
                    Err(error) => eprintln!("  no result: {error}"),
                }
            }
        }
    }
    let table = results.table(&loads);
    println!("{table}");
    if options.is_recorded {
        rounds::record(BEGIN, END, &record(&table, options.rounds))?;
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/performance.svg");
        std::fs::write(file, chart::draw(&results, &loads))?;
    }
    Ok(())
}

fn record(table: &str, rounds: usize) -> String {
    let machine = rounds::machine();
    let coturn = servers::coturn_version().unwrap_or_else(|| "not installed".to_owned());
    format!(
        "Medians of {rounds} rounds. The machine: {machine}; coturn {coturn}. Servers and the load \
         generator share it, over loopback.

![The table as bars](performance.svg)

{table}"
    )
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
