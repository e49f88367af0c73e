//! One `[[list]]`: names to block or to let through.

use std::fmt;
use std::path::PathBuf;

use super::http_url::HttpUrl;
use super::problem::Mark;

/// One `[[list]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct ListSettings {
    /// `None` only while the entry is read.
    pub name: Option<String>,
    /// `None` only while the entry is read.
    pub source: Option<ListSource>,
    pub format: ListFormat,
    pub matching: ListMatch,
    pub action: ListAction,
    /// Between two fetches of a URL.
    pub refresh_s: u32,
    /// File of the certificates that the server of a URL is verified with; `None`: the system's.
    pub ca: Option<PathBuf>,
    /// What clients are told a block is.
    pub reason: ListReason,
    /// A line may name a whole top-level domain.
    pub single_labels: bool,
    /// A line may lead a name elsewhere; `None`: one of a file may, as the operator has put it there.
    pub redirects: Option<bool>,
    /// Line in the configuration file, from 1.
    pub line: usize,
    /// Place of the value of `name`.
    pub name_mark: Mark,
    /// Place of the value of `source`.
    pub source_mark: Mark,
    /// Place of the value of `ca`.
    pub ca_mark: Mark,
}

impl ListSettings {
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    /// Whether a line may lead a name elsewhere. What is fetched may not by itself: whoever writes it could lead a bank's customers away.
    pub fn may_redirect(&self) -> bool {
        self.redirects.unwrap_or(matches!(self.source, Some(ListSource::File(_))))
    }
}

/// Where a list comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListSource {
    File(PathBuf),
    Url(HttpUrl),
}

impl fmt::Display for ListSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListSource::File(path) => path.display().fmt(f),
            ListSource::Url(url) => url.fmt(f),
        }
    }
}

/// How a list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListFormat {
    /// Found out from each line.
    Auto,
    Hosts,
    Domains,
    Adblock,
    Dnsmasq,
    Unbound,
    Rpz,
}

impl ListFormat {
    pub const ALL: [ListFormat; 7] = [
        ListFormat::Auto,
        ListFormat::Hosts,
        ListFormat::Domains,
        ListFormat::Adblock,
        ListFormat::Dnsmasq,
        ListFormat::Unbound,
        ListFormat::Rpz,
    ];
    pub(super) const WORDS: &'static [&'static str] = &["auto", "hosts", "domains", "adblock", "dnsmasq", "unbound", "rpz"];
}

impl fmt::Display for ListFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ListFormat::WORDS.get(*self as usize).copied().unwrap_or_default())
    }
}

/// What a line means that is a name alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListMatch {
    Exact,
    Subtree,
}

/// What becomes of the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListAction {
    Block,
    Allow,
}

/// On whose behalf names are blocked (RFC 8914 4.16 to 4.18).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ListReason {
    /// The operator's own choice.
    #[default]
    Blocked,
    /// Somebody else requires it.
    Censored,
    /// The client wants it.
    Filtered,
}

impl Default for ListSettings {
    fn default() -> ListSettings {
        ListSettings {
            name: None,
            source: None,
            format: ListFormat::Auto,
            matching: ListMatch::Exact,
            action: ListAction::Block,
            refresh_s: 86_400,
            ca: None,
            reason: ListReason::Blocked,
            single_labels: false,
            redirects: None,
            line: 0,
            name_mark: Mark::default(),
            source_mark: Mark::default(),
            ca_mark: Mark::default(),
        }
    }
}
