//! Questions that could not be answered (RFC 9520), so that for a while the same question causes no queries.
//!
//! The caller gives the first time; each failure soon after the end of the last one doubles it, up to five minutes (RFC 9520
//! 3.2). A failure that is stored while another one is live does not make its time longer, so that many walks that fail
//! together do not add up; but that data is bogus counts more than that it could not be had, and that the data itself is wrong
//! counts most. Any answer stored for the question removes the failure.
//!
//! The body of the entry: EDE code u16, then the reason as text. `sub` is its kind.

use super::entries::Entries;
use super::entry::{self, Key};
use crate::env::BootTime;
use crate::limits::cache::{FAILURE_TEXT_BYTES_MAX, FAILURE_TTL_S_MAX};
use crate::record::{Ede, EdeCode, Question, Rtype};

/// What has failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum FailureKind {
    /// No server gave an answer.
    #[default]
    LookUp,
    /// A client's time was over before the look-up was. That says something to the next client, and nothing of the name.
    GivenUp,
    /// The data did not validate. Nothing is given in its place, expired data neither (RFC 8767 5).
    BogusData,
    /// The chain of trust above the data did not validate, which proves nothing against data that was proved earlier.
    BogusChain,
}

/// A failed resolution that still counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedFailure {
    pub kind: FailureKind,
    pub ede: Ede,
    pub ttl: u32,
    pub age_s: u32,
}

/// The failures that a cache remembers.
#[derive(Clone, Copy)]
pub struct Failures<'a> {
    entries: &'a Entries,
}

impl<'a> Failures<'a> {
    pub(super) fn of(entries: &'a Entries) -> Failures<'a> {
        Failures { entries }
    }

    /// The live failure of this question.
    pub fn get(&self, question: &Question, now: BootTime) -> Option<CachedFailure> {
        let now_s = now.secs();
        let key = Key::failure(question.name.as_wire(), question.rtype.0);
        let live = |bytes: &[u8]| entry::remaining(bytes, now_s) > 0;
        self.entries.store.with(&key, now_s, |bytes, _| live(bytes).then(|| read(bytes, now_s)))
    }

    /// Stores a failure and returns the seconds for which it counts. `first_ttl` is used if there was none before.
    pub fn put(&self, question: &Question, cause: &Ede, first_ttl: u32, now: BootTime) -> u32 {
        self.put_of(FailureKind::LookUp, question, cause, first_ttl, now)
    }

    /// The same where it was the client who did not wait any longer.
    pub fn put_given_up(&self, question: &Question, cause: &Ede, first_ttl: u32, now: BootTime) -> u32 {
        self.put_of(FailureKind::GivenUp, question, cause, first_ttl, now)
    }

    /// The same for data that did not validate.
    pub fn put_bogus(&self, question: &Question, kind: FailureKind, cause: &Ede, first_ttl: u32, now: BootTime) -> u32 {
        if kind == FailureKind::BogusData {
            self.entries.forget_proved(question.name.as_wire(), question.rtype.0);
            self.entries.forget_proved(question.name.as_wire(), Rtype::CNAME.0);
        }
        self.put_of(kind, question, cause, first_ttl, now)
    }

    fn put_of(&self, kind: FailureKind, question: &Question, cause: &Ede, first_ttl: u32, now: BootTime) -> u32 {
        let now_s = now.secs();
        let key = Key::failure(question.name.as_wire(), question.rtype.0);
        let mut counts_for = first_ttl.clamp(1, FAILURE_TTL_S_MAX);
        self.entries.store.update(&key, |old| {
            if let Some(old) = old {
                let (last, left) = (entry::ttl(old), entry::remaining(old, now_s));
                if left > 0 {
                    counts_for = left;
                    if weight(kind) <= weight(kind_of(old)) {
                        return None;
                    }
                } else if now_s.saturating_sub(entry::expires(old)) <= last.saturating_mul(2) {
                    counts_for = last.saturating_mul(2).clamp(counts_for, FAILURE_TTL_S_MAX);
                }
            }
            let mut bytes = entry::start(&key, kind as u8, counts_for, now_s, 2 + cause.text.len().min(FAILURE_TEXT_BYTES_MAX));
            bytes.extend_from_slice(&cause.code.0.to_le_bytes());
            bytes.extend_from_slice(&cause.text.as_bytes()[..cause.text.floor_char_boundary(FAILURE_TEXT_BYTES_MAX)]);
            Some(entry::finish(bytes))
        });
        counts_for
    }

    /// Removes the failure; false if there was none.
    pub fn remove(&self, question: &Question) -> bool {
        self.entries.store.remove_if(&Key::failure(question.name.as_wire(), question.rtype.0), |_| true)
    }
}

/// What is said against old data in place of new data.
fn weight(kind: FailureKind) -> u8 {
    match kind {
        FailureKind::LookUp | FailureKind::GivenUp => 0,
        FailureKind::BogusChain => 1,
        FailureKind::BogusData => 2,
    }
}

fn kind_of(bytes: &[u8]) -> FailureKind {
    match entry::sub(bytes) {
        sub if sub == FailureKind::GivenUp as u8 => FailureKind::GivenUp,
        sub if sub == FailureKind::BogusData as u8 => FailureKind::BogusData,
        sub if sub == FailureKind::BogusChain as u8 => FailureKind::BogusChain,
        _ => FailureKind::LookUp,
    }
}

/// Reads the body of a failure.
pub fn read(bytes: &[u8], now_s: u32) -> CachedFailure {
    let at = entry::body_at(bytes);
    let ede = Ede::new(EdeCode(entry::u16_at(bytes, at)), String::from_utf8_lossy(&bytes[at + 2..]));
    CachedFailure { kind: kind_of(bytes), ede, ttl: entry::remaining(bytes, now_s), age_s: entry::age(bytes, now_s) }
}

#[cfg(test)]
mod tests {
    use super::super::cache::tests::{a_set, at, cache, name};
    use super::*;
    use crate::record::{Rank, Rtype, Security};

    #[test]
    fn it_grows_on_repetition_and_ends_with_an_answer() {
        let cache = cache();
        let question = Question::new(name("x.test."), Rtype::A);
        let cause = Ede::new(EdeCode::NO_REACHABLE_AUTHORITY, "ü".repeat(300));
        let put = |secs| cache.failures().put(&question, &cause, 5, at(secs));
        assert_eq!((put(0), put(3)), (5, 2));
        let got = cache.failures().get(&question, at(4)).expect("live");
        assert_eq!((got.ede.code, got.ede.text, got.ttl), (EdeCode::NO_REACHABLE_AUTHORITY, "ü".repeat(100), 1));
        assert!(cache.failures().get(&question, at(5)).is_none());
        let grown: Vec<_> = [6, 20, 50, 100, 200, 400, 800].map(put).into();
        assert_eq!(grown, [10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(put(5000), 5, "long ago is forgotten");
        cache.sets().put(&a_set("x.test.", 60, 1), Rank::AuthAnswer, Security::Insecure, at(5001));
        assert!(cache.failures().get(&question, at(5001)).is_none());
    }
}
