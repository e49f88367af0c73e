//! Answers from one zone: RFC 1034 4.3.2 with the wildcards of RFC 4592 and the DNAME of RFC 6672.
//!
//! A name that exists, and that no cut or DNAME above it hides, is found with one probe. Otherwise the search goes down from
//! the apex, label by label, as in step 3 of the RFC. Nothing is allocated.

use super::shard::{CUT, HAS_DNAME, HAS_WILDCARD, HIDDEN, NSEC3_OWNER, NodeRef, SetRef};
use super::tree::Zone;
use crate::limits::zone::SERVICE_ALIASES_MAX;
use crate::record::{Name, Rtype, rdata_names};

/// Takes a set of the additional section; `false` ends the search.
type Each<'a, 'z> = &'a mut dyn FnMut(&'z [u8], SetRef<'z>) -> bool;

/// All possible results of a look-up. Names are lower-case wire form; `wildcard` is the owner (`*.…`) of the records that the
/// answer was synthesised from, which take the query name as owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'z> {
    Answer {
        set: SetRef<'z>,
        wildcard: Option<&'z [u8]>,
    },
    /// The name is an alias and another type was asked for.
    Cname {
        set: SetRef<'z>,
        wildcard: Option<&'z [u8]>,
    },
    /// A DNAME at an ancestor of the query name redirects it (`dname_target` makes the new name).
    Dname {
        set: SetRef<'z>,
        owner: &'z [u8],
    },
    /// The data lies in a zone below; addresses of its servers are in `Zone::glue`.
    Referral {
        cut: &'z [u8],
        ns: SetRef<'z>,
        ds: Option<SetRef<'z>>,
    },
    /// The name exists, the type does not. The TTL of `soa` is the negative TTL.
    NoData {
        soa: SetRef<'z>,
        wildcard: Option<&'z [u8]>,
    },
    NxDomain {
        soa: SetRef<'z>,
        /// The closest encloser (RFC 4592 3.3.1).
        encloser: &'z [u8],
    },
}

/// The name that the DNAME at `owner` turns `name` into; `None` where it gets too long (YXDOMAIN).
pub fn dname_target(name: &Name, owner: &[u8], set: SetRef<'_>) -> Option<Name> {
    let target = Name::from_wire(rdata_names(Rtype::DNAME, set.rdatas().next()?).next()?).ok()?;
    name.rebase(&Name::from_wire(owner).ok()?, &target)
}

impl Zone {
    /// `name` is a lower-case wire name, the apex or below it.
    pub fn find(&self, name: &[u8], rtype: Rtype) -> Found<'_> {
        match self.node(name) {
            Some(node) if !node.has(HIDDEN | NSEC3_OWNER) => self.at_node(node, rtype, None),
            _ => self.walk_down(name, rtype),
        }
    }

    fn walk_down(&self, name: &[u8], rtype: Rtype) -> Found<'_> {
        let mut encloser = None;
        for suffix in suffixes_down(name, self.apex.as_wire().len()) {
            let Some(node) = self.existing(suffix) else { break };
            if node.has(CUT) {
                return referral(node).unwrap_or_else(|| self.no_data(None));
            }
            if node.has(HAS_DNAME)
                && suffix.len() < name.len()
                && let Some(set) = node.set(Rtype::DNAME)
            {
                return Found::Dname { set, owner: node.name() };
            }
            encloser = Some(node);
        }
        match encloser {
            Some(node) if node.has(HAS_WILDCARD) && node.name().len() < name.len() => self.at_wildcard(node, rtype),
            node => Found::NxDomain { soa: self.negative_soa(), encloser: node.map_or(self.apex.as_wire(), NodeRef::name) },
        }
    }

    /// RFC 4592 3.3: the closest encloser's `*` is the source of synthesis.
    fn at_wildcard(&self, encloser: NodeRef<'_>, rtype: Rtype) -> Found<'_> {
        let mut wildcard = [0u8; 257];
        let len = 2 + encloser.name().len();
        wildcard[..2].copy_from_slice(b"\x01*");
        wildcard[2..len].copy_from_slice(encloser.name());
        match self.existing(&wildcard[..len]) {
            Some(node) => self.at_node(node, rtype, Some(node.name())),
            None => self.no_data(None),
        }
    }

    fn at_node<'z>(&'z self, node: NodeRef<'z>, rtype: Rtype, wildcard: Option<&'z [u8]>) -> Found<'z> {
        // RFC 4035 3.1.4.1: DS belongs to the parent's side of the cut, every other type to the child's.
        if node.has(CUT)
            && rtype != Rtype::DS
            && let Some(referral) = referral(node)
        {
            return referral;
        }
        match node.set(rtype) {
            Some(set) if rtype != Rtype::NSEC3 => Found::Answer { set, wildcard },
            _ => self.without_type(node, rtype, wildcard),
        }
    }

    fn without_type<'z>(&'z self, node: NodeRef<'z>, rtype: Rtype, wildcard: Option<&'z [u8]>) -> Found<'z> {
        let found = match rtype {
            // RFC 8482 4.1: one RRset is enough of an answer to ANY; section 7 extends that to RRSIG.
            Rtype::ANY => node.sets().find(|set| set.rtype != Rtype::NSEC3),
            Rtype::RRSIG => {
                node.sets().filter(|set| set.rtype != Rtype::NSEC3).map(SetRef::signatures_as_set).find(|set| set.rdatas().next().is_some())
            }
            _ => None,
        };
        if let Some(set) = found {
            return Found::Answer { set, wildcard };
        }
        match node.set(Rtype::CNAME) {
            // NSEC and RRSIG belong to the alias itself, not to its target (RFC 4035 2.5); BIND and Knot do the same.
            Some(_) if matches!(rtype, Rtype::NSEC | Rtype::RRSIG) => self.no_data(wildcard),
            Some(set) => Found::Cname { set, wildcard },
            None => self.no_data(wildcard),
        }
    }

    fn no_data<'z>(&'z self, wildcard: Option<&'z [u8]>) -> Found<'z> {
        Found::NoData { soa: self.negative_soa(), wildcard }
    }

    /// An RRset of the zone, even if a cut or a DNAME hides it.
    pub(super) fn held(&self, name: &[u8], rtype: Rtype) -> Option<SetRef<'_>> {
        self.node(name)?.set(rtype)
    }

    /// What RFC 1034 4.3.2 step 6 and RFC 9460 4.1 add for the names that `set` points to (NS, MX, SRV, SVCB …): authoritative
    /// addresses of this zone, and for servers glue. For SVCB and HTTPS, CNAMEs and AliasMode records are followed inside
    /// the zone. `each` gets the owner of a set as the record that led there spells it, and the set; it says whether to go on.
    pub fn additional<'z>(&'z self, owner: &'z [u8], set: SetRef<'z>, mut each: impl FnMut(&'z [u8], SetRef<'z>) -> bool) {
        if wants_addresses(set.rtype) {
            self.add_targets(owner, set, &mut SERVICE_ALIASES_MAX.clone(), &mut each);
        }
    }

    /// `false`: no more are wanted.
    fn add_targets<'z>(&'z self, owner: &'z [u8], set: SetRef<'z>, aliases_left: &mut usize, each: Each<'_, 'z>) -> bool {
        let is_service = matches!(set.rtype, Rtype::SVCB | Rtype::HTTPS);
        set.rdatas().all(|rdata| {
            let Some(mut target) = rdata_names(set.rtype, rdata).next() else { return true };
            let is_alias = is_service && rdata.starts_with(&[0, 0]);
            // RFC 9460 2.5.2: `.` in ServiceMode is the owner itself.
            if is_service && !is_alias && target == [0] {
                target = owner;
            }
            while is_service && *aliases_left > 0 {
                let Some(Found::Cname { set: cname, .. }) = find_target(self, target, Rtype::A) else { break };
                *aliases_left -= 1;
                let next = cname.rdatas().next().and_then(|rdata| rdata_names(Rtype::CNAME, rdata).next());
                let (Some(next), true) = (next, each(target, cname)) else { return false };
                target = next;
            }
            if is_alias
                && *aliases_left > 0
                && let Some(Found::Answer { set: service, .. }) = find_target(self, target, set.rtype)
            {
                *aliases_left -= 1;
                if !each(target, service) || !self.add_targets(target, service, aliases_left, each) {
                    return false;
                }
            }
            [Rtype::A, Rtype::AAAA].into_iter().all(|rtype| match find_target(self, target, rtype) {
                Some(Found::Answer { set, .. }) => each(target, set),
                // A root zone has its servers' addresses as glue alone, and priming asks for them (RFC 9609 4.2).
                Some(Found::Referral { .. }) if set.rtype == Rtype::NS => {
                    let glue = lower(target).and_then(|folded| self.held(&folded.0[..target.len()], rtype));
                    glue.is_none_or(|glue| each(target, glue))
                }
                Some(
                    Found::Referral { .. } | Found::Cname { .. } | Found::Dname { .. } | Found::NoData { .. } | Found::NxDomain { .. },
                )
                | None => true,
            })
        })
    }

    /// The addresses that this zone has for the servers of a delegation, authoritative data and glue alike: the target as the
    /// NS record has it, and the address RRset.
    pub fn glue<'z>(&'z self, ns: SetRef<'z>) -> impl Iterator<Item = (&'z [u8], SetRef<'z>)> {
        ns.rdatas()
            .filter_map(|target| Some((target, self.node(&lower(target)?.0[..target.len()])?)))
            .flat_map(|(target, node)| node.sets().filter(|set| set.rtype.is_address()).map(move |set| (target, set)))
    }
}

/// `None`: the name, spelled as in RDATA, is outside the zone.
fn find_target<'z>(zone: &'z Zone, target: &[u8], rtype: Rtype) -> Option<Found<'z>> {
    let folded = lower(target)?;
    let folded = &folded.0[..target.len()];
    within(folded, zone.apex.as_wire()).then(|| zone.find(folded, rtype))
}

fn wants_addresses(rtype: Rtype) -> bool {
    matches!(rtype, Rtype::NS | Rtype::MX | Rtype::SRV | Rtype::SVCB | Rtype::HTTPS | Rtype::KX | Rtype::AFSDB | Rtype::RT)
}

/// Whether the wire name `name` is the wire name `apex` or below it.
pub(super) fn within(name: &[u8], apex: &[u8]) -> bool {
    let mut rest = name;
    while rest.len() > apex.len() {
        let Some(above) = rest.first().and_then(|len| rest.get(1 + usize::from(*len)..)) else { return false };
        rest = above;
    }
    rest == apex
}

/// A name from RDATA in lower case, for look-ups; RDATA keeps letter case.
pub(super) struct Lower(pub(super) [u8; 255]);

pub(super) fn lower(name: &[u8]) -> Option<Lower> {
    let mut folded = [0; 255];
    folded.get_mut(..name.len())?.copy_from_slice(name);
    // Lower-casing the whole wire form is safe: a label length is below 64, and letters are above.
    folded[..name.len()].make_ascii_lowercase();
    Some(Lower(folded))
}

fn referral(node: NodeRef<'_>) -> Option<Found<'_>> {
    Some(Found::Referral { cut: node.name(), ns: node.set(Rtype::NS)?, ds: node.set(Rtype::DS) })
}

/// The suffixes of `name` from the apex (`apex_len` octets) down to the name itself.
fn suffixes_down(name: &[u8], apex_len: usize) -> impl Iterator<Item = &[u8]> {
    let mut starts = [0u8; 128];
    let (mut count, mut at) = (0, 0);
    while name.len() - at >= apex_len && count < starts.len() {
        // A name has at most 255 octets, so a label starts within the first 255.
        starts[count] = at as u8;
        count += 1;
        match name.get(at) {
            Some(len) if *len > 0 && at + 1 + usize::from(*len) < name.len().min(255) => at += 1 + usize::from(*len),
            _ => break,
        }
    }
    (0..count).rev().map(move |index| &name[usize::from(starts[index])..])
}

#[cfg(test)]
mod tests {
    use super::super::Zones;
    use super::super::master::load_zone;
    use super::*;
    use std::sync::Arc;

    fn name(text: &str) -> Name {
        Name::parse(text).expect(text)
    }

    fn zone(apex: &str, text: &str) -> Zone {
        let text: String = text.lines().map(|line| format!("{}\n", line.trim_start())).collect();
        let text = format!("$TTL 300\n@ 600 SOA ns host 1 7200 900 604800 60\n@ NS ns\nns A 192.0.2.53\n{text}");
        load_zone(&name(apex), "test", &mut |_| Ok(text.clone().into_bytes())).unwrap_or_else(|problems| panic!("{problems:?}")).0
    }

    fn show(wire: &[u8]) -> String {
        Name::from_wire(wire).expect("wire").to_string()
    }

    fn shown(found: Found<'_>) -> String {
        let by = |wildcard: Option<&[u8]>| wildcard.map(|owner| format!(" by {}", show(owner))).unwrap_or_default();
        match found {
            Found::Answer { set, wildcard } => format!("answer {set:?}{}", by(wildcard)),
            Found::Cname { set, wildcard } => format!("cname {set:?}{}", by(wildcard)),
            Found::Dname { set, owner } => format!("dname {} {set:?}", show(owner)),
            Found::Referral { cut, ns, ds } => format!("referral {} {ns:?}{}", show(cut), if ds.is_some() { " ds" } else { "" }),
            Found::NoData { soa, wildcard } => format!("nodata {}{}", soa.ttl, by(wildcard)),
            Found::NxDomain { soa, encloser } => format!("nxdomain {} {}", soa.ttl, show(encloser)),
        }
    }

    #[test]
    fn each_case_of_rfc_1034_4_3_2() {
        // The zone of RFC 4592 2.2.1, with aliases, a DNAME and a signed delegation added.
        let zone = zone(
            "example.",
            "*.example. TXT \"this is a wildcard\"
             *.example. MX 10 host1
             sub.*.example. TXT \"this is not a wildcard\"
             host1 A 192.0.2.1
             _ssh._tcp.host1 SRV 0 0 22 host1
             _ssh._tcp.host2 SRV 0 0 22 host2
             subdel NS ns.example.com.
             subdel NS ns.subdel
             ns.subdel A 192.0.2.2
             deep.ns.subdel A 192.0.2.3
             signed NS ns.example.com.
             signed DS 1 8 2 AA
             alias CNAME host1
             *.aliases CNAME host1
             moved DNAME new.example.org.
             moved A 192.0.2.4
             hidden.moved A 192.0.2.5
             both A 192.0.2.6
             both AAAA 2001:db8::1",
        );
        for (question, rtype, expected) in [
            ("example.", "SOA", "answer 600 SOA [ns.example. host.example. 1 7200 900 604800 60]"),
            ("example.", "NS", "answer 300 NS [ns.example.]"),
            ("example.", "A", "nodata 60"),
            ("example.", "DS", "nodata 60"),
            ("host1.example.", "A", "answer 300 A [192.0.2.1]"),
            ("both.example.", "ANY", "answer 300 A [192.0.2.6]"),
            // RFC 4592 2.2.1.
            ("host3.example.", "MX", "answer 300 MX [10 host1.example.] by *.example."),
            ("host3.example.", "A", "nodata 60 by *.example."),
            ("foo.bar.example.", "TXT", "answer 300 TXT [\"this is a wildcard\"] by *.example."),
            ("host1.example.", "MX", "nodata 60"),
            ("sub.*.example.", "MX", "nodata 60"),
            ("_telnet._tcp.host1.example.", "SRV", "nxdomain 60 _tcp.host1.example."),
            ("host.subdel.example.", "A", "referral subdel.example. 300 NS [ns.example.com.] [ns.subdel.example.]"),
            ("ghost.*.example.", "MX", "nxdomain 60 *.example."),
            ("*.example.", "MX", "answer 300 MX [10 host1.example.]"),
            // Empty non-terminals are names.
            ("_tcp.host1.example.", "A", "nodata 60"),
            ("host2.example.", "MX", "nodata 60"),
            ("x.host2.example.", "MX", "nxdomain 60 host2.example."),
            ("aliases.example.", "TXT", "nodata 60"),
            // Cuts.
            ("subdel.example.", "A", "referral subdel.example. 300 NS [ns.example.com.] [ns.subdel.example.]"),
            ("subdel.example.", "ANY", "referral subdel.example. 300 NS [ns.example.com.] [ns.subdel.example.]"),
            ("ns.subdel.example.", "A", "referral subdel.example. 300 NS [ns.example.com.] [ns.subdel.example.]"),
            ("deep.ns.subdel.example.", "A", "referral subdel.example. 300 NS [ns.example.com.] [ns.subdel.example.]"),
            ("ns.subdel.example.", "DS", "referral subdel.example. 300 NS [ns.example.com.] [ns.subdel.example.]"),
            ("subdel.example.", "DS", "nodata 60"),
            ("signed.example.", "DS", "answer 300 DS [1 8 2 AA]"),
            ("x.signed.example.", "A", "referral signed.example. 300 NS [ns.example.com.] ds"),
            // Aliases.
            ("alias.example.", "A", "cname 300 CNAME [host1.example.]"),
            ("alias.example.", "CNAME", "answer 300 CNAME [host1.example.]"),
            ("alias.example.", "NSEC", "nodata 60"),
            ("x.aliases.example.", "RRSIG", "nodata 60 by *.aliases.example."),
            ("alias.example.", "ANY", "answer 300 CNAME [host1.example.]"),
            ("x.aliases.example.", "A", "cname 300 CNAME [host1.example.] by *.aliases.example."),
            ("moved.example.", "A", "answer 300 A [192.0.2.4]"),
            ("moved.example.", "DNAME", "answer 300 DNAME [new.example.org.]"),
            ("x.moved.example.", "A", "dname moved.example. 300 DNAME [new.example.org.]"),
            ("hidden.moved.example.", "A", "dname moved.example. 300 DNAME [new.example.org.]"),
        ] {
            let found = zone.find(name(question).as_wire(), rtype.parse().expect(rtype));
            assert_eq!(shown(found), expected, "{question} {rtype}");
        }
    }

    #[test]
    fn glue_comes_from_the_zone_itself() {
        let zone = zone("example.", "sub NS NS.sub\nsub NS ns\nsub NS ns.other.\nns.sub A 192.0.2.2\nns.sub AAAA 2001:db8::2");
        let Found::Referral { ns, .. } = zone.find(name("www.sub.example.").as_wire(), Rtype::A) else { panic!("referral") };
        let glue: Vec<String> = zone.glue(ns).map(|(target, set)| format!("{} {set:?}", show(target))).collect();
        assert_eq!(glue, ["ns.sub.example. 300 A [192.0.2.2]", "ns.sub.example. 300 AAAA [2001:db8::2]", "ns.example. 300 A [192.0.2.53]"]);
    }

    #[test]
    fn signatures_stand_with_what_they_cover() {
        let sig = |rtype: &str, number: u16| format!("RRSIG {rtype} 8 2 300 20300101000000 20200101000000 {number} example. Zm9v");
        let zone = zone("example.", &format!("a A 192.0.2.1\na {}\na {}\nb {}", sig("A", 1), sig("A", 2), sig("MX", 3)));
        let Found::Answer { set, .. } = zone.find(name("a.example.").as_wire(), Rtype::A) else { panic!("answer") };
        assert_eq!((set.rdatas().count(), set.sigs().count()), (1, 2));
        for (question, count) in [("a.example.", 2), ("b.example.", 1)] {
            let Found::Answer { set, .. } = zone.find(name(question).as_wire(), Rtype::RRSIG) else { panic!("answer") };
            assert_eq!((set.rtype, set.rdatas().count()), (Rtype::RRSIG, count));
        }
        assert!(matches!(zone.find(name("b.example.").as_wire(), Rtype::MX), Found::NoData { .. }));
    }

    #[test]
    fn dname_makes_a_new_name() {
        let zone = zone("example.", "moved DNAME new.example.org.");
        let Found::Dname { set, owner } = zone.find(name("a.b.moved.example.").as_wire(), Rtype::A) else { panic!("dname") };
        assert_eq!(dname_target(&name("a.b.moved.example."), owner, set), Some(name("a.b.new.example.org.")));
        let long = format!("{}moved.example.", "abcdefg.".repeat(30));
        assert_eq!(dname_target(&name(&long), owner, set), None);
    }

    #[test]
    fn the_root_as_a_zone_and_long_names() {
        let zone = zone(".", "com NS a.gtld-servers.net.\n*.wild TXT x");
        assert_eq!(shown(zone.find(name("www.com.").as_wire(), Rtype::A)), "referral com. 300 NS [a.gtld-servers.net.]");
        assert_eq!(shown(zone.find(b"\0", Rtype::A)), "nodata 60");
        let deep = name(&format!("{}wild.", "a.".repeat(124)));
        assert_eq!(shown(zone.find(deep.as_wire(), Rtype::TXT)), "answer 300 TXT [\"x\"] by *.wild.");
        assert_eq!(shown(zone.find(name(&"a.".repeat(127)).as_wire(), Rtype::TXT)), "nxdomain 60 .");
    }

    #[test]
    fn the_servers_of_a_root_zone_come_with_their_glue() {
        let root = zone(".", "@ NS a.net.\n@ MX 1 a.net.\nnet NS a.net.\na.net A 192.0.2.3");
        for (rtype, expected) in [(Rtype::NS, &["a.net."][..]), (Rtype::MX, &[])] {
            let Found::Answer { set, .. } = root.find(b"\0", rtype) else { panic!("answer") };
            let mut seen = Vec::new();
            root.additional(b"\0", set, |target, _| {
                seen.push(show(target));
                true
            });
            seen.retain(|target| target.starts_with("a."));
            assert_eq!(seen, expected, "{rtype}");
        }
    }

    #[test]
    fn the_deepest_zone_answers() {
        let zones = Zones::new(
            [
                zone(
                    "example.",
                    "sub NS ns.sub\nsub DS 1 8 2 AA\nns.sub A 192.0.2.9\nmail MX 10 Host.SUB\nmail MX 5 ns\nmail MX 1 ns.other.",
                ),
                zone("sub.example.", "host A 192.0.2.7\nhost AAAA 2001:db8::7\nsvc HTTPS 1 . port=1\nsvc A 192.0.2.8\nhint HTTPS 0 host"),
            ]
            .map(Arc::new),
            7,
        );
        let apex_for = |question: &str, rtype| {
            zones.find_for(name(question).as_wire(), rtype).filter(|(_, is_child)| !is_child).map(|(zone, _)| zone.apex().to_string())
        };
        assert_eq!(apex_for("www.sub.example.", Rtype::A).as_deref(), Some("sub.example."));
        assert_eq!(apex_for("sub.example.", Rtype::A).as_deref(), Some("sub.example."));
        assert_eq!(apex_for("sub.example.", Rtype::DS).as_deref(), Some("example."));
        assert_eq!(apex_for("xsub.example.", Rtype::A).as_deref(), Some("example."));
        assert_eq!(apex_for("example.", Rtype::DS), None);
        assert_eq!(apex_for("example.org.", Rtype::A), None);

        let additional = |question: &str, rtype| {
            let owner = name(question);
            let zone = zones.find(owner.as_wire()).expect("hosted");
            let Found::Answer { set, .. } = zone.find(owner.as_wire(), rtype) else { panic!("answer") };
            let mut seen = Vec::new();
            zone.additional(owner.as_wire(), set, |target, set| {
                seen.push(format!("{} {set:?}", show(target)));
                true
            });
            seen
        };
        assert_eq!(additional("mail.example.", Rtype::MX), ["ns.example. 300 A [192.0.2.53]"], "neither glue nor other zones");
        assert_eq!(additional("svc.sub.example.", Rtype::HTTPS), ["svc.sub.example. 300 A [192.0.2.8]"]);
        assert_eq!(additional("svc.sub.example.", Rtype::A), Vec::<String>::new());

        let fewer = zones.without(name("sub.example.").as_wire());
        assert_eq!((fewer.len(), fewer.generation(), zones.len()), (1, 8, 2));
    }

    /// RFC 9460 4.1: in the zone, CNAMEs and AliasMode records are followed; endless ones end.
    #[test]
    fn targets_of_services_may_be_aliases() {
        let zone = zone(
            "example.",
            "host A 192.0.2.1\nhost HTTPS 1 .\ncname CNAME host\ncname2 CNAME cname\nout CNAME host.other.\nloop CNAME loop\n\
             s1 HTTPS 1 cname2\ns2 HTTPS 0 s1\ns3 HTTPS 0 cname\ns4 HTTPS 0 s4\ns5 HTTPS 1 loop\ns6 HTTPS 1 out\ns7 SVCB 0 s2\n\
             s8 HTTPS 0 s3\ns8 HTTPS 0 s2\ns9 HTTPS 1 host\nmx MX 1 cname",
        );
        let additional = |owner: &str, rtype| {
            let owner = name(&format!("{owner}.example."));
            let Found::Answer { set, .. } = zone.find(owner.as_wire(), rtype) else { panic!("answer") };
            let mut seen = Vec::new();
            zone.additional(owner.as_wire(), set, |target, set| {
                seen.push(format!("{} {}", show(target).trim_end_matches(".example."), set.rtype));
                true
            });
            seen.join(", ")
        };
        let endless = "s4 HTTPS, ".repeat(8);
        for (owner, rtype, expected) in [
            ("s1", Rtype::HTTPS, "cname2 CNAME, cname CNAME, host A"),
            ("s2", Rtype::HTTPS, "s1 HTTPS, cname2 CNAME, cname CNAME, host A"),
            ("s3", Rtype::HTTPS, "cname CNAME, host HTTPS, host A, host A"),
            ("s4", Rtype::HTTPS, endless.trim_end_matches(", ")),
            ("s6", Rtype::HTTPS, "out CNAME"),
            // Only records of the type that was asked go along.
            ("s7", Rtype::SVCB, ""),
            (
                "s8",
                Rtype::HTTPS,
                "s3 HTTPS, cname CNAME, host HTTPS, host A, host A, s2 HTTPS, s1 HTTPS, cname2 CNAME, cname CNAME, host A",
            ),
            ("s9", Rtype::HTTPS, "host A"),
            // RFC 2181 10.3: the target of MX is no alias.
            ("mx", Rtype::MX, ""),
        ] {
            assert_eq!(additional(owner, rtype), expected, "{owner}");
        }
        assert!(additional("s5", Rtype::HTTPS).split(", ").count() <= SERVICE_ALIASES_MAX);
    }
}
