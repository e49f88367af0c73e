//! Log output: to stderr, as text for people or as JSON for programs.
//!
//! `info` is what an operator acts on, `debug` has a line for each query. Each line is a sentence; where it speaks of a name, a
//! client or a limit, these are fields too, and a line for programs has them by name. Level and form change while the server
//! runs: of the two writers one is always off.

use std::io::IsTerminal;
use std::sync::OnceLock;

use tracing::field::Field;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use crate::config::{LogFormat, LogLevel, LogSettings};

type Level = reload::Handle<LevelFilter, Registry>;

/// The levels of the writers of text and of JSON. Log lines belong to the process.
static LEVELS: OnceLock<[Level; 2]> = OnceLock::new();

/// Once per process; a second call changes nothing.
pub(super) fn start(settings: &LogSettings) {
    let [text, json] = levels(settings);
    let ((text, text_level), (json, json_level)) = (reload::Layer::new(text), reload::Layer::new(json));
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let lines = || fmt::layer().with_writer(std::io::stderr).with_target(false);
    let people = lines().with_ansi(colour).fmt_fields(format::debug_fn(field_for_people));
    let writers = vec![people.with_filter(text).boxed(), lines().json().flatten_event(true).with_filter(json).boxed()];
    if tracing_subscriber::registry().with(writers).try_init().is_ok() {
        let _ = LEVELS.set([text_level, json_level]);
    }
}

/// Fields whose values stand in the sentence already. Programs read them by name.
const TOLD: [&str; 13] =
    ["event", "name", "type", "client", "transport", "rcode", "source", "ms", "reason", "limit", "left_out", "count", "zone"];

fn field_for_people(writer: &mut format::Writer<'_>, field: &Field, value: &dyn std::fmt::Debug) -> std::fmt::Result {
    match field.name() {
        "message" => write!(writer, "{value:?}"),
        name if TOLD.contains(&name) => Ok(()),
        name => write!(writer, " {name}={value:?}"),
    }
}

/// As a reload says.
pub(super) fn change(settings: &LogSettings) {
    for (handle, level) in LEVELS.get().into_iter().flatten().zip(levels(settings)) {
        let _ = handle.modify(|filter| *filter = level);
    }
}

/// Of text and of JSON.
fn levels(settings: &LogSettings) -> [LevelFilter; 2] {
    let level = match settings.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    match settings.format {
        LogFormat::Text => [level, LevelFilter::OFF],
        LogFormat::Json => [LevelFilter::OFF, level],
    }
}
