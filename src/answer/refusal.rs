//! Why a client is refused: a short sentence for the client, and for the operator the rule, its place, and the line that would
//! change it.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::config::{Prefix, Settings};
use crate::record::Name;

/// The access rule that refuses a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    Class,
    /// The access list of the zone does not admit the client.
    Zone(Name),
    /// The client is outside `server.allow`.
    Recursion,
    RecursionOff,
    /// RD=0, and the client is outside `policy.allow-snoop`.
    Cache,
}

impl Refusal {
    /// The sentence for the client.
    pub fn why(&self) -> &'static str {
        match self {
            Refusal::Class => "only class IN is served here",
            Refusal::Zone(_) => "this client may not query this zone",
            Refusal::Recursion => "this client may not use recursion",
            Refusal::RecursionOff => "recursion is turned off",
            Refusal::Cache => "queries without RD may not read the cache",
        }
    }
}

/// A refusal as the operator reads it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    pub why: &'static str,
    /// The rule, and its place in the configuration.
    pub rule: String,
    /// The line that would change the rule.
    pub remedy: String,
}

/// The access rules as the configuration has them.
pub(super) struct Rules {
    allow: Rule,
    snoop: Rule,
    recursion_place: String,
    zones: HashMap<Name, Rule>,
}

struct Rule {
    prefixes: Vec<String>,
    place: String,
}

impl Rule {
    fn new(prefixes: &[Prefix], place: String) -> Rule {
        Rule { prefixes: prefixes.iter().map(ToString::to_string).collect(), place }
    }

    fn shown(&self) -> String {
        listed(&self.prefixes)
    }

    fn with(&self, client: IpAddr) -> String {
        let mut all = self.prefixes.clone();
        all.push(client.to_string());
        listed(&all)
    }
}

fn listed(items: &[String]) -> String {
    let quoted: Vec<String> = items.iter().map(|item| format!("\"{item}\"")).collect();
    format!("[{}]", quoted.join(", "))
}

impl Rules {
    pub(super) fn new(settings: &Settings) -> Rules {
        let place = |key: &str| settings.origin_of(key).to_string();
        let zones = settings.zones.iter().map(|zone| (zone.name.clone(), Rule::new(&zone.allow, format!("line {}", zone.line))));
        Rules {
            allow: Rule::new(&settings.server.allow, place("server.allow")),
            snoop: Rule::new(&settings.policy.allow_snoop, place("policy.allow-snoop")),
            recursion_place: place("recursion.enabled"),
            zones: zones.collect(),
        }
    }

    pub(super) fn explain(&self, refusal: &Refusal, client: IpAddr) -> Refused {
        let client = client.to_canonical();
        let (rule, remedy) = match refusal {
            Refusal::Class => ("only class IN is served".to_owned(), "ask in class IN".to_owned()),
            Refusal::Zone(apex) => match self.zones.get(apex) {
                Some(rule) => (
                    format!("the [[zone]] {apex} ({}) has allow = {}, without {client}", rule.place, rule.shown()),
                    format!("to answer it, write in that [[zone]]: allow = {}", rule.with(client)),
                ),
                None => (format!("{apex} is restricted"), "look at its [[zone]]".to_owned()),
            },
            Refusal::Recursion => (
                format!("[server] has allow = {} ({}), without {client}", self.allow.shown(), self.allow.place),
                format!("to let it use the resolver, write below [server]: allow = {}", self.allow.with(client)),
            ),
            Refusal::RecursionOff => (
                format!("[recursion] has enabled = false ({})", self.recursion_place),
                "to resolve names, write below [recursion]: enabled = true".to_owned(),
            ),
            Refusal::Cache => (
                format!("[policy] has allow-snoop = {} ({}), without {client}", self.snoop.shown(), self.snoop.place),
                format!("to let it read the cache, write below [policy]: allow-snoop = {}", self.snoop.with(client)),
            ),
        };
        Refused { why: refusal.why(), rule, remedy }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_and_remedy() {
        let text = "[server]\nallow = ['10.0.0.0/8']\n[recursion]\nenabled = false\n[[zone]]\nname = 'a.example'\nfile = 'a'\nallow = ['10.1.0.0/16']\n";
        let rules = Rules::new(&Settings::from_toml(text, "cairn.toml").expect("valid"));
        let client = "::ffff:192.0.2.9".parse().expect("an address");
        for (refusal, rule, remedy) in [
            (
                Refusal::Recursion,
                "[server] has allow = [\"10.0.0.0/8\"] (cairn.toml:2), without 192.0.2.9",
                "write below [server]: allow = [\"10.0.0.0/8\", \"192.0.2.9\"]",
            ),
            (Refusal::RecursionOff, "[recursion] has enabled = false (cairn.toml:4)", "write below [recursion]: enabled = true"),
            (Refusal::Cache, "[policy] has allow-snoop = [] (default), without 192.0.2.9", "below [policy]: allow-snoop = [\"192.0.2.9\"]"),
            (
                Refusal::Zone(Name::parse("a.example").expect("a name")),
                "the [[zone]] a.example. (line 5) has allow = [\"10.1.0.0/16\"], without 192.0.2.9",
                "write in that [[zone]]: allow = [\"10.1.0.0/16\", \"192.0.2.9\"]",
            ),
        ] {
            let refused = rules.explain(&refusal, client);
            assert_eq!(refused.rule, rule);
            assert!(refused.remedy.ends_with(remedy), "{}", refused.remedy);
        }
    }
}
