//! Syntax mistakes in TOML: explained for people who do not know TOML, and repaired where possible, so that one missing quote
//! neither hides nor falsifies the mistakes after it.
//!
//! The repaired text has the same lines as the file, and each line that was changed has a mistake; so mistakes found on the
//! other lines are real. The repaired text is only checked for more mistakes, never used.

use toml::de::DeTable;

use super::keys::LISTS;
use super::problem::Positions;
use crate::limits::server::TOML_MISTAKES_MAX;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) what: String,
    pub(super) hint: Option<String>,
}

/// The repaired text and its syntax mistakes, at most one for each line.
pub(super) fn mend(text: &str) -> (String, Vec<Mistake>) {
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let mut mistakes = Vec::new();
    for _ in 0..TOML_MISTAKES_MAX {
        let joined = lines.join("\n");
        let errors = errors_of(&joined);
        let mended = errors.iter().find_map(|error| error.mended(&lines));
        let Some((mistake, changes)) = mended else {
            for error in errors {
                let mistake = error.told(&lines);
                if mistakes.iter().all(|other: &Mistake| other.line != mistake.line) {
                    mistakes.push(mistake);
                }
            }
            return (joined, mistakes);
        };
        mistakes.push(mistake);
        changes.into_iter().for_each(|(at, line)| lines[at] = line);
    }
    (lines.join("\n"), mistakes)
}

/// An error as the parser reports it.
struct Error {
    /// Line and column, from 1.
    place: (usize, usize),
    message: String,
}

/// Lines to replace, counted from 0, with their new text.
type Changes = Vec<(usize, String)>;

fn errors_of(text: &str) -> Vec<Error> {
    let (_, errors) = DeTable::parse_recoverable(text);
    let positions = Positions::of(text);
    let told = |error: &toml::de::Error| Error {
        place: positions.line_column(error.span().map_or(0, |span| span.start)),
        message: error.message().lines().next().unwrap_or_default().to_owned(),
    };
    let mut errors: Vec<Error> = errors.iter().map(told).collect();
    errors.sort_by_key(|error| error.place);
    errors
}

impl Error {
    /// The mistake and the repaired lines, if the mistake is one of those that can be repaired.
    fn mended(&self, lines: &[String]) -> Option<(Mistake, Changes)> {
        let (line, column) = self.place;
        let at = line - 1;
        let text = lines.get(at)?;
        let is = |words: &[&str]| words.iter().any(|word| self.message.starts_with(word));
        if is(&["invalid basic string", "invalid literal string"]) {
            let start = opening_quote(text)?;
            let mistake = mistake(line, start, "this string has no closing quote", None);
            return Some((mistake, vec![(at, with_another_value(text))]));
        }
        if is(&["missing escaped value"]) {
            let hint = "put the text in single quotes, or double each backslash";
            let mistake = mistake(line, column, "`\\` in double quotes must begin a valid escape sequence", Some(hint.to_owned()));
            return Some((mistake, vec![(at, with_another_value(text))]));
        }
        if is(&["unclosed table", "unclosed array table"]) {
            let words = header(text)?;
            let (open, close) = if text.trim_start().starts_with("[[") { ("[[", "]]") } else { ("[", "]") };
            let mistake = mistake(line, column, format!("`{close}` is missing at the end of the section's name"), None);
            return Some((mistake, vec![(at, format!("{open}{words}{close}"))]));
        }
        if is(&["duplicate key"]) {
            return one_bracket_too_few(lines, text);
        }
        let in_list = self.message.contains("array") || is(&["string values must be quoted", "unexpected key or value"]);
        if in_list && (at == lines.len() - 1 || begins_statement(text)) {
            return unclosed_list(lines, at);
        }
        None
    }

    /// The parser's message, or our own where the parser's would mislead.
    fn told(&self, lines: &[String]) -> Mistake {
        let (line, column) = self.place;
        let text = lines.get(line - 1).map_or("", String::as_str);
        let here = text.chars().nth(column - 1);
        let number = ["invalid float", "invalid integer", "invalid mantissa", "invalid hex", "invalid octal", "invalid binary"]
            .iter()
            .chain(&["invalid datetime", "unexpected leading zero", "redundant", "radix must", "`_` may only", "unexpected sign"])
            .any(|words| self.message.starts_with(words));
        if let Some(control) = here.filter(|c| c.is_control() && *c != '\r') {
            let what = format!("the control character U+{:04X} is not allowed here", u32::from(control));
            return mistake(line, column, what, Some("remove it".to_owned()));
        }
        if number || self.message.starts_with("string values must be quoted") {
            let (start, word) = word_at(text, column);
            return match word.is_empty() {
                true => mistake(line, column, "a value is missing", None),
                false => mistake(line, start, format!("{word} is not a TOML value"), Some(instead_of(&word))),
            };
        }
        if let Some((key, _)) = text.split_once(':').filter(|_| self.message.starts_with("invalid unquoted key") && here == Some(':')) {
            let hint = format!("write {} = and the value; a section is a line [name]", key.trim());
            return mistake(line, column, "found `:` after a key", Some(hint));
        }
        match self.message.as_str() {
            "duplicate key" => mistake(line, column, "duplicate key or section", None),
            message if message.starts_with("key with no value") => {
                mistake(line, column, "a key without a value", Some("write key = value, or [name] for a section".to_owned()))
            }
            "" => mistake(line, column, "this is not TOML", None),
            other => mistake(line, column, other, None),
        }
    }
}

fn mistake(line: usize, column: usize, what: impl Into<String>, hint: Option<String>) -> Mistake {
    Mistake { line, column, what: what.into(), hint }
}

/// What to write instead of a bare word.
fn instead_of(word: &str) -> String {
    match switch_for(word) {
        Some(switch) => format!("use true or false, here {switch}"),
        None => format!("put a string in quotes: \"{word}\""),
    }
}

/// The TOML value of a switch that is written in another way.
pub(super) fn switch_for(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "yes" | "on" | "true" | "enabled" | "1" => Some(true),
        "no" | "off" | "false" | "disabled" | "0" => Some(false),
        _ => None,
    }
}

/// The column of the quote that this line does not close.
fn opening_quote(text: &str) -> Option<usize> {
    let mut open: Option<(usize, char)> = None;
    let mut escaped = false;
    for (at, c) in text.chars().enumerate() {
        match open {
            None if c == '#' => break,
            None if c == '"' || c == '\'' => open = Some((at + 1, c)),
            Some((_, quote)) if c == quote && !escaped => open = None,
            _ => {}
        }
        escaped = c == '\\' && !escaped;
    }
    open.map(|(column, _)| column)
}

/// The same line with a value that can be read; also for an item of a list.
fn with_another_value(text: &str) -> String {
    match text.split_once('=') {
        Some((key, _)) if begins_statement(text) => format!("{key}= \"\""),
        _ => "\"\",".to_owned(),
    }
}

/// The text of `[text` without its brackets and without what follows.
fn header(text: &str) -> Option<&str> {
    let words = text.trim().trim_start_matches('[').split(['#', ']', '[']).next()?.trim();
    (!words.is_empty() && words.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')).then_some(words)
}

/// Whether the line looks like `key =` or `[section`.
fn begins_statement(text: &str) -> bool {
    let text = text.trim_start();
    if text.starts_with('[') {
        return header(text).is_some_and(|words| words.starts_with(|c: char| c.is_ascii_alphabetic()));
    }
    let is_key = |key: &str| !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    text.split_once('=').is_some_and(|(key, _)| is_key(key.trim()))
}

/// `[zone]` a second time, or together with `[[zone]]`.
fn one_bracket_too_few(lines: &[String], text: &str) -> Option<(Mistake, Changes)> {
    let list = LISTS.into_iter().find(|list| header(text) == Some(list) && text.trim_start().starts_with('['))?;
    let is_single =
        |line: &String| header(line) == Some(list) && line.trim_start().starts_with('[') && !line.trim_start().starts_with("[[");
    let (at, line) = lines.iter().enumerate().find(|(_, line)| is_single(line))?;
    let column = 1 + line.chars().take_while(|c| c.is_whitespace()).count();
    let hint = format!("there may be several: write [[{list}]] with two brackets");
    Some((mistake(at + 1, column, format!("found [{list}], which is a list"), Some(hint)), vec![(at, format!("[[{list}]]"))]))
}

/// A list that is not closed before line `end`, where something else begins.
fn unclosed_list(lines: &[String], end: usize) -> Option<(Mistake, Changes)> {
    let begins =
        |line: &String| begins_statement(line) && line.split_once('=').is_some_and(|(_, value)| value.trim_start().starts_with('['));
    let (start, line) =
        lines[..=end].iter().enumerate().rev().find(|(at, line)| (*at < end || end == lines.len() - 1) && begins_statement(line))?;
    if !begins(line) {
        return None;
    }
    let column = 1 + line.chars().position(|c| c == '[')?;
    let until = if end == lines.len() - 1 && !begins_statement(&lines[end]) { lines.len() } else { end.max(start + 1) };
    let blank = (start + 1..until).map(|at| (at, String::new()));
    let changes = std::iter::once((start, with_another_value(line))).chain(blank).collect();
    Some((mistake(start + 1, column, "this list has no closing `]`", None), changes))
}

/// The word at this column, between blanks, commas and brackets, and the column where it begins.
fn word_at(text: &str, column: usize) -> (usize, String) {
    let chars: Vec<char> = text.chars().collect();
    let ends = |c: char| c.is_whitespace() || matches!(c, ',' | '=' | '[' | ']' | '#' | '"');
    let at = (column - 1).min(chars.len());
    let start = chars[..at].iter().rposition(|c| ends(*c)).map_or(0, |at| at + 1);
    let word: String = chars[start..].iter().take_while(|c| !ends(**c)).collect();
    (start + 1, word)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: what is written, all that is said of it, and the lines that are read in its place.
    #[test]
    fn mistakes_of_the_language() {
        for (text, expected, mended) in [
            ("a = 1", &[][..], "a = 1"),
            ("a = yes", &["1:5: yes is not a TOML value; use true or false, here true"], "a = yes"),
            ("a = debug", &["1:5: debug is not a TOML value; put a string in quotes: \"debug\""], "a = debug"),
            ("a = ", &["1:5: a value is missing"], "a = "),
            (
                "a = 256M\nb = 2d # x",
                &[
                    "1:5: 256M is not a TOML value; put a string in quotes: \"256M\"",
                    "2:5: 2d is not a TOML value; put a string in quotes: \"2d\"",
                ],
                "a = 256M\nb = 2d # x",
            ),
            (
                "a = [127.0.0.1:53]\nb = 1",
                &["1:6: 127.0.0.1:53 is not a TOML value; put a string in quotes: \"127.0.0.1:53\""],
                "a = [127.0.0.1:53]\nb = 1",
            ),
            ("a = [\"x\", \"y]\nb = 1", &["1:11: this string has no closing quote"], "a = \"\"\nb = 1"),
            ("a = [\n  \"x,\n  \"y\"\n]", &["2:3: this string has no closing quote"], "a = [\n\"\",\n  \"y\"\n]"),
            ("a = 'x\n[s]\nb = 1", &["1:5: this string has no closing quote"], "a = \"\"\n[s]\nb = 1"),
            ("a = \"x\nb = \"y", &["1:5: this string has no closing quote", "2:5: this string has no closing quote"], "a = \"\"\nb = \"\""),
            ("a = [\"x\"\nb = [\"y\"]\n[s]", &["1:5: this list has no closing `]`"], "a = \"\"\nb = [\"y\"]\n[s]"),
            ("a = [\n \"x\",\n\n[s]\nb = 1", &["1:5: this list has no closing `]`"], "a = \"\"\n\n\n[s]\nb = 1"),
            ("a = [\"x\"", &["1:5: this list has no closing `]`"], "a = \"\""),
            ("[s\na = 1", &["1:3: `]` is missing at the end of the section's name"], "[s]\na = 1"),
            ("[[zone]\na = 1", &["1:8: `]]` is missing at the end of the section's name"], "[[zone]]\na = 1"),
            (
                "[zone]\na = 1\n[zone]\na = 2",
                &[
                    "1:1: found [zone], which is a list; there may be several: write [[zone]] with two brackets",
                    "3:1: found [zone], which is a list; there may be several: write [[zone]] with two brackets",
                ],
                "[[zone]]\na = 1\n[[zone]]\na = 2",
            ),
            ("a: 1\nb = 2", &["1:2: found `:` after a key; write a = and the value; a section is a line [name]"], "a: 1\nb = 2"),
            ("hello\nb = 2", &["1:6: a key without a value; write key = value, or [name] for a section"], "hello\nb = 2"),
            ("a = \u{1} 1", &["1:5: the control character U+0001 is not allowed here; remove it"], "a = \u{1} 1"),
            (
                "a = \"C:\\zones\"\nb = 1",
                &["1:9: `\\` in double quotes must begin a valid escape sequence; put the text in single quotes, or double each backslash"],
                "a = \"\"\nb = 1",
            ),
            ("a = 1\na = 2", &["2:1: duplicate key or section"], "a = 1\na = 2"),
        ] {
            let (read, mistakes) = mend(text);
            let shown: Vec<String> = mistakes
                .iter()
                .map(|m| {
                    format!("{}:{}: {}{}", m.line, m.column, m.what, m.hint.iter().map(|hint| format!("; {hint}")).collect::<String>())
                })
                .collect();
            assert_eq!((shown, read.as_str()), (expected.iter().map(|line| (*line).to_owned()).collect(), mended), "{text}");
        }
    }
}
