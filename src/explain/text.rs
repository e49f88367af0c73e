//! Each event as a line of text for people: a function of the event alone, so that text and JSON cannot disagree.

use super::event::{
    AliasTailReason, Answer, Asked, CacheHit, CacheHitKind, Chain, ChainLink, Choice, Ede, Event, Failed, Family, LocalSource, Mark,
    Purpose, Rank, Record, Refused, Reply, ReplyKind, Secure, SecureTransport, Security,
};

pub(super) fn mark(event: &Event) -> Mark {
    match event {
        Event::NoServer(_) | Event::Server(_) | Event::OwnProcess(_) | Event::Cached(_) | Event::CachedDenial(_) => Mark::Faint,
        Event::Answer(answer) if answer.security == Security::Bogus => Mark::Bad,
        Event::Answer(_) => Mark::Good,
        Event::NoReply(_) | Event::Offline(_) | Event::Unresolved(_) | Event::Failed(_) | Event::Refused(_) => Mark::Bad,
        Event::Reply(reply) if !is_useful(reply.kind) => Mark::Bad,
        Event::Chain(chain) if chain.links.iter().any(|link| link.broken) => Mark::Bad,
        Event::Hosted(_)
        | Event::LocalData(_)
        | Event::TranslatedAddress(_)
        | Event::SpecialUse(_)
        | Event::PolicyRule(_)
        | Event::OnList(_)
        | Event::OutOfForce(_)
        | Event::View(_)
        | Event::SafeSearch(_)
        | Event::NotFollowed(_)
        | Event::Stripped(_)
        | Event::Synthesised(_)
        | Event::Begin(_)
        | Event::CacheHit(_)
        | Event::Local(_)
        | Event::LocalRoot(_)
        | Event::Routed(_)
        | Event::Cut(_)
        | Event::Restart(_)
        | Event::Joined(_)
        | Event::Asked(_)
        | Event::Reply(_)
        | Event::AliasTail(_)
        | Event::Alias(_)
        | Event::Proof(_)
        | Event::Done(_)
        | Event::Chain(_) => Mark::Plain,
    }
}

fn is_useful(kind: ReplyKind) -> bool {
    match kind {
        ReplyKind::Answer | ReplyKind::Alias | ReplyKind::Referral | ReplyKind::Nodata | ReplyKind::Nxdomain => true,
        ReplyKind::Empty
        | ReplyKind::Lame
        | ReplyKind::RecursionLame
        | ReplyKind::Refused
        | ReplyKind::Servfail
        | ReplyKind::NeedsPlainDns
        | ReplyKind::NewCookie
        | ReplyKind::Broken => false,
    }
}

/// A step of the walk: the time, its place in the tree, what happened.
pub(super) fn step(event: &Event, at_ms: f64, depth: u8) -> String {
    let cross = if mark(event) == Mark::Bad { "✗ " } else { "" };
    format!("{}{cross}{}", margin(at_ms, depth), of(event))
}

pub(super) fn glue_sets(count: usize, at_ms: f64, depth: u8) -> String {
    format!("{}cached: {count} sets of server addresses, {}", margin(at_ms, depth), source(Rank::Glue))
}

fn margin(at_ms: f64, depth: u8) -> String {
    format!("{at_ms:>8.1} ms  {}", "  ".repeat(usize::from(depth)))
}

pub(super) fn of(event: &Event) -> String {
    match event {
        Event::NoServer(event) => format!("No running server was asked: {}", event.reason),
        Event::Server(event) => {
            format!("Resolved by the running server (process {}); its cache has {} RRsets", event.process, event.cached_sets)
        }
        Event::OwnProcess(event) => format!("Resolved by this process, with an empty cache and {}", event.settings),
        Event::Hosted(event) => format!("{} is in {}, a zone hosted here", event.question, event.zone),
        Event::LocalData(event) => local_data(&event.question),
        Event::TranslatedAddress(event) => translated_address(&event.question),
        Event::SpecialUse(event) => format!(
            "{}\n    To resolve it like any other name: special-use-except = [\"{}\"] in [policy], or a zone or rule of your own",
            special_use(&event.question, &event.name, &event.document),
            event.name
        ),
        Event::NotFollowed(event) => format!(
            "The alias leads to {}, which is in no zone hosted here, and is not followed: {}\n    The rule: {}\n    What to do: {}",
            event.target, event.reason, event.rule, event.advice
        ),
        Event::PolicyRule(event) => format!(
            "Response policy zone {}: rule {} ({}) {} {}",
            event.zone,
            event.owner,
            event.trigger,
            if event.log_only { "would answer, but only logs:" } else { "answers" },
            match event.action.as_str() {
                "DROP" => "DROP: no reply is sent",
                "TCP-ONLY" => "TCP-ONLY: a truncated reply over UDP",
                "PASSTHRU" => "PASSTHRU: no rule changes the answer",
                action => action,
            }
        ),
        Event::View(event) => format!("The client has the view {}", event.view),
        Event::SafeSearch(event) => format!("Safe search: {} stands in for {}", event.target, event.name),
        Event::OnList(event) => {
            let line = event.line.zip(event.text.as_ref()).map(|(line, text)| format!(":{line}: {text}"));
            let place = event.source.as_ref().zip(line).map(|(source, line)| format!("\n    {source}{line}")).unwrap_or_default();
            format!("List {} {} {}{place}", event.list, event.verdict, event.name)
        }
        Event::OutOfForce(event) => format!("List {} has {} and is not in force: {}", event.list, event.name, event.why),
        Event::Stripped(event) => format!(
            "Rebinding protection removes {} from {} {}, because public names do not lead to private addresses\n    To let it pass: \
             rebinding-allow = [\"{}\"] in [policy]",
            event.address, event.name, event.rtype, event.name
        ),
        Event::Synthesised(event) => {
            format!("DNS64 for this client: {} has no usable IPv6 address, so {} stands for {}", event.name, event.to, event.from)
        }
        Event::Begin(event) => format!("{}  ({})", event.question, purpose(event.purpose)),
        Event::CacheHit(event) => cache_hit(event),
        Event::Local(event) => match event.source {
            LocalSource::Zone => format!("{} is in {}, a zone hosted here", event.question, event.zone),
            LocalSource::LocalData => local_data(&event.question),
            LocalSource::Dns64 => translated_address(&event.question),
            LocalSource::SpecialUse => special_use(&event.question, &event.zone, event.document.as_deref().unwrap_or("an RFC")),
        },
        Event::LocalRoot(event) => format!("local copy of the root zone: asked for {}", event.question),
        Event::Routed(event) => match event.forward {
            true => format!("forward rule for {}: its servers are asked, with RD", event.zone),
            false => format!("stub rule for {}: resolving starts at its servers", event.zone),
        },
        Event::Cut(event) => format!(
            "zone {}: {}, {}{}",
            event.zone,
            counted(event.servers, "server", "servers"),
            match event.addresses {
                0 => "no address cached".to_owned(),
                count => counted(count, "address", "addresses"),
            },
            if event.from_cache { " (from cache)" } else { "" }
        ),
        Event::Restart(event) => {
            format!("none of the cached servers of {} is usable: asking the parent zone for its present servers", event.zone)
        }
        Event::Joined(event) => format!("{} is already being resolved: waiting for that result", event.question),
        Event::Asked(event) => asked(event),
        Event::Reply(event) => reply(event),
        Event::NoReply(event) => event.reason.clone(),
        Event::AliasTail(event) => {
            let reason = match event.reason {
                AliasTailReason::Validated => "and its signatures are valid",
                AliasTailReason::Apex => "the zone's own name; it is asked for as well before it is cached",
                AliasTailReason::ConsistentServer => {
                    "and this server has been right about such data; it is asked for as well before it is cached"
                }
            };
            format!("the same reply from {} has {}, {reason}", event.zone, event.question)
        }
        Event::Offline(event) => {
            if event.without_route {
                "this machine has no route to any server: queries wait until it has one".to_owned()
            } else {
                "no server has replied for a second: queries wait until a root server or forwarder replies to a probe".to_owned()
            }
        }
        Event::Alias(event) => format!("{} is an alias ({}) of {}", event.from, event.rtype, event.to),
        Event::Cached(event) => format!(
            "cached: {} {}, {}, {} s, {}",
            event.name,
            event.rtype,
            counted(event.records, "record", "records"),
            event.ttl_s,
            source(event.rank)
        ),
        Event::CachedDenial(event) if event.nxdomain => format!("cached: NXDOMAIN for {}, {} s", event.name, event.ttl_s),
        Event::CachedDenial(event) => format!("cached: NODATA for {} {}, {} s", event.name, event.rtype, event.ttl_s),
        Event::Proof(event) => {
            let detail = if event.detail.is_empty() { String::new() } else { format!(" ({})", event.detail) };
            format!("DNSSEC: {} is {}{detail}", event.subject, security(event.security))
        }
        Event::Done(event) => format!("{}: {}, {}", event.question, event.rcode, counted(event.records, "record", "records")),
        Event::Unresolved(event) => format!("{} failed", event.question),
        Event::Answer(event) => answer(event),
        Event::Failed(event) => failed(event),
        Event::Refused(event) => refused(event),
        Event::Chain(event) => chain(event),
    }
}

fn local_data(question: &str) -> String {
    format!("{question} is in `local-data` or `hosts-file` of this server's configuration, and is answered from there")
}

fn translated_address(question: &str) -> String {
    format!("{question} is about an address behind `dns64.prefix`: an alias leads to the name of the IPv4 address in it")
}

fn special_use(question: &str, name: &str, document: &str) -> String {
    format!("{question} is a special-use name: {document} sets {name} apart from the public DNS, so it is answered here and never sent out")
}

fn purpose(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Client => "the question",
        Purpose::ServerAddress => "address of a name server",
        Purpose::Ds => "DS: is the zone signed?",
        Purpose::Dnskey => "keys of the zone",
        Purpose::Priming => "priming: the root's name servers",
        Purpose::Prefetch => "prefetched before it expires",
        Purpose::ErrorReport => "error report to the agent of a zone",
        Purpose::AnchorSignal => "signal of the trusted keys",
        Purpose::Confirmation => "confirmed before it is cached",
    }
}

fn cache_hit(hit: &CacheHit) -> String {
    let CacheHit { question, what, age_s, ttl_s } = hit;
    match what {
        CacheHitKind::Set => format!("from cache: {question}, {ttl_s} s left (stored {age_s} s ago)"),
        CacheHitKind::Alias => format!("from cache: an alias for {question}, {ttl_s} s left (stored {age_s} s ago)"),
        CacheHitKind::Nxdomain => format!("from cache: NXDOMAIN for {question}, {ttl_s} s left (stored {age_s} s ago)"),
        CacheHitKind::Nodata => format!("from cache: NODATA for {question}, {ttl_s} s left (stored {age_s} s ago)"),
        CacheHitKind::Failure => format!("from cache: {question} failed {age_s} s ago; not tried again for {ttl_s} s"),
        CacheHitKind::Stale => {
            format!("from cache: expired data for {question}, stored {age_s} s ago, because no server can be reached (RFC 8767)")
        }
    }
}

fn asked(asked: &Asked) -> String {
    let server = asked.url.as_ref().or(asked.server.as_ref()).map_or_else(String::new, |name| format!("{name} "));
    let mut text = format!("ask {server}[{}] for {}: {}", asked.address, asked.question, choice(&asked.choice));
    if asked.minimised {
        text.push_str(", QNAME minimised (RFC 9156)");
    }
    if asked.attempt > 1 {
        text.push_str(&format!(", attempt {}", asked.attempt));
    }
    if !asked.edns {
        text.push_str(", without EDNS");
    }
    if let Some(translated) = &asked.translated {
        text.push_str(&format!(", through the network's translator (NAT64) at {translated}"));
    }
    if let Some(over) = &asked.passed_over {
        let family = family(over.family);
        text.push_str(&format!(
            "; {} not tried: no server answers over {family} from here, tested again {}",
            counted(over.addresses, &format!("{family} address"), &format!("{family} addresses")),
            if over.test_in_ms <= 0.0 { "now".to_owned() } else { format!("in {} s", (over.test_in_ms / 1000.0).ceil()) }
        ));
    }
    text
}

fn choice(choice: &Choice) -> String {
    match choice {
        Choice::Fastest { rtt_ms, of: 1 } => format!("the only one left ({rtt_ms} ms)"),
        Choice::Untried { of: 1 } => "the only one, not asked before".to_owned(),
        Choice::Unanswered { of: 1 } => "the only one, no reply from it so far".to_owned(),
        Choice::Unanswered { of } => format!("no reply from it so far, one of {of}"),
        Choice::Fastest { rtt_ms, of } => format!("fastest of {of} ({rtt_ms} ms)"),
        Choice::Untried { of } => format!("not asked before, one of {of}"),
        Choice::Exploring { of } => format!("to measure it again, one of {of}"),
        Choice::SecondQuery => "a second server, because the first is slow".to_owned(),
        Choice::Race => "the other address family, to see which of IPv4 and IPv6 works".to_owned(),
        Choice::FamilyTest { family: tested } => format!("to see whether {} works again; its reply is not waited for", family(*tested)),
        Choice::LastResort => "no other server is left".to_owned(),
        Choice::Configured => "as configured".to_owned(),
    }
}

fn family(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "IPv4",
        Family::Ipv6 => "IPv6",
    }
}

fn reply(reply: &Reply) -> String {
    let reason = reply.tcp_reason.as_ref().map(|reason| format!(" because {reason}")).unwrap_or_default();
    let over = match &reply.secure {
        Some(secure) => format!(", over {}", connection(secure)),
        None if reply.tcp => format!(", over TCP{reason}"),
        None => String::new(),
    };
    let mut text = format!("{}: {} ({:.1} ms{over})", reply.rcode, reply_kind(reply), reply.took_ms);
    if !reply.tcp && reply.tcp_reason.is_some() {
        text.push_str(&format!(", asked over TCP as well{reason}"));
    }
    if reply.dropped > 0 {
        text.push_str(&format!(", {} ignored", counted(reply.dropped, "record that was not asked for", "records that were not asked for")));
    }
    if reply.mismatched > 0 {
        text.push_str(&format!(", after {} that did not match", counted(usize::from(reply.mismatched), "reply", "replies")));
    }
    text
}

/// `TLS 1.3 (X25519MLKEM768) with dns.example.net, connected in 12.0 ms, handshake 20.1 ms`
fn connection(secure: &Secure) -> String {
    let carried = if secure.transport == SecureTransport::Https { "HTTPS, " } else { "" };
    let group = secure.group.as_ref().map(|group| format!(" ({group})")).unwrap_or_default();
    let resumed = if secure.resumed { ", session resumed" } else { "" };
    let begin = match (secure.connecting_ms, secure.handshake_ms) {
        (Some(connecting), Some(handshake)) => format!(", connected in {connecting:.1} ms, handshake {handshake:.1} ms{resumed}"),
        _ => ", on a connection that was open".to_owned(),
    };
    format!("{carried}{}{group} with {}{begin}", secure.tls, secure.verified)
}

fn reply_kind(reply: &Reply) -> &'static str {
    match reply.kind {
        ReplyKind::Lame | ReplyKind::RecursionLame if reply.by_rule => "a rule names this server, but it does not serve the zone",
        ReplyKind::Refused if reply.by_rule => "a rule names this server, but it does not serve this zone, or not to this client",
        ReplyKind::Answer => "the answer",
        ReplyKind::Alias => "an alias",
        ReplyKind::Referral => "a referral to the zone below",
        ReplyKind::Nodata => "NODATA, the name has no records of this type",
        ReplyKind::Nxdomain => "the name does not exist",
        ReplyKind::Empty => "an empty reply, which proves nothing",
        ReplyKind::Lame => {
            "lame: the parent delegates to this server, but it does not serve the zone; the zone's operator must fix the server or the \
             delegation"
        }
        ReplyKind::RecursionLame => {
            "lame: a cached answer, where the zone's own was expected; the zone's operator must fix the server or the delegation"
        }
        ReplyKind::Refused => {
            "it does not serve this zone, or not to this client; the zone's operator must fix the server or the delegation"
        }
        ReplyKind::Servfail => "the server is reached and cannot answer; its operator must look at its log",
        ReplyKind::NeedsPlainDns => "it does not understand EDNS; asked again without",
        ReplyKind::NewCookie => "it requires the server cookie that it sent; asked again with it",
        ReplyKind::Broken => "not usable",
    }
}

fn source(rank: Rank) -> &'static str {
    match rank {
        Rank::Glue => "glue: only for reaching servers",
        Rank::Referral => "from a referral",
        Rank::Additional => "named beside the answer by the zone's server",
        Rank::Answer => "from an answer without AA",
        Rank::AuthAuthority => "from the authority section of an authoritative reply",
        Rank::AuthAnswer => "from an authoritative answer",
    }
}

fn security(security: Security) -> &'static str {
    match security {
        Security::Indeterminate => "indeterminate",
        Security::Insecure => "insecure",
        Security::Secure => "secure",
        Security::Bogus => "bogus",
    }
}

/// RFC 8914.
const NEGATIVE_TRUST_ANCHOR: u16 = 33;

fn answer(answer: &Answer) -> String {
    let is_unchecked = answer.ede.iter().any(|ede| ede.code == NEGATIVE_TRUST_ANCHOR);
    let validated = match answer.security {
        Security::Secure => ", validated (DNSSEC)",
        Security::Insecure if is_unchecked => ", signatures not checked",
        Security::Insecure if answer.authoritative => "",
        Security::Insecure => ", not signed",
        Security::Bogus => ", BOGUS: DNSSEC validation failed; only clients with CD get this",
        Security::Indeterminate => "",
    };
    let stale = if answer.stale { ", expired data" } else { "" };
    let mut lines = vec![format!("Answer: {}{validated}{stale}, {}", answer.rcode, sent(answer.upstream_queries))];
    if answer.answers.is_empty() && answer.rcode == "NXDOMAIN" {
        lines.push("    The name does not exist; the SOA record limits how long that is cached".to_owned());
    } else if answer.answers.is_empty() && answer.authority.iter().any(|record| record.rtype == "NS") {
        lines.push("    A referral: the client has to ask these servers".to_owned());
    } else if answer.answers.is_empty() && answer.rcode == "NOERROR" && answer.ede.is_empty() {
        lines.push("    The name has no records of this type".to_owned());
    }
    lines.extend(answer.answers.iter().chain(&answer.authority).map(record));
    lines.extend(answer.ede.iter().map(|error| format!("    {}", ede(error))));
    lines.extend(answer.advice.iter().map(|advice| format!("    What to do: {advice}")));
    lines.join("\n")
}

fn failed(failed: &Failed) -> String {
    let mut lines = vec![format!("✗ Failed: {}, {}", failed.rcode, sent(failed.upstream_queries))];
    if !failed.withheld.is_empty() {
        lines.push("    Data received, validation failed: clients get SERVFAIL, and the data only with CD:".to_owned());
        lines.extend(failed.withheld.iter().map(|withheld| format!("    {}", record(withheld))));
    }
    lines.extend(failed.ede.iter().map(|error| format!("    {}", ede(error))));
    lines.push(format!("    What to do: {}", failed.advice));
    lines.join("\n")
}

fn refused(refused: &Refused) -> String {
    format!("✗ Refused: {}, {}\n    The rule: {}\n    What to do: {}", refused.rcode, refused.reason, refused.rule, refused.advice)
}

fn sent(upstream_queries: u32) -> String {
    format!("{} sent to servers", counted(upstream_queries as usize, "query", "queries"))
}

fn record(record: &Record) -> String {
    format!("    {} {} {} {}", record.name, record.ttl, record.rtype, record.data)
}

fn ede(ede: &Ede) -> String {
    let text = if ede.text.is_empty() { String::new() } else { format!(": {}", ede.text) };
    format!("EDE {} ({}){text}", ede.code, ede.meaning)
}

fn chain(chain: &Chain) -> String {
    let mut text = format!("Chain of trust for {}", chain.question);
    for (at, link) in chain.links.iter().enumerate() {
        let (branch, sign) = (if at == 0 { "" } else { "└ " }, sign(link));
        text.push_str(&format!("\n  {branch}{sign} {}  {}", title(link), link_text(link)));
    }
    text
}

pub(super) fn sign(link: &ChainLink) -> &'static str {
    match link.security {
        Security::Secure => "✓",
        Security::Bogus => "✗",
        Security::Insecure | Security::Indeterminate => "○",
    }
}

pub(super) fn title(link: &ChainLink) -> String {
    match &link.rtype {
        Some(rtype) => format!("{} {rtype}", link.name),
        None if link.name == "." => ". (the root)".to_owned(),
        None => link.name.clone(),
    }
}

pub(super) fn link_text(link: &ChainLink) -> String {
    let dates = link.signed.as_ref().map(|signed| {
        let key = signed.key_tag;
        (key, format!("{}, valid from {} to {}", signed.algorithm_name, signed.inception, signed.expiration))
    });
    let by = if link.anchored { "the trust anchor" } else { "the DS record at the parent" };
    match (link.security, link.rtype.is_some(), dates) {
        (Security::Secure, false, Some((key, dates))) => {
            format!("{by} matches key {key}, which signs the DNSKEY set ({}): {dates}", counted(link.keys.len(), "key", "keys"))
        }
        (Security::Secure, true, Some((key, dates))) => format!("signed by key {key}: {dates}"),
        (Security::Secure, true, None) => "proved by signed records of its zone".to_owned(),
        (Security::Secure, false, None) => "secure".to_owned(),
        (Security::Bogus, ..) if link.broken => format!("THE CHAIN BREAKS HERE: {}", link.detail),
        (Security::Bogus, ..) => "not trusted, because the chain is broken above".to_owned(),
        (Security::Insecure | Security::Indeterminate, ..) if link.detail.is_empty() => "not signed, which is proved above".to_owned(),
        (Security::Insecure | Security::Indeterminate, ..) => format!("not signed: {}", link.detail),
    }
}

/// `1 server`, `2 servers`.
fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
