//! TOML text becomes [`Settings`] in one pass; all mistakes are reported together, in the order of the file.
//!
//! Rules over several keys are in `several_keys.rs`.
//!
//! The parser finds syntax mistakes and continues after each; mistakes of meaning are found by comparison with the table of
//! keys. A line with a syntax mistake is not searched for mistakes of meaning, because the parser may have misread it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::DeTable;

use super::entry_keys::{FORWARD, KEY, LIST, RPZ, STUB, VIEW, ZONE};
use super::foreign;
use super::forwarder::{Forwarder, Pin};
use super::http_url::Scheme;
use super::keys::{Kind, LISTS, Row, SECTIONS, expected};
use super::language;
use super::list_settings::{ListSettings, ListSource};
use super::nearest::{hint_for_key, home_of, nearest};
use super::negative::NegativeAnchor;
use super::origin::Origin;
use super::prefix::Prefix;
use super::problem::{Mark, Positions, Problem};
use super::schedule::ScheduleRule;
use super::settings::{KeySettings, RouteSettings, RpzPolicy, RpzSettings, Settings, ZoneSettings};
use super::socket_addr::{parse_socket, parse_socket_with_port};
use super::view_settings::{ListenPlace, ViewForward, ViewSettings};
use super::written::{Mistake, Value, Written, client, domain_name, found, host, uri};
use crate::limits::lists::{LISTS_MAX, VIEWS_MAX};
use crate::limits::zone::RPZ_ZONES_MAX;

impl Settings {
    /// Reads a whole configuration file. `file_name` is used in messages, and its folder completes relative paths.
    pub fn from_toml(text: &str, file_name: &str) -> Result<Settings, Vec<Problem>> {
        match Settings::read_toml(text, file_name) {
            (settings, problems) if problems.is_empty() => Ok(settings),
            (_, problems) => Err(problems),
        }
    }

    /// As many settings as could be read, and all mistakes. A wrong value keeps its default, and an entry of a list without a
    /// needed key is left out. For inspection only, never for a running server.
    pub fn read_toml(text: &str, file_name: &str) -> (Settings, Vec<Problem>) {
        let (mended, mistakes) = language::mend(text);
        let (root, _) = DeTable::parse_recoverable(&mended);
        let mut reader = Reader::new(text, &mended, file_name);
        for language::Mistake { line, column, what, hint } in mistakes {
            let excerpt = Some(reader.written.line_text(line).to_owned());
            reader.problems.push(Problem { file: file_name.to_owned(), line, column, what, hint, excerpt });
        }
        let broken_lines: Vec<usize> = reader.problems.iter().map(|problem| problem.line).collect();
        let mut settings = Settings::default();
        reader.root(root.get_ref(), &mut settings);
        let is_language = broken_lines.len();
        let mut at = 0;
        reader.problems.retain(|problem| {
            at += 1;
            at <= is_language || !broken_lines.contains(&problem.line)
        });
        reader.problems.sort_by_key(|problem| (problem.line, problem.column));
        reader.problems.dedup();
        (settings, reader.problems)
    }
}

pub(super) type Table<'i> = DeTable<'i>;

pub(super) struct Reader<'a> {
    pub(super) file_name: &'a str,
    folder: PathBuf,
    /// The file as it was written, for excerpts.
    written: Positions<'a>,
    /// The repaired text, which has the same lines.
    positions: Positions<'a>,
    pub(super) problems: Vec<Problem>,
}

/// Gives the place of a key's value in the file.
type MarkOf<'m> = &'m dyn Fn(&str) -> Mark;

impl<'a> Reader<'a> {
    fn new(text: &'a str, mended: &'a str, file_name: &'a str) -> Reader<'a> {
        let folder = Path::new(file_name).parent().unwrap_or(Path::new("")).to_owned();
        Reader { file_name, folder, written: Positions::of(text), positions: Positions::of(mended), problems: Vec::new() }
    }

    fn root(&mut self, root: &Table<'_>, settings: &mut Settings) {
        for (key, value) in root {
            let name = key.get_ref().as_ref();
            match name {
                "key" => settings.keys = self.keys(name, value),
                "zone" => settings.zones = self.zones(name, value),
                "forward" => settings.forwards = self.routes(name, value),
                "stub" => settings.stubs = self.routes(name, value),
                "rpz" => settings.rpz = self.policy_zones(name, value),
                "list" => settings.lists = self.lists(name, value),
                "view" => settings.views = self.views(name, value),
                _ => match SECTIONS.iter().find(|section| section.name == name) {
                    Some(section) => self.section(section.name, section.rows, value, settings),
                    None => self.unknown_section(&key.span(), name),
                },
            }
        }
        self.whole(root, settings);
        settings.zones.extend(settings.rpz.iter().filter_map(RpzSettings::own_zone));
    }

    fn keys(&mut self, name: &str, value: &Value<'_>) -> Vec<KeySettings> {
        let mut keys = self.list(name, value, KEY, &["name"], |key: &mut KeySettings, _, of| {
            let (file, secret) = (of("secret-file"), of("secret"));
            (key.name_mark, key.secret_mark) = (of("name"), if file == Mark::default() { secret } else { file });
        });
        for key in keys.extract_if(.., |key| key.secret.is_some() == key.secret_file.is_some()) {
            if key.secret.is_none() && key.secret_mark != Mark::default() {
                // What was written is wrong, and has been reported already.
                continue;
            }
            let what = match key.secret {
                Some(_) => format!("this [[key]] {} has both \"secret\" and \"secret-file\"; keep one of them", key.name),
                None => format!("this [[key]] {} needs the key \"secret\" or \"secret-file\"", key.name),
            };
            let hint = Some("`cairn zone key NAME` makes a key".to_owned()).filter(|_| key.secret.is_none());
            self.problems.push(Problem { hint, ..Problem::at(self.file_name, &key.name_mark, what) });
        }
        keys
    }

    fn zones(&mut self, name: &str, value: &Value<'_>) -> Vec<ZoneSettings> {
        let mut zones = self.list(name, value, ZONE, &["name"], |zone: &mut ZoneSettings, line, of| {
            zone.line = line;
            (zone.name_mark, zone.file_mark, zone.primaries_mark) = (of("name"), of("file"), of("primaries"));
            zone.catalog_zone_mark = of("catalog-zone");
        });
        for zone in zones.extract_if(.., |zone| zone.dnssec && zone.is_secondary()) {
            let what = "zone.dnssec: this is a secondary, whose primary signs; leave out `dnssec`, or `primaries`".to_owned();
            self.problems.push(Problem::at(self.file_name, &zone.name_mark, what));
        }
        for zone in zones.extract_if(.., |zone| zone.file.is_none() && zone.primaries.is_empty() && !zone.catalog) {
            // What was written and is wrong has been reported already.
            if zone.file_mark == Mark::default() && zone.primaries_mark == Mark::default() {
                let what = "this [[zone]] needs the key \"file\"; a secondary has \"primaries\" instead".to_owned();
                self.problems.push(Problem::at(self.file_name, &Mark { column: 1, line: zone.line, ..zone.name_mark }, what));
            }
        }
        zones
    }

    fn policy_zones(&mut self, name: &str, value: &Value<'_>) -> Vec<RpzSettings> {
        let all = self.list(name, value, RPZ, &["zone"], |rpz: &mut RpzSettings, line, of| {
            rpz.line = line;
            (rpz.zone_mark, rpz.file_mark, rpz.primaries_mark) = (of("zone"), of("file"), of("primaries"));
            rpz.policy_mark = of("policy");
        });
        for rpz in all.iter().filter(|rpz| rpz.policy == RpzPolicy::Cname && rpz.cname.is_none()) {
            let what = "rpz.policy: \"cname\" needs the key \"cname\" with the name of the alias";
            self.problems.push(Problem::at(self.file_name, &rpz.policy_mark, what));
        }
        if let Some(rpz) = all.get(RPZ_ZONES_MAX) {
            self.problems.push(Problem::at(
                self.file_name,
                &rpz.zone_mark,
                format!("there may be {RPZ_ZONES_MAX} response policy zones at most"),
            ));
        }
        all
    }

    fn routes(&mut self, name: &str, value: &Value<'_>) -> Vec<RouteSettings> {
        let rows = if name == "stub" { STUB } else { FORWARD };
        self.list(name, value, rows, &["zone", "to"], |route: &mut RouteSettings, line, of| {
            (route.line, route.zone_mark, route.to_mark) = (line, of("zone"), of("to"));
            (route.ca_mark, route.pins_mark) = (of("ca"), of("pin-sha256"));
        })
    }

    fn lists(&mut self, name: &str, value: &Value<'_>) -> Vec<ListSettings> {
        let mut lists = self.list(name, value, LIST, &["name", "source"], |list: &mut ListSettings, line, of| {
            (list.line, list.name_mark, list.source_mark, list.ca_mark) = (line, of("name"), of("source"), of("ca"));
        });
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for list in &lists {
            let what = match seen.insert(list.name().to_owned(), list.line) {
                _ if list.name().is_empty() => "list.name: a name needs at least one letter".to_owned(),
                Some(first) => format!("list.name: the list at line {first} has the name \"{}\" already", list.name()),
                None => continue,
            };
            self.problems.push(Problem::at(self.file_name, &list.name_mark, what));
        }
        for list in lists.iter().filter(|list| list.ca.is_some()) {
            let is_verified = matches!(&list.source, Some(ListSource::Url(url)) if url.scheme == Scheme::Https);
            if !is_verified && list.source.is_some() {
                let what = "list.ca: only an https:// source has a certificate to verify".to_owned();
                self.problems.push(Problem::at(self.file_name, &list.ca_mark, what));
            }
        }
        if let Some(list) = lists.get(LISTS_MAX) {
            let what = format!("there can be {LISTS_MAX} lists");
            let hint = Some("put several sources into one file".to_owned());
            self.problems.push(Problem { hint, ..Problem::at(self.file_name, &list.name_mark, what) });
        }
        lists.truncate(LISTS_MAX);
        lists
    }

    fn views(&mut self, name: &str, value: &Value<'_>) -> Vec<ViewSettings> {
        let views = self.list(name, value, VIEW, &["name", "clients"], |view: &mut ViewSettings, line, of| {
            (view.line, view.name_mark, view.lists_mark) = (line, of("name"), of("lists"));
            view.forward_mark = of("forward");
            (view.rpz_mark, view.local_data_mark, view.schedule_mark) = (of("rpz"), of("local-data"), of("schedule"));
        });
        if let Some(view) = views.get(VIEWS_MAX) {
            self.problems.push(Problem::at(self.file_name, &view.name_mark, format!("there can be {VIEWS_MAX} views")));
        }
        views
    }

    fn section(&mut self, name: &'static str, rows: &[Row<Settings>], value: &Value<'_>, settings: &mut Settings) {
        let Some(table) = value.get_ref().as_table() else {
            let hint = format!("write [{name}] on a line of its own and its keys below");
            return self.problem(&value.span(), format!("\"{name}\" is a section, found {}", found(value)), Some(hint));
        };
        for (key, value) in table {
            if let Some(row) = self.row(name, rows, key) {
                self.set(name, row, value, settings);
                let origin = Origin::File { file: self.file_name.to_owned(), mark: self.mark(&value.span()) };
                settings.origins.insert(format!("{name}.{}", row.key), origin);
            }
        }
    }

    /// Reads all `[[name]]` tables, each as a `T`.
    fn list<T: Default>(
        &mut self,
        name: &str,
        value: &Value<'_>,
        rows: &'static [Row<T>],
        needed: &[&str],
        place: fn(&mut T, usize, MarkOf<'_>),
    ) -> Vec<T> {
        let Some(entries) = value.get_ref().as_array() else {
            let hint = format!("there may be several: write [[{name}]] with two brackets");
            self.problem(&value.span(), format!("\"{name}\" is a list of tables, found {}", found(value)), Some(hint));
            return Vec::new();
        };
        let mut all = Vec::new();
        for entry in entries {
            let Some(table) = entry.get_ref().as_table() else {
                let what = format!("each entry of \"{name}\" is a table, found {}", found(entry));
                self.problem(&entry.span(), what, Some(format!("write [[{name}]] and its keys below")));
                continue;
            };
            let mut one = T::default();
            let mut known = Vec::new();
            for (key, value) in table {
                if let Some(row) = self.row(name, rows, key)
                    && self.set(name, row, value, &mut one)
                {
                    known.push(row.key);
                }
            }
            for key in needed.iter().filter(|key| !table.contains_key(**key)) {
                self.problem(&entry.span(), format!("this [[{name}]] needs the key \"{key}\""), None);
            }
            if needed.iter().all(|key| known.contains(key)) {
                let mark_of = |key: &str| table.get(key).map(|value| self.mark(&value.span())).unwrap_or_default();
                place(&mut one, self.positions.line_column(entry.span().start).0, &mark_of);
                all.push(one);
            }
        }
        all
    }

    fn row<'r, T>(&mut self, section: &str, rows: &'r [Row<T>], key: &Spanned<toml::de::DeString<'_>>) -> Option<&'r Row<T>> {
        let written = key.get_ref().as_ref();
        let row = rows.iter().find(|row| row.key == written);
        if row.is_none() {
            let keys: Vec<&str> = rows.iter().map(|row| row.key).collect();
            let hint = hint_for_key(section, &keys, written);
            self.problem(&key.span(), format!("unknown key \"{written}\" in [{section}]"), Some(hint));
        }
        row
    }

    fn unknown_section(&mut self, span: &Range<usize>, written: &str) {
        let names: Vec<&str> = SECTIONS.iter().map(|section| section.name).chain(LISTS).collect();
        let hint = foreign::hint("", written).unwrap_or_else(|| match (nearest(written, &names), home_of(written)) {
            // A name that is a key as it stands is not a slip of the pen.
            (_, Some((section, key))) if key == written => format!("\"{key}\" belongs in [{section}]"),
            (Some(near), _) if LISTS.contains(&near) => format!("did you mean [[{near}]]?"),
            (Some(near), _) => format!("did you mean [{near}]?"),
            (None, Some((section, key))) => format!("\"{key}\" belongs in [{section}]"),
            (None, None) => format!("the sections are {}", names.join(", ")),
        });
        self.problem(span, format!("unknown section or key \"{written}\""), Some(hint));
    }

    /// Reads one value; false if it is wrong.
    fn set<T>(&mut self, section: &str, row: &Row<T>, value: &Value<'_>, target: &mut T) -> bool {
        let mistakes = match apply(row, value, target, &self.folder) {
            Ok(()) => return true,
            Err(mistakes) => mistakes,
        };
        for (span, what, hint) in mistakes {
            self.problem(&span, format!("{section}.{}: {what}", row.key), hint);
        }
        false
    }

    pub(super) fn problem(&mut self, span: &Range<usize>, what: String, hint: Option<String>) {
        let problem = Problem::at(self.file_name, &self.mark(span), what);
        self.problems.push(Problem { hint, ..problem });
    }

    fn mark(&self, span: &Range<usize>) -> Mark {
        let (line, column) = self.positions.line_column(span.start);
        Mark { line, column, excerpt: self.written.line_text(line).to_owned() }
    }
}

/// Checks one value and stores it; a wrong value leaves the setting unchanged.
fn apply<T>(row: &Row<T>, value: &Value<'_>, target: &mut T, folder: &Path) -> Result<(), Vec<Mistake>> {
    let written = Written { value, expected: expected(&row.kind), folder };
    match &row.kind {
        Kind::Switch(slot) => *slot(target) = written.switch()?,
        Kind::SwitchOrFoundOut(slot) => *slot(target) = Some(written.switch()?),
        Kind::Count(slot, least, most) => *slot(target) = Some(written.count(*least, *most)?),
        Kind::Number(slot, least, most) => *slot(target) = written.count(*least, *most)?,
        Kind::Seconds(slot, least, most) => *slot(target) = written.seconds(*least, *most)?,
        Kind::Bytes(slot, least, most) => *slot(target) = written.bytes(*least, *most)?,
        Kind::Word(words, put, _) => put(target, written.word(words)?),
        Kind::FileOrBuiltIn(slot) | Kind::FolderOrFoundOut(slot) => *slot(target) = Some(written.path()?),
        Kind::FileOrOutput(slot) => *slot(target) = Some(written.path_or_output()?),
        Kind::OptionalSocket(slot) => *slot(target) = Some(written.one(parse_socket_with_port)?),
        Kind::AccountOrFoundOut(slot) => *slot(target) = Some(written.account()?),
        Kind::Name(slot) => *slot(target) = written.one(domain_name)?,
        Kind::OptionalName(slot) => *slot(target) = Some(written.one(domain_name)?),
        Kind::OptionalText(slot) => *slot(target) = Some(written.short_text()?),
        Kind::Names(slot) => *slot(target) = written.each(domain_name)?,
        Kind::NegativeAnchors(slot) => *slot(target) = written.each(|text| NegativeAnchor::parse(text, domain_name))?,
        Kind::Records(slot) => *slot(target) = written.each(|text| Ok(text.to_owned()))?,
        Kind::Prefixes(slot) => *slot(target) = written.each(str::parse::<Prefix>)?,
        Kind::Translation(slot) => *slot(target) = written.one(str::parse)?,
        Kind::OptionalTranslation(slot) => *slot(target) = Some(written.one(str::parse)?),
        Kind::Listen(slot) => *slot(target) = Some(written.sockets()?),
        Kind::ListenOrOff(slot) => *slot(target) = written.each(parse_socket_with_port)?,
        Kind::ListenAt(slot, port) => *slot(target) = written.sockets_at(*port)?,
        Kind::UriPath(slot) => *slot(target) = written.uri_path()?,
        Kind::Servers(slot) => *slot(target) = written.each(|text| parse_socket(text).map(Forwarder::Plain))?,
        Kind::Forwarders(slot) => *slot(target) = written.each(Forwarder::parse)?,
        Kind::Pins(slot) => *slot(target) = written.each(Pin::parse)?,
        Kind::Peers(slot) => *slot(target) = written.each(host)?,
        Kind::PeersOrDerived(slot) => *slot(target) = Some(written.each(host)?),
        Kind::Clients(slot) => *slot(target) = written.each(client)?,
        Kind::Source(slot) => *slot(target) = Some(written.source()?),
        Kind::BlockAnswer(slot) => *slot(target) = Some(written.block_answer()?),
        Kind::Uris(slot) => *slot(target) = written.each(uri)?,
        Kind::TextsOrAll(slot) | Kind::RecordsInstead(slot) => *slot(target) = Some(written.each(|text| Ok(text.to_owned()))?),
        Kind::NamesOrAll(slot) => *slot(target) = Some(written.each(domain_name)?),
        Kind::SafeSearch(slot) => *slot(target) = written.safe_search()?,
        Kind::ListenPlaces(slot) => *slot(target) = written.each(ListenPlace::parse)?,
        Kind::Forwards(slot) => *slot(target) = written.each(|text| ViewForward::parse(text, domain_name))?,
        Kind::Schedule(slot) => *slot(target) = written.each(ScheduleRule::parse)?,
        Kind::Secret(slot) => *slot(target) = Some(written.secret()?),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::log_format::LogFormat;
    use super::super::settings::{LogLevel, QnameMinimisation, Sha1};
    use super::*;
    use crate::record::Name;
    use proptest::prelude::*;

    const ALL_KEYS: &str = r#"
[server]
listen  = ["127.0.0.1:5301", "::1"]
allow   = ["10.0.0.0/8", "::ffff:192.0.2.0/120"]
workers = 2
state-dir = "state"

[recursion]
enabled            = false
root-hints         = "hints"
trust-anchor       = "/etc/anchor"
dnssec             = false
negative-trust-anchors = ["bad.example", "worse.example until 2026-12-31"]
sha1               = "validate"
qname-minimisation = "strict"
query-loopback     = true
ipv4 = true
ipv6 = false

[cache]
size     = "64MiB"
max-ttl  = "1d"
min-ttl  = 5
negative-max-ttl = "10m"
serve-stale = false
stale-max   = "2d"
prefetch        = false
aggressive-nsec = false

[policy]
rebinding-protection = false
rebinding-allow      = ["plex.direct."]
allow-snoop          = ["127.0.0.1"]
special-use-except   = ["home.arpa"]

[log]
level = "debug"
format = "json"

[[zone]]
name = "Example.org"
file = "zones/example.org.zone"
allow = ["192.0.2.0/24"]

[[zone]]
name = "2.0.192.in-addr.arpa"
file = "/zones/reverse"

[[forward]]
zone = "corp.example."
to   = ["10.0.0.1:53", "10.0.0.2", "[2001:db8::1]:5353"]
fallback = true

[[stub]]
zone = "lab.example."
to   = ["192.0.2.1"]
"#;

    fn name(text: &str) -> Name {
        Name::parse(text).expect("a name of the test")
    }

    #[test]
    fn the_web_listener_is_not_open_to_others() {
        let problems = |text: &str| match Settings::from_toml(text, "cairn.toml") {
            Ok(_) => Vec::new(),
            Err(problems) => problems.iter().map(ToString::to_string).collect(),
        };
        for (listen, password, expected) in [
            ("127.0.0.1:8053", false, ""),
            ("[::1]:8053", false, ""),
            ("192.168.1.2:8053", true, ""),
            ("[fd00::2]:8053", true, ""),
            ("100.64.0.1:8053", true, ""),
            ("0.0.0.0:8053", true, ""),
            ("192.168.1.2:8053", false, "needs the key \"password-file\""),
            ("0.0.0.0:8053", false, "needs the key \"password-file\""),
            ("100.128.0.1:8053", true, "not a private address"),
            ("203.0.113.1:8053", true, "not a private address"),
            ("[2001:db8::1]:8053", true, "not a private address"),
            ("127.0.0.1", false, "needs a port, such as 127.0.0.1:8053"),
        ] {
            let key = if password { "password-file = 'secret'\n" } else { "" };
            let problems: Vec<String> = problems(&format!("[web]\nlisten = ['{listen}']\n{key}"));
            match expected {
                "" => assert_eq!(problems, Vec::<String>::new(), "{listen}"),
                _ => assert!(
                    problems.iter().any(|problem| problem.starts_with("cairn.toml:2:1") && problem.contains(expected)),
                    "{listen}: {problems:?}"
                ),
            }
        }
        assert!(Settings::from_toml("[web]\nlisten = []", "cairn.toml").expect("off").web.listen.is_empty());
    }

    #[test]
    fn every_key_is_read() {
        let read = Settings::from_toml(ALL_KEYS, "/etc/cairn/cairn.toml").expect("all is right");
        assert_eq!(read.server.listen, Some(vec!["127.0.0.1:5301".parse().expect("v4"), "[::1]:53".parse().expect("v6")]));
        let allow: Vec<String> = read.server.allow.iter().map(Prefix::to_string).collect();
        assert_eq!((allow.join(" "), read.server.workers), ("10.0.0.0/8 192.0.2.0/24".to_owned(), Some(2)));
        assert_eq!(read.server.state_dir, Some("/etc/cairn/state".into()));
        let recursion = &read.recursion;
        assert_eq!(recursion.root_hints, Some("/etc/cairn/hints".into()));
        assert_eq!(recursion.trust_anchor, Some("/etc/anchor".into()));
        let negative: Vec<String> = recursion.negative_trust_anchors.iter().map(NegativeAnchor::to_string).collect();
        assert_eq!(negative, ["bad.example.", "worse.example. until 2026-12-31"]);
        assert_eq!((recursion.sha1, recursion.qname_minimisation), (Sha1::Validate, QnameMinimisation::Strict));
        assert_eq!((recursion.enabled, recursion.dnssec, recursion.query_loopback), (false, false, true));
        assert_eq!((recursion.ipv4, recursion.ipv6), (Some(true), Some(false)));
        let cache = &read.cache;
        assert_eq!((cache.size_bytes, cache.max_ttl_s, cache.min_ttl_s), (64 << 20, 86_400, 5));
        assert_eq!((cache.negative_max_ttl_s, cache.stale_max_s), (600, 172_800));
        assert_eq!((cache.serve_stale, cache.prefetch, cache.aggressive_nsec), (false, false, false));
        assert!(!read.policy.rebinding_protection);
        assert_eq!(read.policy.rebinding_allow, [name("plex.direct.")]);
        assert_eq!(read.policy.allow_snoop, ["127.0.0.1/32".parse().expect("a prefix")]);
        assert_eq!(read.policy.special_use_except, [name("home.arpa.")]);
        assert_eq!((read.log.level, read.log.format), (LogLevel::Debug, LogFormat::Json));
        assert_eq!((&read.zones[0].name, &read.zones[0].file), (&name("example.org."), &Some("/etc/cairn/zones/example.org.zone".into())));
        assert_eq!((read.zones[0].line, read.zones[1].line), (40, 45));
        assert_eq!(read.zones[1].allow, [Prefix::ALL_IPV4, Prefix::ALL_IPV6]);
        assert_eq!((read.forwards[0].to.len(), read.forwards[0].fallback), (3, true));
        assert_eq!((&read.stubs[0].zone, read.stubs[0].fallback), (&name("lab.example."), false));
    }

    #[test]
    fn an_empty_file_means_the_defaults() {
        assert_eq!(Settings::from_toml("", "c.toml"), Ok(Settings::default()));
    }

    /// The example in the documentation and the table of keys state the defaults; they must be the real ones.
    #[test]
    fn documented_defaults_are_the_defaults() {
        let mut text = String::new();
        for section in &SECTIONS {
            text.push_str(&format!("[{}]\n", section.name));
            for row in section.rows.iter().filter(|row| !row.default.starts_with('(')) {
                text.push_str(&format!("{} = {}\n", row.key, row.default));
            }
        }
        let mut read = Settings::from_toml(&text, "c.toml").expect("the table's defaults are valid");
        assert_eq!(read.server.listen, Some(Settings::default().server.listen_addrs()));
        read.server.listen = None;
        read.origins.clear();
        assert_eq!(read, Settings::default());
    }

    /// Each row: a file, and the problems that it must give, all of them, in this order.
    #[test]
    fn mistakes_name_place_and_remedy() {
        for (text, expected) in [
            ("[server]\nlisen = []", &["2:1: unknown key \"lisen\" in [server]; did you mean \"listen\"?"][..]),
            ("[cache]\nmax_ttl = 1", &["2:1: unknown key \"max_ttl\" in [cache]; did you mean \"max-ttl\"?"]),
            ("[server]\nmax-ttl = 1", &["2:1: unknown key \"max-ttl\" in [server]; \"max-ttl\" belongs in [cache]"]),
            (
                "[server]\nqqqqqqqq = 1",
                &[
                    "2:1: unknown key \"qqqqqqqq\" in [server]; the keys of [server] are listen, listen-tls, listen-https, https-path, https-json, proxy-from, allow, workers, state-dir, control-socket, user, sandbox, nat64-prefix, identity, version",
                ],
            ),
            ("listen = 1", &["1:1: unknown section or key \"listen\"; \"listen\" belongs in [server]"]),
            ("[sever]", &["1:2: unknown section or key \"sever\"; did you mean [server]?"]),
            ("[[forwards]]", &["1:3: unknown section or key \"forwards\"; did you mean [[forward]]?"]),
            (
                "[[rpz]]\nzone = 'a.test'\npolicy = 'cname'",
                &["3:10: rpz.policy: \"cname\" needs the key \"cname\" with the name of the alias"],
            ),
            ("[[rpz]]\nfile = 'x'", &["1:1: this [[rpz]] needs the key \"zone\""]),
            (
                "[[rpz]]\nzone = 'a.test'\nfile = 'x'\n[[rpz]]\nzone = 'A.test.'\nfile = 'y'",
                &["5:8: [[rpz]] for a.test.: there is a [[rpz]] for this rpz at line 2 already; keep one of them"],
            ),
            (
                "[[rpz]]\nzone = 'a.test'\nfile = 'x'\n[[zone]]\nname = 'a.test'\nfile = 'y'",
                &[
                    "2:8: rpz.zone: there is a [[zone]] for a.test. at line 5 already, whose data is used; leave out `file` and `primaries` in this [[rpz]]",
                ],
            ),
            (
                "[[rpz]]\nzone = 'a.test'\nprimaries = ['192.0.2.1 key k']",
                &[
                    "3:14: rpz.primaries: there is no [[key]] k.; write [[key]] with name = \"k.\" and its secret; `cairn zone key k.` makes one",
                ],
            ),
            (
                "[zone]\nname='a'",
                &["1:1: \"zone\" is a list of tables, found a table; there may be several: write [[zone]] with two brackets"],
            ),
            ("server = 3", &["1:10: \"server\" is a section, found 3; write [server] on a line of its own and its keys below"]),
            ("[server]\n  workers = \"two\"", &["2:13: server.workers: expected a whole number from 1 to 1024, found \"two\""]),
            ("[server]\nworkers = 0", &["2:11: server.workers: expected a whole number from 1 to 1024, found 0"]),
            ("[server]\nworkers = -1", &["2:11: server.workers: expected a whole number from 1 to 1024, found -1"]),
            ("[server]\nlisten = []", &["2:10: server.listen: at least one address is needed"]),
            ("[server]\nlisten = '::1'", &["2:10: server.listen: expected a list of addresses such as \"192.0.2.1:53\", found \"::1\""]),
            (
                "[server]\nlisten = ['1.2.3', 5,\n 'ok.example', '::1', '[::1]:53']",
                &[
                    "2:11: server.listen: \"1.2.3\" is not an address such as 192.0.2.1, 192.0.2.1:53 or [2001:db8::1]:53",
                    "2:20: server.listen: expected a string in quotes, found 5",
                    "3:2: server.listen: \"ok.example\" is a name; an address is needed here, such as 192.0.2.1 or [2001:db8::1]:53",
                    "3:23: server.listen: \"[::1]:53\" appears twice",
                ],
            ),
            (
                "[server]\nallow = ['10.0.0.1/8']",
                &["2:10: server.allow: \"10.0.0.1/8\" has bits set past /8: write \"10.0.0.0/8\" or \"10.0.0.1\""],
            ),
            ("[recursion]\ndnssec = 'yes'", &["2:10: recursion.dnssec: expected true or false, found \"yes\"; write true without quotes"]),
            (
                "[recursion]\nsha1 = 'insecur'",
                &["2:8: recursion.sha1: expected \"insecure\" or \"validate\", found \"insecur\"; did you mean \"insecure\"?"],
            ),
            (
                "[cache]\nstale-max = '10 parsecs'",
                &["2:13: cache.stale-max: expected a duration (seconds, \"90s\", \"10m\", \"2d\") from 0 to \"1w\", found \"10 parsecs\""],
            ),
            ("[cache]\nsize = 10", &["2:8: cache.size: expected a size (bytes or \"64MiB\") from \"1MiB\" to \"4TiB\", found 10"]),
            ("[cache]\nmin-ttl = 60\nmax-ttl = 30", &["2:11: cache.min-ttl is longer than cache.max-ttl"]),
            (
                "[policy]\nrebinding-allow = ['a..b', 'ä.example']",
                &[
                    "2:20: policy.rebinding-allow: \"a..b\" is not a domain name: a name has an empty label (two dots in a row)",
                    "2:28: policy.rebinding-allow: \"ä.example\" is not ASCII: write \"xn--4ca.example\"",
                ],
            ),
            ("[[stub]]\nzone = '*.a'\nto = ['::1']", &["2:8: stub.zone: \"*.a\": write \"a\", which is for all names below it as well"]),
            ("[[zone]]\nfile = 'x'", &["1:1: this [[zone]] needs the key \"name\""]),
            (
                "[[zone]]\nname = 'x'\nprimaries = ['192.0.2.1']\ndnssec = true",
                &["2:8: zone.dnssec: this is a secondary, whose primary signs; leave out `dnssec`, or `primaries`"],
            ),
            (
                "[[zone]]\nname = 'x'\nfile = 'x'\ndnssec-algorithm = 'rsasha1'",
                &[
                    "4:20: zone.dnssec-algorithm: expected \"ecdsap256sha256\", \"ed25519\", \"ecdsap384sha384\" or \"rsasha256\", found \"rsasha1\"; did you mean \"rsasha256\"?",
                ],
            ),
            (
                "[[zone]]\nname = 'x'\nfile = 'x'\ncatalog-zone = 'c'\n[[zone]]\nname = 'd'\ncatalog = true\nupdate = ['::1']",
                &[
                    "4:16: zone.catalog-zone: no catalog c. is made here; write a [[zone]] with name = \"c.\" and catalog = true, without `file` and `primaries`",
                    "6:8: zone.update: the catalog d. is made of the zones that name it as their `catalog-zone`; leave out `update`; or give the catalog a `file`, which is served as it stands",
                ],
            ),
            ("[[zone]]\nname = 'x'", &["1:1: this [[zone]] needs the key \"file\"; a secondary has \"primaries\" instead"]),
            (
                "[[zone]]\nname = 'x'\nprimaries = ['192.0.2.0/24']",
                &["3:14: zone.primaries: \"192.0.2.0/24\" is a prefix; the address of one server is needed here"],
            ),
            (
                "[[zone]]\nname = 'x'\nfile = 'x'\ntransfer = ['::1', 'key kye.a']\nnotify = ['::1 key b']\n[[key]]\nname = 'key.a'\nsecret = 'AAAA'",
                &[
                    "4:20: zone.transfer: there is no [[key]] kye.a.; did you mean key.a.?",
                    "5:11: zone.notify: there is no [[key]] b.; write [[key]] with name = \"b.\" and its secret; `cairn zone key b.` makes one",
                ],
            ),
            (
                "[[key]]\nname = 'a'\n[[key]]\nname = 'b'\nsecret = 'AAAA'\nsecret-file = 'x'\n[[key]]\nname = 'c'\nsecret = 'AA'",
                &[
                    "2:8: this [[key]] a. needs the key \"secret\" or \"secret-file\"; `cairn zone key NAME` makes a key",
                    "4:8: this [[key]] b. has both \"secret\" and \"secret-file\"; keep one of them",
                    "9:10: key.secret: the secret is not base 64: `cairn zone key NAME` makes a key",
                ],
            ),
            (
                "[[key]]\nname = 'a'\nalgorithm = 'hmac-md5'\nsecret = 'AAAA'",
                &["3:13: key.algorithm: expected \"hmac-sha256\", \"hmac-sha384\" or \"hmac-sha512\", found \"hmac-md5\""],
            ),
            (
                "[[stub]]\nzone = 'a'\nto = []",
                &[
                    "3:6: stub.to: at least one address is needed; to exempt these names from a rule for a zone above, write [[forward]] with to = []",
                ],
            ),
            (
                "[[list]]\nname = 'a'\nsource = 'ftp://x/y'\n[[list]]\nname = 'b'\n[[list]]\nname = 'c'\nsource = 'x'\nformat = 'host'\n[[list]]\nname = 'c'\nsource = 'x'",
                &[
                    "3:10: list.source: \"ftp://x/y\" is neither an https:// nor an http:// URL",
                    "4:1: this [[list]] needs the key \"source\"",
                    "9:10: list.format: expected \"auto\", \"hosts\", \"domains\", \"adblock\", \"dnsmasq\", \"unbound\" or \"rpz\", found \"host\"; did you mean \"hosts\"?",
                    "11:8: list.name: the list at line 6 has the name \"c\" already",
                ],
            ),
            (
                "[[list]]\nname = 'a'\nsource = 'file:///etc/hosts'",
                &[
                    "3:10: list.source: \"file:///etc/hosts\" is neither an https:// nor an http:// URL; a file is written as its path alone: \"/etc/hosts\"",
                ],
            ),
            ("[[list]]\nname = 'a'\nsource = 'x'\nca = 'ca.pem'", &["4:6: list.ca: only an https:// source has a certificate to verify"]),
            ("[[forward]]\nzone = 'a'", &["1:1: this [[forward]] needs the key \"to\""]),
            (
                "[[zone]]\nname='a'\nfile='x'\n[[zone]]\nname='A.'\nfile='y'",
                &["5:6: [[zone]] for a.: there is a [[zone]] for this zone at line 2 already; keep one of them"],
            ),
            (
                "[[stub]]\nzone='a'\nto=['::1']\n[[forward]]\nzone='A.'\nto=['::1']",
                &["5:6: [[forward]] for a.: there is a [[stub]] for this route at line 2 already; keep one of them"],
            ),
            ("zone = [1]", &["1:9: each entry of \"zone\" is a table, found 1; write [[zone]] and its keys below"]),
        ] {
            let problems = Settings::from_toml(text, "c.toml").expect_err(text);
            let shown: Vec<String> = problems.iter().map(Problem::to_string).collect();
            let wanted: Vec<String> = expected.iter().map(|line| format!("c.toml:{line}")).collect();
            assert_eq!(shown, wanted, "{text}");
        }
    }

    /// After a mistake of the language the rest of the file is still checked.
    #[test]
    fn language_mistakes_do_not_hide_others() {
        let text = "[server]\nworkers = \nworkerss = 1\n\n[cache]\nsize = \"64\nprefetch = 7\n";
        let problems = Settings::from_toml(text, "c.toml").expect_err("three mistakes at least");
        let lines: Vec<usize> = problems.iter().map(|problem| problem.line).collect();
        assert_eq!(lines, [2, 3, 6, 7], "{problems:#?}");
        let twice = Settings::from_toml("[cache]\nsize = 1\n[cache]\nprefetch = true", "c.toml").expect_err("a section twice");
        assert!(twice.iter().any(|problem| problem.line == 3 && problem.what.contains("duplicate")), "{twice:?}");
    }

    proptest! {
        /// No text makes the reader panic, and whatever it complains about lies inside the file.
        #[test]
        fn any_text_is_read_or_refused(text in "([a-z\\[\\]=\"'.\n# 0-9-]|zone|server|listen|é){0,120}") {
            if let Err(problems) = Settings::from_toml(&text, "c.toml") {
                prop_assert!(!problems.is_empty());
                for problem in problems {
                    prop_assert!(problem.line >= 1 && problem.line <= text.split('\n').count(), "{:?}", problem);
                }
            }
        }
    }
}
