//! Cuts a master file into entries, and entries into tokens (RFC 1035 5.1).
//!
//! An entry is a line, or several lines held together by parentheses. Tokens borrow from the text and keep their escapes,
//! because `\.` differs from `.` in a name and only the reader of a field knows that it is a name. Blank lines and comments
//! make no entry. After an error the next call starts at the next line, so that a caller can collect all errors of a file.

use std::borrow::Cow;
use std::fmt;

use crate::limits::wire::{ENTRY_TOKENS_MAX, TOKEN_SHOWN_CHARS_MAX};

/// Cuts text into entries. `line` counts from 1.
pub struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    line: u32,
    line_start: usize,
}

/// One field of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// As it stands in the text, escapes included, the quotes around it left out.
    pub raw: &'a [u8],
    pub quoted: bool,
    /// No white space stands between it and the token before it (`alpn="h2"` is two joined tokens).
    pub joined: bool,
    pub line: u32,
    /// In octets, from 1.
    pub column: u32,
    /// Where `raw` begins in the text.
    pub at: usize,
}

/// What [`Lexer::next_entry`] returns besides the tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub line: u32,
    /// The line begins with white space: its owner is that of the entry before.
    pub indented: bool,
    /// The line of the first comment that may have been meant as data: `;` directly after an unquoted token, or `tag=value`
    /// after a `tag=value`.
    pub cut_at: Option<u32>,
    /// Where its first line begins in the text, and where the line after its last one begins.
    pub start: usize,
    pub end: usize,
}

/// An error at a place in the text: what was found, and what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextError {
    pub line: u32,
    pub column: u32,
    pub found: String,
    pub expected: Cow<'static, str>,
}

impl TextError {
    /// `expected` completes "found …, expected …".
    pub fn at(token: &Token<'_>, expected: impl Into<Cow<'static, str>>) -> TextError {
        TextError { line: token.line, column: token.column, found: token.shown(), expected: expected.into() }
    }
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "found {}, expected {}", self.found, self.expected)
    }
}

impl std::error::Error for TextError {}

impl<'a> Token<'a> {
    /// A token that is not part of a longer text.
    #[cfg(test)]
    pub fn plain(raw: &'a [u8]) -> Token<'a> {
        Token { raw, quoted: false, joined: false, line: 1, column: 1, at: 0 }
    }

    /// Compares an unquoted token without regard to letter case.
    pub fn is(&self, word: &str) -> bool {
        !self.quoted && self.raw.eq_ignore_ascii_case(word.as_bytes())
    }

    /// The token for an error message: shortened, and with octets that are no text written as in a master file (`\DDD`).
    pub fn shown(&self) -> String {
        let quote = if self.quoted { '"' } else { '`' };
        let (mut shown, mut count) = (String::from(quote), 0);
        for chunk in self.raw.utf8_chunks() {
            let (text, odd) = (chunk.valid().chars(), chunk.invalid());
            let pieces = text.map(|c| if c.is_control() { escaped(c.encode_utf8(&mut [0; 4]).as_bytes()) } else { c.to_string() });
            for piece in pieces.chain(odd.iter().map(|octet| escaped(&[*octet]))) {
                if count == TOKEN_SHOWN_CHARS_MAX {
                    shown.extend(['…', quote]);
                    return shown;
                }
                shown.push_str(&piece);
                count += 1;
            }
        }
        shown.push(quote);
        shown
    }
}

/// Does the text begin with `tag=`, as in lists such as `v=DMARC1; p=none`?
fn is_tag(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    let len = text.iter().take_while(|octet| octet.is_ascii_alphanumeric()).count();
    len > 0 && text.get(len) == Some(&b'=')
}

fn escaped(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("\\{octet:03}")).collect()
}

impl<'a> Lexer<'a> {
    /// Reads from the first line of `text`; a byte order mark is skipped.
    pub fn new(text: &'a [u8]) -> Lexer<'a> {
        // An UTF-8 byte order mark is what some editors leave at the start.
        let at = if text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        Lexer { text, at, line: 1, line_start: at }
    }

    /// Fills `tokens` with the next entry that has any; `None` at the end.
    pub fn next_entry(&mut self, tokens: &mut Vec<Token<'a>>) -> Result<Option<Entry>, TextError> {
        loop {
            tokens.clear();
            if self.at >= self.text.len() {
                return Ok(None);
            }
            let mut entry =
                Entry { line: self.line, indented: matches!(self.peek(), Some(b' ' | b'\t')), cut_at: None, start: self.at, end: self.at };
            if let Err(error) = self.read_entry(tokens, &mut entry.cut_at) {
                self.skip_line();
                return Err(error);
            }
            if !tokens.is_empty() {
                entry.end = self.at;
                return Ok(Some(entry));
            }
        }
    }

    fn read_entry(&mut self, tokens: &mut Vec<Token<'a>>, cut_at: &mut Option<u32>) -> Result<(), TextError> {
        let mut open: Option<(u32, u32)> = None;
        let mut joined = false;
        while let Some(octet) = self.peek() {
            let after_space = !joined;
            joined = false;
            match octet {
                b'\n' => {
                    self.newline();
                    if open.is_none() {
                        return Ok(());
                    }
                }
                b' ' | b'\t' | b'\r' | b'\x0c' => self.at += 1,
                b';' => {
                    let start = self.at + 1;
                    self.skip_comment();
                    let comment = &self.text[start.min(self.at)..self.at];
                    if cut_at.is_none()
                        && tokens.last().is_some_and(|last| !after_space && !last.quoted || is_tag(last.raw) && is_tag(comment))
                    {
                        *cut_at = Some(self.line);
                    }
                }
                b'(' if open.is_some() => return Err(self.error_here("`(`", "`)`: parentheses do not nest")),
                b'(' => {
                    open = Some((self.line, self.column()));
                    self.at += 1;
                }
                b')' if open.is_none() => return Err(self.error_here("`)`", "an opening `(` before it")),
                b')' => {
                    open = None;
                    self.at += 1;
                }
                _ => {
                    let mut token = if octet == b'"' { self.quoted()? } else { self.word()? };
                    token.joined = !after_space;
                    joined = true;
                    tokens.push(token);
                    if tokens.len() > ENTRY_TOKENS_MAX {
                        return Err(self.error_here("an endless entry", "an entry of at most 200000 fields"));
                    }
                }
            }
        }
        match open {
            None => Ok(()),
            Some((line, column)) => {
                Err(TextError { line, column, found: "the end of the file".into(), expected: "`)` for the `(` opened here".into() })
            }
        }
    }

    /// After an error the next entry starts on the next line.
    fn skip_line(&mut self) {
        self.skip_comment();
        if self.peek().is_some() {
            self.newline();
        }
    }

    fn word(&mut self) -> Result<Token<'a>, TextError> {
        let (start, column) = (self.at, self.column());
        while let Some(octet) = self.peek() {
            match octet {
                b' ' | b'\t' | b'\r' | b'\n' | b'\x0c' | b';' | b'(' | b')' | b'"' => break,
                b'\\' => self.skip_escape()?,
                0 => return Err(self.nul()),
                _ => self.at += 1,
            }
        }
        Ok(Token { raw: &self.text[start..self.at], quoted: false, joined: false, line: self.line, column, at: start })
    }

    fn quoted(&mut self) -> Result<Token<'a>, TextError> {
        let column = self.column();
        let unclosed =
            TextError { line: self.line, column, found: "a string without end".into(), expected: "a closing `\"` on the same line".into() };
        self.at += 1;
        let start = self.at;
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => self.skip_escape()?,
                Some(b'\n') | None => return Err(unclosed),
                Some(0) => return Err(self.nul()),
                Some(_) => self.at += 1,
            }
        }
        let raw = &self.text[start..self.at];
        self.at += 1;
        Ok(Token { raw, quoted: true, joined: false, line: self.line, column, at: start })
    }

    fn skip_escape(&mut self) -> Result<(), TextError> {
        match self.text.get(self.at + 1) {
            None | Some(b'\n' | b'\r') => Err(self.error_here("`\\` at the end of a line", "a character or three digits after `\\`")),
            Some(_) => {
                self.at += 2;
                Ok(())
            }
        }
    }

    /// The octet 0 fills damaged files and files in UTF-16; nobody writes it.
    fn nul(&self) -> TextError {
        self.error_here("an octet 0", "text; the octet itself is written `\\000`")
    }

    fn skip_comment(&mut self) {
        let rest = &self.text[self.at.min(self.text.len())..];
        self.at += rest.iter().position(|octet| *octet == b'\n').unwrap_or(rest.len());
    }

    fn newline(&mut self) {
        self.at += 1;
        self.line += 1;
        self.line_start = self.at;
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn column(&self) -> u32 {
        u32::try_from(self.at - self.line_start + 1).unwrap_or(u32::MAX)
    }

    fn error_here(&self, found: &str, expected: &'static str) -> TextError {
        TextError { line: self.line, column: self.column(), found: found.into(), expected: expected.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Entries as `line[+]:token token`, `+` for an indented one, `"` for a quoted token, `~` for a joined one.
    fn shape(text: &str) -> Vec<String> {
        let mut lexer = Lexer::new(text.as_bytes());
        let (mut tokens, mut out) = (Vec::new(), Vec::new());
        loop {
            match lexer.next_entry(&mut tokens) {
                Ok(None) => return out,
                Ok(Some(entry)) => {
                    let words: Vec<String> = tokens
                        .iter()
                        .map(|t| {
                            let raw = String::from_utf8_lossy(t.raw);
                            format!("{}{}{raw}", if t.joined { "~" } else { "" }, if t.quoted { "\"" } else { "" })
                        })
                        .collect();
                    out.push(format!("{}{}:{}", entry.line, if entry.indented { "+" } else { "" }, words.join(" ")));
                }
                Err(error) => out.push(format!("{}.{}!", error.line, error.column)),
            }
        }
    }

    #[test]
    fn entries_and_tokens() {
        for (text, expected) in [
            ("", vec![]),
            ("a b\n", vec!["1:a b"]),
            ("a b", vec!["1:a b"]),
            ("a b\r\n\r\n c\r\n", vec!["1:a b", "3+:c"]),
            ("; only\n  ; this\n\n a ; b\n", vec!["4+:a"]),
            ("a ( b ; c\n d )e\nf", vec!["1:a b d e", "3:f"]),
            ("(a b)\n", vec!["1:a b"]),
            (r#"a "b ; ( c" d\ e \"f"#, vec![r#"1:a "b ; ( c d\ e \"f"#]),
            (r#"k="v" "" x"y""#, vec![r#"1:k= ~"v " x ~"y"#]),
            ("\u{feff}a\n", vec!["1:a"]),
        ] {
            assert_eq!(shape(text), expected, "{text:?}");
        }
    }

    #[test]
    fn an_error_costs_its_line_only() {
        assert_eq!(shape("a \"b\nc d\n"), vec!["1.3!", "2:c d"]);
        assert_eq!(shape("a )\nc"), vec!["1.3!", "2:c"]);
        assert_eq!(shape("a (\nb (\nc"), vec!["2.3!", "3:c"]);
        assert_eq!(shape("a (\nb\nc"), vec!["1.3!"]);
        assert_eq!(shape("a \\\nb"), vec!["1.3!", "2:b"]);
        assert_eq!(shape("a \\"), vec!["1.3!"]);
        assert_eq!(shape("a b\0c d\ne \"\0\"\nf \\000"), vec!["1.4!", "2.4!", "3:f \\000"]);
    }

    #[test]
    fn tokens_are_shown_as_they_stand() {
        for (raw, quoted, expected) in [
            (&b"a\\.b"[..], false, r"`a\.b`"),
            (b"say \\\"x\\\"", true, r#""say \"x\"""#),
            (b"\xff\x01m\xc3\xbcller", false, r"`\255\001müller`"),
            (&[b'x'; 61], false, "`xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…`"),
        ] {
            assert_eq!(Token { quoted, ..Token::plain(raw) }.shown(), expected);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'('), Just(b'"'), Just(b'\n'), Just(b'\\')], 0..200)) {
            let mut lexer = Lexer::new(&bytes);
            let mut tokens = Vec::new();
            let mut steps = 0;
            while !matches!(lexer.next_entry(&mut tokens), Ok(None)) {
                steps += 1;
                prop_assert!(steps <= bytes.len() + 1);
            }
        }
    }
}
