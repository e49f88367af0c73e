//! A zone as a plain map, and what RFC 1034 4.3.2 (with RFC 4592 wildcards and RFC 6672 DNAME) says it holds.

use std::collections::BTreeMap;

use cairn::record::{Name, Rtype};

use super::record::Rr;

#[derive(Clone)]
pub struct Zone {
    pub apex: Name,
    /// Of the NS sets and server addresses that are made up here.
    pub ttl: u32,
    /// It has keys and signatures, and its parent has the DS record.
    pub signed: bool,
    nodes: BTreeMap<Name, BTreeMap<Rtype, Vec<Rr>>>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    Records(Vec<Rr>),
    /// CNAME, or DNAME with the CNAME made from it; no target where the new name would be too long.
    Alias(Vec<Rr>, Option<Name>),
    /// The NS set of a cut below the apex.
    Referral(Vec<Rr>),
    NoData,
    NoName,
}

impl Zone {
    pub fn new(apex: &Name) -> Zone {
        Zone { apex: apex.clone(), ttl: 86_400, signed: false, nodes: BTreeMap::new() }
    }

    pub fn add(&mut self, rr: Rr) {
        assert!(rr.name.is_within(&self.apex), "{rr} is not in the zone {}", self.apex);
        let set = self.nodes.entry(rr.name.clone()).or_default().entry(rr.rtype).or_default();
        if !set.iter().any(|have| have.same(&rr)) {
            set.push(rr);
        }
    }

    pub fn remove(&mut self, name: &Name, rtype: Rtype) {
        if let Some(node) = self.nodes.get_mut(name) {
            node.remove(&rtype);
            if node.is_empty() {
                self.nodes.remove(name);
            }
        }
    }

    pub fn set(&self, name: &Name, rtype: Rtype) -> &[Rr] {
        self.nodes.get(name).and_then(|node| node.get(&rtype)).map_or(&[], Vec::as_slice)
    }

    pub fn soa(&self) -> Option<&Rr> {
        self.set(&self.apex, Rtype::SOA).first()
    }

    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.nodes.keys()
    }

    pub fn records(&self) -> impl Iterator<Item = &Rr> {
        self.nodes.values().flat_map(|node| node.values().flatten())
    }

    pub fn types(&self, name: &Name) -> impl Iterator<Item = Rtype> {
        self.nodes.get(name).into_iter().flat_map(|node| node.keys().copied())
    }

    pub fn is_cut(&self, name: &Name) -> bool {
        *name != self.apex && !self.set(name, Rtype::NS).is_empty()
    }

    pub fn is_below_cut(&self, name: &Name) -> bool {
        (self.apex.label_count()..name.label_count()).any(|depth| self.is_cut(&name.suffix(depth)))
    }

    /// The NSEC record that matches this name, or covers it where it does not exist.
    pub fn nsec_for(&self, name: &Name) -> Option<&Rr> {
        self.nodes.range(..=name.clone()).rev().find_map(|(_, node)| node.get(&Rtype::NSEC)).and_then(|set| set.first())
    }

    pub fn wildcard_for(&self, name: &Name) -> Option<Name> {
        let closest = (0..name.label_count()).rev().map(|depth| name.suffix(depth)).find(|above| self.exists(above));
        closest.filter(|above| above.is_within(&self.apex)).and_then(|above| above.wildcard())
    }

    /// Whose signature stands over this set of the zone: its owner's own, or that of the wildcard it is made from.
    pub fn source_of(&self, name: &Name, rtype: Rtype) -> Option<Name> {
        let delegates = self.is_below_cut(name) || self.is_cut(name) && !matches!(rtype, Rtype::DS | Rtype::NSEC);
        let own = if self.exists(name) { Some(name.clone()) } else { self.wildcard_for(name) };
        own.filter(|own| !delegates && !self.set(own, rtype).is_empty())
    }

    /// The name owns records, or stands above one that does (an empty non-terminal).
    pub fn exists(&self, name: &Name) -> bool {
        *name == self.apex || self.nodes.range(name.clone()..).next().is_some_and(|(next, _)| next.is_within(name))
    }

    pub fn look_up(&self, name: &Name, rtype: Rtype) -> Found {
        for depth in self.apex.label_count()..=name.label_count() {
            let here = name.suffix(depth);
            if here != self.apex && !self.set(&here, Rtype::NS).is_empty() && !(here == *name && rtype == Rtype::DS) {
                return Found::Referral(self.set(&here, Rtype::NS).to_vec());
            }
            if here != *name
                && let [dname] = self.set(&here, Rtype::DNAME)
            {
                return through_dname(dname, name);
            }
        }
        if self.exists(name) {
            return self.at(name, name, rtype);
        }
        match self.wildcard_for(name) {
            Some(wildcard) if self.exists(&wildcard) => self.at(&wildcard, name, rtype),
            _ => Found::NoName,
        }
    }

    /// The records of `owner`, given with `name` as their owner (they differ for wildcards).
    fn at(&self, owner: &Name, name: &Name, rtype: Rtype) -> Found {
        let told = |set: &[Rr]| set.iter().map(|rr| Rr { name: name.clone(), ..rr.clone() }).collect::<Vec<_>>();
        let Some(node) = self.nodes.get(owner) else { return Found::NoData };
        if rtype == Rtype::ANY {
            return Found::Records(node.values().flat_map(|set| told(set)).collect());
        }
        match (node.get(&rtype), node.get(&Rtype::CNAME)) {
            (Some(set), _) => Found::Records(told(set)),
            (None, Some(alias)) => Found::Alias(told(alias), alias[0].target()),
            (None, None) => Found::NoData,
        }
    }
}

fn through_dname(dname: &Rr, name: &Name) -> Found {
    let target = dname.target().and_then(|to| name.rebase(&dname.name, &to));
    let made = target.iter().map(|to| Rr::new(name, Rtype::CNAME, dname.ttl, to.as_wire().to_vec()));
    Found::Alias(std::iter::once(dname.clone()).chain(made).collect(), target.clone())
}

#[test]
fn look_up_knows_cuts_wildcards_and_empty_names() {
    let name = |text: &str| Name::parse(text).unwrap();
    let mut zone = Zone::new(&name("example."));
    for line in [
        "example. SOA . . 1 1 1 1 1",
        "example. NS ns.example.",
        "*.w.example. A 192.0.2.1",
        "x.ent.example. A 192.0.2.2",
        "sub.example. NS ns.sub.example.",
        "ns.sub.example. A 192.0.2.3",
        "d.example. DNAME other.",
        "c.example. CNAME x.other.",
    ] {
        zone.add(Rr::parse(line));
    }
    let words = [
        ("a.w.example.", Rtype::A, "Records([a.w.example. 3600 IN A 192.0.2.1])"),
        ("a.w.example.", Rtype::MX, "NoData"),
        ("w.example.", Rtype::A, "NoData"),
        ("ent.example.", Rtype::A, "NoData"),
        ("y.ent.example.", Rtype::A, "NoName"),
        ("a.sub.example.", Rtype::A, "Referral([sub.example. 3600 IN NS ns.sub.example.])"),
        ("sub.example.", Rtype::DS, "NoData"),
        ("d.example.", Rtype::A, "NoData"),
        ("a.d.example.", Rtype::A, "Alias([d.example. 3600 IN DNAME other., a.d.example. 3600 IN CNAME a.other.], Some(a.other.))"),
        ("c.example.", Rtype::A, "Alias([c.example. 3600 IN CNAME x.other.], Some(x.other.))"),
    ];
    for (text, rtype, expected) in words {
        assert_eq!(format!("{:?}", zone.look_up(&name(text), rtype)), expected, "{text}");
    }
}
