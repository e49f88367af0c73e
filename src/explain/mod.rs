//! The explanation of one query: what `answer` decided and what the walk did, as typed events; the events as lines of text
//! for people, as JSON for programs (`docs/explain.md` has the schema), and the chain of trust as a picture.
//!
//! Everything here is made from one `Explained`. Nothing is decided or looked up.
//!
//! Knows nothing of: sockets, files, how an answer is found.

mod advice;
mod chain;
mod conclusion;
mod event;
mod line;
mod picture;
mod rdata;
mod text;
mod walk;

#[cfg(test)]
pub use event::OnList;
pub use event::{Chain, Event, Mark, NoServer, OwnProcess, Server};
pub use line::{Line, Shown, ShownStep};
pub use picture::chain_picture;

use crate::answer::Explained;

/// All lines of an explanation, in order: decisions before the walk, the walk as a tree, decisions after it, the reply,
/// and the chain of trust of each name that was to be validated.
pub fn lines(explained: &Explained) -> Vec<Line> {
    let mut lines = conclusion::before(explained);
    lines.extend(walk::lines(&explained.events));
    lines.extend(conclusion::after(explained));
    lines.extend(chain::chains(&explained.events).into_iter().map(|chain| Line::new(Event::Chain(chain))));
    lines
}
