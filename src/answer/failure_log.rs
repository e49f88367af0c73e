//! Which failing names get a line in the log: each at most once a minute, all together at most ten lines a second,
//! and one line that counts the rest. What an operator reads is then every name that fails in ordinary trouble, and
//! a sample under a flood.
//!
//! Bounded by its own rule: only names that were told are remembered, and no more than ten a second are told.

use std::collections::VecDeque;
use std::hash::BuildHasher;

use foldhash::fast::FixedState;

use crate::env::BootTime;
use crate::record::Question;

const LINES_PER_SECOND: u32 = 10;
const SAME_NAME_S: u32 = 60;

#[derive(Default)]
pub struct FailureLog {
    /// When each was told, oldest first; by hash, because mistaking one name for another costs a line of a log.
    told: VecDeque<(u32, u64)>,
    /// The second that is running, and the lines in it.
    second: u32,
    lines: u32,
    withheld: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Told {
    /// Failures since the last line for which there was no room.
    pub withheld: u64,
}

impl FailureLog {
    /// `None`: say nothing of this one.
    pub fn admit(&mut self, question: &Question, now: BootTime) -> Option<Told> {
        let now_s = now.secs();
        while self.told.front().is_some_and(|(then, _)| now_s.saturating_sub(*then) >= SAME_NAME_S) {
            self.told.pop_front();
        }
        let hash = FixedState::default().hash_one((question.name.as_wire(), question.rtype.0));
        if self.told.iter().any(|(_, known)| *known == hash) {
            return None;
        }
        if self.second != now_s {
            (self.second, self.lines) = (now_s, 0);
        }
        if self.lines >= LINES_PER_SECOND {
            self.withheld += 1;
            return None;
        }
        self.lines += 1;
        self.told.push_back((now_s, hash));
        Some(Told { withheld: std::mem::take(&mut self.withheld) })
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

    #[test]
    fn a_name_is_told_once_a_minute() {
        let mut complaints = FailureLog::default();
        let mut told = |name: &str, now| complaints.admit(&question(name), at(now)).is_some();
        assert!(told("a.example.", 5));
        assert!(!told("a.example.", 5));
        assert!(told("b.example.", 6));
        assert!(!told("a.example.", 64));
        assert!(told("a.example.", 65));
        assert!(!told("b.example.", 65));
    }

    #[test]
    fn a_flood_is_counted_not_told() {
        let mut complaints = FailureLog::default();
        let told = (0..1000).filter(|n| complaints.admit(&question(&format!("n{n}.example.")), at(1)).is_some()).count();
        assert_eq!(told, 10);
        assert_eq!(complaints.admit(&question("later.example."), at(2)), Some(Told { withheld: 990 }));
        assert_eq!(complaints.admit(&question("latest.example."), at(3)), Some(Told { withheld: 0 }));
    }

    #[test]
    fn memory_is_bounded() {
        let mut complaints = FailureLog::default();
        for n in 0..200_000_u64 {
            complaints.admit(&question(&format!("n{n}.example.")), at(n / 100));
        }
        assert!(complaints.told.len() <= (LINES_PER_SECOND * SAME_NAME_S) as usize, "{}", complaints.told.len());
    }
}
