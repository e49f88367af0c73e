//! What of the views is in force at a moment: the time of day decides about lists with a schedule, and a pause about all that lists
//! block.

use std::fmt;

use crate::config::ScheduleRule;

/// The time of day, and who has a pause. A schedule that is past midnight belongs to the day on which it begins. While the clock
/// is set forward, times that it leaves out do not come; times that it shows twice count twice.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Moment {
    /// Days since Monday.
    pub day: u8,
    /// Minutes since midnight.
    pub minute: u16,
    pub paused: Paused,
}

/// Clients for whom no list blocks anything for a while.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Paused {
    pub all: bool,
    /// Names of views.
    pub views: Vec<String>,
}

/// Why a list does nothing for the clients of a view.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OutOfForce {
    /// The view does not have it.
    NotInView,
    /// The times at which it is in force, which are others.
    Schedule(String),
    Paused,
}

impl fmt::Display for OutOfForce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OutOfForce::NotInView => f.write_str("the view does not have this list"),
            OutOfForce::Schedule(times) => write!(f, "the schedule of the view: {times}"),
            OutOfForce::Paused => f.write_str("a pause"),
        }
    }
}

impl Paused {
    /// Whether it holds for the view with this name; clients of no view have the name "".
    pub fn has(&self, view: &str) -> bool {
        self.all || self.views.iter().any(|paused| paused == view)
    }
}

impl Moment {
    /// Whether one of the rules for the list is for this time; a list without rules is always in force.
    pub fn has_in_force(&self, schedule: &[ScheduleRule], list: &str) -> bool {
        let mut rules = schedule.iter().filter(|rule| rule.list == list).peekable();
        rules.peek().is_none() || rules.any(|rule| self.is_within(rule))
    }

    pub fn is_within(&self, rule: &ScheduleRule) -> bool {
        let is_after = rule.days.has(self.day) && self.minute >= rule.from;
        match rule.from < rule.to {
            true => is_after && self.minute < rule.to,
            false => is_after || (rule.days.has_day_before(self.day) && self.minute < rule.to),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each minute of a week, by a count of its own.
    #[test]
    fn rules_against_a_week_of_minutes() {
        const DAY: usize = 24 * 60;
        for (text, spans) in [
            ("x: mon 08:00-09:00", &[(480, 540)][..]),
            ("x: sun 20:00-07:00", &[(6 * DAY + 1_200, 7 * DAY + 420)]),
            ("x: sat-sun 23:59-00:01", &[(5 * DAY + 1_439, 6 * DAY + 1), (6 * DAY + 1_439, 7 * DAY + 1)]),
            ("x: wed 00:00-24:00", &[(2 * DAY, 3 * DAY)]),
            ("x: wed 22:00-24:00", &[(2 * DAY + 1_320, 3 * DAY)]),
            (
                "x: fri-mon 12:00-12:01",
                &[(720, 721), (4 * DAY + 720, 4 * DAY + 721), (5 * DAY + 720, 5 * DAY + 721), (6 * DAY + 720, 6 * DAY + 721)],
            ),
        ] {
            let schedule = [ScheduleRule::parse(text).expect(text)];
            let mut expected = vec![false; 7 * DAY];
            spans.iter().flat_map(|(from, to)| *from..*to).for_each(|minute| expected[minute % (7 * DAY)] = true);
            for (at, expected) in expected.iter().enumerate() {
                let moment = Moment { day: (at / DAY) as u8, minute: (at % DAY) as u16, paused: Paused::default() };
                assert_eq!(moment.has_in_force(&schedule, "x"), *expected, "{text} at {at}");
                assert!(moment.has_in_force(&schedule, "other"), "a list without a rule is always in force");
            }
        }
    }

    #[test]
    fn several_rules_for_one_list() {
        let schedule =
            ["x: mon-fri 20:00-07:00", "x: mon-fri 12:00-13:00", "y: 00:00-24:00"].map(|text| ScheduleRule::parse(text).expect(text));
        for (day, minute, expected) in [(0, 60, false), (1, 60, true), (0, 750, true), (0, 800, false), (5, 60, true), (5, 1_300, false)] {
            let moment = Moment { day, minute, paused: Paused::default() };
            assert_eq!(moment.has_in_force(&schedule, "x"), expected, "day {day}, minute {minute}");
        }
    }
}
