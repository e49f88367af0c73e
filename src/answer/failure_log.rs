//! Which failing or filtered names get a line in the log: each name at most once a minute, all together at most ten lines a
//! second, and one line that counts the rest. In ordinary trouble an operator reads every name that fails; during a flood, a
//! sample. All workers share one log, so that a name does not get a line from each of them.
//!
//! The rule itself bounds memory: only names that got a line are kept, for a minute, and at most ten a second get one.

use std::collections::{HashSet, VecDeque};
use std::hash::BuildHasher;

use foldhash::fast::{FixedState, RandomState};
use parking_lot::Mutex;

use crate::env::BootTime;
use crate::limits::clients::{FAILURE_LINES_PER_SECOND_MAX, FAILURE_SAME_NAME_S_MIN};
use crate::record::Question;

/// The subject of a line: a name that is filtered and also fails gets a line for each.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Subject {
    Failure,
    Filtered,
}

/// Shared by all workers.
#[derive(Default)]
pub struct FailureLog(Mutex<Lines>);

#[derive(Default)]
struct Lines {
    /// When each line was written, oldest first, and the hash of its name. Two names with one hash cost one line.
    written: VecDeque<(u32, u64)>,
    /// The hashes of `written`.
    hashes: HashSet<u64, RandomState>,
    /// The current second, and the lines written in it.
    second: u32,
    count: u32,
    withheld: u64,
}

/// Permission to write one line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Admitted {
    /// Names without a line since the last line, because there were too many.
    pub withheld: u64,
}

impl FailureLog {
    /// `None`: this name gets no line.
    pub fn admit(&self, subject: Subject, question: &Question, now: BootTime) -> Option<Admitted> {
        let hash = FixedState::default().hash_one((subject, question.name.as_wire(), question.rtype.0));
        self.0.lock().admit(hash, now.secs())
    }
}

impl Lines {
    fn admit(&mut self, hash: u64, now_s: u32) -> Option<Admitted> {
        while let Some((_, hash)) = self.written.pop_front_if(|(then, _)| now_s.saturating_sub(*then) >= FAILURE_SAME_NAME_S_MIN) {
            self.hashes.remove(&hash);
        }
        if self.hashes.contains(&hash) {
            return None;
        }
        if self.second != now_s {
            (self.second, self.count) = (now_s, 0);
        }
        if self.count >= FAILURE_LINES_PER_SECOND_MAX {
            self.withheld += 1;
            return None;
        }
        self.count += 1;
        self.hashes.insert(hash);
        self.written.push_back((now_s, hash));
        Some(Admitted { withheld: std::mem::take(&mut self.withheld) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Name, Rtype};

    fn question(name: &str) -> Question {
        Question::new(Name::parse(name).expect("a name"), Rtype::A)
    }

    fn at(seconds: u64) -> BootTime {
        BootTime(seconds * 1000)
    }

    fn is_admitted(log: &FailureLog, subject: Subject, name: &str, now: u64) -> bool {
        log.admit(subject, &question(name), at(now)).is_some()
    }

    #[test]
    fn a_name_gets_a_line_once_a_minute() {
        let log = FailureLog::default();
        let failure = |name: &str, now| is_admitted(&log, Subject::Failure, name, now);
        assert!(failure("a.example.", 5));
        assert!(!failure("a.example.", 5));
        assert!(failure("b.example.", 6));
        assert!(!failure("a.example.", 64));
        assert!(failure("a.example.", 65));
        assert!(!failure("b.example.", 65));
        assert!(is_admitted(&log, Subject::Filtered, "a.example.", 66));
        assert!(!is_admitted(&log, Subject::Filtered, "a.example.", 67));
    }

    #[test]
    fn a_flood_is_counted_and_not_listed() {
        let log = FailureLog::default();
        let listed = (0..1000).filter(|n| is_admitted(&log, Subject::Failure, &format!("n{n}.example."), 1)).count();
        assert_eq!(listed, 10);
        assert_eq!(log.admit(Subject::Failure, &question("later.example."), at(2)), Some(Admitted { withheld: 990 }));
        assert_eq!(log.admit(Subject::Filtered, &question("latest.example."), at(3)), Some(Admitted { withheld: 0 }));
    }

    #[test]
    fn memory_is_bounded() {
        let log = FailureLog::default();
        for n in 0..200_000_u64 {
            is_admitted(&log, Subject::Failure, &format!("n{n}.example."), n / 100);
        }
        let lines = log.0.lock();
        assert!(lines.written.len() <= (FAILURE_LINES_PER_SECOND_MAX * FAILURE_SAME_NAME_S_MIN) as usize, "{}", lines.written.len());
        assert_eq!(lines.hashes.len(), lines.written.len());
    }
}
