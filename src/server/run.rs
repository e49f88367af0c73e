//! The life of a server: read files, bind sockets, start the workers, wait for signals, shut down cleanly.
//!
//! The thread that calls [`run`] becomes the control thread: it alone reads files, receives signals and serves the control
//! socket. What answers queries is an [`Engine`], which the caller builds from the files.
//!
//! ```text
//! reading ─► binding ─► serving ─► stopping          SIGTERM, SIGINT, or a worker that ends: stopping
//!                        │   ▲                       SIGHUP: read all files again; without mistakes, swap
//!                        └───┘ SIGHUP
//! ```

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};

use super::cache_file::{Keeper, Keeping};
use super::engine::Engine;
use super::load::{BrokenZone, LoadedZone, Sources, StartOptions};
use super::logs;
use super::pages;
use super::ports::{self, BindError, Ports, WorkerSockets};
use super::priority;
use super::rlimit;
use super::socket;
use super::state;
use crate::config::{CacheSettings, Problem};
use crate::env::NetworkWatch;
use crate::limits::Limits;
use crate::limits::server::START_WARNINGS_MAX;

/// Reason a server did not start, or ended.
#[derive(Debug)]
pub enum RunError {
    Files(Vec<Problem>),
    Ports(BindError),
    /// The engine could not be built from what was read.
    Engine(String),
    System(io::Error),
    /// A worker ended without being stopped.
    WorkerEnded(usize),
}

/// Serves until told to stop. `build` is told what was read and where the server listens.
pub fn run(
    options: &StartOptions,
    build: impl FnOnce(Sources, &[SocketAddr], Limits) -> Result<Arc<dyn Engine>, String>,
) -> Result<(), RunError> {
    // Before zones and caches take their memory. Where it is not to be had, only some answers come later.
    let small_pages = pages::stay_small();
    let mut sources = Sources::read(options).map_err(RunError::Files)?;
    logs::start(&sources.settings.log);
    if let Err(error) = small_pages {
        tracing::debug!(%error, "huge pages stay");
    }
    match rlimit::raise_open_files() {
        Ok(count) => tracing::debug!(count, "open files"),
        Err(error) => warn!(%error, "the limit on open files stays as it is"),
    }
    let limits = rlimit::limits(sources.settings.server.worker_count());
    let ports = ports::bind(&sources.settings.server, limits.socket_receive_bytes).map_err(RunError::Ports)?;
    announce(&sources, &ports);
    let folder = match state::folder(sources.settings.server.state_dir.as_deref()) {
        Ok(folder) => {
            info!("state: {}", folder.display());
            sources.state_folder = Some(folder.clone());
            Some(folder)
        }
        Err(reason) => {
            warn!("cache and trust state are not kept over a restart, set `state-dir`: {reason}");
            None
        }
    };
    let CacheSettings { persist, save_interval_s, .. } = sources.settings.cache;
    let keeping = folder.filter(|_| persist).map(|folder| Keeping::within(&folder, save_interval_s));
    let engine = build(sources, &ports.addrs, limits).map_err(RunError::Engine)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(RunError::System)?;
    let outcome = runtime.block_on(async {
        let orders = orders_from_signals().map_err(RunError::System)?;
        let control = socket::serve(engine.clone());
        tokio::spawn(watch_network(engine.clone()));
        serve(&engine, ports, control, keeping, options, &limits, orders).await
    });
    // A reload that is still reading must not hold up the stop.
    runtime.shutdown_background();
    outcome
}

/// Changes come in bursts: a link, its addresses, its routes.
const BURST: Duration = Duration::from_millis(10);

async fn watch_network(engine: Arc<dyn Engine>) {
    let watching = async {
        let watch = NetworkWatch::new()?;
        loop {
            engine.network_changed(watch.changed().await?);
            tokio::time::sleep(BURST).await;
        }
    };
    let ended: Result<(), io::Error> = watching.await;
    if let Err(error) = ended {
        info!(%error, "the kernel does not report network changes: they are detected by probing");
    }
}

/// What an operator tells a running server.
enum Order {
    Reload,
    Stop,
}

fn orders_from_signals() -> io::Result<mpsc::Receiver<Order>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let (sender, orders) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            let order = tokio::select! {
                biased;
                _ = terminate.recv() => Order::Stop,
                _ = interrupt.recv() => Order::Stop,
                _ = hang_up.recv() => Order::Reload,
            };
            if sender.send(order).await.is_err() {
                return;
            }
        }
    });
    Ok(orders)
}

/// Runs the workers, and does as it is ordered.
///
/// The control socket is held until the stop begins, so that nobody asks a server that is on its way out.
async fn serve(
    engine: &Arc<dyn Engine>,
    ports: Ports,
    control: Option<socket::Serving>,
    keeping: Option<Keeping>,
    options: &StartOptions,
    limits: &Limits,
    mut orders: mpsc::Receiver<Order>,
) -> Result<(), RunError> {
    let worker_count = ports.workers.len();
    let (stop, mut ended) = start_workers(engine, ports.workers).map_err(RunError::System)?;
    announce_ready(&ports.addrs, worker_count);
    let keeper = keeping.and_then(|keeping| Keeper::start(engine.clone(), keeping));
    let mut reload: Option<tokio::task::JoinHandle<()>> = None;
    let mut reload_again = false;
    let outcome = loop {
        tokio::select! {
            biased;
            order = orders.recv() => match order {
                Some(Order::Reload) => reload_again = true,
                Some(Order::Stop) | None => break Ok(()),
            },
            worker = ended.recv() => break Err(RunError::WorkerEnded(worker.unwrap_or(0))),
            () = finished(&mut reload) => reload = None,
        }
        if reload_again && reload.is_none() {
            reload_again = false;
            let (engine, options) = (engine.clone(), options.clone());
            reload = Some(tokio::task::spawn_blocking(move || reload_once(&*engine, &options)));
        }
    };
    info!("stopping");
    drop(control);
    if let Some(keeper) = keeper.filter(|_| outcome.is_ok()) {
        // The workers go on meanwhile. A second signal means now.
        keeper.stop(stop_ordered(&mut orders)).await;
    }
    let _ = stop.send(true);
    // Each worker's end closes its sender; the channel is closed when the last one has gone.
    let all_gone = async { while ended.recv().await.is_some() {} };
    if tokio::time::timeout(Duration::from_millis(limits.stop_ms), all_gone).await.is_err() {
        warn!("stopped before all answers in progress were sent");
    }
    outcome
}

async fn stop_ordered(orders: &mut mpsc::Receiver<Order>) {
    while let Some(Order::Reload) = orders.recv().await {}
}

/// Waits for a reload under way; for ever if there is none.
async fn finished(reload: &mut Option<tokio::task::JoinHandle<()>>) {
    match reload {
        Some(task) => {
            if let Err(failure) = task.await {
                error!(%failure, "the reload failed; the running configuration is unchanged");
            }
        }
        None => std::future::pending().await,
    }
}

/// A large zone takes long to read, and nobody waits for it. On a thread of its own, as only what takes no lock of the
/// workers may give way so far.
fn read_aside(options: &StartOptions) -> Result<Sources, Vec<Problem>> {
    let aside = || {
        let _ = priority::give_way_at_once();
        Sources::read(options)
    };
    thread::scope(|scope| scope.spawn(aside).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn reload_once(engine: &dyn Engine, options: &StartOptions) {
    let _ = priority::give_way();
    match read_aside(options) {
        Ok(sources) => {
            log_broken_zones(&sources);
            log_warnings(&sources);
            let zones = sources.zones.len();
            engine.reload(sources);
            info!(zones, "reloaded");
        }
        Err(problems) => {
            for problem in &problems {
                error!("{problem}");
            }
            error!(problems = problems.len(), "not reloaded: the running configuration and zones are unchanged");
        }
    }
}

type Workers = (watch::Sender<bool>, mpsc::UnboundedReceiver<usize>);

fn start_workers(engine: &Arc<dyn Engine>, sockets: Vec<WorkerSockets>) -> io::Result<Workers> {
    let (stop, stopped) = watch::channel(false);
    let (ended_sender, ended) = mpsc::unbounded_channel();
    for (worker, sockets) in sockets.into_iter().enumerate() {
        let (engine, stopped, at_end) = (engine.clone(), stopped.clone(), AtEnd { worker, sender: ended_sender.clone() });
        thread::Builder::new().name(format!("cairn-{worker}")).spawn(move || {
            let _at_end = at_end;
            engine.work(worker, sockets, stopped);
        })?;
    }
    Ok((stop, ended))
}

/// Tells the control thread that a worker has ended, be it by a panic.
struct AtEnd {
    worker: usize,
    sender: mpsc::UnboundedSender<usize>,
}

impl Drop for AtEnd {
    fn drop(&mut self) {
        // Fails only when the control thread has gone already.
        let _ = self.sender.send(self.worker);
    }
}

fn announce(sources: &Sources, ports: &Ports) {
    match &sources.config_file {
        Some(file) => info!("configuration: {}", file.display()),
        None => info!("configuration: none, the defaults are used"),
    }
    for LoadedZone { file, zone } in &sources.zones {
        info!("zone {} from {}: serial {}, {} records", file.name, file.path.display(), zone.serial(), zone.record_count());
    }
    log_broken_zones(sources);
    log_warnings(sources);
    for note in sources.notes.iter().chain(&ports.notes) {
        for line in note.lines() {
            warn!("{line}");
        }
    }
}

/// Every mistake of a zone that is not served, or not as its file says.
fn log_broken_zones(sources: &Sources) {
    for problem in sources.zone_problems().into_iter().take(START_WARNINGS_MAX) {
        error!("{problem}");
    }
    for BrokenZone { name, path, .. } in sources.broken_zones.iter().take(START_WARNINGS_MAX) {
        error!("zone {name} cannot be read from {}: its names get SERVFAIL, or what was read before; all else is served", path.display());
    }
    if let Some(more) = sources.broken_zones.len().checked_sub(START_WARNINGS_MAX).filter(|more| *more > 0) {
        error!("and {more} more zones that cannot be read, all shown by `cairn check`");
    }
}

/// A zone with very many oddities must not drown everything else.
fn log_warnings(sources: &Sources) {
    for warning in sources.warnings.iter().take(START_WARNINGS_MAX) {
        warn!("{warning}");
    }
    if let Some(more) = sources.warnings.len().checked_sub(START_WARNINGS_MAX).filter(|more| *more > 0) {
        warn!("and {more} more warnings, all shown by `cairn check`");
    }
}

fn announce_ready(addrs: &[SocketAddr], workers: usize) {
    let addrs: Vec<String> = addrs.iter().map(ToString::to_string).collect();
    info!("serving on {} over UDP and TCP, {workers} worker{}", addrs.join(" and "), if workers == 1 { "" } else { "s" });
}

impl std::error::Error for RunError {}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::Files(problems) => {
                let texts: Vec<String> = problems.iter().map(|problem| format!("{problem:#}")).collect();
                f.write_str(&texts.join("\n"))
            }
            RunError::Ports(error) => error.fmt(f),
            RunError::Engine(reason) => f.write_str(reason),
            RunError::System(error) => write!(f, "the system refused: {error}"),
            RunError::WorkerEnded(worker) => write!(f, "worker {worker} ended unexpectedly"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::engine::testing::Idle;
    use super::super::scratch::Scratch;
    use super::*;
    use std::sync::atomic::Ordering;
    use std::sync::mpsc::sync_channel;

    fn serve_idle(engine: Arc<Idle>, options: &StartOptions, orders: mpsc::Receiver<Order>) -> Result<(), RunError> {
        let sockets = (0..2).map(|_| WorkerSockets::default()).collect();
        let ports = Ports { workers: sockets, addrs: Vec::new(), notes: Vec::new() };
        let engine: Arc<dyn Engine> = engine;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(serve(&engine, ports, None, None, options, &Limits::default(), orders))
    }

    #[test]
    fn reload_and_stop() {
        let scratch = Scratch::new();
        let config = scratch.write("cairn.toml", "");
        let options = StartOptions { config: Some(config), ..StartOptions::default() };
        let (sender, events) = sync_channel(0);
        let engine = Arc::new(Idle { at_work: Some(sender), ..Idle::default() });
        let (order, orders) = mpsc::channel(1);
        let (server, reloaded) = (engine.clone(), options.clone());
        let server = thread::spawn(move || serve_idle(server, &reloaded, orders));
        (0..2).for_each(|_| events.recv().expect("a worker starts"));
        order.blocking_send(Order::Reload).expect("it listens");
        events.recv().expect("a good file is swapped in");
        assert_eq!(engine.reloads.load(Ordering::SeqCst), 1);
        order.blocking_send(Order::Stop).expect("it listens");
        server.join().expect("no panic").expect("an orderly stop is no failure");
    }

    #[test]
    fn a_broken_reload_changes_nothing() {
        let scratch = Scratch::new();
        let config = scratch.write("cairn.toml", "[server]\nworkers = 0\n");
        let engine = Idle::default();
        reload_once(&engine, &StartOptions { config: Some(config), ..StartOptions::default() });
        assert_eq!(engine.reloads.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn a_worker_that_fails_ends_the_server() {
        let engine = Arc::new(Idle { fails: true, ..Idle::default() });
        let (_order, orders) = mpsc::channel(1);
        let outcome = serve_idle(engine, &StartOptions::default(), orders);
        assert!(matches!(outcome, Err(RunError::WorkerEnded(_))), "{outcome:?}");
    }
}
