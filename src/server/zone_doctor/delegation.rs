//! Checks of the parent's side: is the zone delegated, to the servers that it names, with the addresses and keys that it has?

use std::net::IpAddr;

use super::super::parent_side::{DIGEST_SHA256, Ds, Key, NameServer};
use super::facts::{Delegation, Facts, Keys, Said, Server};
use super::verdict::{Checked, ZoneFinding};
use crate::record::Name;

const NOT_ASKED: &str = "the parent's side is not known";

fn publish(facts: &Facts) -> String {
    format!("`cairn zone publish {}` prints what to enter at the registrar", facts.zone)
}

fn not_known() -> Checked {
    Checked::NotKnown(NOT_ASKED.to_owned())
}

/// Is there a delegation, and do all servers of the parent give the same?
pub(super) fn parent(facts: &Facts) -> Checked {
    let parent = match &facts.parent {
        Ok(parent) => parent,
        Err(why) => {
            let what = format!("the zone above could not be asked: {why}");
            return Checked::of([ZoneFinding::remark(what, format!("compare by hand: {}", publish(facts)))]);
        }
    };
    let heard: Vec<_> = parent.said.iter().filter(|(_, said)| !matches!(said, Said::Nothing(_))).collect();
    if heard.is_empty() {
        let why = parent.said.iter().find_map(|(at, said)| match said {
            Said::Nothing(why) => Some(format!("{at}: {why}")),
            Said::NoDelegation(_) | Said::ServesTheZone | Said::Delegation(_) => None,
        });
        let what = format!("no server of {} replies ({})", parent.name, why.unwrap_or_else(|| "none is known".to_owned()));
        return Checked::of([ZoneFinding::remark(what, format!("try again later, or compare by hand: {}", publish(facts)))]);
    }
    let none: Vec<String> = heard
        .iter()
        .filter_map(|(at, said)| match said {
            Said::NoDelegation(rcode) => Some(format!("{at}: {rcode}")),
            Said::Nothing(_) | Said::ServesTheZone | Said::Delegation(_) => None,
        })
        .collect();
    if none.len() == heard.len() {
        let what = format!("{} does not delegate {} ({})", parent.name, facts.zone, none.join(", "));
        return Checked::of([ZoneFinding::fault(what, format!("register the name: {}", publish(facts)))]);
    }
    let given: Vec<_> =
        heard.iter().filter_map(|(at, said)| matches!(said, Said::Delegation(_)).then_some((at, comparable(said)))).collect();
    let differs = given.iter().find(|(_, said)| *said != given[0].1).map(|(at, _)| at.to_string());
    let behind = none.first().cloned().or(differs);
    Checked::of(behind.map(|server| {
        let what = format!("the servers of {} do not all say the same of {}: {server} differs", parent.name, facts.zone);
        ZoneFinding::remark(what, "a change spreads from one to the others: look again in an hour")
    }))
}

/// What must be the same at all servers; some give less glue than others.
fn comparable(said: &Said) -> Option<Delegation> {
    let Said::Delegation(delegation) = said else { return None };
    let mut comparable = Delegation { glue: Vec::new(), ..delegation.clone() };
    comparable.servers.sort();
    comparable.ds.iter_mut().for_each(|ds| ds.sort());
    Some(comparable)
}

/// Are the NS records of both sides the same? (RFC 1034 4.2.2.)
pub(super) fn ns_records(facts: &Facts) -> Checked {
    let Some((parent, delegation)) = facts.delegation() else { return not_known() };
    let own: Vec<&Name> = facts.own.side.servers.iter().map(|server| &server.name).collect();
    let strange = delegation.servers.iter().filter(|name| !own.contains(name)).map(|name| {
        ZoneFinding::fault(
            format!("{parent} sends resolvers to {name}, which {} does not name as its server", facts.zone),
            format!("take {name} out at the registrar, or write `@ NS {name}` into the zone"),
        )
    });
    let missing = own.iter().filter(|name| !delegation.servers.contains(name)).map(|name| {
        ZoneFinding::fault(
            format!("{} names {name} as its server, and {parent} does not send resolvers there", facts.zone),
            format!("enter {name} at the registrar, or take its NS record out of the zone; {}", publish(facts)),
        )
    });
    Checked::of(strange.chain(missing))
}

/// Has the parent the addresses of servers that lie in the zone? (RFC 9471.)
pub(super) fn glue(facts: &Facts) -> Checked {
    let Some((parent, delegation)) = facts.delegation() else { return not_known() };
    let needing = facts.own.side.servers.iter().filter(|server| server.needs_glue && delegation.servers.contains(&server.name));
    let of_one = |server: &NameServer| {
        let given: Vec<IpAddr> = delegation.glue.iter().filter(|(name, _)| *name == server.name).map(|(_, address)| *address).collect();
        let wrong: Vec<IpAddr> = given.iter().filter(|address| !server.addresses.contains(address)).copied().collect();
        let missing: Vec<IpAddr> = server.addresses.iter().filter(|address| !given.contains(address)).copied().collect();
        match () {
            () if server.addresses.is_empty() => Some(ZoneFinding::fault(
                format!("{} lies in {}, which has no address of it", server.name, facts.zone),
                "write an A or AAAA record into the zone, and enter the address at the registrar",
            )),
            () if given.is_empty() => Some(ZoneFinding::fault(
                format!("{parent} has no address of {} (glue), which lies in the zone itself: nobody can find it", server.name),
                format!("enter {} for the host {} at the registrar", list(&server.addresses), server.name),
            )),
            () if !wrong.is_empty() => Some(ZoneFinding::fault(
                format!("{parent} gives {} for {} (glue), and the zone says {}", list(&wrong), server.name, list(&server.addresses)),
                format!("enter {} for the host {} at the registrar, or correct the zone", list(&server.addresses), server.name),
            )),
            () if !missing.is_empty() => Some(ZoneFinding::remark(
                format!("{parent} lacks {} for {} (glue)", list(&missing), server.name),
                format!("add {} to the host {} at the registrar", list(&missing), server.name),
            )),
            () => None,
        }
    };
    Checked::of(needing.filter_map(of_one))
}

fn list(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Do the DS records lead to keys of the zone? (RFC 4035 5.2; RFC 6840 5.11.)
pub(super) fn ds(facts: &Facts) -> Checked {
    let Some((parent, delegation)) = facts.delegation() else { return not_known() };
    let Some(ds) = &delegation.ds else { return Checked::NotKnown(format!("{parent} did not answer the question for DS records")) };
    let is_signed = facts.is_signed() || facts.servers.iter().any(|server| server.keys.as_ref().is_some_and(|keys| !keys.keys.is_empty()));
    if ds.is_empty() {
        return Checked::of(is_signed.then(|| {
            let what = format!("{} is signed, but {parent} has no DS record of it, so that no resolver validates it", facts.zone);
            ZoneFinding::remark(what, publish(facts))
        }));
    }
    if !is_signed {
        return Checked::of([ZoneFinding::fault(
            format!("{parent} has a DS record (key {}), but {} has no keys: validating resolvers answer SERVFAIL", tags(ds), facts.zone),
            "take the DS record out at the registrar, or sign the zone",
        )]);
    }
    let with_keys: Vec<(&Server, &Keys)> =
        facts.servers.iter().filter_map(|server| Some((server, server.keys.as_ref()?))).filter(|(_, keys)| !keys.keys.is_empty()).collect();
    if with_keys.is_empty() {
        return Checked::NotKnown("no server of the zone sent its keys".to_owned());
    }
    let is_led_to = |keys: &Keys| ds.iter().any(|ds| fits(facts, ds, keys).is_some_and(|key| signs(key, keys)));
    let (good, bad): (Vec<_>, Vec<_>) = with_keys.iter().partition(|(_, keys)| is_led_to(keys));
    match (good.first(), bad.first()) {
        (Some((_, keys)), None) => Checked::of(odd_ds(facts, parent, ds, keys)),
        (None, Some((_, keys))) => Checked::of([ZoneFinding::fault(
            format!(
                "no DS record at {parent} fits {}: {}; validating resolvers answer SERVFAIL",
                facts.zone,
                why_none_fits(facts, ds, keys)
            ),
            format!("replace it: {}", publish(facts)),
        )]),
        _ => Checked::of(bad.iter().map(|(server, keys)| {
            ZoneFinding::fault(
                format!(
                    "{} has keys that no DS record at {parent} fits, as those of other servers do: {}",
                    server.at,
                    why_none_fits(facts, ds, keys)
                ),
                "see that all servers have the same data of the zone",
            )
        })),
    }
}

fn tags<'d>(ds: impl IntoIterator<Item = &'d Ds>) -> String {
    ds.into_iter().map(|ds| ds.key_tag.to_string()).collect::<Vec<_>>().join(", ")
}

/// The key that the DS record is of.
fn fits<'k>(facts: &Facts, ds: &Ds, keys: &'k Keys) -> Option<&'k Key> {
    keys.keys.iter().find(|key| key.ds(&facts.zone, ds.digest_type).is_some_and(|made| made == *ds))
}

fn signs(key: &Key, keys: &Keys) -> bool {
    keys.signatures.iter().any(|made| (made.key_tag, made.algorithm) == (key.tag(), key.algorithm()))
}

/// What is odd about DS records of which one leads to the keys.
fn odd_ds(facts: &Facts, parent: &Name, ds: &[Ds], keys: &Keys) -> Option<ZoneFinding> {
    let (good, left_over): (Vec<&Ds>, Vec<&Ds>) = ds.iter().partition(|ds| fits(facts, ds, keys).is_some_and(|key| signs(key, keys)));
    if !left_over.is_empty() {
        let what = format!("{parent} has a DS record for key {}, which signs no keys of {} now", tags(left_over), facts.zone);
        return Some(ZoneFinding::remark(what, "take it out at the registrar, unless a key roll is under way"));
    }
    good.iter().all(|ds| ds.digest_type < DIGEST_SHA256).then(|| {
        let what = format!("the DS records at {parent} have SHA-1 digests only, which validators stop to take (RFC 9905)");
        ZoneFinding::remark(what, publish(facts))
    })
}

fn why_none_fits(facts: &Facts, ds: &[Ds], keys: &Keys) -> String {
    let of_key = |ds: &&Ds| keys.keys.iter().any(|key| (key.tag(), key.algorithm()) == (ds.key_tag, ds.algorithm));
    match (ds.iter().find(|ds| fits(facts, ds, keys).is_some()), ds.iter().find(of_key)) {
        (Some(ds), _) => format!("key {} does not sign the keys of the zone", ds.key_tag),
        (None, Some(ds)) => format!("the digest for key {} is not the one of that key", ds.key_tag),
        (None, None) => {
            let own: Vec<String> = keys.keys.iter().map(|key| key.tag().to_string()).collect();
            format!("it names key {}, and the zone has {}", tags(ds), own.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_facts::{Row, delegations, each_is_found, healthy, ip, key, name, nothing_is_found, signed_by};
    use super::super::verdict::Severity::{Fault, Remark};
    use super::*;
    use crate::record::Rcode;

    fn ds_of(octet: u8, digest_type: u8) -> Ds {
        key(octet).ds(&healthy().zone, digest_type).expect("a digest")
    }

    fn set_ds(facts: &mut Facts, ds: &[Ds]) {
        delegations(facts, |delegation| delegation.ds = Some(ds.to_vec()));
    }

    fn unsigned(facts: &mut Facts) {
        facts.own.side.keys.clear();
        facts.own.side.ds.clear();
        facts.servers.iter_mut().for_each(|server| server.keys = Some(Keys::default()));
    }

    #[test]
    fn each_fault_of_the_delegation() {
        let rows: &[Row<'_>] = &[
            ("parent", Remark, "could not be asked: no way", "cairn zone publish", &|facts| facts.parent = Err("no way".to_owned())),
            ("parent", Remark, "no server of org. replies (a.nic.org. (198.51.100.1): no reply)", "later", &|facts| {
                let parent = facts.parent.as_mut().expect("asked");
                parent.said.iter_mut().for_each(|(_, said)| *said = Said::Nothing("no reply".to_owned()));
            }),
            ("parent", Fault, "org. does not delegate example.org. (a.nic.org. (198.51.100.1): NXDOMAIN", "register", &|facts| {
                let parent = facts.parent.as_mut().expect("asked");
                parent.said.iter_mut().for_each(|(_, said)| *said = Said::NoDelegation(Rcode::NXDOMAIN));
            }),
            ("parent", Remark, "b.nic.org. (198.51.100.2): NXDOMAIN differs", "in an hour", &|facts| {
                facts.parent.as_mut().expect("asked").said[1].1 = Said::NoDelegation(Rcode::NXDOMAIN);
            }),
            ("parent", Remark, "b.nic.org. (198.51.100.2) differs", "in an hour", &|facts| {
                let Said::Delegation(delegation) = &mut facts.parent.as_mut().expect("asked").said[1].1 else { panic!() };
                delegation.servers.push(name("ns9.example.net"));
            }),
            (
                "NS records",
                Fault,
                "org. sends resolvers to ns9.example.net., which example.org. does not name",
                "take ns9.example.net. out",
                &|facts| {
                    delegations(facts, |delegation| delegation.servers.push(name("ns9.example.net")));
                },
            ),
            ("NS records", Fault, "names ns.example.net. as its server, and org. does not", "enter ns.example.net.", &|facts| {
                delegations(facts, |delegation| delegation.servers.retain(|server| *server != name("ns.example.net")));
            }),
            ("glue", Fault, "ns1.example.org. lies in example.org., which has no address of it", "write an A or AAAA record", &|facts| {
                facts.own.side.servers[0].addresses.clear();
                delegations(facts, |delegation| delegation.glue.clear());
            }),
            ("glue", Fault, "org. has no address of ns1.example.org. (glue)", "enter 192.0.2.1, 2001:db8::1 for the host", &|facts| {
                delegations(facts, |delegation| delegation.glue.clear());
            }),
            ("glue", Fault, "org. gives 192.0.2.99 for ns1.example.org.", "correct the zone", &|facts| {
                delegations(facts, |delegation| delegation.glue[0].1 = ip("192.0.2.99"));
            }),
            ("glue", Remark, "org. lacks 2001:db8::1 for ns1.example.org.", "add 2001:db8::1", &|facts| {
                delegations(facts, |delegation| delegation.glue.truncate(1));
            }),
            ("DS", Remark, "is signed, but org. has no DS", "cairn zone publish", &|facts| set_ds(facts, &[])),
            ("DS", Fault, "but example.org. has no keys", "take the DS record out", &unsigned),
            ("DS", Fault, "it names key", "replace it: `cairn zone publish", &|facts| set_ds(facts, &[ds_of(2, 2)])),
            ("DS", Fault, "the digest for key", "replace it", &|facts| set_ds(facts, &[Ds { digest: vec![0; 32], ..ds_of(1, 2) }])),
            ("DS", Fault, "does not sign the keys of the zone", "replace it", &|facts| {
                facts.servers.iter_mut().for_each(|server| {
                    server.keys = Some(Keys { keys: vec![key(1), key(2)], signatures: vec![signed_by(&key(2))] });
                });
            }),
            ("DS", Fault, "ns.example.net. (203.0.113.5) has keys that no DS record at org. fits", "the same data", &|facts| {
                facts.servers[2].keys = Some(Keys { keys: vec![key(2)], signatures: vec![signed_by(&key(2))] });
            }),
            ("DS", Remark, "which signs no keys of example.org. now", "key roll", &|facts| set_ds(facts, &[ds_of(1, 2), ds_of(2, 2)])),
            ("DS", Remark, "SHA-1 digests only", "cairn zone publish", &|facts| set_ds(facts, &[ds_of(1, 1)])),
        ];
        each_is_found(rows);
    }

    #[test]
    fn what_is_no_fault() {
        nothing_is_found(&[
            // One server of the parent that is silent says nothing.
            &|facts| facts.parent.as_mut().expect("asked").said[0].1 = Said::Nothing("no reply".to_owned()),
            &|facts| set_ds(facts, &[ds_of(1, 2), ds_of(1, 4)]),
            // Some servers of a parent that serve the zone too do not refer.
            &|facts| facts.parent.as_mut().expect("asked").said[0].1 = Said::ServesTheZone,
            &|facts| {
                unsigned(facts);
                set_ds(facts, &[]);
            },
            &|facts| delegations(facts, |delegation| delegation.ds = None),
        ]);
    }
}
