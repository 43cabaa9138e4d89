//! The table of all results.

use crate::rounds::Medians;
use crate::servers::Kind;

#[derive(Default)]
pub(crate) struct Table {
    medians: Medians<Kind>,
    /// `load: figure`, in the order in which they have come.
    rows: Vec<String>,
}

impl Table {
    pub(crate) fn add(&mut self, round: usize, kind: Kind, figures: Vec<(String, f64)>) {
        for (row, figure) in figures {
            self.medians.add(round, &row, kind, figure);
            if !self.rows.contains(&row) {
                self.rows.push(row);
            }
        }
    }

    pub(crate) fn markdown(&self) -> String {
        let others = || Kind::ALL.into_iter().filter(|&kind| kind != Kind::Peerage);
        let mut head = vec!["load | figure".to_owned()];
        head.extend(Kind::ALL.map(|kind| kind.name().to_owned()));
        head.extend(others().map(|kind| format!("to {}", kind.name())));
        let rule = "--:|".repeat(head.len() - 1);
        let mut table = format!("| {} |\n|---|---|{rule}\n", head.join(" | "));
        for row in &self.rows {
            let mut cells = vec![row.replacen(": ", " | ", 1)];
            cells.extend(Kind::ALL.map(|kind| cell(self.medians.median(row, kind), plain)));
            let ratio = |kind| self.medians.ratio(row, Kind::Peerage, kind);
            cells.extend(others().map(|kind| cell(ratio(kind), |ratio| format!("{ratio:.2}"))));
            table += &format!("| {} |\n", cells.join(" | "));
        }
        table
    }
}

fn cell(value: Option<f64>, write: fn(f64) -> String) -> String {
    value.map_or("–".to_owned(), write)
}

/// With three digits at least.
fn plain(value: f64) -> String {
    let decimals = match value {
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}
