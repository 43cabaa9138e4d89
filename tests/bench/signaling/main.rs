//! What signaling costs, beside other servers in the same run.
//!
//! `cargo bench --bench signaling` starts each server as a process of its own for each load, round
//! by round, so that what disturbs the machine disturbs all of them, and prints one table of
//! medians and of ratios within a round. The load is this process; the bare relay, too, is this
//! program, in another process. Options, behind `--`:
//!
//! - `--quick`: one short round with fewer connections
//! - `--rounds N`: instead of three
//! - `--only TEXT`: the loads whose name contains it
//! - `--record`: write the table into `docs/performance.md`

mod bare;
mod crowd;
mod line;
mod loads;
mod pair;
mod peerage_client;
mod protocol;
#[path = "../rounds/mod.rs"]
mod rounds;
mod servers;
mod table;
mod tls;

use std::path::Path;

use loads::Load;
use rounds::{Error, Options};
use table::Table;
use tls::Certificate;

const ROUNDS: usize = 3;

/// What stands before and behind the result in the page.
const BEGIN: &str = "<!-- signaling, recorded by make bench -->\n";
const END: &str = "<!-- end of the record of signaling -->";

fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, address, files @ ..] = arguments.as_slice()
        && flag == "--bare"
    {
        let runtime = tokio::runtime::Runtime::new()?;
        let files = match files {
            [certificate, key] => Some((Path::new(certificate), Path::new(key))),
            _ => None,
        };
        return runtime.block_on(bare::serve(address.parse()?, files));
    }
    measure(&Options::read(ROUNDS)?)
}

fn measure(options: &Options) -> Result<(), Error> {
    let kinds = servers::available();
    let certificate = Certificate::make()?;
    let mut loads = Load::all(options.is_quick);
    loads.retain(|load| load.name().contains(&options.only));
    let mut table = Table::default();
    for round in 1..=options.rounds {
        for load in &loads {
            for &kind in kinds.iter().filter(|&&kind| load.is_for(kind)) {
                let (name, of) = (load.name(), options.rounds);
                eprintln!("round {round} of {of}: {name}: {}", kind.name());
                // One thread: the server has the rest of the machine. What is left of a load goes
                // with its runtime.
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()?;
                match runtime.block_on(load.run(kind, &certificate)) {
                    Ok(figures) => table.add(round, kind, figures),
                    Err(error) => eprintln!("  no result: {error}"),
                }
            }
        }
    }
    let text = table.markdown();
    println!("{text}");
    if options.is_recorded {
        let (rounds, machine, versions) = (options.rounds, rounds::machine(), servers::versions());
        let text = format!(
            "Medians of {rounds} rounds. The machine: {machine}; {versions}. Servers and the load \
             share it, over loopback.\n\n{text}"
        );
        rounds::record(BEGIN, END, &text)?;
    }
    Ok(())
}
