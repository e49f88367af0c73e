//! What of a reply may be believed: records of class IN, inside the bailiwick of the server that sent them,
//! and relevant to the question (RFC 2181 5.4.1, RFC 5452 6). Everything else is dropped and counted.
//!
//! - answer: the chain of aliases that starts at the question's name, and what it leads to;
//! - authority: SOA and proofs of the zone, its own NS set, or one delegation downwards;
//! - additional: addresses of the servers that the kept NS set names, and only inside the bailiwick.

use super::classify::Expected;
use crate::record::{Class, Name, RrSet, Rtype};
use crate::wire::{Flags, Message, Section};

/// More sets than any honest reply holds; what comes after them is dropped.
const SETS_MAX: usize = 200;

#[derive(Debug, Default)]
pub struct Scrubbed {
    /// In chain order: CNAME and DNAME sets, then what was asked for.
    pub answer: Vec<RrSet>,
    /// The last of `answer` is of the type asked for (or anything, for ANY).
    pub answered: bool,
    /// The name at the end of the chain, as far as this reply follows it.
    pub last: Option<Name>,
    pub soa: Option<RrSet>,
    /// NSEC and NSEC3 sets, with their signatures.
    pub proof: Vec<RrSet>,
    /// The zone's own NS set, from its own servers.
    pub own_ns: Option<RrSet>,
    /// NS set of a cut below the zone, on the way to the question's name.
    pub referral: Option<RrSet>,
    pub ds: Option<RrSet>,
    pub glue: Vec<RrSet>,
    /// NS of the zone itself or of one above stood where a referral was expected.
    pub refers_up: bool,
    /// Records that were not believed.
    pub dropped: usize,
}

pub fn scrub(message: &Message<'_>, expected: &Expected<'_>, aliases_max: usize) -> Scrubbed {
    let mut out = Scrubbed::default();
    let qtype = expected.question.rtype;
    let answer = collect(message, Section::Answer, qtype == Rtype::RRSIG, &mut out.dropped);
    follow(answer, expected, aliases_max, &mut out);
    let authority = collect(message, Section::Authority, false, &mut out.dropped);
    keep_authority(authority, expected, message.header().flags, &mut out);
    let additional = collect(message, Section::Additional, false, &mut out.dropped);
    keep_glue(additional, expected, &mut out);
    out
}

/// Groups a section's records into sets; signatures go with what they cover.
fn collect(message: &Message<'_>, section: Section, signatures_are_data: bool, dropped: &mut usize) -> Vec<RrSet> {
    let mut sets: Vec<RrSet> = Vec::new();
    let mut signatures: Vec<(Name, Rtype, u32, Vec<u8>)> = Vec::new();
    let mut last: Option<([u8; 2], Name)> = None;
    let mut rdata = Vec::new();
    for record in message.records(section) {
        let rtype = record.rtype();
        if record.class() != Class::IN || (rtype.is_meta() && rtype != Rtype::NXNAME) {
            *dropped += 1;
            continue;
        }
        let owner = match &last {
            Some((hint, name)) if *hint == record.owner_hint() => name.clone(),
            _ => match record.owner() {
                Ok(name) => name,
                Err(_) => {
                    *dropped += 1;
                    continue;
                }
            },
        };
        last = Some((record.owner_hint(), owner.clone()));
        rdata.clear();
        if record.expand_rdata(&mut rdata).is_err() {
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
                sets[at].data.push(&rdata);
            }
            None if sets.len() < SETS_MAX => sets.push(RrSet::with(owner, rtype, record.ttl(), &rdata)),
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

/// RFC 1034 3.6.2 and RFC 6672 3.2: from the question's name along the aliases, as long as they stay in
/// the bailiwick. A CNAME that a DNAME explains is made by us, not taken.
fn follow(mut sets: Vec<RrSet>, expected: &Expected<'_>, aliases_max: usize, out: &mut Scrubbed) {
    let qtype = expected.question.rtype;
    let mut name = expected.question.name.clone();
    let mut seen: Vec<Name> = Vec::new();
    while name.is_within(expected.zone) && seen.len() <= aliases_max && !seen.contains(&name) {
        seen.push(name.clone());
        if qtype == Rtype::ANY && sets.iter().any(|set| set.name == name) {
            out.answer.extend(sets.extract_if(.., |set| set.name == name));
            out.answered = true;
            break;
        }
        if let Some(at) = sets.iter().position(|set| set.name == name && set.rtype == qtype) {
            out.answer.push(sets.swap_remove(at));
            out.answered = true;
            break;
        }
        let dname = sets.iter().position(|set| set.rtype == Rtype::DNAME && name.is_below(&set.name) && set.name.is_within(expected.zone));
        if let Some(at) = dname {
            let set = sets.swap_remove(at);
            let target = set.target().and_then(|target| name.rebase(&set.name, &target));
            out.answer.push(set);
            // The CNAME that came along says nothing the DNAME does not say.
            sets.retain(|set| !(set.rtype == Rtype::CNAME && set.name == name));
            match target {
                Some(target) => name = target,
                None => break,
            }
            continue;
        }
        let cname = sets.iter().position(|set| set.rtype == Rtype::CNAME && set.name == name);
        let Some(at) = cname else { break };
        let mut set = sets.swap_remove(at);
        // RFC 2181 10.1: one CNAME a name. The first one is as good as any.
        set.data = set.data.iter().take(1).collect();
        let target = set.target();
        out.answer.push(set);
        match target {
            Some(target) => name = target,
            None => break,
        }
    }
    out.last = Some(name);
    out.dropped += sets.iter().map(|set| set.data.len()).sum::<usize>();
}

fn keep_authority(sets: Vec<RrSet>, expected: &Expected<'_>, flags: Flags, out: &mut Scrubbed) {
    let last = out.last.clone().unwrap_or_else(|| expected.question.name.clone());
    let mut ds: Vec<RrSet> = Vec::new();
    for set in sets {
        let in_zone = set.name.is_within(expected.zone);
        match set.rtype {
            Rtype::SOA if in_zone && last.is_within(&set.name) && out.soa.is_none() => {
                out.soa = Some(set);
            }
            Rtype::NSEC | Rtype::NSEC3 if in_zone => out.proof.push(set),
            Rtype::DS if in_zone && set.name.is_below(expected.zone) => ds.push(set),
            Rtype::NS if set.name == *expected.zone => {
                out.refers_up = true;
                if flags.has(Flags::AA) {
                    out.own_ns = Some(set);
                } else {
                    out.dropped += set.data.len();
                }
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
    let wanted: Vec<Name> = out.referral.iter().chain(&out.own_ns).chain(answered).flat_map(ns_names).collect();
    for set in sets {
        if set.rtype.is_address() && set.name.is_within(expected.zone) && wanted.contains(&set.name) {
            out.glue.push(set);
        } else {
            out.dropped += set.data.len();
        }
    }
}

pub fn ns_names(set: &RrSet) -> impl Iterator<Item = Name> {
    set.data.iter().filter_map(|rdata| Name::from_wire(rdata).ok())
}
