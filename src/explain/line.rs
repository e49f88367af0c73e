//! One line of an explanation: an event with its place in the run, and the same as text for people.

use serde::{Deserialize, Serialize};

use super::event::{Event, Mark};
use super::text;

const VERSION: u32 = 1;

/// One line of an explanation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    pub version: u32,
    #[serde(flatten)]
    pub event: Event,
    /// Time since the query came, for steps of the walk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_ms: Option<f64>,
    /// Depth of the step in the tree of sub-queries; the query itself has 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depth: Option<u8>,
    pub mark: Mark,
    /// The event as text for people. Left out if another line covers this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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

    /// Whether the client gets an error.
    pub fn is_failure(&self) -> bool {
        matches!(self.event, Event::Failed(_) | Event::Refused(_))
    }
}
