//! The right answer, computed from the world's zones directly: no packets, no servers, no cache.

use cairn::record::{Name, Rcode, Rtype};

use super::packet::{AD, Packet};
use super::plan::Plan;
use super::record::Rr;
use super::zone::{Found, Zone};

#[derive(Debug)]
pub struct Expected {
    pub rcode: Rcode,
    /// The alias chain and what it ends in.
    pub answer: Vec<Rr>,
    /// It ends nowhere: an alias loop, or a delegation to a zone that the world does not have.
    pub endless: bool,
    /// All of it comes from zones that are signed from the root down.
    pub secure: bool,
}

/// Far more aliases than any resolver follows.
const ALIASES: usize = 64;

impl Expected {
    pub fn of(plan: &Plan, name: &Name, rtype: Rtype) -> Expected {
        let mut expected = Expected { rcode: Rcode::NOERROR, answer: Vec::new(), endless: false, secure: true };
        let mut name = name.clone();
        for _ in 0..ALIASES {
            let Some(zone) = authority(plan, &name, rtype) else { break };
            expected.secure &= plan.is_secure(&zone.apex);
            match zone.look_up(&name, rtype) {
                Found::Records(records) => {
                    expected.answer.extend(records);
                    return expected;
                }
                Found::Alias(records, target) => {
                    let known = records.iter().all(|rr| expected.answer.contains(rr));
                    expected.answer.extend(records.into_iter().filter(|rr| !known || !expected.answer.contains(rr)).collect::<Vec<_>>());
                    match target {
                        Some(target) if !known => name = target,
                        Some(_) => break,
                        None => {
                            expected.rcode = Rcode::YXDOMAIN;
                            return expected;
                        }
                    }
                }
                Found::Referral(_) => break,
                Found::NoData => return expected,
                Found::NoName => {
                    expected.rcode = Rcode::NXDOMAIN;
                    return expected;
                }
            }
        }
        expected.endless = true;
        expected
    }

    /// What is wrong with this answer, if anything. SERVFAIL is never a lie, so the caller judges it.
    pub fn contradicts(&self, got: &Packet) -> Option<String> {
        if got.rcode == Rcode::SERVFAIL {
            return None;
        }
        // Signatures are the validator's to judge; they are there for those who ask for them.
        let answer: Vec<&Rr> = got.answer.iter().filter(|rr| rr.rtype != Rtype::RRSIG).collect();
        if self.endless {
            let invented = answer.iter().find(|rr| !self.answer.iter().any(|true_rr| true_rr.same(rr)));
            return invented.map(|rr| format!("{rr} is not in the world"));
        }
        if got.rcode != self.rcode {
            return Some(format!("{} instead of {}", got.rcode, self.rcode));
        }
        let stale_ttl = if is_stale(got) { 30 } else { 0 };
        let is_true = |rr: &Rr| self.answer.iter().any(|expected| expected.same(rr) && rr.ttl <= expected.ttl.max(stale_ttl));
        if let Some(rr) = answer.iter().find(|rr| !is_true(rr)) {
            return Some(format!("{rr} is not in the world, or not with that TTL"));
        }
        if let Some(rr) = self.answer.iter().find(|rr| !answer.iter().any(|have| have.same(rr))) {
            return Some(format!("{rr} is missing"));
        }
        (answer.len() != self.answer.len()).then(|| "a record comes twice".into())
    }

    /// What is wrong with the AD bit that a client who asked for it got, if anything.
    pub fn misjudged(&self, got: &Packet) -> Option<&'static str> {
        match (got.has(AD), self.secure) {
            _ if self.endless || got.rcode == Rcode::SERVFAIL || is_stale(got) => None,
            (true, false) => Some("AD without signatures from the root down"),
            (false, true) => Some("signed from the root down, and no AD"),
            _ => None,
        }
    }
}

/// Expired data is given with the TTL for stale data and an EDE (3 or 19, RFC 8767 4).
fn is_stale(got: &Packet) -> bool {
    got.errors().iter().any(|code| matches!(code, 3 | 19))
}

/// The zone that is authoritative for this name, by the delegations from the root down. DS belongs to the parent.
fn authority<'p>(plan: &'p Plan, name: &Name, rtype: Rtype) -> Option<&'p Zone> {
    let mut zone = plan.zones.get(&Name::root())?;
    loop {
        match zone.look_up(name, rtype) {
            Found::Referral(ns) => zone = plan.zones.get(&ns[0].name)?,
            _ => return Some(zone),
        }
    }
}
