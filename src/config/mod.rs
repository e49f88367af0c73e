//! Settings: what can be configured, with defaults and ranges.
//!
//! Text (TOML) becomes checked settings in one pass; every mistake is reported with file, line, column and the nearest valid
//! key. One table of keys (`keys.rs`, `entry_keys.rs`) is used by the reader, `cairn config show` and the reference in the README, so they
//! cannot differ. Rules over several keys are in `several_keys.rs`. Limits that cannot be configured are in `limits`. This folder holds
//! data only: it opens no file and reads no clock.
//!
//! Knows nothing of: sockets, messages, how a setting is carried out.

mod address_entry;
mod block_answer;
mod entry_keys;
mod foreign;
mod forward_rules;
mod forwarder;
mod http_url;
mod keys;
mod language;
mod list_settings;
mod log_format;
mod nearest;
mod negative;
mod socket_addr;
mod prefix;
mod origin;
mod problem;
mod quantity;
mod reader;
mod restart;
mod schedule;
mod secret;
mod settings;
mod several_keys;
mod show;
mod tap_settings;
mod translation;
mod unbound;
mod view_settings;
mod written;

pub use address_entry::AddressEntry;
pub use block_answer::BlockAnswer;
pub use forwarder::{Authorities, EncryptedForwarder, EncryptedProtocol, Forwarder, Pin};
pub use http_url::{Host, HttpUrl, Scheme};
pub use list_settings::{ListAction, ListFormat, ListMatch, ListReason, ListSettings, ListSource};
pub use log_format::LogFormat;
pub(crate) use nearest::nearest;
pub use negative::NegativeAnchor;
pub use origin::Origin;
pub use prefix::Prefix;
pub use problem::Problem;
pub use quantity::parse_duration as duration_from_text;
pub use restart::{AfterRestart, after_restart, in_force, waits_for_restart};
pub use schedule::ScheduleRule;
pub use secret::Secret;
#[cfg(any(test, feature = "internals"))]
pub use settings::PolicySettings;
pub use settings::{
    CacheSettings, DnssecAlgorithm, KeyAlgorithm, KeySettings, LimitSettings, LogLevel, LogSettings, QnameMinimisation, RecursionSettings,
    RouteSettings, RpzPolicy, RpzSettings, ServerSettings, Settings, Sha1, ZoneSettings,
};
#[cfg(any(test, feature = "internals"))]
pub use show::reference_markdown;
pub use show::{KeyReference, SectionReference, Shown, reference, show};
pub use socket_addr::parse_socket;
pub use tap_settings::{DnstapSettings, QueryLogSettings, QueryLogWhat};
pub use translation::TranslationPrefix;
pub use unbound::{Statement, Translation, statements, translate};
pub use view_settings::{ListenPlace, SafeSearch, ViewForward, ViewSettings};
