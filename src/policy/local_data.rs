//! Names that the administrator answers for with `local-data` and `hosts-file`, for clients in `allow`.
//!
//! A name that is listed has no other records than the listed ones. Names beside and below it are not concerned, unless a
//! wildcard is listed for them (RFC 4592). Each address has a PTR record made for it, which counts only where neither the
//! list nor a hosted zone says otherwise.

use std::collections::HashMap;

use foldhash::quality::RandomState;

use crate::record::{Name, Question, RrSet, Rtype, reverse_name};

/// TTL of the SOA record that a denial of a type is given with, and so of that denial (RFC 2308 5).
const DENIAL_TTL_S: u32 = 300;

#[derive(Default)]
pub struct LocalData {
    listed: HashMap<Box<[u8]>, Vec<RrSet>, RandomState>,
    /// By the name of the address (RFC 1035 3.5, RFC 3596 2.5).
    made: HashMap<Box<[u8]>, RrSet, RandomState>,
    has_wildcards: bool,
}

/// What is listed for a question.
#[derive(Clone, Debug, PartialEq)]
pub enum LocalFound {
    Sets(Vec<RrSet>),
    /// The name is listed with CNAME alone, and the question is for another type.
    Alias {
        set: RrSet,
        target: Name,
    },
    /// The name is listed without the type.
    NoData {
        soa: RrSet,
    },
}

impl LocalData {
    /// The first set of a name and type counts, and a name's first PTR.
    pub fn new(sets: &[RrSet]) -> LocalData {
        let mut data = LocalData::default();
        for set in sets {
            let listed = data.listed.entry(set.name.as_wire().into()).or_default();
            if !listed.iter().any(|have| have.rtype == set.rtype) {
                listed.push(set.clone());
            }
            data.has_wildcards |= set.name.is_wildcard();
            if set.name.is_wildcard() {
                continue;
            }
            for address in set.addresses().filter(|address| !address.is_unspecified()) {
                if let Some(reverse) = reverse_name(address) {
                    let ptr = || RrSet::with(reverse.clone(), Rtype::PTR, set.ttl, set.name.as_wire());
                    data.made.entry(reverse.as_wire().into()).or_insert_with(ptr);
                }
            }
        }
        data
    }

    /// Whether nothing is listed at all.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// What is listed for the question's name; `None` where nothing is.
    pub fn find(&self, question: &Question) -> Option<LocalFound> {
        if self.listed.is_empty() {
            return None;
        }
        let name = &question.name;
        let sets = match self.listed.get(name.as_wire()) {
            Some(sets) => sets,
            None => self.wildcard(name)?,
        };
        Some(found(question, sets))
    }

    /// The PTR record that was made for an address, where the question is for its name.
    pub fn find_made(&self, question: &Question) -> Option<LocalFound> {
        let set = self.made.get(question.name.as_wire())?;
        Some(found(question, std::slice::from_ref(set)))
    }

    /// Whether this data has something to say about the question, or would have if nobody else had.
    pub fn concerns(&self, question: &Question) -> bool {
        self.has(&question.name) || self.made.contains_key(question.name.as_wire())
    }

    /// Is there anything for this very name, or a wildcard for it?
    pub fn has(&self, name: &Name) -> bool {
        !self.listed.is_empty() && (self.listed.contains_key(name.as_wire()) || self.wildcard(name).is_some())
    }

    /// RFC 4592 3.3.1: of the closest listed name above only.
    fn wildcard(&self, name: &Name) -> Option<&Vec<RrSet>> {
        if !self.has_wildcards {
            return None;
        }
        let mut above = name.parent();
        while let Some(encloser) = above {
            if let Some(sets) = encloser.wildcard().and_then(|wildcard| self.listed.get(wildcard.as_wire())) {
                return Some(sets);
            }
            if self.listed.contains_key(encloser.as_wire()) {
                return None;
            }
            above = encloser.parent();
        }
        None
    }
}

fn found(question: &Question, sets: &[RrSet]) -> LocalFound {
    let at_name = |set: &RrSet| RrSet { name: question.name.clone(), ..set.clone() };
    let asked = |set: &&RrSet| set.rtype == question.rtype || question.rtype == Rtype::ANY;
    let fitting: Vec<RrSet> = sets.iter().filter(asked).map(at_name).collect();
    if !fitting.is_empty() {
        return LocalFound::Sets(fitting);
    }
    let alias = sets.iter().find(|set| set.rtype == Rtype::CNAME).map(at_name);
    match alias.and_then(|set| Some((set.target()?, set))) {
        Some((target, set)) => LocalFound::Alias { set, target },
        None => LocalFound::NoData { soa: denial_soa(&question.name, DENIAL_TTL_S) },
    }
}

/// RFC 2308 3: without it nobody may keep the denial.
pub fn denial_soa(name: &Name, ttl: u32) -> RrSet {
    let mut rdata = name.as_wire().to_vec();
    rdata.extend_from_slice(b"\x06nobody\x07invalid\0");
    for number in [1, 3_600, 1_200, 604_800, ttl] {
        rdata.extend_from_slice(&number.to_be_bytes());
    }
    RrSet::with(name.clone(), Rtype::SOA, ttl, &rdata)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).expect(text)
    }

    fn data() -> LocalData {
        let a = |owner: &str, last: u8| RrSet::with(name(owner), Rtype::A, 300, &[192, 0, 2, last]);
        LocalData::new(&[
            a("nas.lan.", 7),
            a("also.lan.", 7),
            a("*.dev.lan.", 8),
            a("real.dev.lan.", 9),
            RrSet::with(name("www.lan."), Rtype::CNAME, 300, b"\x03nas\x03lan\0"),
            RrSet::with(name("six.lan."), Rtype::AAAA, 300, &"2001:db8::1".parse::<std::net::Ipv6Addr>().expect("an address").octets()),
        ])
    }

    fn told(found: Option<LocalFound>) -> String {
        match found {
            None => "-".to_owned(),
            Some(LocalFound::Sets(sets)) => sets.iter().map(|set| format!("{} {}", set.name, set.rtype)).collect::<Vec<_>>().join(", "),
            Some(LocalFound::Alias { target, .. }) => format!("alias of {target}"),
            Some(LocalFound::NoData { soa }) => format!("no data, SOA {}", soa.name),
        }
    }

    #[test]
    fn listed_names_have_what_is_listed_and_nothing_else() {
        let data = data();
        for (question, rtype, expected) in [
            ("nas.lan.", Rtype::A, "nas.lan. A"),
            ("nas.lan.", Rtype::ANY, "nas.lan. A"),
            ("nas.lan.", Rtype::AAAA, "no data, SOA nas.lan."),
            ("lan.", Rtype::A, "-"),
            ("beside.lan.", Rtype::A, "-"),
            ("below.nas.lan.", Rtype::A, "-"),
            ("www.lan.", Rtype::A, "alias of nas.lan."),
            ("www.lan.", Rtype::CNAME, "www.lan. CNAME"),
            ("x.dev.lan.", Rtype::A, "x.dev.lan. A"),
            ("x.y.dev.lan.", Rtype::A, "x.y.dev.lan. A"),
            ("dev.lan.", Rtype::A, "-"),
            ("real.dev.lan.", Rtype::A, "real.dev.lan. A"),
            ("x.real.dev.lan.", Rtype::A, "-"),
        ] {
            assert_eq!(told(data.find(&Question::new(name(question), rtype))), expected, "{question} {rtype}");
        }
    }

    #[test]
    fn addresses_have_a_ptr_record() {
        let data = data();
        let ptr = |question: &str| match data.find_made(&Question::new(name(question), Rtype::PTR)) {
            Some(LocalFound::Sets(sets)) => sets[0].target().map(|target| target.to_string()),
            other => other.map(|other| format!("{other:?}")),
        };
        assert_eq!(ptr("7.2.0.192.in-addr.arpa.").as_deref(), Some("nas.lan."), "the first name that is listed");
        assert_eq!(ptr("8.2.0.192.in-addr.arpa."), None, "a wildcard is no name of an address");
        let six = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.";
        assert_eq!(ptr(six).as_deref(), Some("six.lan."));
    }
}
