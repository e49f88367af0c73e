//! A zone whose data is what its file says and what its journal adds: both are kept in step, and neither loses what the other has.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::{error, warn};

use super::disk::Disk;
use super::journal_file::JournalFile;
use crate::authority::{Entry, Replayed, changed_entry, merge, replay};
use crate::limits::zone::JOURNAL_OCTETS_LIMIT;
use crate::server::zone_file::today;
use crate::zone::{Diff, Zone, have_same_data, is_newer, octets_of};

pub(super) struct Journaled {
    journal: JournalFile,
    /// What the file says, as it was read or written last.
    base: Arc<Zone>,
    /// The zone's file.
    path: PathBuf,
    takes_updates: bool,
    /// The zone has changes that its file does not have.
    pub(super) is_unwritten: bool,
    /// Why the file cannot have them.
    pub(super) why_unwritten: Option<String>,
    /// The changes of an earlier run, until somebody has taken them.
    pub(super) history: Vec<Arc<Diff>>,
}

impl Journaled {
    /// The zone of its file and its journal, at the start.
    pub(super) fn load(
        disk: Arc<dyn Disk>,
        journal: PathBuf,
        read: Arc<Zone>,
        path: &Path,
        takes_updates: bool,
    ) -> io::Result<(Journaled, Arc<Zone>)> {
        let name = read.apex().clone();
        let (journal, entries) = JournalFile::load(disk, journal, &name)?;
        let Replayed { base, current, journaled, history, conflicts, is_lost } = replay(read, &entries, takes_updates, today());
        let is_unwritten = !have_same_data(&base, &current);
        let mut zone = Journaled { journal, base, path: path.to_owned(), takes_updates, is_unwritten, why_unwritten: None, history };
        zone.tell(&conflicts);
        if is_lost {
            error!("zone {name}: the changes in its journal do not fit its file and are left out; the journal is begun anew");
        }
        let made = if is_lost || !have_same_data(&journaled, &current) { zone.note(&journaled, &current) } else { Ok(()) };
        if let Err(error) = made {
            warn!("zone {name}: its journal cannot be written: {error}");
        }
        Ok((zone, current))
    }

    fn tell(&self, conflicts: &[String]) {
        for conflict in conflicts {
            warn!(
                "zone {}: {conflict}: both {} and an update have changed it; the file's word holds",
                self.base.apex(),
                self.path.display()
            );
        }
    }

    /// The file was read again; `current` is the zone as it is. Returns the zone as it is from now on.
    pub(super) fn file_was_read(&mut self, read: Arc<Zone>, path: &Path, takes_updates: bool, current: &Arc<Zone>) -> Arc<Zone> {
        (self.path, self.takes_updates) = (path.to_owned(), takes_updates);
        if have_same_data(&read, &self.base) {
            return current.clone();
        }
        let (next, conflicts) = if !takes_updates && !self.is_unwritten {
            (read.clone(), Vec::new())
        } else {
            match merge(&self.base, &read, current, today()) {
                Some(merged) => (Arc::new(merged.zone), merged.conflicts),
                None => (read.clone(), vec![read.apex().to_string()]),
            }
        };
        self.tell(&conflicts);
        self.base = read;
        self.is_unwritten = !have_same_data(&self.base, &next);
        self.why_unwritten = None;
        if let Err(error) = self.note(current, &next) {
            warn!("zone {}: its journal cannot be written: {error}", next.apex());
        }
        next
    }

    /// Notes a change that the file has brought.
    fn note(&mut self, before: &Arc<Zone>, now: &Arc<Zone>) -> io::Result<()> {
        let written = (!self.is_unwritten).then(|| Entry::Written(now.serial()));
        if !is_newer(now.serial(), before.serial()) {
            // No difference leads from one to the other (RFC 1982): what was before is of no use.
            let unwritten = self.is_unwritten.then(|| changed_entry(&self.base, now));
            return self.journal.rewrite(&unwritten.into_iter().chain(written).collect::<Vec<_>>());
        }
        let entries: Vec<Entry> = [changed_entry(before, now)].into_iter().chain(written).collect();
        self.append(&entries, now)
    }

    /// Notes changes by updates, the last of which leads to `now`. On an error none of them counts.
    pub(super) fn note_updates(&mut self, entries: &[Entry], now: &Arc<Zone>) -> io::Result<()> {
        self.append(entries, now)?;
        self.is_unwritten = true;
        Ok(())
    }

    fn append(&mut self, entries: &[Entry], now: &Arc<Zone>) -> io::Result<()> {
        self.journal.append(entries)?;
        if self.journal.octets() > JOURNAL_OCTETS_LIMIT.max(octets_of(now) as u64) {
            // What was written is on the disk in any case.
            if let Err(error) = self.compact(now) {
                warn!("zone {}: its journal cannot be made smaller: {error}", now.apex());
            }
        }
        Ok(())
    }

    /// One entry in place of all: what the file does not have.
    fn compact(&mut self, now: &Arc<Zone>) -> io::Result<()> {
        if have_same_data(&self.base, now) {
            return self.journal.rewrite(&[Entry::Written(now.serial())]);
        }
        self.journal.rewrite(&[changed_entry(&self.base, now)])
    }

    pub(super) fn base(&self) -> &Arc<Zone> {
        &self.base
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn takes_updates(&self) -> bool {
        self.takes_updates
    }

    /// The file says `written` now; `current` is the zone as it is.
    pub(super) fn file_was_written(&mut self, written: Arc<Zone>, current: &Arc<Zone>) {
        self.is_unwritten = !Arc::ptr_eq(&written, current) && !have_same_data(&written, current);
        self.why_unwritten = None;
        // Without this entry the file's serial says as much at the next start.
        if let Err(error) = self.journal.append(&[Entry::Written(written.serial())]) {
            warn!("zone {}: its journal cannot be written: {error}", written.apex());
        }
        self.base = written;
    }
}
