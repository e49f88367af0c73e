//! $ORIGIN and $INCLUDE (RFC 1035 5.1), $TTL (RFC 2308 4), and $DATE, which is ignored.

use super::super::problem::Place;
use super::parser::{Parser, end_of_entry};
use crate::config::nearest;
use crate::limits::zone::INCLUDE_DEPTH_MAX;
use crate::record::{TextError, Token, parse_duration};

impl Parser<'_> {
    pub(super) fn directive(&mut self, tokens: &[Token<'_>], place: Place, depth: usize) -> Result<(), TextError> {
        let (name, arguments) = (&tokens[0], &tokens[1..]);
        let at_most = |count: usize| match arguments.get(count) {
            Some(extra) => Err(TextError::at(extra, "the end of the line")),
            None => Ok(()),
        };
        if name.is("$ORIGIN") {
            at_most(1)?;
            let origin = arguments.first().ok_or_else(|| end_of_entry(tokens, "a domain name"))?;
            self.origin = self.name(origin)?.to_vec();
        } else if name.is("$TTL") {
            at_most(1)?;
            let token = arguments.first().ok_or_else(|| end_of_entry(tokens, "a TTL as 3600 or 1h30m"))?;
            let ttl = parse_duration(token.raw).filter(|_| !token.quoted);
            let ttl = ttl.ok_or_else(|| TextError::at(token, "a TTL as 3600 or 1h30m"))?;
            self.default_ttl = Some(self.bounded_ttl(ttl, place));
        } else if name.is("$INCLUDE") {
            at_most(2)?;
            self.include(tokens, depth)?;
        } else if name.is("$GENERATE") {
            self.generate(tokens, place)?;
        } else if name.is("$DATE") {
            // BIND writes the time of a dump in this form; it says nothing about the zone.
            at_most(1)?;
        } else {
            let near =
                std::str::from_utf8(name.raw).ok().and_then(|written| nearest(written, &["$ORIGIN", "$TTL", "$INCLUDE", "$GENERATE"]));
            let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            return Err(TextError::at(name, format!("$ORIGIN, $TTL, $INCLUDE or $GENERATE{hint}")));
        }
        Ok(())
    }

    /// RFC 1035 5.1: after the included file, origin and owner are what they were before it.
    fn include(&mut self, tokens: &[Token<'_>], depth: usize) -> Result<(), TextError> {
        let file = tokens.get(1).ok_or_else(|| end_of_entry(tokens, "a file name"))?;
        let inner_origin = tokens.get(2).map(|origin| self.name(origin)).transpose()?;
        if depth >= INCLUDE_DEPTH_MAX {
            return Err(TextError::at(file, "at most 10 files inside one another (does this one include itself?)"));
        }
        let path = std::str::from_utf8(file.raw).map_err(|_| TextError::at(file, "a file name in UTF-8"))?;
        let text = self.read(path).map_err(|error| TextError::at(file, format!("a file that can be included, but {error}")))?;
        let number = self.problems.add_file(path).ok_or_else(|| TextError::at(file, "at most 65535 included files"))?;
        let outer = (self.origin.clone(), self.owner.clone());
        if let Some(origin) = inner_origin {
            self.origin = origin.to_vec();
        }
        self.entries(&text, number, depth + 1);
        (self.origin, self.owner) = outer;
        Ok(())
    }
}
