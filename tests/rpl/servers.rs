//! Every address of a scenario's internet: answers from the entries of the ranges that hold in the current step.
//!
//! So that a scenario does not depend on the query pattern of the resolver it was written for, what no entry foresees
//! gets, in this order: a priming answer at a root address; the address of a name server that the scenario knows only
//! as glue; the delegation that the same server gives for another name under the same cut; else SERVFAIL. An address
//! that answers in other steps only is dead.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use cairn::record::{Name, Rcode, Rtype};

use super::scenario::{Entry, Scenario};
use crate::sim::internet::{Arrival, Behind, Link, Reply};
use crate::sim::packet::{AA, Asked, Edns, Packet, QR, TC};
use crate::sim::record::Rr;

pub struct Servers {
    pub scenario: Rc<Scenario>,
    pub step: Cell<u32>,
    /// Queries that wait for a step to answer them.
    pub waiting: RefCell<Vec<(Packet, bool, Reply)>>,
    /// Queries so far.
    pub traffic: Cell<u64>,
    hosts: Hosts,
}

impl Servers {
    pub fn new(scenario: Rc<Scenario>) -> Servers {
        let step = Cell::new(scenario.steps[0].number);
        let hosts = Hosts::new(&scenario);
        Servers { scenario, step, waiting: RefCell::default(), traffic: Cell::new(0), hosts }
    }

    fn entries(&self, to: IpAddr) -> impl Iterator<Item = &Entry> {
        let step = self.step.get();
        let live = move |range: &&super::scenario::Range| {
            (range.addresses.is_empty() || range.addresses.contains(&to)) && (range.from..=range.to).contains(&step)
        };
        self.scenario.ranges.iter().filter(live).flat_map(|range| &range.entries)
    }

    fn is_live(&self, to: IpAddr) -> bool {
        let step = self.step.get();
        let holds = |range: &super::scenario::Range| {
            (range.addresses.is_empty() || range.addresses.contains(&to)) && (range.from..=range.to).contains(&step)
        };
        self.scenario.ranges.is_empty() || self.scenario.ranges.iter().any(holds)
    }

    /// Will a later step answer this query?
    fn is_scripted(&self, query: &Packet, tcp: bool) -> bool {
        let step = self.step.get();
        let scripts = |kind: &str| matches!(kind, "REPLY" | "CHECK_OUT_QUERY");
        let mut later = self.scenario.steps.iter().filter(|s| s.number >= step && scripts(&s.kind)).filter_map(|s| s.entry.as_ref());
        later.any(|entry| matches_query(entry, query, tcp))
    }

    fn referral(&self, query: &Packet, to: IpAddr) -> Option<Entry> {
        let asked = query.question.as_ref()?;
        let cut_of = |entry: &Entry| -> Option<Name> {
            let plain = entry.rcode == 0 && entry.raw.is_none() && entry.answer.is_empty() && !entry.adjusts("do_not_answer");
            let cuts: BTreeSet<&Name> = entry.authority.iter().filter(|rr| rr.rtype == Rtype::NS).map(|rr| &rr.name).collect();
            let cut = cuts.first().filter(|_| plain && cuts.len() == 1 && entry.flags & (AA | TC | QR) == QR)?;
            let fits = !cut.is_root() && asked.name.is_within(cut) && !(asked.name == **cut && asked.rtype == Rtype::DS);
            fits.then(|| (*cut).clone())
        };
        let mut best: Option<(usize, &Entry)> = None;
        for entry in self.entries(to) {
            if let Some(depth) = cut_of(entry).map(|cut| cut.label_count())
                && best.is_none_or(|(have, _)| depth > have)
            {
                best = Some((depth, entry));
            }
        }
        best.map(|(_, entry)| Entry { matches: Vec::new(), adjust: vec!["copy_query".into()], ..entry.clone() })
    }
}

impl Behind for Servers {
    fn link(&self, _: IpAddr) -> Option<Link> {
        Some(Link { delay: Duration::from_millis(1), ..Link::default() })
    }

    fn receive(&self, arrival: Arrival) -> String {
        self.traffic.set(self.traffic.get() + 1);
        let Some(query) = Packet::decode(&arrival.wire).filter(|query| !query.has(QR)) else { return "not a query".into() };
        let (to, step) = (arrival.to.ip(), self.step.get());
        if let Some(entry) = self.entries(to).find(|entry| matches_query(entry, &query, arrival.tcp)) {
            if let Some(wire) = reply_to(entry, &query, arrival.tcp) {
                arrival.reply.send(wire);
            }
            return format!("step {step}, entry at line {}", entry.line);
        }
        if self.is_scripted(&query, arrival.tcp) {
            self.waiting.borrow_mut().push((query, arrival.tcp, arrival.reply));
            return format!("step {step}, waits for a scripted reply");
        }
        let live = self.is_live(to);
        if let Some(entry) = live.then(|| self.hosts.get(&query, to).or_else(|| self.referral(&query, to))).flatten() {
            arrival.reply.send(reply_to(&entry, &query, arrival.tcp).unwrap_or_default());
            return format!("step {step}, priming, name server address or known delegation");
        }
        if !live && self.scenario.ranges.iter().any(|range| range.addresses.contains(&to)) {
            return format!("step {step}, dead now");
        }
        let mut failure = query.reply();
        (failure.flags, failure.rcode) = (QR, Rcode::SERVFAIL);
        arrival.reply.send(failure.encode());
        format!("step {step}, no entry, SERVFAIL")
    }
}

pub fn matches_query(entry: &Entry, query: &Packet, tcp: bool) -> bool {
    let asked = query.question.as_ref();
    let same = |word: &str| match (&entry.question, asked) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some((name, rtype, _)), Some(asked)) => match word {
            "qtype" => asked.rtype == *rtype,
            "qname" => asked.name == *name,
            "subdomain" => asked.name.is_within(name),
            _ => asked.name == *name && asked.rtype == *rtype,
        },
    };
    entry.matches.iter().all(|word| match word.as_str() {
        "opcode" => query.opcode == entry.opcode,
        "DO" => query.edns.as_ref().is_some_and(|edns| edns.dnssec_ok),
        "noedns" => query.edns.is_none(),
        "TCP" => tcp,
        "UDP" => !tcp,
        "qtype" | "subdomain" => same(word),
        "qname" | "qcase" => same("qname"),
        "question" | "all" | "all_noedns" => same("question"),
        _ => true,
    })
}

/// The bytes of an entry as a reply to this query.
pub fn reply_to(entry: &Entry, query: &Packet, tcp: bool) -> Option<Vec<u8>> {
    if entry.adjusts("do_not_answer") {
        return None;
    }
    if let Some(raw) = &entry.raw {
        let mut raw = raw.clone();
        if let ([high, low, ..], true) = (&mut raw[..], entry.adjusts("raw_id") || entry.adjusts("copy_id")) {
            [*high, *low] = query.id.to_be_bytes();
        }
        return Some(raw);
    }
    let edns = query.edns.as_ref().filter(|_| !matches!(entry.rcode, 1 | 4));
    let mut reply = query.reply();
    reply.edns = edns.map(|edns| Edns { size: 4096, dnssec_ok: edns.dnssec_ok, ..Edns::default() });
    (reply.flags, reply.opcode, reply.rcode) = (entry.flags, entry.opcode, Rcode(entry.rcode));
    (reply.answer, reply.authority, reply.additional) = (entry.answer.clone(), entry.authority.clone(), entry.additional.clone());
    if !entry.adjusts("copy_query") {
        reply.question = entry.question.as_ref().map(|(name, rtype, class)| {
            let wire = query.question.as_ref().filter(|asked| asked.name == *name).map(|asked| asked.wire.clone());
            Asked { wire: wire.unwrap_or_else(|| name.as_wire().to_vec()), name: name.clone(), rtype: *rtype, class: *class }
        });
    }
    let size = query.edns.as_ref().map_or(512, |edns| usize::from(edns.size.max(512)));
    Some(reply.encode_within(if tcp { 65_535 } else { size }))
}

/// Addresses of name servers that the scenario knows only as glue. Nothing for a name about which it has an entry of
/// its own, or more than one opinion.
struct Hosts {
    known: BTreeMap<(Name, Rtype), Vec<Rr>>,
    roots: BTreeSet<IpAddr>,
    hints: Vec<Rr>,
}

impl Hosts {
    fn new(scenario: &Scenario) -> Hosts {
        let (mut targets, mut asked) = (BTreeSet::new(), BTreeSet::new());
        let mut glue: BTreeMap<(Name, Rtype), Vec<Rr>> = BTreeMap::new();
        let mut opinions: BTreeMap<(Name, Rtype), BTreeSet<BTreeSet<Vec<u8>>>> = BTreeMap::new();
        for entry in scenario.ranges.iter().flat_map(|range| &range.entries) {
            if let Some((name, rtype, _)) = entry.question.as_ref().filter(|(_, rtype, _)| rtype.is_address())
                && !entry.matches_by("subdomain")
            {
                asked.insert((name.clone(), *rtype));
            }
            let mut here: BTreeMap<(Name, Rtype), BTreeSet<Vec<u8>>> = BTreeMap::new();
            for rr in entry.answer.iter().chain(&entry.additional).filter(|rr| rr.rtype.is_address()) {
                here.entry((rr.name.clone(), rr.rtype)).or_default().insert(rr.rdata.clone());
            }
            here.into_iter().for_each(|(key, set)| {
                opinions.entry(key).or_default().insert(set);
            });
            targets.extend(entry.sections().into_iter().flatten().filter(|rr| rr.rtype == Rtype::NS).filter_map(Rr::target));
            for rr in entry.additional.iter().filter(|rr| rr.rtype.is_address()) {
                let set = glue.entry((rr.name.clone(), rr.rtype)).or_default();
                if !set.iter().any(|have| have.same(rr)) {
                    set.push(rr.clone());
                }
            }
        }
        let mut known = BTreeMap::new();
        for name in targets {
            let keys = [Rtype::A, Rtype::AAAA].map(|rtype| (name.clone(), rtype));
            let disputed = keys.iter().any(|key| opinions.get(key).is_some_and(|sets| sets.len() > 1));
            if disputed || !keys.iter().any(|key| glue.contains_key(key)) {
                continue;
            }
            for key in keys.into_iter().filter(|key| !asked.contains(key)) {
                known.insert(key.clone(), glue.get(&key).cloned().unwrap_or_default());
            }
        }
        let hints = scenario.config.root_hints().iter().map(|rr| rr.with_ttl(3600)).collect();
        Hosts { known, roots: scenario.config.root_addresses.iter().copied().collect(), hints }
    }

    fn get(&self, query: &Packet, to: IpAddr) -> Option<Entry> {
        let asked = query.question.as_ref()?;
        let mut entry = Entry { flags: QR | AA, adjust: vec!["copy_query".into()], ..Entry::default() };
        if self.roots.contains(&to) && asked.name.is_root() && asked.rtype == Rtype::NS {
            (entry.answer, entry.additional) = self.hints.iter().cloned().partition(|rr| rr.rtype == Rtype::NS);
            return Some(entry);
        }
        entry.answer = self.known.get(&(asked.name.clone(), asked.rtype))?.clone();
        if entry.answer.is_empty() {
            let zone = asked.name.parent().unwrap_or_else(Name::root);
            entry.authority.push(Rr::parse(&format!("{zone} 60 SOA . . 1 3600 600 86400 60")));
        }
        Some(entry)
    }
}
