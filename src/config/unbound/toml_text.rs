//! Writes a cairn.toml: sections in the order of the reference, each key once.

use std::fmt::Write;

/// The sections of a cairn.toml that is being made.
#[derive(Debug, Default)]
pub(super) struct TomlText {
    sections: Vec<(String, Vec<String>)>,
}

impl TomlText {
    /// A line of the section with this header, such as `[server]`.
    pub(super) fn line(&mut self, header: &str, line: impl Into<String>) {
        let place = self.sections.iter().position(|(have, _)| have == header).unwrap_or_else(|| {
            self.sections.push((header.to_owned(), Vec::new()));
            self.sections.len() - 1
        });
        self.sections[place].1.push(line.into());
    }

    /// Another element of an array of tables: a section of its own, whatever is there already.
    pub(super) fn element(&mut self, header: &str, lines: Vec<String>) {
        self.sections.push((header.to_owned(), lines));
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for (index, (header, lines)) in self.sections.iter().enumerate() {
            // Writing to a string never fails.
            let _ = writeln!(text, "{}{header}", if index == 0 { "" } else { "\n" });
            lines.iter().for_each(|line| text.extend([line.as_str(), "\n"]));
        }
        text
    }
}

pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// `key = ["a", "b"]`; a long list has a line for each.
pub(super) fn list(key: &str, items: &[String]) -> String {
    let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
    let one_line = format!("{key} = [{}]", items.join(", "));
    if one_line.len() <= 100 {
        one_line
    } else {
        format!("{key} = [\n{}]", items.iter().map(|item| format!("    {item},\n")).collect::<String>())
    }
}
