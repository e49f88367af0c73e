//! What the clock on the wall shows: the day and the time of day in the time zone of this machine.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::DateTime;

use super::clock::WallTime;

/// The rules of a time zone, changes to and from summer time included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeZone(jiff::tz::TimeZone);

/// A moment as people of a time zone name it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LocalTime(DateTime);

impl TimeZone {
    pub const UTC: TimeZone = TimeZone(jiff::tz::TimeZone::UTC);

    /// From the octets of a file of the time zone database (RFC 9636).
    pub fn from_file(name: &str, octets: &[u8]) -> Option<TimeZone> {
        jiff::tz::TimeZone::tzif(name, octets).ok().map(TimeZone)
    }

    /// From rules in the form of POSIX, such as `CET-1CEST,M3.5.0,M10.5.0/3`.
    pub fn from_rules(rules: &str) -> Option<TimeZone> {
        jiff::tz::TimeZone::posix(rules).ok().map(TimeZone)
    }

    /// What the clock shows at this moment.
    pub fn local(&self, wall: WallTime) -> LocalTime {
        let second = i64::try_from(wall.0).unwrap_or(i64::MAX);
        let at = Timestamp::from_second(second).unwrap_or(Timestamp::MAX);
        LocalTime(self.0.to_datetime(at))
    }
}

impl LocalTime {
    /// Days since Monday.
    pub fn day(&self) -> u8 {
        self.0.weekday().to_monday_zero_offset().unsigned_abs()
    }

    /// Minutes since midnight.
    pub fn minute(&self) -> u16 {
        u16::from(self.0.hour().unsigned_abs()) * 60 + u16::from(self.0.minute().unsigned_abs())
    }

    /// Seconds of the minute.
    pub fn second(&self) -> u8 {
        self.0.second().unsigned_abs()
    }
}

impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = &self.0;
        write!(f, "{:04}-{:02}-{:02} {:02}:{:02}:{:02}", at.year(), at.month(), at.day(), at.hour(), at.minute(), at.second())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summer_time_begins_and_ends() {
        let berlin = TimeZone::from_rules("CET-1CEST,M3.5.0,M10.5.0/3").expect("rules");
        for (wall, shown, day) in [
            // 29 March 2026, a Sunday: 01:59:59 is followed by 03:00:00.
            (1_774_745_999, "2026-03-29 01:59:59", 6),
            (1_774_746_000, "2026-03-29 03:00:00", 6),
            // 25 October 2026: 02:59:59 is followed by 02:00:00.
            (1_792_889_999, "2026-10-25 02:59:59", 6),
            (1_792_890_000, "2026-10-25 02:00:00", 6),
            (1_792_969_200, "2026-10-26 00:00:00", 0),
        ] {
            let local = berlin.local(WallTime(wall));
            assert_eq!((local.to_string().as_str(), local.day()), (shown, day), "{wall}");
        }
        let local = TimeZone::UTC.local(WallTime(1_774_745_999));
        assert_eq!((local.minute(), local.second()), (59, 59));
    }

    #[test]
    fn what_is_no_time_zone() {
        assert_eq!(TimeZone::from_file("x", b"TZif"), None);
        assert_eq!(TimeZone::from_file("x", b""), None);
        assert_eq!(TimeZone::from_rules("Europe/Berlin"), None);
        // A clock that is far off stops nothing.
        assert_eq!(TimeZone::UTC.local(WallTime(u64::MAX)).to_string(), "9999-12-30 22:00:00");
    }
}
