//! What an install or an uninstall did or would do, for people and for programs.

use serde_json::{Value, json};

use super::manifest::Manifest;
use super::plan::{Plan, Tool};
use super::view::Node;

/// One run of a command.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// In one word, for programs.
    pub result: &'static str,
    pub good: bool,
    /// Why it went as it did, for people: the last line.
    pub summary: String,
    /// Who writes /etc/resolv.conf, and where Cairn answers; not known where it ended before.
    pub owner: Option<(&'static str, String)>,
    pub address: Option<std::net::SocketAddr>,
    pub changes: Vec<ChangeLine>,
    pub tools: Vec<String>,
    pub notes: Vec<String>,
}

/// One path, what happens to it, and its new text.
#[derive(Clone, Debug)]
pub struct ChangeLine {
    pub path: String,
    pub what: &'static str,
    pub text: Option<String>,
}

impl Report {
    pub fn of_plan(plan: &Plan) -> Report {
        let change = |change: &super::plan::Change| ChangeLine {
            path: change.path.display().to_string(),
            what: what(&change.before, &change.after),
            text: match &change.after {
                Node::Link { target } => Some(format!("-> {}", target.display())),
                node => node.text().map(str::to_owned),
            },
        };
        Report {
            owner: Some((plan.owner.key(), plan.owner.to_string())),
            address: Some(plan.address),
            changes: plan.changes.iter().map(change).collect(),
            tools: plan.tools.iter().map(line).collect(),
            notes: plan.notes.clone(),
            ..Report::default()
        }
    }

    pub fn of_manifest(manifest: &Manifest) -> Report {
        Report { address: Some(manifest.address), tools: manifest.tools.iter().map(line).collect(), ..Report::default() }
    }

    pub fn ended(self, result: &'static str, good: bool, summary: impl Into<String>) -> Report {
        Report { result, good, summary: summary.into(), ..self }
    }

    /// Nothing was changed.
    pub fn refused(self, why: impl Into<String>) -> Report {
        self.ended("refused", false, why)
    }

    pub fn json(&self) -> Value {
        let change = |line: &ChangeLine| json!({ "path": line.path, "change": line.what, "text": line.text });
        json!({
            "result": self.result,
            "good": self.good,
            "summary": self.summary,
            "owner": self.owner.as_ref().map(|(key, _)| *key),
            "address": self.address,
            "changes": self.changes.iter().map(change).collect::<Vec<_>>(),
            "tools": self.tools,
            "notes": self.notes,
        })
    }

    /// For people, without the summary.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some((_, owner)) = &self.owner {
            lines.push(format!("/etc/resolv.conf is {owner}"));
        }
        for change in &self.changes {
            lines.push(format!("  {} {}", change.what, change.path));
            lines.extend(change.text.iter().flat_map(|text| text.lines()).map(|line| format!("    | {line}")));
        }
        lines.extend(self.tools.iter().map(|tool| format!("  run {tool}")));
        lines.extend(self.notes.iter().map(|note| format!("note: {note}")));
        lines
    }
}

fn line(tool: &Tool) -> String {
    tool.words.join(" ")
}

fn what(before: &Node, after: &Node) -> &'static str {
    match (before, after) {
        (_, Node::Absent | Node::Other) => "remove",
        (Node::Absent | Node::Other, _) => "create",
        (Node::File { .. }, Node::File { .. }) => "change",
        (Node::Link { .. }, Node::File { .. }) => "replace the link",
        (_, Node::Link { .. }) => "link",
    }
}
