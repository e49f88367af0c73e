//! Lines of unbound.conf: `local-zone:` for a name and all names below it, `local-data:` for a name alone.

use std::net::IpAddr;

use super::modifiers::Parts;
use super::name::ListName;
use super::plain::{Each, leads_nowhere, name_or_below};
use super::{Detail, Reach, Rewrite, SkipReason};

/// Is the line of this form?
pub(super) fn is_statement(line: &[u8]) -> bool {
    // A name may begin with `local-` too.
    [&b"local-zone:"[..], b"local-data:", b"local-data-ptr:", b"local-zone-tag:"].iter().any(|key| line.starts_with(key))
}

/// `server:` stands before the statements.
pub(super) fn is_title(line: &[u8]) -> bool {
    line.starts_with(b"server:")
}

/// Reads one line.
pub(super) fn statement(line: &[u8], name: &mut ListName, each: Each<'_>) {
    let said = line.iter().position(|octet| *octet == b':').and_then(|at| match line[..at].trim_ascii() {
        b"local-zone" => zone(&line[at + 1..]),
        b"local-data" => data(&line[at + 1..]),
        _ => None,
    });
    let Some((text, said)) = said else { return each(Err(SkipReason::Statement)) };
    let reach = name_or_below(text, said.reach, name);
    each(reach.map(|reach| (&*name, Parts { reach, ..said })));
}

/// `"example." always_null`
fn zone(rest: &[u8]) -> Option<(&[u8], Parts)> {
    let rest = rest.split(|octet| *octet == b'#').next()?;
    let mut words = rest.split(|octet| octet.is_ascii_whitespace() || matches!(octet, b'"' | b'\'')).filter(|word| !word.is_empty());
    let (name, kind) = (words.next()?, words.next()?);
    let mut said = Parts::block(Reach::NameAndBelow);
    match kind {
        b"always_null" | b"always_nxdomain" | b"always_refuse" | b"always_nodata" | b"always_deny" | b"static" | b"refuse" | b"deny"
        | b"redirect" | b"inform_deny" | b"inform_redirect" => {}
        b"always_transparent" => said.is_exception = true,
        _ => return None,
    }
    Some((name, said))
}

/// `"example. 3600 IN A 0.0.0.0"`
fn data(rest: &[u8]) -> Option<(&[u8], Parts)> {
    let quote = rest.iter().position(|octet| matches!(octet, b'"' | b'\''))?;
    let record = rest[quote + 1..].split(|octet| *octet == rest[quote]).next()?;
    let mut words = record.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let name = words.next()?;
    let rtype = words.find(|word| !word.eq_ignore_ascii_case(b"in") && !word.iter().all(u8::is_ascii_digit))?;
    if !rtype.eq_ignore_ascii_case(b"a") && !rtype.eq_ignore_ascii_case(b"aaaa") {
        return None;
    }
    let address: IpAddr = std::str::from_utf8(words.next()?).ok()?.parse().ok()?;
    let mut said = Parts::block(Reach::Name);
    if !leads_nowhere(address) {
        said.detail = Some(Box::new(Detail { rewrite: Some(Rewrite::Addresses(vec![address])), ..Detail::default() }));
    }
    Some((name, said))
}
