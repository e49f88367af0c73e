//! Where the value of a setting came from.

use std::fmt;

use super::problem::Mark;

/// Where the value of a setting came from, for `cairn config show`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    #[default]
    Default,
    File {
        file: String,
        /// The place of the value in the file; for an entry of a list, the place of the entry.
        mark: Mark,
    },
    CommandLine,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { file, mark } => write!(f, "{file}:{}", mark.line),
            Origin::CommandLine => f.write_str("command line"),
        }
    }
}
