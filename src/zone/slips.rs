//! Slips of the pen: records that are well-formed and cannot be intended. Each is a warning that ends with what to write.

use std::collections::HashSet;
use std::net::IpAddr;

use super::builder::{Entry, ZoneBuilder};
use super::problem::Problems;
use super::shard::{CUT, HIDDEN};
use crate::record::{Name, Rtype, rdata_names, reverse_name, strings};

/// An owner name that cannot be intended: with the zone's name twice, with a `*` inside a label, an address.
pub(super) fn owner(builder: &ZoneBuilder, node: &[Entry], problems: &mut Problems) {
    let (entry, wire) = (&node[0], builder.names.name(node[0].name));
    let own = builder.name_of(entry);
    if let Some(intended) = without_second_apex(builder, wire) {
        problems.warning(entry.place, dot_forgotten(builder, &own, &intended));
    }
    let star = own.labels().find(|label| label.len() > 1 && label.contains(&b'*'));
    if let Some(label) = star.filter(|_| node.iter().any(|entry| !entry.is_sig)) {
        let label = String::from_utf8_lossy(label);
        problems.warning(
            entry.place,
            format!(
                "found `*` inside the label `{label}` of {own}, where it stands for itself only (RFC 4592 2.1.1): write `*` as the whole \
                 first label for all names there"
            ),
        );
    }
    let address = address_in(builder, &written(builder, wire));
    let pointer = node.iter().find(|entry| entry.rtype == Rtype::PTR && !entry.is_sig);
    if let (Some(address), Some(pointer)) = (address, pointer)
        && let Some(reverse) = reverse_name(address).filter(|reverse| *reverse != own)
    {
        problems.warning(
            pointer.place,
            format!("found the address {address} as the owner of PTR, expected its name in the reverse zone: write `{reverse}`"),
        );
    }
}

/// Names in the data that cannot be intended. True where there is one: that it has no address is then no second mistake.
pub(super) fn targets(builder: &ZoneBuilder, entry: &Entry, problems: &mut Problems) -> bool {
    let owner = builder.name_of(entry);
    let mut is_found = false;
    for target in rdata_names(entry.rtype, builder.rdata(entry)) {
        if let (Some(intended), Ok(name)) = (without_second_apex(builder, target), Name::from_wire(target)) {
            problems.warning(entry.place, dot_forgotten(builder, &name, &intended));
            is_found = true;
        }
        if !matches!(entry.rtype, Rtype::CNAME | Rtype::DNAME | Rtype::MX | Rtype::NS | Rtype::SRV | Rtype::PTR) {
            continue;
        }
        let text = written(builder, target);
        if let Some(address) = address_in(builder, &text) {
            let kind = if address.is_ipv4() { Rtype::A } else { Rtype::AAAA };
            let way_out = match entry.rtype {
                Rtype::CNAME => format!("write `{owner} {kind} {address}`"),
                Rtype::PTR => "write the name that has this address".to_owned(),
                _ => format!("write a name, and `{kind} {address}` for that name"),
            };
            problems.warning(
                entry.place,
                format!("found the address {address} as the target of {} of {owner}, expected a name: {way_out}", entry.rtype),
            );
            return true;
        }
        if let Some(host) = host_of_url(&text) {
            let alone = if entry.rtype == Rtype::CNAME { "; only a web server can redirect to a URL" } else { "" };
            problems.warning(
                entry.place,
                format!("found the URL `{text}` as the target of {} of {owner}, expected a name: write `{host}.`{alone}", entry.rtype),
            );
            return true;
        }
    }
    is_found
}

/// A name as it was probably written: without the zone's name, if the reader has added that.
fn written(builder: &ZoneBuilder, wire: &[u8]) -> String {
    let apex = builder.apex.as_wire();
    let front = match wire.len().checked_sub(apex.len()).map(|at| wire.split_at(at)) {
        Some((front, end)) if apex.len() > 1 && end.eq_ignore_ascii_case(apex) => front,
        _ => wire,
    };
    let (mut text, mut rest) = (String::new(), front);
    while let Some((len, after)) = rest.split_first().filter(|(len, _)| **len > 0) {
        let Some((label, next)) = after.split_at_checked(usize::from(*len)) else { break };
        text.extend((!text.is_empty()).then_some('.'));
        text.push_str(&String::from_utf8_lossy(label));
        rest = next;
    }
    text
}

/// In the zone `in-addr.arpa.` itself four numbers are not an IPv4 address but the name that belongs there.
fn address_in(builder: &ZoneBuilder, text: &str) -> Option<IpAddr> {
    let is_reverse_zone = builder.apex.as_wire() == b"\x07in-addr\x04arpa\0";
    text.parse().ok().filter(|address: &IpAddr| address.is_ipv6() || !is_reverse_zone)
}

/// `https://www.example.org/path`: the host, if the text is a URL.
fn host_of_url(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("://")?;
    rest.split(['/', ':', '?', '#']).next().filter(|host| !host.is_empty())
}

/// `www.example.org.example.org.`: the name without the second `example.org.`, which a missing final dot has added. A zone of
/// one label may delegate a name like itself on purpose, such as `com.com.`.
fn without_second_apex(builder: &ZoneBuilder, wire: &[u8]) -> Option<Name> {
    let apex = builder.apex.as_wire();
    let (front, end) = wire.split_at(wire.len().checked_sub(apex.len()).filter(|_| apex.len() > 1)?);
    let intended = Name::from_wire(&[front, &[0]].concat()).ok()?;
    let is_delegated = || builder.closest(wire).is_some_and(|number| builder.has(number, CUT | HIDDEN));
    if builder.apex.label_count() == 1 && is_delegated() {
        return None;
    }
    (end.eq_ignore_ascii_case(apex) && intended.is_within(&builder.apex)).then_some(intended)
}

fn dot_forgotten(builder: &ZoneBuilder, name: &Name, intended: &Name) -> String {
    let (text, apex) = (intended.to_string(), builder.apex.to_string());
    let short = text.strip_suffix(&apex).map_or("@", |front| front.trim_end_matches('.'));
    let short = if short.is_empty() { "@" } else { short };
    format!("found the name {name}, expected a final dot after {}: write `{text}` or `{short}`", text.trim_end_matches('.'))
}

/// Policies in TXT records of which there may be one at a name: RFC 7208 3.2, RFC 7489 6.6.3. Mail servers join the strings of a
/// record without a blank (RFC 7208 3.3).
fn texts(builder: &ZoneBuilder, set: &[Entry], problems: &mut Problems) {
    if set[0].rtype != Rtype::TXT || set[0].is_sig {
        return;
    }
    let name = builder.name_of(&set[0]);
    for (tag, title, document) in [("v=spf1", "SPF", "RFC 7208 3.2"), ("v=DMARC1", "DMARC", "RFC 7489 6.6.3")] {
        let is_policy = |text: &str| {
            text.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag))
                && text[tag.len()..].chars().next().is_none_or(|next| !next.is_alphanumeric())
        };
        let policies: Vec<(&Entry, Vec<String>)> = set
            .iter()
            .map(|entry| (entry, strings(builder.rdata(entry)).map(|text| String::from_utf8_lossy(text).into_owned()).collect::<Vec<_>>()))
            .filter(|(_, strings)| is_policy(&strings.concat()))
            .collect();
        if let [(_, first), (second, other), ..] = &policies[..] {
            let way_out = if title == "SPF" { format!("write `TXT \"{}\"`", one_spf(first, other)) } else { "keep one".to_owned() };
            problems.warning(
                second.place,
                format!("found {} {title} records for {name}, expected one ({document}): {way_out}", policies.len()),
            );
        }
        for (entry, strings) in policies.iter().filter(|_| title == "SPF") {
            let joins = |pair: &[String]| pair[0].len() < 255 && !pair[0].ends_with(' ') && begins_spf_term(&pair[1]);
            if strings.windows(2).any(joins) {
                problems.warning(
                    entry.place,
                    format!(
                        "found an SPF record for {name} whose strings join to \"{}\": write `TXT \"{}\"`",
                        strings.concat(),
                        strings.join(" ")
                    ),
                );
            }
        }
    }
}

/// Whether a string begins with a mechanism or modifier (RFC 7208 4.6.1); one that does not may continue a word.
fn begins_spf_term(text: &str) -> bool {
    let word = text.trim_start_matches(['+', '-', '~', '?']).split([' ', ':', '/', '=']).next().unwrap_or_default();
    ["all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists", "redirect", "exp"].iter().any(|term| word.eq_ignore_ascii_case(term))
}

/// One policy with the mechanisms of both, and the `all` of the second.
fn one_spf(first: &[String], other: &[String]) -> String {
    let words = |strings: &[String]| -> Vec<String> { strings.concat().split_whitespace().skip(1).map(str::to_owned).collect() };
    let is_all = |word: &&String| word.trim_start_matches(['+', '-', '~', '?']).eq_ignore_ascii_case("all");
    let (first, other) = (words(first), words(other));
    let all = other.iter().chain(&first).find(is_all);
    let mut seen = HashSet::new();
    let mut joined = vec!["v=spf1"];
    joined.extend(first.iter().chain(&other).filter(|word| !is_all(word)).map(String::as_str).filter(|word| seen.insert(*word)));
    joined.extend(all.map(String::as_str));
    joined.join(" ")
}

/// Data of an RRset that cannot be intended.
pub(super) fn data(builder: &ZoneBuilder, set: &[Entry], problems: &mut Problems) {
    texts(builder, set, problems);
    for entry in set.iter().filter(|entry| !entry.is_sig) {
        let rdata = builder.rdata(entry);
        match entry.rtype {
            Rtype::SOA => {
                // RFC 1035 8: the first label is the part before the `@` of the mail address.
                let mailbox = rdata_names(entry.rtype, rdata).nth(1).unwrap_or_default();
                let first = mailbox.split_first().and_then(|(len, rest)| rest.get(..usize::from(*len))).unwrap_or_default();
                if first.contains(&b'@')
                    && let Ok(name) = Name::from_wire(mailbox)
                {
                    problems.warning(entry.place, format!("found `@` in the mailbox {name}, expected a dot in its place"));
                }
            }
            Rtype::NAPTR => naptr(builder, entry, rdata, problems),
            _ => {}
        }
    }
}

/// RFC 3403 4.1: either REGEXP or REPLACEMENT; RFC 3402 3.2: the form of REGEXP.
fn naptr(builder: &ZoneBuilder, entry: &Entry, rdata: &[u8], problems: &mut Problems) {
    let string = |rest: &[u8]| {
        rest.split_first().and_then(|(len, rest)| rest.split_at_checked(usize::from(*len))).map(|(a, b)| (a.to_vec(), b.len()))
    };
    let mut rest = rdata.get(4..).unwrap_or_default();
    let mut last = Vec::new();
    for _ in 0..3 {
        let Some((text, left)) = string(rest) else { return };
        (last, rest) = (text, &rest[rest.len() - left..]);
    }
    let Some((delimiter, expression)) = last.split_first() else { return };
    let name = builder.name_of(entry);
    if rest != [0] {
        problems.warning(entry.place, format!("found both a regular expression and a replacement for {name} NAPTR, expected one of them"));
    }
    let escaped = |at: usize| expression[..at].iter().rev().take_while(|octet| **octet == b'\\').count() % 2 == 1;
    let delimiters = (0..expression.len()).filter(|at| expression[*at] == *delimiter && !escaped(*at)).count();
    if delimiters != 2 || delimiter.is_ascii_digit() || *delimiter == b'i' {
        problems.warning(entry.place, format!("found no substitution for {name} NAPTR, expected one as `!^.*$!sip:info@example.org!`"));
    }
}
