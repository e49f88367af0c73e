//! Every reply is exactly one of a few kinds before anything acts on it (RFC 1034 5.3.3, RFC 2308 2,
//! RFC 4697 2 on lame servers). Only what `scrub` let through is looked at.

use crate::record::{Rcode, Rtype};
use crate::resolve::reply::expected::Expected;
use crate::resolve::reply::scrub::Scrubbed;
use crate::wire::{Flags, Header};

/// The kind of a reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The records asked for, perhaps at the end of aliases.
    Answer,
    /// Aliases that lead out of what this reply can answer.
    Alias,
    Referral,
    NoData,
    NxDomain,
    /// NOERROR without records: it proves nothing, and is used only when no server has a better reply.
    Empty,
    /// Not authoritative for the zone: refers upwards, or to the same zone.
    Lame,
    /// A recursive server's answer from its cache, where an authority was expected.
    RecursionLame,
    Refused,
    ServFail,
    /// FORMERR, NOTIMP or BADVERS to a query with EDNS: the server may reply to one without (RFC 6891 7).
    NeedsPlainDns,
    /// BADCOOKIE: the server wants the cookie that this reply carries (RFC 7873 5.2.3).
    NewCookie,
    Broken,
}

/// Decides from header, response code and believed records alone.
pub fn classify(header: Header, rcode: Rcode, content: &Scrubbed, expected: &Expected<'_>) -> Kind {
    let authoritative = header.flags.has(Flags::AA);
    let recursion_lame = !expected.recursive && !authoritative && header.flags.has(Flags::RA);
    match rcode {
        Rcode::NOERROR | Rcode::NXDOMAIN => {}
        // RFC 6672 2.2: the name that a DNAME makes is too long. The alias itself is still data.
        Rcode::YXDOMAIN if content.answer.first().is_some_and(|set| set.rtype == Rtype::DNAME) => {}
        Rcode::SERVFAIL => return Kind::ServFail,
        Rcode::REFUSED | Rcode::NOTAUTH => return Kind::Refused,
        Rcode::FORMERR | Rcode::NOTIMP | Rcode::BADVERS if expected.with_edns => return Kind::NeedsPlainDns,
        Rcode::BADCOOKIE if expected.with_edns => return Kind::NewCookie,
        _ => return Kind::Broken,
    }
    if !content.answer.is_empty() {
        if recursion_lame {
            return Kind::RecursionLame;
        }
        return if content.answered { Kind::Answer } else { Kind::Alias };
    }
    if rcode == Rcode::NXDOMAIN {
        return if recursion_lame { Kind::RecursionLame } else { Kind::NxDomain };
    }
    let shows_delegation = content.referral.is_some() && content.soa.is_none();
    if shows_delegation && !expected.recursive {
        return Kind::Referral;
    }
    if let Some(soa) = &content.soa {
        // Only the parent is authoritative for DS: an SOA of the same name comes from the child (RFC 4035 3.1.4.1).
        let child_side = expected.question.rtype == Rtype::DS && soa.name == expected.question.name && !soa.name.is_root();
        return if child_side && !expected.recursive { Kind::Lame } else { Kind::NoData };
    }
    // RFC 2308 2.2: a denial may carry NS records without an SOA. In a reply of a resolver, which sets RA, NS records of the
    // rule's zone or of zones below are no referral. NS records of a zone above mean that it does not know the rule's zone.
    let is_resolver = expected.recursive && header.flags.has(Flags::RA);
    let refers_elsewhere = (shows_delegation || content.refers_to_itself) && !is_resolver;
    if refers_elsewhere || content.refers_up {
        return Kind::Lame;
    }
    if recursion_lame { Kind::RecursionLame } else { Kind::Empty }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Class, Name, Question, RrSet, rdata_from_text};
    use crate::resolve::reply::scrub::scrub;
    use crate::wire::{Message, Section, Writer};

    fn name(text: &str) -> Name {
        Name::parse(text).expect(text)
    }

    /// A reply from lines such as `+ www.example. A 192.0.2.1`: `+` answer, `?` authority, `!` additional.
    fn reply(flags: u16, question: &Question, lines: &[&str]) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), 65_535);
        writer.header(Header { id: 1, flags: Flags(Flags::QR | flags), counts: [0; 4] });
        writer.question(question).expect("room");
        for line in lines {
            let mut words = line.splitn(4, ' ');
            let section = match words.next() {
                Some("+") => Section::Answer,
                Some("?") => Section::Authority,
                _ => Section::Additional,
            };
            let owner = name(words.next().expect("owner"));
            let rtype: Rtype = words.next().expect("type").parse().expect("type");
            let rdata = rdata_from_text(rtype, words.next().expect("data"), Name::root().as_wire()).expect(line);
            writer.record(section, &owner, rtype, Class::IN, 60, &rdata).expect("room");
        }
        writer.finish()
    }

    /// What is kept of a reply by a server of `zone`, in one line, and what kind it is.
    fn kept(zone: &str, question: &str, flags: u16, lines: &[&str]) -> (Kind, String) {
        kept_from(false, zone, question, flags, lines)
    }

    /// The same of a reply by a forwarder for `zone`, where it is `recursive`.
    fn kept_from(recursive: bool, zone: &str, question: &str, flags: u16, lines: &[&str]) -> (Kind, String) {
        let (qname, qtype) = question.split_once(' ').expect("name and type");
        let question = Question::new(name(qname), qtype.parse().expect("type"));
        let zone = name(zone);
        let bytes = reply(flags, &question, lines);
        let message = Message::parse(&bytes).expect("own message");
        let expected = Expected { zone: &zone, question: &question, recursive, with_edns: true };
        let content = scrub(&message, &expected);
        let kind = classify(message.header(), Rcode(message.header().flags.rcode()), &content, &expected);
        let show = |mark: &str, set: &RrSet| format!("{mark}{} {}", set.name, set.rtype);
        let mut out: Vec<String> = content.answer.iter().map(|set| show("", set)).collect();
        out.extend(content.soa.iter().map(|set| show("soa:", set)));
        out.extend(content.proof.iter().map(|set| show("proof:", set)));
        out.extend(content.referral.iter().map(|set| show("cut:", set)));
        out.extend(content.ds.iter().map(|set| show("ds:", set)));
        out.extend(content.glue.iter().map(|set| show("glue:", set)));
        out.extend(content.hints.iter().map(|set| show("hint:", set)));
        (kind, out.join(", "))
    }

    const AA: u16 = Flags::AA;
    const NX: u16 = Flags::AA | 3;
    const SOA: &str = "? example. SOA ns.example. admin.example. 1 2 3 4 5";

    #[test]
    fn what_is_believed_of_a_reply() {
        type Row = (&'static str, &'static str, u16, &'static [&'static str], Kind, &'static str);
        let rows: &[Row] = &[
            ("example.", "www.example. A", AA, &["+ www.example. A 192.0.2.1"], Kind::Answer, "www.example. A"),
            // Only the alias itself; what it leads to is asked for at its own servers.
            (
                "example.",
                "www.example. A",
                AA,
                &["+ www.example. CNAME host.example.", "+ host.example. A 192.0.2.1"],
                Kind::Alias,
                "www.example. CNAME",
            ),
            ("example.", "www.example. CNAME", AA, &["+ www.example. CNAME host.example."], Kind::Answer, "www.example. CNAME"),
            (
                "example.",
                "a.old.example. A",
                AA,
                &["+ old.example. DNAME new.test.", "+ a.old.example. CNAME a.new.test."],
                Kind::Alias,
                "old.example. DNAME",
            ),
            // The alias itself was asked for: it is made from the DNAME all the same.
            (
                "example.",
                "a.old.example. CNAME",
                AA,
                &["+ old.example. DNAME new.test.", "+ a.old.example. CNAME a.new.test."],
                Kind::Alias,
                "old.example. DNAME",
            ),
            (
                "example.",
                "a.old.example. ANY",
                AA,
                &["+ old.example. DNAME new.test.", "+ a.old.example. CNAME a.new.test."],
                Kind::Alias,
                "old.example. DNAME",
            ),
            (
                "example.",
                "www.example. A",
                AA,
                &["+ www.example. CNAME example.", SOA],
                Kind::Alias,
                "www.example. CNAME, soa:example. SOA",
            ),
            ("example.", "www.example. A", AA, &["+ www.example. A 192.0.2.1", SOA], Kind::Answer, "www.example. A"),
            // Records of other names, other types, and of a zone that is not the server's.
            ("example.", "www.example. A", AA, &["+ www.victim. A 192.0.2.6", SOA], Kind::NoData, "soa:example. SOA"),
            ("example.", "www.example. AAAA", AA, &["+ www.example. A 192.0.2.6"], Kind::Empty, ""),
            ("example.", "a.test. A", AA, &["+ test. DNAME example."], Kind::Empty, ""),
            // Denials.
            ("example.", "no.example. A", NX, &[SOA], Kind::NxDomain, "soa:example. SOA"),
            ("example.", "no.example. A", NX, &["? victim. SOA ns.victim. a.victim. 1 2 3 4 5"], Kind::NxDomain, ""),
            // Referrals: downwards, on the way, with the addresses that the parent may speak of.
            (
                "example.",
                "www.sub.example. A",
                0,
                &["? sub.example. NS ns.sub.example.", "? sub.example. DS 1 8 2 00", "! ns.sub.example. A 192.0.2.1"],
                Kind::Referral,
                "cut:sub.example. NS, ds:sub.example. DS, glue:ns.sub.example. A",
            ),
            (
                "example.",
                "www.sub.example. A",
                0,
                &["? sub.example. NS ns.victim.", "! ns.victim. A 192.0.2.6", "! www.victim. A 192.0.2.6"],
                Kind::Referral,
                "cut:sub.example. NS, hint:ns.victim. A",
            ),
            ("example.", "www.sub.example. A", 0, &["? other.example. NS ns.example."], Kind::Empty, ""),
            ("example.", "www.sub.example. A", 0, &["? example. NS ns.example."], Kind::Lame, ""),
            ("example.", "www.sub.example. A", AA, &["? . NS a.root-servers.net."], Kind::Lame, ""),
            // DS is asked of the zone above the cut: a referral to the cut itself is not on the way.
            ("example.", "sub.example. DS", 0, &["? sub.example. NS ns.sub.example."], Kind::Empty, ""),
            // NS beside an answer, with an address to go with it, would move the zone (the answer stays good).
            (
                "example.",
                "www.example. A",
                AA,
                &["+ www.example. A 192.0.2.1", "? example. NS ns.example.", "! ns.example. A 192.0.2.6"],
                Kind::Answer,
                "www.example. A",
            ),
            // A resolver's cache where an authority was expected.
            ("example.", "www.example. A", Flags::RA, &["+ www.example. A 192.0.2.1"], Kind::RecursionLame, "www.example. A"),
        ];
        for (zone, question, flags, lines, kind, what) in rows {
            assert_eq!(kept(zone, question, *flags, lines), (*kind, what.to_string()), "{question} from {zone}: {lines:?}");
        }
    }

    #[test]
    fn what_is_believed_of_a_forwarders_reply() {
        type Row = (&'static str, &'static str, u16, &'static [&'static str], Kind, &'static str);
        const RA: u16 = Flags::RA;
        const ABOVE: &str = "? example. NSEC z.example. SOA";
        const CUT: &str = "? sub.example. NS ns.sub.example.";
        let rows: &[Row] = &[
            // The zone above denies the name of the rule, with its proof.
            ("corp.example.", "a.corp.example. A", RA | 3, &[SOA, ABOVE], Kind::NxDomain, "soa:example. SOA, proof:example. NSEC"),
            ("corp.example.", "corp.example. A", RA, &[ABOVE, SOA], Kind::NoData, "soa:example. SOA, proof:example. NSEC"),
            // Without that zone's SOA its records have nothing to do with the question.
            ("corp.example.", "a.corp.example. A", RA | 3, &[ABOVE], Kind::NxDomain, ""),
            ("corp.example.", "a.corp.example. A", RA | 3, &["? other. SOA . . 1 2 3 4 5", ABOVE], Kind::NxDomain, ""),
            ("corp.example.", "a.corp.example. A", RA, &["+ a.corp.example. A 192.0.2.1", SOA], Kind::Answer, "a.corp.example. A"),
            // RFC 2308 2.2.
            ("example.", "a.sub.example. A", RA, &[CUT], Kind::Empty, "cut:sub.example. NS"),
            ("example.", "sub.example. A", RA, &[CUT], Kind::Empty, "cut:sub.example. NS"),
            ("sub.example.", "a.sub.example. A", RA, &[CUT], Kind::Empty, ""),
            ("a.sub.example.", "a.sub.example. A", RA, &[CUT], Kind::Lame, ""),
            ("example.", "a.sub.example. A", 0, &[CUT], Kind::Lame, "cut:sub.example. NS"),
            ("sub.example.", "a.sub.example. A", 0, &[CUT], Kind::Lame, ""),
            ("example.", "a.sub.example. A", RA, &[CUT, SOA], Kind::NoData, "soa:example. SOA, cut:sub.example. NS"),
        ];
        for (zone, question, flags, lines, kind, what) in rows {
            assert_eq!(kept_from(true, zone, question, *flags, lines), (*kind, what.to_string()), "{question} for {zone}: {lines:?}");
        }
        let (kind, what) = kept("corp.example.", "a.corp.example. A", NX, &[SOA, ABOVE]);
        assert_eq!((kind, what.as_str()), (Kind::NxDomain, ""), "an authority speaks for its own zone");
    }

    #[test]
    fn kinds_by_response_code() {
        let plain = |rcode: u16| kept("example.", "www.example. A", rcode, &[]).0;
        assert_eq!([2, 5, 1, 4, 7].map(plain), [Kind::ServFail, Kind::Refused, Kind::NeedsPlainDns, Kind::NeedsPlainDns, Kind::Broken]);
    }
}
