//! A slow second interpreter of section 5 of the draft, for tests: it holds rules as a list, collects every match of every rule, and
//! sorts them. It shares no code with the compiled tables.

use std::cmp::{Ordering, Reverse};
use std::net::IpAddr;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::record::Name;
use crate::zone::load_zone;

#[derive(Clone, Debug, PartialEq)]
enum When {
    Client(IpAddr, u8),
    Qname(String),
    Ip(IpAddr, u8),
    Nsdname(String),
    Nsip(IpAddr, u8),
}

#[derive(Clone, Debug)]
struct Rule {
    zone: usize,
    when: When,
}

/// What a match is compared by, the best one first.
type Rank = (usize, usize, usize, Reverse<bool>, Reverse<usize>, Reverse<Vec<Vec<u8>>>, Reverse<u8>, u128);

fn bits(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()), 96),
        IpAddr::V6(v6) => (v6.to_bits(), 0),
    }
}

fn holds(prefix: IpAddr, length: u8, address: IpAddr) -> bool {
    prefix.is_ipv4() == address.is_ipv4() && {
        let ((prefix, extra), (address, _)) = (bits(prefix), bits(address));
        (0..length + extra).all(|bit| (prefix ^ address) >> (127 - bit) & 1 == 0)
    }
}

fn labels(name: &str) -> Vec<&str> {
    name.split('.').filter(|label| !label.is_empty()).collect()
}

/// `None`: no match. Whether it is a wildcard's.
fn name_matches(rule: &str, name: &str) -> Option<bool> {
    if rule == name {
        return Some(false);
    }
    let (above, own) = (labels(rule.strip_prefix("*.")?), labels(name));
    (own.len() > above.len() && own.ends_with(&above)).then_some(true)
}

/// The name from its last label to its first: the canonical order (RFC 4034 6.1).
fn canonical(name: &str) -> Vec<Vec<u8>> {
    labels(name).iter().rev().map(|label| label.as_bytes().to_vec()).collect()
}

fn ranks(rule: &Rule, facts: &Facts) -> Vec<Rank> {
    let mut ranks = Vec::new();
    for (index, step) in facts.steps.iter().enumerate() {
        let by_address = |kind: usize, length: u8, prefix: IpAddr| {
            let (bits, extra) = bits(prefix);
            (index, rule.zone, kind, Reverse(false), Reverse(0), Reverse(Vec::new()), Reverse(length + extra), bits)
        };
        let by_name = |kind: usize, is_wildcard: bool, owner: &str, server: &str| {
            let count = if is_wildcard { labels(owner).len() } else { 0 };
            (index, rule.zone, kind, Reverse(!is_wildcard), Reverse(count), Reverse(canonical(server)), Reverse(0), 0)
        };
        let shown = |name: &Name| name.to_string().trim_end_matches('.').to_owned();
        match &rule.when {
            When::Client(prefix, length) => {
                let matches = index == 0 && facts.client.is_some_and(|client| holds(*prefix, *length, client));
                ranks.extend(matches.then(|| by_address(0, *length, *prefix)));
            }
            When::Qname(owner) => ranks.extend(name_matches(owner, &shown(&step.name)).map(|wildcard| by_name(1, wildcard, owner, ""))),
            When::Ip(prefix, length) => {
                let matches = step.addresses.iter().any(|address| holds(*prefix, *length, *address));
                ranks.extend(matches.then(|| by_address(2, *length, *prefix)));
            }
            When::Nsdname(owner) => ranks.extend(step.servers.iter().filter_map(|server| {
                let server = shown(&server.name);
                name_matches(owner, &server).map(|wildcard| by_name(3, wildcard, owner, &server))
            })),
            When::Nsip(prefix, length) => {
                let matches = step.servers.iter().flat_map(|server| &server.addresses).any(|address| holds(*prefix, *length, *address));
                ranks.extend(matches.then(|| by_address(4, *length, *prefix)));
            }
        }
    }
    ranks
}

/// The place of the rule that counts, in the list.
fn says(rules: &[Rule], facts: &Facts, is_in_force: impl Fn(usize) -> bool) -> Option<usize> {
    let in_force = rules.iter().enumerate().filter(|(_, rule)| is_in_force(rule.zone));
    let all = in_force.flat_map(|(at, rule)| ranks(rule, facts).into_iter().map(move |rank| (rank, at)));
    all.min_by(|one, other| one.0.cmp(&other.0).then(Ordering::Equal)).map(|(_, at)| at)
}

fn encoded(prefix: IpAddr, length: u8) -> String {
    match prefix {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{length}.{d}.{c}.{b}.{a}")
        }
        IpAddr::V6(v6) => {
            let fields: Vec<String> = v6.segments().iter().rev().map(|field| format!("{field:x}")).collect();
            format!("{length}.{}", fields.join("."))
        }
    }
}

fn owner(when: &When) -> String {
    match when {
        When::Client(prefix, length) => format!("{}.rpz-client-ip", encoded(*prefix, *length)),
        When::Qname(name) => name.clone(),
        When::Ip(prefix, length) => format!("{}.rpz-ip", encoded(*prefix, *length)),
        When::Nsdname(name) => format!("{name}.rpz-nsdname"),
        When::Nsip(prefix, length) => format!("{}.rpz-nsip", encoded(*prefix, *length)),
    }
}

/// Each rule is an alias to a name of its own, so that what was found is known.
fn compiled(rules: &[Rule], options: &[PolicyOptions]) -> ResponsePolicies {
    let zone = |(place, options): (usize, &PolicyOptions)| {
        let apex = Name::parse(&format!("rpz{place}.test")).expect("a name");
        let own = rules.iter().enumerate().filter(|(_, rule)| rule.zone == place);
        let lines: String = own.map(|(at, rule)| format!("{} CNAME rule{at}.walled.\n", owner(&rule.when))).collect();
        let text = format!("$TTL 60\n@ SOA localhost. root.localhost. 1 2 3 4 5\n@ NS localhost.\n{lines}");
        let (zone, _) = load_zone(&apex, "test", &mut |_| Ok(text.clone().into_bytes())).expect(&text);
        PolicyZone { name: apex, options: options.clone(), rules: Some(Arc::new(Rules::compile(Arc::new(zone)))) }
    };
    ResponsePolicies::new(options.iter().enumerate().map(zone).collect())
}

fn found(decided: &Decided<'_>) -> Result<Option<usize>, ()> {
    match decided {
        Decided::NoRule => Ok(None),
        Decided::NotYet => Err(()),
        Decided::Rule(found) => match &found.action {
            Action::Alias(target, _) => {
                let label = target.labels().next().expect("a label");
                Ok(Some(std::str::from_utf8(label).expect("text")["rule".len()..].parse().expect("a number")))
            }
            other => panic!("not one of ours: {other}"),
        },
    }
}

fn any_name(wild: bool) -> impl Strategy<Value = String> {
    let name = proptest::collection::vec(select(&["a", "b", "c"][..]), 1..4).prop_map(|labels| labels.join("."));
    (name, 0..3u8).prop_map(move |(name, kind)| if wild && kind == 0 { format!("*.{name}") } else { name })
}

/// Few, so that several servers of one step have rules of the same weight.
fn server_name(wild: bool) -> impl Strategy<Value = String> {
    let names: &[&str] = if wild { &["a", "b", "a.b", "b.b", "*.b", "*.a"] } else { &["a", "b", "a.b", "b.b", "c.a", "c.b"] };
    select(names).prop_map(str::to_owned)
}

fn any_address() -> impl Strategy<Value = IpAddr> {
    select(&["10.0.0.1", "10.0.0.2", "10.0.1.1", "192.0.2.1", "2001:db8::1", "2001:db8::2", "2001:db8:1::1", "::a00:1"][..])
        .prop_map(|text| text.parse().expect("an address"))
}

fn any_prefix() -> impl Strategy<Value = (IpAddr, u8)> {
    (any_address(), select(&[8u8, 16, 24, 31, 32, 48, 64, 126, 128][..])).prop_map(|(address, length)| {
        let length = if address.is_ipv4() { length.min(32) } else { length };
        let (all, extra) = bits(address);
        let kept = all & u128::MAX.checked_shl(128 - u32::from(length + extra)).unwrap_or(0);
        let network = if address.is_ipv4() { IpAddr::V4((kept as u32).into()) } else { IpAddr::V6(kept.into()) };
        (network, length)
    })
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let when = prop_oneof![
        any_prefix().prop_map(|(prefix, length)| When::Client(prefix, length)),
        any_name(true).prop_map(When::Qname),
        any_prefix().prop_map(|(prefix, length)| When::Ip(prefix, length)),
        server_name(true).prop_map(When::Nsdname),
        any_prefix().prop_map(|(prefix, length)| When::Nsip(prefix, length)),
    ];
    (0..3usize, when).prop_map(|(zone, when)| Rule { zone, when })
}

fn any_step() -> impl Strategy<Value = Step> {
    let server = (server_name(false), proptest::collection::vec(any_address(), 0..3))
        .prop_map(|(name, addresses)| NameServer { name: Name::parse(&name).expect("a name"), addresses });
    (any_name(false), proptest::collection::vec(any_address(), 0..3), proptest::collection::vec(server, 0..4))
        .prop_map(|(name, addresses, servers)| Step { name: Name::parse(&name).expect("a name"), addresses, servers })
}

fn any_options() -> impl Strategy<Value = PolicyOptions> {
    (0..5u8, 0..5u8, any::<bool>()).prop_map(|(log_only, wait, break_dnssec)| PolicyOptions {
        log_only: log_only == 0,
        qname_wait_recurse: wait == 0,
        break_dnssec,
        ..PolicyOptions::default()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn the_compiled_tables_agree_with_the_model(
        mut rules in proptest::collection::vec(any_rule(), 0..14),
        options in proptest::collection::vec(any_options(), 3),
        client in proptest::option::of(any_address()),
        steps in proptest::collection::vec(any_step(), 1..4),
        in_set in proptest::collection::vec(any::<bool>(), 3),
        dnssec_ok in any::<bool>(),
        is_signed in any::<bool>(),
    ) {
        // A zone holds each owner once.
        let mut seen: Vec<(usize, When)> = Vec::new();
        rules.retain(|rule| { let own = (rule.zone, rule.when.clone()); let fresh = !seen.contains(&own); seen.push(own); fresh });
        let policies = compiled(&rules, &options);
        let set = PolicySet::of((0..3).filter(|place| in_set[*place]));
        let after = Facts { client, steps, is_resolved: true, dnssec_ok, is_signed };
        let in_force = |place: usize| in_set[place] && !options[place].log_only && (options[place].break_dnssec || !(dnssec_ok && is_signed));
        let expected = says(&rules, &after, in_force);
        prop_assert_eq!(found(&decide(&policies, set, &after, &mut Vec::new())), Ok(expected), "{:?}\n{:?}", rules, after);

        let first = Step { addresses: Vec::new(), servers: Vec::new(), ..after.steps[0].clone() };
        let before = Facts { steps: vec![first], is_resolved: false, is_signed: false, ..after.clone() };
        match found(&decide(&policies, set, &before, &mut Vec::new())) {
            // What is decided before the response is what the response would have led to.
            Ok(Some(early)) => prop_assert_eq!(Some(early), expected, "{:?}\n{:?}", rules, after),
            Ok(None) => {
                let any_early = says(&rules, &Facts { is_resolved: true, ..before.clone() }, |place| in_set[place] && !options[place].log_only);
                prop_assert_eq!(any_early, None, "a rule that matches is never passed over");
            }
            // It waits for a reason only: a key asks for it, signatures may turn up, or an earlier zone looks at the response.
            Err(()) => {
                let at = says(&rules, &Facts { is_resolved: true, ..before.clone() }, |place| in_set[place] && !options[place].log_only);
                let zone = rules[at.expect("it waits for the sake of a rule")].zone;
                let looks = |rule: &Rule| matches!(rule.when, When::Ip(..) | When::Nsdname(_) | When::Nsip(..));
                let may_be_preceded = rules.iter().any(|rule| rule.zone < zone && in_set[rule.zone] && !options[rule.zone].log_only && looks(rule));
                let withheld = dnssec_ok && !options[zone].break_dnssec;
                prop_assert!(may_be_preceded || options[zone].qname_wait_recurse || withheld);
            }
        }
    }
}
