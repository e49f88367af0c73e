//! Where log lines go: to stderr, as text for people or as JSON for programs.
//!
//! `info` is what an operator acts on. There is no line per packet at any level above `trace`.

use std::io::IsTerminal;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::prelude::*;

use crate::config::{LogFormat, LogLevel, LogSettings};

/// Once per process; a second call changes nothing.
pub(super) fn start(settings: &LogSettings) {
    let level = match settings.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let registry = tracing_subscriber::registry();
    let _ = match settings.format {
        LogFormat::Text => {
            let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
            registry.with(lines.with_ansi(colour).with_filter(level)).try_init()
        }
        LogFormat::Json => registry.with(lines.json().flatten_event(true).with_filter(level)).try_init(),
    };
}
