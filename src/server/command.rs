//! The commands that a running server accepts, and how each is answered.

use std::fmt;
use std::fs::File;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::answer::Explain;
use crate::record::{Name, Rtype};

/// A command for a running server.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Answer a query with every decision and step recorded.
    Explain(Explain),
    /// Shows everything in the cache, one line for each record.
    Dump,
    /// Forgets a name, or everything at and below it.
    Flush {
        name: Name,
        subtree: bool,
    },
    /// Write the cache to a file, in the form that `Load` takes. The server opens it where nobody has.
    Save {
        file: PathBuf,
        opened: Option<Opened>,
    },
    /// Loads a saved file, except where the cache has newer data.
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
    /// Shows the trust anchors.
    Trust,
    /// Disables signature checks at and below a name, for this many seconds.
    NegativeAdd {
        name: Name,
        seconds: Option<u64>,
    },
    NegativeList,
    NegativeRemove {
        name: Name,
    },
    /// Transfers a secondary zone again, whole.
    ZoneRetransfer {
        name: Name,
    },
    /// Tells the other servers of a zone of its serial.
    ZoneNotify {
        name: Name,
    },
    /// Shows the keys of a signed zone, and what comes next.
    ZoneSignStatus {
        name: Name,
    },
    /// Shows each list of names and what became of its lines.
    ListStatus,
    /// No list blocks anything for a while, for clients of this view or for all.
    ListPause {
        view: Option<String>,
        length: Duration,
    },
    /// Ends the pause of a view, or every pause.
    ListResume {
        view: Option<String>,
    },
    /// Fetches a list, or reads its file anew; `None`: all lists. `accept`: also where it has far fewer names than before.
    ListUpdate {
        name: Option<String>,
        accept: bool,
    },
    /// Shows what the lists say of a name.
    ListWhich {
        name: Name,
        /// `None`: addresses of either family.
        rtype: Option<Rtype>,
        /// Whose view decides; `None`: that of clients of no view.
        client: Option<IpAddr>,
        /// Where the client asks, if that is known.
        at: Option<SocketAddr>,
    },
    /// Begins to roll a key: `ksk`, `zsk`, `csk` or `algorithm`; or `end`: asks the parent for no DS record, and `resume`.
    ZoneSignRoll {
        name: Name,
        what: Option<String>,
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
pub struct Reply(pub(in crate::server) mpsc::Sender<Value>);

impl Reply {
    /// False if the reader is gone, or too slow.
    pub fn line(&self, value: Value) -> bool {
        self.0.try_send(value).is_ok()
    }

    /// Waits for a slow reader: for a thread that may block. False if the reader is gone.
    pub fn line_blocking(&self, value: Value) -> bool {
        self.0.blocking_send(value).is_ok()
    }

    /// An answer that consists of an error.
    pub fn error(&self, what: impl Into<String>) -> bool {
        self.line(json!({ "error": what.into() }))
    }
}
