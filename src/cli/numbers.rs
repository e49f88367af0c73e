//! The numbers of a server as people read them: totals since its start, and beside them what came since the numbers before.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::terminal::Paint;
use super::time::time;
use crate::metrics::quantile;

/// The rows of one answer to `stats`, by name: `answers{rcode=NOERROR}`.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers(BTreeMap<String, f64>);

impl Numbers {
    pub(super) fn of(line: &Value) -> Numbers {
        let members = line.as_object().into_iter().flatten();
        Numbers(members.filter_map(|(name, value)| Some((name.clone(), value.as_f64()?))).collect())
    }

    fn get(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or(0.0)
    }

    /// The rows of a family, each with its labels.
    fn rows<'a>(&'a self, family: &'a str) -> impl Iterator<Item = (Vec<(&'a str, &'a str)>, f64)> {
        self.0.iter().filter_map(move |(name, value)| {
            let labels = name.strip_prefix(family)?.strip_prefix('{')?.strip_suffix('}')?;
            Some((labels_of(labels), *value))
        })
    }

    /// The sums of a family by the values of one label; the greatest first.
    fn by(&self, family: &str, label: &str, only: Option<(&str, &str)>) -> Vec<(String, f64)> {
        let mut sums: Vec<(String, f64)> = Vec::new();
        for (labels, value) in self.rows(family).filter(|(labels, _)| only.is_none_or(|only| labels.contains(&only))) {
            let Some((_, of)) = labels.iter().find(|(name, _)| *name == label) else { continue };
            match sums.iter_mut().find(|(known, _)| known == of) {
                Some((_, sum)) => *sum += value,
                None => sums.push(((*of).to_owned(), value)),
            }
        }
        sums.sort_by(|one, other| other.1.total_cmp(&one.1));
        sums
    }

    /// The cumulative buckets of the answers of one source.
    fn buckets(&self, source: &str) -> Vec<(Option<u64>, u64)> {
        let of_source = self.rows("answer-us").filter(|(labels, _)| labels.contains(&("source", source)));
        let mut buckets: Vec<(Option<u64>, u64)> = of_source
            .filter_map(|(labels, count)| {
                let (_, bound) = labels.iter().find(|(name, _)| *name == "at-most")?;
                Some((bound.parse().ok(), count as u64))
            })
            .collect();
        buckets.sort_unstable_by_key(|(bound, _)| bound.unwrap_or(u64::MAX));
        buckets
    }
}

/// The name of a list may have commas, and is the only label where there is one.
fn labels_of(text: &str) -> Vec<(&str, &str)> {
    match text.strip_prefix("list=") {
        Some(list) => vec![("list", list)],
        None => text.split(',').filter_map(|label| label.split_once('=')).collect(),
    }
}

/// What came since the numbers before.
struct Since<'a> {
    now: &'a Numbers,
    before: Option<(Duration, &'a Numbers)>,
}

impl Since<'_> {
    fn count(&self, name: &str) -> String {
        self.with_rate(self.now.get(name), |before| before.get(name))
    }

    fn with_rate(&self, now: f64, of: impl Fn(&Numbers) -> f64) -> String {
        match self.before {
            Some((time, before)) => format!("{} ({}/s)", grouped(now), grouped(((now - of(before)) / time.as_secs_f64()).round())),
            None => grouped(now),
        }
    }

    /// Each value of a label with its count, the greatest first; what there is none of is left out.
    fn list(&self, family: &str, label: &str, only: Option<(&str, &str)>) -> String {
        let rows = self.now.by(family, label, only).into_iter().filter(|(_, count)| *count > 0.0).take(ROW_VALUES);
        let of = |numbers: &Numbers, value: &str| {
            numbers.by(family, label, only).into_iter().find(|(known, _)| known == value).map_or(0.0, |(_, count)| count)
        };
        let shown: Vec<String> =
            rows.map(|(value, count)| format!("{value} {}", self.with_rate(count, |before| of(before, &value)))).collect();
        if shown.is_empty() { "none".to_owned() } else { shown.join(", ") }
    }

    /// The sum of a family, and each value of its label.
    fn sum_and_list(&self, family: &str, label: &str) -> String {
        let sum = |numbers: &Numbers| numbers.by(family, label, None).into_iter().map(|(_, count)| count).sum::<f64>();
        match sum(self.now) {
            0.0 => "none".to_owned(),
            now => format!("{}: {}", self.with_rate(now, sum), self.list(family, label, None)),
        }
    }

    /// The buckets of the time between, or of all time.
    fn buckets(&self, source: &str) -> Vec<(Option<u64>, u64)> {
        let mut buckets = self.now.buckets(source);
        if let Some((_, before)) = self.before {
            for ((_, count), (_, was)) in buckets.iter_mut().zip(before.buckets(source)) {
                *count = count.saturating_sub(was);
            }
        }
        buckets
    }
}

/// Values of one label that fit in a row; `--json` has all.
const ROW_VALUES: usize = 8;
const SOURCES: [&str; 5] = ["cache", "zone", "walk", "stale", "policy"];

/// The lines for people. `before`: numbers of some time ago.
pub(super) fn shown(now: &Numbers, before: Option<(Duration, &Numbers)>, paint: Paint) -> Vec<String> {
    let since = Since { now, before };
    let mut lines = Vec::new();
    let mut row = |title: &str, value: String| lines.push(format!("{title:12}{value}"));
    row("uptime", time(now.get("uptime-seconds") as u64));
    row("questions", format!("{}; waiting for an answer now: {}", since.count("queries"), grouped(now.get("waiting"))));
    for transport in ["udp", "tcp"] {
        row(&format!("  {transport}"), since.list("queries", "family", Some(("transport", transport))));
    }
    row("  types", since.list("queries", "type", None));
    row("answers", since.list("answers", "rcode", None));
    row("  blocked", since.sum_and_list("blocked", "list"));
    row("  rewritten", since.sum_and_list("response-policy-rewrites", "action"));
    let (hits, misses) = (since.count("cache-hits"), since.count("cache-misses"));
    row("cache", format!("hits {hits}, misses {misses}, hit ratio {}", ratio(&since)));
    let size = grouped((now.get("cache-bytes") / f64::from(1 << 20)).round());
    let evicted = since.count("cache-evictions");
    row("", format!("{size} MiB, {} record sets, evicted {evicted}", grouped(now.get("cache-sets"))));
    let (stale, prefetches, coalesced) = (since.count("stale-answers"), since.count("prefetches"), since.count("coalesced"));
    row("", format!("stale {stale}, prefetches {prefetches}, joined a walk in progress {coalesced}"));
    row("time", format!("{:>10}{:>11}{:>11}  answers", "p50", "p95", "p99"));
    for source in SOURCES {
        let buckets = since.buckets(source);
        let count = buckets.last().map_or(0, |(_, count)| *count);
        if count > 0 {
            let part = |part| quantile(&buckets, part).map_or_else(String::new, |us| format!("{} ms", milliseconds(us)));
            row(&format!("  {source}"), format!("{:>10}{:>11}{:>11}  {}", part(0.5), part(0.95), part(0.99), grouped(count as f64)));
        }
    }
    let (queries, second) = (since.count("upstream-queries"), since.count("upstream-second-queries"));
    let (timeouts, tcp) = (since.count("upstream-timeouts"), since.count("upstream-tcp"));
    row("servers", format!("queries {queries}, time-outs {timeouts}, over TCP {tcp}, second servers {second}"));
    let (walks, failed, bogus) = (since.count("walks"), since.count("walks-failed"), since.count("dnssec-bogus"));
    row("walks", format!("{walks}, failed {failed}; DNSSEC bogus {bogus}"));
    let reached = since.list("limits-reached", "limit", None);
    row("limits", if reached == "none" { "none reached".to_owned() } else { paint.bad(&format!("reached: {reached}")) });
    let spent = since.list("budgets-spent", "bound", None);
    row("", format!("questions that cost too much: {spent}"));
    lines
}

fn ratio(since: &Since<'_>) -> String {
    let between = |name: &str| since.now.get(name) - since.before.map_or(0.0, |(_, before)| before.get(name));
    let (hits, misses) = (between("cache-hits"), between("cache-misses"));
    if hits + misses > 0.0 { format!("{:.1} %", 100.0 * hits / (hits + misses)) } else { "unknown".to_owned() }
}

/// Three digits that count.
fn milliseconds(us: f64) -> String {
    let ms = us / 1_000.0;
    match ms {
        ms if ms < 1.0 => format!("{ms:.2}"),
        ms if ms < 10.0 => format!("{ms:.1}"),
        _ => format!("{ms:.0}"),
    }
}

/// 1234567 as 1,234,567.
fn grouped(number: f64) -> String {
    let digits = format!("{:.0}", number.max(0.0));
    let ends = |at: usize| at > 0 && (digits.len() - at).is_multiple_of(3);
    digits.chars().enumerate().flat_map(|(at, digit)| ends(at).then_some(',').into_iter().chain([digit])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn numbers(cached: u64, slow: u64) -> Numbers {
        Numbers::of(&json!({
            "uptime-seconds": 3_725, "waiting": 2, "queries": cached + slow,
            "queries{transport=udp,family=ipv4,type=A}": cached, "queries{transport=udp,family=ipv6,type=AAAA}": slow,
            "queries{transport=udp,family=ipv4,type=AAAA}": 0,
            "answers{rcode=NOERROR}": cached, "answers{rcode=SERVFAIL}": slow,
            "cache-hits": cached, "cache-misses": slow, "cache-bytes": 3 << 20, "cache-sets": 1_234,
            "answer-us{source=cache,at-most=100}": cached, "answer-us{source=cache,at-most=any}": cached,
            "answer-us{source=walk,at-most=20000}": 0, "answer-us{source=walk,at-most=100}": 0,
            "answer-us{source=walk,at-most=30000}": slow, "answer-us{source=walk,at-most=any}": slow,
            "upstream-queries": 3 * slow, "limits-reached{limit=connections}": slow,
        }))
    }

    #[test]
    fn totals_are_read_by_people() {
        let lines = shown(&numbers(12_345, 100), None, Paint::none());
        assert_eq!(
            lines,
            [
                "uptime      1 h 2 min",
                "questions   12,445; waiting for an answer now: 2",
                "  udp       ipv4 12,345, ipv6 100",
                "  tcp       none",
                "  types     A 12,345, AAAA 100",
                "answers     NOERROR 12,345, SERVFAIL 100",
                "  blocked   none",
                "  rewritten none",
                "cache       hits 12,345, misses 100, hit ratio 99.2 %",
                "            3 MiB, 1,234 record sets, evicted 0",
                "            stale 0, prefetches 0, joined a walk in progress 0",
                "time               p50        p95        p99  answers",
                "  cache        0.05 ms    0.10 ms    0.10 ms  12,345",
                "  walk           25 ms      30 ms      30 ms  100",
                "servers     queries 300, time-outs 0, over TCP 0, second servers 0",
                "walks       0, failed 0; DNSSEC bogus 0",
                "limits      reached: connections 100",
                "            questions that cost too much: none",
            ]
        );
    }

    /// Names of lists are the operator's own words.
    #[test]
    fn what_lists_and_response_policy_zones_did() {
        let of = |ads: u64| {
            Numbers::of(&json!({
                "blocked": ads + 7, "blocked{list=ads}": ads, "blocked{list=mine, and=yours}": 6, "blocked{list=mine, too}": 1,
                "blocked{list=idle}": 0, "response-policy-rewrites": 3, "response-policy-rewrites{action=nxdomain}": 3,
            }))
        };
        let lines = shown(&of(1_200), None, Paint::none());
        assert!(lines.contains(&"  blocked   1,207: ads 1,200, mine, and=yours 6, mine, too 1".to_owned()), "{lines:?}");
        assert!(lines.contains(&"  rewritten 3: nxdomain 3".to_owned()), "{lines:?}");
        let lines = shown(&of(1_200), Some((Duration::from_secs(2), &of(1_000))), Paint::none());
        let expected = "  blocked   1,207 (100/s): ads 1,200 (100/s), mine, and=yours 6 (0/s), mine, too 1 (0/s)".to_owned();
        assert!(lines.contains(&expected), "{lines:?}");
    }

    #[test]
    fn rates_are_of_the_time_between() {
        let (before, now) = (numbers(1_000, 100), numbers(3_000, 100));
        let lines = shown(&now, Some((Duration::from_secs(2), &before)), Paint::none());
        assert_eq!(lines[1], "questions   3,100 (1,000/s); waiting for an answer now: 2");
        assert_eq!(lines[2], "  udp       ipv4 3,000 (1,000/s), ipv6 100 (0/s)");
        assert_eq!(lines[8], "cache       hits 3,000 (1,000/s), misses 100 (0/s), hit ratio 100.0 %");
        assert!(lines.iter().any(|line| line.starts_with("  cache ") && line.ends_with("  2,000")), "{lines:?}");
        assert!(!lines.iter().any(|line| line.starts_with("  walk ")), "none came: {lines:?}");
    }
}
