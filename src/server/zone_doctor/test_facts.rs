//! A zone without any fault, for tests that then spoil something of it.

use std::net::IpAddr;

use super::super::parent_side::{DIGEST_SHA256, Key, NameServer, ParentSide, Signature};
use super::checks::report;
use super::facts::{Asked, Delegation, Facts, Keys, Outcome, Own, Parent, Said, Server, Soa, SoaSeen};
use super::verdict::{Checked, Severity};
use crate::env::WallTime;
use crate::record::{Name, Rcode};

/// 2026-12-01.
pub(super) const NOW: u32 = 1_796_083_200;
pub(super) const DAY: u32 = 86_400;
pub(super) const SERIAL: u32 = 7;

pub(super) fn name(text: &str) -> Name {
    Name::parse(text).expect(text)
}

pub(super) fn ip(text: &str) -> IpAddr {
    text.parse().expect(text)
}

/// A key of algorithm 13.
pub(super) fn key(octet: u8) -> Key {
    Key { rdata: [&[1, 1, 3, 13][..], &[octet; 64]].concat() }
}

pub(super) fn signed_by(key: &Key) -> Signature {
    Signature { key_tag: key.tag(), algorithm: 13, inception: NOW - 5 * DAY, expiration: NOW + 16 * DAY }
}

fn server(host: &str, address: &str) -> Server {
    let seen = SoaSeen { authoritative: true, rcode: Rcode::NOERROR, serial: Some(SERIAL), signatures: vec![signed_by(&key(1))] };
    Server {
        at: Asked { name: name(host), address: ip(address) },
        is_here: host == "ns1.example.org",
        soa: Outcome::Reply(seen.clone()),
        tcp: Outcome::Reply(seen),
        servers: Some(vec![name("ns1.example.org"), name("ns.example.net")]),
        keys: Some(Keys { keys: vec![key(1)], signatures: vec![signed_by(&key(1))] }),
        recurses: Some(host == "ns1.example.org"),
    }
}

/// One server here and in the zone, another one elsewhere; signed.
pub(super) fn healthy() -> Facts {
    let zone = name("example.org");
    let side = ParentSide {
        servers: vec![
            NameServer { name: name("ns1.example.org"), needs_glue: true, addresses: vec![ip("192.0.2.1"), ip("2001:db8::1")] },
            NameServer { name: name("ns.example.net"), needs_glue: false, addresses: Vec::new() },
        ],
        keys: vec![key(1)],
        ds: key(1).ds(&zone, DIGEST_SHA256).into_iter().collect(),
    };
    let delegation = Delegation {
        servers: vec![name("ns.example.net"), name("ns1.example.org")],
        glue: vec![(name("ns1.example.org"), ip("192.0.2.1")), (name("ns1.example.org"), ip("2001:db8::1"))],
        ds: Some(side.ds.clone()),
    };
    let at = |host: &str, address: &str| Asked { name: name(host), address: ip(address) };
    let said = vec![
        (at("a.nic.org", "198.51.100.1"), Said::Delegation(delegation.clone())),
        (at("b.nic.org", "198.51.100.2"), Said::Delegation(delegation)),
    ];
    let soa = Soa { serial: SERIAL, refresh: 7_200, retry: 900, expire: 1_209_600, minimum: 300 };
    Facts {
        zone,
        own: Own { soa, side, is_signed_here: false, serial_in_force: Some(SERIAL) },
        parent: Ok(Parent { name: name("org"), said }),
        servers: vec![
            server("ns1.example.org", "192.0.2.1"),
            server("ns1.example.org", "2001:db8::1"),
            server("ns.example.net", "203.0.113.5"),
        ],
        without_address: Vec::new(),
        aliases: Vec::new(),
        open_resolver: None,
        now: WallTime(u64::from(NOW)),
    }
}

/// What each delegation of the parent becomes.
pub(super) fn delegations(facts: &mut Facts, change: impl Fn(&mut Delegation)) {
    let parent = facts.parent.as_mut().expect("it was asked");
    for (_, said) in &mut parent.said {
        if let Said::Delegation(delegation) = said {
            change(delegation);
        }
    }
}

pub(super) fn seen(server: &mut Server, change: impl Fn(&mut SoaSeen)) {
    if let Outcome::Reply(seen) = &mut server.soa {
        change(seen);
    }
}

/// The check that finds something, how bad it is, what it says of it and of the way out, and what is spoilt.
pub(super) type Row<'r> = (&'r str, Severity, &'r str, &'r str, &'r dyn Fn(&mut Facts));

/// Each is found by its own check, and by no other.
#[track_caller]
pub(super) fn each_is_found(rows: &[Row<'_>]) {
    for (check, severity, what, fix, change) in rows {
        let mut facts = healthy();
        change(&mut facts);
        let report = report(&facts);
        let found: Vec<_> = report.findings().collect();
        let [(found_by, finding)] = &found[..] else { panic!("{check}, {what}: {found:#?}") };
        assert!(
            (found_by, &finding.severity) == (check, severity) && finding.what.contains(what) && finding.fix.contains(fix),
            "{check}, {what}, {fix}: {found_by} {finding:#?}"
        );
    }
}

#[track_caller]
pub(super) fn nothing_is_found(rows: &[&dyn Fn(&mut Facts)]) {
    for (row, change) in rows.iter().enumerate() {
        let mut facts = healthy();
        change(&mut facts);
        let report = report(&facts);
        assert_eq!(report.findings().collect::<Vec<_>>(), [], "row {row}");
    }
}

#[test]
fn a_healthy_zone_has_no_finding() {
    assert!(report(&healthy()).checks.iter().all(|(_, checked)| *checked == Checked::Good), "{:#?}", report(&healthy()));
}
