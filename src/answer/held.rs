//! What this server itself holds about a question: hosted zones first, then special-use names, in the order of
//! the design. The walk looks through the same window (`resolve::Local`), so an alias target, a cut or a server
//! name is judged exactly as a client's question is.

use std::net::SocketAddr;
use std::sync::Arc;

use super::outcome::Outcome;
use super::snapshot::Snapshot;
use crate::record::{Name, Question, Rcode, RrSet, Rtype, Security};
use crate::resolve::{Local, LocalAnswer, LocalCut};
use crate::zone::{Found, Missing, Zone, Zones, dname_target};

/// An answer from hosted zones.
#[derive(Debug, Default)]
pub struct Hosted {
    pub apex: Option<Name>,
    pub rcode: Option<Rcode>,
    pub answers: Vec<RrSet>,
    pub authority: Vec<RrSet>,
    pub additional: Vec<RrSet>,
    /// Alias target that lies in no hosted zone, or below a delegation out of one.
    pub onward: Option<Name>,
    /// The data lies below this delegation.
    pub referral: Option<LocalCut>,
}

/// RFC 1034 4.3.2 over all hosted zones: aliases are followed as long as they stay in them.
pub fn hosted(zones: &Zones, question: &Question, aliases_max: usize) -> Option<Hosted> {
    let mut zone = zones.find_for(question.name.as_wire(), question.rtype)?;
    let mut out = Hosted { apex: Some(zone.apex().clone()), ..Hosted::default() };
    let mut name = question.name.clone();
    for _ in 0..=aliases_max {
        match zone.find(name.as_wire(), question.rtype) {
            Found::Answer { set, wildcard } => {
                out.nothing_closer(zone, &name, wildcard);
                out.answers.push(set.to_rrset(name.clone()));
                zones.additional(name.as_wire(), set, |target, addresses| {
                    if let Ok(target) = Name::from_wire(target) {
                        out.additional.push(addresses.to_rrset(target));
                    }
                    out.additional.len() < ADDITIONAL_SETS_MAX
                });
                return Some(out);
            }
            Found::Cname { set, wildcard } => {
                out.nothing_closer(zone, &name, wildcard);
                let set = set.to_rrset(name.clone());
                let target = set.target();
                out.answers.push(set);
                name = target?;
            }
            Found::Dname { set, owner } => {
                let Some(target) = dname_target(&name, owner, set) else {
                    out.rcode = Some(Rcode::YXDOMAIN);
                    out.answers.extend(Name::from_wire(owner).map(|owner| set.to_rrset(owner)));
                    return Some(out);
                };
                let dname = set.to_rrset(Name::from_wire(owner).ok()?);
                out.answers.push(dname.clone());
                out.answers.push(RrSet::with(name, Rtype::CNAME, dname.ttl, target.as_wire()));
                name = target;
            }
            Found::Referral { cut, ns, ds } => {
                if !out.answers.is_empty() {
                    out.onward = Some(name);
                    return Some(out);
                }
                out.referral = Some(local_cut(zone, cut, ns, ds)?);
                if ds.is_none() {
                    out.authority.extend(zone.proofs_of_no_ds(cut));
                }
                return Some(out);
            }
            Found::NoData { soa, wildcard } => return Some(out.denied(zone, soa, &name, Missing::Type { wildcard })),
            Found::NxDomain { soa, encloser } => return Some(out.denied(zone, soa, &name, Missing::Name { encloser })),
        }
        if out.answers.iter().filter(|set| set.name == name && set.rtype == Rtype::CNAME).count() > 0 {
            // The alias leads back into its own chain: what there is of it is the answer.
            return Some(out);
        }
        match zones.find_for(name.as_wire(), question.rtype) {
            Some(next) => zone = next,
            None => {
                out.onward = Some(name);
                return Some(out);
            }
        }
    }
    Some(out)
}

/// Enough for the largest sensible NS, MX or SRV set; more would not fit into a reply anyway.
const ADDITIONAL_SETS_MAX: usize = 32;

impl Hosted {
    fn denied(mut self, zone: &Zone, soa: crate::zone::SetRef<'_>, name: &Name, missing: Missing<'_>) -> Hosted {
        self.rcode = matches!(missing, Missing::Name { .. }).then_some(Rcode::NXDOMAIN);
        self.authority.push(soa.to_rrset(zone.apex().clone()));
        self.authority.extend(zone.proofs(name, missing));
        self
    }

    fn nothing_closer(&mut self, zone: &Zone, name: &Name, wildcard: Option<&[u8]>) {
        // Asked by its own name, a wildcard stands for nothing else.
        if let Some(wildcard) = wildcard.filter(|wildcard| *wildcard != name.as_wire()) {
            self.authority.extend(zone.proofs(name, Missing::Closer { wildcard }));
        }
    }

    /// As a reply of the zone's own server; a referral has no AA.
    pub fn into_outcome(self) -> Outcome {
        let base = Outcome { own: true, repeatable: true, security: Security::Insecure, ..Outcome::default() };
        if let Some(cut) = self.referral {
            return Outcome { authority: [vec![cut.ns], cut.ds.into_iter().collect(), self.authority].concat(), glue: cut.glue, ..base };
        }
        Outcome {
            rcode: self.rcode,
            authoritative: true,
            answers: self.answers,
            authority: self.authority,
            additional: self.additional,
            ..base
        }
    }
}

fn local_cut(zone: &Zone, cut: &[u8], ns: crate::zone::SetRef<'_>, ds: Option<crate::zone::SetRef<'_>>) -> Option<LocalCut> {
    let name = Name::from_wire(cut).ok()?;
    let glue = zone.glue(ns).filter_map(|(target, set)| Some(set.to_rrset(Name::from_wire(target).ok()?))).collect();
    Some(LocalCut { ns: ns.to_rrset(name.clone()), ds: ds.map(|ds| ds.to_rrset(name.clone())), zone: name, glue })
}

/// What a query may find here without asking anybody: the zones and special-use names of its own snapshot.
impl Local for Snapshot {
    fn find(&self, question: &Question) -> Option<LocalAnswer> {
        if let Some(hosted) = hosted(&self.zones, question, self.aliases_max) {
            if hosted.referral.is_some() {
                return None;
            }
            return Some(LocalAnswer {
                zone: hosted.apex?,
                document: None,
                rcode: hosted.rcode.unwrap_or(Rcode::NOERROR),
                answers: hosted.answers,
                authority: hosted.authority,
                onward: hosted.onward,
            });
        }
        let (zone, document, outcome) = self.special(question)?;
        let rcode = outcome.rcode();
        let document = Some(document);
        Some(LocalAnswer { zone, document, rcode, answers: outcome.answers, authority: outcome.authority, onward: None })
    }

    fn delegation(&self, name: &Name) -> Option<LocalCut> {
        let zone = self.zones.find(name.as_wire())?;
        match zone.find(name.as_wire(), Rtype::A) {
            Found::Referral { cut, ns, ds } => local_cut(zone, cut, ns, ds),
            _ => None,
        }
    }

    fn own_addresses(&self) -> Arc<[SocketAddr]> {
        self.own_addresses.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::load_zone;

    #[test]
    fn a_signed_zone_proves_what_is_not_there() {
        let name = |text: &str| Name::parse(text).expect(text);
        let text = "$TTL 300\n@ SOA ns host 1 2 3 4 60\n@ NS ns\n@ RRSIG SOA 8 1 300 20300101000000 20200101000000 1 example. Zm9v\n\
            @ NSEC ns NS SOA RRSIG NSEC\nns A 192.0.2.1\nns NSEC sub A NSEC\nsub NS ns\nsub NSEC *.w NS NSEC\n\
            *.w TXT x\n*.w NSEC example. TXT NSEC\n";
        let (zone, _) = load_zone(&name("example."), "test", &mut |_| Ok(text.as_bytes().to_vec())).expect("a good zone");
        let zones = Zones::new([Arc::new(zone)], 1);
        for (question, rtype, expected) in [
            ("ns.example.", "A", ""),
            ("*.w.example.", "TXT", ""),
            ("no.example.", "A", "example. SOA, example. NSEC"),
            ("zz.example.", "A", "example. SOA, example. NSEC, *.w.example. NSEC"),
            ("ns.example.", "MX", "example. SOA, ns.example. NSEC"),
            ("w.example.", "A", "example. SOA, sub.example. NSEC"),
            ("x.w.example.", "TXT", "*.w.example. NSEC"),
            ("x.w.example.", "A", "example. SOA, *.w.example. NSEC"),
            ("x.sub.example.", "A", "sub.example. NS, sub.example. NSEC"),
        ] {
            let outcome = hosted(&zones, &Question::new(name(question), rtype.parse().expect(rtype)), 11).expect(question).into_outcome();
            let told: Vec<String> = outcome.authority.iter().map(|set| format!("{} {}", set.name, set.rtype)).collect();
            assert_eq!(told.join(", "), expected, "{question} {rtype}");
        }
    }
}
