//! What may stand behind `$` in a rule of an adblock list.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::name::ListName;
use super::{Detail, Reach, Rewrite, SkipReason, Types};
use crate::record::{Name, Rcode, Rtype};

/// A rule without its name, which is in the `ListName` that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) is_exception: bool,
    pub(super) reach: Reach,
    pub(super) is_important: bool,
    pub(super) cancels: bool,
    pub(super) detail: Option<Box<Detail>>,
}

impl Parts {
    /// Of a rule that blocks, and says no more than that.
    pub(super) fn block(reach: Reach) -> Parts {
        Parts { is_exception: false, reach, is_important: false, cancels: false, detail: None }
    }
}

/// All modifiers of one rule. One that is not known makes the rule void.
pub(super) fn read(text: &[u8], parts: &mut Parts) -> Result<(), SkipReason> {
    let text = std::str::from_utf8(text).map_err(|_| SkipReason::Modifier)?;
    let mut detail = Detail::default();
    for modifier in text.split(',') {
        match modifier.split_once('=') {
            None if modifier == "important" => parts.is_important = true,
            None if modifier == "badfilter" => parts.cancels = true,
            Some(("denyallow", names)) => {
                detail.deny_allow = names.split('|').map(name).collect::<Option<_>>().ok_or(SkipReason::Modifier)?
            }
            Some(("dnstype", types)) => detail.types = Some(self::types(types).ok_or(SkipReason::Modifier)?),
            // An exception from a rewrite alone is not an exception from everything.
            Some(("dnsrewrite", to)) if !parts.is_exception => detail.rewrite = Some(rewrite(to).ok_or(SkipReason::NoAnswer)?),
            _ => return Err(SkipReason::Modifier),
        }
    }
    detail.deny_allow.sort_unstable();
    parts.detail = (detail != Detail::default()).then(|| Box::new(detail));
    Ok(())
}

fn name(text: &str) -> Option<Name> {
    let mut name = ListName::new();
    name.read(text.as_bytes()).ok()?;
    Name::from_wire(name.wire()).ok()
}

/// `A|AAAA`, or `~A|~AAAA`: all others.
fn types(text: &str) -> Option<Types> {
    let read = |text: &str| -> Option<Vec<Rtype>> {
        let mut types = text.split('|').map(|word| word.trim_start_matches('~').parse().ok()).collect::<Option<Vec<Rtype>>>()?;
        types.sort_unstable();
        Some(types)
    };
    match text.split('|').filter(|word| word.starts_with('~')).count() {
        0 => read(text).map(Types::Only),
        all if all == text.split('|').count() => read(text).map(Types::AllBut),
        _ => None,
    }
}

/// `NXDOMAIN`, an address, a name, or `NOERROR;TYPE;VALUE`. Letter case does not matter.
fn rewrite(text: &str) -> Option<Rewrite> {
    let mut parts = text.splitn(3, ';');
    match (parts.next()?, parts.next(), parts.next()) {
        (word, None, None) => rcode(word).map(Rewrite::Rcode).or_else(|| address(word)).or_else(|| alias(word)),
        (word, Some(""), Some("")) => rcode(word).map(Rewrite::Rcode),
        (word, Some(rtype), Some(value)) if rcode(word)? == Rcode::NOERROR => match rtype.parse().ok()? {
            Rtype::A => address(value).filter(|_| value.parse::<Ipv4Addr>().is_ok()),
            Rtype::AAAA => address(value).filter(|_| value.parse::<Ipv6Addr>().is_ok()),
            Rtype::CNAME => alias(value),
            _ => None,
        },
        _ => None,
    }
}

fn rcode(word: &str) -> Option<Rcode> {
    let known = [("NOERROR", Rcode::NOERROR), ("NXDOMAIN", Rcode::NXDOMAIN), ("REFUSED", Rcode::REFUSED), ("SERVFAIL", Rcode::SERVFAIL)];
    known.into_iter().find(|(name, _)| word.eq_ignore_ascii_case(name)).map(|(_, rcode)| rcode)
}

fn address(text: &str) -> Option<Rewrite> {
    text.parse::<IpAddr>().ok().map(|address| Rewrite::Addresses(vec![address]))
}

/// A single label is more probably a misspelt response code than a name.
fn alias(text: &str) -> Option<Rewrite> {
    name(text).filter(|name| name.label_count() > 1).map(Rewrite::Alias)
}
