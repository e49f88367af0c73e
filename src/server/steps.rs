//! The steps of a walk in words: one line a step for people, the same as members of an object for programs.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::answer::{Conclusion, Explained, Holder, Refused};
use crate::record::{EdeCode, Name, Question, Rank, Rcode, RrSet, Rtype, Security, rdata_to_text};
use crate::resolve::{Answer, Asked, Believed, CacheHit, Cause, Choice, Event, Failure, Kind, PassedOver, Purpose, Step};

/// All lines of an explanation, in order: the steps as a tree, then the answer or what failed.
pub(super) fn told(explained: &Explained) -> Vec<Value> {
    let mut lines: Vec<Value> = explained.held_by.iter().map(|by| held(explained, by)).collect();
    lines.extend(told_events(&explained.events));
    lines.extend(explained.not_followed.iter().map(|(target, refused)| not_followed(target, refused)));
    lines.push(match &explained.conclusion {
        Conclusion::Answered(answer) => answered(answer, explained.upstream_queries),
        Conclusion::Failed(failure) => {
            let ruled = explained.events.iter().any(|event| matches!(&event.step, Step::Routed { zone, .. } if *zone == failure.at));
            let cut_off = explained.events.iter().any(|event| matches!(event.step, Step::Offline { .. }));
            let advice = match (cut_off, ruled) {
                (true, _) => OFFLINE_ADVICE,
                (false, true) => RULE_ADVICE,
                (false, false) => advice(&failure.cause),
            };
            failed(failure, explained.upstream_queries, advice)
        }
        Conclusion::Refused(refused) => self::refused(refused),
    });
    lines
}

fn held(explained: &Explained, by: &Holder) -> Value {
    let (question, name) = (&explained.question, by.name());
    let asks_nobody = explained.upstream_queries == 0;
    match by {
        Holder::Zone(_) => json!({ "step": "held", "zone": name.to_string(), "line": hosted_words(question, name, asks_nobody) }),
        Holder::Special(_, rfc) => json!({
            "step": "held", "special": name.to_string(), "document": rfc,
            "line": format!(
                "{}\n    To have it resolved as any other name: special-use-except = [\"{name}\"] below [policy], or a zone or a rule of \
                 your own for it",
                special_words(question, name, rfc)
            ),
        }),
    }
}

fn hosted_words(question: &Question, zone: &Name, asks_nobody: bool) -> String {
    let and = if asks_nobody { " and asks nobody" } else { "" };
    format!("{question} lies in {zone}, a zone hosted here: this server speaks for it{and}")
}

fn special_words(question: &Question, special: &Name, rfc: &str) -> String {
    format!(
        "{question} is special: {rfc} sets {special} and all below it apart from the public DNS, so it is answered here and never sent out"
    )
}

fn not_followed(target: &Name, refused: &Refused) -> Value {
    json!({
        "step": "not-followed",
        "target": target.to_string(),
        "reason": refused.why,
        "rule": refused.rule,
        "advice": refused.remedy,
        "line": format!(
            "The alias leads to {target}, which no zone here holds, and is not followed: {}\n    The rule: {}\n    What to do: {}",
            refused.why, refused.rule, refused.remedy
        ),
    })
}

fn answered(answer: &Answer, upstream_queries: u32) -> Value {
    let records: Vec<String> = answer.answers.iter().chain(&answer.authority).flat_map(record_lines).collect();
    let bogus = answer.security == Security::Bogus;
    let unchecked = answer.ede.as_ref().is_some_and(|ede| ede.code == EdeCode::NEGATIVE_TRUST_ANCHOR);
    let verdict = verdict(answer.rcode.to_string(), answer.security, unchecked, answer.stale);
    let mut line = vec![format!("Answer: {verdict}, {}", counted(upstream_queries as usize, "query", "queries") + " to servers")];
    if answer.answers.is_empty() && answer.rcode == Rcode::NXDOMAIN {
        line.push("    There is no such name; the SOA record says for how long that may be remembered".to_owned());
    } else if answer.answers.is_empty() && answer.authority.iter().any(|set| set.rtype == Rtype::NS) {
        line.push("    A referral: the zone has handed the name to these servers, and the client has to ask them".to_owned());
    } else if answer.answers.is_empty() && answer.rcode == Rcode::NOERROR && answer.ede.is_none() {
        line.push("    The name exists and has no record of this type".to_owned());
    }
    line.extend(records.iter().map(|record| format!("    {record}")));
    line.extend(answer.ede.iter().map(|ede| format!("    {ede}")));
    let advice = bogus.then_some(BOGUS_ADVICE);
    line.extend(advice.map(|advice| format!("    What to do: {advice}")));
    json!({
        "step": "answer",
        "advice": advice,
        "rcode": answer.rcode.to_string(),
        "security": format!("{:?}", answer.security).to_lowercase(),
        "records": records,
        "upstream_queries": upstream_queries,
        "failed": bogus,
        "line": line.join("\n"),
    })
}

const BOGUS_ADVICE: &str =
    "its signatures do not hold: the owner has to mend them; `cairn trust negative add NAME` lets it through meanwhile, unproved";

const OFFLINE_ADVICE: &str = "this machine's own network is down, or a firewall keeps UDP and TCP port 53 from leaving it: look at the cable, the wireless network, the router; what is cached is answered meanwhile";

const RULE_ADVICE: &str = "these servers stand in a rule of your own configuration: look at the addresses after `to`; `fallback = true` would ask the public DNS when they fail";

fn failed(failure: &Failure, upstream_queries: u32, advice: &str) -> Value {
    json!({
        "step": "failed",
        "zone": failure.at.to_string(),
        "reason": failure.to_string(),
        "ede": failure.ede().code.0,
        "upstream_queries": upstream_queries,
        "failed": true,
        "advice": advice,
        "line": format!(
            "✗ Failed: SERVFAIL, {} to servers\n    {}\n    What to do: {}",
            counted(upstream_queries as usize, "query", "queries"),
            failure.ede(),
            advice
        ),
    })
}

fn refused(refused: &Refused) -> Value {
    json!({
        "step": "refused",
        "reason": refused.why,
        "rule": refused.rule,
        "ede": EdeCode::PROHIBITED.0,
        "failed": true,
        "advice": refused.remedy,
        "line": format!("✗ Refused: REFUSED, {}\n    The rule: {}\n    What to do: {}", refused.why, refused.rule, refused.remedy),
    })
}

/// `1 server`, `2 servers`.
fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn verdict(rcode: String, security: Security, unchecked: bool, stale: bool) -> String {
    let proof = match security {
        Security::Secure => ", proved by DNSSEC",
        Security::Insecure if unchecked => ", signatures not checked",
        Security::Insecure => ", not signed",
        Security::Bogus => ", BOGUS: a validating client gets SERVFAIL",
        Security::Indeterminate => "",
    };
    format!("{rcode}{proof}{}", if stale { ", expired data" } else { "" })
}

fn record_lines(set: &RrSet) -> Vec<String> {
    set.data.iter().map(|rdata| format!("{} {} {} {}", set.name, set.ttl, set.rtype, rdata_to_text(set.rtype, rdata))).collect()
}

/// Addresses of servers that came along with a delegation are told as one line for people.
fn told_events(events: &[Event]) -> Vec<Value> {
    let mut lines: Vec<Value> = events.iter().map(told_event).collect();
    let mut at = 0;
    while at < events.len() {
        let run = events[at..].iter().take_while(|event| is_glue(&event.step)).count();
        if run > 1 {
            let indent = "  ".repeat(usize::from(events[at].depth));
            let text =
                format!("{:>8.1} ms  {indent}kept: {run} sets of server addresses, {}", millis(events[at].at), rank_words(Rank::Glue));
            lines[at]["line"] = json!(text);
            lines[at + 1..at + run].iter_mut().for_each(|line| line["line"] = Value::Null);
        }
        at += run.max(1);
    }
    lines
}

fn is_glue(step: &Step) -> bool {
    matches!(step, Step::Cached { rank: Rank::Glue, .. })
}

fn rank_words(rank: Rank) -> &'static str {
    match rank {
        Rank::Glue => "as glue: to reach servers by, never as an answer",
        Rank::Referral => "as the parent's word on who serves the zone",
        Rank::Additional => "as additional data",
        Rank::Answer => "as an answer without authority",
        Rank::AuthAuthority => "as what the zone says beside its answers",
        Rank::AuthAnswer => "as the zone's own answer",
    }
}

/// What a person can do about a failure.
fn advice(cause: &Cause) -> &'static str {
    match cause {
        Cause::NoReachableAuthority => {
            "the zone's servers are down, or the way to them is blocked: try again later; if every name fails, look at this machine's network and whether UDP and TCP port 53 may leave it"
        }
        Cause::ServersFailed => {
            "the zone's servers answer, but not for this zone: its owner has to correct the servers or the delegation at the parent"
        }
        Cause::NoServerAddress => "the names of the zone's servers lead nowhere: its owner has to correct the delegation at the parent",
        Cause::Cycle => "the zones' servers are named in each other and no glue breaks the circle: their owners have to add glue",
        Cause::AliasLoop | Cause::AliasTooLong => "the owner of the alias has to correct it",
        Cause::Spent(_) => "the zone makes resolvers work too hard: its owner has to simplify it; ask again later",
        Cause::Remembered(_) => "this failed a moment ago and is not tried again yet: wait a few seconds, or `cairn cache flush NAME`",
        Cause::Bogus(_) => BOGUS_ADVICE,
        Cause::TimedOut => "ask again: the search may have ended meanwhile",
        Cause::Forbidden(_) => "look at the rule of the configuration that covers it",
        Cause::NoSocket => "this resolver may open too few files for its load: raise its limit (RLIMIT_NOFILE), or ask again later",
        Cause::NotCached => "ask with recursion",
        Cause::Shed => "the server is overloaded: ask again later",
        Cause::Internal => "this is a defect of Cairn: please report it with this output",
    }
}

fn told_event(event: &Event) -> Value {
    let (step, mut members, text) = words(&event.step);
    let useless = |kind: Kind| {
        matches!(
            kind,
            Kind::Lame
                | Kind::RecursionLame
                | Kind::Refused
                | Kind::ServFail
                | Kind::NeedsPlainDns
                | Kind::NewCookie
                | Kind::Broken
                | Kind::Empty
        )
    };
    let failed = match &event.step {
        Step::NoReply { .. } | Step::Offline { .. } | Step::Failed { .. } => true,
        Step::Reply { kind, .. } => useless(*kind),
        _ => false,
    };
    let mark = if failed { "✗ " } else { "" };
    let indent = "  ".repeat(usize::from(event.depth));
    members.insert("step".into(), json!(step));
    members.insert("at_ms".into(), json!(millis(event.at)));
    members.insert("depth".into(), json!(event.depth));
    members.insert("line".into(), json!(format!("{:>8.1} ms  {indent}{mark}{text}", millis(event.at))));
    Value::Object(members)
}

fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}

/// Name of the step, its members, its words.
fn words(step: &Step) -> (&'static str, Map<String, Value>, String) {
    let members = |value: Value| if let Value::Object(map) = value { map } else { Map::new() };
    match step {
        Step::Begin { question, purpose } => {
            let why = match purpose {
                Purpose::Client => "the question",
                Purpose::AliasTarget => "where the alias leads",
                Purpose::ServerAddress => "the address of a server",
                Purpose::Ds => "is the zone signed",
                Purpose::Dnskey => "the keys of the zone",
                Purpose::Priming => "who serves the root",
                Purpose::Prefetch => "refreshed before it expires",
                Purpose::Confirmation => "said in passing, asked for before it is kept",
            };
            ("begin", members(json!({ "question": question.to_string() })), format!("{question}  ({why})"))
        }
        Step::CacheHit { question, what: hit, age_s, ttl_s } => {
            let what = match hit {
                CacheHit::Set => "the records",
                CacheHit::Alias => "an alias",
                CacheHit::NxDomain => "that the name does not exist",
                CacheHit::NoData => "that there is no such type",
                CacheHit::Failure => "that this failed a moment ago",
                CacheHit::Stale => "only what has expired",
            };
            let value = json!({ "question": question.to_string(), "what": format!("{hit:?}"), "age_s": age_s, "ttl_s": ttl_s });
            let text = match hit {
                CacheHit::Stale => format!(
                    "the cache has {what} for {question}, learned {age_s} s ago: given all the same, since no server can be reached (RFC 8767)"
                ),
                _ => format!("nobody is asked: the cache has {what} for {question}, learned {age_s} s ago, good for {ttl_s} s more"),
            };
            ("cache-hit", members(value), text)
        }
        Step::Local { question, zone, document: None } => {
            ("local", members(json!({ "question": question.to_string(), "zone": zone.to_string() })), hosted_words(question, zone, true))
        }
        Step::Local { question, zone, document: Some(document) } => (
            "local",
            members(json!({ "question": question.to_string(), "special": zone.to_string(), "document": document })),
            special_words(question, zone, document),
        ),
        Step::Routed { zone, forward } => {
            let how = if *forward { "forwarded: the configuration has a rule" } else { "asked at the configured servers: a stub rule" };
            ("routed", members(json!({ "zone": zone.to_string(), "forward": forward })), format!("{how} for {zone}"))
        }
        Step::Cut { zone, servers, addresses, from_cache } => {
            let how = if *from_cache { "start at" } else { "now at" };
            let known = if *from_cache { ", known from before" } else { "" };
            let value = json!({ "zone": zone.to_string(), "servers": servers, "addresses": addresses, "from_cache": from_cache });
            let servers = counted(*servers, "server", "servers");
            let addresses = if *addresses == 0 { "no address known yet".to_owned() } else { counted(*addresses, "address", "addresses") };
            ("cut", members(value), format!("{how} zone {zone}: {servers}, {addresses}{known}"))
        }
        Step::Restart { zone, cause } => (
            "restart",
            members(json!({ "zone": zone.to_string(), "cause": format!("{cause:?}") })),
            format!("the servers known for {zone} are of no use; asking the zone above who serves it now"),
        ),
        Step::Joined { question } => (
            "joined",
            members(json!({ "question": question.to_string() })),
            format!("{question} is being looked up already; waiting for that"),
        ),
        Step::Asked(asked) => ("asked", members(asked_members(asked)), asked_words(asked)),
        Step::Reply { kind, rcode, took, tcp, tcp_because, near_misses, dropped } => {
            let because = tcp_because.map(|reason| format!(" because {reason}")).unwrap_or_default();
            let over = if *tcp { format!(", over TCP{because}") } else { String::new() };
            let mut text = format!("{rcode}: {} ({:.1} ms{over})", kind_words(*kind), millis(*took));
            if !*tcp && tcp_because.is_some() {
                text.push_str(&format!(", asked over TCP as well{because}"));
            }
            if *dropped > 0 {
                text.push_str(&format!(
                    ", {} passed over",
                    counted(*dropped, "record that was not asked for", "records that were not asked for")
                ));
            }
            if *near_misses > 0 {
                text.push_str(&format!(", after {} that did not match", counted(usize::from(*near_misses), "reply", "replies")));
            }
            let because = tcp_because.map(|reason| reason.to_string());
            let value = json!({
                "kind": format!("{kind:?}"), "rcode": rcode.to_string(), "took_ms": millis(*took), "tcp": tcp, "tcp_because": because,
                "dropped": dropped, "near_misses": near_misses,
            });
            ("reply", members(value), text)
        }
        Step::InPassing { question, zone, because } => {
            let (word, why) = match because {
                Believed::Proved => ("proved", "signed"),
                Believed::Apex => ("apex", "its own name; it is asked for as well before that is kept"),
                Believed::KeepsItsWord => ("keeps-its-word", "and its server keeps its word; it is asked for as well before that is kept"),
            };
            let value = json!({ "question": question.to_string(), "zone": zone.to_string(), "because": word });
            ("in-passing", members(value), format!("the same reply of {zone} has {question}, {why}"))
        }
        Step::Offline { without_route } => {
            let why = if *without_route { "it has no way out" } else { "no server of any zone answers" };
            let text =
                format!("this machine is cut off ({why}): nobody is asked until the network is back, which is looked for all the time");
            ("offline", members(json!({ "without_route": without_route })), text)
        }
        Step::NoReply { reason, took } => ("no-reply", members(json!({ "reason": reason, "took_ms": millis(*took) })), reason.clone()),
        Step::Alias { from, to, rtype } => {
            ("alias", members(json!({ "from": from.to_string(), "to": to.to_string() })), format!("{from} is an alias ({rtype}) of {to}"))
        }
        Step::Cached { name, rtype, records, ttl_s, rank } => {
            let value = json!({ "name": name.to_string(), "type": rtype.to_string(), "records": records, "ttl_s": ttl_s, "rank": format!("{rank:?}") });
            (
                "cached",
                members(value),
                format!("kept: {name} {rtype}, {} for {ttl_s} s, {}", counted(*records, "record", "records"), rank_words(*rank)),
            )
        }
        Step::CachedDenial { name, rtype, nxdomain, ttl_s } => {
            let what = if *nxdomain { format!("{name} does not exist") } else { format!("{name} has no {rtype}") };
            let value = json!({ "name": name.to_string(), "type": rtype.to_string(), "nxdomain": nxdomain, "ttl_s": ttl_s });
            ("cached-denial", members(value), format!("kept: {what}, for {ttl_s} s"))
        }
        Step::Proof { subject, security, detail, .. } => {
            let value = json!({ "subject": subject, "security": format!("{security:?}").to_lowercase(), "detail": detail });
            let detail = if detail.is_empty() { String::new() } else { format!(" ({detail})") };
            ("proof", members(value), format!("DNSSEC: {subject} is {}{detail}", format!("{security:?}").to_lowercase()))
        }
        Step::Done { question, rcode, records, security } => {
            let value = json!({ "question": question.to_string(), "rcode": rcode.to_string(), "records": records, "security": format!("{security:?}") });
            ("done", members(value), format!("{question}: {rcode}, {}", counted(*records, "record", "records")))
        }
        Step::Failed { question, cause } => (
            "failed-step",
            members(json!({ "question": question.to_string(), "cause": format!("{cause:?}") })),
            format!("{question} failed"),
        ),
    }
}

fn asked_members(asked: &Asked) -> Value {
    json!({
        "server": asked.server_name.as_ref().map(ToString::to_string),
        "address": asked.address.to_string(),
        "zone": asked.zone.to_string(),
        "question": asked.question.to_string(),
        "minimised": asked.minimised,
        "attempt": asked.attempt,
        "why": choice_words(asked.why),
        "edns": asked.with_edns,
        "passed_over": asked.passed_over.map(|over| json!({
            "family": over.family.to_string(), "addresses": over.addresses, "test_in_ms": millis(over.test_in),
        })),
    })
}

fn asked_words(asked: &Asked) -> String {
    let server = asked.server_name.as_ref().map_or_else(String::new, |name| format!("{name} "));
    let mut text = format!("ask {server}[{}] for {}: {}", asked.address, asked.question, choice_words(asked.why));
    if asked.minimised {
        text.push_str(", shown no more of the name than it needs");
    }
    if asked.attempt > 1 {
        text.push_str(&format!(", try {}", asked.attempt));
    }
    if !asked.with_edns {
        text.push_str(", without EDNS");
    }
    if let Some(PassedOver { family, addresses, test_in }) = asked.passed_over {
        text.push_str(&format!(
            "; {} passed over: nobody answers by {family} from here, tested again {}",
            counted(addresses, &format!("{family} address"), &format!("{family} addresses")),
            if test_in.is_zero() { "now".to_owned() } else { format!("in {} s", test_in.as_secs_f64().ceil()) }
        ));
    }
    text
}

fn choice_words(choice: Choice) -> String {
    match choice {
        Choice::Fastest { rtt_ms, of: 1 } => format!("the only one left ({rtt_ms} ms)"),
        Choice::Untried { of: 1 } => "the only one, not asked before".to_owned(),
        Choice::Fastest { rtt_ms, of } => format!("fastest of {of} ({rtt_ms} ms)"),
        Choice::Untried { of } => format!("not asked before, one of {of}"),
        Choice::Exploring { of } => format!("to see whether it has become faster, one of {of}"),
        Choice::Beside => "beside the one that keeps us waiting".to_owned(),
        Choice::Race => "beside the other, to see whether IPv4 and IPv6 work".to_owned(),
        Choice::FamilyTest { family } => format!("to see whether {family} works again; its reply is not waited for"),
        Choice::LastResort => "nobody else is left".to_owned(),
        Choice::Configured => "as configured".to_owned(),
    }
}

fn kind_words(kind: Kind) -> &'static str {
    match kind {
        Kind::Answer => "the answer",
        Kind::Alias => "an alias that leads elsewhere",
        Kind::Referral => "a referral: it names the servers of the zone below",
        Kind::NoData => "the name has no such records",
        Kind::NxDomain => "the name does not exist",
        Kind::Empty => "nothing at all; another server may know more",
        Kind::Lame => "lame: the zone above names it, but it does not serve this zone; its owner has to mend one of the two",
        Kind::RecursionLame => "a cached answer instead of its own: it does not serve this zone, its owner has to mend the delegation",
        Kind::Refused => "it does not serve this zone, or not to us; its owner has to mend it or the delegation",
        Kind::ServFail => "it cannot answer now; its owner has to look at it",
        Kind::NeedsPlainDns => "it does not understand EDNS; asked again without",
        Kind::NewCookie => "it wants a cookie of its own making; asked again with the one it gave",
        Kind::Broken => "not usable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Family;
    use crate::upstream::TcpReason;

    fn name(text: &str) -> Name {
        Name::parse(text).expect(text)
    }

    fn explained(steps: Vec<Step>, cause: Cause) -> Explained {
        let question = Question::new(name("www.example."), Rtype::A);
        let conclusion = Conclusion::Failed(Failure::new(name("example."), cause));
        let events = steps.into_iter().map(|step| Event { at: Duration::ZERO, depth: 0, step }).collect();
        Explained { question, conclusion, events, upstream_queries: 0, held_by: None, not_followed: None }
    }

    #[test]
    fn what_a_step_says() {
        let question = Question::new(name("www.example."), Rtype::A);
        let stale = Step::CacheHit { question: question.clone(), what: CacheHit::Stale, age_s: 9, ttl_s: 0 };
        let hit = Step::CacheHit { question: question.clone(), what: CacheHit::Set, age_s: 9, ttl_s: 7 };
        let local = |document| Step::Local { question: question.clone(), zone: name("example."), document };
        for (step, expected) in [
            (hit, "nobody is asked: the cache has the records for www.example. A, learned 9 s ago, good for 7 s more"),
            (
                stale,
                "the cache has only what has expired for www.example. A, learned 9 s ago: given all the same, since no server can be reached (RFC 8767)",
            ),
            (local(None), "www.example. A lies in example., a zone hosted here: this server speaks for it and asks nobody"),
            (
                local(Some("RFC 6761 6.5")),
                "www.example. A is special: RFC 6761 6.5 sets example. and all below it apart from the public DNS, so it is answered here and never sent out",
            ),
            (
                Step::Offline { without_route: true },
                "✗ this machine is cut off (it has no way out): nobody is asked until the network is back, which is looked for all the time",
            ),
        ] {
            let line = told_event(&Event { at: Duration::ZERO, depth: 0, step });
            assert_eq!(line["line"], format!("     0.0 ms  {expected}"));
        }
    }

    /// The cause that lies deepest is the one to do something about.
    #[test]
    fn what_to_do_about_a_failure() {
        let offline = Step::Offline { without_route: false };
        let ruled = Step::Routed { zone: name("example."), forward: true };
        for (steps, cause, expected) in [
            (vec![], Cause::TimedOut, "ask again"),
            (vec![ruled.clone()], Cause::ServersFailed, "these servers stand in a rule"),
            (vec![ruled, offline], Cause::TimedOut, "this machine's own network is down"),
            (vec![], Cause::AliasLoop, "the owner of the alias"),
        ] {
            let lines = told(&explained(steps, cause));
            let last = lines.last().expect("a last line");
            assert!(last["advice"].as_str().is_some_and(|advice| advice.starts_with(expected)), "{last}");
            assert!(last["line"].as_str().is_some_and(|line| line.contains(expected)), "{last}");
        }
    }

    #[test]
    fn a_reply_over_tcp_is_told_with_its_reason() {
        let told = |tcp, tcp_because, near_misses| {
            let took = Duration::from_millis(12);
            words(&Step::Reply { kind: Kind::Answer, rcode: Rcode::NOERROR, took, tcp, tcp_because, near_misses, dropped: 0 }).2
        };
        let rows = [
            (false, None, 0, "NOERROR: the answer (12.0 ms)"),
            (true, Some(TcpReason::Truncated), 0, "NOERROR: the answer (12.0 ms, over TCP because the UDP reply was truncated)"),
            (
                true,
                Some(TcpReason::CookieMissing),
                1,
                "NOERROR: the answer (12.0 ms, over TCP because a UDP reply came without the cookie that this server sends), after 1 \
                 reply that did not match",
            ),
            (
                false,
                Some(TcpReason::NearMisses),
                3,
                "NOERROR: the answer (12.0 ms), asked over TCP as well because UDP replies came that somebody may have forged, after 3 \
                 replies that did not match",
            ),
        ];
        for (tcp, because, near_misses, expected) in rows {
            assert_eq!(told(tcp, because, near_misses), expected);
        }
    }

    #[test]
    fn servers_of_a_broken_family_are_told_as_passed_over() {
        let asked = |test_in| Asked {
            server_name: None,
            address: [192, 0, 2, 1].into(),
            zone: Name::root(),
            question: Question::new(Name::root(), Rtype::NS),
            minimised: false,
            why: Choice::Untried { of: 1 },
            attempt: 1,
            with_edns: true,
            passed_over: Some(PassedOver { family: Family::V6, addresses: 2, test_in: Duration::from_millis(test_in) }),
        };
        let start =
            "ask [192.0.2.1] for . NS: the only one, not asked before; 2 IPv6 addresses passed over: nobody answers by IPv6 from here";
        assert_eq!(asked_words(&asked(4_200)), format!("{start}, tested again in 5 s"));
        assert_eq!(asked_words(&asked(0)), format!("{start}, tested again now"));
    }
}
