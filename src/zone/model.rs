//! A slow model of look-ups, for tests: it applies RFC 1034 4.3.2 and RFC 4592 directly to a list of records, and shares no
//! code with the tables.

use proptest::prelude::*;

use super::lookup::Found;
use super::master::load_zone;
use crate::record::{Name, Rtype};

#[derive(Debug, PartialEq, Eq)]
enum Says {
    Answer(Vec<String>, Option<Name>),
    Cname(Option<Name>),
    Dname(Name),
    Referral(Name),
    NoData,
    NxDomain,
}

struct Model {
    apex: Name,
    records: Vec<(Name, Rtype, String)>,
}

impl Model {
    fn has(&self, name: &Name, rtype: Rtype) -> bool {
        self.records.iter().any(|(owner, have, _)| owner == name && *have == rtype)
    }

    fn exists(&self, name: &Name) -> bool {
        // RFC 5155 7.2.8.
        self.records.iter().any(|(owner, rtype, _)| *rtype != Rtype::NSEC3 && owner.is_within(name))
    }

    fn says(&self, name: &Name, rtype: Rtype) -> Says {
        for count in self.apex.label_count()..=name.label_count() {
            let here = name.suffix(count);
            let (at_apex, at_name) = (here == self.apex, here == *name);
            if !at_apex && self.has(&here, Rtype::NS) && !(at_name && rtype == Rtype::DS) {
                return Says::Referral(here);
            }
            if !at_name && self.has(&here, Rtype::DNAME) {
                return Says::Dname(here);
            }
            if !self.exists(&here) {
                let wildcard = name.suffix(count - 1).wildcard().expect("short");
                return if self.exists(&wildcard) { self.at(&wildcard, rtype, Some(wildcard.clone())) } else { Says::NxDomain };
            }
        }
        self.at(name, rtype, None)
    }

    fn at(&self, owner: &Name, rtype: Rtype, wildcard: Option<Name>) -> Says {
        let mut data: Vec<String> = self
            .records
            .iter()
            .filter(|(have, kind, _)| have == owner && *kind == rtype && rtype != Rtype::NSEC3)
            .map(|(_, _, data)| data.clone())
            .collect();
        data.sort();
        data.dedup();
        match data.is_empty() {
            false => Says::Answer(data, wildcard),
            true if self.has(owner, Rtype::CNAME) => Says::Cname(wildcard),
            true => Says::NoData,
        }
    }
}

fn said(found: Found<'_>) -> Says {
    let name = |wire: &[u8]| Name::from_wire(wire).expect("wire");
    match found {
        Found::Answer { set, wildcard } => {
            let mut data: Vec<String> = set.rdatas().map(|rdata| crate::record::rdata_to_text(set.rtype, rdata)).collect();
            data.sort();
            Says::Answer(data, wildcard.map(name))
        }
        Found::Cname { wildcard, .. } => Says::Cname(wildcard.map(name)),
        Found::Dname { owner, .. } => Says::Dname(name(owner)),
        Found::Referral { cut, .. } => Says::Referral(name(cut)),
        Found::NoData { .. } => Says::NoData,
        Found::NxDomain { .. } => Says::NxDomain,
    }
}

/// Few labels, so that names meet often: as owners, as ancestors, beside and below wildcards.
fn any_name() -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(&["a", "b", "*"][..]), 0..4)
        .prop_map(|labels| labels.iter().map(|label| format!("{label}.")).collect::<String>() + "zone.")
}

fn any_record() -> impl Strategy<Value = (String, &'static str, &'static str)> {
    let data = [
        ("A", "192.0.2.1"),
        ("A", "192.0.2.2"),
        ("TXT", "\"x\""),
        ("CNAME", "a.zone."),
        ("NS", "ns.other."),
        ("DNAME", "b.other."),
        ("DS", "1 8 2 AA"),
        ("NSEC3", "1 0 0 - 2VPTU5TIMAMQTTGL4LUU9KG21E0AOR3S A"),
    ];
    (any_name(), proptest::sample::select(data.to_vec())).prop_map(|(name, (rtype, data))| (name, rtype, data))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn look_up_agrees_with_the_model(
        given in proptest::collection::vec(any_record(), 0..12),
        questions in proptest::collection::vec((any_name(), proptest::sample::select(&["A", "TXT", "CNAME", "NS", "DS", "DNAME", "MX", "NSEC3"][..])), 20),
    ) {
        let apex = Name::parse("zone.").expect("apex");
        let mut model = Model { apex: apex.clone(), records: Vec::new() };
        let mut text = String::from("$TTL 60\n");
        let soa = ("zone.".to_string(), "SOA", "zone. zone. 1 2 3 4 5");
        for (owner, rtype, data) in std::iter::once(soa).chain(given) {
            let (name, kind): (Name, Rtype) = (Name::parse(&owner).expect("name"), rtype.parse().expect("type"));
            // What the loader refuses is left out.
            let aliased = model.has(&name, Rtype::CNAME) || kind == Rtype::CNAME && model.records.iter().any(|(have, _, _)| *have == name);
            if aliased || kind == Rtype::NS && name.is_wildcard() {
                continue;
            }
            text += &format!("{owner} {rtype} {data}\n");
            model.records.push((name, kind, data.to_string()));
        }
        let (zone, _) = load_zone(&apex, "test", &mut |_| Ok(text.clone().into_bytes())).expect(&text);
        for (question, rtype) in questions {
            let (name, kind): (Name, Rtype) = (Name::parse(&question).expect("name"), rtype.parse().expect("type"));
            prop_assert_eq!(said(zone.find(name.as_wire(), kind)), model.says(&name, kind), "{} {} in\n{}", question, rtype, text);
        }
    }
}
