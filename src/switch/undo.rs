//! What is taken back of one change: decided from what was there before, what we made of it, and what is there now.
//!
//! Only what is still ours is touched. A file that others have edited since loses our lines and keeps theirs.

use super::lines::{is_ours, without};
use super::manifest::Made;
use super::view::Node;

/// What happens to one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undo {
    /// It is as it was.
    Nothing,
    /// As it was before, to the octet.
    Restore(Node),
    /// Edited since: without our lines.
    Edit(Node),
    /// A link comes back; the edited file that took its place is kept under another name.
    RestoreAndKeep { restore: Node, edited: Node },
    /// Nothing of ours is left in it.
    Leave,
}

pub fn undo(made: &Made, now: &Node) -> Undo {
    if now.is_same(&made.before) {
        return Undo::Nothing;
    }
    if made.after.is(now) {
        return Undo::Restore(made.before.clone());
    }
    let Some(text) = now.text().filter(|text| text.lines().any(|line| is_ours(line, &made.ours))) else {
        return Undo::Leave;
    };
    match &made.before {
        Node::Link { .. } => Undo::RestoreAndKeep { restore: made.before.clone(), edited: now.clone() },
        Node::Absent | Node::File { .. } | Node::Other => {
            let rest = without(text, &made.ours, &made.replaced);
            let is_empty = rest.lines().all(|line| line.trim().is_empty() || line.starts_with('['));
            match (&made.before, is_empty) {
                (Node::Absent, true) => Undo::Restore(Node::Absent),
                (before, _) if before.text() == Some(&rest) => Undo::Restore(before.clone()),
                _ => Undo::Edit(now.with_text(rest)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::switch::manifest::Digest;

    fn lines(text: &[&str]) -> Vec<String> {
        text.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn what_is_not_ours_any_more_stays() {
        let (file, link) = (Node::new_file, |target: &str| Node::Link { target: target.into() });
        let drop_in = "[Resolve]\nDNS=127.0.0.1\n";
        let cases = [
            (Node::Absent, drop_in, file(drop_in), Undo::Restore(Node::Absent)),
            (Node::Absent, drop_in, Node::Absent, Undo::Nothing),
            (Node::Absent, drop_in, file("[Resolve]\n\nDNS=127.0.0.1\n"), Undo::Restore(Node::Absent)),
            (Node::Absent, drop_in, file("[Resolve]\nDNS=127.0.0.1\nLLMNR=no\n"), Undo::Edit(file("[Resolve]\nLLMNR=no\n"))),
            (Node::Absent, drop_in, file("[Resolve]\nDNS=192.0.2.1\n"), Undo::Leave),
            (file("old"), "DNS=127.0.0.1", file("DNS=127.0.0.1"), Undo::Restore(file("old"))),
            (file("old"), "DNS=127.0.0.1", Node::Absent, Undo::Leave),
            (file("old"), "DNS=127.0.0.1", Node::Other, Undo::Leave),
            (link("a"), "DNS=127.0.0.1", link("a"), Undo::Nothing),
            (link("a"), "DNS=127.0.0.1", link("b"), Undo::Leave),
            (link("a"), "DNS=127.0.0.1", file("DNS=127.0.0.1"), Undo::Restore(link("a"))),
            (
                link("a"),
                "DNS=127.0.0.1",
                file("DNS=127.0.0.1\nmine"),
                Undo::RestoreAndKeep { restore: link("a"), edited: file("DNS=127.0.0.1\nmine") },
            ),
        ];
        for (before, after, now, expected) in cases {
            let made = Made {
                path: "/x".into(),
                before: before.clone(),
                after: Digest::of(&file(after)),
                ours: lines(&["DNS=127.0.0.1"]),
                replaced: Vec::new(),
                in_place: false,
            };
            assert_eq!(undo(&made, &now), expected, "{before:?}, {after:?}, {now:?}");
        }
    }
}
