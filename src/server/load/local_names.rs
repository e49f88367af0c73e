//! The records of `local-data` and the names of `hosts-file`, read and checked.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::path::Path;

use super::configuration::{Configuration, read_bytes};
use crate::config::{Problem, Settings, ViewSettings};
use crate::limits::zone::SMALL_FILE_SET_BYTES_MAX;
use crate::record::{Name, RrSet, Rtype};
use crate::zone::parse_records;

/// TTL of what a hosts file says: a change is seen soon after the reload that reads it.
const HOSTS_TTL_S: u32 = 300;

/// All records, those of `local-data` first: a name in `local-data` is not taken from the hosts file. A mistake in `local-data`
/// is a mistake of the configuration; of the hosts file, only the line with the mistake is left out.
pub(in crate::server) fn local_records(settings: &Settings) -> LocalRecords {
    let mut read = LocalRecords::default();
    read.read_records(&settings.policy.local_data, &|what| {
        settings.problem_with("policy.local-data", format!("policy.local-data: {what}"))
    });
    if let Some(path) = &settings.policy.hosts_file {
        read.read_hosts(path);
    }
    read
}

/// The settings with the records of `local-data` and `hosts-file`, and those of views.
pub(in crate::server) fn with_local_records(configuration: Configuration) -> Result<Settings, Vec<Problem>> {
    let Configuration { mut settings, file } = configuration;
    let local = local_records(&settings);
    let (mut problems, file) = (local.mistakes, file.map(|file| file.display().to_string()).unwrap_or_default());
    settings.policy.local_records = local.sets;
    for view in &mut settings.views {
        let (sets, mistakes) = records_of_view(view, &file);
        view.local_records = sets;
        problems.extend(mistakes);
    }
    if problems.is_empty() { Ok(settings) } else { Err(problems) }
}

/// What a view has in place of all these.
pub(super) fn records_of_view(view: &ViewSettings, file: &str) -> (Vec<RrSet>, Vec<Problem>) {
    let mut read = LocalRecords::default();
    let problem = |what: String| Problem::at(file, &view.local_data_mark, format!("view.local-data: {what}"));
    read.read_records(view.local_data.as_deref().unwrap_or_default(), &problem);
    (read.sets, read.mistakes)
}

impl LocalRecords {
    fn read_records(&mut self, texts: &[String], told: &dyn Fn(String) -> Problem) {
        let read = self;
        for text in texts {
            let problem = |what: String| told(format!("\"{text}\": {what}"));
            match parse_records("local-data", text.as_bytes()) {
                Ok((sets, _)) => {
                    match sets.iter().find(|set| set.rtype == Rtype::DNAME || set.rtype == Rtype::NS || set.rtype == Rtype::SOA) {
                        Some(set) => read
                            .mistakes
                            .push(problem(format!("found {}, expected a record of a name; a zone needs a [[zone]]", set.rtype))),
                        None if sets.iter().all(|set| read.add(set)) => {}
                        None => read.mistakes.push(problem("found an endless record set, expected a handful of records".to_owned())),
                    }
                }
                Err(problems) => read.mistakes.extend(problems.into_iter().map(|mistake| problem(mistake.message))),
            }
        }
        let has_alias = |name: &Name| read.places.contains_key(&(name.clone(), Rtype::CNAME));
        let alias_and_other = read.sets.iter().find(|set| set.rtype != Rtype::CNAME && has_alias(&set.name)).map(|set| set.name.clone());
        if let Some(name) = alias_and_other {
            read.mistakes.push(told(format!("{name} has CNAME and other records, expected one of both (RFC 1034 3.6.2)")));
        }
    }
}

#[derive(Debug, Default)]
pub(in crate::server) struct LocalRecords {
    pub(super) sets: Vec<RrSet>,
    /// Of each name and type in `sets`.
    places: HashMap<(Name, Rtype), usize>,
    /// Each record, by the place of its set: a set may have very many.
    known: HashSet<(usize, Box<[u8]>)>,
    pub(in crate::server) mistakes: Vec<Problem>,
    /// The hosts file cannot be read.
    pub(super) unusable: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
}

impl LocalRecords {
    /// False: the set would have too many records.
    fn add(&mut self, set: &RrSet) -> bool {
        let at = self.place(&set.name, set.rtype, set.ttl);
        set.data.iter().all(|rdata| self.add_record(at, rdata))
    }

    fn add_record(&mut self, at: usize, rdata: &[u8]) -> bool {
        let data = &mut self.sets[at].data;
        let has_room = data.bytes() <= SMALL_FILE_SET_BYTES_MAX;
        if has_room && self.known.insert((at, rdata.into())) {
            data.push(rdata);
        }
        has_room
    }

    fn place(&mut self, name: &Name, rtype: Rtype, ttl: u32) -> usize {
        *self.places.entry((name.clone(), rtype)).or_insert_with(|| {
            self.sets.push(RrSet::new(name.clone(), rtype, ttl));
            self.sets.len() - 1
        })
    }

    fn read_hosts(&mut self, path: &Path) {
        let text = match read_bytes(path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(problem) => return self.unusable.push(problem),
        };
        let listed: HashSet<Name> = self.sets.iter().map(|set| set.name.clone()).collect();
        for (number, line) in text.lines().enumerate() {
            let problem =
                |what: String| Problem { line: number + 1, ..Problem::of_file(path.display().to_string(), format!("warning: {what}")) };
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let Some(first) = words.next() else { continue };
            // An address with the interface that it belongs to means something only here.
            let Ok(address) = first.split('%').next().unwrap_or(first).parse::<IpAddr>() else {
                self.warnings.push(problem(format!("found `{first}`, expected an address: the line is left out")));
                continue;
            };
            // These are the machine's own names for itself, and would mislead every client but itself.
            if address.is_loopback() || address.is_multicast() {
                continue;
            }
            let (rtype, rdata) = match address {
                IpAddr::V4(v4) => (Rtype::A, v4.octets().to_vec()),
                IpAddr::V6(v6) => (Rtype::AAAA, v6.octets().to_vec()),
            };
            for word in words {
                match Name::parse(word) {
                    Ok(name) if listed.contains(&name) => {}
                    Ok(name) => {
                        let at = self.place(&name, rtype, HOSTS_TTL_S);
                        if !self.add_record(at, &rdata) {
                            self.warnings.push(problem(format!("{name} has too many addresses: this one is left out")));
                        }
                    }
                    Err(error) => self.warnings.push(problem(format!("found `{word}`, expected a name, but {error}: it is left out"))),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::scratch::Scratch;
    use super::*;

    fn read(text: &str) -> LocalRecords {
        local_records(&Settings::from_toml(text, "cairn.toml").expect(text))
    }

    fn shown(read: &LocalRecords) -> Vec<String> {
        read.sets.iter().map(|set| format!("{} {} {} x{}", set.name, set.ttl, set.rtype, set.data.len())).collect()
    }

    #[test]
    fn records_and_hosts() {
        let scratch = Scratch::new();
        let text = "127.0.0.1 localhost\n::1 localhost\n# note\n192.0.2.1 box.lan box # two names\n192.0.2.2\tbox.lan\n2001:db8::1 box.lan\n\
            fe80::1%eth0 link\nff02::1 all\nnonsense x\n192.0.2.3 a..b ok\n192.0.2.9 nas.lan\n";
        let hosts = scratch.write("hosts", text);
        let config = format!(
            "[policy]\nhosts-file = '{}'\nlocal-data = [\"nas.lan. 60 A 192.0.2.7\", \"nas.lan 60 A 192.0.2.8\", \"www.lan CNAME nas.lan.\"]\n",
            hosts.display()
        );
        let read = read(&config);
        assert_eq!(
            shown(&read),
            [
                "nas.lan. 60 A x2",
                "www.lan. 3600 CNAME x1",
                "box.lan. 300 A x2",
                "box. 300 A x1",
                "box.lan. 300 AAAA x1",
                "link. 300 AAAA x1",
                "ok. 300 A x1"
            ]
        );
        let lines: Vec<usize> = read.warnings.iter().map(|warning| warning.line).collect();
        assert_eq!((lines, read.mistakes.len(), read.unusable.len()), (vec![9, 10], 0, 0));
    }

    #[test]
    fn a_name_has_a_bounded_number_of_addresses() {
        let scratch = Scratch::new();
        let text: String = (0..20_000u32).map(|number| format!("{} box.lan\n", std::net::Ipv4Addr::from(0x0a00_0000 + number))).collect();
        let hosts = scratch.write("hosts", &text);
        let read = read(&format!("[policy]\nhosts-file = '{}'\n", hosts.display()));
        let taken = read.sets[0].data.len();
        assert!(read.sets[0].data.bytes() <= SMALL_FILE_SET_BYTES_MAX + 6, "{taken}");
        assert_eq!((read.sets.len(), taken + read.warnings.len()), (1, 20_000));
    }

    #[test]
    fn mistakes_name_the_record() {
        for (entries, part) in [
            (
                "'nas.lan. A 192.0.2'",
                "cairn.toml:2:14: policy.local-data: \"nas.lan. A 192.0.2\": found `192.0.2`, expected an IPv4 address",
            ),
            ("'lan. SOA ns host 1 2 3 4 5'", "found SOA, expected a record of a name; a zone needs a [[zone]]"),
            ("'a.lan. A 192.0.2.1', 'a.lan. CNAME b.lan.'", "a.lan. has CNAME and other records"),
        ] {
            let read = read(&format!("[policy]\nlocal-data = [{entries}]\n"));
            let told: Vec<String> = read.mistakes.iter().map(ToString::to_string).collect();
            assert!(told.iter().any(|line| line.contains(part)), "{entries}: {told:?}");
        }
        let read = read("[policy]\nhosts-file = '/nowhere/hosts'\n");
        assert_eq!((read.unusable.len(), read.mistakes.len()), (1, 0));
    }
}
