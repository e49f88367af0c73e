//! Checks of the zone's own data: its SOA, the names and the number of its servers, and whether the file is in force.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

use super::facts::Facts;
use super::verdict::{Checked, ZoneFinding};
use crate::zone::is_newer;

const MINUTE: u32 = 60;
const DAY: u32 = 86_400;

/// Does the running server serve what the file says?
pub(super) fn in_force(facts: &Facts) -> Checked {
    let Some(serial) = facts.own.serial_in_force else {
        return Checked::NotKnown(format!("no server here, that this user may ask, serves {}", facts.zone));
    };
    // While it is signed here, it gets serials of its own.
    let is_behind = !facts.own.is_signed_here && serial != facts.own.soa.serial;
    Checked::of(is_behind.then(|| {
        ZoneFinding::fault(
            format!("the file has serial {}, and the running server serves {serial}", facts.own.soa.serial),
            match is_newer(facts.own.soa.serial, serial) {
                true => "run `cairn reload`".to_owned(),
                false => format!("give the zone a serial above {serial}, and run `cairn reload`"),
            },
        )
    }))
}

/// Do the timers fit together? (RFC 1912 2.2, RFC 2308 5.)
pub(super) fn soa(facts: &Facts) -> Checked {
    let soa = &facts.own.soa;
    let mut findings = Vec::new();
    if soa.expire <= soa.refresh.saturating_add(soa.retry) {
        findings.push(ZoneFinding::fault(
            format!(
                "secondaries give the zone up after {} s (expire), and try again after {} s (refresh and retry)",
                soa.expire,
                soa.refresh.saturating_add(soa.retry)
            ),
            "write an expire of two to four weeks: 1209600",
        ));
    } else if soa.expire < 7 * DAY {
        findings.push(ZoneFinding::remark(
            format!("secondaries give the zone up when its primary is away for {} s (expire)", soa.expire),
            "write an expire of two to four weeks: 1209600",
        ));
    }
    if soa.retry >= soa.refresh {
        findings.push(ZoneFinding::remark(
            format!("retry ({} s) is not shorter than refresh ({} s)", soa.retry, soa.refresh),
            "write a retry of a fraction of refresh, such as 7200 and 900",
        ));
    }
    if soa.refresh < 2 * MINUTE {
        findings.push(ZoneFinding::remark(
            format!("secondaries ask for the serial every {} s (refresh)", soa.refresh),
            "NOTIFY tells them of changes at once: a refresh of 7200 is enough",
        ));
    }
    if soa.minimum > DAY {
        findings.push(ZoneFinding::remark(
            format!("a name that was asked for before it existed stays denied for {} s (minimum)", soa.minimum),
            "write 300 to 10800 as the last number of the SOA (RFC 2308 5)",
        ));
    }
    Checked::of(findings)
}

/// Do the names of the servers lead to addresses that others can reach?
pub(super) fn server_names(facts: &Facts) -> Checked {
    let lost = facts.without_address.iter().map(|(name, why)| {
        ZoneFinding::fault(
            format!("{name} has no address: {why}"),
            format!("give {name} an A or AAAA record, or take it out of the NS records"),
        )
    });
    let aliases = facts.aliases.iter().map(|name| {
        ZoneFinding::fault(
            format!("{name} is an alias, which no NS record may name (RFC 2181 10.3)"),
            "name the server that the alias leads to",
        )
    });
    let is_public = facts.delegation().is_some();
    let private = facts.servers.iter().filter(|server| is_public && is_private(server.at.address)).map(|server| {
        ZoneFinding::fault(format!("{} has a private address, which others cannot reach", server.at), "give it its public address")
    });
    Checked::of(lost.chain(aliases).chain(private))
}

fn is_private(address: IpAddr) -> bool {
    let local_v6 = |ip: Ipv6Addr| ip.is_loopback() || ip.is_unspecified() || ip.is_unique_local() || ip.is_unicast_link_local();
    match address.to_canonical() {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified(),
        IpAddr::V6(ip) => local_v6(ip),
    }
}

/// RFC 1034 4.1, RFC 2182 5: at least two, in different places.
pub(super) fn number_of_servers(facts: &Facts) -> Checked {
    let names = facts.own.side.servers.len();
    let networks: BTreeSet<String> = facts.servers.iter().map(|server| network(server.at.address)).collect();
    let advice = "most registries want two servers, and with one the zone is gone whenever that one is: add a secondary (docs/hosting.md)";
    Checked::of(match () {
        () if names < 2 => Some(ZoneFinding::remark("the zone has one server", advice)),
        () if networks.len() == 1 && facts.servers.len() > 1 => {
            Some(ZoneFinding::remark("all servers of the zone are in one network", "put a secondary elsewhere (RFC 2182)"))
        }
        () => None,
    })
}

/// The /24 or the /48.
fn network(address: IpAddr) -> String {
    match address {
        IpAddr::V4(ip) => format!("{:?}", &ip.octets()[..3]),
        IpAddr::V6(ip) => format!("{:?}", &ip.octets()[..6]),
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::Facts;
    use super::super::test_facts::{Row, delegations, each_is_found, ip, name, nothing_is_found};
    use super::super::verdict::Severity::{Fault, Remark};

    #[test]
    fn each_fault_of_the_data() {
        let rows: &[Row<'_>] = &[
            ("in force", Fault, "the file has serial 8, and the running server serves 7", "run `cairn reload`", &|facts| {
                facts.own.soa.serial = 8
            }),
            ("in force", Fault, "the file has serial 6", "a serial above 7", &|facts| facts.own.soa.serial = 6),
            ("SOA", Fault, "give the zone up after 7200 s", "1209600", &|facts| facts.own.soa.expire = 7_200),
            ("SOA", Remark, "when its primary is away for 86400 s", "1209600", &|facts| facts.own.soa.expire = 86_400),
            ("SOA", Remark, "retry (7200 s) is not shorter than refresh", "900", &|facts| facts.own.soa.retry = 7_200),
            ("SOA", Remark, "ask for the serial every 60 s", "NOTIFY", &|facts| (facts.own.soa.refresh, facts.own.soa.retry) = (60, 30)),
            ("SOA", Remark, "stays denied for 604800 s", "RFC 2308", &|facts| facts.own.soa.minimum = 604_800),
            ("server names", Fault, "ns.example.net. has no address: the name does not exist", "an A or AAAA record", &|facts| {
                facts.without_address = vec![(name("ns.example.net"), "the name does not exist".to_owned())];
            }),
            ("server names", Fault, "ns.example.net. is an alias", "name the server", &|facts| {
                facts.aliases = vec![name("ns.example.net")]
            }),
            ("server names", Fault, "ns.example.net. (10.0.0.5) has a private address", "public address", &|facts| {
                facts.servers[2].at.address = ip("10.0.0.5");
            }),
            ("number of servers", Remark, "one server", "secondary", &|facts| {
                facts.own.side.servers.truncate(1);
                delegations(facts, |delegation| delegation.servers.retain(|server| *server == name("ns1.example.org")));
                facts.servers.iter_mut().for_each(|server| server.servers = Some(vec![name("ns1.example.org")]));
            }),
            ("number of servers", Remark, "in one network", "RFC 2182", &|facts| {
                facts.servers.remove(1);
                facts.servers[1].at.address = ip("192.0.2.5");
            }),
        ];
        each_is_found(rows);
    }

    #[test]
    fn what_is_no_fault() {
        let rows: &[&dyn Fn(&mut Facts)] = &[
            &|facts| facts.own.serial_in_force = None,
            // Signing gives serials of its own.
            &|facts| {
                facts.own.is_signed_here = true;
                facts.own.soa.serial = 3;
            },
        ];
        nothing_is_found(rows);
    }
}
