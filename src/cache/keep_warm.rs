//! Questions that are asked at the same hours of the day: learned from use, so that their data can be refreshed before it
//! expires even if no client has asked in the meantime.
//!
//! For each question and hour of the day (UTC) one octet records on which of the last eight days it was asked in that hour; the
//! lowest bit is today. A question is warm in an hour in which it was asked on at least two of the seven days before.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicUsize, Ordering};

use foldhash::quality::RandomState;
use lru::LruCache;
use parking_lot::Mutex;

use crate::limits::cache::KEEP_WARM_PARTS;
use crate::record::Question;

const HOURS: usize = 24;
/// Days, of the seven before today, on which a question must have been asked in an hour to be warm in that hour.
const DAYS_TO_BE_WARM: u32 = 2;

/// Shared by the workers. The number of questions is limited; past it the least recently asked is forgotten. The questions are
/// spread over parts, each with its own lock: whoever searches one of them keeps nobody waiting long.
pub struct KeepWarm {
    parts: Box<[Mutex<Part>]>,
    questions_per_part: usize,
    choice: RandomState,
    /// The part that `due` looks at next.
    next: AtomicUsize,
}

type Part = LruCache<Question, History, RandomState>;

struct History {
    /// The day of the lowest bit, counted from 1970.
    day: u64,
    hours: [u8; HOURS],
}

impl KeepWarm {
    /// Remembers at most `questions_max` questions.
    pub fn new(questions_max: usize) -> KeepWarm {
        let count = questions_max.clamp(1, KEEP_WARM_PARTS);
        let part = || Mutex::new(LruCache::unbounded_with_hasher(RandomState::default()));
        KeepWarm {
            parts: (0..count).map(|_| part()).collect(),
            questions_per_part: questions_max / count,
            choice: RandomState::default(),
            next: AtomicUsize::new(0),
        }
    }

    /// A client asked the question at `wall` seconds since 1970.
    pub fn asked(&self, question: &Question, wall: u64) {
        if self.questions_per_part == 0 {
            return;
        }
        let (day, hour) = day_and_hour(wall);
        let at = self.choice.hash_one(question) % self.parts.len() as u64;
        let mut part = self.parts[at as usize].lock();
        if let Some(history) = part.get_mut(question) {
            history.turn_to(day);
            history.hours[hour] |= 1;
            return;
        }
        let mut history = History { day, hours: [0; HOURS] };
        history.hours[hour] = 1;
        part.put(question.clone(), history);
        if part.len() > self.questions_per_part {
            part.pop_lru();
        }
    }

    /// The questions of the next part that are warm in the hour of `wall`. `KEEP_WARM_PARTS` calls look at all questions.
    pub fn due(&self, wall: u64) -> Vec<Question> {
        let (day, hour) = day_and_hour(wall);
        let at = self.next.fetch_add(1, Ordering::Relaxed) % self.parts.len();
        let part = self.parts[at].lock();
        part.iter().filter(|(_, history)| history.is_warm(day, hour)).map(|(question, _)| question.clone()).collect()
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.parts.iter().map(|part| part.lock().len()).sum()
    }
}

impl History {
    /// Makes `day` the lowest bit. An earlier day (the clock was set back) changes nothing.
    fn turn_to(&mut self, day: u64) {
        let days = day.saturating_sub(self.day);
        if days == 0 {
            return;
        }
        self.day = day;
        for hour in &mut self.hours {
            *hour = if days < 8 { *hour << days } else { 0 };
        }
    }

    fn is_warm(&self, day: u64, hour: usize) -> bool {
        let days = day.saturating_sub(self.day);
        let seen = if days < 8 { self.hours[hour] << days } else { 0 };
        (seen & !1).count_ones() >= DAYS_TO_BE_WARM
    }
}

fn day_and_hour(wall: u64) -> (u64, usize) {
    (wall / 86_400, (wall / 3_600 % 24) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Name, Rtype};

    const DAY: u64 = 86_400;
    const NINE: u64 = 9 * 3_600 + 120;

    fn all_due(warm: &KeepWarm, wall: u64) -> Vec<Question> {
        (0..warm.parts.len()).flat_map(|_| warm.due(wall)).collect()
    }

    fn question(text: &str) -> Question {
        Question::new(Name::parse(text).expect(text), Rtype::A)
    }

    #[test]
    fn two_days_at_an_hour_make_a_question_warm_in_that_hour() {
        let warm = KeepWarm::new(10);
        let www = question("www.example.");
        warm.asked(&www, 100 * DAY + NINE);
        assert_eq!(all_due(&warm, 101 * DAY + NINE), []);
        warm.asked(&www, 101 * DAY + NINE);
        warm.asked(&www, 101 * DAY + NINE + 60);
        assert_eq!(all_due(&warm, 101 * DAY + NINE + 120), [], "today does not count");
        assert_eq!(all_due(&warm, 102 * DAY + NINE), std::slice::from_ref(&www));
        assert_eq!(all_due(&warm, 102 * DAY + NINE + 3_600), [], "another hour");
        assert_eq!(all_due(&warm, 107 * DAY + NINE), std::slice::from_ref(&www), "both days are among the last seven");
        assert_eq!(all_due(&warm, 108 * DAY + NINE), []);
        assert_eq!(all_due(&warm, 200 * DAY + NINE), []);
    }

    #[test]
    fn a_clock_that_is_set_back_forgets_nothing() {
        let warm = KeepWarm::new(10);
        let www = question("www.example.");
        for day in [100, 101] {
            warm.asked(&www, day * DAY + NINE);
        }
        warm.asked(&www, NINE);
        assert_eq!(all_due(&warm, 102 * DAY + NINE), [www]);
    }

    #[test]
    fn bounded() {
        let warm = KeepWarm::new(25);
        for number in 0..1_000 {
            warm.asked(&question(&format!("n{number}.")), NINE);
        }
        assert_eq!(warm.len(), 20, "two in each of ten parts");
        let off = KeepWarm::new(0);
        off.asked(&question("a."), NINE);
        assert_eq!(off.len(), 0);
    }

    #[test]
    fn one_call_looks_at_one_part() {
        let warm = KeepWarm::new(10_000);
        for number in 0..1_000 {
            for day in [100, 101] {
                warm.asked(&question(&format!("n{number}.")), day * DAY + NINE);
            }
        }
        let steps: Vec<usize> = (0..KEEP_WARM_PARTS).map(|_| warm.due(102 * DAY + NINE).len()).collect();
        assert_eq!(steps.iter().sum::<usize>(), 1_000, "{steps:?}");
        assert!(steps.iter().all(|count| (50..200).contains(count)), "{steps:?}");
    }
}
