//! Which name and type a server is shown (RFC 9156): one label more than its zone, until the whole name is
//! reached; the real type only with the whole name.
//!
//! Relaxed (the default) believes no failure of a shortened question: it then asks the whole one, because
//! servers that deny empty non-terminals are common. The number of shortened questions that lead to no new cut
//! is bounded, so a name of 121 labels costs no more than a few extra (RFC 9156 2.3).

use crate::config::QnameMinimisation;
use crate::record::{Name, Question, Rtype};

/// State of one walk. Reset at each new cut.
#[derive(Clone, Debug)]
pub struct Minimiser {
    mode: QnameMinimisation,
    /// Labels shown so far, counted from the root.
    shown: usize,
    spent: usize,
    most: usize,
    given_up: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Show {
    /// The question itself.
    All,
    /// A shortened name, asked for with the commonest type (RFC 9156 2.1).
    Part(Question),
}

impl Minimiser {
    pub fn new(mode: QnameMinimisation, most: usize) -> Minimiser {
        Minimiser { mode, shown: 0, spent: 0, most, given_up: mode == QnameMinimisation::Off }
    }

    pub fn at_cut(&mut self, zone: &Name) {
        self.shown = zone.label_count();
        self.spent = 0;
    }

    /// What to ask the servers of the present cut for.
    pub fn next(&mut self, question: &Question) -> Show {
        let all = question.name.label_count();
        let next = self.shown + 1;
        if self.given_up || next >= all || self.spent >= self.most {
            return Show::All;
        }
        self.shown = next;
        self.spent += 1;
        Show::Part(Question::new(question.name.suffix(next), Rtype::A))
    }

    /// A shortened question was denied or failed.
    pub fn refused(&mut self) {
        self.given_up |= self.mode != QnameMinimisation::Strict;
    }

    pub fn is_strict(&self) -> bool {
        self.mode == QnameMinimisation::Strict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(mode: QnameMinimisation, zone: &str, name: &str) -> Vec<String> {
        let mut minimiser = Minimiser::new(mode, 3);
        minimiser.at_cut(&Name::parse(zone).expect("zone"));
        let question = Question::new(Name::parse(name).expect("name"), Rtype::MX);
        let mut out = Vec::new();
        loop {
            match minimiser.next(&question) {
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
    }

    #[test]
    fn relaxed_asks_the_whole_after_a_denial() {
        let question = Question::new(Name::parse("a.b.c.example.").expect("name"), Rtype::A);
        let mut relaxed = Minimiser::new(QnameMinimisation::Relaxed, 3);
        relaxed.at_cut(&Name::root());
        assert_ne!(relaxed.next(&question), Show::All);
        relaxed.refused();
        assert_eq!(relaxed.next(&question), Show::All);
    }
}
