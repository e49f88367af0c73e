//! Is this the answer that a scenario expects? As its MATCH line says.
//!
//! Answer sections are compared as sets. Authority and additional sections legitimately differ between resolvers:
//! only that a negative answer carries SOA or its proof is asked. What comes with SERVFAIL is moot. A TTL may be up to
//! two seconds less than expected.

use cairn::record::{Rcode, Rtype};

use super::scenario::{COMPARED_FLAGS, Entry};
use crate::sim::packet::{FLAGS, Packet, TC};
use crate::sim::record::Rr;

/// What is wrong, or nothing.
pub fn difference(expected: &Entry, got: &Packet) -> Option<String> {
    let by = |words: &[&str]| words.iter().any(|word| expected.matches_by(word));
    let full = by(&["all", "all_noedns"]);
    if (full || by(&["opcode"])) && expected.opcode != got.opcode {
        return Some(format!("opcode {}, expected {}", got.opcode, expected.opcode));
    }
    if let Some(why) = question_difference(expected, got, full || by(&["question"])) {
        return Some(why);
    }
    if (full || by(&["rcode"])) && Rcode(expected.rcode) != got.rcode {
        return Some(format!("{}, expected {}", got.rcode, Rcode(expected.rcode)));
    }
    if full || by(&["flags"]) {
        // TC depends on sizes: what matters is the answer.
        let mask = if expected.answer.is_empty() { COMPARED_FLAGS } else { COMPARED_FLAGS & !TC };
        let wrong = (expected.flags ^ got.flags) & mask;
        let words =
            FLAGS.iter().filter(|(_, bit)| wrong & bit != 0).map(|(word, bit)| format!("{}{word}", if got.has(*bit) { '+' } else { '-' }));
        let words: Vec<String> = words.collect();
        if !words.is_empty() {
            return Some(format!("flags differ: {}", words.join(" ")));
        }
    }
    if (full || by(&["answer"])) && Rcode(expected.rcode) != Rcode::SERVFAIL {
        let different = set_difference(&expected.answer, &got.answer);
        if different.is_some() {
            return different;
        }
    }
    if let Some(why) = by(&["ttl"]).then(|| ttl_difference(expected, got)).flatten() {
        return Some(why);
    }
    if let Some(why) = error_difference(expected, got) {
        return Some(why);
    }
    (full || by(&["authority"])).then(|| proof_difference(expected, got)).flatten()
}

fn question_difference(expected: &Entry, got: &Packet, full: bool) -> Option<String> {
    let (name, rtype, _) = expected.question.as_ref()?;
    let (by_name, by_type) = (full || expected.matches_by("qname"), full || expected.matches_by("qtype"));
    let Some(asked) = &got.question else {
        return (by_name || by_type).then(|| "no question section".into());
    };
    if by_name && asked.name != *name || by_type && asked.rtype != *rtype {
        return Some(format!("question {} {}", asked.name, asked.rtype));
    }
    None
}

fn set_difference(expected: &[Rr], got: &[Rr]) -> Option<String> {
    let missing: Vec<String> = expected.iter().filter(|rr| !got.iter().any(|have| have.same(rr))).map(Rr::to_string).collect();
    let extra: Vec<String> = got.iter().filter(|rr| !expected.iter().any(|have| have.same(rr))).map(Rr::to_string).collect();
    if missing.is_empty() && extra.is_empty() {
        return (expected.len() != got.len()).then(|| "a record comes twice".into());
    }
    Some(format!("answer section: missing {{{}}} unexpected {{{}}}", missing.join("; "), extra.join("; ")))
}

fn ttl_difference(expected: &Entry, got: &Packet) -> Option<String> {
    for rr in &got.answer {
        let wanted = expected.answer.iter().find(|have| have.same(rr)).map(|have| have.ttl);
        if let Some(wanted) = wanted.filter(|wanted| !(wanted.saturating_sub(2)..=*wanted).contains(&rr.ttl)) {
            return Some(format!("TTL of {rr}, expected {wanted}"));
        }
    }
    None
}

fn error_difference(expected: &Entry, got: &Packet) -> Option<String> {
    for wanted in expected.matches.iter().filter_map(|word| word.strip_prefix("ede=")) {
        let errors = got.errors();
        if if wanted == "any" { errors.is_empty() } else { !errors.iter().any(|code| code.to_string() == wanted) } {
            return Some(format!("EDE {errors:?}, expected {wanted}"));
        }
    }
    None
}

fn proof_difference(expected: &Entry, got: &Packet) -> Option<String> {
    let has = |section: &[Rr], types: &[Rtype]| section.iter().any(|rr| types.contains(&rr.rtype));
    const PROOFS: &[Rtype] = &[Rtype::NSEC, Rtype::NSEC3];
    for types in [&[Rtype::SOA], PROOFS] {
        if has(&expected.authority, types) && !has(&got.authority, types) {
            return Some(format!("authority section has no {types:?}"));
        }
    }
    None
}
