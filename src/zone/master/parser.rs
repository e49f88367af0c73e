//! Entries of a master file become records: owner, TTL, class and type before the RDATA.
//!
//! RFC 1035 5.1 allows TTL and class in either order, and both may be missing. A missing TTL comes from $TTL (RFC 2308 4), else
//! from the record before, else from the SOA's MINIMUM. After an error the next entry is read, so that one pass reports all
//! errors.

use std::borrow::Cow;
use std::io;
use std::net::IpAddr;

use smallvec::SmallVec;

use super::super::problem::{Place, Problems};
use super::free_text;
use crate::config::nearest;
use crate::limits::zone::MASTER_TEXT_BYTES_MAX;
use crate::record::{Entry, Lexer, Name, Rtype, TextError, Token, parse_duration, rdata_from_tokens, rdata_is_well_formed, to_ascii_name};

/// RFC 2181 8.
const TTL_MAX: u32 = i32::MAX as u32;

/// The number of the file that is read first.
pub(super) const MAIN_FILE: u16 = 0;

/// Opens a file by its name in the configuration or after $INCLUDE.
pub type Open<'o> = &'o mut dyn FnMut(&str) -> io::Result<Vec<u8>>;

pub(super) struct Record<'r> {
    /// Lower-case wire form.
    pub(super) owner: &'r [u8],
    pub(super) ttl: u32,
    pub(super) rtype: Rtype,
    pub(super) rdata: &'r [u8],
    pub(super) place: Place,
}

pub(super) struct Parser<'p> {
    open: Open<'p>,
    take: &'p mut dyn FnMut(&Record<'_>, &mut Problems),
    pub(super) problems: Problems,
    /// Wire form; keeps its letter case for names in RDATA.
    pub(super) origin: Vec<u8>,
    /// The owner of the entry before; lower-case wire form.
    pub(super) owner: Option<SmallVec<[u8; 64]>>,
    /// From $TTL, or from a SOA without one.
    pub(super) default_ttl: Option<u32>,
    pub(super) last_ttl: Option<u32>,
    /// The TTL of a record where nothing in the file says one.
    pub(super) without_ttl: Option<u32>,
    said_last_ttl_used: bool,
    text_bytes: usize,
    pub(super) generated: usize,
    pub(super) generated_bytes: usize,
    pub(super) rdata: Vec<u8>,
}

impl<'p> Parser<'p> {
    pub(super) fn new(origin: &Name, open: Open<'p>, take: &'p mut dyn FnMut(&Record<'_>, &mut Problems)) -> Parser<'p> {
        Parser {
            open,
            take,
            problems: Problems::default(),
            origin: origin.as_wire().to_vec(),
            owner: None,
            default_ttl: None,
            last_ttl: None,
            without_ttl: None,
            said_last_ttl_used: false,
            text_bytes: 0,
            generated: 0,
            generated_bytes: 0,
            rdata: Vec::new(),
        }
    }

    pub(super) fn into_problems(self) -> Problems {
        self.problems
    }

    /// Reads the main file.
    pub(super) fn load(&mut self, file: &str) {
        if let Some(text) = self.main_text(file) {
            self.entries(&text, MAIN_FILE, 0);
        }
    }

    /// The text of the main file.
    pub(super) fn main_text(&mut self, file: &str) -> Option<Vec<u8>> {
        self.problems.add_file(file);
        match self.read(file) {
            // Every second octet of such text is 0: one error is better than one for each line.
            Ok(text) if text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff") => {
                self.problems.error(Place { file: MAIN_FILE, line: 1 }, "found UTF-16 text, expected a file saved as ASCII or UTF-8");
                None
            }
            Ok(text) => Some(text),
            Err(error) => {
                self.problems.error(Place { file: MAIN_FILE, line: 0 }, format!("cannot read the file: {error}"));
                None
            }
        }
    }

    pub(super) fn read(&mut self, file: &str) -> io::Result<Vec<u8>> {
        let text = (self.open)(file)?;
        self.text_bytes = self.text_bytes.saturating_add(text.len());
        if self.text_bytes > MASTER_TEXT_BYTES_MAX {
            return Err(io::Error::other("more than 2 GiB of text in all"));
        }
        Ok(text)
    }

    pub(super) fn entries(&mut self, text: &[u8], file: u16, depth: usize) {
        let mut lexer = Lexer::new(text);
        let mut tokens = Vec::new();
        while !self.problems.is_full() {
            match lexer.next_entry(&mut tokens) {
                Ok(None) => return,
                Ok(Some(entry)) => {
                    let place = Place { file, line: entry.line };
                    if let Err(error) = self.entry(entry, &tokens, place, depth) {
                        self.problems.text_error(place, &error);
                    }
                }
                Err(error) => self.problems.text_error(Place { file, line: error.line }, &error),
            }
        }
    }

    pub(super) fn entry(&mut self, entry: Entry, tokens: &[Token<'_>], place: Place, depth: usize) -> Result<(), TextError> {
        let Some(first) = tokens.first() else { return Ok(()) };
        if entry.indented {
            self.quotes(entry, tokens, place);
            return self.record(tokens, place).map_err(|error| indented_owner(error, tokens));
        }
        if first.raw.starts_with(b"$") && !first.quoted {
            return self.directive(tokens, place, depth);
        }
        // The owner counts for the next line even if the RDATA is wrong.
        self.owner = Some(self.owner_name(first)?);
        self.quotes(entry, &tokens[1..], place);
        if !first.raw.is_ascii() {
            let owner = first.shown();
            let form = std::str::from_utf8(first.raw).ok().and_then(to_ascii_name);
            let form = form.map_or_else(|| "its xn-- form".to_owned(), |form| format!("`{form}`"));
            self.problems
                .warning(place, format!("found the name {owner}, expected ASCII, which clients ask for (RFC 5891 4.4): write {form}"));
        }
        match tokens.len() {
            1 => Err(end_of_entry(tokens, "TTL, class, type and data after the owner")),
            _ => self.record(&tokens[1..], place).map_err(|error| foreign_comment(error, first)),
        }
    }

    fn quotes(&mut self, entry: Entry, after_owner: &[Token<'_>], place: Place) {
        if let Ok(Head { rtype, used, .. }) = head(after_owner) {
            let owner = self.owner.as_deref().unwrap_or_default();
            free_text::quotes(owner, rtype, &after_owner[used..], entry.cut_at, place, &mut self.problems);
        }
    }

    pub(super) fn owner_name(&self, token: &Token<'_>) -> Result<SmallVec<[u8; 64]>, TextError> {
        let mut wire = self.name(token)?;
        wire.make_ascii_lowercase();
        Ok(SmallVec::from_slice(&wire))
    }

    /// A name relative to the origin, letter case kept.
    pub(super) fn name(&self, token: &Token<'_>) -> Result<SmallVec<[u8; 256]>, TextError> {
        let mut wire = SmallVec::new();
        if token.quoted {
            return Err(TextError::at(token, "a domain name without quotes"));
        }
        match crate::record::name_from_text(token.raw, &self.origin, &mut wire) {
            Ok(()) => Ok(wire),
            Err(error) => Err(TextError::at(token, format!("a domain name, but {error}"))),
        }
    }

    /// Reads an entry after its owner.
    pub(super) fn record(&mut self, tokens: &[Token<'_>], place: Place) -> Result<(), TextError> {
        let head = head(tokens)?;
        let Some(owner) = self.owner.clone() else {
            return Err(TextError::at(&tokens[0], "an owner name: there is no record before that could have one"));
        };
        let mut rdata = std::mem::take(&mut self.rdata);
        rdata.clear();
        let result = self.finish_record(&head, &owner, tokens, place, &mut rdata);
        self.rdata = rdata;
        result
    }

    fn finish_record(
        &mut self,
        head: &Head,
        owner: &[u8],
        tokens: &[Token<'_>],
        place: Place,
        rdata: &mut Vec<u8>,
    ) -> Result<(), TextError> {
        let data = &tokens[head.used..];
        if let Err(error) = rdata_from_tokens(head.rtype, data, &self.origin, rdata) {
            return Err(if error.line == 0 { TextError { found: error.found, ..end_of_entry(tokens, error.expected) } } else { error });
        }
        if data.first().is_some_and(|first| first.is("\\#")) && !rdata_is_well_formed(head.rtype, rdata) {
            return Err(TextError::at(&data[0], format!("octets that are valid {} data", head.rtype)));
        }
        free_text::long_strings(head.rtype, data, rdata, place, &mut self.problems);
        let ttl = self.ttl(head, rdata, tokens, place)?;
        (self.take)(&Record { owner, ttl, rtype: head.rtype, rdata, place }, &mut self.problems);
        Ok(())
    }

    fn ttl(&mut self, head: &Head, rdata: &[u8], tokens: &[Token<'_>], place: Place) -> Result<u32, TextError> {
        if let Some(ttl) = head.ttl {
            let ttl = self.bounded_ttl(ttl, place);
            self.last_ttl = Some(ttl);
            return Ok(ttl);
        }
        if let Some(ttl) = self.default_ttl {
            return Ok(ttl);
        }
        if let Some(ttl) = self.last_ttl {
            if !std::mem::replace(&mut self.said_last_ttl_used, true) {
                self.problems.warning(place, format!("found no TTL and no $TTL, expected one of them: {ttl} of the record before is used"));
            }
            return Ok(ttl);
        }
        if head.rtype == Rtype::SOA
            && let Some(minimum) = rdata.last_chunk::<4>()
        {
            let ttl = self.bounded_ttl(u32::from_be_bytes(*minimum), place);
            self.problems.warning(place, format!("found no TTL and no $TTL, expected one of them: the SOA's minimum {ttl} is used"));
            self.default_ttl = Some(ttl);
            return Ok(ttl);
        }
        self.without_ttl.ok_or_else(|| TextError::at(&tokens[0], "a TTL, or $TTL or the SOA record before"))
    }

    /// RFC 2181 8: a TTL with the top bit set means 0.
    pub(super) fn bounded_ttl(&mut self, ttl: u32, place: Place) -> u32 {
        if ttl <= TTL_MAX {
            return ttl;
        }
        self.problems.warning(place, format!("found TTL {ttl}, expected at most {TTL_MAX}: 0 is used"));
        0
    }
}

pub(super) struct Head {
    pub(super) ttl: Option<u32>,
    pub(super) rtype: Rtype,
    /// Number of tokens before the RDATA.
    pub(super) used: usize,
}

/// `[TTL] [class] type`, the first two in either order.
pub(super) fn head(tokens: &[Token<'_>]) -> Result<Head, TextError> {
    let (mut ttl, mut has_class) = (None, false);
    for (at, token) in tokens.iter().enumerate() {
        if token.quoted {
            return Err(TextError::at(token, "a record type"));
        }
        if !has_class && let Some(class) = class(token.raw) {
            if class != 1 {
                return Err(TextError::at(token, "class IN"));
            }
            has_class = true;
            continue;
        }
        if ttl.is_none() && token.raw.first().is_some_and(u8::is_ascii_digit) {
            let expected = || untyped(token.raw).map_or("a TTL as 3600 or 1h30m, or a record type".into(), Cow::Owned);
            ttl = Some(parse_duration(token.raw).ok_or_else(|| TextError::at(token, expected()))?);
            continue;
        }
        if class(token.raw).is_some() {
            return Err(TextError::at(token, "a record type after the class"));
        }
        let rtype = rtype(token)?;
        return Ok(Head { ttl, rtype, used: at + 1 });
    }
    Err(end_of_entry(tokens, "a record type"))
}

fn rtype(token: &Token<'_>) -> Result<Rtype, TextError> {
    let rtype: Rtype =
        std::str::from_utf8(token.raw).ok().and_then(|text| text.parse().ok()).ok_or_else(|| TextError::at(token, no_type(token.raw)))?;
    match rtype.is_meta() {
        true => Err(TextError::at(token, "a type that records can have; this one is for questions and messages only")),
        false => Ok(rtype),
    }
}

pub(super) fn no_type(written: &[u8]) -> String {
    let mnemonics: Vec<&str> = Rtype::KNOWN.iter().filter(|rtype| !rtype.is_meta()).filter_map(|rtype| rtype.mnemonic()).collect();
    // With a single letter nearly every type would be near.
    match std::str::from_utf8(written).ok().filter(|written| written.len() > 1).and_then(|written| nearest(written, &mnemonics)) {
        Some(near) => format!("a record type; did you mean {near}?"),
        None => untyped(written).unwrap_or_else(|| "a record type as A, MX or TYPE731".to_owned()),
    }
}

/// `www 192.0.2.1`, as one writes it in a hosts file.
fn untyped(written: &[u8]) -> Option<String> {
    let address: IpAddr = std::str::from_utf8(written).ok()?.parse().ok()?;
    let rtype = if address.is_ipv4() { Rtype::A } else { Rtype::AAAA };
    Some(format!("a record type: write `{rtype} {address}`"))
}

/// `  www A 192.0.2.1`: after a blank at the start of a line, the first word is taken for a TTL, class or type.
fn indented_owner(error: TextError, tokens: &[Token<'_>]) -> TextError {
    let first = &tokens[0];
    let at_first = (error.line, error.column) == (first.line, first.column) && !first.quoted;
    if !at_first || tokens.len() < 3 || head(&tokens[1..]).is_err() {
        return error;
    }
    let expected = "a TTL, class or type: a line that begins with a blank has the owner of the record before; take the blank away".into();
    TextError { expected, ..error }
}

/// `# text` and `// text` are comments in other formats.
fn foreign_comment(error: TextError, owner: &Token<'_>) -> TextError {
    match owner.raw {
        [b'#', ..] | [b'/', b'/', ..] if error.line == owner.line => {
            TextError { line: owner.line, column: owner.column, found: owner.shown(), expected: "`;` in front of a comment".into() }
        }
        _ => error,
    }
}

/// RFC 1035 3.2.4 and `CLASS1` (RFC 3597 5).
fn class(text: &[u8]) -> Option<u16> {
    match text {
        [b'i' | b'I', b'n' | b'N'] => Some(1),
        [b'c' | b'C', b'h' | b'H' | b's' | b'S'] => Some(3),
        [b'h' | b'H', b's' | b'S'] => Some(4),
        _ => {
            let (word, digits) = text.split_at_checked(5)?;
            word.eq_ignore_ascii_case(b"CLASS").then_some(())?;
            std::str::from_utf8(digits).ok()?.parse().ok()
        }
    }
}

pub(super) fn end_of_entry(tokens: &[Token<'_>], expected: impl Into<std::borrow::Cow<'static, str>>) -> TextError {
    let (line, column) = tokens.last().map_or((0, 0), |last| (last.line, last.column.saturating_add(last.raw.len() as u32)));
    TextError { line, column, found: "the end of the record".into(), expected: expected.into() }
}
