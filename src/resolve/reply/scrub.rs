//! The records of a reply that may be believed: of class IN, in bailiwick for the server that sent them, and relevant to
//! the question (RFC 2181 5.4.1, RFC 5452 6). Everything else is dropped and counted.
//!
//! - answer: the records of the question's name, or the alias there; the records that the alias leads to inside the same
//!   zone are kept apart (the alias tail);
//! - authority: SOA and proofs of the zone, or one delegation downwards;
//! - additional: in-bailiwick addresses of the servers that the believed NS set names.

use crate::limits::walk::REPLY_SETS_MAX;
use crate::record::{Class, Name, RrSet, Rtype, lower_labels_of};
use crate::resolve::reply::expected::Expected;
use crate::validate::signer_of;
use crate::wire::{Flags, Message, Section};

/// The RDATA of most records fits.
const RDATA_BYTES: usize = 256;

/// The believed records of a reply.
#[derive(Debug, Default)]
pub struct Scrubbed {
    /// What was asked for (several sets only for ANY), or the alias in its place.
    pub answer: Vec<RrSet>,
    /// Where `answer` is an alias: the RRsets that it leads to, link by link, as long as they stay in the zone.
    pub alias_tail: Vec<RrSet>,
    /// `answer` is of the type asked for, not an alias.
    pub answered: bool,
    /// SOA of the denial, or of the CNAME target's denial.
    pub soa: Option<RrSet>,
    /// NSEC and NSEC3 sets, with their signatures.
    pub proof: Vec<RrSet>,
    /// NS set of a cut below the zone, on the way to the question's name.
    pub referral: Option<RrSet>,
    pub ds: Option<RrSet>,
    pub glue: Vec<RrSet>,
    /// Out-of-bailiwick addresses that the parent gives for servers of the delegation. They may be used to reach the servers
    /// of this delegation, which the parent controls anyway; they are never cached.
    pub hints: Vec<RrSet>,
    /// There was an NS set of a zone above, where a referral was expected.
    pub refers_up: bool,
    /// There was an NS set of the zone itself without AA, where a referral was expected.
    pub refers_to_itself: bool,
    /// The zone's own NS set beside an answer.
    pub own_servers: Option<RrSet>,
    /// Records that were not believed.
    pub dropped: usize,
}

impl Scrubbed {
    /// A denial by a server that knows DNSSEC.
    pub fn is_signed_denial(&self) -> bool {
        self.soa.iter().chain(&self.proof).any(|set| !set.sigs.is_empty())
    }

    /// Takes `seconds` off every TTL.
    pub fn age(&mut self, seconds: u32) {
        let lists = [&mut self.answer, &mut self.alias_tail, &mut self.proof, &mut self.glue, &mut self.hints];
        let single = [&mut self.soa, &mut self.referral, &mut self.ds, &mut self.own_servers];
        for set in lists.into_iter().flatten().chain(single.into_iter().flatten()) {
            set.ttl = set.ttl.saturating_sub(seconds);
        }
    }
}

/// Takes what the sender may say about the question; everything else is counted and dropped.
pub fn scrub(message: &Message<'_>, expected: &Expected<'_>) -> Scrubbed {
    let mut out = Scrubbed::default();
    let qtype = expected.question.rtype;
    let mut rdata = Vec::with_capacity(RDATA_BYTES);
    let qname = &expected.question.name;
    let answer = collect(message, Section::Answer, qname, qtype == Rtype::RRSIG, &mut rdata, &mut out.dropped);
    first_link(answer, expected, &mut out);
    let authority = collect(message, Section::Authority, qname, false, &mut rdata, &mut out.dropped);
    keep_authority(authority, expected, message.header().flags, &mut out);
    let additional = collect(message, Section::Additional, qname, false, &mut rdata, &mut out.dropped);
    keep_glue(additional, expected, &mut out);
    out
}

/// Groups a section's records into sets; signatures go with what they cover. Names that the server made of the question's, such
/// as the target of a CNAME by a DNAME, have the mixed letter case of the query (0x20), which is nobody else's business.
fn collect(
    message: &Message<'_>,
    section: Section,
    qname: &Name,
    signatures_are_data: bool,
    rdata: &mut Vec<u8>,
    dropped: &mut usize,
) -> Vec<RrSet> {
    let mut sets: Vec<RrSet> = Vec::new();
    let mut signatures: Vec<(Name, Rtype, u32, Vec<u8>)> = Vec::new();
    let mut last: Option<(u16, Name)> = None;
    for record in message.records(section) {
        let rtype = record.rtype();
        if record.class() != Class::IN || (rtype.is_meta() && rtype != Rtype::NXNAME) {
            *dropped += 1;
            continue;
        }
        if last.as_ref().is_none_or(|(offset, _)| *offset != record.owner_offset()) {
            last = record.owner().ok().map(|owner| (record.owner_offset(), owner));
        }
        let Some((_, owner)) = &last else {
            *dropped += 1;
            continue;
        };
        rdata.clear();
        if record.expand_rdata(rdata).is_err() {
            *dropped += 1;
            continue;
        }
        if !rtype.is_address() {
            lower_labels_of(qname, rtype, rdata);
        }
        if rtype == Rtype::RRSIG && !signatures_are_data {
            match rdata.first_chunk::<2>() {
                Some(covered) if signatures.len() < REPLY_SETS_MAX => {
                    signatures.push((owner.clone(), Rtype(u16::from_be_bytes(*covered)), record.ttl(), rdata.clone()));
                }
                _ => *dropped += 1,
            }
            continue;
        }
        match sets.iter().rposition(|set| set.rtype == rtype && set.name == *owner) {
            Some(at) => {
                sets[at].ttl = sets[at].ttl.min(record.ttl());
                sets[at].data.push(rdata);
            }
            None if sets.len() < REPLY_SETS_MAX => sets.push(RrSet::with(owner.clone(), rtype, record.ttl(), rdata)),
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
        follow_inside(&mut sets, set.target(), expected, &mut out.alias_tail);
        out.answer.push(set);
    }
    out.dropped += sets.iter().map(|set| set.data.len()).sum::<usize>();
}

/// Takes the rest of a chain. Each set is taken once, so a circle of aliases ends.
fn follow_inside(sets: &mut Vec<RrSet>, target: Option<Name>, expected: &Expected<'_>, alias_tail: &mut Vec<RrSet>) {
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
        alias_tail.push(set);
    }
}

fn is_dname_above(set: &RrSet, name: &Name, zone: &Name) -> bool {
    set.rtype == Rtype::DNAME && name.is_below(&set.name) && set.name.is_within(zone)
}

fn keep_authority(sets: Vec<RrSet>, expected: &Expected<'_>, flags: Flags, out: &mut Scrubbed) {
    let mut ds: Vec<RrSet> = Vec::new();
    let above = relayed_from_above(&sets, &out.answer, expected);
    for set in sets {
        let in_zone = set.name.is_within(above.as_ref().unwrap_or(expected.zone));
        match set.rtype {
            Rtype::SOA if in_zone && expected.question.name.is_within(&set.name) && out.soa.is_none() && !out.answered => {
                out.soa = Some(set);
            }
            Rtype::NSEC | Rtype::NSEC3 if in_zone => out.proof.push(set),
            Rtype::DS if in_zone && set.name.is_below(expected.zone) => ds.push(set),
            // It was not asked for, and a forged one would move the whole zone: it may only add servers where those of the
            // parent have failed.
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
                out.refers_up |= expected.zone.is_below(&set.name);
                out.refers_to_itself |= *expected.zone == set.name;
                out.dropped += set.data.len();
            }
            _ => out.dropped += set.data.len(),
        }
    }
    if let Some(referral) = &out.referral {
        out.ds = ds.into_iter().find(|set| set.name == referral.name);
    }
}

/// The zone above the rule's whose denial or wildcard a forwarder relays. Its SOA is kept for this question only, and its NSEC
/// and NSEC3 records count for nothing without their signatures.
fn relayed_from_above(authority: &[RrSet], answer: &[RrSet], expected: &Expected<'_>) -> Option<Name> {
    if !expected.recursive {
        return None;
    }
    let denier = authority.iter().find(|set| set.rtype == Rtype::SOA).map(|soa| soa.name.clone());
    let signers = answer.iter().filter_map(signer_of);
    denier.into_iter().chain(signers).find(|zone| expected.zone.is_below(zone))
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

/// The names of an NS RRset.
pub fn ns_names(set: &RrSet) -> impl Iterator<Item = Name> {
    set.data.iter().filter_map(|rdata| Name::from_wire(rdata).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Header, Writer};

    #[test]
    fn rrsets_beyond_the_limit_are_dropped() {
        let mut writer = Writer::new(Vec::new(), 65_535);
        writer.header(Header { id: 1, flags: Flags(Flags::QR), counts: [0; 4] });
        for n in 0..2 * REPLY_SETS_MAX {
            let owner = Name::parse(&format!("n{n}.example.")).expect("a name");
            writer.record(Section::Answer, &owner, Rtype::A, Class::IN, 60, &[192, 0, 2, 1]).expect("room");
        }
        let bytes = writer.finish();
        let mut dropped = 0;
        let message = Message::parse(&bytes).expect("own message");
        let sets = collect(&message, Section::Answer, &Name::root(), false, &mut Vec::new(), &mut dropped);
        assert_eq!((sets.len(), dropped), (REPLY_SETS_MAX, REPLY_SETS_MAX));
    }
}
