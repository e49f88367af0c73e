//! The commands of a running server, and how each is answered.

use std::fmt;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

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
    /// Write the cache to a file, in the form that `Load` takes. The server opens it where nobody has.
    Save {
        file: PathBuf,
        opened: Option<Opened>,
    },
    /// Take what was saved in a file, where nothing newer stands.
    Load {
        file: PathBuf,
        opened: Option<Opened>,
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

/// A file that whoever asks has opened.
#[derive(Clone)]
pub struct Opened(pub(super) Arc<File>);

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opened")
    }
}

impl PartialEq for Opened {
    fn eq(&self, other: &Opened) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
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
