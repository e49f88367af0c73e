//! QNAME minimisation (RFC 9156): a server is asked for one label more than its zone, until the whole name is reached; the
//! real type is asked for only with the whole name.
//!
//! Relaxed (the default) does not believe a failed shortened question and asks the whole one, because servers that deny
//! empty non-terminals are common. The number of shortened questions that lead to no new cut
//! is bounded, for each zone and for all that a client question causes, so a name of 121 labels costs no more than
//! a few extra (RFC 9156 2.3).

use crate::config::QnameMinimisation;
use crate::limits::Limits;
use crate::record::{Name, Question, Rtype};

/// State of one walk. Reset at each new cut.
#[derive(Clone, Debug)]
pub struct Minimiser {
    mode: QnameMinimisation,
    /// Labels shown so far, counted from the root.
    shown: usize,
    spent: usize,
    per_zone: usize,
    labels_max: usize,
    given_up: bool,
}

/// How much of the question the servers of a cut are shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Show {
    /// The question itself.
    All,
    /// A shortened name, asked for with the commonest type (RFC 9156 2.1).
    Part(Question),
}

impl Minimiser {
    /// Bounds the number of shortened questions by `limits`.
    pub fn new(mode: QnameMinimisation, limits: &Limits) -> Minimiser {
        let (per_zone, labels_max) = (limits.minimised_queries_per_zone, limits.minimised_labels);
        Minimiser { mode, shown: 0, spent: 0, per_zone, labels_max, given_up: mode == QnameMinimisation::Off }
    }

    /// The walk has reached this zone cut.
    pub fn at_cut(&mut self, zone: &Name) {
        self.shown = zone.label_count();
        self.spent = 0;
    }

    /// What to ask the servers of the present cut for. A name that `is_cached` is skipped: it would show no new cut.
    pub fn next(&mut self, question: &Question, is_cached: impl Fn(&Question) -> bool) -> Show {
        let all = question.name.label_count();
        let most = if all > self.labels_max { 1 } else { self.per_zone };
        while !self.given_up && self.shown + 1 < all && self.spent < most {
            self.shown += 1;
            self.spent += 1;
            let part = Question::new(question.name.suffix(self.shown), Rtype::A);
            if !is_cached(&part) {
                return Show::Part(part);
            }
        }
        Show::All
    }

    /// A shortened question was denied or failed.
    pub fn refused(&mut self) {
        self.given_up |= self.mode != QnameMinimisation::Strict;
    }

    /// Whether a denied shortened name is believed.
    pub fn is_strict(&self) -> bool {
        self.mode == QnameMinimisation::Strict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(mode: QnameMinimisation, zone: &str, name: &str) -> Vec<String> {
        let mut minimiser = Minimiser::new(mode, &Limits::default());
        minimiser.at_cut(&Name::parse(zone).expect("zone"));
        let question = Question::new(Name::parse(name).expect("name"), Rtype::MX);
        let mut out = Vec::new();
        loop {
            match minimiser.next(&question, |part| part.name.to_string().starts_with("known.")) {
                Show::All => return out,
                Show::Part(part) => out.push(part.to_string()),
            }
        }
    }

    #[test]
    fn one_label_at_a_time_and_bounded() {
        assert_eq!(shown(QnameMinimisation::Relaxed, ".", "www.example."), ["example. A"]);
        assert_eq!(shown(QnameMinimisation::Relaxed, "example.", "www.example."), Vec::<String>::new());
        assert_eq!(shown(QnameMinimisation::Relaxed, "example.", "example."), Vec::<String>::new());
        assert_eq!(shown(QnameMinimisation::Relaxed, ".", "a.b.c.d.e.example."), ["example. A", "e.example. A", "d.e.example. A"]);
        assert_eq!(shown(QnameMinimisation::Off, ".", "a.b.example."), Vec::<String>::new());
        assert_eq!(shown(QnameMinimisation::Relaxed, "example.", &format!("{}example.", "a.".repeat(50))), ["a.example. A"]);
    }

    #[test]
    fn what_is_cached_is_not_asked() {
        assert_eq!(shown(QnameMinimisation::Relaxed, "example.", "a.b.c.d.known.example."), ["d.known.example. A", "c.d.known.example. A"]);
    }

    #[test]
    fn relaxed_asks_the_whole_after_a_denial() {
        let question = Question::new(Name::parse("a.b.c.example.").expect("name"), Rtype::A);
        let mut relaxed = Minimiser::new(QnameMinimisation::Relaxed, &Limits::default());
        relaxed.at_cut(&Name::root());
        assert_ne!(relaxed.next(&question, |_| false), Show::All);
        relaxed.refused();
        assert_eq!(relaxed.next(&question, |_| false), Show::All);
    }
}
