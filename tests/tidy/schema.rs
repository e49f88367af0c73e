//! The schema of `cairn explain --json` is written twice: as types, and in `docs/explain.md` for its readers. Both say the same.

use std::collections::BTreeSet;

use super::Source;

const CODE: &str = "src/explain/event.rs";
const PAGE: &str = "docs/explain.md";

/// Each event has a row with all its members, each row has its event; each word that a member can have is named.
pub fn the_schema_is_described(sources: &[Source]) -> Vec<String> {
    let text_of = |path: &str| sources.iter().find(|source| source.path == path).map_or("", |source| &source.text);
    let (code, page) = (text_of(CODE), text_of(PAGE));
    let section = page.split_once("| `step` | further members |").map_or("", |(_, rest)| rest);
    let mut complaints = Vec::new();
    let events = variants(code, "enum Event {");
    let rows: Vec<(Vec<&str>, &str)> = section.lines().filter_map(row).collect();
    for event in &events {
        let step = kebab(event);
        let Some((_, members)) = rows.iter().find(|(steps, _)| steps.contains(&step.as_str())) else {
            complaints.push(format!("{PAGE}: no row for the step `{step}`"));
            continue;
        };
        let undescribed = fields(code, event).into_iter().filter(|field| !quoted(members).contains(field.as_str()));
        complaints.extend(undescribed.map(|field| format!("{PAGE}: the row of `{step}` lacks the member `{field}`")));
    }
    let steps: BTreeSet<String> = events.iter().map(|event| kebab(event)).collect();
    let gone = rows.iter().flat_map(|(steps, _)| steps).filter(|step| !steps.contains(**step));
    complaints.extend(gone.map(|step| format!("{PAGE}: a row for the step `{step}`, which {CODE} does not have")));

    let named = quoted(section);
    for name in ["Purpose", "CacheHitKind", "LocalSource", "AliasTailReason", "ReplyKind", "Choice", "Rank", "Security"] {
        let words = variants(code, &format!("enum {name} {{")).into_iter().chain(words(code, name)).map(|word| kebab(&word));
        complaints
            .extend(words.filter(|word| !named.contains(word.as_str())).map(|word| format!("{PAGE}: `{word}` of {name} is not named")));
    }
    let causes: BTreeSet<String> = variants(code, "enum Cause {").iter().map(|cause| kebab(cause)).collect();
    let list = section.split_once("`cause` is one of").and_then(|(_, rest)| rest.split_once('.')).map_or("", |(list, _)| list);
    let listed: BTreeSet<String> = quoted(list).into_iter().map(str::to_owned).collect();
    complaints.extend(causes.symmetric_difference(&listed).map(|cause| format!("{PAGE} and {CODE} do not agree on the cause `{cause}`")));
    complaints
}

/// The steps of a table row, and the cell of their members.
fn row(line: &str) -> Option<(Vec<&str>, &str)> {
    let (steps, members) = line.strip_prefix("| `")?.split_once('|')?;
    Some((steps.split('`').step_by(2).collect(), members))
}

fn quoted(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The lines of the item that begins so.
fn body<'a>(code: &'a str, head: &str) -> impl Iterator<Item = &'a str> {
    let body = code.split_once(&format!("pub {head}")).and_then(|(_, rest)| rest.split_once("\n}"));
    body.map_or("", |(body, _)| body).lines().map(str::trim)
}

fn variants(code: &str, head: &str) -> Vec<String> {
    let names = body(code, head).filter(|line| line.starts_with(|first: char| first.is_ascii_uppercase()));
    names.map(|line| line.chars().take_while(char::is_ascii_alphanumeric).collect()).collect()
}

/// The variants of a type that `words!` makes.
fn words(code: &str, name: &str) -> Vec<String> {
    let found = code.split(&format!("{name} of ")).nth(1).and_then(|rest| rest.split_once('{')?.1.split_once('}'));
    let list = found.map_or("", |(list, _)| list);
    list.split(',').filter_map(|word| word.split_whitespace().next()).map(str::to_owned).collect()
}

fn fields(code: &str, name: &str) -> Vec<String> {
    let (mut fields, mut renamed) = (Vec::new(), None);
    for line in body(code, &format!("struct {name} {{")) {
        if let Some(other) = line.strip_prefix("#[serde(rename = \"").and_then(|rest| rest.split_once('"')) {
            renamed = Some(other.0.to_owned());
        }
        if let Some((field, _)) = line.strip_prefix("pub ").and_then(|rest| rest.split_once(':')) {
            fields.push(renamed.take().unwrap_or_else(|| field.to_owned()));
        }
    }
    fields
}

/// As serde writes it.
fn kebab(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('-');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPES: &str = "pub enum Event {\n    // The walk.\n    Begin(Begin),\n    NoReply(NoReply),\n}\n\
        pub struct Begin {\n    pub question: String,\n    #[serde(rename = \"type\")]\n    pub rtype: String,\n}\n\
        pub struct NoReply {\n    pub took_ms: f64,\n}\npub enum Cause {\n    TimedOut,\n}\nwords!(Rank of record::Rank { Glue, AuthAnswer = A });\n";

    #[test]
    fn a_schema_that_is_not_described_is_seen() {
        let good = "| `step` | further members |\n| --- | --- |\n| `begin` | `question`, `type` |\n| `no-reply` | `took_ms`: `glue`, `auth-answer` |\n\n\
            `cause` is one of `timed-out`.";
        let check = |page: &str| the_schema_is_described(&[Source::new(CODE, TYPES), Source::new(PAGE, page)]);
        assert_eq!(check(good), Vec::<String>::new());
        for (what, from, to) in [
            ("an event without a row", "| `no-reply` | `took_ms`: `glue`, `auth-answer` |", "`glue`, `auth-answer`"),
            ("a row without an event", "\n\n`cause`", "\n| `gone` | |\n\n`cause`"),
            ("a member that is not named", "`question`, `type`", "`question`"),
            ("a word that is not named", "`auth-answer`", ""),
            ("a cause that is not listed", "`timed-out`", ""),
            ("a cause that does not exist", "`timed-out`", "`timed-out`, `forbidden`"),
        ] {
            assert_eq!(check(&good.replace(from, to)).len(), 1, "{what}");
        }
    }
}
