//! What of a reply may be believed: records of class IN, inside the bailiwick of the server that sent them,
//! and relevant to the question (RFC 2181 5.4.1, RFC 5452 6). Everything else is dropped and counted.
//!
//! - answer: what the question's name has, or the alias that it is; what the alias leads to inside the same zone is
//!   set apart, and `in_passing` says what it counts for;
//! - authority: SOA and proofs of the zone, or one delegation downwards;
//! - additional: addresses of the servers that the kept NS set names, and only inside the bailiwick.

use crate::record::{Class, Name, RrSet, Rtype};
use crate::resolve::reply::classify::Expected;
use crate::wire::{Flags, Message, Section};

/// More sets than any honest reply holds; what comes after them is dropped.
const SETS_MAX: usize = 200;
/// Most records' data fit.
const RDATA_BYTES: usize = 256;

#[derive(Debug, Default)]
pub struct Scrubbed {
    /// What was asked for (several sets only for ANY), or the alias that stands in its place.
    pub answer: Vec<RrSet>,
    /// Where `answer` is an alias: the sets that it leads to, link by link, as long as they stay in the zone.
    pub beyond: Vec<RrSet>,
    /// `answer` is of the type asked for, not an alias.
    pub answered: bool,
    /// Of a denial; beside an alias, of what it leads to.
    pub soa: Option<RrSet>,
    /// NSEC and NSEC3 sets, with their signatures.
    pub proof: Vec<RrSet>,
    /// NS set of a cut below the zone, on the way to the question's name.
    pub referral: Option<RrSet>,
    pub ds: Option<RrSet>,
    pub glue: Vec<RrSet>,
    /// Addresses that the parent gives for servers outside its bailiwick. They may serve to reach the servers of
    /// this one delegation, over which the parent has all power anyway; they are never cached.
    pub hints: Vec<RrSet>,
    /// NS of a zone above, or of the zone itself without AA, stood where a referral was expected.
    pub refers_up: bool,
    /// The zone's own NS set beside an answer.
    pub own_servers: Option<RrSet>,
    /// Records that were not believed.
    pub dropped: usize,
}

pub fn scrub(message: &Message<'_>, expected: &Expected<'_>) -> Scrubbed {
    let mut out = Scrubbed::default();
    let qtype = expected.question.rtype;
    let mut rdata = Vec::with_capacity(RDATA_BYTES);
    let answer = collect(message, Section::Answer, qtype == Rtype::RRSIG, &mut rdata, &mut out.dropped);
    first_link(answer, expected, &mut out);
    let authority = collect(message, Section::Authority, false, &mut rdata, &mut out.dropped);
    keep_authority(authority, expected, message.header().flags, &mut out);
    let additional = collect(message, Section::Additional, false, &mut rdata, &mut out.dropped);
    keep_glue(additional, expected, &mut out);
    out
}

/// Groups a section's records into sets; signatures go with what they cover.
fn collect(message: &Message<'_>, section: Section, signatures_are_data: bool, rdata: &mut Vec<u8>, dropped: &mut usize) -> Vec<RrSet> {
    let mut sets: Vec<RrSet> = Vec::new();
    let mut signatures: Vec<(Name, Rtype, u32, Vec<u8>)> = Vec::new();
    let mut last: Option<(u16, Name)> = None;
    for record in message.records(section) {
        let rtype = record.rtype();
        if record.class() != Class::IN || (rtype.is_meta() && rtype != Rtype::NXNAME) {
            *dropped += 1;
            continue;
        }
        let owner = match &last {
            Some((offset, name)) if *offset == record.owner_offset() => name.clone(),
            _ => match record.owner() {
                Ok(name) => name,
                Err(_) => {
                    *dropped += 1;
                    continue;
                }
            },
        };
        last = Some((record.owner_offset(), owner.clone()));
        rdata.clear();
        if record.expand_rdata(rdata).is_err() {
            *dropped += 1;
            continue;
        }
        if rtype == Rtype::RRSIG && !signatures_are_data {
            match rdata.first_chunk::<2>() {
                Some(covered) if signatures.len() < SETS_MAX => {
                    signatures.push((owner, Rtype(u16::from_be_bytes(*covered)), record.ttl(), rdata.clone()));
                }
                _ => *dropped += 1,
            }
            continue;
        }
        match sets.iter().rposition(|set| set.rtype == rtype && set.name == owner) {
            Some(at) => {
                sets[at].ttl = sets[at].ttl.min(record.ttl());
                sets[at].data.push(rdata);
            }
            None if sets.len() < SETS_MAX => sets.push(RrSet::with(owner, rtype, record.ttl(), rdata)),
            None => *dropped += 1,
        }
    }
    for set in &mut sets {
        set.data.dedup();
    }
    for (owner, covered, ttl, rdata) in signatures {
        match sets.iter_mut().find(|set| set.rtype == covered && set.name == owner) {
            Some(set) => {
                set.ttl = set.ttl.min(ttl);
                set.sigs.push_new(&rdata);
            }
            None => *dropped += 1,
        }
    }
    sets
}

/// The one link of the chain that the question's own name is: what was asked for, or the alias there. Only the first
/// owner's records are authoritative (RFC 2181 5.4.1); a target outside the zone is asked for at its own servers. A
/// CNAME that a DNAME explains is made by us, and is so even where it was asked for: it has no signature (RFC 6672 5.3.1).
fn first_link(mut sets: Vec<RrSet>, expected: &Expected<'_>, out: &mut Scrubbed) {
    let (name, qtype) = (&expected.question.name, expected.question.rtype);
    let at_name = |set: &RrSet, rtype: Rtype| set.name == *name && set.rtype == rtype;
    let dname = sets.iter().position(|set| is_dname_above(set, name, expected.zone));
    let is_made = |set: &RrSet| dname.is_some() && set.rtype == Rtype::CNAME && set.sigs.is_empty();
    if qtype == Rtype::ANY && sets.iter().any(|set| set.name == *name && !is_made(set)) {
        out.answer.extend(sets.extract_if(.., |set| set.name == *name));
        out.answered = true;
    } else if let Some(at) = sets.iter().position(|set| at_name(set, qtype) && !is_made(set)) {
        out.answer.push(sets.swap_remove(at));
        out.answered = true;
    } else if let Some(at) = dname {
        out.answer.push(sets.swap_remove(at));
    } else if let Some(at) = sets.iter().position(|set| at_name(set, Rtype::CNAME)) {
        let mut set = sets.swap_remove(at);
        // RFC 2181 10.1: one CNAME a name. The first one is as good as any.
        set.data = set.data.iter().take(1).collect();
        follow_inside(&mut sets, set.target(), expected, &mut out.beyond);
        out.answer.push(set);
    }
    out.dropped += sets.iter().map(|set| set.data.len()).sum::<usize>();
}

/// Takes the rest of a chain. Each set is taken once, so a circle of aliases ends.
fn follow_inside(sets: &mut Vec<RrSet>, target: Option<Name>, expected: &Expected<'_>, beyond: &mut Vec<RrSet>) {
    let mut next = target.filter(|_| expected.question.rtype != Rtype::DS);
    while let Some(name) = next.filter(|name| name.is_within(expected.zone)) {
        let find = |rtype| sets.iter().position(|set| set.name == name && set.rtype == rtype);
        let Some(at) = find(expected.question.rtype).or_else(|| find(Rtype::CNAME)) else { return };
        let mut set = sets.swap_remove(at);
        next = None;
        if set.rtype == Rtype::CNAME && expected.question.rtype != Rtype::CNAME {
            set.data = set.data.iter().take(1).collect();
            next = set.target();
        }
        beyond.push(set);
    }
}

fn is_dname_above(set: &RrSet, name: &Name, zone: &Name) -> bool {
    set.rtype == Rtype::DNAME && name.is_below(&set.name) && set.name.is_within(zone)
}

fn keep_authority(sets: Vec<RrSet>, expected: &Expected<'_>, flags: Flags, out: &mut Scrubbed) {
    let mut ds: Vec<RrSet> = Vec::new();
    let above = relayed_from_above(&sets, expected);
    for set in sets {
        let in_zone = set.name.is_within(above.as_ref().unwrap_or(expected.zone));
        match set.rtype {
            Rtype::SOA if in_zone && expected.question.name.is_within(&set.name) && out.soa.is_none() && !out.answered => {
                out.soa = Some(set);
            }
            Rtype::NSEC | Rtype::NSEC3 if in_zone => out.proof.push(set),
            Rtype::DS if in_zone && set.name.is_below(expected.zone) => ds.push(set),
            // Nobody asked for it, and forged it would move the whole zone: it may only add servers where those that
            // the parent names have failed.
            Rtype::NS if set.name == *expected.zone && flags.has(Flags::AA) => {
                out.own_servers = Some(set).filter(|_| !out.answer.is_empty() && !expected.recursive);
            }
            // Downwards, and on the way to the name that is still open.
            Rtype::NS if set.name.is_below(expected.zone) && is_on_the_way(&set.name, expected, out) => {
                let closer = out.referral.as_ref().is_none_or(|have| set.name.is_below(&have.name));
                if closer {
                    out.referral = Some(set);
                }
            }
            Rtype::NS => {
                out.refers_up |= expected.zone.is_within(&set.name);
                out.dropped += set.data.len();
            }
            _ => out.dropped += set.data.len(),
        }
    }
    if let Some(referral) = &out.referral {
        out.ds = ds.into_iter().find(|set| set.name == referral.name);
    }
}

/// The zone above the rule's whose denial a forwarder relays. Its SOA is kept for this question only, and its NSEC and
/// NSEC3 records count for nothing without their signatures.
fn relayed_from_above(authority: &[RrSet], expected: &Expected<'_>) -> Option<Name> {
    let is_above = |set: &&RrSet| set.rtype == Rtype::SOA && expected.zone.is_below(&set.name);
    authority.iter().filter(|_| expected.recursive).find(is_above).map(|soa| soa.name.clone())
}

/// A cut strictly above a DS question's name, or at or above any other question's name (RFC 4035 3.1.4.1).
fn is_on_the_way(cut: &Name, expected: &Expected<'_>, out: &Scrubbed) -> bool {
    if !out.answer.is_empty() {
        return false;
    }
    let question = expected.question;
    match question.rtype {
        Rtype::DS => question.name.is_below(cut),
        _ => question.name.is_within(cut),
    }
}

fn keep_glue(sets: Vec<RrSet>, expected: &Expected<'_>, out: &mut Scrubbed) {
    let answered = out.answer.iter().filter(|set| set.rtype == Rtype::NS);
    let wanted: Vec<Name> = out.referral.iter().chain(answered).flat_map(ns_names).collect();
    for set in sets {
        let is_wanted = set.rtype.is_address() && wanted.contains(&set.name);
        if is_wanted && set.name.is_within(expected.zone) {
            out.glue.push(set);
        } else if is_wanted && out.referral.is_some() {
            out.hints.push(set);
        } else {
            out.dropped += set.data.len();
        }
    }
}

pub fn ns_names(set: &RrSet) -> impl Iterator<Item = Name> {
    set.data.iter().filter_map(|rdata| Name::from_wire(rdata).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Question, Rcode, rdata_from_text};
    use crate::resolve::reply::classify::{Kind, classify};
    use crate::wire::{Header, Writer};

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
            ("a.sub.example.", "a.sub.example. A", RA, &[CUT], Kind::Empty, ""),
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
    fn codes_that_end_the_matter() {
        let plain = |rcode: u16| kept("example.", "www.example. A", rcode, &[]).0;
        assert_eq!([2, 5, 1, 4, 7].map(plain), [Kind::ServFail, Kind::Refused, Kind::NeedsPlainDns, Kind::NeedsPlainDns, Kind::Broken]);
    }

    #[test]
    fn a_crowd_of_sets_is_cut_off() {
        let lines: Vec<String> = (0..2 * SETS_MAX).map(|n| format!("+ n{n}.example. A 192.0.2.1")).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let question = Question::new(name("n0.example."), Rtype::A);
        let bytes = reply(AA, &question, &lines);
        let mut dropped = 0;
        let sets = collect(&Message::parse(&bytes).expect("own message"), Section::Answer, false, &mut Vec::new(), &mut dropped);
        assert_eq!((sets.len(), dropped), (SETS_MAX, SETS_MAX));
    }
}
