//! One line of an explanation: an event with its place in the run, and the same as text for people; and what a client reads
//! of a line.

use serde::{Deserialize, Serialize};

use super::event::{Chain, Event, Mark};
use super::text;

const VERSION: u32 = 1;

/// One line of an explanation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    pub version: u32,
    #[serde(flatten)]
    pub event: Event,
    /// Time since the query came, for steps of the walk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_ms: Option<f64>,
    /// Depth of the step in the tree of sub-queries; the query itself has 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depth: Option<u8>,
    pub mark: Mark,
    /// The event as text for people. Left out if another line covers this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<String>,
}

impl Line {
    /// A line that is no step of the walk.
    pub fn new(event: Event) -> Line {
        let line = Some(text::of(&event));
        Line { version: VERSION, mark: text::mark(&event), event, at_ms: None, depth: None, line }
    }

    /// A step of the walk.
    pub fn step(event: Event, at_ms: f64, depth: u8) -> Line {
        let mark = text::mark(&event);
        let line = Some(text::step(&event, at_ms, depth));
        Line { version: VERSION, mark, event, at_ms: Some(at_ms), depth: Some(depth), line }
    }
}

/// What a client that shows an explanation reads of a line; the rest passes through as it is, so that a server of another
/// version can be read too.
#[derive(Debug, PartialEq, Deserialize)]
pub struct Shown {
    pub mark: Mark,
    #[serde(default)]
    pub line: Option<String>,
    #[serde(flatten)]
    pub step: ShownStep,
}

/// The steps that decide the exit code or the picture.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum ShownStep {
    /// The reply is an error.
    Failed,
    /// The reply is REFUSED.
    Refused,
    Chain(Chain),
    #[serde(other)]
    Other,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::event::{Alias, ChainLink, NoServer, Security};
    use super::*;

    fn shown(line: &Line) -> Shown {
        serde_json::from_value(json!(line)).expect("a line can be read back")
    }

    #[test]
    fn a_chain_is_read_back_whole() {
        let link = ChainLink {
            name: "example.".to_owned(),
            rtype: None,
            security: Security::Secure,
            anchored: true,
            keys: Vec::new(),
            signed: None,
            broken: false,
            detail: String::new(),
        };
        let chain = Chain { question: "example. A".to_owned(), links: vec![link] };
        assert_eq!(shown(&Line::new(Event::Chain(chain.clone()))).step, ShownStep::Chain(chain));
    }

    #[test]
    fn other_steps_are_read_by_their_text_alone() {
        let reason = "--fresh was given".to_owned();
        for (event, at_ms) in [
            (Event::NoServer(NoServer { reason }), None),
            (Event::Alias(Alias { from: "a.".to_owned(), to: "b.".to_owned(), rtype: "CNAME".to_owned() }), Some(1.5)),
        ] {
            let line = at_ms.map_or_else(|| Line::new(event.clone()), |at_ms| Line::step(event.clone(), at_ms, 1));
            assert_eq!(shown(&line), Shown { mark: line.mark, line: line.line, step: ShownStep::Other });
        }
        let unknown = json!({ "version": 9, "step": "not-yet-known", "mark": "good", "line": "text", "more": [1] });
        let read: Shown = serde_json::from_value(unknown).expect("a step of a later version");
        assert_eq!(read, Shown { mark: Mark::Good, line: Some("text".to_owned()), step: ShownStep::Other });
        for step in ["failed", "refused"] {
            let read: Shown = serde_json::from_value(json!({ "step": step, "mark": "bad", "cause": "bogus" })).expect(step);
            assert_ne!(read.step, ShownStep::Other, "{step}");
        }
    }
}
