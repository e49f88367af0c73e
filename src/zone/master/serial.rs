//! The next serial of a zone: a date with a number (RFC 1912 2.2) where the zone uses that form, else one more (RFC 1982 3.1).

/// The serial of the next version; `today` as YYYYMMDD, in UTC.
pub fn next_serial(serial: u32, today: u32) -> u32 {
    let first_of_today = today.saturating_mul(100).saturating_add(1);
    if is_date(serial / 100) && is_date(today) && serial < first_of_today {
        return first_of_today;
    }
    // Some software takes 0 for "no serial".
    serial.checked_add(1).unwrap_or(1)
}

/// RFC 1982 3.2: whether a secondary that has `old` takes `new` for newer.
pub(super) fn is_newer(new: u32, old: u32) -> bool {
    new != old && new.wrapping_sub(old) < 1 << 31
}

fn is_date(date: u32) -> bool {
    let (year, month, day) = (date / 10_000, date / 100 % 100, date % 100);
    (1980..=4000).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_the_zone_is_kept() {
        for (serial, next) in [
            (7, 8),
            (2_026_112_807, 2_026_112_901),
            (2_026_112_900, 2_026_112_901),
            (2_026_112_901, 2_026_112_902),
            // The hundredth change of a day, and a serial ahead of its time, only grow.
            (2_026_112_999, 2_026_113_000),
            (2_027_010_100, 2_027_010_101),
            // No dates: seconds since 1970, a month 13.
            (1_795_000_000, 1_795_000_001),
            (2_026_130_100, 2_026_130_101),
            (u32::MAX, 1),
        ] {
            assert_eq!(next_serial(serial, 20_261_129), next, "{serial}");
            assert!(is_newer(next, serial), "{serial}");
        }
        assert!(!is_newer(7, 7) && !is_newer(7, 8) && !is_newer(8, u32::MAX / 2 + 9) && is_newer(0, u32::MAX));
    }
}
