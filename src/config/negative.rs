//! Text form of a negative trust anchor (RFC 7646): `NAME`, or `NAME until 2026-12-31`.

use std::fmt;

use crate::record::{Name, timestamp, timestamp_to_text};

/// A name at and below which signatures are not checked, for a time or for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NegativeAnchor {
    pub name: Name,
    /// Seconds since 1970; `None`: until it is removed.
    pub until: Option<u64>,
}

impl NegativeAnchor {
    /// Whether the time of this anchor has passed. `now`: seconds since 1970.
    pub fn is_over(&self, now: u64) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// Reads the text form. A date alone means the end of that day in UTC; `2026-12-31T18:00:00Z` is a moment.
    pub fn parse(text: &str, name: impl Fn(&str) -> Result<Name, String>) -> Result<NegativeAnchor, String> {
        let Some((of, until)) = text.split_once(" until ") else { return Ok(NegativeAnchor { name: name(text)?, until: None }) };
        let until = read_moment(until.trim())
            .ok_or_else(|| format!("\"{until}\" is no date: write it as 2026-12-31, or 2026-12-31T18:00:00Z (UTC)"))?;
        Ok(NegativeAnchor { name: name(of.trim())?, until: Some(until) })
    }
}

impl fmt::Display for NegativeAnchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.until {
            Some(until) => write!(f, "{} until {}", self.name, moment(until)),
            None => self.name.fmt(f),
        }
    }
}

fn read_moment(text: &str) -> Option<u64> {
    let (day, time) = text.split_once('T').map_or((text, None), |(day, time)| (day, Some(time)));
    let digits: Vec<&str> = day.split('-').chain(time.map_or("00:00:00", |time| time.strip_suffix('Z').unwrap_or("")).split(':')).collect();
    let right = digits.iter().map(|part| part.len()).eq([4, 2, 2, 2, 2, 2]);
    let start = u64::from(timestamp(digits.concat().as_bytes()).filter(|_| right)?);
    Some(if time.is_some() { start } else { start + 86_400 })
}

fn moment(until: u64) -> String {
    let text = |seconds: u64| timestamp_to_text(u32::try_from(seconds).unwrap_or(u32::MAX));
    let day = |text: &str| format!("{}-{}-{}", &text[..4], &text[4..6], &text[6..8]);
    if until > 0 && until.is_multiple_of(86_400) {
        return day(&text(until - 1));
    }
    let text = text(until);
    format!("{}T{}:{}:{}Z", day(&text), &text[8..10], &text[10..12], &text[12..14])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_shown_alike() {
        let read = |text: &str| NegativeAnchor::parse(text, |name| Name::parse(name).map_err(|error| error.to_string()));
        for (text, until) in [
            ("a.example.", None),
            ("a.example. until 2026-12-31", Some(1_798_761_600)),
            ("a.example. until 2026-12-31T18:30:05Z", Some(1_798_741_805)),
            ("a.example. until 2028-02-29", Some(1_835_481_600)),
        ] {
            let anchor = read(text).expect(text);
            assert_eq!((anchor.until, anchor.to_string().as_str()), (until, text));
        }
        for bad in ["until", "2026-02-29", "2026-1-1", "2026-12-31T18:30Z", "2026-12-31T18:30:05", "tomorrow", "-2026-12-3", "2026-12-31TZ"]
        {
            assert!(read(&format!("a.example until {bad}")).expect_err(bad).contains("is no date"), "{bad}");
        }
        assert!(read("a..b until 2026-12-31").is_err());
        let anchor = read("a.example until 2026-12-31").expect("a date");
        assert!(!anchor.is_over(1_798_761_599) && anchor.is_over(1_798_761_600));
    }
}
