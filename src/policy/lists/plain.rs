//! Lines that are names: plain ones, and those of a hosts file, with an address before them.
//!
//! Both may stand in one list. A comment begins with `#`, `!`, `;` or `//`, where a word begins; `#` may also follow a name directly.
//! Several words of which one is no name with a dot in it are a sentence, and none of them counts; behind an address they are one if
//! two or more of them have no dot, and fewer have one.

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
    let Some(address) = address(first) else {
        return match is_prose(line, name) {
            true => each(Err(SkipReason::Sentence)),
            false => plain(std::iter::once(first).chain(words), matching, name, each),
        };
    };
    let hosts = || before_comment_of_line(words.clone()).filter(|word| !word.is_empty());
    if hosts().next().is_none() {
        return each(Err(SkipReason::Address));
    }
    if is_prose_of_hosts(hosts()) {
        return each(Err(SkipReason::Sentence));
    }
    hosts().for_each(|word| each(host(address, word, name).map(|()| (&*name, Parts::block(Reach::Name)))));
}

/// Several words of which one is no name of two labels or more: a sentence, or a line of another form. The names in it are not meant
/// to be blocked.
fn is_prose(line: &[u8], name: &mut ListName) -> bool {
    let words = || line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let mut is_name = |text: &[u8]| has_dot(text) && name_or_below(text, Reach::Name, name).is_ok();
    words().nth(1).is_some() && before_comment_of_line(words()).any(|word| !word.is_empty() && !is_name(word))
}

/// The machine itself may have names of one label behind an address, beside longer ones. A sentence has more of them: `127.0.0.1 is
/// the address of example.com`.
fn is_prose_of_hosts<'l>(words: impl Iterator<Item = &'l [u8]>) -> bool {
    let (mut short, mut long) = (0, 0);
    for word in words.filter(|word| !is_of_own_machine(word)) {
        *(if has_dot(word) { &mut long } else { &mut short }) += 1;
    }
    short > 1 && short > long
}

fn has_dot(word: &[u8]) -> bool {
    word.strip_suffix(b".").unwrap_or(word).contains(&b'.')
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

/// Does the text begin a comment? Behind a name as on a line of its own.
pub(super) fn is_comment(text: &[u8]) -> bool {
    matches!(text.first(), Some(b'#' | b'!' | b';')) || text.starts_with(b"//")
}

/// The part before a comment, and whether there is one. `#` may follow a name directly.
fn before_comment(word: &[u8]) -> (&[u8], bool) {
    match word.iter().position(|octet| *octet == b'#') {
        _ if is_comment(word) => (&[], true),
        Some(at) => (&word[..at], true),
        None => (word, false),
    }
}

/// The words before the comment of a line.
fn before_comment_of_line<'l>(words: impl Iterator<Item = &'l [u8]>) -> impl Iterator<Item = &'l [u8]> {
    let mut is_over = false;
    words.map_while(move |word| {
        if is_over {
            return None;
        }
        let (text, is_last) = before_comment(word);
        is_over = is_last;
        Some(text)
    })
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
const OWN: [&str; 15] = [
    "localhost",
    "localhost.localdomain",
    "localhost4",
    "localhost4.localdomain4",
    "localhost6",
    "localhost6.localdomain6",
    "local",
    "broadcasthost",
    "ip6-localhost",
    "ip6-loopback",
    "ip6-localnet",
    "ip6-mcastprefix",
    "ip6-allnodes",
    "ip6-allrouters",
    "ip6-allhosts",
];

fn is_of_own_machine(word: &[u8]) -> bool {
    let word = word.strip_suffix(b".").unwrap_or(word);
    OWN.iter().any(|own| word.eq_ignore_ascii_case(own.as_bytes()))
}

fn host(address: IpAddr, word: &[u8], name: &mut ListName) -> Result<(), SkipReason> {
    match name.read(word) {
        _ if is_of_own_machine(word) => Err(SkipReason::OwnMachine),
        // `0.0.0.0 0.0.0.0` stands at the head of many hosts files.
        Err(SkipReason::Address) => Err(SkipReason::OwnMachine),
        Err(reason) => Err(why_no_name(word, reason)),
        Ok(()) if leads_nowhere(address) => Ok(()),
        Ok(()) => Err(SkipReason::GivesAddress),
    }
}

/// Does the address mean that there is no such host?
pub fn leads_nowhere(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_unspecified() || address.is_loopback() || address == Ipv4Addr::BROADCAST,
        IpAddr::V6(address) => address.is_unspecified() || address.is_loopback(),
    }
}

/// An address, perhaps with a zone index (`fe80::1%lo0`), or in a short form that hosts files have (`0`, `127.1`).
fn address(word: &[u8]) -> Option<IpAddr> {
    if !word.first().is_some_and(|octet| octet.is_ascii_hexdigit() || *octet == b':') {
        return None;
    }
    let text = std::str::from_utf8(word).ok()?;
    match word.contains(&b':') {
        true => text.split('%').next()?.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        false if word.iter().any(|octet| !matches!(octet, b'0'..=b'9' | b'.')) => None,
        false => text.parse::<Ipv4Addr>().ok().or_else(|| short_address(text)).map(IpAddr::V4),
    }
}

/// Fewer than four numbers, of which the last fills the rest (inet_aton). Only where this is no host: `1 ads.example` may well be a
/// line with a number.
fn short_address(text: &str) -> Option<Ipv4Addr> {
    let mut numbers = text.split('.').map(|part| part.parse::<u32>().ok()).collect::<Option<Vec<u32>>>()?;
    let (last, count) = (numbers.pop()?, numbers.len());
    let room = 32 - 8 * u32::try_from(count).ok().filter(|count| *count < 3)?;
    let head = numbers.iter().try_fold(0, |head, number| u8::try_from(*number).ok().map(|octet| head << 8 | u32::from(octet)))?;
    let address = u32::try_from(u64::from(head) << room | u64::from(last)).ok().filter(|_| u64::from(last) < 1 << room)?;
    Some(Ipv4Addr::from_bits(address)).filter(|address| address.is_unspecified() || address.is_loopback())
}
