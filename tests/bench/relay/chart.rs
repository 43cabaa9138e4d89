//! The table as bars.

use std::fmt::Write;

use crate::loads::Load;
use crate::results::Results;
use crate::servers::Kind;

const WIDTH: f64 = 900.0;
const LEFT: f64 = 330.0;
const RIGHT: f64 = 90.0;
const BAR: f64 = 13.0;
const GAP: f64 = 16.0;
const TOP: f64 = 64.0;

/// Colours that stand out from white and from black.
const STYLE: &str = "\
text { font: 12px system-ui, sans-serif; fill: #24292f }
.forwarder { fill: #8c959f } .peerage { fill: #1a7f64 }
.coturn { fill: #bc6c25 } .turn { fill: #6e5aa8 }
@media (prefers-color-scheme: dark) { text { fill: #d0d7de }
.peerage { fill: #3fb68b } .coturn { fill: #dd9a52 } .turn { fill: #9d8bd6 } }";

/// An SVG of the first figure of each load that costs CPU time a packet.
pub(crate) fn draw(results: &Results, loads: &[Load]) -> String {
    let groups: Vec<(&Load, Vec<(Kind, f64)>)> = loads
        .iter()
        .filter(|load| load.figures[0].name == "ns a packet")
        .map(|load| {
            let bar = |kind| Some((kind, results.median(load, &load.figures[0], kind)?));
            (load, Kind::ALL.into_iter().filter_map(bar).collect())
        })
        .collect();
    let longest = groups
        .iter()
        .flat_map(|(_, bars)| bars.iter().map(|bar| bar.1))
        .fold(1.0, f64::max);
    let mut body = legend();
    let mut y = TOP;
    for (load, bars) in &groups {
        let middle = y + bars.len() as f64 * BAR / 2.0 + 4.0;
        text(&mut body, LEFT - 10.0, middle, "end", load.name);
        for (kind, value) in bars {
            let length = value / longest * (WIDTH - LEFT - RIGHT);
            rectangle(&mut body, LEFT, y, length, *kind);
            text(
                &mut body,
                LEFT + length + 5.0,
                y + BAR - 2.5,
                "start",
                &format!("{value:.0}"),
            );
            y += BAR;
        }
        y += GAP;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y}\" role=\"img\">\n\
         <title>CPU time of the server process, nanoseconds a relayed packet</title>\n\
         <style>{STYLE}</style>\n{body}</svg>\n"
    )
}

fn legend() -> String {
    let mut body = String::new();
    let title = "CPU time of the server process, nanoseconds a relayed packet (less is better)";
    text(&mut body, 10.0, 20.0, "start", title);
    for (number, kind) in Kind::ALL.into_iter().enumerate() {
        let x = 10.0 + 150.0 * number as f64;
        rectangle(&mut body, x, 33.0, 12.0, kind);
        text(&mut body, x + 18.0, 44.0, "start", kind.name());
    }
    body
}

fn rectangle(body: &mut String, x: f64, y: f64, width: f64, kind: Kind) {
    let class = match kind {
        Kind::Forwarder => "forwarder",
        Kind::Peerage => "peerage",
        Kind::Coturn => "coturn",
        Kind::TurnCrate => "turn",
    };
    let height = BAR - 1.0;
    writeln!(
        body,
        "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height}\"/>"
    )
    .expect("a string takes everything");
}

fn text(body: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    writeln!(
        body,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
    )
    .expect("a string takes everything");
}
