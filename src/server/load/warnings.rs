//! What is allowed and seldom meant, and shows only when all files are seen together: rules that a hosted zone overrides, zones
//! that nobody else finds, signatures that expire, a resolver that is open to everybody, views that no client has.

use std::net::IpAddr;

use super::configuration::{Configuration, LoadedZone};
use super::unreached_views::unreached;
use crate::config::{Prefix, Problem, RouteSettings};
use crate::env::WallTime;
use crate::record::{Name, Rtype, timestamp_to_text};
use crate::zone::Found;

/// Signatures that end within this time were probably forgotten: signers renew them days before.
const SIGNATURES_END_SOON_S: i32 = 3 * 86_400;

/// All warnings of this kind.
pub(super) fn across_files(configuration: &Configuration, zones: &[LoadedZone], now: WallTime) -> Vec<Problem> {
    // Zones that hold rules are not served.
    let is_served =
        |zone: &&LoadedZone| !configuration.settings.zones.iter().any(|settings| settings.is_policy && settings.name == zone.file.name);
    let zones: Vec<&LoadedZone> = zones.iter().filter(is_served).collect();
    let signatures = zones.iter().filter_map(|zone| signatures(zone, now));
    let rules = unused_rules(configuration, &zones);
    rules
        .into_iter()
        .chain(undelegated(&zones))
        .chain(signatures)
        .chain(open_resolver(configuration))
        .chain(unreached(configuration))
        .collect()
}

/// Forward and stub rules for names that a hosted zone answers: hosted zones take precedence.
fn unused_rules(configuration: &Configuration, zones: &[&LoadedZone]) -> Vec<Problem> {
    let Configuration { settings, file } = configuration;
    let rules = settings.forwards.iter().map(|rule| ("forward", rule)).chain(settings.stubs.iter().map(|rule| ("stub", rule)));
    let unused = |(kind, rule): (&str, &RouteSettings)| {
        let around = zones.iter().filter(|hosted| rule.zone.is_within(&hosted.file.name));
        let LoadedZone { file: zone_file, zone } = around.max_by_key(|hosted| hosted.file.name.label_count())?;
        let (name, path) = (&zone_file.name, zone_file.path.display());
        let what = if rule.zone == *name {
            format!("warning: found [[{kind}]] for {name} and the zone itself ({path}), expected one of them: the zone wins")
        } else if matches!(zone.find(rule.zone.as_wire(), Rtype::A), Found::Referral { .. }) {
            return None;
        } else {
            format!("warning: found [[{kind}]] for {}, no delegation there in the zone {name} ({path}): the zone wins", rule.zone)
        };
        let config = file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
        Some(Problem::at(config, &rule.zone_mark, what))
    };
    rules.filter_map(unused).collect()
}

/// Zones below another hosted zone that does not delegate them: this server answers from them, and all others do not find them.
fn undelegated(zones: &[&LoadedZone]) -> Vec<Problem> {
    let lone = |child: &&LoadedZone| {
        let name = &child.file.name;
        let above = zones.iter().filter(|zone| zone.file.name != *name && name.is_within(&zone.file.name));
        let parent = above.max_by_key(|zone| zone.file.name.label_count())?;
        if matches!(parent.zone.find(name.as_wire(), Rtype::A), Found::Referral { .. }) {
            return None;
        }
        let servers = child.zone.apex_set(Rtype::NS);
        let server = servers.and_then(|set| set.data.iter().next().and_then(|rdata| Name::from_wire(rdata).ok()));
        let example = server.map_or_else(|| format!("`{name} NS` and a name server"), |server| format!("`{name} NS {server}`"));
        let what = format!(
            "warning: found no delegation of {name}, which is hosted here too ({}), so other resolvers do not find it: write {example}",
            child.file.path.display()
        );
        Some(Problem::of_file(parent.file.path.display().to_string(), what))
    };
    zones.iter().filter_map(lone).collect()
}

/// Signatures of a zone that was signed elsewhere, if validators refuse some of them now or soon.
fn signatures(loaded: &LoadedZone, now: WallTime) -> Option<Problem> {
    let LoadedZone { file, zone } = loaded;
    if !zone.is_signed() {
        return None;
    }
    // RFC 4034 3.1.5: the times are compared as serial numbers.
    let now = now.0 as u32;
    let time = |rdata: &[u8], at: usize| rdata.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
    let all = || zone.sets().flat_map(|(owner, set)| set.sigs().map(move |rdata| (owner, set.rtype, rdata)));
    let ends = all().filter_map(|(owner, rtype, rdata)| Some((time(rdata, 8)?, owner, rtype)));
    let (end, owner, rtype) = ends.min_by_key(|(end, _, _)| end.wrapping_sub(now) as i32)?;
    let begin = all().filter_map(|(_, _, rdata)| time(rdata, 12)).max_by_key(|begin| begin.wrapping_sub(now) as i32)?;
    let owner = Name::from_wire(owner).ok()?;
    let what = match end.wrapping_sub(now) as i32 {
        left if left < 0 => {
            format!("found the signature of {owner} {rtype} expired since {}, and validators refuse the data", timestamp_to_text(end))
        }
        left if left < SIGNATURES_END_SOON_S => {
            format!("found the signature of {owner} {rtype} valid until {} only", timestamp_to_text(end))
        }
        _ if begin.wrapping_sub(now) as i32 > 0 => {
            format!(
                "found signatures of {} valid from {} on, and validators refuse the data until then",
                file.name,
                timestamp_to_text(begin)
            )
        }
        _ => return None,
    };
    let what = format!("warning: {what}: sign the zone again, then run `cairn reload`");
    Some(Problem::of_file(file.path.display().to_string(), what))
}

/// Recursion for everybody, at an address that others can reach (RFC 5358).
pub(in crate::server) fn open_resolver(configuration: &Configuration) -> Option<Problem> {
    let settings = &configuration.settings;
    // Half of the addresses are as good as all of them; `2000::/3` is all of the IPv6 internet.
    let is_everybody = |prefix: &&Prefix| prefix.length() <= if prefix.network().is_ipv4() { 2 } else { 3 };
    let everybody = settings.server.allow.iter().find(is_everybody).filter(|_| settings.recursion.enabled)?;
    let reachable = |address: IpAddr| !address.to_canonical().is_loopback();
    let socket = settings.server.listen_addrs().into_iter().find(|socket| reachable(socket.ip()))?;
    let what = format!(
        "warning: server.allow: found {everybody}, so everybody who reaches {socket} can use this resolver, also to attack others (RFC 5358)"
    );
    let hint = "write the networks of your clients, such as \"192.168.0.0/16\"".to_owned();
    Some(Problem { hint: Some(hint), ..settings.problem_with("server.allow", what) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::{Clock, RealClock};
    use crate::server::load::{Sources, StartOptions};
    use crate::server::scratch::Scratch;

    const ZONE: &str = "$TTL 1h\n@ SOA ns hostmaster 1 1d 2h 4w 1h\n@ NS ns\nns A 192.0.2.1\n";

    fn told(scratch: &Scratch, config: &str, now: WallTime) -> Vec<String> {
        let config = Some(scratch.write("cairn.toml", config));
        let options = StartOptions { config: config.clone(), strict: true, ..StartOptions::default() };
        let sources = Sources::read(&options).expect("all is right");
        let configuration = Configuration { settings: sources.settings.clone(), file: config };
        let at = scratch.path().display().to_string();
        across_files(&configuration, &sources.zones, now).iter().map(|odd| odd.to_string().replace(&at, "AT")).collect()
    }

    #[test]
    fn a_zone_that_its_parent_does_not_delegate() {
        let scratch = Scratch::new();
        scratch.write("zones/example.org.zone", &format!("{ZONE}cut NS ns.cut\nns.cut A 192.0.2.9\n"));
        scratch.write("zones/cut.example.org.zone", ZONE);
        scratch.write("zones/sub.example.org.zone", ZONE);
        assert_eq!(
            told(&scratch, "", RealClock.wall()),
            ["AT/zones/example.org.zone: warning: found no delegation of sub.example.org., which is hosted here too \
                 (AT/zones/sub.example.org.zone), so other resolvers do not find it: write `sub.example.org. NS ns.sub.example.org.`"]
        );
    }

    #[test]
    fn signatures_that_are_no_longer_or_not_yet_valid() {
        let scratch = Scratch::new();
        let signature = "RRSIG SOA 8 2 3600 20260301000000 20260201000000 1 example.org. Zm9v";
        scratch.write("zones/example.org.zone", &format!("{ZONE}@ {signature}\n@ NSEC ns SOA NS RRSIG NSEC\n"));
        let file = "AT/zones/example.org.zone: warning: found";
        let remedy = "sign the zone again, then run `cairn reload`";
        // 2026-02-01 and days after it.
        for (days, expected) in [
            (
                -1,
                format!(
                    "{file} signatures of example.org. valid from 20260201000000 on, and validators refuse the data until then: {remedy}"
                ),
            ),
            (1, String::new()),
            (26, format!("{file} the signature of example.org. SOA valid until 20260301000000 only: {remedy}")),
            (
                29,
                format!("{file} the signature of example.org. SOA expired since 20260301000000, and validators refuse the data: {remedy}"),
            ),
        ] {
            let now = WallTime((1_769_904_000_i64 + days * 86_400) as u64);
            assert_eq!(told(&scratch, "", now).concat(), expected, "{days} days");
        }
    }

    #[test]
    fn a_resolver_for_everybody() {
        let scratch = Scratch::new();
        for (listen, allow, is_open) in [
            ("0.0.0.0", "0.0.0.0/0", true),
            ("[::]:53", "::/0", true),
            ("192.0.2.1", "128.0.0.0/1", true),
            ("192.0.2.1", "2000::/3", true),
            ("127.0.0.1", "0.0.0.0/0", false),
            ("0.0.0.0", "10.0.0.0/8", false),
        ] {
            let server = format!("[server]\nlisten = ['{listen}']\nallow = ['{allow}']\n");
            let told_open = told(&scratch, &server, WallTime(0));
            assert_eq!(told_open.len(), usize::from(is_open), "{server}");
            assert!(
                told_open
                    .iter()
                    .all(|line| line.starts_with("AT/cairn.toml:3:9: warning: server.allow: found ") && line.contains("; write ")),
                "{told_open:?}"
            );
            assert_eq!(told(&scratch, &format!("{server}[recursion]\nenabled = false\n"), WallTime(0)), Vec::<String>::new());
        }
    }
}
