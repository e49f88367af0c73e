//! The thread that keeps zone files in step with their zones: changes by updates are written into the file, line by line, and a
//! file that a person has edited is read.
//!
//! Until a change is in the file, the journal has it. The file is written soon after a change, together with all changes since,
//! and the less often the longer it takes.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::{debug, info, warn};

use super::order::Order;
use super::versions::{Origin, Versions};
use crate::answer::Service;
use crate::env::Instant;
use crate::limits::server::{WRITE_BACK_RETRY_MAX, ZONE_EDIT_TRIES_MAX};
use crate::record::Name;
use crate::server::priority;
use crate::server::zone_text::{ZoneText, ZoneTextError};
use crate::zone::{Zone, have_same_data};

/// How long changes are gathered before the file is written.
const GATHER: Duration = Duration::from_millis(500);
/// How often files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A file is written for at most this part of the time.
const REST: u32 = 8;

pub(super) struct WriteBack {
    pub(super) service: Arc<Service>,
    pub(super) versions: Arc<Versions>,
    pub(super) orders: mpsc::UnboundedSender<Order>,
    /// When a file is to be written next.
    due: BTreeMap<Name, Instant>,
    /// How long it takes, and after how long a failure is tried again.
    pace: BTreeMap<Name, Duration>,
    /// The files as they were seen last.
    seen: BTreeMap<PathBuf, Option<Seen>>,
}

/// A file that is another one for whoever looks at these.
type Seen = (u64, u64, i64, i64);

impl WriteBack {
    pub(super) fn new(service: Arc<Service>, versions: Arc<Versions>, orders: mpsc::UnboundedSender<Order>) -> WriteBack {
        WriteBack { service, versions, orders, due: BTreeMap::new(), pace: BTreeMap::new(), seen: BTreeMap::new() }
    }

    /// Ends when the server does.
    pub(super) fn run(mut self, changed: Receiver<Name>) {
        let _ = priority::give_way();
        let mut look_at = Instant::now();
        loop {
            let now = Instant::now();
            let next = self.due.values().copied().chain([look_at]).min().unwrap_or(look_at);
            match changed.recv_timeout(next.saturating_duration_since(now)) {
                Ok(zone) => {
                    let pace = self.pace.get(&zone).copied().unwrap_or(GATHER);
                    self.due.entry(zone).or_insert_with(|| Instant::now() + pace);
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            let now = Instant::now();
            if now >= look_at {
                self.look();
                look_at = Instant::now() + LOOK_EVERY;
            }
            let due: Vec<Name> = self.due.iter().filter(|(_, at)| **at <= now).map(|(zone, _)| zone.clone()).collect();
            for zone in due {
                self.due.remove(&zone);
                let begun = Instant::now();
                let done = self.write(&zone);
                self.took(zone, done, begun.elapsed());
            }
        }
    }

    fn took(&mut self, zone: Name, done: Result<(), ZoneTextError>, time: Duration) {
        let pace = match &done {
            Ok(()) => (time * REST).max(GATHER),
            Err(_) => self.pace.get(&zone).map_or(GATHER, |pace| (*pace * 2).min(WRITE_BACK_RETRY_MAX)),
        };
        self.pace.insert(zone.clone(), pace);
        let Err(why) = done else { return };
        let mut changing = self.versions.change();
        let Some(journaled) = changing.journaled(&zone) else { return };
        let why = why.to_string();
        if journaled.why_unwritten.as_ref() != Some(&why) {
            warn!("zone {zone}: the journal holds changes that its file does not have: {why}");
        }
        journaled.why_unwritten = Some(why);
        changing.show(&zone);
        drop(changing);
        self.due.insert(zone, Instant::now() + pace);
    }

    /// Reads files that have changed and have been left alone since, and finds changes that wait for their file.
    fn look(&mut self) {
        let mut changing = self.versions.change();
        let mut all: Vec<(Name, PathBuf, bool)> = Vec::new();
        for zone in changing.journaled_zones() {
            if let Some(journaled) = changing.journaled(&zone).filter(|journaled| journaled.takes_updates() || journaled.is_unwritten) {
                all.push((zone, journaled.path().to_owned(), journaled.is_unwritten));
            }
        }
        drop(changing);
        for (zone, path, is_unwritten) in all {
            let now = seen(&path);
            let before = self.seen.insert(path, now);
            // Half a file may be a good zone: it is read when it has stayed the same for a while.
            let is_other = before.is_some_and(|before| before != now);
            if is_other || before.is_none() || is_unwritten {
                let pace = if is_other { LOOK_EVERY } else { self.pace.get(&zone).copied().unwrap_or(GATHER) };
                self.due.entry(zone).or_insert_with(|| Instant::now() + pace);
            }
        }
    }

    /// File and zone say the same afterwards.
    fn write(&mut self, name: &Name) -> Result<(), ZoneTextError> {
        for _ in 0..ZONE_EDIT_TRIES_MAX {
            let mut changing = self.versions.change();
            let Some(current) = changing.data(name).cloned() else { return Ok(()) };
            let Some(journaled) = changing.journaled(name) else { return Ok(()) };
            let (base, path) = (journaled.base().clone(), journaled.path().to_owned());
            drop(changing);
            let before = seen(&path);
            let text = ZoneText::read(name, &path)?;
            let read = Arc::new(text.zone()?);
            if seen(&path) != before {
                continue;
            }
            if !have_same_data(&read, &base) {
                self.file_was_edited(name, read, &path);
                continue;
            }
            if have_same_data(&read, &current) {
                self.file_is_in_step(name, current);
                return Ok(());
            }
            if !text.replace_with(&current)? {
                continue;
            }
            self.seen.insert(path.clone(), seen(&path));
            debug!("zone {name}: serial {} written to {}", current.serial(), path.display());
            self.file_is_in_step(name, current);
            return Ok(());
        }
        Err(ZoneTextError::Busy)
    }

    fn file_was_edited(&self, name: &Name, read: Arc<Zone>, path: &Path) {
        let mut changing = self.versions.change();
        let Some(current) = changing.data(name).cloned() else { return };
        let Some(journaled) = changing.journaled(name) else { return };
        let takes_updates = journaled.takes_updates();
        let data = journaled.file_was_read(read, path, takes_updates, &current);
        info!("zone {name}: {} was edited: serial {}", path.display(), data.serial());
        let version = changing.next(data, Origin::File);
        changing.serve(&self.service, |zones| zones.with(version));
        changing.show(name);
        drop(changing);
        let _ = self.orders.send(Order::Changed);
    }

    fn file_is_in_step(&self, name: &Name, written: Arc<Zone>) {
        let mut changing = self.versions.change();
        let Some(current) = changing.data(name).cloned() else { return };
        if let Some(journaled) = changing.journaled(name) {
            if journaled.is_unwritten || journaled.why_unwritten.is_some() {
                journaled.file_was_written(written, &current);
            }
            changing.show(name);
        }
    }
}

fn seen(path: &Path) -> Option<Seen> {
    fs::metadata(path).ok().map(|meta| (meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec()))
}
