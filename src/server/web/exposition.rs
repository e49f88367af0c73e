//! The text in which numbers are collected: the Prometheus text format 0.0.4, and OpenMetrics 1.0 for whoever asks for it.
//!
//! Families have the prefix `cairn_` and base units; a counter ends in `_total` (OpenMetrics 1.0, "Counter").

use std::borrow::Cow;
use std::fmt::Write;

use serde_json::{Map, Value};

use crate::limits::server::WEB_ENTRIES_MAX;
use crate::metrics::{Distribution, Kind, Row};

/// The form of the text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    Prometheus,
    OpenMetrics,
}

impl Form {
    /// What a client asks for by its header `Accept`. OpenMetrics only where it is named.
    pub(super) fn asked_for(accept: Option<&str>) -> Form {
        match accept.is_some_and(|accept| accept.to_ascii_lowercase().contains("application/openmetrics-text")) {
            true => Form::OpenMetrics,
            false => Form::Prometheus,
        }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Form::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Form::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// All numbers as text. `status`: as `cairn status` shows it.
pub(super) fn text(form: Form, rows: &[Row], histograms: &[Distribution], status: &Map<String, Value>) -> String {
    let mut out = Text { form, out: String::with_capacity(64 << 10), family: String::new() };
    for row in rows {
        let labels: Vec<Label> = row.labels.iter().map(|(name, value)| (*name, Cow::Borrowed(&**value))).collect();
        match row.name.strip_suffix("-us") {
            Some(name) => out.value(row.kind, &in_seconds(name), &help_in_seconds(row.help), &labels, &seconds(row.value)),
            None => out.value(row.kind, &family_name(row.name), row.help, &labels, &row.value),
        }
    }
    for histogram in histograms {
        out.histogram(histogram);
    }
    let build = [("version", Cow::Borrowed(env!("CARGO_PKG_VERSION")))];
    out.value(Kind::Gauge, "cairn_build_info", "1, with the version of this program", &build, &1);
    out.entries(status);
    if form == Form::OpenMetrics {
        out.out.push_str("# EOF\n");
    }
    out.out
}

type Label<'a> = (&'static str, Cow<'a, str>);

struct Text {
    form: Form,
    out: String,
    /// Whose head has been written.
    family: String,
}

impl Text {
    /// The lines before a family's first value.
    fn head(&mut self, family: &str, kind: &str, help: &str) {
        if self.family == family {
            return;
        }
        family.clone_into(&mut self.family);
        // Writing to a string cannot fail.
        let _ = write!(self.out, "# HELP {family} {}\n# TYPE {family} {kind}\n", escaped(help, false));
    }

    fn value(&mut self, kind: Kind, name: &str, help: &str, labels: &[Label<'_>], value: &dyn std::fmt::Display) {
        let sample = if kind == Kind::Counter { format!("{name}_total") } else { name.to_owned() };
        // OpenMetrics names the family of a counter without the suffix of its samples.
        let family = if self.form == Form::OpenMetrics { name } else { &sample };
        self.head(family, if kind == Kind::Counter { "counter" } else { "gauge" }, help);
        self.sample(&sample, labels, value);
    }

    fn sample(&mut self, name: &str, labels: &[Label<'_>], value: &dyn std::fmt::Display) {
        self.out.push_str(name);
        for (at, (label, of_label)) in labels.iter().enumerate() {
            let before = if at == 0 { '{' } else { ',' };
            let _ = write!(self.out, "{before}{label}=\"{}\"", escaped(of_label, true));
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.out, "{end} {value}");
    }

    /// Microseconds, in seconds.
    fn histogram(&mut self, histogram: &Distribution) {
        let name = in_seconds(histogram.name.trim_end_matches("-us"));
        self.head(&name, "histogram", &help_in_seconds(histogram.help));
        let own: Vec<Label> = histogram.labels.iter().map(|(name, value)| (*name, Cow::Borrowed(&**value))).collect();
        for (bound, count) in &histogram.buckets {
            let bound = bound.map_or_else(|| "+Inf".to_owned(), |us| seconds(us).to_string());
            let labels: Vec<Label> = own.iter().cloned().chain([("le", Cow::Owned(bound))]).collect();
            self.sample(&format!("{name}_bucket"), &labels, count);
        }
        self.sample(&format!("{name}_sum"), &own, &seconds(histogram.sum));
        let count = histogram.buckets.last().map_or(0, |(_, count)| *count);
        self.sample(&format!("{name}_count"), &own, &count);
    }

    /// Zones and lists by name, and the certificate.
    fn entries(&mut self, status: &Map<String, Value>) {
        let zones = status.get("zones").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        use Kind::{Counter, Gauge};
        self.each(Gauge, zones, "zone", "cairn_zone_served", "1: the zone is served", |zone| {
            zone["state"].as_str().map(|state| u64::from(state.starts_with("served")))
        });
        self.each(Gauge, zones, "zone", "cairn_zone_serial", "Serial of the zone (RFC 1035 3.3.13)", |zone| zone["serial"].as_u64());
        self.each(Gauge, zones, "zone", "cairn_zone_records", "Records of the zone", |zone| zone["records"].as_u64());
        let lists = status.get("lists").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        self.each(Gauge, lists, "list", "cairn_list_names", "Distinct names on the list", |list| list["names"].as_u64());
        self.each(Gauge, lists, "list", "cairn_list_lines_skipped", "Lines of the list that were skipped", |list| list["skipped"].as_u64());
        self.each(Counter, lists, "list", "cairn_blocked", "Answers that the list has blocked", |list| list["answers-blocked"].as_u64());
        if let Some(seconds) = status.get("certificate").and_then(|certificate| certificate["not-after-seconds"].as_u64()) {
            let help = "When the certificate of the encrypted transports ends, in seconds since 1970";
            self.value(Gauge, "cairn_certificate_not_after_seconds", help, &[], &seconds);
        }
    }

    fn each(&mut self, kind: Kind, entries: &[Value], label: &'static str, name: &str, help: &str, value: impl Fn(&Value) -> Option<u64>) {
        for entry in entries.iter().take(WEB_ENTRIES_MAX) {
            if let (Some(of_label), Some(value)) = (entry["name"].as_str(), value(entry)) {
                self.value(kind, name, help, &[(label, Cow::Borrowed(of_label))], &value);
            }
        }
    }
}

/// The family of durations that reports have in microseconds; collectors have base units.
fn in_seconds(name: &str) -> String {
    match name {
        "answer" => family_name("answer-duration-seconds"),
        _ => format!("{}_seconds", family_name(name)),
    }
}

fn help_in_seconds(help: &str) -> String {
    help.replacen("Microseconds", "Seconds", 1)
}

fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

fn family_name(name: &str) -> String {
    format!("cairn_{}", name.replace('-', "_"))
}

/// Line ends and backslashes, and quotes inside a label.
fn escaped(text: &str, is_label: bool) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    if is_label { text.replace('"', "\\\"") } else { text }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::metrics::{ClientFamily, ExtendedError, Gauge, Over, QueryType, Registry, Source};

    fn all(form: Form) -> String {
        let registry = Registry::default();
        let recorder = registry.recorder();
        recorder.query(Over::Udp, ClientFamily::Ipv6, QueryType::of(28));
        recorder.query(Over::Tcp, ClientFamily::Ipv4, QueryType::of(1));
        recorder.up(Gauge::Waiting);
        recorder.took(Source::Walk, 70);
        recorder.took(Source::Walk, 20_000_000);
        recorder.replied(Over::Tls, 30_500);
        recorder.extended_error(ExtendedError::of(6));
        let busy = Row {
            name: "worker-busy-us",
            help: "Microseconds",
            kind: Kind::Counter,
            labels: vec![("worker", "0".into())],
            value: 2_500_000,
        };
        let rows = [registry.rows(), vec![busy]].concat();
        let status = json!({
            "zones": [{ "name": "a\"b\\c.example.", "state": "served", "serial": 7, "records": 3 }, { "name": "x.", "state": "not-served" }],
            "lists": [{ "name": "ads", "names": 5, "skipped": 1, "answers-blocked": 9 }], "certificate": { "not-after-seconds": 1_900_000_000u64 },
        });
        text(form, &rows, &registry.histograms(), status.as_object().expect("an object"))
    }

    #[test]
    fn each_family_has_one_head_and_its_samples_follow() {
        for form in [Form::Prometheus, Form::OpenMetrics] {
            let (text, mut heads, mut family) = (all(form), std::collections::HashSet::new(), String::new());
            for line in text.lines().filter(|line| *line != "# EOF") {
                if let Some(rest) = line.strip_prefix("# HELP ") {
                    family = rest.split(' ').next().expect("a name").to_owned();
                    assert!(heads.insert(family.clone()), "{family} twice");
                } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                    assert_eq!(rest.split(' ').next(), Some(&*family));
                } else {
                    assert!(line.starts_with(&family), "{line} is not of {family}");
                    let value = line.rsplit(' ').next().expect("a value");
                    assert!(value.parse::<f64>().is_ok(), "{line}");
                }
            }
            assert!(heads.len() > 40);
        }
    }

    #[test]
    fn counters_gauges_and_histograms() {
        let text = all(Form::Prometheus);
        for line in [
            "# TYPE cairn_queries_total counter",
            "cairn_queries_total{transport=\"udp\",family=\"ipv6\",type=\"AAAA\"} 1",
            "cairn_queries_total{transport=\"tcp\",family=\"ipv4\",type=\"A\"} 1",
            "# TYPE cairn_waiting gauge",
            "cairn_waiting 1",
            "# TYPE cairn_answer_duration_seconds histogram",
            "cairn_answer_duration_seconds_bucket{source=\"walk\",le=\"0.00005\"} 0",
            "cairn_answer_duration_seconds_bucket{source=\"walk\",le=\"0.0001\"} 1",
            "cairn_answer_duration_seconds_bucket{source=\"walk\",le=\"+Inf\"} 2",
            "cairn_answer_duration_seconds_sum{source=\"walk\"} 20.00007",
            "cairn_answer_duration_seconds_count{source=\"walk\"} 2",
            "cairn_upstream_rtt_seconds_bucket{transport=\"tls\",le=\"0.05\"} 1",
            "cairn_upstream_rtt_seconds_sum{transport=\"tls\"} 0.0305",
            "cairn_answers_with_ede_total{ede=\"dnssec-bogus\"} 1",
            "# HELP cairn_worker_busy_seconds_total Seconds",
            "cairn_worker_busy_seconds_total{worker=\"0\"} 2.5",
            "cairn_zone_serial{zone=\"a\\\"b\\\\c.example.\"} 7",
            "cairn_zone_served{zone=\"x.\"} 0",
            "cairn_list_names{list=\"ads\"} 5",
            "# TYPE cairn_blocked_total counter",
            "cairn_blocked_total{list=\"ads\"} 9",
            "cairn_certificate_not_after_seconds 1900000000",
        ] {
            assert!(text.lines().any(|have| have == line), "{line} is not in\n{text}");
        }
        let open = all(Form::OpenMetrics);
        assert!(open.contains("# TYPE cairn_queries counter\ncairn_queries_total{"), "{open}");
        assert!(open.ends_with("# EOF\n") && !text.contains("# EOF"));
    }

    #[test]
    fn the_form_is_the_one_asked_for() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
        for (accept, form) in [
            (None, Form::Prometheus),
            (Some("*/*"), Form::Prometheus),
            (Some("text/plain"), Form::Prometheus),
            (Some(prometheus), Form::OpenMetrics),
        ] {
            assert_eq!(Form::asked_for(accept), form, "{accept:?}");
        }
    }
}
