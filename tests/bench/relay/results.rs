//! All results, and the table of them.

use std::collections::BTreeMap;
use std::fmt::Write;

use peerage::load::Report;

use crate::loads::{Figure, Load};
use crate::servers::Kind;

#[derive(Default)]
pub(crate) struct Results {
    /// By load, server and round.
    reports: BTreeMap<(&'static str, Kind, usize), Report>,
}

impl Results {
    pub(crate) fn add(&mut self, round: usize, load: &Load, kind: Kind, report: Report) {
        self.reports.insert((load.name, kind, round), report);
    }

    /// A figure of each round in which there is one.
    fn figures(&self, load: &Load, figure: &Figure, kind: Kind) -> BTreeMap<usize, f64> {
        let of_load = self
            .reports
            .iter()
            .filter(|((name, of, _), _)| (*name, *of) == (load.name, kind));
        of_load
            .filter_map(|((_, _, round), report)| Some((*round, (figure.read)(report)?)))
            .collect()
    }

    pub(crate) fn median(&self, load: &Load, figure: &Figure, kind: Kind) -> Option<f64> {
        median(self.figures(load, figure, kind).into_values().collect())
    }

    /// Peerage's share of another server's figure: the median of the rounds.
    fn ratio(&self, load: &Load, figure: &Figure, to: Kind) -> Option<f64> {
        let ours = self.figures(load, figure, Kind::Peerage);
        let theirs = self.figures(load, figure, to);
        let in_round = |(round, ours): (&usize, &f64)| {
            let theirs = theirs.get(round).filter(|&&theirs| theirs > 0.0)?;
            Some(ours / theirs)
        };
        median(ours.iter().filter_map(in_round).collect())
    }

    /// In Markdown.
    pub(crate) fn table(&self, loads: &[Load]) -> String {
        let mut table = String::from("| load | figure |");
        for kind in Kind::ALL {
            write!(table, " {} |", kind.name()).expect("a string takes everything");
        }
        table += " to forwarder | target | to coturn | target |\n|---|---|--:|--:|--:|--:|--:|--:|--:|--:|\n";
        for load in loads {
            for figure in &load.figures {
                self.row(&mut table, load, figure);
            }
        }
        table
    }

    fn row(&self, table: &mut String, load: &Load, figure: &Figure) {
        let decimals = figure.decimals;
        let mut cells = vec![load.name.to_owned(), figure.name.to_owned()];
        for kind in Kind::ALL {
            let value = self.median(load, figure, kind);
            cells.push(value.map_or("–".to_owned(), |value| format!("{value:.decimals$}")));
        }
        for (to, target) in [
            (Kind::Forwarder, figure.to_forwarder),
            (Kind::Coturn, figure.to_coturn),
        ] {
            let ratio = self
                .ratio(load, figure, to)
                .filter(|_| figure.name != "packets lost");
            cells.push(ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.2}")));
            cells.push(target.map_or("–".to_owned(), |target| format!("≤ {target:.2}")));
        }
        *table += &format!("| {} |\n", cells.join(" | "));
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len().is_multiple_of(2) {
        Some((values[middle - 1] + upper) / 2.0)
    } else {
        Some(upper)
    }
}
