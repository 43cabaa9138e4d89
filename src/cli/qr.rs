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
        let lines: Vec<&str> = drawn.lines().collect();
        let width = lines[0]
            .replace(COLOURS, "")
            .replace(RESET, "")
            .trim()
            .chars()
            .count();
        assert!(lines.len() >= 20, "{}", lines.len());
        assert!(
            lines
                .iter()
                .all(|line| line.contains(COLOURS) && line.ends_with(RESET))
        );
        assert!(width == 0 || width >= 2 * lines.len() - 4);
        assert!(draw(&"x".repeat(10_000)).is_none());
    }
}
