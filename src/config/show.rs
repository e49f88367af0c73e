//! Prints the settings: every key with its value and its origin, and the reference in the README.
//!
//! Values are written as in the file, so that a line can be copied into one.

use std::fmt;
use std::path::Path;

use super::entry_keys::{FORWARD, KEY, LIST, RPZ, STUB, VIEW, ZONE};
use super::keys::{Kind, Row, SECTIONS, expected};
use super::origin::Origin;
use super::problem::Mark;
use super::quantity::{show_duration, show_size};
use super::settings::{Settings, ZoneSettings};
use super::view_settings::SafeSearch;

/// One line of `cairn config show`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// `server`, or `zone` for an entry of a list.
    pub section: &'static str,
    /// Index of the entry, for lists.
    pub entry: Option<usize>,
    pub key: &'static str,
    pub value: String,
    pub origin: Origin,
}

/// Every setting, in the order of the reference. `file` is the configuration file, for the entries of lists.
pub fn show(settings: &Settings, file: &str) -> Vec<Shown> {
    let mut lines = Vec::new();
    for section in &SECTIONS {
        for row in section.rows {
            let origin = settings.origins.get(&format!("{}.{}", section.name, row.key)).cloned().unwrap_or_default();
            lines.push(Shown { section: section.name, entry: None, key: row.key, value: value_text(row, settings), origin });
        }
    }
    show_list("key", KEY, &settings.keys, |key| key.name_mark.line, file, &mut lines);
    let zones: Vec<ZoneSettings> = settings.zones.iter().filter(|zone| !zone.is_policy).cloned().collect();
    show_list("zone", ZONE, &zones, |zone| zone.line, file, &mut lines);
    show_list("forward", FORWARD, &settings.forwards, |route| route.line, file, &mut lines);
    show_list("stub", STUB, &settings.stubs, |route| route.line, file, &mut lines);
    show_list("rpz", RPZ, &settings.rpz, |rpz| rpz.line, file, &mut lines);
    show_list("list", LIST, &settings.lists, |list| list.line, file, &mut lines);
    show_list("view", VIEW, &settings.views, |view| view.line, file, &mut lines);
    lines
}

/// The reference of one section, for README.md and the manual page.
pub struct SectionReference {
    /// As in the file: `[server]`.
    pub header: String,
    pub keys: Vec<KeyReference>,
}

/// The reference of one key.
pub struct KeyReference {
    pub key: &'static str,
    /// As it is written in the file, or a sentence in parentheses where the default is no value.
    pub default: &'static str,
    pub doc: &'static str,
    /// Empty where there is nothing to explain.
    pub why: &'static str,
    pub expected: String,
}

/// All keys, in the order of the table.
pub fn reference() -> Vec<SectionReference> {
    let mut sections: Vec<_> = SECTIONS.iter().map(|section| section_reference(format!("[{}]", section.name), section.rows)).collect();
    sections.push(section_reference("[[key]]".to_owned(), KEY));
    sections.push(section_reference("[[zone]]".to_owned(), ZONE));
    sections.push(section_reference("[[forward]]".to_owned(), FORWARD));
    sections.push(section_reference("[[stub]]".to_owned(), STUB));
    sections.push(section_reference("[[rpz]]".to_owned(), RPZ));
    sections.push(section_reference("[[list]]".to_owned(), LIST));
    sections.push(section_reference("[[view]]".to_owned(), VIEW));
    sections
}

fn section_reference<T>(header: String, rows: &[Row<T>]) -> SectionReference {
    let key = |row: &Row<T>| {
        let Row { key, kind, default, doc, why } = row;
        KeyReference { key, default, doc, why, expected: expected(kind) }
    };
    SectionReference { header, keys: rows.iter().map(key).collect() }
}

#[cfg(any(test, feature = "internals"))]
/// All keys as Markdown tables.
pub fn reference_markdown() -> String {
    let mut text = String::new();
    for section in reference() {
        let header = section.header.replace(" and ", "` and `");
        text.push_str(&format!("\n### `{header}`\n\n| key | default | meaning | value |\n| --- | --- | --- | --- |\n"));
        for KeyReference { key, default, doc, why, expected } in section.keys {
            let default = if default.starts_with('(') { default.to_owned() } else { format!("`{default}`") };
            let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
            text.push_str(&format!("| `{key}` | {default} | {doc}{why} | {expected} |\n"));
        }
    }
    text
}

fn show_list<T: Clone>(
    section: &'static str,
    rows: &'static [Row<T>],
    all: &[T],
    line: fn(&T) -> usize,
    file: &str,
    lines: &mut Vec<Shown>,
) {
    for (entry, one) in all.iter().enumerate() {
        for row in rows {
            let origin = Origin::File { file: file.to_owned(), mark: Mark { line: line(one), ..Mark::default() } };
            lines.push(Shown { section, entry: Some(entry), key: row.key, value: value_text(row, one), origin });
        }
    }
}

/// The value as TOML; the default text of the table, in parentheses, if no value is set.
fn value_text<T: Clone>(row: &Row<T>, settings: &T) -> String {
    // The table gives mutable access, for the reader; so a copy is read here.
    let mut copy = settings.clone();
    let unset = || row.default.to_owned();
    match &row.kind {
        Kind::Switch(slot) => slot(&mut copy).to_string(),
        Kind::SwitchOrFoundOut(slot) => slot(&mut copy).map_or_else(unset, |switch| switch.to_string()),
        Kind::Count(slot, _, _) => slot(&mut copy).map_or_else(unset, |count| count.to_string()),
        Kind::Number(slot, _, _) => slot(&mut copy).to_string(),
        Kind::Seconds(slot, _, _) => show_duration(u64::from(*slot(&mut copy))),
        Kind::Bytes(slot, _, _) => show_size(*slot(&mut copy)),
        Kind::Word(words, _, get) => words.get(get(settings)).map_or_else(unset, quoted),
        Kind::OptionalSocket(slot) => slot(&mut copy).as_ref().map_or_else(unset, quoted),
        Kind::FileOrBuiltIn(slot) | Kind::FileOrOutput(slot) | Kind::FolderOrFoundOut(slot) => {
            slot(&mut copy).as_deref().map_or_else(unset, path_text)
        }
        Kind::OptionalText(slot) => slot(&mut copy).as_ref().map_or_else(unset, quoted),
        Kind::AccountOrFoundOut(slot) => slot(&mut copy).as_ref().map_or_else(unset, quoted),
        Kind::Name(slot) => quoted(slot(&mut copy)),
        Kind::OptionalName(slot) => slot(&mut copy).as_ref().map_or_else(|| "(none)".to_owned(), quoted),
        Kind::Names(slot) => list_text(slot(&mut copy)),
        Kind::NegativeAnchors(slot) => list_text(slot(&mut copy)),
        Kind::Records(slot) => list_text(slot(&mut copy)),
        Kind::Prefixes(slot) => list_text(slot(&mut copy)),
        Kind::Translation(slot) => quoted(slot(&mut copy)),
        Kind::OptionalTranslation(slot) => slot(&mut copy).as_ref().map_or_else(unset, quoted),
        Kind::Listen(slot) => slot(&mut copy).as_deref().map_or_else(unset, list_text),
        Kind::ListenOrOff(slot) => list_text(slot(&mut copy)),
        Kind::ListenAt(slot, _) => list_text(slot(&mut copy)),
        Kind::UriPath(slot) => quoted(slot(&mut copy)),
        Kind::Servers(slot) | Kind::Forwarders(slot) => list_text(slot(&mut copy)),
        Kind::Pins(slot) => list_text(slot(&mut copy)),
        Kind::Peers(slot) | Kind::Clients(slot) => list_text(slot(&mut copy)),
        Kind::PeersOrDerived(slot) => slot(&mut copy).as_deref().map_or_else(unset, list_text),
        Kind::Source(slot) => slot(&mut copy).as_ref().map_or_else(unset, quoted),
        Kind::BlockAnswer(slot) => slot(&mut copy).as_ref().map_or_else(unset, ToString::to_string),
        Kind::Uris(slot) => list_text(slot(&mut copy)),
        Kind::TextsOrAll(slot) | Kind::RecordsInstead(slot) => slot(&mut copy).as_deref().map_or_else(unset, list_text),
        Kind::NamesOrAll(slot) => slot(&mut copy).as_deref().map_or_else(unset, list_text),
        Kind::ListenPlaces(slot) => list_text(slot(&mut copy)),
        Kind::Forwards(slot) => list_text(slot(&mut copy)),
        Kind::Schedule(slot) => list_text(slot(&mut copy)),
        Kind::SafeSearch(slot) => match slot(&mut copy) {
            SafeSearch::Off => "false".to_owned(),
            SafeSearch::Strict => "true".to_owned(),
            SafeSearch::Moderate => quoted("moderate"),
        },
        Kind::Secret(slot) => slot(&mut copy).as_ref().map_or_else(unset, |_| "(set, and not shown)".to_owned()),
    }
}

fn quoted(value: impl fmt::Display) -> String {
    toml::Value::String(value.to_string()).to_string()
}

fn path_text(path: &Path) -> String {
    quoted(path.display())
}

fn list_text<T: fmt::Display>(all: &[T]) -> String {
    let quoted: Vec<String> = all.iter().map(quoted).collect();
    format!("[{}]", quoted.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_value_and_origin() {
        let text = "[cache]\n\nmax-ttl = 90\n[recursion]\nsha1 = 'validate'\n[[stub]]\nzone='a'\nto=['::1']";
        let mut settings = Settings::from_toml(text, "c.toml").expect("valid");
        settings.listen_from_command_line(vec!["127.0.0.1:5301".parse().expect("an address")]);
        let lines = show(&settings, "c.toml");
        let shown = |section: &str, key: &str| {
            let line = lines.iter().find(|line| line.section == section && line.key == key).expect("every key is shown");
            format!("{} <- {}", line.value, line.origin)
        };
        assert_eq!(shown("cache", "max-ttl"), "90 <- c.toml:3");
        assert_eq!(shown("cache", "size"), "\"256MiB\" <- default");
        assert_eq!(shown("recursion", "sha1"), "\"validate\" <- c.toml:5");
        assert_eq!(shown("recursion", "ipv6"), "(auto-detected) <- default");
        assert_eq!(shown("server", "listen"), "[\"127.0.0.1:5301\"] <- command line");
        assert_eq!(shown("server", "workers"), "(one per core) <- default");
        assert_eq!(shown("stub", "to"), "[\"[::1]:53\"] <- c.toml:6");
    }

    /// What is shown can be put in a file and means the same.
    #[test]
    fn what_is_shown_is_read_back() {
        let text = "[server]\nlisten=['::1']\n[log]\nformat='json'\n[policy]\nrebinding-allow=['a\\\\.b.example']\n[cache]\nsize=1048577";
        let settings = Settings::from_toml(text, "c.toml").expect("valid");
        let mut again = String::new();
        for section in &SECTIONS {
            again.push_str(&format!("[{}]\n", section.name));
            for line in show(&settings, "c.toml").iter().filter(|line| line.section == section.name && !line.value.starts_with('(')) {
                again.push_str(&format!("{} = {}\n", line.key, line.value));
            }
        }
        let mut read = Settings::from_toml(&again, "c.toml").expect("what is shown is valid");
        read.origins.clone_from(&settings.origins);
        assert_eq!(read, settings);
    }

    #[test]
    fn the_reference_has_every_key_once() {
        let text = reference_markdown();
        for section in &SECTIONS {
            for row in section.rows {
                assert!(text.contains(&format!("| `{}` | ", row.key)), "{}", row.key);
            }
        }
        assert!(text.contains("| `to` | (needed) |"));
    }
}
