//! A machine and a network without any fault, for tests that then spoil them.

use std::net::SocketAddr;

use super::super::load::Configuration;
use super::super::port_owner::Transport;
use super::checks::report;
use super::facts::{Asked, Control, Facts, Outcome, OwnReply, ResolvConf, Role, Trusted};
use super::seen::{Seen, Signature};
use super::verdict::{Finding, Verdict};
use crate::config::Settings;
use crate::env::WallTime;
use crate::record::{Name, Rcode};

/// 2026-12-01.
pub(super) const NOW: u32 = 1_796_083_200;
pub(super) const DAY: u32 = 86_400;

pub(super) fn name(text: &str) -> Name {
    Name::parse(text).expect(text)
}

pub(super) fn socket(text: &str) -> SocketAddr {
    text.parse().expect(text)
}

/// A reply without records.
pub(super) fn seen(authoritative: bool, rcode: Rcode) -> Seen {
    Seen {
        authoritative,
        recursion_available: false,
        truncated: false,
        edns: true,
        rcode,
        servers: Vec::new(),
        addresses: Vec::new(),
        keys: 0,
        signatures: Vec::new(),
    }
}

pub(super) fn keys() -> Seen {
    let signature = Signature { key_tag: 38_696, inception: NOW - 5 * DAY, expiration: NOW + 16 * DAY };
    Seen { keys: 3, signatures: vec![signature], ..seen(true, Rcode::NOERROR) }
}

fn root(server: &str) -> Asked {
    let servers = vec![name("a.root-servers.net."), name("b.root-servers.net.")];
    let small = Outcome::Reply(Seen { servers, ..seen(true, Rcode::NOERROR) });
    Asked {
        tcp: small.clone(),
        small,
        recursive: Outcome::Reply(seen(false, Rcode::NOERROR)),
        invented: Outcome::Reply(seen(true, Rcode::NXDOMAIN)),
        large: Outcome::Reply(keys()),
        ..Asked::of(socket(server), Role::Root)
    }
}

/// A forwarder for every name, as it should be.
pub(super) fn forwarder(server: &str) -> Asked {
    let of_resolver = |seen: Seen| Outcome::Reply(Seen { authoritative: false, recursion_available: true, ..seen });
    let small = of_resolver(Seen { servers: vec![name("a.root-servers.net.")], ..seen(false, Rcode::NOERROR) });
    Asked {
        tcp: small.clone(),
        small,
        recursive: of_resolver(Seen { addresses: vec!["192.0.2.80".parse().expect("an address")], ..seen(false, Rcode::NOERROR) }),
        invented: of_resolver(seen(false, Rcode::NXDOMAIN)),
        large: of_resolver(keys()),
        ..Asked::of(socket(server), Role::Forwarder { zone: Name::root(), proofs: true })
    }
}

pub(super) fn healthy() -> Facts {
    let listening = vec![socket("127.0.0.1:53"), socket("[::1]:53")];
    let local = vec!["127.0.0.1".parse().expect("an address")];
    let own = |transport| OwnReply { address: listening[0], transport, outcome: Ok(()) };
    Facts {
        configuration: Configuration { settings: Settings::default(), file: None },
        mistakes: Vec::new(),
        own: vec![own(Transport::Udp), own(Transport::Tcp)],
        control: Control::Answers { process: 7, listening, privileges: "user cairn".to_owned() },
        held: Vec::new(),
        absent: Vec::new(),
        resolv_conf: ResolvConf { servers: Ok(local.clone()), local, behind_resolved: Vec::new() },
        open_files: Some(65_536),
        hints: ["a", "b", "c"]
            .map(|letter| (name(&format!("{letter}.root-servers.net.")), "192.0.2.1".parse().expect("an address")))
            .into(),
        trusted: Trusted { tags: vec![20_326, 38_696], ..Trusted::default() },
        asked: ["192.0.2.1:53", "192.0.2.2:53", "[2001:db8::1]:53"].map(root).into(),
        has_ipv6_address: true,
        now: WallTime(u64::from(NOW)),
    }
}

/// What every check says after the healthy machine was changed, without those that say that all is well.
fn told(change: impl FnOnce(&mut Facts)) -> Vec<(&'static str, Verdict)> {
    let mut facts = healthy();
    change(&mut facts);
    report(&facts).verdicts.into_iter().filter(|(_, verdict)| *verdict != Verdict::Good).collect()
}

/// Exactly one check finds a fault; its name, what and fix.
#[track_caller]
fn one_fault(change: impl FnOnce(&mut Facts)) -> (&'static str, Finding) {
    let mut faults: Vec<(&'static str, Finding)> = told(change)
        .into_iter()
        .filter_map(|(check, verdict)| match verdict {
            Verdict::Fault(finding) => Some((check, finding)),
            Verdict::Good | Verdict::NotKnown(_) => None,
        })
        .collect();
    assert_eq!(faults.len(), 1, "{faults:#?}");
    faults.remove(0)
}

/// The check that finds a fault, what it says of it and of the way out, and what is spoilt.
pub(super) type Row<'r> = (&'r str, &'r str, &'r str, &'r dyn Fn(&mut Facts));

/// Each fault is found by its own check, and by no other.
#[track_caller]
pub(super) fn each_is_found(rows: &[Row<'_>]) {
    for (check, what, fix, change) in rows {
        let (found_by, finding) = one_fault(change);
        assert!(found_by == *check && finding.what.contains(what) && finding.fix.contains(fix), "{check}: {found_by} {finding:#?}");
    }
}

#[track_caller]
pub(super) fn none_is_a_fault(rows: &[&dyn Fn(&mut Facts)]) {
    for (row, change) in rows.iter().enumerate() {
        let faults: Vec<_> = told(change).into_iter().filter(|(_, verdict)| matches!(verdict, Verdict::Fault(_))).collect();
        assert_eq!(faults, [], "row {row}");
    }
}

#[test]
fn a_healthy_machine_has_no_finding() {
    assert_eq!(
        told(|_| {}),
        [
            ("forwarders", Verdict::NotKnown("no forwarder is configured")),
            ("DNSSEC of forwarders", Verdict::NotKnown("no forwarder is configured"))
        ]
    );
    // All through one forwarder: nobody asks the root servers.
    let verdicts = told(|facts| facts.asked = vec![forwarder("192.0.2.9:53")]);
    assert!(verdicts.iter().all(|(_, verdict)| matches!(verdict, Verdict::NotKnown(_))), "{verdicts:#?}");
}
