//! The account of a list: what became of each line.

use std::collections::BTreeMap;
use std::fmt;

use crate::limits::lists::{SKIPPED_EXAMPLE_BYTES_MAX, SKIPPED_EXAMPLES_MAX};

/// Why a line, or one of its names, has no effect.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum SkipReason {
    NoName,
    Address,
    SingleLabel,
    OwnMachine,
    GivesAddress,
    PartOfPage,
    Pattern,
    RegularExpression,
    Modifier,
    Statement,
    OtherTrigger,
    TooLong,
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SkipReason::NoName => "not a domain name",
            SkipReason::Address => "an address, not a name",
            SkipReason::SingleLabel => "a whole top-level domain, which takes `single-labels = true`",
            SkipReason::OwnMachine => "a name of the own machine",
            SkipReason::GivesAddress => "gives the name an address of its own",
            SkipReason::PartOfPage => "for parts of web pages, not for names",
            SkipReason::Pattern => "a pattern that is no name and all names below",
            SkipReason::RegularExpression => "a regular expression",
            SkipReason::Modifier => "a modifier ($) that is not known here",
            SkipReason::Statement => "a statement that blocks no name",
            SkipReason::OtherTrigger => "a rule of a response policy zone that takes a `[[rpz]]`",
            SkipReason::TooLong => "too long a line",
        })
    }
}

/// What became of the lines of one list.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Tally {
    pub lines: u64,
    pub blocked: u64,
    pub exceptions: u64,
    pub comments: u64,
    pub empty: u64,
    /// Lines without any effect.
    pub skipped: u64,
    /// Why, for lines and for single names of lines that have an effect otherwise.
    pub reasons: BTreeMap<SkipReason, Skipped>,
}

/// What was skipped for one reason.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Skipped {
    pub count: u64,
    /// The first ones: number of the line, from 1, and its beginning.
    pub examples: Vec<(u64, String)>,
}

/// What became of one line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    Blocked,
    Exception,
    Comment,
    Empty,
    Skipped,
}

impl Tally {
    pub(super) fn count(&mut self, outcome: Outcome) {
        self.lines += 1;
        let side = match outcome {
            Outcome::Blocked => &mut self.blocked,
            Outcome::Exception => &mut self.exceptions,
            Outcome::Comment => &mut self.comments,
            Outcome::Empty => &mut self.empty,
            Outcome::Skipped => &mut self.skipped,
        };
        *side += 1;
    }

    /// Notes why the line, or a name in it, has no effect. The line itself is counted by `count`.
    pub(super) fn note(&mut self, reason: SkipReason, line: &[u8]) {
        let skipped = self.reasons.entry(reason).or_default();
        skipped.count += 1;
        if skipped.examples.len() < SKIPPED_EXAMPLES_MAX {
            let shown = line.get(..SKIPPED_EXAMPLE_BYTES_MAX).unwrap_or(line);
            let shown = String::from_utf8_lossy(shown).replace(char::is_control, " ");
            skipped.examples.push((self.lines + 1, shown));
        }
    }
}
