//! The journal of one zone on the disk: what it says at the start, and entries that are on the disk before anybody is told.
//!
//! After an error nobody knows what the file holds. What was acknowledged before is still known by its length, so that the next
//! change first writes all of that into a new file, which takes the place of the old one.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tracing::warn;

use super::disk::{Disk, OpenFile};
use crate::authority::{Entry, Journal, JournalEnd, Tail, journal_head, read_journal};
use crate::record::Name;

pub(super) struct JournalFile {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    zone: Name,
    /// Behind the last entry that is on the disk for certain.
    end: JournalEnd,
    /// `None`: it is opened, or made anew, when something is to be written.
    file: Option<Box<dyn OpenFile>>,
    is_there: bool,
}

impl JournalFile {
    /// The journal as it was left, and its entries.
    pub(super) fn load(disk: Arc<dyn Disk>, path: PathBuf, zone: &Name) -> io::Result<(JournalFile, Vec<Entry>)> {
        let (_, end) = journal_head(zone);
        let mut journal = JournalFile { disk, path, zone: zone.clone(), end, file: None, is_there: false };
        let Some(bytes) = journal.disk.read(&journal.path)? else { return Ok((journal, Vec::new())) };
        let shown = journal.path.display().to_string();
        match read_journal(&bytes, zone) {
            Some(Journal { entries, end, tail }) => {
                let (at, left) = (end.at, bytes.len() as u64 - end.at);
                (journal.end, journal.is_there) = (end, true);
                match tail {
                    Tail::None => {}
                    Tail::Torn => warn!("zone {zone}: {shown}: the last entry was not completed and was never acknowledged: left out"),
                    Tail::Damaged => warn!(
                        "zone {zone}: {shown}: damaged from octet {at} on, {left} octets are not used; the file is kept as {}",
                        journal.keep_aside(&bytes)
                    ),
                }
                // What comes into force now must outlive a crash; it may have been read from memory after a failed sync.
                let is_synced = tail == Tail::None && journal.disk.open(&journal.path).and_then(|mut file| file.sync()).is_ok();
                if !is_synced && let Err(error) = journal.disk.replace(&journal.path, bytes.get(..at as usize).unwrap_or_default()) {
                    // Written anew before the next entry.
                    journal.is_there = false;
                    warn!("zone {zone}: {shown} cannot be written: {error}");
                }
                Ok((journal, entries))
            }
            None => {
                warn!("zone {zone}: {shown} is no journal of this zone; it is kept as {}", journal.keep_aside(&bytes));
                Ok((journal, Vec::new()))
            }
        }
    }

    fn keep_aside(&self, bytes: &[u8]) -> String {
        let mut aside = self.path.clone().into_os_string();
        aside.push(".damaged");
        let aside = PathBuf::from(aside);
        match self.disk.replace(&aside, bytes) {
            Ok(()) => aside.display().to_string(),
            Err(error) => format!("{}, which failed: {error}", aside.display()),
        }
    }

    /// Octets of the file.
    pub(super) fn octets(&self) -> u64 {
        self.end.at
    }

    /// Writes entries, and returns when they are on the disk. On an error none of them counts.
    pub(super) fn append(&mut self, entries: &[Entry]) -> io::Result<()> {
        let mut end = self.end.clone();
        let bytes: Vec<u8> = entries.iter().flat_map(|entry| end.append(entry)).collect();
        let at = self.end.at;
        let file = self.opened()?;
        let written = file.write_at(at, &bytes).and_then(|()| file.sync());
        if let Err(error) = written {
            // An entry that was not acknowledged must not come into force at the next start.
            if file.cut(at).is_err() {
                self.is_there = false;
            }
            self.file = None;
            return Err(error);
        }
        self.end = end;
        Ok(())
    }

    fn opened(&mut self) -> io::Result<&mut Box<dyn OpenFile>> {
        if !self.is_there {
            let known = self.disk.read(&self.path)?.unwrap_or_default();
            let known =
                known.get(..self.end.at as usize).filter(|known| read_journal(known, &self.zone).is_some_and(|read| read.end == self.end));
            match known {
                Some(known) => self.disk.replace(&self.path, known)?,
                None if self.end == journal_head(&self.zone).1 => self.disk.replace(&self.path, &journal_head(&self.zone).0)?,
                None => return Err(io::Error::other("the journal is no longer what was written")),
            }
            (self.is_there, self.file) = (true, None);
        }
        if self.file.is_none() {
            self.file = Some(self.disk.open(&self.path)?);
        }
        self.file.as_mut().ok_or_else(|| io::Error::other("not open"))
    }

    /// Replaces all entries in one step.
    pub(super) fn rewrite(&mut self, entries: &[Entry]) -> io::Result<()> {
        let (mut bytes, mut end) = journal_head(&self.zone);
        for entry in entries {
            bytes.extend(end.append(entry));
        }
        self.disk.replace(&self.path, &bytes)?;
        (self.end, self.is_there, self.file) = (end, true, None);
        Ok(())
    }
}
