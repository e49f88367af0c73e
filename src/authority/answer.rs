//! The authoritative answer to one question, from the hosted zone that is closest to the name (RFC 1034 4.3.2).
//!
//! CNAME and DNAME (RFC 6672 3.2) are followed inside that zone. Another hosted zone is not entered, as in BIND and
//! Knot: a resolver has to ask for the target again in any case, and each zone may have its own list of clients. A
//! signed zone adds its proofs: for wildcard answers, denials and unsigned delegations (RFC 4035 3.1, RFC 5155 7.2). What comes after
//! the answer section depends on where the chain ends (`End`); the caller may send it as it is, or let a
//! resolver go on from there.

use crate::limits::zone::ADDITIONAL_SETS_MAX;
use crate::record::{Name, Question, Rcode, RrSet, Rtype};
use crate::resolve::LocalCut;
use crate::zone::{Found, Missing, SetRef, Zone, Zones, dname_target};

/// What a hosted zone has for a question.
#[derive(Debug)]
pub struct ZoneAnswer {
    /// The zone of the name in the question.
    pub apex: Name,
    pub rcode: Rcode,
    /// In the order of the CNAME chain. No set occurs twice (RFC 2181 5).
    pub answers: Vec<RrSet>,
    /// Proofs that wildcards apply; after the last of the chain, its denial. No set occurs twice.
    pub authority: Vec<RrSet>,
    /// Addresses of the names in the answer.
    pub additional: Vec<RrSet>,
    pub end: End,
}

/// Where the CNAME chain of a `ZoneAnswer` ends.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "one value for each question, taken apart at once")]
pub enum End {
    /// With data, or a denial.
    Complete,
    /// At a name outside the zone.
    Outside(Name),
    /// At a name below a delegation. `proof`: the DS set, or the proof that there is none; empty if the zone is unsigned.
    Delegated { name: Name, cut: Box<LocalCut>, proof: Vec<RrSet> },
    /// DS was asked at the apex of a hosted zone, and the parent zone is not hosted, or a CNAME of the zone led to its own
    /// apex. `denial` is what the child's servers say (RFC 4035 3.1.4.1); the parent's servers may have DS.
    ChildApex { name: Name, denial: Vec<RrSet> },
}

impl ZoneAnswer {
    /// The name at which a resolver would have to go on.
    pub fn onward(&self) -> Option<&Name> {
        match &self.end {
            End::Complete => None,
            End::Outside(name) | End::Delegated { name, .. } | End::ChildApex { name, .. } => Some(name),
        }
    }

    /// Is the question itself for other servers, with nothing in the answer section?
    pub fn is_elsewhere(&self) -> bool {
        self.answers.is_empty() && self.onward().is_some()
    }
}

/// `None` if the name lies in no hosted zone.
pub fn answer(zones: &Zones, question: &Question, aliases_max: usize) -> Option<ZoneAnswer> {
    let mut place = Place::of(zones, &question.name, question.rtype)?;
    let mut chain = Chain::new(place.zone);
    let mut name = question.name.clone();
    for _ in 0..=aliases_max {
        let zone = place.zone;
        let target = match zone.find(name.as_wire(), question.rtype) {
            Found::Answer { set, wildcard } => {
                chain.prove_wildcard(zone, &name, wildcard);
                chain.addresses(zone, &name, set);
                push_new(&mut chain.answers, set.to_rrset(name));
                return Some(chain.ending(End::Complete));
            }
            Found::Cname { set, wildcard } => {
                chain.prove_wildcard(zone, &name, wildcard);
                let set = set.to_rrset(name.clone());
                let target = set.target();
                // A loop: the chain so far is the answer.
                if !push_new(&mut chain.answers, set) {
                    return Some(chain.ending(End::Complete));
                }
                target?
            }
            Found::Dname { set, owner } => {
                let dname = set.to_rrset(Name::from_wire(owner).ok()?);
                let ttl = dname.ttl;
                // RFC 6672 3.3: a DNAME to a name below itself lengthens every name for ever.
                let has_end = dname.target().is_some_and(|target| !target.is_within(&dname.name));
                push_new(&mut chain.answers, dname);
                let Some(target) = dname_target(&name, owner, set) else {
                    // RFC 6672 2.2: the new name would be too long.
                    chain.rcode = Rcode::YXDOMAIN;
                    return Some(chain.ending(End::Complete));
                };
                let is_new = push_new(&mut chain.answers, RrSet::with(name.clone(), Rtype::CNAME, ttl, target.as_wire()));
                // The synthesised CNAME answers a question for CNAME.
                if !is_new || !has_end || question.rtype == Rtype::CNAME {
                    return Some(chain.ending(End::Complete));
                }
                target
            }
            Found::Referral { cut, ns, ds } => {
                let proof = referral_proof(zone, cut, ds);
                let cut = local_cut(zone, cut, ns, ds)?;
                return Some(chain.ending(End::Delegated { name, cut: Box::new(cut), proof }));
            }
            // The target of the ALIAS record is not known yet: nobody may take the zone's word that there is no address.
            Found::NoData { .. } if question.rtype.is_address() && name == *zone.apex() && zone.apex_set(Rtype::ALIAS).is_some() => {
                chain.rcode = Rcode::SERVFAIL;
                return Some(chain.ending(End::Complete));
            }
            Found::NoData { soa, wildcard } => {
                let denial = denial(zone, soa, &name, Missing::Type { wildcard });
                return Some(match place.is_child_side {
                    true => chain.ending(End::ChildApex { name, denial }),
                    false => chain.denied(denial),
                });
            }
            Found::NxDomain { soa, encloser } => {
                chain.rcode = Rcode::NXDOMAIN;
                return Some(chain.denied(denial(zone, soa, &name, Missing::Name { encloser })));
            }
        };
        name = target;
        match Place::of(zones, &name, question.rtype) {
            Some(next) if next.zone.apex() == zone.apex() => place = next,
            // DS at the zone's own apex: the parent zone, hosted here too, is another zone.
            Some(_) if name == *zone.apex() => place = Place { zone, is_child_side: true },
            Some(_) | None => return Some(chain.ending(End::Outside(name))),
        }
    }
    Some(chain.ending(End::Complete))
}

/// The delegation out of a hosted zone on the way to `name`.
pub fn delegation(zones: &Zones, name: &Name) -> Option<LocalCut> {
    let zone = zones.find(name.as_wire())?;
    match zone.find(name.as_wire(), Rtype::A) {
        Found::Referral { cut, ns, ds } => local_cut(zone, cut, ns, ds),
        Found::Answer { .. } | Found::Cname { .. } | Found::Dname { .. } | Found::NoData { .. } | Found::NxDomain { .. } => None,
    }
}

/// The zone that is asked for a name and type.
struct Place<'z> {
    zone: &'z Zone,
    /// The child zone is asked for DS at its apex: the parent zone is not hosted, or a CNAME of the child led there.
    is_child_side: bool,
}

impl<'z> Place<'z> {
    fn of(zones: &'z Zones, name: &Name, rtype: Rtype) -> Option<Place<'z>> {
        let (zone, is_child_side) = zones.find_for(name.as_wire(), rtype)?;
        Some(Place { zone, is_child_side })
    }
}

/// A `ZoneAnswer` while its chain is followed.
struct Chain {
    apex: Name,
    rcode: Rcode,
    answers: Vec<RrSet>,
    authority: Vec<RrSet>,
    additional: Vec<RrSet>,
}

impl Chain {
    fn new(zone: &Zone) -> Chain {
        Chain { apex: zone.apex().clone(), rcode: Rcode::NOERROR, answers: Vec::new(), authority: Vec::new(), additional: Vec::new() }
    }

    fn ending(self, end: End) -> ZoneAnswer {
        let Chain { apex, rcode, answers, authority, additional } = self;
        ZoneAnswer { apex, rcode, answers, authority, additional, end }
    }

    fn denied(mut self, denial: Vec<RrSet>) -> ZoneAnswer {
        for set in denial {
            push_new(&mut self.authority, set);
        }
        self.ending(End::Complete)
    }

    /// RFC 4035 3.1.3.3: the name itself does not exist. Asked by its own name, a wildcard is an ordinary owner.
    fn prove_wildcard(&mut self, zone: &Zone, name: &Name, wildcard: Option<&[u8]>) {
        if let Some(wildcard) = wildcard.filter(|wildcard| *wildcard != name.as_wire()) {
            for proof in zone.proofs(name, Missing::Closer { wildcard }) {
                push_new(&mut self.authority, proof);
            }
        }
    }

    fn addresses(&mut self, zone: &Zone, name: &Name, set: SetRef<'_>) {
        zone.additional(name.as_wire(), set, |target, addresses| {
            if let Ok(target) = Name::from_wire(target) {
                push_new(&mut self.additional, addresses.to_rrset(target));
            }
            self.additional.len() < ADDITIONAL_SETS_MAX
        });
    }
}

/// Is the set new? One with the same owner and type is never added twice (RFC 2181 5).
fn push_new(section: &mut Vec<RrSet>, set: RrSet) -> bool {
    let is_new = !section.iter().any(|have| have.name == set.name && have.rtype == set.rtype);
    if is_new {
        section.push(set);
    }
    is_new
}

fn denial(zone: &Zone, soa: SetRef<'_>, name: &Name, missing: Missing<'_>) -> Vec<RrSet> {
    let mut denial = vec![soa.to_rrset(zone.apex().clone())];
    denial.extend(zone.proofs(name, missing));
    denial
}

/// RFC 4035 3.1.4. An unsigned zone has nothing that would prove its DS sets.
fn referral_proof(zone: &Zone, cut: &[u8], ds: Option<SetRef<'_>>) -> Vec<RrSet> {
    match (ds, Name::from_wire(cut)) {
        (Some(ds), Ok(cut)) if zone.is_signed() => vec![ds.to_rrset(cut)],
        (Some(_), _) => Vec::new(),
        (None, _) => zone.proofs_of_no_ds(cut),
    }
}

fn local_cut(zone: &Zone, cut: &[u8], ns: SetRef<'_>, ds: Option<SetRef<'_>>) -> Option<LocalCut> {
    let name = Name::from_wire(cut).ok()?;
    let glue = zone.glue(ns).filter_map(|(target, set)| Some(set.to_rrset(Name::from_wire(target).ok()?))).collect();
    Some(LocalCut { ns: ns.to_rrset(name.clone()), ds: ds.map(|ds| ds.to_rrset(name.clone())), zone: name, glue })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::zone::load_zone;

    const HEAD: &str = "$TTL 300\n@ SOA ns host 1 2 3 4 60\n@ NS ns\nns A 192.0.2.53\n";
    const SIGNED: &str = "@ RRSIG SOA 8 1 300 20300101000000 20200101000000 1 example. Zm9v\n";

    fn name(text: &str) -> Name {
        Name::parse(text).expect(text)
    }

    fn zone(apex: &str, text: &str) -> Arc<Zone> {
        let text = format!("{HEAD}{text}");
        let (zone, _) =
            load_zone(&name(apex), "test", &mut |_| Ok(text.clone().into_bytes())).unwrap_or_else(|problems| panic!("{problems:?}"));
        Arc::new(zone)
    }

    fn listed(sets: &[RrSet]) -> String {
        sets.iter().map(|set| format!("{} {}", set.name.to_string().trim_end_matches("example."), set.rtype)).collect::<Vec<_>>().join(", ")
    }

    /// RCODE, answer section, proofs or denial, and how it ends.
    fn said(zones: &Zones, question: &str, rtype: &str) -> String {
        let Some(said) = answer(zones, &Question::new(name(question), rtype.parse().expect(rtype)), 11) else { return "not here".into() };
        let end = match &said.end {
            End::Complete => String::new(),
            End::Outside(name) => format!(" outside {name}"),
            End::Delegated { cut, proof, .. } => format!(" below {} ({})", listed(std::slice::from_ref(&cut.ns)), listed(proof)),
            End::ChildApex { denial, .. } => format!(" child's side: {}", listed(denial)),
        };
        format!("{} [{}] [{}]{end}", said.rcode, listed(&said.answers), listed(&said.authority))
    }

    #[test]
    fn owners_of_nsec3_records_are_no_names() {
        let hash = "2vptu5timamqttgl4luu9kg21e0aor3s";
        let chain = format!(
            "{SIGNED}@ NSEC3PARAM 1 0 0 -\n{hash} NSEC3 1 0 0 - {hash} NS SOA\n{hash} RRSIG NSEC3 8 2 300 20300101000000 20200101000000 1 example. Zm9v\n"
        );
        let plain = Zones::new([zone("example.", &chain)], 1);
        let wild = Zones::new([zone("example.", &format!("{chain}* A 192.0.2.1\n"))], 1);
        let below = Zones::new([zone("example.", &format!("{chain}x.{hash} A 192.0.2.1\n"))], 1);
        let beside = Zones::new([zone("example.", &format!("{chain}{hash} A 192.0.2.1\n"))], 1);
        let owner = format!("{hash}.example.");
        for rtype in ["A", "NSEC3", "RRSIG", "ANY"] {
            assert_eq!(said(&plain, &owner, rtype), "NXDOMAIN [] [ SOA]", "{rtype}");
        }
        assert_eq!(said(&plain, &format!("x.{owner}"), "A"), "NXDOMAIN [] [ SOA]");
        assert_eq!(said(&wild, &owner, "A"), format!("NOERROR [{hash}. A] [{hash}. NSEC3]"));
        for zones in [&wild, &below, &beside] {
            assert_eq!(said(zones, &owner, "NSEC3"), "NOERROR [] [ SOA]");
        }
        assert_eq!(said(&beside, &owner, "A"), format!("NOERROR [{hash}. A] []"));
        assert_eq!(said(&beside, &owner, "RRSIG"), "NOERROR [] [ SOA]");
    }

    #[test]
    fn delegations_are_proved_in_signed_zones_only() {
        let cuts = "signed NS ns\nsigned DS 1 8 2 AA\nplain NS ns\n";
        let unsigned = Zones::new([zone("example.", cuts)], 1);
        assert_eq!(said(&unsigned, "x.signed.example.", "A"), "NOERROR [] [] below signed. NS ()");
        assert_eq!(said(&unsigned, "signed.example.", "DS"), "NOERROR [signed. DS] []");
        let chain = "@ NSEC plain NS SOA\nplain NSEC example. NS\n";
        let signed = Zones::new([zone("example.", &format!("{SIGNED}{cuts}{chain}"))], 1);
        assert_eq!(said(&signed, "x.signed.example.", "A"), "NOERROR [] [] below signed. NS (signed. DS)");
        assert_eq!(said(&signed, "x.plain.example.", "A"), "NOERROR [] [] below plain. NS (plain. NSEC)");
    }

    #[test]
    fn ds_at_an_apex_is_the_parents() {
        let child = zone("kid.example.", "alias CNAME @\n");
        let alone = Zones::new([child.clone()], 1);
        assert_eq!(said(&alone, "kid.example.", "DS"), "NOERROR [] [] child's side: kid. SOA");
        assert_eq!(said(&alone, "alias.kid.example.", "DS"), "NOERROR [alias.kid. CNAME] [] child's side: kid. SOA");
        let both = Zones::new([child, zone("example.", "kid NS ns.kid\nkid DS 1 8 2 AA\nns.kid A 192.0.2.1\n")], 1);
        assert_eq!(said(&both, "kid.example.", "DS"), "NOERROR [kid. DS] []");
        assert_eq!(said(&both, "alias.kid.example.", "DS"), "NOERROR [alias.kid. CNAME] [] child's side: kid. SOA");
    }

    #[test]
    fn aliases_are_followed_inside_the_zone() {
        let zones = Zones::new(
            [
                zone(
                    "example.",
                    "a CNAME b\nb CNAME c\nc A 192.0.2.1\ntocut CNAME x.sub\nsub NS ns.sub\nns.sub A 192.0.2.2\nout CNAME www.example.net.\n\
                     tokid CNAME www.kid\nkid NS ns\nloop1 CNAME loop2\nloop2 CNAME loop1\nmoved DNAME c\nx.c CNAME y.moved\ny.c A 192.0.2.3\n\
                     endless DNAME x.endless\n",
                ),
                zone("kid.example.", "www A 192.0.2.9\n"),
            ],
            1,
        );
        for (question, rtype, expected) in [
            ("a.example.", "A", "NOERROR [a. CNAME, b. CNAME, c. A] []"),
            ("a.example.", "MX", "NOERROR [a. CNAME, b. CNAME] [ SOA]"),
            ("a.example.", "CNAME", "NOERROR [a. CNAME] []"),
            ("tocut.example.", "A", "NOERROR [tocut. CNAME] [] below sub. NS ()"),
            ("out.example.", "A", "NOERROR [out. CNAME] [] outside www.example.net."),
            ("tokid.example.", "A", "NOERROR [tokid. CNAME] [] outside www.kid.example."),
            ("loop1.example.", "A", "NOERROR [loop1. CNAME, loop2. CNAME] []"),
            // A DNAME that is crossed twice is there once (RFC 2181 5).
            ("x.moved.example.", "A", "NOERROR [moved. DNAME, x.moved. CNAME, x.c. CNAME, y.moved. CNAME, y.c. A] []"),
            // The synthesised CNAME is the answer.
            ("x.moved.example.", "CNAME", "NOERROR [moved. DNAME, x.moved. CNAME] []"),
            ("a.endless.example.", "A", "NOERROR [endless. DNAME, a.endless. CNAME] []"),
        ] {
            assert_eq!(said(&zones, question, rtype), expected, "{question} {rtype}");
        }
    }
}
