//! Lines of dnsmasq.conf: `address=/name/`, `local=/name/`, `server=/name/`, each for the names and all names below them.

use std::net::IpAddr;

use super::modifiers::Parts;
use super::name::ListName;
use super::plain::{Each, is_comment, leads_nowhere, name_or_below};
use super::{Detail, Reach, Rewrite, SkipReason};

/// Is the line of this form?
pub(super) fn is_statement(line: &[u8]) -> bool {
    [&b"address="[..], b"local=", b"server=", b"host-record=", b"conf-file="].iter().any(|key| line.starts_with(key))
}

/// Reads one line.
pub(super) fn statement(line: &[u8], name: &mut ListName, each: Each<'_>) {
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let word = words.next().unwrap_or_default();
    if words.next().is_some_and(|next| !is_comment(next)) {
        return each(Err(SkipReason::Statement));
    }
    let parts = word.iter().position(|octet| *octet == b'=').map(|at| (&word[..at], &word[at + 1..]));
    let Some((key, value)) = parts else { return each(Err(SkipReason::Statement)) };
    let Some((names, last)) =
        value.strip_prefix(b"/").and_then(|rest| rest.iter().rposition(|octet| *octet == b'/').map(|at| (&rest[..at], &rest[at + 1..])))
    else {
        return each(Err(SkipReason::Statement));
    };
    let address = || std::str::from_utf8(last).ok()?.parse::<IpAddr>().ok();
    let mut said = Parts::block(Reach::NameAndBelow);
    match (key, last) {
        (b"address" | b"local" | b"server", b"") | (b"address", b"#") => {}
        (b"server", b"#") => said.is_exception = true,
        (b"address", _) => match address() {
            Some(address) if leads_nowhere(address) => {}
            Some(address) => said.detail = Some(Box::new(Detail { rewrite: Some(Rewrite::Addresses(vec![address])), ..Detail::default() })),
            None => return each(Err(SkipReason::Statement)),
        },
        _ => return each(Err(SkipReason::Statement)),
    }
    for text in names.split(|octet| *octet == b'/') {
        let reach = name_or_below(text, Reach::NameAndBelow, name);
        each(reach.map(|reach| (&*name, Parts { reach, ..said.clone() })));
    }
}
