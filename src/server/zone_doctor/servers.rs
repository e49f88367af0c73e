//! Checks of the zone's servers: do they answer, over UDP and TCP, with the same data, signed, and nothing but that?

use super::super::parent_side::Signature;
use super::facts::{Facts, Outcome, Server, SoaSeen};
use super::verdict::{Checked, ZoneFinding};
use crate::record::{Name, Rcode};
use crate::validate::Date;
use crate::zone::is_newer;

const NOBODY: &str = "no server of the zone answers";
/// Signatures that end sooner have not been renewed in time.
const SIGNATURES_END_SOON_S: u32 = 2 * 86_400;

fn each(facts: &Facts, check: impl Fn(&Server) -> Option<ZoneFinding>) -> Checked {
    if facts.servers.is_empty() {
        return Checked::NotKnown("no server of the zone has an address".to_owned());
    }
    Checked::of(facts.servers.iter().filter_map(check))
}

/// As `each`, of those that reply at all.
fn each_that_replies(facts: &Facts, check: impl Fn(&Server, &SoaSeen) -> Option<ZoneFinding>) -> Checked {
    if !facts.servers.iter().any(|server| server.seen().is_some()) {
        return Checked::NotKnown(NOBODY.to_owned());
    }
    each(facts, |server| server.seen().and_then(|seen| check(server, seen)))
}

/// As `each`, of those that serve the zone.
fn each_that_serves(facts: &Facts, check: impl Fn(&Server, &SoaSeen, u32) -> Option<ZoneFinding>) -> Checked {
    if !facts.servers.iter().any(|server| server.serves().is_some()) {
        return Checked::NotKnown(NOBODY.to_owned());
    }
    each(facts, |server| server.serves().and_then(|(seen, serial)| check(server, seen, serial)))
}

/// Does each one answer?
pub(super) fn udp(facts: &Facts) -> Checked {
    each(facts, |server| match &server.soa {
        Outcome::Reply(_) => None,
        Outcome::Nothing(why) => Some(ZoneFinding::fault(
            format!("{} does not answer over UDP: {why}", server.at),
            format!(
                "see that a name server runs there and that UDP and TCP port 53 are let through, or take {} out of the NS records",
                server.at.name
            ),
        )),
        Outcome::NoRoute(why) => Some(ZoneFinding::remark(
            format!("{} could not be asked: this machine has no way there ({why})", server.at),
            "run this on a machine that has one",
        )),
    })
}

/// RFC 7766, RFC 9210 3: every server answers over TCP.
pub(super) fn tcp(facts: &Facts) -> Checked {
    each_that_replies(facts, |server, _| match &server.tcp {
        Outcome::Nothing(why) | Outcome::NoRoute(why) => Some(ZoneFinding::fault(
            format!("{} answers over UDP and not over TCP: {why}", server.at),
            "let TCP port 53 through as well as UDP: what does not fit into a datagram comes over TCP (RFC 7766)",
        )),
        Outcome::Reply(_) => None,
    })
}

/// Does each one serve the zone, or is the delegation to it lame (RFC 9499)?
pub(super) fn authority(facts: &Facts) -> Checked {
    each_that_replies(facts, |server, seen| {
        let how = match () {
            () if seen.rcode != Rcode::NOERROR => format!("answers {}", seen.rcode),
            () if !seen.authoritative => "is not authoritative (AA)".to_owned(),
            () if seen.serial.is_none() => "has no SOA record".to_owned(),
            () => return None,
        };
        Some(ZoneFinding::fault(
            format!("{} does not serve {}: it {how}", server.at, facts.zone),
            format!("configure the zone there, as a secondary for instance, or take {} out of the NS records", server.at.name),
        ))
    })
}

/// Do all have the data of this serial?
pub(super) fn serials(facts: &Facts) -> Checked {
    let expected = facts.serial();
    each_that_serves(facts, |server, _, serial| match () {
        () if serial == expected => None,
        () if is_newer(expected, serial) => Some(ZoneFinding::fault(
            format!("{} has serial {serial}, and {expected} is the newest here", server.at),
            format!(
                "`cairn zone notify {}` tells it; see that `transfer` lets it in, and that its own `primaries` name this server",
                facts.zone
            ),
        )),
        () => Some(ZoneFinding::fault(
            format!("{} has serial {serial}, which is newer than {expected} here: it will not take the data of this server", server.at),
            format!("give the zone a serial above {serial}, or change it on one server alone"),
        )),
    })
}

/// Do the servers name the servers that the file names?
pub(super) fn ns_records(facts: &Facts) -> Checked {
    let sorted = |names: &[Name]| {
        let mut names: Vec<String> = names.iter().map(ToString::to_string).collect();
        names.sort();
        names
    };
    let own: Vec<Name> = facts.own.side.servers.iter().map(|server| server.name.clone()).collect();
    let own = sorted(&own);
    each_that_serves(facts, |server, _, serial| {
        // An old copy is told of already.
        let seen = server.servers.as_ref().filter(|_| serial == facts.serial()).map(|names| sorted(names))?;
        (seen != own).then(|| {
            ZoneFinding::fault(
                format!("{} has the same serial, and other NS records: {}", server.at, seen.join(", ")),
                "give the zone a new serial after each change, so that all servers take it",
            )
        })
    })
}

/// Does each one send signatures, and do they count now? (RFC 4034 3.1.5.)
pub(super) fn signatures(facts: &Facts) -> Checked {
    if !facts.is_signed() {
        return Checked::NotKnown("the zone is not signed".to_owned());
    }
    let now = facts.now.0 as u32;
    let date = |seconds: u32| Date(facts.now.0.saturating_add_signed(i64::from(seconds.wrapping_sub(now) as i32)));
    let left = |made: &Signature| made.expiration.wrapping_sub(now) as i32;
    let has_begun = |made: &&Signature| now.wrapping_sub(made.inception) as i32 >= 0;
    each_that_serves(facts, |server, seen, _| {
        let Some(last) = seen.signatures.iter().max_by_key(|made| left(made)) else {
            return Some(ZoneFinding::fault(
                format!("{} leaves signatures out, and validating resolvers answer SERVFAIL for what it sends", server.at),
                "transfer the signed zone there, and use a server that knows DNSSEC",
            ));
        };
        match () {
            () if left(last) < 0 => Some(ZoneFinding::fault(
                format!("the signatures of {} have ended at {}", server.at, date(last.expiration)),
                "sign the zone again, and see that its servers take the new data",
            )),
            () if !seen.signatures.iter().any(|made| has_begun(&made)) => Some(ZoneFinding::fault(
                format!("the signatures of {} count from {} on, which is in the future", server.at, date(last.inception)),
                "set the clock of the machine that signs, and sign again",
            )),
            () if left(last) < SIGNATURES_END_SOON_S as i32 => Some(ZoneFinding::remark(
                format!("the signatures of {} end at {}", server.at, date(last.expiration)),
                "sign the zone again before that",
            )),
            () => None,
        }
    })
}

/// Does one resolve names for strangers? (RFC 5358.)
pub(super) fn open_recursion(facts: &Facts) -> Checked {
    let here = facts.open_resolver.as_ref().map(|what| {
        ZoneFinding::fault(
            what.clone(),
            "write the networks of your clients into `allow`; hosted zones are answered for everybody in any case",
        )
    });
    if here.is_none() && facts.servers.iter().all(|server| server.recurses.is_none()) {
        return Checked::NotKnown(NOBODY.to_owned());
    }
    // The running server may well resolve for this machine: what strangers get is told by its configuration.
    let others = facts.servers.iter().filter(|server| !server.is_here && server.recurses == Some(true)).map(|server| {
        ZoneFinding::fault(
            format!("{} resolves names of other zones for this machine (RA)", server.at),
            "turn recursion off there, or let it resolve for its own network alone (RFC 5358)",
        )
    });
    Checked::of(here.into_iter().chain(others))
}

#[cfg(test)]
mod tests {
    use super::super::test_facts::{DAY, NOW, Row, each_is_found, name, nothing_is_found, seen};
    use super::super::verdict::Severity::{Fault, Remark};
    use super::*;
    use crate::env::WallTime;

    #[test]
    fn each_fault_of_servers() {
        let silent = |why: &str| Outcome::Nothing(why.to_owned());
        let rows: &[Row<'_>] = &[
            ("UDP", Fault, "ns.example.net. (203.0.113.5) does not answer over UDP: no reply", "port 53", &|facts| {
                (facts.servers[2].soa, facts.servers[2].tcp) = (silent("no reply"), silent("no reply"));
            }),
            ("UDP", Remark, "(2001:db8::1) could not be asked: this machine has no way there", "another", &|_| ()),
            ("TCP", Fault, "ns.example.net. (203.0.113.5) answers over UDP and not over TCP: refused", "TCP port 53", &|facts| {
                facts.servers[2].tcp = silent("refused");
            }),
            (
                "authority",
                Fault,
                "ns.example.net. (203.0.113.5) does not serve example.org.: it answers REFUSED",
                "take ns.example.net. out",
                &|facts| {
                    seen(&mut facts.servers[2], |seen| (seen.rcode, seen.serial) = (Rcode::REFUSED, None));
                },
            ),
            ("authority", Fault, "it is not authoritative (AA)", "configure the zone there", &|facts| {
                seen(&mut facts.servers[2], |seen| seen.authoritative = false);
            }),
            ("authority", Fault, "it has no SOA record", "configure the zone there", &|facts| {
                seen(&mut facts.servers[2], |seen| seen.serial = None);
            }),
            ("serials", Fault, "has serial 6, and 7 is the newest here", "cairn zone notify example.org.", &|facts| {
                seen(&mut facts.servers[2], |seen| seen.serial = Some(6));
            }),
            ("serials", Fault, "has serial 9, which is newer than 7 here", "a serial above 9", &|facts| {
                seen(&mut facts.servers[2], |seen| seen.serial = Some(9));
            }),
            ("NS records of servers", Fault, "the same serial, and other NS records: ns1.example.org.", "a new serial", &|facts| {
                facts.servers[2].servers = Some(vec![name("ns1.example.org")]);
            }),
            ("signatures", Fault, "ns.example.net. (203.0.113.5) leaves signatures out", "knows DNSSEC", &|facts| {
                seen(&mut facts.servers[2], |seen| seen.signatures.clear());
            }),
            ("signatures", Fault, "have ended at 2026-11-30 00:00:00", "sign the zone again", &|facts| {
                seen(&mut facts.servers[2], |seen| seen.signatures[0].expiration = NOW - DAY);
            }),
            ("signatures", Fault, "count from 2026-12-02 00:00:00", "set the clock", &|facts| {
                seen(&mut facts.servers[2], |seen| seen.signatures[0].inception = NOW + DAY);
            }),
            ("signatures", Remark, "end at 2026-12-02 00:00:00", "before that", &|facts| {
                seen(&mut facts.servers[2], |seen| seen.signatures[0].expiration = NOW + DAY);
            }),
            ("open recursion", Fault, "ns.example.net. (203.0.113.5) resolves names of other zones", "turn recursion off", &|facts| {
                facts.servers[2].recurses = Some(true);
            }),
            ("open recursion", Fault, "server.allow: found 0.0.0.0/0", "networks of your clients", &|facts| {
                facts.open_resolver = Some("server.allow: found 0.0.0.0/0".to_owned());
            }),
        ];
        let (no_way, others): (Vec<Row<'_>>, Vec<Row<'_>>) = rows.iter().partition(|row| row.3 == "another");
        each_is_found(&others);
        let unreachable: &dyn Fn(&mut Facts) = &|facts| facts.servers[1].soa = Outcome::NoRoute("none".to_owned());
        each_is_found(&[(no_way[0].0, no_way[0].1, no_way[0].2, "a machine that has one", unreachable)]);
    }

    #[test]
    fn what_is_no_fault() {
        nothing_is_found(&[
            // A secondary with old data may have old NS records, and is told of the serial alone; here the data is that of now.
            &|facts| facts.servers[2].recurses = None,
            // Serial arithmetic (RFC 1982).
            &|facts| {
                facts.own.soa.serial = 3;
                facts.own.serial_in_force = Some(3);
                facts.servers.iter_mut().for_each(|server| seen(server, |seen| seen.serial = Some(3)));
            },
            // The first and the last second of the signatures.
            &|facts| facts.now = WallTime(u64::from(NOW - 5 * DAY)),
            &|facts| facts.now = WallTime(u64::from(NOW + 14 * DAY)),
        ]);
    }
}
