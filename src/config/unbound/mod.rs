//! unbound.conf as a cairn.toml, for `cairn import`: what has a counterpart is translated, all else is named with its line.
//!
//! Knows nothing of: files, which it is given the text of.

mod lines;
mod toml_text;
mod translate;

pub use lines::{Statement, statements};
pub use translate::{Translation, translate};
