//! $GENERATE, BIND's directive for records that differ by a number only:
//! `$GENERATE 1-254[/step] owner [TTL] [class] type data`, where owner and data hold `$`, `${offset}`,
//! `${offset,width}` or `${offset,width,base}`; the base is one of `d o x X n N`. `\$` is a plain dollar sign.

use super::super::problem::Place;
use super::parser::{Parser, end_of_entry, head};
use crate::limits::zone::{GENERATED_BYTES_MAX, GENERATED_RECORDS_MAX, GENERATED_WIDTH_MAX};
use crate::record::{Lexer, TextError, Token};

impl Parser<'_> {
    pub(super) fn generate(&mut self, tokens: &[Token<'_>], place: Place) -> Result<(), TextError> {
        let [_, range, owner, rest @ ..] = tokens else {
            return Err(end_of_entry(tokens, "a range, an owner, a type and data"));
        };
        let (start, stop, step) =
            parse_range(range.raw).ok_or_else(|| TextError::at(range, "a range as 1-100 or 1-100/2, its numbers at most 2147483647"))?;
        let used = head(rest)?.used;
        let data = rest.get(used).ok_or_else(|| end_of_entry(tokens, "data after the type"))?;
        let template = template(&rest[used..]);
        let count = ((stop - start) / step + 1) as usize;
        let records = self.generated.saturating_add(count);
        if records > GENERATED_RECORDS_MAX {
            return Err(TextError::at(range, TOO_MUCH));
        }
        self.generated = records;
        let before = self.owner.clone();
        for value in (start..=stop).step_by(step as usize) {
            let made = self.generate_one(owner, &rest[..used], (data, &template), value, place);
            if made.is_err() {
                // The other records would fail in the same way.
                self.owner = before;
                return made;
            }
        }
        self.owner = before;
        Ok(())
    }

    fn generate_one(
        &mut self,
        owner: &Token<'_>,
        head: &[Token<'_>],
        (data, template): (&Token<'_>, &[u8]),
        value: i64,
        place: Place,
    ) -> Result<(), TextError> {
        let room = GENERATED_BYTES_MAX.saturating_sub(self.generated_bytes);
        let name = expand(owner.raw, value, room).map_err(|expected| TextError::at(owner, expected))?;
        let text = expand(template, value, room - name.len()).map_err(|expected| TextError::at(data, expected))?;
        let here = |error: TextError| TextError { line: data.line, column: data.column, ..error };
        self.owner = Some(self.owner_name(&Token { raw: &name, ..*owner })?);
        let mut tokens = Vec::new();
        Lexer::new(&text).next_entry(&mut tokens).map_err(here)?;
        tokens.splice(0..0, head.iter().copied());
        self.record(&tokens, place).map_err(here)?;
        let read = self.owner.as_ref().map_or(0, |owner| owner.len()) + self.rdata.len();
        self.generated_bytes = self.generated_bytes.saturating_add(name.len() + text.len() + read);
        Ok(())
    }
}

/// The data as text again. As in BIND, one quoted string is the whole data.
fn template(tokens: &[Token<'_>]) -> Vec<u8> {
    if let [only] = tokens {
        return only.raw.to_vec();
    }
    let mut text = Vec::new();
    for token in tokens {
        if !token.joined && !text.is_empty() {
            text.push(b' ');
        }
        let quote: &[u8] = if token.quoted { b"\"" } else { b"" };
        text.extend_from_slice(quote);
        text.extend_from_slice(token.raw);
        text.extend_from_slice(quote);
    }
    text
}

fn parse_range(text: &[u8]) -> Option<(i64, i64, i64)> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit() || b == b'-' || b == b'/'))?;
    let (range, step) = text.split_once('/').unwrap_or((text, "1"));
    let (start, stop) = range.split_once('-')?;
    let number = |text: &str| text.parse::<u32>().ok().filter(|n| i32::try_from(*n).is_ok()).map(i64::from);
    let (start, stop, step) = (number(start)?, number(stop)?, number(step)?);
    (start <= stop && step > 0).then_some((start, stop, step))
}

const TOO_MUCH: &str = "at most 1000000 generated records and 256 MiB of them in all";

/// Replaces each `$` by `value`; the result has at most `room` octets.
fn expand(template: &[u8], value: i64, room: usize) -> Result<Vec<u8>, &'static str> {
    const MODIFIER: &str = "`${offset,width,base}` with a base of d, o, x, X, n or N";
    let mut out = Vec::new();
    let mut rest = template;
    while let Some((&octet, tail)) = rest.split_first() {
        rest = tail;
        if out.len() > room {
            return Err(TOO_MUCH);
        }
        match (octet, tail) {
            (b'\\', [next, after @ ..]) => {
                out.extend_from_slice(&[octet, *next]);
                rest = after;
            }
            (b'$', [b'$', after @ ..]) => {
                out.extend_from_slice(b"\\$");
                rest = after;
            }
            (b'$', [b'{', after @ ..]) => {
                let end = after.iter().position(|octet| *octet == b'}').ok_or(MODIFIER)?;
                let modifier = std::str::from_utf8(&after[..end]).map_err(|_| MODIFIER)?;
                let (offset, width, base) = parse_modifier(modifier).ok_or(MODIFIER)?;
                out.extend_from_slice(number(value + offset, width, base)?.as_bytes());
                rest = &after[end + 1..];
            }
            (b'$', _) => out.extend_from_slice(value.to_string().as_bytes()),
            _ => out.push(octet),
        }
    }
    if out.len() > room { Err(TOO_MUCH) } else { Ok(out) }
}

fn parse_modifier(text: &str) -> Option<(i64, usize, char)> {
    let mut parts = text.split(',');
    let offset = i64::from(parts.next()?.parse::<i32>().ok()?);
    let width = parts.next().map_or(Some(0), |width| width.parse().ok())?;
    let base = match parts.next() {
        None => 'd',
        Some(base) => "doxXnN".chars().find(|letter| base.len() == 1 && base.starts_with(*letter))?,
    };
    (parts.next().is_none() && width <= GENERATED_WIDTH_MAX).then_some((offset, width, base))
}

fn number(value: i64, width: usize, base: char) -> Result<String, &'static str> {
    let value = u64::try_from(value).map_err(|_| "an offset that leaves no number below 0")?;
    Ok(match base {
        'o' => format!("{value:0width$o}"),
        'x' => format!("{value:0width$x}"),
        'X' => format!("{value:0width$X}"),
        'n' | 'N' => nibbles(value, width, base == 'N'),
        _ => format!("{value:0width$}"),
    })
}

/// Hex digits, lowest first, with dots between them: names below ip6.arpa. The width counts the dots too.
fn nibbles(mut value: u64, mut width: usize, upper: bool) -> String {
    let mut out = String::new();
    loop {
        let digit = char::from_digit((value & 15) as u32, 16).unwrap_or('0');
        out.push(if upper { digit.to_ascii_uppercase() } else { digit });
        value >>= 4;
        width = width.saturating_sub(1);
        if value == 0 && width == 0 {
            return out;
        }
        out.push('.');
        width = width.saturating_sub(1);
        if value == 0 && width == 0 {
            return out;
        }
    }
}
