//! Rules over several keys: what one key says has to fit what others say. Each is checked once the whole file has been read.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use super::forward_rules;
use super::list_settings::ListSettings;
use super::nearest::nearest;
use super::problem::{Mark, Problem};
use super::reader::{Reader, Table};
use super::settings::Settings;
use super::socket_addr::is_of_own_network;
use super::written::{Value, client, domain_name};
use crate::limits::lists::{SCHEDULE_RULES_MAX, VIEW_FORWARDS_MAX};
use crate::record::Name;

impl Reader<'_> {
    /// Checks rules that involve several keys.
    pub(super) fn whole(&mut self, root: &Table<'_>, settings: &Settings) {
        if settings.cache.min_ttl_s > settings.cache.max_ttl_s {
            let span = value_at(root, "cache", "min-ttl").or_else(|| value_at(root, "cache", "max-ttl")).unwrap_or(0..0);
            self.problem(&span, "cache.min-ttl is longer than cache.max-ttl".to_owned(), None);
        }
        if let Some(addr) =
            settings.web.listen.iter().find(|addr| !addr.ip().is_loopback()).filter(|_| settings.web.password_file.is_none())
        {
            let span = value_at(root, "web", "listen").unwrap_or(0..0);
            let hint = Some("write password-file = \"FILE\" below, with a password in that file's first line".to_owned());
            self.problem(&span, format!("web.listen: {addr} can be reached by others, which needs the key \"password-file\""), hint);
        }
        if let Some(addr) = settings.web.listen.iter().find(|addr| !is_of_own_network(addr.ip())) {
            let span = value_at(root, "web", "listen").unwrap_or(0..0);
            let hint = Some("listen at an address of the local network, or at 127.0.0.1 behind a server that speaks TLS".to_owned());
            self.problem(
                &span,
                format!("web.listen: {addr} is not a private address, and passwords would cross the Internet in clear text"),
                hint,
            );
        }
        self.encrypted(root, settings);
        self.twice("key", settings.keys.iter().map(|key| (&key.name, &key.name_mark, "[[key]]")));
        self.unknown_keys(root);
        self.catalogs(settings);
        self.twice("zone", settings.zones.iter().map(|zone| (&zone.name, &zone.name_mark, "[[zone]]")));
        self.views_as_a_whole(settings);
        self.twice("rpz", settings.rpz.iter().map(|rpz| (&rpz.zone, &rpz.zone_mark, "[[rpz]]")));
        for rpz in settings.rpz.iter().filter(|rpz| rpz.own_zone().is_some()) {
            if let Some(zone) = settings.zones.iter().find(|zone| zone.name == rpz.zone) {
                let what =
                    format!("rpz.zone: there is a [[zone]] for {} at line {} already, whose data is used", rpz.zone, zone.name_mark.line);
                let hint = Some("leave out `file` and `primaries` in this [[rpz]]".to_owned());
                self.problems.push(Problem { hint, ..Problem::at(self.file_name, &rpz.zone_mark, what) });
            }
        }
        let forwards = settings.forwards.iter().map(|route| (&route.zone, &route.zone_mark, "[[forward]]"));
        let stubs = settings.stubs.iter().map(|route| (&route.zone, &route.zone_mark, "[[stub]]"));
        self.twice("route", forwards.chain(stubs));
        self.problems.extend(forward_rules::mistakes(settings, self.file_name));
    }

    /// Encrypted transports have a certificate, and each address serves one protocol over TCP.
    fn encrypted(&mut self, root: &Table<'_>, settings: &Settings) {
        let (server, tls) = (&settings.server, &settings.tls);
        // What was written and is wrong has been reported already.
        let is_missing = |key: &str, value: Option<&PathBuf>| value.is_none() && value_at(root, "tls", key).is_none();
        let missing = [("certificate", tls.certificate.as_ref()), ("key", tls.key.as_ref())];
        let missing: Vec<&str> = missing.into_iter().filter(|(key, value)| is_missing(key, *value)).map(|(key, _)| key).collect();
        let transport = [("listen-tls", &server.listen_tls), ("listen-https", &server.listen_https)];
        let wanted = transport.iter().find(|(_, addrs)| !addrs.is_empty());
        match (missing[..].as_ref(), wanted) {
            ([], _) => {}
            ([one], None) => {
                let span = value_at(root, "tls", if *one == "key" { "certificate" } else { "key" }).unwrap_or(0..0);
                self.problem(&span, format!("tls.{one} is missing: a certificate and its private key belong together"), None);
            }
            (_, None) => {}
            (keys, Some((listen, _))) => {
                let what = format!("server.{listen} needs a certificate: {} missing in [tls]", keys.join(" and "));
                let hint =
                    Some("set `certificate` and `key` in [tls] to two PEM files; docs/encrypted.md shows how to make them".to_owned());
                self.problem(&value_at(root, "server", listen).unwrap_or(0..0), what, hint);
            }
        }
        let plain = server.listen.clone().unwrap_or_default();
        let listeners = [("listen", &plain), transport[0], transport[1]];
        for (at, (key, addrs)) in listeners.iter().enumerate().skip(1) {
            for (other, others) in listeners.iter().take(at) {
                if let Some(addr) = addrs.iter().find(|addr| others.contains(addr)) {
                    let what = format!("server.{key}: {addr} is in server.{other} already");
                    let hint = Some("give one of them another port or address".to_owned());
                    self.problem(&value_at(root, "server", key).unwrap_or(0..0), what, hint);
                }
            }
        }
    }

    /// A zone is listed in a catalog that is made here, and nobody else changes such a catalog.
    fn catalogs(&mut self, settings: &Settings) {
        let is_made = |name: &Name| settings.zones.iter().any(|zone| zone.name == *name && zone.is_made_catalog());
        for zone in &settings.zones {
            if let Some(catalog) = zone.catalog_zone.as_ref().filter(|catalog| !is_made(catalog)) {
                let what = format!("zone.catalog-zone: no catalog {catalog} is made here");
                let hint = format!("write a [[zone]] with name = \"{catalog}\" and catalog = true, without `file` and `primaries`");
                self.problems.push(Problem { hint: Some(hint), ..Problem::at(self.file_name, &zone.catalog_zone_mark, what) });
            }
            if zone.is_made_catalog() && !zone.update.is_empty() {
                let what = format!("zone.update: the catalog {} is made of the zones that name it as their `catalog-zone`", zone.name);
                let hint = "leave out `update`; or give the catalog a `file`, which is served as it stands".to_owned();
                self.problems.push(Problem { hint: Some(hint), ..Problem::at(self.file_name, &zone.name_mark, what) });
            }
        }
    }

    /// Entries of zones that name a `[[key]]` which is not there.
    fn unknown_keys(&mut self, root: &Table<'_>) {
        let entries = |list: &str| root.get(list).and_then(|value| value.get_ref().as_array());
        let tables = |list: &str| entries(list).into_iter().flatten().filter_map(|entry| entry.get_ref().as_table());
        let text = |value: &Value<'_>| domain_name(value.get_ref().as_str()?).ok();
        // A key with a mistake of its own is known too.
        let known: Vec<Name> = tables("key").filter_map(|table| text(table.get("name")?)).collect();
        let mut unknown = Vec::new();
        for (list, table) in ["zone", "rpz"].into_iter().flat_map(|list| tables(list).map(move |table| (list, table))) {
            for key in ["primaries", "transfer", "notify", "update"] {
                let elements = table.get(key).and_then(|value| value.get_ref().as_array());
                for element in elements.into_iter().flatten() {
                    let entry = element.get_ref().as_str().and_then(|text| client(text).ok());
                    if let Some(name) = entry.and_then(|entry| entry.key).filter(|name| !known.contains(name)) {
                        let near: Vec<String> = known.iter().map(Name::to_string).collect();
                        let near: Vec<&str> = near.iter().map(String::as_str).collect();
                        let hint = match nearest(&name.to_string(), &near) {
                            Some(near) => format!("did you mean {near}?"),
                            None => format!("write [[key]] with name = \"{name}\" and its secret; `cairn zone key {name}` makes one"),
                        };
                        unknown.push((element.span(), format!("{list}.{key}: there is no [[key]] {name}"), hint));
                    }
                }
            }
        }
        for (span, what, hint) in unknown {
            self.problem(&span, what, Some(hint));
        }
    }

    /// Each name may appear once, because it is not clear which of two entries should win.
    fn twice<'n>(&mut self, what: &str, entries: impl Iterator<Item = (&'n Name, &'n Mark, &'static str)>) {
        let mut entries: Vec<_> = entries.collect();
        entries.sort_by_key(|(_, mark, _)| mark.line);
        let mut seen: BTreeMap<&Name, (usize, &str)> = BTreeMap::new();
        for (name, mark, header) in entries {
            match seen.get(name) {
                Some((first, other)) => {
                    let what = format!("{header} for {name}: there is a {other} for this {what} at line {first} already");
                    let hint = Some("keep one of them".to_owned());
                    self.problems.push(Problem { hint, ..Problem::at(self.file_name, mark, what) });
                }
                None => {
                    seen.insert(name, (mark.line, header));
                }
            }
        }
    }

    /// What views name has to be there.
    fn views_as_a_whole(&mut self, settings: &Settings) {
        for (at, view) in settings.views.iter().enumerate() {
            let mut problem = |mark: &Mark, what: String, hint: Option<String>| {
                self.problems.push(Problem { hint, ..Problem::at(self.file_name, mark, what) });
            };
            if view.name().is_empty() {
                problem(&view.name_mark, "view.name: a name needs at least one letter".to_owned(), None);
            }
            if let Some(first) = settings.views.iter().take(at).find(|first| first.name == view.name) {
                let what = format!("view.name: the view at line {} has the name \"{}\" already", first.line, view.name());
                problem(&view.name_mark, what, None);
            }
            let known: Vec<&str> = settings.lists.iter().map(ListSettings::name).collect();
            for list in view.lists.iter().flatten().filter(|list| !known.contains(&list.as_str())) {
                let hint = nearest(list, &known).map(|near| format!("did you mean \"{near}\"?"));
                problem(&view.lists_mark, format!("view.lists: there is no [[list]] with the name \"{list}\""), hint);
            }
            for rule in &view.schedule {
                if !known.contains(&rule.list.as_str()) {
                    let hint = nearest(&rule.list, &known).map(|near| format!("did you mean \"{near}\"?"));
                    problem(&view.schedule_mark, format!("view.schedule: there is no [[list]] with the name \"{}\"", rule.list), hint);
                } else if view.lists.as_ref().is_some_and(|lists| !lists.contains(&rule.list)) {
                    let what = format!("view.schedule: the list \"{}\" is not in `lists` of this view", rule.list);
                    problem(&view.schedule_mark, what, Some("name it there too, or leave it out here".to_owned()));
                }
            }
            let zones: Vec<&Name> = view.forward.iter().map(|rule| &rule.zone).collect();
            if let Some(twice) = zones.iter().enumerate().find(|(at, zone)| zones.iter().take(*at).any(|before| before == *zone)) {
                let what = format!("view.forward: {} appears twice", twice.1);
                problem(&view.forward_mark, what, Some("write all of its servers behind the zone".to_owned()));
            }
            if view.forward.len() > VIEW_FORWARDS_MAX {
                problem(&view.forward_mark, format!("view.forward: there can be {VIEW_FORWARDS_MAX} entries"), None);
            }
            if view.schedule.len() > SCHEDULE_RULES_MAX {
                problem(&view.schedule_mark, format!("view.schedule: there can be {SCHEDULE_RULES_MAX} entries"), None);
            }
            for zone in view.rpz.iter().flatten().filter(|zone| settings.rpz.iter().all(|rpz| rpz.zone != **zone)) {
                problem(&view.rpz_mark, format!("view.rpz: there is no [[rpz]] for {zone}"), None);
            }
        }
    }
}

fn value_at(root: &Table<'_>, section: &str, key: &str) -> Option<Range<usize>> {
    root.get(section)?.get_ref().as_table()?.get(key).map(|value| value.span())
}
