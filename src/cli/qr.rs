//! A QR code for a terminal.

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

/// Black on white, whatever the terminal's colours are.
const COLOURS: &str = "\x1b[38;5;16;48;5;231m";
const RESET: &str = "\x1b[0m";

/// `text` as a QR code of half blocks with its quiet zone; `None` if it is too long for one.
pub(super) fn draw(text: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let drawn = code
        .render::<Dense1x2>()
        .quiet_zone(true)
        .dark_color(Dense1x2::Dark)
        .light_color(Dense1x2::Light)
        .build();
    let lines = drawn
        .lines()
        .map(|line| format!("  {COLOURS}{line}{RESET}\n"));
    Some(lines.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_a_square_with_a_border() {
        let drawn = draw("https://192.168.100.100:8443/#blue-heron-0123456789az").expect("fits");
        let inside = |line: &str| {
            Some(
                line.trim()
                    .strip_prefix(COLOURS)?
                    .strip_suffix(RESET)?
                    .to_owned(),
            )
        };
        let lines: Vec<String> = drawn
            .lines()
            .map(|line| inside(line).expect("coloured"))
            .collect();
        let width = lines[0].chars().count();
        assert!(lines.iter().all(|line| line.chars().count() == width));
        // A line holds two rows.
        assert_eq!(lines.len(), width.div_ceil(2));
        assert!(
            lines[..2].iter().all(|line| line.trim().is_empty()),
            "no quiet zone"
        );
        assert!(draw(&"x".repeat(10_000)).is_none());
    }
}
