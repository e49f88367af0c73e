//! What a blocked name is answered with, and which words go with it. Which names are blocked is not decided here.

mod answer;
mod count;
mod reason;

pub use answer::{Blocked, alias, blocked, of_addresses};
pub use count::BlockCounts;
pub use reason::{Listed, Reasons};

/// Lists for tests: each with its name, whether it allows, and its lines.
#[cfg(test)]
pub fn lists_of(texts: &[(&str, bool, &str)]) -> super::Lists {
    use super::{Builder, Dialect, ListId, ListReader, Lists};
    use crate::config::{ListAction, ListFormat, ListMatch};
    let none = Lists::default();
    let mut builder = Builder::new(texts.iter().map(|(name, _, _)| (*name).to_owned()).collect(), [1, 2], &none, vec![None; texts.len()]);
    while builder.next_round() {
        for (at, (_, allows, text)) in (0u8..).zip(texts) {
            let action = if *allows { ListAction::Allow } else { ListAction::Block };
            let dialect = Dialect { format: ListFormat::Auto, matching: ListMatch::Exact, action, single_labels: false, redirects: true };
            let mut reader = ListReader::new(dialect);
            text.lines().for_each(|line| reader.line(line.as_bytes(), &mut |rule| builder.add(ListId(at), &rule)));
        }
    }
    builder.finish().unwrap_or_else(|_| panic!("a few names are not too many"))
}
