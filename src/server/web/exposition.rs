//! The text in which numbers are collected: the Prometheus text format 0.0.4, and OpenMetrics 1.0 for whoever asks for it.
//!
//! Families have the prefix `cairn_` and base units; a counter ends in `_total` (OpenMetrics 1.0, "Counter").

use std::borrow::Cow;
use std::fmt::Write;

use crate::listen::Wish;
use crate::metrics::{Distribution, Kind, Row};
use crate::server::engine::{Entries, ZoneEntry};

/// The form of the text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    Prometheus,
    OpenMetrics,
}

impl Form {
    /// What a client asks for by its header `Accept`. OpenMetrics only where it is named, and wanted no less than the other form.
    pub(super) fn asked_for(accept: Option<&str>) -> Form {
        let wish = |media_type| Wish::of(accept.into_iter(), media_type);
        let open = wish("application/openmetrics-text");
        match open.exactness == 3 && open.is_there() && open.weight >= wish("text/plain").weight {
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

/// All numbers as text.
pub(super) fn text(form: Form, rows: &[Row], histograms: &[Distribution], entries: &Entries) -> String {
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
    out.entries(entries);
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
        let sample = sample_name(kind, name);
        self.head_of(kind, name, &sample, help);
        self.sample(&sample, labels, value);
    }

    /// OpenMetrics names the family of a counter without the suffix of its samples.
    fn head_of(&mut self, kind: Kind, name: &str, sample: &str, help: &str) {
        let family = if self.form == Form::OpenMetrics { name } else { sample };
        self.head(family, if kind == Kind::Counter { "counter" } else { "gauge" }, help);
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
    fn entries(&mut self, entries: &Entries) {
        use Kind::{Counter, Gauge};
        let Entries { zones, lists, certificate_ends } = entries;
        let served = |zone: &ZoneEntry| Some(u64::from(zone.served.is_some()));
        self.each(Gauge, "zone", "cairn_zone_served", "1: the zone is served", zones.iter().map(|zone| (&*zone.name, served(zone))));
        let serial = |zone: &ZoneEntry| zone.served.map(|(serial, _)| u64::from(serial));
        let help = "Serial of the zone (RFC 1035 3.3.13)";
        self.each(Gauge, "zone", "cairn_zone_serial", help, zones.iter().map(|zone| (&*zone.name, serial(zone))));
        let records = |zone: &ZoneEntry| zone.served.map(|(_, records)| records as u64);
        self.each(Gauge, "zone", "cairn_zone_records", "Records of the zone", zones.iter().map(|zone| (&*zone.name, records(zone))));
        let names = lists.iter().map(|list| (&*list.name, Some(list.names)));
        self.each(Gauge, "list", "cairn_list_names", "Distinct names on the list", names);
        let skipped = lists.iter().map(|list| (&*list.name, Some(list.lines_skipped)));
        self.each(Gauge, "list", "cairn_list_lines_skipped", "Lines of the list that were skipped", skipped);
        let blocked = lists.iter().map(|list| (&*list.name, Some(list.answers_blocked)));
        self.each(Counter, "list", "cairn_blocked", "Answers that the list has blocked", blocked);
        if let Some(seconds) = certificate_ends {
            let help = "When the certificate of the encrypted transports ends, in seconds since 1970";
            self.value(Gauge, "cairn_certificate_not_after_seconds", help, &[], seconds);
        }
    }

    /// A sample for each name that has a value. There may be a thousand, so nothing is made twice.
    fn each<'e>(&mut self, kind: Kind, label: &str, name: &str, help: &str, samples: impl Iterator<Item = (&'e str, Option<u64>)>) {
        let sample = sample_name(kind, name);
        for (of_label, value) in samples.filter_map(|(of_label, value)| value.map(|value| (of_label, value))) {
            self.head_of(kind, name, &sample, help);
            let _ = writeln!(self.out, "{sample}{{{label}=\"{}\"}} {value}", escaped(of_label, true));
        }
    }
}

/// A counter's samples have a suffix.
fn sample_name(kind: Kind, name: &str) -> Cow<'_, str> {
    if kind == Kind::Counter { Cow::Owned(format!("{name}_total")) } else { Cow::Borrowed(name) }
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
fn escaped(text: &str, is_label: bool) -> Cow<'_, str> {
    if !text.contains(['\\', '\n', '"']) {
        return Cow::Borrowed(text);
    }
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    Cow::Owned(if is_label { text.replace('"', "\\\"") } else { text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{ClientFamily, ExtendedError, Gauge, Over, QueryType, Registry, Source};
    use crate::server::engine::ListEntry;

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
        let zone = |name: &str, served| ZoneEntry { name: name.to_owned(), served };
        let entries = Entries {
            zones: vec![zone("a\"b\\c.example.", Some((7, 3))), zone("x.", None)],
            lists: vec![ListEntry { name: "ads".to_owned(), names: 5, lines_skipped: 1, answers_blocked: 9 }],
            certificate_ends: Some(1_900_000_000),
        };
        text(form, &rows, &registry.histograms(), &entries)
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
            (Some("application/openmetrics-text"), Form::OpenMetrics),
            (Some("text/html, Application/OpenMetrics-Text; version=1.0.0"), Form::OpenMetrics),
            (Some("application/openmetrics-text;q=0, text/plain"), Form::Prometheus),
            (Some("text/plain, application/openmetrics-text; version=1.0.0; Q=0.000"), Form::Prometheus),
            (Some("application/openmetrics-text-2"), Form::Prometheus),
            (Some("text/plain;q=0.9, application/openmetrics-text;q=0.1"), Form::Prometheus),
            (Some("text/plain;q=0.5, application/openmetrics-text;q=0.5"), Form::OpenMetrics),
        ] {
            assert_eq!(Form::asked_for(accept), form, "{accept:?}");
        }
    }
}
