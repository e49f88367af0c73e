//! When a list of a view is in force: `"ads: mon-fri 20:00-07:00"`.
//!
//! ```text
//! LIST: [DAYS] HH:MM-HH:MM        DAYS: days and ranges of days with commas between, such as mon-thu,sat; none: every day
//! ```

use std::fmt;

/// Names of the days in their order, Monday first (ISO 8601).
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const MINUTES_OF_DAY: u16 = 24 * 60;
const FORM: &str = "expected \"LIST: DAYS HH:MM-HH:MM\" such as \"ads: mon-fri 20:00-07:00\"";

/// Some days of the week; bit 0 is Monday.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Days(u8);

/// One entry of `schedule`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScheduleRule {
    pub list: String,
    /// The days on which the time begins.
    pub days: Days,
    /// In minutes since midnight, below 1440.
    pub from: u16,
    /// In minutes since midnight, from 1 to 1440; up to `from`: of the next day. Never equal to `from`.
    pub to: u16,
}

impl Days {
    /// `day` counts from Monday, 0.
    pub fn has(self, day: u8) -> bool {
        self.0 >> day & 1 == 1
    }

    /// Whether the day before is one of them.
    pub fn has_day_before(self, day: u8) -> bool {
        self.has((day + 6) % 7)
    }

    fn parse(text: &str) -> Result<Days, String> {
        let day = |text: &str| {
            let given = text.to_ascii_lowercase();
            let at = DAYS.iter().position(|day| *day == given);
            at.ok_or_else(|| format!("\"{text}\" is no day; days are {}", DAYS.join(", ")))
        };
        let mut days = 0;
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (day(first)?, day(last)?);
            // Ranges may go past Sunday.
            let count = (last + 7 - first) % 7 + 1;
            days |= (0..count).fold(0, |days, more| days | 1 << ((first + more) % 7));
        }
        Ok(Days(days))
    }
}

impl ScheduleRule {
    pub fn parse(text: &str) -> Result<ScheduleRule, String> {
        // Names of lists may have colons, as times have.
        let colons = text.match_indices(':').map(|(at, _)| text.split_at(at)).filter(|(list, _)| !list.trim().is_empty());
        let mut first_mistake = None;
        for (list, times) in colons {
            match Self::of_list(list.trim(), times.strip_prefix(':').unwrap_or(times).trim()) {
                Ok(rule) => return Ok(rule),
                Err(mistake) => first_mistake = first_mistake.or(Some(mistake)),
            }
        }
        if first_mistake.is_some() && lacks_colon_after_list(text) {
            first_mistake = Some("a colon must follow the name of the list".to_owned());
        }
        let mistake = first_mistake.map(|mistake| format!(": {mistake}")).unwrap_or_default();
        Err(format!("\"{text}\"{mistake}; {FORM}"))
    }

    fn of_list(list: &str, text: &str) -> Result<ScheduleRule, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (days, times) = match words[..] {
            [times] => (Days(0x7f), times),
            [days, times] => (Days::parse(days)?, times),
            _ => return Err(format!("found {} words after the list", words.len())),
        };
        let (from, to) = times.split_once('-').ok_or_else(|| format!("\"{times}\" is no span of time"))?;
        let (from, to) = (time(from)?, time(to)?);
        if from == MINUTES_OF_DAY {
            return Err("a day begins at 00:00, and 24:00 is its end".to_owned());
        }
        if from == to {
            return Err("it ends when it begins; a whole day is 00:00-24:00".to_owned());
        }
        // Midnight as an end is that of the day that ends.
        let to = if to == 0 { MINUTES_OF_DAY } else { to };
        Ok(ScheduleRule { list: list.to_owned(), days, from, to })
    }

    /// The times alone.
    pub fn times(&self) -> String {
        let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        format!("{} {}-{}", self.days, clock(self.from), clock(self.to))
    }
}

/// Whether the only colons are those of the times at the end.
fn lacks_colon_after_list(text: &str) -> bool {
    let Some((before, times)) = text.trim().rsplit_once(char::is_whitespace) else { return false };
    let are_times = times.split_once('-').is_some_and(|(from, to)| time(from).is_ok() && time(to).is_ok());
    are_times && !before.contains(':')
}

fn time(text: &str) -> Result<u16, String> {
    let told = || format!("\"{text}\" is no time from 00:00 to 24:00");
    let (hour, minute) = text.split_once(':').ok_or_else(told)?;
    let is_number = |digits: &str, len| digits.len() <= len && !digits.is_empty() && digits.bytes().all(|octet| octet.is_ascii_digit());
    if !is_number(hour, 2) || !is_number(minute, 2) || minute.len() != 2 {
        return Err(told());
    }
    let (hour, minute): (u16, u16) = (hour.parse().map_err(|_| told())?, minute.parse().map_err(|_| told())?);
    let total = hour * 60 + minute;
    (minute < 60 && total <= MINUTES_OF_DAY).then_some(total).ok_or_else(told)
}

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0x7f {
            return f.write_str("daily");
        }
        let mut parts: Vec<String> = Vec::new();
        let mut day = 0;
        while day < 7 {
            let last = (day..7).take_while(|day| self.has(*day)).last();
            if let Some(last) = last {
                let [first, to] = [day, last].map(|day| DAYS.get(usize::from(day)).copied().unwrap_or_default());
                parts.push(if last == day { first.to_owned() } else { format!("{first}-{to}") });
                day = last;
            }
            day += 1;
        }
        f.write_str(&parts.join(","))
    }
}

/// In the form that is read.
impl fmt::Display for ScheduleRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let times = self.times();
        write!(f, "{}: {}", self.list, times.strip_prefix("daily ").unwrap_or(&times))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_read_and_written() {
        for (text, written) in [
            ("ads: mon-fri 20:00-07:00", "ads: mon-fri 20:00-07:00"),
            ("ads:mon-fri 20:00-7:00", "ads: mon-fri 20:00-07:00"),
            ("ads: 08:00-12:30", "ads: 08:00-12:30"),
            ("ads: mon-sun 08:00-12:30", "ads: 08:00-12:30"),
            ("ads: SAT,sun 00:00-24:00", "ads: sat-sun 00:00-24:00"),
            ("ads: fri-mon 22:00-00:00", "ads: mon,fri-sun 22:00-24:00"),
            ("ads: mon,wed,fri 1:05-2:00", "ads: mon,wed,fri 01:05-02:00"),
            ("no: games: tue 16:00-18:00", "no: games: tue 16:00-18:00"),
        ] {
            assert_eq!(ScheduleRule::parse(text).map(|rule| rule.to_string()), Ok(written.to_owned()), "{text}");
            assert_eq!(ScheduleRule::parse(written).map(|rule| rule.to_string()), Ok(written.to_owned()), "{written}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (text, part) in [
            ("", "expected \"LIST"),
            ("mon-fri 20:00-07:00", "expected \"LIST"),
            ("ads", "expected \"LIST"),
            ("ads:", "found 0 words"),
            ("ads: mon to fri 20:00-07:00", "found 4 words"),
            ("ads: monday 20:00-07:00", "\"monday\" is no day; days are mon, tue"),
            ("ads: mon- 20:00-07:00", "\"\" is no day"),
            ("ads: mon 20:00", "\"20:00\" is no span of time"),
            ("ads: mon 20-07", "\"20\" is no time"),
            ("ads: mon 24:00-07:00", "a day begins at 00:00"),
            ("ads: mon 24:01-07:00", "\"24:01\" is no time"),
            ("ads: mon 20:60-07:00", "\"20:60\" is no time"),
            ("ads: mon 20:5-07:00", "\"20:5\" is no time"),
            ("ads: mon +2:00-07:00", "\"+2:00\" is no time"),
            ("ads: mon 07:00-07:00", "a whole day is 00:00-24:00"),
            ("ads: mon 00:00-00:00", "a whole day is 00:00-24:00"),
            (": mon 07:00-08:00", "expected \"LIST"),
            ("a mon 20:00-07:00", ": a colon must follow the name of the list;"),
            ("a 20:00-07:00", ": a colon must follow the name of the list;"),
        ] {
            let told = ScheduleRule::parse(text).expect_err(text);
            assert!(told.contains(part), "{text}: {told}");
        }
    }
}
