//! Who is told of queries: the query log and dnstap.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::log_format::LogFormat;

/// Where the query log goes, instead of a file.
pub(super) const STANDARD_OUTPUT: &str = "-";

/// The section `[query-log]`.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryLogSettings {
    /// `-` is standard output; `None`: there is no query log.
    pub file: Option<PathBuf>,
    pub format: LogFormat,
    pub what: QueryLogWhat,
    /// One query of this many is logged.
    pub one_of: usize,
    /// Without the part of a client's address that tells one client of a network from another.
    pub anonymise: bool,
    /// When the file is full and another is begun; 0: never.
    pub max_size_bytes: u64,
    /// Full files to keep.
    pub keep: usize,
}

/// Which queries are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryLogWhat {
    All,
    /// Those whose answer is neither NOERROR nor NXDOMAIN.
    Failing,
}

/// The section `[dnstap]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DnstapSettings {
    /// A Unix socket at which a reader listens.
    pub socket: Option<PathBuf>,
    /// The same over TCP.
    pub tcp: Option<SocketAddr>,
    /// What this server is called there; `None`: the name of this machine.
    pub identity: Option<String>,
}

impl QueryLogSettings {
    /// The file, unless it is standard output.
    pub fn path(&self) -> Option<&Path> {
        self.file.as_deref().filter(|file| *file != Path::new(STANDARD_OUTPUT))
    }
}

impl Default for QueryLogSettings {
    fn default() -> QueryLogSettings {
        QueryLogSettings {
            file: None,
            format: LogFormat::Json,
            what: QueryLogWhat::All,
            one_of: 1,
            anonymise: false,
            max_size_bytes: 100 << 20,
            keep: 5,
        }
    }
}
