//! Mistakes in forward and stub rules that show only when several keys are seen together: no server, an address that stands for two
//! servers, trust without a server to verify, and a server whose name only the server itself could look up.

use super::forwarder::Forwarder;
use super::problem::{Mark, Problem};
use super::settings::{RouteSettings, Settings};
use crate::record::Name;

/// A forward or stub rule as far as it says whom to ask.
#[derive(Clone, Copy)]
struct Rule<'a> {
    zone: &'a Name,
    to: &'a [Forwarder],
    /// Names are resolved from the root if no server can be asked.
    falls_back: bool,
}

impl<'a> Rule<'a> {
    fn of(route: &'a RouteSettings) -> Rule<'a> {
        Rule { zone: &route.zone, to: &route.to, falls_back: route.fallback }
    }

    /// The rule for this name, unless it says that the name is resolved from the root.
    fn nearest<'r>(all: &'r [Rule<'a>], name: &Name) -> Option<&'r Rule<'a>> {
        let nearest = all.iter().filter(|rule| name.is_within(rule.zone)).max_by_key(|rule| rule.zone.label_count());
        nearest.filter(|rule| !rule.to.is_empty())
    }
}

/// The mistakes in `[[forward]]` and in the `forward` of views.
pub(super) fn mistakes(settings: &Settings, file_name: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut problem = |mark: &Mark, what: String, hint: &str| {
        let hint = (!hint.is_empty()).then(|| hint.to_owned());
        problems.push(Problem { hint, ..Problem::at(file_name, mark, what) });
    };
    for stub in settings.stubs.iter().filter(|stub| stub.to.is_empty()) {
        let hint = "to exempt these names from a rule for a zone above, write [[forward]] with to = []";
        problem(&stub.to_mark, "stub.to: at least one address is needed".to_owned(), hint);
    }
    let all: Vec<Rule<'_>> = settings.forwards.iter().chain(&settings.stubs).map(Rule::of).collect();
    let is_hosted = |name: &Name| settings.zones.iter().any(|zone| name.is_within(&zone.name));
    for route in &settings.forwards {
        for what in of_one(Rule::of(route), &all, is_hosted) {
            problem(&route.to_mark, format!("forward.to: {}", what.0), &what.1);
        }
        let verifies = route.encrypted().next().is_some();
        for (key, mark, is_there) in [("ca", &route.ca_mark, route.ca.is_some()), ("pin-sha256", &route.pins_mark, !route.pins.is_empty())]
        {
            if is_there && !verifies {
                let hint = "write the servers as tls:// or https:// URLs, or leave this key out";
                problem(mark, format!("forward.{key}: no server of this rule is asked over TLS"), hint);
            }
        }
    }
    for view in &settings.views {
        let own: Vec<Rule<'_>> =
            view.forward.iter().map(|forward| Rule { zone: &forward.zone, to: &forward.to, falls_back: forward.fallback }).collect();
        let rest = all.iter().filter(|rule| own.iter().all(|own| own.zone != rule.zone));
        let of_view: Vec<Rule<'_>> = own.iter().chain(rest).copied().collect();
        for rule in &own {
            for what in of_one(*rule, &of_view, is_hosted) {
                problem(&view.forward_mark, format!("view.forward: {}", what.0), &what.1);
            }
        }
    }
    problems
}

/// What is wrong, and what to write.
fn of_one(rule: Rule<'_>, all: &[Rule<'_>], is_hosted: impl Fn(&Name) -> bool) -> Vec<(String, String)> {
    let mut wrong = Vec::new();
    for (at, forwarder) in rule.to.iter().enumerate() {
        let before = rule.to.get(..at).unwrap_or_default();
        let taken = forwarder.addresses().into_iter().find_map(|address| {
            let other = before.iter().find(|other| other.addresses().contains(&address))?;
            // A plain address that is written twice has been told already.
            (other.encrypted().is_some() || forwarder.encrypted().is_some()).then_some((address, other))
        });
        if let Some((address, other)) = taken {
            wrong.push((format!("{address} is written for {other} and for {forwarder}"), "keep one of them".to_owned()));
        }
        let Some((server, name)) = forwarder.encrypted().and_then(|server| Some((server, server.name_to_look_up()?))) else { continue };
        if let Some(nearest) = Rule::nearest(all, &name).filter(|_| !can_be_looked_up(&name, all, &is_hosted)) {
            let what = match nearest.zone == rule.zone {
                true => format!("only the servers of {} could look up {name}, so {forwarder} cannot be found", rule.zone),
                false => format!(
                    "{name} is looked up by the servers of {}, which cannot be found themselves, so {forwarder} cannot be found",
                    nearest.zone
                ),
            };
            wrong.push((what, format!("write its address behind it: \"{}#192.0.2.1\"", server.url())));
        }
    }
    wrong
}

/// Is there a way to the address of `name` on which no server has to be known by its name first? One server of each rule is enough.
fn can_be_looked_up(name: &Name, all: &[Rule<'_>], is_hosted: &impl Fn(&Name) -> bool) -> bool {
    let (mut names, mut seen) = (vec![name.clone()], Vec::<&Name>::new());
    while let Some(name) = names.pop() {
        if is_hosted(&name) {
            return true;
        }
        let Some(rule) = Rule::nearest(all, &name).filter(|rule| !rule.falls_back) else { return true };
        if seen.contains(&rule.zone) {
            continue;
        }
        seen.push(rule.zone);
        for forwarder in rule.to {
            match forwarder.encrypted().and_then(|server| server.name_to_look_up()) {
                Some(next) => names.push(next),
                None => return true,
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        match Settings::from_toml(text, "c.toml") {
            Ok(_) => Vec::new(),
            Err(problems) => problems.iter().map(Problem::to_string).collect(),
        }
    }

    #[test]
    fn one_address_is_one_server() {
        let rule = |to: &str| shown(&format!("[[forward]]\nzone = '.'\nto = {to}"));
        assert_eq!(
            rule("['tls://a.example#192.0.2.1', 'tls://b.example#192.0.2.2,192.0.2.1']"),
            [
                "c.toml:3:6: forward.to: 192.0.2.1:853 is written for tls://a.example#192.0.2.1 and for tls://b.example#192.0.2.2,192.0.2.1; keep one of them"
            ]
        );
        assert_eq!(rule("['192.0.2.1:853', 'tls://a.example#192.0.2.1']").len(), 1);
        assert_eq!(rule("['tls://a.example#192.0.2.1', 'https://a.example#192.0.2.1']"), Vec::<String>::new());
    }

    #[test]
    fn trust_belongs_to_encrypted_servers() {
        let rule = |rest: &str| shown(&format!("[[forward]]\nzone = '.'\n{rest}"));
        assert_eq!(
            rule("to = ['192.0.2.1']\nca = 'x.pem'"),
            [
                "c.toml:4:6: forward.ca: no server of this rule is asked over TLS; write the servers as tls:// or https:// URLs, or leave this key out"
            ]
        );
        assert_eq!(rule("to = ['192.0.2.1']\npin-sha256 = ['47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=']").len(), 1);
        assert_eq!(rule("to = ['192.0.2.1', 'tls://a.example#192.0.2.2']\nca = 'x.pem'"), Vec::<String>::new());
    }

    #[test]
    fn a_name_that_only_the_server_itself_could_look_up() {
        let rule = |zone: &str, to: &str| format!("[[forward]]\nzone = '{zone}'\nto = ['{to}']\n");
        let loop_of_one = rule(".", "tls://dns.example.net");
        assert_eq!(
            shown(&loop_of_one),
            [
                "c.toml:3:6: forward.to: only the servers of . could look up dns.example.net., so tls://dns.example.net cannot be found; write its address behind it: \"tls://dns.example.net#192.0.2.1\""
            ]
        );
        let (net, other) = (rule("net.", "tls://a.example.org"), rule("example.org.", "https://b.example.net"));
        assert_eq!(shown(&[net.clone(), other].concat()).len(), 2, "a loop of two rules");
        assert!(shown(&[net.clone(), rule("example.org.", "https://b.example.net")].concat())[0].contains(
            "a.example.org. is looked up by the servers of example.org., which cannot be found themselves, so tls://a.example.org cannot be found"
        ));
        let zone = |name: &str| format!("[[zone]]\nname = '{name}'\nfile = 'x'\n");
        for good in [
            // A server beside it has an address.
            rule(".", "tls://dns.example.net', '192.0.2.1"),
            rule(".", "tls://dns.example.net', 'tls://other.example.net#192.0.2.1"),
            rule(".", "tls://dns.example.net', 'https://192.0.2.1/dns-query"),
            // One of its server names has another way.
            [rule(".", "tls://dns.example.net', 'tls://dns.example.org"), rule("example.org.", "192.0.2.1")].concat(),
            [rule("net.", "tls://a.example.org"), rule("example.org.", "tls://b.example.net', 'tls://c.example.com")].concat(),
            // The first name on the way need not be the hosted one.
            [rule("net.", "tls://a.example.org"), rule("example.org.", "tls://b.example.net"), zone("b.example.net.")].concat(),
            [rule(".", "tls://dns.example.net', 'tls://dns.example.org"), zone("example.org.")].concat(),
            [loop_of_one.clone(), "fallback = true\n".to_owned()].concat(),
            rule("corp.", "tls://dns.example.net"),
            rule(".", "tls://dns.example.net#192.0.2.1"),
            [loop_of_one.clone(), rule("example.net.", "192.0.2.1")].concat(),
            [loop_of_one.clone(), "[[forward]]\nzone = 'example.net.'\nto = []".to_owned()].concat(),
            [loop_of_one.clone(), "[[stub]]\nzone = 'example.net.'\nto = ['192.0.2.1']".to_owned()].concat(),
            [loop_of_one.clone(), "[[zone]]\nname = 'example.net.'\nfile = 'x'".to_owned()].concat(),
            net,
        ] {
            assert_eq!(shown(&good), Vec::<String>::new(), "{good}");
        }
        let view = "[[view]]\nname = 'v'\nclients = ['192.0.2.0/24']\nforward = ['. tls://dns.example.net']";
        assert_eq!(shown(view).len(), 1);
        assert_eq!(shown(&[view, "\n", &rule("example.net.", "192.0.2.1")].concat()), Vec::<String>::new());
    }
}
