//! The example configuration that is shipped must be true: every key is in it, with the default that holds.

use cairn::config::{Settings, reference_markdown, show};

const EXAMPLE: &str = include_str!("../packaging/cairn.toml");

/// The example with its keys in force; sentences stay comments.
fn in_force(text: &str) -> String {
    let is_key = |rest: &str| rest.starts_with("[[") || (!rest.starts_with(' ') && rest.contains(" = "));
    let lines = text.lines().map(|line| line.strip_prefix('#').filter(|rest| is_key(rest)).unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn as_shipped_it_changes_nothing() {
    let settings = Settings::from_toml(EXAMPLE, "cairn.toml").expect("the example is valid");
    assert_eq!(settings, Settings::default());
}

#[test]
fn each_key_stands_with_its_default() {
    let settings = Settings::from_toml(&in_force(EXAMPLE), "cairn.toml").expect("the example is valid with every key in force");
    let defaults = show(&Settings::default(), "cairn.toml");
    let found_out = [
        "workers",
        "state-dir",
        "control-socket",
        "user",
        "root-hints",
        "trust-anchor",
        "ipv4",
        "ipv6",
        "hosts-file",
        "password-file",
        "nat64-prefix",
        "identity",
        "version",
        "waiting-questions-per-client",
        "connections-per-client",
        "tls-connections-per-client",
        "certificate",
        "key",
        "file",
        "socket",
        "tcp",
    ];
    for line in show(&settings, "cairn.toml") {
        let Some(default) = defaults.iter().find(|other| (other.section, other.key) == (line.section, line.key)) else {
            continue;
        };
        assert!(line.origin.to_string().starts_with("cairn.toml"), "{}.{} is not in the example", line.section, line.key);
        assert!(line.value == default.value || found_out.contains(&line.key), "{}.{}: {}", line.section, line.key, line.value);
    }
    let zones = settings.zones.iter().filter(|zone| !zone.is_policy).count();
    assert_eq!((zones, settings.forwards.len(), settings.stubs.len(), settings.rpz.len()), (2, 1, 1, 1));
}

#[test]
fn no_key_is_missing() {
    let keys = reference_markdown();
    let keys: Vec<&str> = keys.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(key, _)| key)).collect();
    assert!(keys.len() > 25, "the reference was not understood");
    let text = in_force(EXAMPLE);
    for key in keys {
        assert!(text.lines().any(|line| line.starts_with(&format!("{key} = "))), "{key} is not in the example");
    }
}

#[test]
fn the_readme_has_the_reference_of_all_keys() {
    let readme = std::fs::read_to_string("README.md").expect("README.md");
    let (_, rest) = readme.split_once("<!-- configuration reference: begin -->\n").expect("the mark before the reference");
    let (table, _) = rest.split_once("\n<!-- configuration reference: end -->").expect("the mark after it");
    assert_eq!(table.trim(), cairn::config::reference_markdown().trim(), "README.md's table is made by config::reference_markdown");
}

/// README's way to install by hand puts the program where the unit looks for it.
#[test]
fn the_readme_and_the_unit_agree_on_the_path() {
    let unit = std::fs::read_to_string("packaging/cairn.service").expect("the unit");
    let started = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).expect("it starts something");
    assert_eq!(started, "/usr/bin/cairn run", "without a file named, none is needed");
    let readme = std::fs::read_to_string("README.md").expect("README.md");
    let installs: Vec<&str> =
        readme.lines().filter(|line| line.trim_start().starts_with("sudo install ") && line.contains("release/cairn")).collect();
    assert!(!installs.is_empty() && installs.iter().all(|line| line.contains(" /usr/bin/")), "{installs:?}");
}

/// Each file that a package takes from the tree is there; what is made while packaging is made below target/.
#[test]
fn packages_take_files_that_are_there() {
    let manifest: toml::Table = std::fs::read_to_string("Cargo.toml").expect("Cargo.toml").parse().expect("TOML");
    let metadata = &manifest["package"]["metadata"];
    let deb = metadata["deb"]["assets"].as_array().expect("a list").iter().map(|row| row[0].as_str());
    let rpm = metadata["generate-rpm"]["assets"].as_array().expect("a list").iter().map(|row| row["source"].as_str());
    for source in deb.chain(rpm).map(|source| source.expect("a path")).filter(|source| !source.starts_with("target/")) {
        let there = source.strip_suffix("*.md").unwrap_or(source);
        assert!(std::path::Path::new(there).exists(), "{source}");
    }
}

/// `packaging/build` sees that the program needs no newer libc than the Debian package says; the other package says the same.
#[test]
fn both_packages_need_the_same_libc() {
    let manifest: toml::Table = std::fs::read_to_string("Cargo.toml").expect("Cargo.toml").parse().expect("TOML");
    let metadata = &manifest["package"]["metadata"];
    let (deb, rpm) = (metadata["deb"]["depends"].as_str(), metadata["generate-rpm"]["requires"]["glibc"].as_str());
    assert_eq!(deb.map(str::to_owned), rpm.map(|version| format!("libc6 ({version})")));
}

/// Each setting that the tables of docs/migrating.md give is one that Cairn takes.
#[test]
fn rows_of_the_migration_tables_are_understood() {
    let text = std::fs::read_to_string("docs/migrating.md").expect("docs/migrating.md");
    let mut count = 0;
    for line in text.lines().filter(|line| line.starts_with("| ")) {
        let here = line.trim_end_matches(" |").rsplit(" | ").next().expect("a column");
        let spans = here.split('`').skip(1).step_by(2).filter(|span| span.starts_with('[') || span.contains(" = "));
        let mut settings: Vec<&str> = spans.collect();
        // "… in that `[[forward]]`" only names the table.
        if settings.len() > 1 && settings.last().is_some_and(|last| last.starts_with('[')) {
            settings.pop();
        }
        match settings.first() {
            None => continue,
            Some(&"fallback = true") => settings.insert(0, "[[forward]]\nzone = 'a'\nto = ['192.0.2.1']"),
            Some(first) if first.starts_with("allow = ") => settings.insert(0, "[[zone]]\nname = 'a'\nfile = 'a'"),
            Some(_) => {}
        }
        let read = Settings::from_toml(&settings.join("\n"), "row");
        assert!(read.is_ok(), "{line}\n{settings:?}: {read:?}");
        count += 1;
    }
    assert!(count > 50, "{count} rows");
}

/// Each configuration in the documents is one that Cairn takes.
#[test]
fn configurations_in_documents_are_understood() {
    for file in ["README.md", "docs/operations.md", "docs/rpz.md"] {
        let text = std::fs::read_to_string(file).expect(file);
        for block in text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            let read = Settings::from_toml(block, file);
            assert!(read.is_ok(), "{file}: {block}\n{read:?}");
        }
    }
    let container = include_str!("../packaging/container/cairn.toml");
    assert!(Settings::from_toml(container, "cairn.toml").is_ok());
}
