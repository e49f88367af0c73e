//! The account of a list: what became of each line.

use std::collections::BTreeMap;
use std::fmt;

use crate::limits::lists::{SKIPPED_EXAMPLE_BYTES_MAX, SKIPPED_EXAMPLES_MAX};

/// Why a line, or one of its names, has no effect.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum SkipReason {
    NoName,
    Sentence,
    Address,
    SingleLabel,
    OwnMachine,
    GivesAddress,
    PartOfPage,
    Pattern,
    RegularExpression,
    Modifier,
    NoAnswer,
    Redirect,
    AnswerOfAllowed,
    Statement,
    NoRecord,
    OutsideZone,
    OtherTrigger,
    TooDetailed,
    TooLong,
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SkipReason::NoName => "not a domain name",
            SkipReason::Sentence => "several words that are not all names, such as a sentence",
            SkipReason::Address => "an address, not a name",
            SkipReason::SingleLabel => "a whole top-level domain, which takes `single-labels = true`",
            SkipReason::OwnMachine => "a name of the own machine",
            SkipReason::GivesAddress => "gives the name an address of its own",
            SkipReason::PartOfPage => "for parts of web pages, not for names",
            SkipReason::Pattern => "a pattern that is no name and all names below",
            SkipReason::RegularExpression => "a regular expression",
            SkipReason::Modifier => "a modifier ($) that is not known here",
            SkipReason::NoAnswer => "what stands behind `$dnsrewrite=` is no answer",
            SkipReason::Redirect => "leads the name elsewhere, which takes `redirects = true`",
            SkipReason::AnswerOfAllowed => "another answer in a list that lets names through",
            SkipReason::Statement => "a statement that blocks no name",
            SkipReason::NoRecord => "not a record",
            SkipReason::OutsideZone => "a name that is not below the zone's own",
            SkipReason::OtherTrigger => "a rule of a response policy zone that takes a `[[rpz]]`",
            SkipReason::TooDetailed => "one more rule with `$dnsrewrite`, `$dnstype` or `$denyallow` than a name or a list may have",
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
    /// Why: for each line without effect one reason, and for a line of which only some names have an effect the first.
    pub reasons: BTreeMap<SkipReason, Skipped>,
}

/// What was skipped for one reason.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Skipped {
    /// Lines.
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
    /// Counts one line, with what in it has no effect.
    pub(super) fn count(&mut self, outcome: Outcome, why: Option<SkipReason>, line: &[u8]) {
        self.lines += 1;
        let side = match outcome {
            Outcome::Blocked => &mut self.blocked,
            Outcome::Exception => &mut self.exceptions,
            Outcome::Comment => &mut self.comments,
            Outcome::Empty => &mut self.empty,
            Outcome::Skipped => &mut self.skipped,
        };
        *side += 1;
        let Some(reason) = why else { return };
        let skipped = self.reasons.entry(reason).or_default();
        skipped.count += 1;
        if skipped.examples.len() < SKIPPED_EXAMPLES_MAX {
            let shown = line.get(..SKIPPED_EXAMPLE_BYTES_MAX).unwrap_or(line);
            skipped.examples.push((self.lines, printable(&String::from_utf8_lossy(shown))));
        }
    }
}

/// The text without what a terminal would obey, or would show in another place than it stands: control characters, and the marks that
/// turn the direction of writing.
pub fn printable(text: &str) -> String {
    let is_obeyed = |c: char| {
        c.is_control() || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.replace(is_obeyed, " ")
}
