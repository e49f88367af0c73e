//! Denial by NSEC (RFC 4035 5.4, RFC 6840 4).
//!
//! A record is usable only if its owner and its next name both lie in the zone that signed it, and if it was not synthesised
//! from a wildcard (RFC 4035 5.4: the label count of the owner and that of the RRSIG agree).

use super::bitmap::TypeBitmap;
use super::proof::{Found, ProofKind, next_closer, no_ds_at};
use crate::record::{Name, RrSet, Rtype};

pub(super) struct Nsec {
    owner: Name,
    next: Name,
    types: TypeBitmap,
}

impl Nsec {
    pub(super) fn read(set: &RrSet, zone: &Name) -> Option<Nsec> {
        let mut all = set.data.iter();
        // A name has one NSEC record (RFC 4034 4); if there are several, it is not known which one is meant.
        let (rdata, None) = (all.next()?, all.next()) else { return None };
        let (next, used) = Name::from_wire_prefix(rdata).ok()?;
        if !set.name.is_within(zone) || !next.is_within(zone) {
            return None;
        }
        Some(Nsec { owner: set.name.clone(), next, types: TypeBitmap::read(rdata.get(used..)?)? })
    }

    pub(super) fn types(&self) -> &TypeBitmap {
        &self.types
    }

    fn covers(&self, name: &Name, zone: &Name) -> bool {
        let before_next = self.next == *zone || (self.owner < self.next && *name < self.next);
        self.owner < *name && before_next
    }

    /// `name` does not exist and nothing exists below it: it falls into the gap and is no empty non-terminal.
    pub(super) fn denies(&self, name: &Name, zone: &Name) -> bool {
        name.is_within(zone) && self.covers(name, zone) && !self.is_ancestor_side(name) && !self.next.is_within(name)
    }

    /// The name exists without data of its own, because the next name lies below it (RFC 4035 5.4).
    fn shows_empty_non_terminal(&self, name: &Name, zone: &Name) -> bool {
        name.is_within(zone) && self.covers(name, zone) && !self.is_ancestor_side(name) && self.next.is_below(name)
    }

    /// RFC 6840 4.1: the parent's record at a cut, or one with the DNAME bit, proves nothing about names below.
    fn is_ancestor_side(&self, name: &Name) -> bool {
        name.is_below(&self.owner) && self.types.is_silent_below()
    }

    /// The longest ancestor of `name` that this record proves to exist.
    pub(super) fn closest_encloser(&self, name: &Name) -> Name {
        name.suffix(name.common_labels(&self.owner).max(name.common_labels(&self.next)))
    }
}

/// All NSEC records of one reply.
pub(super) struct NsecProof<'a> {
    pub(super) zone: &'a Name,
    pub(super) records: &'a [Nsec],
}

impl NsecProof<'_> {
    /// RFC 4035 5.4: neither the name exists nor a wildcard that would match it.
    pub(super) fn name_error(&self, qname: &Name) -> Option<Found> {
        let closest_encloser = self.denier(qname)?.closest_encloser(qname);
        self.denier(&closest_encloser.wildcard()?)?;
        Some(Found::sure(ProofKind::NameError { closest_encloser }))
    }

    pub(super) fn no_data(&self, qname: &Name, qtype: Rtype) -> Option<Found> {
        if let Some(own) = self.at(qname) {
            return own.types.denies(qname, qtype).then(|| Found::sure(ProofKind::NoData));
        }
        if self.records.iter().any(|nsec| nsec.shows_empty_non_terminal(qname, self.zone)) {
            return Some(Found::sure(ProofKind::EmptyNonTerminal));
        }
        let closest_encloser = self.denier(qname)?.closest_encloser(qname);
        let wildcard = closest_encloser.wildcard()?;
        let nothing_there = match self.at(&wildcard) {
            Some(nsec) => nsec.types.denies(&wildcard, qtype),
            None => self.records.iter().any(|nsec| nsec.shows_empty_non_terminal(&wildcard, self.zone)),
        };
        nothing_there.then(|| Found::sure(ProofKind::WildcardNoData { closest_encloser }))
    }

    /// RFC 4035 5.3.4: no name exists that is closer to the query name than the wildcard's parent.
    pub(super) fn no_closer_name(&self, qname: &Name, closest_encloser: &Name) -> Option<Found> {
        let next_closer = next_closer(qname, closest_encloser)?;
        self.denier(&next_closer).map(|_| Found::sure(ProofKind::NoCloserName))
    }

    /// RFC 4035 5.2: the delegation has no DS, or there is no delegation.
    pub(super) fn no_ds(&self, name: &Name) -> Option<Found> {
        if let Some(own) = self.at(name) {
            return no_ds_at(&own.types).map(Found::sure);
        }
        // A name that does not exist, or that has no types of its own, is no cut, whatever a wildcard has.
        let gone = self.records.iter().any(|nsec| nsec.denies(name, self.zone) || nsec.shows_empty_non_terminal(name, self.zone));
        gone.then(|| Found::sure(ProofKind::NoCut))
    }

    fn at(&self, name: &Name) -> Option<&Nsec> {
        self.records.iter().find(|nsec| nsec.owner == *name)
    }

    fn denier(&self, name: &Name) -> Option<&Nsec> {
        self.records.iter().find(|nsec| nsec.denies(name, self.zone))
    }
}

#[cfg(test)]
mod tests {
    use super::super::bitmap::bitmap_of;
    use super::*;
    use Rtype as T;

    fn name(text: &str) -> Name {
        Name::parse(text).expect(text)
    }

    fn set(owner: &str, next: &str, types: &[Rtype]) -> RrSet {
        RrSet::with(name(owner), T::NSEC, 60, &[name(next).as_wire(), &bitmap_of(types)].concat())
    }

    /// The zone of RFC 4035 appendix A.
    fn example() -> Vec<Nsec> {
        [
            set("example.", "a.example.", &[T::NS, T::SOA, T::MX, T::RRSIG, T::NSEC, T::DNSKEY]),
            set("a.example.", "ai.example.", &[T::NS, T::DS, T::RRSIG, T::NSEC]),
            set("ai.example.", "b.example.", &[T::A, T::HINFO, T::AAAA, T::RRSIG, T::NSEC]),
            set("b.example.", "ns1.example.", &[T::NS, T::RRSIG, T::NSEC]),
            set("ns1.example.", "ns2.example.", &[T::A, T::RRSIG, T::NSEC]),
            set("ns2.example.", "*.w.example.", &[T::A, T::RRSIG, T::NSEC]),
            set("*.w.example.", "x.w.example.", &[T::MX, T::RRSIG, T::NSEC]),
            set("x.w.example.", "x.y.w.example.", &[T::MX, T::RRSIG, T::NSEC]),
            set("x.y.w.example.", "xx.example.", &[T::MX, T::RRSIG, T::NSEC]),
            set("xx.example.", "example.", &[T::A, T::HINFO, T::AAAA, T::RRSIG, T::NSEC]),
        ]
        .iter()
        .map(|set| Nsec::read(set, &name("example.")).expect("usable"))
        .collect()
    }

    fn kind(found: Option<Found>) -> Option<ProofKind> {
        found.map(|found| found.kind)
    }

    #[test]
    fn the_answers_of_rfc_4035_appendix_b() {
        let (zone, records) = (name("example."), example());
        let proof = NsecProof { zone: &zone, records: &records };
        let name_error = |ce: &str| Some(ProofKind::NameError { closest_encloser: name(ce) });
        let rows = [
            ("B.2", kind(proof.name_error(&name("ml.example."))), name_error("example.")),
            ("name error", kind(proof.name_error(&name("nn.example."))), name_error("example.")),
            ("after the last", kind(proof.name_error(&name("zz.example."))), name_error("example.")),
            ("wildcard applies", kind(proof.name_error(&name("a.z.w.example."))), None),
            ("B.3", kind(proof.no_data(&name("ns1.example."), T::MX)), Some(ProofKind::NoData)),
            ("type is there", kind(proof.no_data(&name("ns1.example."), T::A)), None),
            ("ENT", kind(proof.no_data(&name("y.w.example."), T::A)), Some(ProofKind::EmptyNonTerminal)),
            ("ENT is no name error", kind(proof.name_error(&name("y.w.example."))), None),
            (
                "B.7",
                kind(proof.no_data(&name("a.z.w.example."), T::AAAA)),
                Some(ProofKind::WildcardNoData { closest_encloser: name("w.example.") }),
            ),
            ("B.7, type is there", kind(proof.no_data(&name("a.z.w.example."), T::MX)), None),
            ("B.6", kind(proof.no_closer_name(&name("a.z.w.example."), &name("w.example."))), Some(ProofKind::NoCloserName)),
            ("wildcard over an existing name", kind(proof.no_closer_name(&name("x.w.example."), &name("w.example."))), None),
            ("wildcard over an ENT", kind(proof.no_closer_name(&name("q.y.w.example."), &name("w.example."))), None),
            ("B.8", kind(proof.no_data(&name("example."), T::DS)), None),
            ("B.5", kind(proof.no_ds(&name("b.example."))), Some(ProofKind::InsecureDelegation)),
            ("DS is there", kind(proof.no_ds(&name("a.example."))), None),
            ("no cut", kind(proof.no_ds(&name("ns1.example."))), Some(ProofKind::NoCut)),
            ("no cut at an ENT", kind(proof.no_ds(&name("y.w.example."))), Some(ProofKind::NoCut)),
            ("child's side", kind(proof.no_ds(&name("example."))), None),
            ("parent's side for the child's data", kind(proof.no_data(&name("b.example."), T::A)), None),
            ("parent's side for names below", kind(proof.name_error(&name("x.b.example."))), None),
            ("outside", kind(proof.name_error(&name("other."))), None),
        ];
        for (what, found, expected) in rows {
            assert_eq!(found, expected, "{what}");
        }
    }

    #[test]
    fn records_that_cannot_be_used() {
        let zone = name("example.");
        let bad = [
            ("next outside", set("z.example.", "a.other.", &[T::A])),
            ("next above", set("z.example.", ".", &[T::A])),
            ("owner outside", set("z.other.", "example.", &[T::A])),
            ("no bitmap framing", RrSet::with(name("a.example."), T::NSEC, 60, b"\x07example\x00\x00")),
            ("no next", RrSet::with(name("a.example."), T::NSEC, 60, b"\x07exam")),
        ];
        for (what, set) in bad {
            assert!(Nsec::read(&set, &zone).is_none(), "{what}");
        }
        let mut two = set("a.example.", "b.example.", &[T::A]);
        two.data.push(set("a.example.", "example.", &[T::A]).data.first().expect("one"));
        assert!(Nsec::read(&two, &zone).is_none(), "two records");
    }

    #[test]
    fn gaps_that_run_backwards_or_hide_a_dname() {
        let zone = name("example.");
        let read = |set: RrSet| Nsec::read(&set, &zone).expect("usable");
        let backwards = read(set("m.example.", "c.example.", &[T::A]));
        assert!(!backwards.denies(&name("z.example."), &zone));
        assert!(!backwards.denies(&name("d.example."), &zone));
        let dname = read(set("d.example.", "e.example.", &[T::DNAME]));
        assert!(!dname.denies(&name("x.d.example."), &zone));
        assert!(dname.denies(&name("dd.example."), &zone));
        // A cut that pretends to stand above names of its own zone.
        let cut = [read(set("cut.example.", "a.b.cut.example.", &[T::NS]))];
        let proof = NsecProof { zone: &zone, records: &cut };
        assert_eq!(proof.no_data(&name("b.cut.example."), T::A), None);
        let alone = read(set("example.", "example.", &[T::SOA, T::NS]));
        assert!(alone.denies(&name("x.example."), &zone) && !alone.denies(&zone, &zone));
    }
}
