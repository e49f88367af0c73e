//! The thread that writes the query log.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use tracing::{info, warn};

use super::file::LogFile;
use super::line::Lines;
use crate::config::{QueryLogSettings, QueryLogWhat};
use crate::env::{BootTime, Clock};
use crate::limits::server::{QUERY_LOG_LINES_BYTES, QUERY_LOG_RETRY_AFTER, QUERY_LOG_STOP_MAX};
use crate::tap::{Answered, Rule, Tap};

/// How long the thread sleeps where entries come, and where none did.
const BUSY: Duration = Duration::from_millis(20);
const IDLE: Duration = Duration::from_millis(200);

/// Writes the query log until it is told to end.
pub(in crate::server) struct QueryLogKeeper {
    /// `None`: it has been told to end.
    orders: Mutex<Option<Sender<QueryLogSettings>>>,
    ended: Mutex<Receiver<()>>,
    tap: Arc<Tap>,
    lost: Arc<AtomicU64>,
}

impl QueryLogKeeper {
    pub(in crate::server) fn start(tap: Arc<Tap>, clock: Arc<dyn Clock>, settings: &QueryLogSettings) -> Result<QueryLogKeeper, String> {
        let (orders, taken) = channel();
        let (at_end, ended) = channel();
        let lost = Arc::new(AtomicU64::new(0));
        let writer = Writer { tap: tap.clone(), lost: lost.clone(), clock, log: None, settings: QueryLogSettings::default() };
        thread::Builder::new()
            .name("cairn-query-log".to_owned())
            .spawn(move || {
                writer.run(&taken);
                drop(at_end);
            })
            .map_err(|error| format!("no thread for the query log: {error}"))?;
        let keeper = QueryLogKeeper { orders: Mutex::new(Some(orders)), ended: Mutex::new(ended), tap, lost };
        keeper.configure(settings);
        Ok(keeper)
    }

    /// Opens the file again, also where nothing has changed: it may have been renamed.
    pub(in crate::server) fn configure(&self, settings: &QueryLogSettings) {
        if let Some(orders) = &*self.orders.lock() {
            let _ = orders.send(settings.clone());
        }
    }

    /// Tells the thread to write what there is, and to end.
    pub(in crate::server) fn end(&self) {
        *self.orders.lock() = None;
    }

    /// Waits for that, if the disk is not too slow.
    pub(in crate::server) fn ended(&self) {
        let _ = self.ended.lock().recv_timeout(QUERY_LOG_STOP_MAX);
    }

    /// Entries that were left out.
    pub(in crate::server) fn left_out(&self) -> u64 {
        self.tap.left_out() + self.lost.load(Ordering::Relaxed)
    }
}

struct Writer {
    tap: Arc<Tap>,
    clock: Arc<dyn Clock>,
    lost: Arc<AtomicU64>,
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
    fn run(mut self, orders: &Receiver<QueryLogSettings>) {
        let mut pause = IDLE;
        loop {
            match orders.recv_timeout(pause) {
                Ok(settings) => self.configure(settings),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.drain();
                    return;
                }
            }
            pause = if self.drain() > 0 { BUSY } else { IDLE };
        }
    }

    fn configure(&mut self, settings: QueryLogSettings) {
        self.drain();
        let one_of = u32::try_from(settings.one_of).unwrap_or(u32::MAX);
        self.tap.set(match (&settings.file, settings.what) {
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

    /// Writes what there is; the number of entries.
    fn drain(&mut self) -> usize {
        let Writer { tap, clock, lost, log, settings } = self;
        let now = clock.boot();
        let (mut buffer, mut waiting) = (Vec::new(), 0);
        // A file is full to within one piece.
        let most = usize::try_from(settings.max_size_bytes).unwrap_or(usize::MAX);
        let piece = if most > 0 { most.min(QUERY_LOG_LINES_BYTES) } else { QUERY_LOG_LINES_BYTES };
        let count = tap.read(|record| {
            let Some(answered) = Answered::read(record) else { return };
            let Some(log) = log.as_mut() else { return };
            log.lines.write(&answered, &mut buffer);
            waiting += 1;
            if buffer.len() >= piece {
                log.append(&buffer, waiting, lost, (settings, now));
                (waiting, _) = (0, buffer.clear());
            }
        });
        if let Some(log) = log.as_mut().filter(|_| waiting > 0) {
            log.append(&buffer, waiting, lost, (settings, now));
        }
        count
    }
}

impl Open {
    fn append(&mut self, lines: &[u8], count: u64, lost: &AtomicU64, (settings, now): (&QueryLogSettings, BootTime)) {
        let is_due = self.retry_at.is_none_or(|at| at <= now);
        if !is_due || self.try_append(lines, settings, now).is_err() {
            lost.fetch_add(count, Ordering::Relaxed);
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
