//! Mistakes in a master file, with their places: all are collected, up to a limit.

use std::fmt;
use std::sync::Arc;

use crate::limits::zone::PROBLEMS_MAX;
use crate::record::TextError;

/// Whether a mistake prevents the zone from being served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The zone can be served as it is.
    Warning,
    /// The zone cannot be served.
    Error,
}

/// One mistake in a master file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub severity: Severity,
    pub file: Arc<str>,
    /// From 1; 0 where the mistake concerns the file as a whole.
    pub line: u32,
    /// In octets from 1; 0 where the mistake concerns the line as a whole.
    pub column: u32,
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = if self.severity == Severity::Error { "error" } else { "warning" };
        f.write_str(&self.file)?;
        for number in [self.line, self.column].into_iter().filter(|number| *number > 0) {
            write!(f, ":{number}")?;
        }
        write!(f, ": {severity}: {}", self.message)
    }
}

/// The place of a record: the number of its file, and the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: u16,
    pub(super) line: u32,
}

/// All mistakes of one load, and the names of the files that were read.
#[derive(Default)]
pub(super) struct Problems {
    files: Vec<Arc<str>>,
    found: Vec<(u16, Problem)>,
    counts: [usize; 2],
}

impl Problems {
    /// Registers a file and returns its number, for places. `None` when there are too many.
    pub(super) fn add_file(&mut self, name: &str) -> Option<u16> {
        let number = u16::try_from(self.files.len()).ok()?;
        self.files.push(name.into());
        Some(number)
    }

    /// The name of a registered file.
    pub(super) fn file_name(&self, number: u16) -> Arc<str> {
        self.files.get(usize::from(number)).cloned().unwrap_or_else(|| "".into())
    }

    pub(super) fn error(&mut self, place: Place, message: impl Into<String>) {
        self.add(Severity::Error, place, 0, message.into());
    }

    pub(super) fn warning(&mut self, place: Place, message: impl Into<String>) {
        self.add(Severity::Warning, place, 0, message.into());
    }

    /// `place` is used where the error has no place of its own.
    pub(super) fn text_error(&mut self, place: Place, error: &TextError) {
        let line = if error.line == 0 { place.line } else { error.line };
        self.add(Severity::Error, Place { line, ..place }, error.column, error.to_string());
    }

    fn add(&mut self, severity: Severity, place: Place, column: u32, message: String) {
        let count = &mut self.counts[severity as usize];
        *count += 1;
        if *count <= PROBLEMS_MAX {
            let file = self.file_name(place.file);
            let message = without_controls(message);
            self.found.push((place.file, Problem { severity, file, line: place.line, column, message }));
        }
    }

    pub(super) fn error_count(&self) -> usize {
        self.counts[Severity::Error as usize]
    }

    /// Whether reading on is pointless, because no more mistakes are kept.
    pub(super) fn is_full(&self) -> bool {
        self.error_count() > PROBLEMS_MAX
    }

    /// Sorted by file and line; the last one counts those that were left out.
    pub(super) fn finish(mut self) -> Vec<Problem> {
        self.found.sort_by_key(|(file, problem)| (*file, problem.line));
        let mut all: Vec<Problem> = self.found.into_iter().map(|(_, problem)| problem).collect();
        for severity in [Severity::Warning, Severity::Error] {
            if self.counts[severity as usize] > PROBLEMS_MAX {
                let file = self.files.first().cloned().unwrap_or_else(|| "".into());
                let message = format!("more than {PROBLEMS_MAX} problems of this kind; the others are not shown");
                all.push(Problem { severity, file, line: 0, column: 0, message });
            }
        }
        all
    }
}

/// Messages quote the file, and its control characters must not reach a terminal: they are written as in a master file.
fn without_controls(message: String) -> String {
    if !message.contains(char::is_control) {
        return message;
    }
    let mut shown = String::with_capacity(message.len() + 3);
    for c in message.chars() {
        match c.is_control() {
            true => c.encode_utf8(&mut [0; 4]).bytes().for_each(|octet| shown.push_str(&format!("\\{octet:03}"))),
            false => shown.push(c),
        }
    }
    shown
}
