//! Checks of the network: do servers reply at all, over both address families and over TCP, and is it they who reply?

use std::net::IpAddr;

use super::facts::{Asked, Facts, Outcome};
use super::verdict::Verdict;
use crate::record::{Name, Rcode};

const NOBODY: &str = "no server outside replies";
const NO_ROOTS: &str = "no root server is asked: everything is forwarded, or names are not resolved here";

/// Does any server outside reply?
pub(super) fn network(facts: &Facts) -> Verdict {
    if facts.asked.is_empty() {
        return Verdict::NotKnown("no server outside is needed");
    }
    if facts.asked.iter().any(replies) {
        return Verdict::Good;
    }
    let no_route = |outcome: &Outcome| matches!(outcome, Outcome::NoRoute(_));
    if facts.asked.iter().all(|asked| no_route(&asked.small)) {
        return Verdict::fault(
            "this machine has no route to any server",
            "connect it: `ip route` shows the routes, `ip address` the addresses; cached and hosted names are answered meanwhile",
        );
    }
    Verdict::fault(
        format!("none of {} servers replied, over UDP or TCP: {}", facts.asked.len(), addresses(&facts.asked)),
        "a firewall between here and the Internet may block port 53 (UDP and TCP): let it through, or name the resolver that this \
         network allows: [[forward]] zone = \".\" to = [\"ADDRESS\"]",
    )
}

fn replies(asked: &Asked) -> bool {
    [&asked.small, &asked.recursive, &asked.invented, &asked.large, &asked.tcp].iter().any(|outcome| outcome.reply().is_some())
}

fn addresses<'a>(asked: impl IntoIterator<Item = &'a Asked>) -> String {
    asked.into_iter().map(|asked| asked.server.ip().to_string()).collect::<Vec<_>>().join(", ")
}

/// An address of the IPv6 internet, and servers that cannot be reached from it: every program first waits for nothing.
pub(super) fn ipv6(facts: &Facts) -> Verdict {
    let configured = facts.configuration.settings.recursion.ipv6;
    let (over_ipv6, over_ipv4): (Vec<&Asked>, Vec<&Asked>) = facts.roots().partition(|asked| asked.server.is_ipv6());
    match configured {
        Some(false) => return Verdict::NotKnown("IPv6 is turned off (recursion.ipv6)"),
        _ if over_ipv6.is_empty() => return Verdict::NotKnown(NO_ROOTS),
        _ if over_ipv6.iter().any(|asked| replies(asked)) => return Verdict::Good,
        None if !facts.has_ipv6_address => return Verdict::NotKnown("this machine has no IPv6 address of the Internet"),
        _ if !over_ipv4.iter().any(|asked| replies(asked)) => return Verdict::NotKnown(NOBODY),
        Some(true) | None => {}
    }
    let why_none = over_ipv6.iter().find_map(|asked| match &asked.small {
        Outcome::NoRoute(why) | Outcome::Failed(why) => Some(why.clone()),
        Outcome::NotAsked | Outcome::Reply(_) | Outcome::Silence => None,
    });
    let has = if facts.has_ipv6_address { "this machine has an IPv6 address" } else { "`recursion.ipv6 = true` is set" };
    let why = why_none.unwrap_or_else(|| "nothing came".to_owned());
    Verdict::fault(
        format!("{has}, but no root server replies over IPv6 ({}: {why}), while they do over IPv4", addresses(over_ipv6)),
        "mend the way out (`ip -6 route get 2001:503:ba3e::2:30`), or set `ipv6 = false` below [recursion]",
    )
}

/// One address for every name: a network that wants its guests to log in first.
pub(super) fn captive_portal(facts: &Facts) -> Verdict {
    let asked: Vec<&Asked> = facts.for_everything().filter(|asked| asked.invented.reply().is_some()).collect();
    if asked.is_empty() {
        return Verdict::NotKnown(NOBODY);
    }
    match asked.iter().find_map(|asked| Some((asked, portal(asked)?))) {
        Some((asked, portal)) => Verdict::fault(
            format!("every name leads to {portal}, even one that does not exist (asked at {})", asked.server.ip()),
            format!("open http://{portal}/ in a browser and log in to this network; resolve nothing before that"),
        ),
        None => Verdict::Good,
    }
}

/// The address that a name that does not exist and one that does have in common.
fn portal(asked: &Asked) -> Option<IpAddr> {
    let invented = &asked.invented.reply()?.addresses;
    let known = &asked.recursive.reply()?.addresses;
    invented.iter().find(|address| known.contains(address)).copied()
}

/// Somebody between here and the root servers answers in their place, or a forwarder makes names up.
pub(super) fn interception(facts: &Facts) -> Verdict {
    let asked: Vec<&Asked> = facts.for_everything().filter(|asked| replies(asked)).collect();
    if asked.is_empty() {
        return Verdict::NotKnown(NOBODY);
    }
    let forged: Vec<(&Asked, String)> =
        asked.into_iter().filter(|asked| portal(asked).is_none()).filter_map(|asked| Some((asked, sign(asked, facts)?))).collect();
    let Some((first, sign)) = forged.first() else { return Verdict::Good };
    if *sign == INVENTS && first.role != super::facts::Role::Root {
        return Verdict::fault(
            format!("the forwarder {} gives addresses for names that do not exist", first.server),
            "name another forwarder in [[forward]], or none: Cairn then walks from the root itself",
        );
    }
    Verdict::fault(
        format!(
            "queries to the root servers are answered by somebody else ({}): {sign}",
            addresses(forged.iter().map(|(asked, _)| *asked))
        ),
        "a router, provider or firewall redirects port 53 to a resolver of its own: turn that off there, use another network or a VPN, or \
         accept its resolver by name: [[forward]] zone = \".\" to = [\"ADDRESS\"]",
    )
}

const INVENTS: &str = "a name that does not exist has an address";

/// What no server of the root does.
fn sign(asked: &Asked, facts: &Facts) -> Option<String> {
    let invents = |outcome: &Outcome| outcome.reply().is_some_and(|seen| !seen.addresses.is_empty());
    if invents(&asked.invented) {
        return Some(INVENTS.to_owned());
    }
    if asked.role != super::facts::Role::Root {
        return None;
    }
    let outcomes = [&asked.small, &asked.recursive, &asked.invented, &asked.large];
    // The servers of a private root may be resolvers as well.
    let is_public = facts.configuration.settings.recursion.root_hints.is_none();
    if is_public && outcomes.iter().filter_map(|outcome| outcome.reply()).any(|seen| seen.recursion_available) {
        return Some("they offer recursion (RA), which root servers never do".to_owned());
    }
    if let Some(rcode) = error_of(&asked.small) {
        return Some(format!("they answer {rcode} to the question for the NS records of the root"));
    }
    if is_public && error_of(&asked.recursive) == Some(Rcode::NXDOMAIN) {
        return Some("they say that example.com does not exist".to_owned());
    }
    if invents(&asked.recursive) {
        return Some("they know the addresses of example.com".to_owned());
    }
    if let Some(seen) = asked.small.reply().filter(|seen| !seen.truncated) {
        let is_of_the_root = |name: &Name| facts.hints.iter().any(|(hint, _)| hint == name);
        if seen.servers.is_empty() {
            return Some("they have no NS records of the root".to_owned());
        }
        if !seen.authoritative {
            return Some("their NS records of the root are not authoritative (AA)".to_owned());
        }
        if is_public && !seen.servers.iter().any(is_of_the_root) {
            return Some(format!("they name {} as a server of the root", seen.servers[0]));
        }
    }
    let recursion = &facts.configuration.settings.recursion;
    let has_anchors = recursion.dnssec && !facts.trusted.tags.is_empty();
    match asked.large.reply().filter(|seen| has_anchors && !seen.truncated && seen.signatures.is_empty())?.rcode {
        Rcode::NOERROR => Some("the keys of the root come without signatures".to_owned()),
        rcode => Some(format!("they answer {rcode} to the question for the keys of the root")),
    }
}

fn error_of(outcome: &Outcome) -> Option<Rcode> {
    outcome.reply().map(|seen| seen.rcode).filter(|rcode| *rcode != Rcode::NOERROR)
}

/// Replies longer than 512 octets, which carry the signatures.
pub(super) fn large_answers(facts: &Facts) -> Verdict {
    let asked: Vec<&Asked> = facts.for_everything().filter(|asked| asked.small.reply().is_some() && asked.large.was_asked()).collect();
    if asked.is_empty() {
        return Verdict::NotKnown(NOBODY);
    }
    if asked.iter().any(|asked| asked.large.reply().is_some()) {
        return Verdict::Good;
    }
    Verdict::fault(
        format!("small replies of {} arrive over UDP, large ones (EDNS, up to 1232 octets) do not", addresses(asked)),
        "a firewall drops DNS messages over 512 octets or with EDNS, or the MTU of the link is set too high: let them through, and \
         compare `ping -M do -s 1252 ADDRESS` with `ip link`; Cairn goes on over TCP, slowly",
    )
}

/// RFC 7766: what does not fit into a datagram comes over TCP.
pub(super) fn tcp(facts: &Facts) -> Verdict {
    let asked: Vec<&Asked> = facts.for_everything().filter(|asked| asked.small.reply().is_some() && asked.tcp.was_asked()).collect();
    if asked.is_empty() {
        return Verdict::NotKnown(NOBODY);
    }
    if asked.iter().any(|asked| asked.tcp.reply().is_some()) {
        return Verdict::Good;
    }
    let why = asked.iter().find_map(|asked| match &asked.tcp {
        Outcome::Failed(why) | Outcome::NoRoute(why) => Some(why.clone()),
        Outcome::NotAsked | Outcome::Reply(_) | Outcome::Silence => None,
    });
    Verdict::fault(
        format!("{} reply over UDP but not over TCP ({})", addresses(asked), why.unwrap_or_else(|| "nothing came".to_owned())),
        "let TCP to port 53 out as well as UDP: answers that do not fit into a datagram come over TCP (RFC 7766)",
    )
}

#[cfg(test)]
mod tests {
    use super::super::seen::Seen;
    use super::super::test_facts::{Row, each_is_found, forwarder, name, none_is_a_fault, seen};
    use super::*;

    fn addresses_of(ip: &str) -> Outcome {
        Outcome::Reply(Seen { addresses: vec![ip.parse().expect(ip)], ..seen(false, Rcode::NOERROR) })
    }

    fn each(facts: &mut Facts, change: impl Fn(&mut Asked)) {
        facts.asked.iter_mut().for_each(change);
    }

    fn change_reply(outcome: &mut Outcome, change: impl Fn(&mut Seen)) {
        if let Outcome::Reply(seen) = outcome {
            change(seen);
        }
    }

    #[test]
    fn each_fault_of_the_network() {
        let dead = |asked: &mut Asked, outcome: &Outcome| {
            *asked = Asked { small: outcome.clone(), tcp: outcome.clone(), ..Asked::of(asked.server, asked.role.clone()) }
        };
        let rows: &[Row<'_>] = &[
            ("network", "none of 3 servers replied", "may block port 53", &|facts| each(facts, |asked| dead(asked, &Outcome::Silence))),
            ("network", "no route to any server", "ip route", &|facts| {
                each(facts, |asked| dead(asked, &Outcome::NoRoute("unreachable".to_owned())));
            }),
            ("IPv6", "has an IPv6 address, but no root server replies over IPv6 (2001:db8::1: nothing came)", "ipv6 = false", &|facts| {
                dead(&mut facts.asked[2], &Outcome::Silence);
            }),
            (
                "IPv6",
                "`recursion.ipv6 = true` is set, but no root server replies over IPv6 (2001:db8::1: no way)",
                "ip -6 route",
                &|facts| {
                    facts.has_ipv6_address = false;
                    facts.configuration.settings.recursion.ipv6 = Some(true);
                    dead(&mut facts.asked[2], &Outcome::NoRoute("no way".to_owned()));
                },
            ),
            ("captive portal", "every name leads to 192.0.2.66", "http://192.0.2.66/", &|facts| {
                each(facts, |asked| {
                    (asked.recursive, asked.invented) = (addresses_of("192.0.2.66"), addresses_of("192.0.2.66"));
                    (asked.small, asked.tcp) = (Outcome::Reply(seen(false, Rcode::NOERROR)), Outcome::Reply(seen(false, Rcode::NOERROR)));
                });
            }),
            ("interception", "(192.0.2.1, 192.0.2.2, 2001:db8::1): they offer recursion (RA)", "redirects port 53", &|facts| {
                each(facts, |asked| change_reply(&mut asked.recursive, |seen| seen.recursion_available = true));
            }),
            ("interception", "(192.0.2.2): their NS records of the root are not authoritative", "another network", &|facts| {
                change_reply(&mut facts.asked[1].small, |seen| seen.authoritative = false);
            }),
            ("interception", "no NS records of the root", "another network", &|facts| {
                change_reply(&mut facts.asked[1].small, |seen| seen.servers.clear());
            }),
            ("interception", "they name ns.evil.example.", "another network", &|facts| {
                change_reply(&mut facts.asked[1].small, |seen| seen.servers = vec![name("ns.evil.example.")]);
            }),
            ("interception", "know the addresses of example.com", "another network", &|facts| {
                facts.asked[0].recursive = addresses_of("192.0.2.80")
            }),
            // A packet filter that answers by itself: another kind of interception.
            ("interception", "answer REFUSED to the question for the NS records of the root", "another network", &|facts| {
                each(facts, |asked| change_reply(&mut asked.small, |seen| *seen = self::seen(false, Rcode::REFUSED)));
            }),
            ("interception", "answer NXDOMAIN to the question for the NS records of the root", "another network", &|facts| {
                change_reply(&mut facts.asked[1].small, |seen| *seen = self::seen(true, Rcode::NXDOMAIN));
            }),
            ("interception", "say that example.com does not exist", "another network", &|facts| {
                change_reply(&mut facts.asked[1].recursive, |seen| seen.rcode = Rcode::NXDOMAIN);
            }),
            ("interception", "answer FORMERR to the question for the keys of the root", "another network", &|facts| {
                change_reply(&mut facts.asked[1].large, |seen| *seen = self::seen(false, Rcode::FORMERR));
            }),
            ("interception", "come without signatures", "another network", &|facts| {
                change_reply(&mut facts.asked[0].large, |seen| seen.signatures.clear());
            }),
            ("interception", INVENTS, "another network", &|facts| facts.asked[0].invented = addresses_of("192.0.2.66")),
            ("interception", "the forwarder 192.0.2.9:53 gives addresses", "another forwarder", &|facts| {
                facts.asked = vec![Asked { invented: addresses_of("192.0.2.66"), ..forwarder("192.0.2.9:53") }];
            }),
            ("large answers", "large ones (EDNS, up to 1232 octets) do not", "MTU", &|facts| {
                each(facts, |asked| asked.large = Outcome::Silence)
            }),
            ("TCP", "reply over UDP but not over TCP (connection refused)", "RFC 7766", &|facts| {
                each(facts, |asked| asked.tcp = Outcome::Failed("connection refused".to_owned()));
            }),
        ];
        each_is_found(rows);
    }

    #[test]
    fn what_is_no_fault() {
        let rows: &[&dyn Fn(&mut Facts)] = &[
            // One server of several, or one try of several, says nothing of the network.
            &|facts| facts.asked[0] = Asked { small: Outcome::Silence, ..Asked::of(facts.asked[0].server, facts.asked[0].role.clone()) },
            &|facts| facts.asked[0].large = Outcome::Silence,
            &|facts| facts.asked[0].tcp = Outcome::Silence,
            // A machine without IPv6.
            &|facts| {
                facts.has_ipv6_address = false;
                facts.asked[2] =
                    Asked { small: Outcome::NoRoute("none".to_owned()), ..Asked::of(facts.asked[2].server, facts.asked[2].role.clone()) };
            },
            // A private root does not have to know example.com.
            &|facts| {
                facts.configuration.settings.recursion.root_hints = Some("hints".into());
                each(facts, |asked| change_reply(&mut asked.recursive, |seen| seen.rcode = Rcode::NXDOMAIN));
            },
            // A private root names servers of its own, and may be unsigned where nothing is validated.
            &|facts| {
                facts.configuration.settings.recursion.root_hints = Some("hints".into());
                facts.configuration.settings.recursion.dnssec = false;
                each(facts, |asked| {
                    change_reply(&mut asked.small, |seen| {
                        seen.servers = vec![name("ns.private.")];
                        seen.recursion_available = true;
                    });
                    change_reply(&mut asked.large, |seen| seen.signatures.clear());
                });
            },
            &|facts| facts.asked.clear(),
        ];
        none_is_a_fault(rows);
    }
}
