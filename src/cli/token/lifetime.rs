//! For how long something is good.

use std::time::Duration;

/// Reads a time such as `90s`, `15m`, `8h` or `7d`.
pub(super) fn lifetime(text: &str) -> Result<Duration, String> {
    let allowed = "a time from 1s to 366d, such as 90s, 15m, 8h or 7d";
    let unit_at = text.find(|character: char| !character.is_ascii_digit());
    let (number, unit) = text.split_at(unit_at.ok_or(allowed)?);
    let number: u64 = number.parse().map_err(|_| allowed)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(allowed.to_owned()),
    };
    let lifetime = number.checked_mul(seconds).ok_or(allowed)?;
    if (1..=366 * 86_400).contains(&lifetime) {
        Ok(Duration::from_secs(lifetime))
    } else {
        Err(allowed.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_is_a_number_and_a_unit() {
        for (text, seconds) in [("90s", 90), ("15m", 900), ("8h", 28_800), ("7d", 604_800)] {
            assert_eq!(lifetime(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in [
            "",
            "s",
            "90",
            "0s",
            "-1h",
            "1.5h",
            "1w",
            "400d",
            "99999999999999999999d",
        ] {
            assert!(lifetime(text).is_err(), "{text}");
        }
    }
}
