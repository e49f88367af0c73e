//! Durations and sizes as people write them: `90s`, `10m`, `1h30m`, `2d`; `64MiB`, `512KiB`, `1GB`.
//!
//! A bare number means seconds or bytes. Each printer writes what its reader accepts.

const DURATION_UNITS: [(&str, u64); 5] = [("w", 604_800), ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
const SIZE_UNITS: [(&str, u64); 9] = [
    ("tib", 1 << 40),
    ("gib", 1 << 30),
    ("mib", 1 << 20),
    ("kib", 1 << 10),
    ("tb", 1_000_000_000_000),
    ("gb", 1_000_000_000),
    ("mb", 1_000_000),
    ("kb", 1_000),
    ("b", 1),
];

/// Seconds. `None` when the text is no duration or does not fit.
pub fn parse_duration(text: &str) -> Option<u64> {
    parse_sum(text, &DURATION_UNITS)
}

/// Bytes. `None` when the text is no size or does not fit.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let unit = unit.trim_start();
    let factor = if unit.is_empty() { 1 } else { unit_factor(unit, &SIZE_UNITS)? };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// The text that `parse_duration` reads as `seconds`.
pub(crate) fn show_duration(seconds: u64) -> String {
    show_in_units(seconds, &DURATION_UNITS, |unit| unit.to_owned())
}

/// The text that `parse_size` reads as `bytes`.
pub(crate) fn show_size(bytes: u64) -> String {
    show_in_units(bytes, &SIZE_UNITS[..4], |unit| unit.to_uppercase().replace('I', "i"))
}

/// `1h30m` is the sum of its parts; a bare number is in the smallest unit.
fn parse_sum(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    if let Ok(number) = text.parse::<u64>() {
        return Some(number);
    }
    let (mut total, mut rest) = (0u64, text);
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, after) = rest.split_at(unit_at);
        let unit_len = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, next) = after.split_at(unit_len);
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(unit_factor(unit, units)?)?)?;
        rest = next;
    }
    (!text.is_empty()).then_some(total)
}

fn unit_factor(unit: &str, units: &[(&str, u64)]) -> Option<u64> {
    units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|(_, factor)| *factor)
}

/// In the largest unit that divides the amount; a bare number if that is the smallest unit.
fn show_in_units(amount: u64, units: &[(&str, u64)], spell: impl Fn(&str) -> String) -> String {
    match units.iter().find(|(_, factor)| amount > 0 && amount.is_multiple_of(*factor) && *factor > 1) {
        Some((unit, factor)) => format!("\"{}{}\"", amount / factor, spell(unit)),
        None => amount.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations() {
        for (text, seconds) in
            [("0", 0), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("2d", 172_800), ("1w", 604_800), ("2D", 172_800), ("45", 45)]
        {
            assert_eq!(parse_duration(text), Some(seconds), "{text}");
        }
        for text in ["", "m", "10x", "10m5", "-1s", "1.5h", "99999999999999999999", "18446744073709551615w", "ten", "1 h"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [("0", 0), ("64MiB", 67_108_864), ("64 mib", 67_108_864), ("1GB", 1_000_000_000), ("10B", 10), ("3KiB", 3072)]
        {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for text in ["", "MiB", "64M", "1.5GiB", "-1", "64MiBx", "99999999999999TiB"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(amount in 0u64..1 << 44) {
            prop_assert_eq!(parse_duration(show_duration(amount).trim_matches('"')), Some(amount));
            prop_assert_eq!(parse_size(show_size(amount).trim_matches('"')), Some(amount));
        }
    }
}
