//! Which list and line decide for a name: what `cairn list which` says is what the table does.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::Value;

use super::assemble::Assembled;
use super::other_rules::{Hosted, OtherRules};
use super::tests::{TWO, next, nothing};
use super::which::{Asked, which};
use crate::config::Settings;
use crate::policy::{ListVerdict, LocalData, Moment, Paused, PolicyOptions, PolicyZone, ResponsePolicies, Rewrite, Rules, Views};
use crate::record::{Name, RrSet, Rtype};
use crate::server::scratch::Scratch;
use crate::zone::load_zone;

/// All that is asked besides the lists.
pub(super) struct Asking {
    pub(super) views: Views,
    pub(super) moment: Moment,
    zones: Vec<Name>,
    local_data: LocalData,
    policies: ResponsePolicies,
}

impl Asking {
    pub(super) fn new(text: &str) -> Asking {
        let views = Views::new(&Settings::from_toml(text, "cairn.toml").expect("valid"));
        let (zones, local_data, policies) = (Vec::new(), LocalData::default(), ResponsePolicies::default());
        Asking { views, moment: Moment::default(), zones, local_data, policies }
    }

    pub(super) fn which(&self, name: &str, made: &Assembled, state_folder: Option<&Path>) -> Value {
        self.which_as(name, None, None, made, state_folder)
    }

    fn which_as(&self, name: &str, rtype: Option<Rtype>, client: Option<&str>, made: &Assembled, state_folder: Option<&Path>) -> Value {
        let others = OtherRules { hosted: Hosted::Configured(&self.zones), local_data: &self.local_data, policies: Some(&self.policies) };
        let client = client.map(|client| client.parse::<IpAddr>().expect(client));
        let asked = Asked { rtype, views: &self.views, moment: &self.moment, client, at: None, others: &others };
        which(&Name::parse(name).expect("a name"), &asked, &made.lists, &made.states, state_folder)
    }
}

/// The verdict, and the line of each list.
fn shown(told: &Value) -> String {
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let rules = told["rules"].as_array().into_iter().flatten().map(|rule| format!("; {}: {}", word(&rule["list"]), word(&rule["text"])));
    format!("{} by {}{}", word(&told["verdict"]), word(&told["list"]), rules.collect::<String>())
}

#[test]
fn which_list_and_line() {
    let scratch = Scratch::new();
    scratch.write("ads.txt", "# ads\n0.0.0.0 ads.example\n");
    scratch.write("more.txt", "||x.example^\n@@||ads.example^\n");
    let (made, _) = next(&scratch, TWO, &nothing());
    let mut asking = Asking::new(&format!("{TWO}{VIEWS}"));
    asking.moment = Moment { day: 0, minute: 720, paused: Paused { all: false, views: vec!["c".to_owned()] } };
    let by = |name: &str, client: Option<&str>| asking.which_as(name, None, client, &made, None);
    let of = |name: &str| by(name, None);
    let both = of("ads.example");
    assert_eq!((both["verdict"].as_str(), both["list"].as_str()), (Some("allowed"), Some("more")));
    assert_eq!((&both["rules"][0]["line"], &both["rules"][0]["text"]), (&2.into(), &"0.0.0.0 ads.example".into()));
    assert_eq!((&both["rules"][1]["line"], &both["rules"][1]["decides"]), (&2.into(), &true.into()));
    assert_eq!(of("y.x.example")["rules"][0]["text"], "||x.example^");
    assert_eq!(of("z.example")["verdict"], "not-listed");
    let told = |which: &Value| {
        let rules: Vec<_> =
            which["rules"].as_array().into_iter().flatten().map(|rule| rule["out-of-force"].as_str().unwrap_or("-")).collect();
        format!("{} {} {}", which["view"].as_str().unwrap_or("-"), which["verdict"].as_str().unwrap_or("?"), rules.join("; "))
    };
    for (client, expected) in [
        ("192.0.2.1", "a not-listed the schedule of the view: mon-fri 20:00-07:00"),
        ("192.0.2.2", "b not-listed the view does not have this list"),
        ("192.0.2.3", "c not-listed a pause"),
        ("192.0.2.4", "- blocked -"),
    ] {
        assert_eq!(told(&by("x.example", Some(client))), expected, "{client}");
    }
    let in_views: Vec<_> = of("x.example")["views"].as_array().into_iter().flatten().map(|view| view["verdict"].to_string()).collect();
    assert_eq!(in_views, ["\"not-listed\"", "\"not-listed\"", "\"not-listed\""]);
}

/// The first line that has a name need not be the one that decides.
#[test]
fn the_line_that_decides() {
    let scratch = Scratch::new();
    let ads = [
        "||important.example^",
        "||important.example^$important",
        "||off.example^",
        "||off.example^$badfilter",
        "||off.example^$important",
        "||elsewhere.example^",
        "||elsewhere.example^$important",
        "||typed.example^$dnstype=TXT",
        "||typed.example^$dnstype=A",
        "||but.example^$denyallow=a.but.example",
        "||a.but.example^",
        "@@||both.example^",
        "||both.example^",
        "||rewritten.example^",
        "||rewritten.example^$dnsrewrite=192.0.2.1",
        "sub.example",
        "||example^$badfilter",
    ];
    scratch.write("ads.txt", &ads.join("\n"));
    scratch.write("more.txt", "||elsewhere.example^$important,badfilter\n||both.example^$important\n");
    let (made, problems) = next(&scratch, TWO, &nothing());
    assert_eq!(problems, [""; 0]);
    let asking = Asking::new(TWO);
    for (name, expected) in [
        ("important.example", "blocked by ads; ads: ||important.example^$important"),
        ("off.example", "blocked by ads; ads: ||off.example^$important"),
        ("elsewhere.example", "blocked by ads; ads: ||elsewhere.example^"),
        ("typed.example", "blocked by ads; ads: ||typed.example^$dnstype=A"),
        ("a.but.example", "blocked by ads; ads: ||a.but.example^"),
        ("b.but.example", "blocked by ads; ads: ||but.example^$denyallow=a.but.example"),
        ("both.example", "blocked by more; ads: @@||both.example^; more: ||both.example^$important"),
        ("rewritten.example", "rewritten by ads; ads: ||rewritten.example^$dnsrewrite=192.0.2.1"),
        ("sub.example", "blocked by ads; ads: sub.example"),
    ] {
        assert_eq!(shown(&asking.which(name, &made, Some(scratch.path()))), expected, "{name}");
    }
}

/// Without a server it is told too that a list was not read.
#[test]
fn lists_that_were_not_read() {
    let scratch = Scratch::new();
    scratch.write("more.txt", "||x.example^\n");
    let (made, _) = next(&scratch, TWO, &nothing());
    let asking = Asking::new(TWO);
    let told = asking.which("x.example", &made, None);
    assert_eq!((told["not-read"][0]["list"].as_str(), told["not-read"].as_array().map(Vec::len)), (Some("ads"), Some(1)));
    assert!(told["not-read"][0]["problem"].as_str().is_some_and(|problem| problem.ends_with("there is no such file")), "{told}");
}

/// A rule may be for some types alone.
#[test]
fn the_line_for_a_type() {
    let scratch = Scratch::new();
    scratch.write(
        "ads.txt",
        "||a.example^$dnstype=HTTPS\n||a.example^$dnstype=~HTTPS\n||four.example^$dnstype=A\n||six.example^$dnstype=AAAA\n",
    );
    scratch.write("more.txt", "@@||a.example^$dnstype=TXT\n");
    let (made, _) = next(&scratch, TWO, &nothing());
    let asking = Asking::new(TWO);
    for (name, rtype, expected) in [
        ("a.example", None, "A: blocked by ads; ads: ||a.example^$dnstype=~HTTPS"),
        ("a.example", Some(Rtype::HTTPS), "HTTPS: blocked by ads; ads: ||a.example^$dnstype=HTTPS"),
        ("a.example", Some(Rtype::TXT), "TXT: allowed by more; ads: ||a.example^$dnstype=~HTTPS; more: @@||a.example^$dnstype=TXT"),
        ("four.example", Some(Rtype::AAAA), "AAAA: not-listed by -"),
        ("four.example", None, "A: blocked by ads; ads: ||four.example^$dnstype=A"),
        ("six.example", None, "AAAA: blocked by ads; ads: ||six.example^$dnstype=AAAA"),
        ("six.example", Some(Rtype::ANY), "ANY: blocked by ads; ads: ||six.example^$dnstype=AAAA"),
        ("seven.example", None, "A: not-listed by -"),
    ] {
        let told = asking.which_as(name, rtype, None, &made, None);
        assert_eq!(format!("{}: {}", told["type"].as_str().unwrap_or("-"), shown(&told)), expected, "{name} {rtype:?}");
    }
}

/// Of several other answers the one for the longest name counts, wherever it stands.
#[test]
fn the_longest_name_of_several_answers() {
    let scratch = Scratch::new();
    scratch.write("ads.txt", "||example^$dnsrewrite=192.0.2.1\n||b.example^$dnsrewrite=192.0.2.2\n|b.example^$dnsrewrite=192.0.2.3\n");
    scratch.write("more.txt", "||a.b.example^$dnsrewrite=192.0.2.4\n");
    let text = TWO.replace("[[list]]\n", "[[list]]\nsingle-labels = true\n");
    let (made, _) = next(&scratch, &text, &nothing());
    let asking = Asking::new(&text);
    for (name, line, answer) in [
        ("c.example", "||example^$dnsrewrite=192.0.2.1", "192.0.2.1"),
        ("b.example", "||b.example^$dnsrewrite=192.0.2.2", "192.0.2.2, 192.0.2.3"),
        ("x.b.example", "||b.example^$dnsrewrite=192.0.2.2", "192.0.2.2"),
        ("a.b.example", "||a.b.example^$dnsrewrite=192.0.2.4", "192.0.2.4"),
    ] {
        let told = asking.which(name, &made, None);
        let deciding = told["rules"].as_array().into_iter().flatten().find(|rule| rule["decides"] == Value::Bool(true));
        assert_eq!((deciding.map(|rule| &rule["text"]), told["answer"].as_str()), (Some(&Value::from(line)), Some(answer)), "{name}");
    }
}

/// Lists decide nothing for this server's own data, and rules of response policy zones where no list has the name.
#[test]
fn what_decides_besides_lists() {
    let scratch = Scratch::new();
    scratch.write("ads.txt", "||example^\n||ruled.test^\n");
    scratch.write("more.txt", "@@||good.test^\n");
    let text = format!(
        "{}[[view]]\nname = 'v'\nclients = ['192.0.2.0/24']\nlocal-data = []\n",
        TWO.replace("[[list]]\n", "[[list]]\nsingle-labels = true\n")
    );
    let (made, _) = next(&scratch, &text, &nothing());
    let mut asking = Asking::new(&text);
    let name = |text: &str| Name::parse(text).expect(text);
    asking.zones = vec![name("host.example."), name("sub.host.example.")];
    asking.local_data = LocalData::new(&[RrSet::with(name("own.example."), Rtype::A, 60, &[192, 0, 2, 7])]);
    let text_of_rules = "$TTL 60\n@ SOA a. b. 1 2 3 4 60\n@ NS a.\nbad.test CNAME .\ngood.test CNAME .\nruled.test CNAME .\n32.9.2.0.192.rpz-client-ip CNAME rpz-drop.\n";
    let zone = load_zone(&name("rpz."), "rpz.zone", &mut |_| Ok(text_of_rules.as_bytes().to_vec())).expect("a good zone").0;
    let rules = Some(Arc::new(Rules::compile(Arc::new(zone))));
    asking.policies = ResponsePolicies::new(vec![PolicyZone { name: name("rpz."), options: PolicyOptions::default(), rules }]);
    for (asked, client, verdict, more) in [
        ("host.example", None, "hosted", "host.example."),
        ("x.sub.host.example", None, "hosted", "sub.host.example."),
        ("own.example", None, "local-data", "-"),
        // This view has no records.
        ("own.example", Some("192.0.2.1"), "blocked", "-"),
        ("www.example", None, "blocked", "-"),
        ("bad.test", None, "not-listed", "bad.test.rpz. NXDOMAIN"),
        ("other.test", Some("192.0.2.9"), "not-listed", "32.9.2.0.192.rpz-client-ip.rpz. DROP"),
        ("other.test", Some("192.0.2.8"), "not-listed", "-"),
        ("ruled.test", None, "blocked", "-"),
        ("good.test", None, "allowed", "-"),
    ] {
        let told = asking.which_as(asked, None, client, &made, None);
        let rule =
            told["policy-rule"]["rule"].as_str().map(|rule| format!("{rule} {}", told["policy-rule"]["action"].as_str().unwrap_or("-")));
        let shown = told["zone"].as_str().map(str::to_owned).or(rule).unwrap_or_else(|| "-".to_owned());
        assert_eq!((told["verdict"].as_str(), shown.as_str()), (Some(verdict), more), "{asked} {client:?}");
        let decides = told["rules"].as_array().into_iter().flatten().any(|rule| rule["decides"] == Value::Bool(true));
        assert_eq!(decides, !told["list"].is_null(), "{asked}");
    }
}

const NAMES: [&str; 4] = ["example", "b.example", "a.b.example", "c.a.b.example"];

/// A rule of any kind, whose answer tells which line it is.
fn line() -> impl Strategy<Value = String> {
    let modifiers = prop_oneof![
        4 => Just("".to_owned()),
        2 => Just("important".to_owned()),
        2 => Just("dnsrewrite=ANSWER".to_owned()),
        1 => Just("important,dnsrewrite=ANSWER".to_owned()),
        1 => Just("dnsrewrite=NXDOMAIN".to_owned()),
        1 => Just("dnstype=A".to_owned()),
        1 => Just("dnstype=~A".to_owned()),
        1 => Just("denyallow=a.b.example".to_owned()),
    ];
    let pattern = prop_oneof![Just("||NAME^"), Just("|NAME^"), Just("||*.NAME^")];
    (prop::sample::select(&NAMES[..]), pattern, modifiers, prop::bool::weighted(0.2), prop::bool::weighted(0.15)).prop_map(
        |(name, pattern, modifiers, is_exception, cancels)| {
            let all: Vec<&str> =
                [modifiers.as_str(), if cancels { "badfilter" } else { "" }].into_iter().filter(|word| !word.is_empty()).collect();
            let modifiers = if all.is_empty() { String::new() } else { format!("${}", all.join(",")) };
            let exception = if is_exception && !modifiers.contains("dnsrewrite") { "@@" } else { "" };
            format!("{exception}{}{modifiers}", pattern.replace("NAME", name))
        },
    )
}

fn lists() -> impl Strategy<Value = Vec<Vec<String>>> {
    prop::collection::vec(prop::collection::vec(line(), 0..7), 3)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// The line that is named is where the table's verdict came from: with no other line of its list but those that cancel, the
    /// verdict stays.
    #[test]
    fn the_named_line_gives_the_verdict(lists in lists(), in_view in prop::collection::vec(any::<bool>(), 3)) {
        // What cancels an answer has to have the same answer: only some are each line's own.
        let answer = |list: usize, at: usize, line: &str| {
            let shared = if line.contains("badfilter") || at.is_multiple_of(3) { 250 } else { 10 * list + at };
            line.replace("ANSWER", &format!("192.0.2.{shared}"))
        };
        let texts: Vec<Vec<String>> = lists
            .iter()
            .enumerate()
            .map(|(list, lines)| lines.iter().enumerate().map(|(at, line)| answer(list, at, line)).collect())
            .collect();
        let named: Vec<String> = (0..3).filter(|at| in_view[*at]).map(|at| format!("'l{at}'")).collect();
        let config: String = (0..3).map(|at| format!("[[list]]\nname = 'l{at}'\nsource = 'l{at}.txt'\nsingle-labels = true\n")).collect();
        let config = format!("{config}[[view]]\nname = 'v'\nclients = ['192.0.2.1']\nlists = [{}]\n", named.join(","));
        let asking = Asking::new(&config);
        let read = |texts: &[Vec<String>]| {
            let scratch = Scratch::new();
            for (at, lines) in texts.iter().enumerate() {
                scratch.write(&format!("l{at}.txt"), &format!("! list\n{}\n", lines.join("\n")));
            }
            let made = next(&scratch, &config, &nothing()).0;
            (scratch, made)
        };
        let (_scratch, made) = read(&texts);
        for name in NAMES {
            for rtype in [Rtype::A, Rtype::AAAA, Rtype::ANY] {
                for (client, view) in [(None, 0), (Some("192.0.2.1"), 1)] {
                    let verdict = |made: &Assembled| {
                        let found = made.lists.find(Name::parse(name).expect(name).as_wire(), rtype);
                        asking.views.in_force(&made.lists, &asking.moment)[view].verdict(&found)
                    };
                    let told = asking.which_as(name, Some(rtype), client, &made, None);
                    let before = verdict(&made);
                    let list = match &before {
                        ListVerdict::Pass => {
                            prop_assert_eq!(told["verdict"].as_str(), Some("not-listed"));
                            continue;
                        }
                        ListVerdict::Allowed(list) | ListVerdict::Blocked(list) | ListVerdict::Rewritten(list, _) => usize::from(list.0),
                    };
                    let deciding: Vec<&Value> =
                        told["rules"].as_array().into_iter().flatten().filter(|rule| rule["decides"] == Value::Bool(true)).collect();
                    prop_assert_eq!(deciding.len(), 1);
                    let number = deciding[0]["line"].as_u64().expect("a line");
                    let mut alone = texts.clone();
                    for (line, at) in alone[list].iter_mut().zip(2u64..) {
                        if at != number && !line.contains("badfilter") {
                            *line = "! another".to_owned();
                        }
                    }
                    let after = verdict(&read(&alone).1);
                    let is_same = match (&before, &after) {
                        // A name may have several addresses, a line each.
                        (ListVerdict::Rewritten(one, Rewrite::Addresses(all)), ListVerdict::Rewritten(other, Rewrite::Addresses(own))) => {
                            one == other && all.first() == own.first()
                        }
                        _ => before == after,
                    };
                    prop_assert!(is_same, "{name} {rtype} {client:?}: {before:?}, {after:?} with line {number} of l{list} in {texts:?}");
                }
            }
        }
    }
}

const VIEWS: &str = "[[view]]\nname = 'a'\nclients = ['192.0.2.1']\nschedule = ['more: mon-fri 20:00-07:00']\n\
    [[view]]\nname = 'b'\nclients = ['192.0.2.2']\nlists = ['ads']\n[[view]]\nname = 'c'\nclients = ['192.0.2.3']\n";
