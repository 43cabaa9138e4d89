//! All results, and the table of them.

use std::fmt::Write;

use peerage::load::Report;

use crate::loads::{Figure, Load};
use crate::rounds::Medians;
use crate::servers::Kind;

#[derive(Default)]
pub(crate) struct Results(Medians<Kind>);

impl Results {
    pub(crate) fn add(&mut self, round: usize, load: &Load, kind: Kind, report: &Report) {
        for figure in &load.figures {
            if let Some(value) = (figure.read)(report) {
                self.0.add(round, &name(load, figure), kind, value);
            }
        }
    }

    pub(crate) fn median(&self, load: &Load, figure: &Figure, kind: Kind) -> Option<f64> {
        self.0.median(&name(load, figure), kind)
    }

    /// Peerage's share of another server's figure: the median of the rounds.
    fn ratio(&self, load: &Load, figure: &Figure, to: Kind) -> Option<f64> {
        self.0.ratio(&name(load, figure), Kind::Peerage, to)
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

/// That of a row.
fn name(load: &Load, figure: &Figure) -> String {
    format!("{}: {}", load.name, figure.name)
}
