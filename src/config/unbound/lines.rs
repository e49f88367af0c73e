//! The lines of unbound.conf: `keyword: value`, in clauses such as `server:` and `forward-zone:`; `#` begins a comment.

/// One `keyword: value`, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    pub file: String,
    /// From 1.
    pub line: usize,
    /// `key:` alone: a clause begins.
    pub key: String,
    /// Its words, without the quotes around them.
    pub values: Vec<String>,
}

/// The clauses of unbound.conf(5). Such a keyword may have another one behind it on its line.
const CLAUSES: &[&str] = &[
    "server",
    "remote-control",
    "stub-zone",
    "forward-zone",
    "auth-zone",
    "view",
    "rpz",
    "python",
    "dynlib",
    "dnscrypt",
    "cachedb",
    "ipset",
    "dnstap",
];

impl Statement {
    /// Begins a clause.
    pub fn is_clause(&self) -> bool {
        self.values.is_empty() && CLAUSES.contains(&self.key.as_str())
    }

    /// The first word, or nothing.
    pub fn value(&self) -> &str {
        self.values.first().map_or("", String::as_str)
    }
}

/// The statements of one file, and the numbers of the lines that are none.
pub fn statements(file: &str, text: &str) -> (Vec<Statement>, Vec<usize>) {
    let (mut found, mut strange) = (Vec::new(), Vec::new());
    for (index, line) in text.lines().enumerate() {
        let mut rest = line.trim();
        while !rest.is_empty() && !rest.starts_with('#') {
            let Some((key, behind)) = rest.split_once(':').filter(|(key, _)| is_keyword(key)) else {
                strange.push(index + 1);
                break;
            };
            let mut statement = Statement { file: file.to_owned(), line: index + 1, key: key.to_ascii_lowercase(), values: Vec::new() };
            rest = behind.trim();
            if !CLAUSES.contains(&statement.key.as_str()) {
                statement.values = words(rest);
                rest = "";
            }
            found.push(statement);
        }
    }
    (found, strange)
}

fn is_keyword(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_')
}

/// Words between spaces; what stands in quotes is one word. A comment begins with `#` at the start of a word.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '#' => break,
            '"' | '\'' => {
                let inside = &rest[1..];
                let length = inside.find(first).unwrap_or(inside.len());
                words.push(inside[..length].to_owned());
                (length + 2).min(rest.len())
            }
            _ => {
                let length = rest.find(char::is_whitespace).unwrap_or(rest.len());
                words.push(rest[..length].to_owned());
                length
            }
        };
        rest = rest[end..].trim_start();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_values_comments_and_quotes() {
        let text = "# a comment\nserver:\n  interface: ::1@5353 # here\n\tlocal-data: 'x. TXT \"a # b\"'\nserver: verbosity: 1\nPort:53\nodd line\n\
                    access-control: 10.0.0.0/8 allow\nroot-hints: \"\"\nlocal-data: \"open";
        let (found, strange) = statements("unbound.conf", text);
        let shown: Vec<String> = found.iter().map(|one| format!("{} {}={}", one.line, one.key, one.values.join("|"))).collect();
        assert_eq!(
            shown,
            [
                "2 server=",
                "3 interface=::1@5353",
                "4 local-data=x. TXT \"a # b\"",
                "5 server=",
                "5 verbosity=1",
                "6 port=53",
                "8 access-control=10.0.0.0/8|allow",
                "9 root-hints=",
                "10 local-data=open",
            ]
        );
        assert_eq!(strange, [7]);
        assert!(found[0].is_clause() && !found[1].is_clause());
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in ".{0,200}") {
            let _ = statements("f", &text);
        }
    }
}
