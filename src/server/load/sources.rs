//! Everything that a server starts from, read and checked: settings, zones, root hints, trust anchors,
//! the certificate.
//!
//! A reload makes a new one. After a mistake in the configuration the old one stays; a mistake in a zone file affects its zone
//! only.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::authorities::read_authorities;
use super::certificate::{Certificate, certificate};
use super::configuration::{
    BrokenZone, Configuration, LoadedZone, StartOptions, ZoneFile, ZoneFiles, configuration_as_far_as_it_goes, read_bytes,
    why_not_readable, zone_files,
};
use super::keys::read_secrets;
use super::local_names::{local_records, records_of_view};
use super::root::{root_hints, trust_anchors};
use super::system_resolvers::system_resolvers;
use super::time_zone::time_zone;
use super::warnings::across_files;
use crate::authority::signing::{SignError, signed_elsewhere};
use crate::config::{Problem, RpzSettings, Settings};
use crate::env::{Clock, RealClock, TimeZone};
use crate::policy::Rules;
use crate::record::Name;
use crate::validate::Anchor;
use crate::zone::{self, Severity, Zone, load_zone};

/// Everything that was read from files.
#[derive(Debug)]
pub struct Sources {
    pub settings: Settings,
    /// `None`: built-in defaults.
    pub config_file: Option<PathBuf>,
    /// The folder that zone files were looked for in.
    pub zone_folder: Option<PathBuf>,
    /// Sorted by name, each name once.
    pub zones: Vec<LoadedZone>,
    /// Zones that should be served and cannot be read. No other server is queried for their names.
    pub broken_zones: Vec<BrokenZone>,
    /// Files that cannot be read: meant to be zone files, but of an unknown zone; or the hosts file.
    pub unusable_files: Vec<Problem>,
    /// Name servers of the root by name and address.
    pub root_hints: Vec<(Name, IpAddr)>,
    pub trust_anchors: Vec<Anchor>,
    /// For the encrypted transports; `None`: none is configured, or it cannot be read any more and the one in force stays.
    pub certificate: Option<Certificate>,
    /// Files that zones include.
    pub included: Vec<PathBuf>,
    /// Where to keep what outlives a restart; found by whoever starts a server.
    pub state_folder: Option<PathBuf>,
    /// Unusual data that is no mistake, such as a name server without an address in its own zone.
    pub warnings: Vec<Problem>,
    /// Of this machine, as far as its files say it.
    pub time_zone: Option<TimeZone>,
    /// For the person at the terminal.
    pub notes: Vec<String>,
}

impl Sources {
    /// Reads all files; the problems of all of them are reported together. A zone that cannot be read is a problem only if the
    /// options are strict.
    pub fn read(options: &StartOptions) -> Result<Sources, Vec<Problem>> {
        let (configuration, mut problems) = configuration_as_far_as_it_goes(options);
        let found = zone_files(&configuration, options);
        problems.extend(policies_without_zone(&configuration, &found));
        problems.extend(found.problems);
        let (mut zones, mut warnings, mut broken_zones) = (Vec::new(), Vec::new(), found.broken);
        let mut included = Vec::new();
        for file in found.files {
            let is_policy = configuration.settings.zones.iter().any(|zone| zone.is_policy && zone.name == file.name);
            let is_to_be_signed = configuration.settings.zones.iter().any(|zone| zone.dnssec && zone.name == file.name);
            let loaded = load(&file, &mut included).and_then(|loaded| match signed_elsewhere(&loaded.0).filter(|_| is_to_be_signed) {
                Some((owner, rtype)) => {
                    let what = SignError::HasRecord(owner, rtype).to_string();
                    Err(vec![Problem::of_file(file.path.display().to_string(), what)])
                }
                None => Ok(loaded),
            });
            match loaded {
                Ok((zone, odd)) => {
                    zones.push(LoadedZone { file, zone });
                    // Rules look odd as data of a zone.
                    warnings.extend(odd.into_iter().filter(|_| !is_policy));
                }
                Err(problems) => broken_zones.push(BrokenZone { name: file.name, path: file.path, problems }),
            }
        }
        let local = local_records(&configuration.settings);
        problems.extend(local.mistakes);
        warnings.extend(local.warnings);
        broken_zones.sort_by(|one, other| one.name.cmp(&other.name));
        let (certificate, unusable) = match certificate(&configuration.settings) {
            Ok(certificate) => (certificate, Vec::new()),
            Err(unusable) if options.has_certificate => (None, unusable),
            Err(mistakes) => {
                problems.extend(mistakes);
                (None, Vec::new())
            }
        };
        warnings.extend(certificate.as_ref().and_then(|certificate| certificate.warning(RealClock.wall())));
        let unusable_files = [found.unusable, local.unusable, unusable].concat();
        if options.strict {
            problems.extend(broken_zones.iter().flat_map(|zone| zone.problems.iter().cloned()).chain(unusable_files.iter().cloned()));
        }
        warnings.extend(across_files(&configuration, &zones, RealClock.wall()));
        let Configuration { mut settings, file: config_file } = configuration;
        settings.policy.local_records = local.sets;
        let shown_file = config_file.as_deref().map_or_else(String::new, |file| file.display().to_string());
        for view in &mut settings.views {
            let (sets, mistakes) = records_of_view(view, &shown_file);
            view.local_records = sets;
            problems.extend(mistakes);
        }
        settings.recursion.system_resolvers = system_resolvers().unwrap_or_else(|| options.resolvers_read_before.clone());
        problems.extend(read_secrets(&mut settings.keys, config_file.as_deref(), &mut warnings));
        problems.extend(read_authorities(&mut settings, config_file.as_deref()));
        let (hints, anchors) = (settings.recursion.root_hints.as_deref(), settings.recursion.trust_anchor.as_deref());
        let root_hints = named(&settings, "recursion.root-hints", hints, root_hints).map_err(|m| problems.extend(m)).unwrap_or_default();
        let trust_anchors =
            named(&settings, "recursion.trust-anchor", anchors, trust_anchors).map_err(|m| problems.extend(m)).unwrap_or_default();
        let time_zone = time_zone().or_else(|| options.time_zone_read_before.clone());
        let scheduled = settings.views.iter().find(|view| !view.schedule.is_empty()).filter(|_| time_zone.is_none());
        warnings.extend(scheduled.map(|view| {
            let what = "warning: view.schedule: the time zone of this machine is not known, so times are UTC".to_owned();
            let hint = Some("set /etc/localtime, or TZ in the environment".to_owned());
            Problem { hint, ..Problem::at(&shown_file, &view.schedule_mark, what) }
        }));
        if !problems.is_empty() {
            return Err(problems);
        }
        let notes = found.notes;
        Ok(Sources {
            settings,
            config_file,
            zone_folder: found.folder,
            zones,
            broken_zones,
            unusable_files,
            root_hints,
            trust_anchors,
            certificate,
            included,
            state_folder: None,
            warnings,
            time_zone,
            notes,
        })
    }

    /// What a reload reads: what was there this time must be there.
    pub fn read_again(&self, options: &StartOptions) -> StartOptions {
        let config = self.config_file.clone().or_else(|| options.config.clone());
        let resolvers_read_before = self.settings.recursion.system_resolvers.clone();
        let (folder_read_before, time_zone_read_before) = (self.zone_folder.clone(), self.time_zone.clone());
        StartOptions {
            config,
            folder_read_before,
            resolvers_read_before,
            time_zone_read_before,
            has_certificate: self.certificate.is_some(),
            ..options.clone()
        }
    }

    /// Records of response policy zones that are no rule. A running server tells of them when it compiles the zone.
    pub fn rule_warnings(&self) -> Vec<Problem> {
        let is_policy = |zone: &&LoadedZone| self.settings.rpz.iter().any(|rpz| rpz.zone == zone.file.name);
        let told = |zone: &LoadedZone| {
            let rules = Rules::compile(zone.zone.clone());
            let (count, examples) = (rules.skipped().count, rules.skipped().examples.join("; "));
            let what = format!("warning: {count} records are no rule of a response policy zone and are skipped: {examples}");
            (count > 0).then(|| Problem::of_file(zone.file.path.display().to_string(), what))
        };
        self.zones.iter().filter(is_policy).filter_map(told).collect()
    }

    /// The mistakes in zone files.
    pub fn zone_problems(&self) -> Vec<&Problem> {
        self.broken_zones.iter().flat_map(|zone| &zone.problems).chain(&self.unusable_files).collect()
    }
}

/// Each `[[rpz]]` without data of its own that is not a hosted zone either.
fn policies_without_zone(configuration: &Configuration, found: &ZoneFiles) -> Vec<Problem> {
    let hosted = configuration.settings.zones.iter().map(|zone| &zone.name);
    let names: Vec<&Name> =
        hosted.chain(found.files.iter().map(|file| &file.name)).chain(found.broken.iter().map(|broken| &broken.name)).collect();
    let file = configuration.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
    let without = configuration.settings.rpz.iter().filter(|rpz| !names.contains(&&rpz.zone));
    let problem = |rpz: &RpzSettings| {
        let hint = Some("write `file` or `primaries` in this [[rpz]], or a [[zone]] for the name".to_owned());
        Problem {
            hint,
            ..Problem::at(&file, &rpz.zone_mark, format!("rpz.zone: {} has no data: no zone of this name is hosted", rpz.zone))
        }
    };
    without.map(problem).collect()
}

/// Reads the file that the value of `key` names, if it names one.
fn named<T>(
    settings: &Settings,
    key: &str,
    file: Option<&Path>,
    read: fn(Option<&Path>) -> Result<T, Vec<Problem>>,
) -> Result<T, Vec<Problem>> {
    match file.and_then(why_not_readable) {
        Some((why, hint)) => Err(vec![Problem { hint, ..settings.problem_with(key, format!("{key}: {why}")) }]),
        None => read(file),
    }
}

/// Reads one zone. $INCLUDE starts at the folder of the zone's file.
fn load(file: &ZoneFile, included: &mut Vec<PathBuf>) -> Result<(Arc<Zone>, Vec<Problem>), Vec<Problem>> {
    let folder = file.path.parent().unwrap_or(Path::new("")).to_owned();
    // The zone's file by its name only: all names in problems are then relative to its folder.
    let file_name = file.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut is_first = true;
    let mut open = |name: &str| {
        if std::mem::take(&mut is_first) {
            return read_bytes(&file.path).map_err(|problem| io::Error::other(problem.what));
        }
        included.push(folder.join(name));
        read_bytes(&folder.join(name)).map_err(|problem| io::Error::other(format!("{}: {}", problem.file, problem.what)))
    };
    let told = |problems: Vec<zone::Problem>| {
        let in_folder = |problem: Problem| Problem { file: folder.join(&problem.file).display().to_string(), ..problem };
        problems.into_iter().map(Problem::from).map(in_folder).collect::<Vec<_>>()
    };
    match load_zone(&file.name, &file_name, &mut open) {
        Ok((zone, warnings)) => Ok((Arc::new(zone), told(warnings))),
        // After errors, warnings mislead: data that they miss may be on the lines that could not be read.
        Err(problems) => Err(told(problems.into_iter().filter(|problem| problem.severity == Severity::Error).collect())),
    }
}

impl From<zone::Problem> for Problem {
    fn from(problem: zone::Problem) -> Problem {
        let what = match problem.severity {
            Severity::Warning => format!("warning: {}", problem.message),
            Severity::Error => problem.message,
        };
        let (line, column) = (problem.line as usize, problem.column as usize);
        Problem { file: problem.file.to_string(), line, column, what, hint: None, excerpt: None }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::scratch::Scratch;
    use super::*;

    const ZONE: &str = "$TTL 1h\n@ SOA ns hostmaster 1 1d 2h 4w 1h\n@ NS ns\nns A 192.0.2.1\n";

    fn read(scratch: &Scratch, config: &str) -> Result<Sources, Vec<Problem>> {
        let config = Some(scratch.write("cairn.toml", config));
        Sources::read(&StartOptions { config, strict: true, ..StartOptions::default() })
    }

    /// A mistake in one zone's file costs that zone alone.
    #[test]
    fn each_zone_stands_or_falls_alone() {
        let scratch = Scratch::new();
        scratch.write("zones/good.example.zone", ZONE);
        scratch.write("zones/bad.example.zone", &format!("{ZONE}www A 192.0.2\nftp A x\n"));
        scratch.write("zones/twice.example.zone", ZONE);
        scratch.write("zones/Twice.example.zone", ZONE);
        scratch.write("zones/d..e.zone", ZONE);
        let config = Some(scratch.write("cairn.toml", "[[zone]]\nname = 'gone.example'\nfile = 'zones/none'\n"));
        let sources = Sources::read(&StartOptions { config, ..StartOptions::default() }).expect("only zones are wrong");
        let zones: Vec<String> = sources.zones.iter().map(|zone| zone.file.name.to_string()).collect();
        assert_eq!(zones, ["good.example."]);
        let broken: Vec<String> = sources.broken_zones.iter().map(|zone| format!("{} {}", zone.name, zone.why())).collect();
        let [bad, gone, twice] = &broken[..] else { panic!("{broken:?}") };
        assert!(bad.starts_with("bad.example. bad.example.zone:5:7: found") && bad.ends_with(" (and 1 more)"), "{bad}");
        assert_eq!(gone, "gone.example. cairn.toml:3:8: zone.file of gone.example.: none: there is no such file or folder");
        assert!(twice.starts_with("twice.example. twice.example.zone: the zone twice.example. has two files"), "{twice}");
        assert_eq!((sources.unusable_files.len(), sources.zone_problems().len()), (1, 5));
        assert!(broken.iter().all(|why| !why.contains(&scratch.path().display().to_string())), "{broken:?}");
    }

    #[test]
    fn everything_is_read() {
        let scratch = Scratch::new();
        scratch.write("zones/example.org.zone", &format!("{ZONE}$INCLUDE more\n"));
        scratch.write("zones/more", "www A 192.0.2.2\n");
        let sources = read(&scratch, "").expect("all is right");
        assert_eq!((sources.zones.len(), sources.zones[0].zone.record_count()), (1, 4));
        assert_eq!((sources.root_hints.len(), sources.trust_anchors.len()), (26, 2));
    }

    /// One run tells the mistakes of all files, each with its place.
    #[test]
    fn all_mistakes_of_all_files_are_told() {
        let scratch = Scratch::new();
        scratch.write("zones/a.example.zone", &format!("{ZONE}www A 192.0.2\n"));
        scratch.write("zones/b.example.zone", &format!("{ZONE}www QQ 1\n"));
        scratch.write("zones/c.example.zone", ZONE);
        scratch.write("zones/d..e.zone", ZONE);
        let entries = "[[zone]]\nname = 'f.example'\nfile = 'missing'\n[[zone]]\nname = 'g..h'\nfile = 'other'\n";
        let config = format!("[recursion]\nroot-hints = 'none'\nsha1 = 1\n{entries}");
        let problems = read(&scratch, &config).expect_err("seven mistakes");
        let shown: Vec<String> = problems.iter().map(|problem| problem.to_string()).collect();
        for part in [
            "a.example.zone:5",
            "b.example.zone:5",
            "d..e.zone: ",
            ":6:8: zone.file of f.example.: ",
            ":2:14: recursion.root-hints",
            ":3:8: ",
            ":8:8: ",
        ] {
            assert_eq!(shown.iter().filter(|line| line.contains(part)).count(), 1, "{part}: {shown:#?}");
        }
        assert_eq!(shown.len(), 7, "{shown:#?}");
    }

    /// Which of a rule and a hosted zone answers is said, wherever both could.
    #[test]
    fn rules_that_a_hosted_zone_overrides() {
        let scratch = Scratch::new();
        scratch.write("zones/example.org.zone", &format!("{ZONE}cut NS ns.cut\nns.cut A 192.0.2.9\n"));
        let rule = |kind: &str, zone: &str| format!("[[{kind}]]\nzone = '{zone}'\nto = ['192.0.2.1']\n");
        let zones = [("forward", "example.org"), ("stub", "sub.example.org"), ("forward", "x.cut.example.org"), ("stub", "org")];
        let config: String = zones.iter().map(|(kind, zone)| rule(kind, zone)).collect();
        let at = scratch.path().display().to_string();
        let told: Vec<String> =
            read(&scratch, &config).expect("all is right").warnings.iter().map(|odd| odd.to_string().replace(&at, "AT")).collect();
        assert_eq!(
            told,
            [
                "AT/cairn.toml:2:8: warning: found [[forward]] for example.org. and the zone itself (AT/zones/example.org.zone), expected one of them: the zone wins",
                "AT/cairn.toml:5:8: warning: found [[stub]] for sub.example.org., no delegation there in the zone example.org. (AT/zones/example.org.zone): the zone wins",
            ]
        );
    }

    /// An `[[rpz]]` has data of its own, or takes that of a hosted zone.
    #[test]
    fn where_a_response_policy_zone_has_its_rules_from() {
        let scratch = Scratch::new();
        scratch.write("rules", "$TTL 60\n@ SOA localhost. root 1 2 3 4 5\nbad.example CNAME .\n*.bad.example CNAME rpz-passthru.\n");
        scratch.write("zones/hosted.test.zone", ZONE);
        let own = read(&scratch, "[[rpz]]\nzone = 'own.test'\nfile = 'rules'\n[[rpz]]\nzone = 'hosted.test'\n").expect("all is right");
        let loaded: Vec<String> = own.zones.iter().map(|zone| zone.file.name.to_string()).collect();
        assert_eq!((loaded, own.warnings.len()), (vec!["hosted.test.".to_owned(), "own.test.".to_owned()], 0), "{:?}", own.warnings);
        scratch.write("odd", "$TTL 60\n@ SOA localhost. root 1 2 3 4 5\n33.1.2.0.192.rpz-ip CNAME .\nx CNAME rpz-y.\nz CNAME .\n");
        let odd = read(&scratch, "[[rpz]]\nzone = 'own.test'\nfile = 'odd'\n").expect("a rule that cannot be read costs no other");
        let told: Vec<String> = odd.rule_warnings().iter().map(|odd| odd.what.clone()).collect();
        assert_eq!(
            told,
            ["warning: 2 records are no rule of a response policy zone and are skipped: \
              x: rpz-y. is no action; 33.1.2.0.192.rpz-ip: a prefix length from 1 to 32 must come first"]
        );
        let none = read(&scratch, "[[rpz]]\nzone = 'none.test'\n").expect_err("no data");
        let at = scratch.path().display().to_string();
        assert_eq!(
            none[0].to_string().replace(&at, "AT"),
            "AT/cairn.toml:2:8: rpz.zone: none.test. has no data: no zone of this name is hosted; \
             write `file` or `primaries` in this [[rpz]], or a [[zone]] for the name"
        );
        let gone = read(&scratch, "[[rpz]]\nzone = 'own.test'\nfile = 'none'\n").expect_err("no file");
        assert!(gone[0].to_string().contains("cairn.toml:3:8: rpz.file of own.test.: "), "{}", gone[0]);
    }

    /// What is wrong with a file is told where the configuration names it; what is wrong in it, at its own lines.
    #[test]
    fn files_that_cannot_be_read() {
        let scratch = Scratch::new();
        scratch.write("zones/a.example.zone", ZONE);
        scratch.write("zones/A.example.zone", ZONE);
        scratch.write("data/example.org", ZONE);
        scratch.write("data/looped", &format!("{ZONE}$INCLUDE none\n$INCLUDE looped\n"));
        let at = scratch.path().display();
        let folder_twice = format!(
            "{at}/zones/a.example.zone: the zone a.example. has two files: {at}/zones/A.example.zone is the other; keep one of them"
        );
        for (config, expected) in [
            (
                "[[zone]]\nname = 'b.example'\nfile = 'data/exmaple.org'\n",
                &[
                    "AT/cairn.toml:3:8: zone.file of b.example.: AT/data/exmaple.org: there is no such file or folder; did you mean AT/data/example.org?",
                ][..],
            ),
            (
                "[[zone]]\nfile = 'none/x'\nname = 'b.example'\n[recursion]\n  root-hints = 'data'\n",
                &[
                    "AT/cairn.toml:2:8: zone.file of b.example.: AT/none/x: there is no folder AT/none; a relative path starts at the folder of this configuration file",
                    "AT/cairn.toml:5:16: recursion.root-hints: AT/data: this is a folder, not a file",
                ],
            ),
            (
                "[recursion]\ntrust-anchor = '/dev/null'\n",
                &["AT/cairn.toml:2:16: recursion.trust-anchor: /dev/null: this is a pipe or a device, not a file"],
            ),
            (
                "[[zone]]\nname = 'b.example'\nfile = 'data/looped'\n",
                &[
                    "AT/data/looped:5:10: found `none`, expected a file that can be included, but AT/data/none: there is no such file or folder",
                    "AT/data/looped:6:10: found `looped`, expected at most 10 files inside one another (does this one include itself?)",
                ],
            ),
        ] {
            let shown: Vec<String> = read(&scratch, config).expect_err(config).iter().map(ToString::to_string).collect();
            assert!(shown.contains(&folder_twice), "{shown:#?}");
            for line in expected {
                assert!(shown.contains(&line.replace("AT", &at.to_string())), "{line}: {shown:#?}");
            }
        }
    }
}
