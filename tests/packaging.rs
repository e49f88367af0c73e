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
    let found_out = ["workers", "state-dir", "root-hints", "trust-anchor", "ipv4", "ipv6"];
    for line in show(&settings, "cairn.toml") {
        let Some(default) = defaults.iter().find(|other| (other.section, other.key) == (line.section, line.key)) else {
            continue;
        };
        assert!(line.origin.to_string().starts_with("cairn.toml"), "{}.{} is not in the example", line.section, line.key);
        assert!(line.value == default.value || found_out.contains(&line.key), "{}.{}: {}", line.section, line.key, line.value);
    }
    assert_eq!((settings.zones.len(), settings.forwards.len(), settings.stubs.len()), (1, 1, 1));
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
