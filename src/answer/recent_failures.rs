//! Questions that failed lately, each with its reason, for whoever looks for what is wrong. A question (name and type) is there once, however
//! often it is asked; the one that failed longest ago makes room for a new one. Who asked is not kept.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;
use parking_lot::Mutex;

use crate::env::BootTime;
use crate::limits::clients::{RECENT_FAILURE_REASON_BYTES_MAX, RECENT_FAILURES_MAX};
use crate::record::{Ede, Question};

/// Shared by all workers, which come here only with a question that has failed.
#[derive(Default)]
pub struct RecentFailures(Mutex<VecDeque<(u64, Arc<RecentFailure>)>>);

/// A question that was answered with SERVFAIL.
#[derive(Clone, PartialEq, Debug)]
pub struct RecentFailure {
    pub question: Question,
    /// The first extended error, with its text cut short.
    pub reason: Option<Ede>,
    pub first: BootTime,
    pub last: BootTime,
    pub count: u64,
}

impl RecentFailures {
    /// The question has failed, with this reason.
    pub fn add(&self, question: &Question, reason: Option<&Ede>, now: BootTime) {
        let hash = FixedState::default().hash_one((question.name.as_wire(), question.rtype.0));
        let reason = reason.map(|ede| Ede::new(ede.code, &ede.text[..ede.text.floor_char_boundary(RECENT_FAILURE_REASON_BYTES_MAX)]));
        let mut kept = self.0.lock();
        let known = kept.iter().position(|(known, failure)| *known == hash && failure.question == *question);
        let (first, count) = match known.and_then(|at| kept.remove(at)) {
            Some((_, before)) => (before.first, before.count + 1),
            None => (now, 1),
        };
        kept.truncate(RECENT_FAILURES_MAX - 1);
        kept.push_front((hash, Arc::new(RecentFailure { question: question.clone(), reason, first, last: now, count })));
    }

    /// The latest first. Workers wait no longer than it takes to count references.
    pub fn all(&self) -> Vec<Arc<RecentFailure>> {
        self.0.lock().iter().map(|(_, failure)| Arc::clone(failure)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{EdeCode, Name, Rtype};

    fn question(name: &str, rtype: Rtype) -> Question {
        Question::new(Name::parse(name).expect("a name"), rtype)
    }

    #[test]
    fn a_name_is_there_once_and_the_latest_first() {
        let failures = RecentFailures::default();
        let (a, b) = (question("a.example.", Rtype::A), question("a.example.", Rtype::AAAA));
        let reason = |text: &str| Ede::new(EdeCode::DNSSEC_BOGUS, text);
        failures.add(&a, Some(&reason("first")), BootTime(1_000));
        failures.add(&b, None, BootTime(2_000));
        failures.add(&a, Some(&reason(&"ä".repeat(500))), BootTime(3_000));
        let all = failures.all();
        assert_eq!(all.iter().map(|failure| (failure.question.clone(), failure.count)).collect::<Vec<_>>(), [(a, 2), (b, 1)]);
        assert_eq!((all[0].first, all[0].last), (BootTime(1_000), BootTime(3_000)));
        let text = all[0].reason.as_ref().map_or("", |reason| &reason.text);
        assert!(text.len() <= RECENT_FAILURE_REASON_BYTES_MAX && text.starts_with("ää"), "{text}");
    }

    #[test]
    fn there_are_never_more_than_so_many() {
        let failures = RecentFailures::default();
        for number in 0..RECENT_FAILURES_MAX as u64 + 50 {
            failures.add(&question(&format!("n{number}.example."), Rtype::A), None, BootTime(number));
        }
        let all = failures.all();
        assert_eq!((all.len(), all[0].last.0, all[all.len() - 1].last.0), (RECENT_FAILURES_MAX, RECENT_FAILURES_MAX as u64 + 49, 50));
    }
}
