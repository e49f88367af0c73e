//! Lines that are names: plain ones, and those of a hosts file, with an address before them.
//!
//! Both may stand in one list. A comment begins with `#`, which may follow a name directly.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::modifiers::Parts;
use super::name::ListName;
use super::{Reach, SkipReason};

/// Takes each name of a line with what is said of it, or why it is none.
pub(super) type Each<'e> = &'e mut dyn FnMut(Result<(&ListName, Parts), SkipReason>);

/// Reads the names of one line: each goes to `each`, or why it is none.
pub(super) fn names(line: &[u8], matching: Reach, name: &mut ListName, each: Each<'_>) {
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let Some(first) = words.next() else { return };
    if let Some(address) = address(first) {
        let mut are_none = true;
        for word in words {
            let (word, is_last) = before_comment(word);
            if !word.is_empty() {
                are_none = false;
                each(host(address, word, name).map(|()| (&*name, Parts::block(Reach::Name))));
            }
            if is_last {
                break;
            }
        }
        if are_none {
            each(Err(SkipReason::Address));
        }
        return;
    }
    if !is_prose(line, name) {
        return plain(std::iter::once(first).chain(words), matching, name, each);
    }
    each(Err(SkipReason::NoName));
}

/// Several words of which one is no name of two labels or more: a sentence, or a line of another form. The names in it are not meant
/// to be blocked.
fn is_prose(line: &[u8], name: &mut ListName) -> bool {
    let words = || line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let mut is_over = false;
    words().nth(1).is_some()
        && words().any(|word| {
            let (text, is_last) = before_comment(word);
            let is_behind = is_over;
            is_over |= is_last;
            let mut is_name = || text.strip_suffix(b".").unwrap_or(text).contains(&b'.') && name_or_below(text, Reach::Name, name).is_ok();
            !is_behind && !text.is_empty() && !is_name()
        })
}

/// Names alone.
fn plain<'l>(words: impl Iterator<Item = &'l [u8]>, matching: Reach, name: &mut ListName, each: Each<'_>) {
    for word in words {
        if is_of_page(word) {
            return each(Err(SkipReason::PartOfPage));
        }
        let (word, is_last) = before_comment(word);
        if !word.is_empty() {
            let reach = name_or_below(word, matching, name);
            each(reach.map(|reach| (&*name, Parts::block(reach))));
        }
        if is_last {
            return;
        }
    }
}

/// Reads a name, or `*.` and a name, which is what is below it.
pub(super) fn name_or_below(text: &[u8], reach: Reach, name: &mut ListName) -> Result<Reach, SkipReason> {
    let (text, reach) = match text.strip_prefix(b"*.") {
        Some(parent) => (parent, Reach::Below),
        None => (text, reach),
    };
    name.read(text).map_err(|reason| why_no_name(text, reason))?;
    Ok(reach)
}

/// The part before `#`, and whether there is one.
fn before_comment(word: &[u8]) -> (&[u8], bool) {
    match word.iter().position(|octet| *octet == b'#') {
        Some(at) => (&word[..at], true),
        None => (word, false),
    }
}

/// `example.com##.banner` hides an element of a page; taken as a name with a comment it would block the whole site.
pub(super) fn is_of_page(word: &[u8]) -> bool {
    let Some(at) = word.iter().position(|octet| *octet == b'#').filter(|at| *at > 0) else { return false };
    let rest = &word[at + 1..];
    [&b"#"[..], b"@#", b"?#", b"$#", b"%#", b"@?#", b"@$#", b"@%#"].iter().any(|mark| rest.starts_with(mark))
}

pub(super) fn why_no_name(word: &[u8], reason: SkipReason) -> SkipReason {
    let has = |octet: u8| word.contains(&octet);
    match reason {
        SkipReason::NoName if word.len() > 1 && word.starts_with(b"/") && word.ends_with(b"/") => SkipReason::RegularExpression,
        SkipReason::NoName if has(b'/') => SkipReason::PartOfPage,
        SkipReason::NoName if has(b'*') || has(b'|') || has(b'^') || word.starts_with(b".") => SkipReason::Pattern,
        _ => reason,
    }
}

/// Names that hosts files have for the machine itself.
const OWN: [&str; 10] = [
    "localhost",
    "localhost.localdomain",
    "local",
    "broadcasthost",
    "ip6-localhost",
    "ip6-loopback",
    "ip6-localnet",
    "ip6-mcastprefix",
    "ip6-allnodes",
    "ip6-allrouters",
];

fn host(address: IpAddr, word: &[u8], name: &mut ListName) -> Result<(), SkipReason> {
    let is_own = OWN.iter().chain(&["ip6-allhosts"]).any(|own| word.eq_ignore_ascii_case(own.as_bytes()));
    match name.read(word) {
        _ if is_own => Err(SkipReason::OwnMachine),
        // `0.0.0.0 0.0.0.0` stands at the head of many hosts files.
        Err(SkipReason::Address) => Err(SkipReason::OwnMachine),
        Err(reason) => Err(why_no_name(word, reason)),
        Ok(()) if leads_nowhere(address) => Ok(()),
        Ok(()) => Err(SkipReason::GivesAddress),
    }
}

/// Does the address mean that there is no such host?
pub(super) fn leads_nowhere(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_unspecified() || address.is_loopback() || address == Ipv4Addr::BROADCAST,
        IpAddr::V6(address) => address.is_unspecified() || address.is_loopback(),
    }
}

/// An address, perhaps with a zone index (`fe80::1%lo0`).
fn address(word: &[u8]) -> Option<IpAddr> {
    if !word.first().is_some_and(|octet| octet.is_ascii_hexdigit() || *octet == b':')
        || !word.iter().any(|octet| matches!(octet, b':' | b'.'))
    {
        return None;
    }
    let is_v6 = word.contains(&b':');
    if !is_v6 && word.iter().any(|octet| !matches!(octet, b'0'..=b'9' | b'.')) {
        return None;
    }
    let text = std::str::from_utf8(word).ok()?;
    match is_v6 {
        true => text.split('%').next()?.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        false => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}
