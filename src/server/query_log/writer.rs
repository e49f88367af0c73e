//! Writes the query log: the entries that workers have told of, as lines in a file.

use std::io;
use std::sync::Arc;

use tracing::{info, warn};

use super::super::tap_reader::{Reading, Records, TapReader};
use super::file::LogFile;
use super::line::Lines;
use crate::config::{QueryLogSettings, QueryLogWhat};
use crate::env::{BootTime, Clock};
use crate::limits::server::{QUERY_LOG_LINES_BYTES, QUERY_LOG_RETRY_AFTER};
use crate::tap::{Answered, Rule, Tap};

/// Starts the thread that writes it.
pub(in crate::server) fn start(
    tap: Arc<Tap>,
    clock: Arc<dyn Clock>,
    settings: &QueryLogSettings,
) -> Result<TapReader<QueryLogSettings>, String> {
    let records = Records::of(tap);
    TapReader::start("cairn-query-log", "the query log", records.clone(), Writer::new(records, clock), settings)
}

struct Writer {
    records: Records,
    clock: Arc<dyn Clock>,
    log: Option<Open>,
    settings: QueryLogSettings,
}

/// The log in force. Where it cannot be written, entries are read and counted, so that old ones do not come out later as if they
/// were new.
struct Open {
    lines: Lines,
    file: Option<LogFile>,
    /// The next attempt after a failure.
    retry_at: Option<BootTime>,
}

impl Writer {
    fn new(records: Records, clock: Arc<dyn Clock>) -> Writer {
        Writer { records, clock, log: None, settings: QueryLogSettings::default() }
    }
}

impl Reading for Writer {
    type Settings = QueryLogSettings;

    /// Opens the file again, also where nothing has changed: it may have been renamed.
    fn configure(&mut self, settings: QueryLogSettings) {
        self.read();
        let one_of = u32::try_from(settings.one_of).unwrap_or(u32::MAX);
        self.records.tap.set(match (&settings.file, settings.what) {
            (None, _) => Rule::Nothing,
            (Some(_), QueryLogWhat::All) => Rule::Each(one_of),
            (Some(_), QueryLogWhat::Failing) => Rule::Failing(one_of),
        });
        self.settings = settings;
        self.log = self.settings.file.is_some().then(|| Open {
            lines: Lines::new(self.settings.format, self.settings.anonymise),
            file: None,
            retry_at: None,
        });
        if let Some(log) = &mut self.log {
            let _ = log.open(&self.settings, self.clock.boot());
        }
    }

    fn read(&mut self) -> usize {
        let Writer { records, clock, log, settings } = self;
        let now = clock.boot();
        let (mut buffer, mut waiting) = (Vec::new(), 0);
        // A file is full to within one piece.
        let most = usize::try_from(settings.max_size_bytes).unwrap_or(usize::MAX);
        let piece = if most > 0 { most.min(QUERY_LOG_LINES_BYTES) } else { QUERY_LOG_LINES_BYTES };
        let count = records.tap.read(|record| {
            let Some(answered) = Answered::read(record) else { return };
            let Some(log) = log.as_mut() else { return };
            log.lines.write(&answered, &mut buffer);
            waiting += 1;
            if buffer.len() >= piece {
                log.append(&buffer, waiting, records, (settings, now));
                (waiting, _) = (0, buffer.clear());
            }
        });
        if let Some(log) = log.as_mut().filter(|_| waiting > 0) {
            log.append(&buffer, waiting, records, (settings, now));
        }
        count
    }
}

impl Open {
    fn append(&mut self, lines: &[u8], count: u64, records: &Records, (settings, now): (&QueryLogSettings, BootTime)) {
        let is_due = self.retry_at.is_none_or(|at| at <= now);
        if !is_due || self.try_append(lines, settings, now).is_err() {
            records.lose(count);
        }
    }

    /// An error has been told, if it is the first of a row.
    fn try_append(&mut self, lines: &[u8], settings: &QueryLogSettings, now: BootTime) -> Result<(), ()> {
        self.open(settings, now)?;
        let Some(file) = &mut self.file else { return Err(()) };
        if file.is_full(settings.max_size_bytes) {
            file.begin_anew(settings.keep).map_err(|error| self.failed(&error, "renamed, which `max-size` asks for,", settings, now))?;
        }
        let Some(file) = &mut self.file else { return Err(()) };
        file.append(lines).map_err(|error| self.failed(&error, "written", settings, now))?;
        if self.retry_at.take().is_some() {
            info!(event = "query-log", "the query log is written again");
        }
        Ok(())
    }

    fn open(&mut self, settings: &QueryLogSettings, now: BootTime) -> Result<(), ()> {
        if self.file.is_none() {
            self.file = Some(LogFile::open(settings.path()).map_err(|error| self.failed(&error, "opened", settings, now))?);
        }
        Ok(())
    }

    fn failed(&mut self, error: &io::Error, what: &str, settings: &QueryLogSettings, now: BootTime) {
        if self.retry_at.is_none() {
            let path = settings.path().map_or_else(|| "standard output".to_owned(), |path| path.display().to_string());
            warn!(
                event = "query-log",
                "query-log.file: {path} cannot be {what}: {error}; until it can, answered queries are left out there"
            );
        }
        self.retry_at = Some(now + QUERY_LOG_RETRY_AFTER);
    }
}
