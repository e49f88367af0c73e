//! The cache's file in the state folder: read after the start, written from time to time and at the stop.
//!
//! A thread with low priority does this. A save writes a new file, syncs it and renames it: whenever the process or the machine
//! dies, either the old file or the new one is there, complete.

use std::fs;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tracing::{info, warn};

use super::engine::Engine;
use super::passed_file;
use super::priority;
use super::state;
use crate::cache::{Cache, LoadError, Loaded, Moment};
use crate::env::{Clock, RealClock};
use crate::limits::server::{CACHE_SAVE_AT_STOP_MAX, CLOCK_CHECKS_MAX};

const BUFFER_BYTES: usize = 256 << 10;
const CLOCK_CHECK_EVERY: Duration = Duration::from_secs(10);

/// What to do about the file.
#[derive(Clone, Debug)]
pub(super) struct Keeping {
    pub(super) file: PathBuf,
    /// Zero: save only at the stop.
    pub(super) every: Duration,
}

impl Keeping {
    pub(super) fn within(folder: &Path, every_s: u32) -> Keeping {
        Keeping { file: folder.join(state::CACHE), every: Duration::from_secs(every_s.into()) }
    }
}

/// The thread that loads and saves the file.
pub(super) struct Keeper {
    /// Dropping it tells the thread that the server stops.
    running: Sender<()>,
    thread: JoinHandle<()>,
    hurry: Arc<Hurry>,
}

#[derive(Default)]
struct Hurry {
    /// A load ends early, and a save in progress is the last one.
    stopping: AtomicBool,
    /// A save ends early too.
    at_once: AtomicBool,
}

impl Keeper {
    /// Loads the file and then saves it regularly. `None` for an engine without a cache.
    pub(super) fn start(engine: Arc<dyn Engine>, keeping: Keeping) -> Option<Keeper> {
        engine.cache()?;
        let (running, stopped) = channel();
        let hurry = Arc::new(Hurry::default());
        let shared = hurry.clone();
        let spawned = thread::Builder::new().name("cache-file".to_owned()).spawn(move || {
            let _ = priority::give_way();
            if let Some(cache) = engine.cache() {
                keep(cache, &keeping, &stopped, &shared);
            }
        });
        match spawned {
            Ok(thread) => Some(Keeper { running, thread, hurry }),
            Err(error) => {
                warn!(%error, "no thread for the saved cache: the cache is not kept over a restart");
                None
            }
        }
    }

    /// Saves for the last time; ends early when `at_once` completes.
    pub(super) async fn stop(self, at_once: impl Future<Output = ()>) {
        self.hurry.stopping.store(true, Ordering::Relaxed);
        drop(self.running);
        let done = tokio::task::spawn_blocking(move || self.thread.join());
        tokio::select! {
            biased;
            _ = done => {}
            () = at_once => self.hurry.at_once.store(true, Ordering::Relaxed),
        }
    }
}

fn keep(cache: &Cache, keeping: &Keeping, stopped: &Receiver<()>, hurry: &Hurry) {
    if !load_at_start(cache, &keeping.file, stopped, hurry) {
        return;
    }
    loop {
        let is_last = if keeping.every.is_zero() { stopped.recv().is_err() } else { has_stopped(stopped, keeping.every) };
        let started = RealClock.boot();
        let give_up = || {
            let late = hurry.stopping.load(Ordering::Relaxed) && RealClock.boot().since(started) > CACHE_SAVE_AT_STOP_MAX;
            late || hurry.at_once.load(Ordering::Relaxed)
        };
        match save(cache, &keeping.file, &give_up) {
            Ok(count) if is_last => info!("{count} entries of the cache saved in {}", keeping.file.display()),
            Ok(count) => tracing::debug!(count, took = ?RealClock.boot().since(started), "the cache is saved"),
            Err(error) => warn!(%error, "the cache could not be saved in {}", keeping.file.display()),
        }
        if is_last || hurry.stopping.load(Ordering::Relaxed) {
            return;
        }
    }
}

/// False if the server stopped meanwhile: the file is then better than what was loaded from it.
fn load_at_start(cache: &Cache, file: &Path, stopped: &Receiver<()>, hurry: &Hurry) -> bool {
    for _ in 0..CLOCK_CHECKS_MAX {
        match load(cache, file, &|| hurry.stopping.load(Ordering::Relaxed)) {
            Ok(loaded) => info!("{} in {}", told(&loaded), file.display()),
            Err(LoadError::SavedInTheFuture) if has_stopped(stopped, CLOCK_CHECK_EVERY) => return false,
            Err(LoadError::SavedInTheFuture) => continue,
            Err(LoadError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) if hurry.stopping.load(Ordering::Relaxed) => return false,
            Err(error) => warn!("the saved cache in {} is not used: {error}", file.display()),
        }
        return true;
    }
    warn!("the saved cache in {} is not used: {}", file.display(), LoadError::SavedInTheFuture);
    true
}

fn has_stopped(stopped: &Receiver<()>, within: Duration) -> bool {
    stopped.recv_timeout(within) == Err(RecvTimeoutError::Disconnected)
}

/// The result in words.
pub(super) fn told(loaded: &Loaded) -> String {
    let damage = if loaded.damaged { ", the rest is damaged" } else { "" };
    format!("{} entries loaded and {} left out of a cache saved {} s ago{damage}", loaded.taken, loaded.left, loaded.age_s)
}

/// Replaces the file by a complete save; returns the number of entries. Ends early, and leaves the old file, when `give_up`
/// returns true.
pub(super) fn save(cache: &Cache, file: &Path, give_up: &dyn Fn() -> bool) -> io::Result<usize> {
    state::replace_with(file, |out| save_into(cache, out, give_up))
}

/// Writes a whole save; how many entries it has.
pub(super) fn save_into(cache: &Cache, out: &mut impl Write, give_up: &dyn Fn() -> bool) -> io::Result<usize> {
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, Interruptible { inner: out, give_up });
    let count = cache.save(&moment(), &mut out)?;
    out.flush()?;
    Ok(count)
}

/// Loads the server's own file into the cache.
fn load(cache: &Cache, file: &Path, give_up: &dyn Fn() -> bool) -> Result<Loaded, LoadError> {
    cache.load(&moment(), &mut BufReader::with_capacity(BUFFER_BYTES, Interruptible { inner: passed_file::open(file)?, give_up }))
}

/// Takes into the cache what a file of another server, or of anybody, has of a save.
pub(super) fn load_brought(cache: &Cache, from: impl Read) -> Result<Loaded, LoadError> {
    cache.load_brought(&moment(), &mut BufReader::with_capacity(BUFFER_BYTES, from))
}

fn moment() -> Moment {
    Moment { boot_id: boot_id().unwrap_or_default(), boot: RealClock.boot(), wall: RealClock.wall() }
}

fn boot_id() -> Option<[u8; 16]> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    u128::from_str_radix(&text.trim().replace('-', ""), 16).ok().map(u128::to_be_bytes)
}

struct Interruptible<'a, T> {
    inner: T,
    give_up: &'a dyn Fn() -> bool,
}

impl<T> Interruptible<'_, T> {
    /// Not `ErrorKind::Interrupted`, which asks for the call to be repeated.
    fn check(&self) -> io::Result<()> {
        if (self.give_up)() { Err(io::Error::new(io::ErrorKind::TimedOut, "given up because the server stops")) } else { Ok(()) }
    }
}

impl<T: Read> Read for Interruptible<'_, T> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.check()?;
        self.inner.read(into)
    }
}

impl<T: Write> Write for Interruptible<'_, T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.check()?;
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::super::engine::testing::Idle;
    use super::super::scratch::Scratch;
    use super::*;
    use crate::cache::CacheLimits;
    use crate::env::Random;
    use crate::record::{Name, Rank, RrSet, Rtype, Security};

    fn www() -> Name {
        Name::parse("www.example.").expect("a name")
    }

    fn engine(with: &[Name]) -> Arc<Idle> {
        let cache = Cache::new(CacheLimits { bytes: 1 << 20, ..CacheLimits::default() }, &Random::from_seed(1));
        for name in with {
            let set = RrSet::with(name.clone(), Rtype::A, 6000, &[192, 0, 2, 1]);
            cache.sets().put(&set, Rank::AuthAnswer, Security::Insecure, RealClock.boot());
        }
        Arc::new(Idle { cache: Some(cache), ..Idle::default() })
    }

    fn holds(engine: &Idle, name: &Name) -> bool {
        engine.cache.as_ref().is_some_and(|cache| cache.sets().get(name, Rtype::A, RealClock.boot()).is_some())
    }

    /// A server's life as far as the file goes: started, and stopped once the load is done.
    fn live(engine: &Arc<Idle>, keeping: &Keeping) {
        let (running, stopped) = channel();
        drop(running);
        if let Some(cache) = engine.cache() {
            keep(cache, keeping, &stopped, &Hurry::default());
        }
    }

    #[test]
    fn what_one_server_knew_the_next_one_knows() {
        let scratch = Scratch::new();
        let keeping = Keeping::within(scratch.path(), 1800);
        live(&engine(&[www()]), &keeping);
        let next = engine(&[]);
        live(&next, &keeping);
        assert!(holds(&next, &www()));
        // A file that is of no use is replaced at the next save.
        scratch.write(state::CACHE, "something else");
        live(&next, &keeping);
        let third = engine(&[]);
        live(&third, &keeping);
        assert!(holds(&third, &www()));
        assert_eq!(fs::read_dir(scratch.path()).expect("a folder").count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_stop_saves_and_a_second_one_does_not_wait() {
        let scratch = Scratch::new();
        let keeping = Keeping::within(scratch.path(), 0);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let keeper = Keeper::start(engine(&[www()]), keeping.clone()).expect("it has a cache");
        runtime.block_on(keeper.stop(std::future::pending()));
        let next = engine(&[]);
        live(&next, &keeping);
        assert!(holds(&next, &www()));
        let keeper = Keeper::start(engine(&[]), keeping).expect("it has a cache");
        runtime.block_on(keeper.stop(std::future::ready(())));
    }

    #[test]
    fn a_save_that_is_given_up_leaves_the_old_file() {
        let scratch = Scratch::new();
        let file = scratch.path().join(state::CACHE);
        let old = engine(&[www()]);
        save(old.cache().expect("a cache"), &file, &|| false).expect("written");
        let before = fs::read(&file).expect("it is there");
        let new = engine(&[]);
        assert!(save(new.cache().expect("a cache"), &file, &|| true).is_err());
        assert_eq!(fs::read(&file).expect("it is there"), before);
        assert!(matches!(load(new.cache().expect("a cache"), &file, &|| true), Err(LoadError::Io(_))));
        assert_eq!(load(new.cache().expect("a cache"), &file, &|| false).expect("whole").taken, 1);
    }

    #[test]
    fn the_boot_is_known() {
        assert_eq!(boot_id(), boot_id());
        assert!(boot_id().is_some_and(|id| id != [0; 16]));
    }
}
