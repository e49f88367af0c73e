//! A mistake in a file, reported so that it can be corrected: where, what, and what was probably meant.
//!
//! `{}` is one line (`FILE:LINE:COLUMN: what; hint`), which editors can jump to. `{:#}` adds the line of the file with a mark
//! under the place.

use std::fmt;

/// One mistake in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub file: String,
    /// From 1; 0 when the file as a whole is meant.
    pub line: usize,
    /// In characters, from 1; 0 when the whole line is meant.
    pub column: usize,
    pub what: String,
    /// How to correct it: a sentence without a final stop.
    pub hint: Option<String>,
    /// The line of the file, to be shown.
    pub excerpt: Option<String>,
}

/// A place in the configuration file. It is kept because some values turn out to be wrong only later, for instance when a file
/// is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// The line itself.
    pub excerpt: String,
}

impl Problem {
    /// A mistake at a place.
    pub fn at(file: impl Into<String>, mark: &Mark, what: impl Into<String>) -> Problem {
        let Mark { line, column, excerpt } = mark.clone();
        Problem { line, column, excerpt: Some(excerpt), ..Problem::of_file(file, what) }
    }

    /// A mistake of a file as a whole, for instance a file that cannot be read.
    pub fn of_file(file: impl Into<String>, what: impl Into<String>) -> Problem {
        Problem { file: file.into(), line: 0, column: 0, what: what.into(), hint: None, excerpt: None }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if self.line > 0 && self.column > 0 {
            write!(f, ":{}", self.column)?;
        }
        write!(f, ": {}", self.what)?;
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        match &self.excerpt {
            Some(line) if f.alternate() && self.column > 0 => {
                let (number, gutter) = (self.line.to_string(), " ".repeat(self.line.to_string().len()));
                let before: String = line.chars().take(self.column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
                write!(f, "\n {number} | {line}\n {gutter} | {before}^")
            }
            _ => Ok(()),
        }
    }
}

/// Turns byte offsets of a text into lines and columns.
pub(crate) struct Positions<'a> {
    text: &'a str,
    line_starts: Vec<usize>,
}

impl<'a> Positions<'a> {
    /// Counts the lines of `text` once.
    pub(crate) fn of(text: &'a str) -> Positions<'a> {
        let after_newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Positions { text, line_starts: std::iter::once(0).chain(after_newlines).collect() }
    }

    /// Line and column, both from 1.
    pub(crate) fn line_column(&self, offset: usize) -> (usize, usize) {
        let line = self.line_starts.partition_point(|start| *start <= offset).max(1);
        let start = self.line_starts.get(line - 1).copied().unwrap_or(0);
        let column = self.text.get(start..offset.min(self.text.len())).map_or(0, |before| before.chars().count());
        (line, column + 1)
    }

    /// Text of the line, which counts from 1.
    pub(crate) fn line_text(&self, line: usize) -> &'a str {
        self.text.lines().nth(line.saturating_sub(1)).unwrap_or("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_become_lines_and_columns_in_characters() {
        let positions = Positions::of("ab\nçd = 1\n\nx");
        for (offset, expected) in
            [(0, (1, 1)), (2, (1, 3)), (3, (2, 1)), (5, (2, 2)), (11, (3, 1)), (12, (4, 1)), (13, (4, 2)), (99, (4, 2))]
        {
            assert_eq!(positions.line_column(offset), expected, "offset {offset}");
        }
        assert_eq!(positions.line_text(2), "çd = 1");
    }

    #[test]
    fn the_long_form_marks_the_place() {
        let problem = Problem {
            file: "c.toml".into(),
            line: 12,
            column: 3,
            what: "unknown key \"a\"".into(),
            hint: Some("did you mean \"b\"?".into()),
            excerpt: Some("  a = 1".into()),
        };
        assert_eq!(problem.to_string(), "c.toml:12:3: unknown key \"a\"; did you mean \"b\"?");
        assert_eq!(format!("{problem:#}"), "c.toml:12:3: unknown key \"a\"; did you mean \"b\"?\n 12 |   a = 1\n    |   ^");
        assert_eq!(Problem::of_file("x", "gone").to_string(), "x: gone");
    }
}
