//! Lines of adblock lists, as AdGuard Home reads them for DNS: `||name^` with or without `@@` before it and modifiers behind it.
//!
//! What a line means here is never more than what its author meant: a rule with a modifier that is not known, or for less than a
//! whole name, has no effect at all. `||ga^$domain=~a.example`, without the modifier, would block all of `ga`.

use super::modifiers::{self, Parts};
use super::name::ListName;
use super::plain::{is_comment, is_of_page, name_or_below, why_no_name};
use super::{Reach, SkipReason};

/// Does the line have a sign that only adblock lists have? If not, it has plain names.
pub(super) fn is_rule(line: &[u8]) -> bool {
    let word = line.split(|octet| octet.is_ascii_whitespace()).next().unwrap_or_default();
    let before_comment = word.split(|octet| *octet == b'#').next().unwrap_or_default();
    word.starts_with(b"@@") || word.starts_with(b"/") || before_comment.iter().any(|octet| matches!(octet, b'|' | b'^' | b'$'))
}

/// Reads a line that is a rule.
pub(super) fn rule(line: &[u8], matching: Reach, name: &mut ListName) -> Result<Parts, SkipReason> {
    let (is_exception, rule) = match line.strip_prefix(b"@@") {
        Some(rule) => (true, rule),
        None => (false, line),
    };
    if rule.starts_with(b"/") {
        // Its own text may contain any sign.
        let is_expression = rule.len() > 1 && (rule.ends_with(b"/") || rule.windows(2).any(|two| two == b"/$"));
        return Err(if is_expression { SkipReason::RegularExpression } else { SkipReason::PartOfPage });
    }
    let (rule, comment) = match rule.iter().position(u8::is_ascii_whitespace) {
        Some(at) => rule.split_at(at),
        None => (rule, &[][..]),
    };
    if is_of_page(rule) || rule.windows(2).any(|two| two == b"$$") {
        return Err(SkipReason::PartOfPage);
    }
    let comment = comment.trim_ascii_start();
    if !comment.is_empty() && !is_comment(comment) {
        return Err(SkipReason::Pattern);
    }
    let (pattern, modifiers) = match rule.iter().position(|octet| *octet == b'$') {
        Some(at) => (&rule[..at], Some(&rule[at + 1..])),
        None => (rule, None),
    };
    let reach = pattern_reach(pattern, matching, name)?;
    let mut parts = Parts { is_exception, ..Parts::block(reach) };
    if let Some(modifiers) = modifiers {
        modifiers::read(modifiers, &mut parts)?;
    }
    Ok(parts)
}

/// Puts the pattern's name into `name`.
fn pattern_reach(pattern: &[u8], matching: Reach, name: &mut ListName) -> Result<Reach, SkipReason> {
    let (text, reach) = match pattern.strip_prefix(b"||") {
        // Without an end it would match longer names too: `||example.co` means example.com as well.
        Some(rest) => (without_end(rest).ok_or_else(|| why_no_name(rest, SkipReason::Pattern))?, Reach::NameAndBelow),
        None => match pattern.strip_prefix(b"|") {
            Some(rest) => (without_end(rest).ok_or_else(|| why_no_name(rest, SkipReason::Pattern))?, Reach::Name),
            None => (pattern, matching),
        },
    };
    name_or_below(text, reach, name)
}

fn without_end(pattern: &[u8]) -> Option<&[u8]> {
    [&b"^|"[..], b"^", b"|"].iter().find_map(|end| pattern.strip_suffix(*end))
}
