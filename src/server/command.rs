//! The commands of a running server, and how each is answered.

use std::path::PathBuf;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::answer::Explain;
use crate::record::Name;

/// What can be asked of a running server.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Answer a query with every decision and step recorded.
    Explain(Explain),
    /// Everything in the cache, a line a record.
    Dump,
    /// Forget what is cached of a name, or of everything at and below it.
    Flush {
        name: Name,
        subtree: bool,
    },
    /// Write the cache to a file of the server's machine, in the form that `Load` takes.
    Save {
        file: PathBuf,
    },
    /// Take what was saved in a file, where nothing newer stands.
    Load {
        file: PathBuf,
    },
    Stats,
    /// Version, zones, last reload, network, cache.
    Status,
    /// Each setting as it is in force.
    Settings,
    /// Read all files again.
    Reload,
    /// What is trusted without proof.
    Trust,
    /// Do not check signatures at and below a name, for so many seconds.
    NegativeAdd {
        name: Name,
        seconds: Option<u64>,
    },
    NegativeList,
    NegativeRemove {
        name: Name,
    },
}

/// What an operator tells the control thread of a running server.
pub(super) enum Order {
    /// Whoever asked for it is told how it went.
    Reload(Option<Reply>),
    Stop,
}

/// Takes the lines of an answer. The answer is complete when this is dropped.
#[derive(Clone, Debug)]
pub struct Reply(pub(super) mpsc::Sender<Value>);

impl Reply {
    /// False when the reader has gone, or is too slow to be waited for.
    pub fn line(&self, value: Value) -> bool {
        self.0.try_send(value).is_ok()
    }

    /// Waits for a slow reader: for a thread that may block. False when the reader has gone.
    pub fn line_blocking(&self, value: Value) -> bool {
        self.0.blocking_send(value).is_ok()
    }

    /// An answer that says why there is none.
    pub fn error(&self, what: impl Into<String>) -> bool {
        self.line(json!({ "error": what.into() }))
    }
}
