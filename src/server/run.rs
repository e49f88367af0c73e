//! The life of a server: read files, bind sockets, start the workers, wait for signals, shut down cleanly.
//!
//! The thread that calls [`run`] becomes the control thread: only this thread reads files, receives signals and serves the
//! control socket. An [`Engine`], which the caller builds from the files, answers queries.
//!
//! ```text
//! reading ─► binding ─► serving ─► stopping          SIGTERM, SIGINT, or a worker that ends: stopping
//!                        │   ▲                       SIGHUP, `cairn reload`: read all files again; swap
//!                        └───┘ reload              SIGUSR1, SIGUSR2: nothing
//! ```

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinHandle;
use tracing::{debug, error, info, warn};

use super::cache_file::{Keeper, Keeping};
use super::command::{Order, Reply};
use super::confine::confine;
use super::encrypted::{self, EncryptedListening};
use super::engine::Engine;
use super::life::{Life, ReloadReport};
use super::listening::{Changed, Listening};
use super::load::{BrokenZone, LoadedZone, Sources, StartOptions};
use super::logs;
use super::notify::{ServiceManager, watchdog_interval};
use super::pages;
use super::ports::{self, BindError, Ports, WorkerSockets};
use super::priority;
use super::query_log;
use super::rlimit;
use super::socket::{self, Control};
use super::state;
use super::system;
use super::web::{self, Password};
use crate::config::{CacheSettings, Problem};
use crate::env::NetworkWatch;
use crate::limits::Limits;
use crate::limits::server::{ORDERS_WAITING_MAX, START_WARNINGS_MAX, START_ZONES_MAX};
use crate::listen::{EncryptedAddr, SocketChange};

/// Why a server did not start, or why it ended.
#[derive(Debug)]
pub enum RunError {
    Files(Vec<Problem>),
    Ports(BindError),
    /// The user cannot be become, or its folders cannot be made its own.
    Privileges(String),
    /// The engine could not be built from the files.
    Engine(String),
    /// The web listener cannot be protected as it should.
    Web(String),
    System(io::Error),
    /// A worker ended without a stop.
    WorkerEnded(usize),
}

/// Serves until it is told to stop. `build` gets what was read and the addresses that are listened on.
pub fn run(
    options: &StartOptions,
    build: impl FnOnce(Sources, &[SocketAddr], Limits) -> Result<Arc<dyn Engine>, String>,
) -> Result<(), RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(RunError::System)?;
    // From here on these signals end nothing, however long the files take.
    let harmless = {
        let _inside = runtime.enter();
        Harmless::listen().map_err(RunError::System)?
    };
    // Before zones and caches take their memory. If it fails, only some answers are slower.
    let small_pages = pages::stay_small();
    pages::give_back_soon();
    let mut sources = Sources::read(options).map_err(RunError::Files)?;
    logs::start(&sources.settings.log);
    if let Err(error) = small_pages {
        tracing::debug!(%error, "huge pages remain enabled");
    }
    match rlimit::raise_open_files() {
        Ok(count) => tracing::debug!(count, "open files"),
        Err(error) => warn!(%error, "the limit on open files could not be raised"),
    }
    let serve_as = system::serve_as(sources.settings.server.user.as_deref()).map_err(RunError::Privileges)?;
    let limits = rlimit::limits(sources.settings.server.worker_count(), &sources.settings.limits);
    for held_back in sources.settings.limits.held_back(&limits) {
        warn!("{held_back}");
    }
    let mut ports = ports::bind(&sources.settings.server, limits.socket_receive_bytes).map_err(RunError::Ports)?;
    for at in encrypted::wanted(&sources.settings.server) {
        let listeners = ports::bind_stream(at.addr, ports.workers.len()).map_err(RunError::Ports)?;
        ports.encrypted.push((at, listeners));
    }
    let web = web::bind(&sources.settings.web.listen);
    let password = sources
        .settings
        .web
        .password_file
        .as_deref()
        .map(|file| Password::read(file).map_err(|what| RunError::Web(format!("web.password-file: {}: {what}", file.display()))));
    let password = password.transpose()?;
    announce(&sources, &ports);
    let becomes_another = serve_as.account.is_some();
    let usable = |folder: PathBuf| {
        if becomes_another {
            state::is_for_state_alone(&folder)?
        }
        Ok((state::hold(&folder)?, folder))
    };
    let state = match state::folder(&sources.settings.server).and_then(usable) {
        Ok((held, folder)) => {
            info!("state: {}", folder.display());
            sources.state_folder = Some(folder.clone());
            Some((held, folder))
        }
        Err(reason) => {
            warn!("cache and trust state are not kept over a restart, set `state-dir`: {reason}");
            None
        }
    };
    // Bound before the privileges go: afterwards its folder may be out of reach.
    let control = socket::bind(socket::place(sources.settings.server.control_socket.as_deref()), sources.settings.server.user.as_deref());
    let of_state = state.as_ref().map(|(_, folder)| folder.as_path());
    let folders: Vec<&Path> = of_state.into_iter().chain(control.as_ref().map(socket::Bound::folder)).collect();
    let query_log = sources.settings.query_log.path().map(Path::to_owned);
    if let Some(Err(error)) = query_log.as_deref().map(query_log::make) {
        let path = query_log.as_deref().unwrap_or(Path::new("")).display();
        warn!("query-log.file: {path} cannot be made: {error}");
    }
    // A device or a pipe stays whose it is.
    let made = query_log.as_deref().filter(|path| path.symlink_metadata().is_ok_and(|of| of.is_file()));
    let given: Vec<&Path> = of_state.into_iter().chain(control.as_ref().map(socket::Bound::given)).chain(made).collect();
    let in_force = confine(&serve_as, &sources, &folders, &given).map_err(RunError::Privileges)?;
    let state = state.filter(|(_, folder)| is_still_usable(folder, sources.settings.server.user.as_deref()));
    let CacheSettings { persist, save_interval_s, .. } = sources.settings.cache;
    let keeping = state.as_ref().filter(|_| persist).map(|(_, folder)| Keeping::within(folder, save_interval_s));
    let life = Arc::new(Life::new(&sources, &ports.addrs, in_force.to_string()));
    let options = sources.read_again(options);
    let zones = zones_told(sources.zones.len(), sources.broken_zones.len());
    let engine = build(sources, &ports.addrs, limits).map_err(RunError::Engine)?;
    pages::give_back_now();
    let outcome = runtime.block_on(async {
        let (order, orders) = mpsc::channel(ORDERS_WAITING_MAX);
        order_by_signals(harmless.hang_up, order.clone()).map_err(RunError::System)?;
        web::serve(web, engine.clone(), password);
        let control = control.and_then(|bound| socket::serve(bound, engine.clone(), Control { life: life.clone(), order }));
        tokio::spawn(watch_network(engine.clone()));
        serve(Server { engine, life, options, limits }, ports, control, keeping, &zones, orders).await
    });
    // A reload that is still reading files must not delay the stop.
    runtime.shutdown_background();
    outcome
}

/// The user that the server has become may not reach what root has made.
fn is_still_usable(folder: &Path, user: Option<&str>) -> bool {
    let usable = state::usable(folder, user);
    if let Err(error) = &usable {
        warn!("cache and trust state are not kept over a restart: {} cannot be used: {error}", folder.display());
    }
    usable.is_ok()
}

/// Changes come in bursts: a link, then its addresses, then its routes.
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

/// Signals that would end a process that has no ear for them.
struct Harmless {
    hang_up: Signal,
}

impl Harmless {
    fn listen() -> io::Result<Harmless> {
        // Once listened for, a signal never again has its default effect in this process.
        let _ = signal(SignalKind::user_defined1())?;
        let _ = signal(SignalKind::user_defined2())?;
        Ok(Harmless { hang_up: signal(SignalKind::hangup())? })
    }
}

/// For commands other than the server: whoever signals all processes called `cairn` means the server.
pub fn ignore_signals_for_the_server() {
    if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() {
        let _inside = runtime.enter();
        let _ = Harmless::listen();
    }
}

/// For a command that must not be ended half-way.
pub fn ignore_signals_that_end() {
    if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() {
        let _inside = runtime.enter();
        let _ = [SignalKind::hangup(), SignalKind::interrupt(), SignalKind::terminate()].map(signal);
    }
}

fn order_by_signals(mut hang_up: Signal, order: mpsc::Sender<Order>) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        loop {
            let next = tokio::select! {
                biased;
                _ = terminate.recv() => Order::Stop,
                _ = interrupt.recv() => Order::Stop,
                _ = hang_up.recv() => Order::Reload(None),
            };
            if order.send(next).await.is_err() {
                return;
            }
        }
    });
    Ok(())
}

/// What runs, and what it was started with.
#[derive(Clone)]
struct Server {
    engine: Arc<dyn Engine>,
    life: Arc<Life>,
    options: StartOptions,
    limits: Limits,
}

/// Runs the workers and carries out orders.
///
/// The control socket is held until the stop begins, so that no command reaches a server that is stopping.
async fn serve(
    server: Server,
    ports: Ports,
    control: Option<socket::Serving>,
    keeping: Option<Keeping>,
    zones: &str,
    mut orders: mpsc::Receiver<Order>,
) -> Result<(), RunError> {
    let Server { engine, limits, .. } = &server;
    let worker_count = ports.workers.len();
    let Workers { stop, mut ended, ended_sender, changes } = start_workers(engine, ports.workers).map_err(RunError::System)?;
    let mut encrypted = EncryptedListening::new(engine.clone(), worker_count, stop.subscribe(), ended_sender);
    for (at, listeners) in ports.encrypted {
        encrypted.open(at, listeners).map_err(RunError::System)?;
    }
    announce_ready(&ports.addrs, worker_count);
    announce_encrypted(encrypted.addrs());
    engine.serves_encrypted(encrypted.addrs());
    server.life.serves_encrypted(encrypted.addrs());
    let manager = ServiceManager::from_environment();
    manager.ready(&format!("serving on {}; {zones}", listed(&ports.addrs)));
    let mut listening = Listening::new(ports.addrs, changes, limits.socket_receive_bytes);
    listening.encrypted = Some(encrypted);
    let listening = Arc::new(Mutex::new(listening));
    let keeper = keeping.and_then(|keeping| Keeper::start(engine.clone(), keeping));
    let mut reload: Option<JoinHandle<String>> = None;
    // Whoever waits for the next reload; signals ask for one too, and wait for nothing.
    let (mut is_asked_for, mut replies): (bool, Vec<Reply>) = (false, Vec::new());
    let mut watchdog = watchdog_interval().map(|interval| tokio::time::interval(interval / 2));
    let outcome = loop {
        tokio::select! {
            biased;
            order = orders.recv() => match order {
                Some(Order::Reload(reply)) => {
                    is_asked_for = true;
                    replies.extend(reply);
                }
                Some(Order::Stop) | None => break Ok(()),
            },
            worker = ended.recv() => break Err(RunError::WorkerEnded(worker.unwrap_or(0))),
            status = finished(&mut reload) => {
                reload = None;
                manager.ready(&status.unwrap_or_else(|| "the last reload failed".to_owned()));
            }
            () = due(&mut watchdog) => {
                if engine.are_workers_alive() {
                    manager.alive();
                }
            }
        }
        if is_asked_for && reload.is_none() {
            manager.reloading();
            is_asked_for = false;
            reload = Some(tokio::spawn(reload_once(server.clone(), listening.clone(), std::mem::take(&mut replies))));
        }
    };
    info!("stopping");
    manager.stopping();
    drop(control);
    if let Some(keeper) = keeper.filter(|_| outcome.is_ok()) {
        // The workers continue meanwhile. A second signal stops at once.
        keeper.stop(stop_ordered(&mut orders)).await;
    }
    let _ = stop.send(true);
    // Each worker's end drops its sender; the channel closes when the last one is gone. A reload that is still under way holds one
    // too.
    if let Ok(mut listening) = listening.try_lock() {
        listening.encrypted = None;
    }
    let all_gone = async { while ended.recv().await.is_some() {} };
    if tokio::time::timeout(Duration::from_millis(limits.stop_ms), all_gone).await.is_err() {
        warn!("stopped before all answers in progress were sent");
    }
    let writing = engine.clone();
    let _ = tokio::task::spawn_blocking(move || writing.finish()).await;
    outcome
}

/// The next time that the service manager is to hear of us; never where none listens.
async fn due(watchdog: &mut Option<tokio::time::Interval>) {
    match watchdog {
        Some(interval) => {
            interval.tick().await;
        }
        None => std::future::pending().await,
    }
}

async fn stop_ordered(orders: &mut mpsc::Receiver<Order>) {
    while let Some(Order::Reload(_)) = orders.recv().await {}
}

/// Waits for a reload under way and its status line; for ever if there is none.
async fn finished(reload: &mut Option<JoinHandle<String>>) -> Option<String> {
    match reload {
        Some(task) => task.await.map_err(|failure| error!(%failure, "the reload failed; the running configuration is unchanged")).ok(),
        None => std::future::pending().await,
    }
}

/// Reads all files, takes over what they say, and tells how that went: to the log, and to whoever asked. Returns the
/// server's status in one line.
async fn reload_once(server: Server, listening: Arc<Mutex<Listening>>, replies: Vec<Reply>) -> String {
    let Server { engine, life, options, .. } = server;
    let read = tokio::task::spawn_blocking(move || {
        let _ = priority::give_way();
        // A large zone takes long to read, and nobody waits for it.
        priority::aside(|| Sources::read(&options))
    });
    let read = read.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
    let (report, status) = match read {
        Ok(sources) => take_over(engine, &life, sources, &mut *listening.lock().await).await,
        Err(problems) => {
            let mut lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            lines.push("not reloaded: the running configuration and zones are unchanged".to_owned());
            let status = format!("not reloaded: {}", lines[0]);
            (ReloadReport { good: false, lines }, status)
        }
    };
    life.reloaded(&report);
    for line in &report.lines {
        match report.good {
            true => info!(event = "reload", "{line}"),
            false => error!(event = "reload", "{line}"),
        }
    }
    for reply in replies {
        report.lines.iter().for_each(|line| {
            reply.line(json!({ "line": line }));
        });
        reply.line(json!({ "good": report.good }));
    }
    status
}

async fn take_over(engine: Arc<dyn Engine>, life: &Life, sources: Sources, listening: &mut Listening) -> (ReloadReport, String) {
    logs::change(&sources.settings.log);
    log_warnings(&sources);
    let changed = match sources.settings.server.listen == life.listen_in_force() && sources.settings.server.listen.is_none() {
        // Nobody asked for an address, then and now: where it listens was found out.
        true => Changed::default(),
        false => listening.change_to(&sources.settings.server.listen_addrs()).await,
    };
    let mut lines: Vec<String> = changed.opened.iter().map(|addr| format!("serving on {addr} as well")).collect();
    lines.extend(changed.closed.iter().map(|addr| format!("no longer serving on {addr}")));
    lines.extend(changed.failed.iter().map(|error| format!("not serving on {}: {error}", error.addr)));
    let waiting = life.after_restart(&sources.settings).into_iter();
    lines.extend(waiting.map(|key| format!("{}: in force: {}, after a restart: {}", key.key, key.in_force, key.after_restart)));
    lines.extend(sources.unusable_files.iter().map(|problem| format!("not read: {problem}")));
    let problems: Vec<String> =
        sources.broken_zones.iter().flat_map(|zone| zone.problems.iter().skip(1)).map(ToString::to_string).collect();
    let is_whole = sources.broken_zones.is_empty() && sources.unusable_files.is_empty();
    let zones = zones_told(sources.zones.len(), sources.broken_zones.len());
    life.took_over(&sources, listening.addrs());
    let addrs = listening.addrs().to_vec();
    let wanted = encrypted::wanted(&sources.settings.server);
    let reloading = engine.clone();
    let swapped = tokio::task::spawn_blocking(move || {
        let _ = priority::give_way();
        reloading.reload(sources, &addrs)
    });
    let swapped = swapped.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
    lines.extend(swapped.broken.iter().map(ToString::to_string).chain(problems));
    lines.extend(swapped.warnings);
    let is_whole = is_whole && swapped.unread_lists.is_empty();
    lines.extend(swapped.unread_lists);
    let mut is_listening = changed.failed.is_empty();
    if let Some(encrypted) = &mut listening.encrypted {
        // After the certificate is in force.
        let changed = encrypted.change_to(&wanted).await;
        lines.extend(changed.opened.iter().map(|at| format!("serving {} on {} as well", at.over.name(), at.addr)));
        lines.extend(changed.closed.iter().map(|at| format!("no longer serving {} on {}", at.over.name(), at.addr)));
        lines.extend(changed.failed.iter().map(|error| format!("not serving on {}: {error}", error.addr)));
        is_listening &= changed.failed.is_empty();
        life.serves_encrypted(encrypted.addrs());
        engine.serves_encrypted(encrypted.addrs());
    }
    lines.push(format!("reloaded: {zones}"));
    let status = format!("serving on {}; {zones}", listed(listening.addrs()));
    (ReloadReport { good: is_whole && is_listening, lines }, status)
}

fn zones_told(loaded: usize, broken: usize) -> String {
    let zones = format!("{loaded} zone{}", if loaded == 1 { "" } else { "s" });
    if broken == 0 { zones } else { format!("{zones}, and {broken} that cannot be read") }
}

/// The running workers, and how they are told and heard of.
struct Workers {
    stop: watch::Sender<bool>,
    ended: mpsc::UnboundedReceiver<usize>,
    /// For further threads whose end is told of in the same way.
    ended_sender: mpsc::UnboundedSender<usize>,
    changes: Vec<mpsc::UnboundedSender<SocketChange<UdpSocket, TcpListener>>>,
}

fn start_workers(engine: &Arc<dyn Engine>, sockets: Vec<WorkerSockets>) -> io::Result<Workers> {
    let (stop, stopped) = watch::channel(false);
    let (ended_sender, ended) = mpsc::unbounded_channel();
    let mut changes = Vec::new();
    for (worker, sockets) in sockets.into_iter().enumerate() {
        let (engine, stopped, at_end) = (engine.clone(), stopped.clone(), AtEnd { worker, sender: ended_sender.clone() });
        let (sender, changed) = mpsc::unbounded_channel();
        changes.push(sender);
        thread::Builder::new().name(format!("cairn-{worker}")).spawn(move || {
            let _at_end = at_end;
            engine.work(worker, sockets, changed, stopped);
        })?;
    }
    Ok(Workers { stop, ended, ended_sender, changes })
}

/// Tells the control thread that a worker has ended, even by a panic.
struct AtEnd {
    worker: usize,
    sender: mpsc::UnboundedSender<usize>,
}

impl Drop for AtEnd {
    fn drop(&mut self) {
        // Fails only if the control thread is already gone.
        let _ = self.sender.send(self.worker);
    }
}

fn announce(sources: &Sources, ports: &Ports) {
    match &sources.config_file {
        Some(file) => info!("configuration: {}", file.display()),
        None => info!("configuration: none, the defaults are used"),
    }
    announce_zones(&sources.zones);
    log_broken_zones(sources);
    log_warnings(sources);
    for note in sources.notes.iter().chain(&ports.notes) {
        for line in note.lines() {
            warn!("{line}");
        }
    }
}

/// Each zone, where they are few; else one line, and each at the level `debug`.
fn announce_zones(zones: &[LoadedZone]) {
    let are_few = zones.len() <= START_ZONES_MAX;
    if !are_few {
        let (count, records) = (zones.len(), zones.iter().map(|loaded| loaded.zone.record_count()).sum::<usize>());
        info!(event = "zones-loaded", count, "{count} zones loaded, {records} records; `cairn status --json` shows each");
    }
    for LoadedZone { file, zone } in zones {
        let (name, file, serial, records) = (&file.name, file.path.display(), zone.serial(), zone.record_count());
        if are_few {
            info!(event = "zone-loaded", zone = %name, "zone {name} from {file}: serial {serial}, {records} records");
        } else {
            debug!(event = "zone-loaded", zone = %name, "zone {name} from {file}: serial {serial}, {records} records");
        }
    }
}

/// Logs every mistake in zones that are not served, or that are served as they were read last.
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

/// A zone with very many warnings must not hide everything else.
fn log_warnings(sources: &Sources) {
    for warning in sources.warnings.iter().take(START_WARNINGS_MAX) {
        warn!("{warning}");
    }
    if let Some(more) = sources.warnings.len().checked_sub(START_WARNINGS_MAX).filter(|more| *more > 0) {
        warn!("and {more} more warnings; `cairn check` shows all of them");
    }
}

fn announce_ready(addrs: &[SocketAddr], workers: usize) {
    info!("serving on {} over UDP and TCP, {workers} worker{}", listed(addrs), if workers == 1 { "" } else { "s" });
}

fn announce_encrypted(addrs: &[EncryptedAddr]) {
    for at in addrs {
        info!("serving {} on {}", at.over.name(), at.addr);
    }
}

fn listed(addrs: &[SocketAddr]) -> String {
    addrs.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
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
            RunError::Privileges(reason) | RunError::Engine(reason) | RunError::Web(reason) => f.write_str(reason),
            RunError::System(error) => write!(f, "system error: {error}"),
            RunError::WorkerEnded(worker) => write!(f, "worker {worker} ended unexpectedly"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::engine::Swapped;
    use super::super::engine::testing::Idle;
    use super::super::scratch::Scratch;
    use super::*;
    use std::sync::atomic::Ordering;
    use std::sync::mpsc::sync_channel;

    fn server(engine: Arc<dyn Engine>, options: StartOptions) -> Server {
        let sources = Sources::read(&options).expect("all is right");
        Server { engine, life: Arc::new(Life::new(&sources, &[], String::new())), options, limits: Limits::default() }
    }

    fn in_runtime<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
    }

    fn serve_idle(engine: Arc<Idle>, options: StartOptions, orders: mpsc::Receiver<Order>) -> Result<(), RunError> {
        let sockets = (0..2).map(|_| WorkerSockets::default()).collect();
        let ports = Ports { workers: sockets, addrs: Vec::new(), encrypted: Vec::new(), notes: Vec::new() };
        in_runtime(serve(server(engine, options), ports, None, None, "", orders))
    }

    /// Reloads once; what whoever asked is told.
    fn reloaded(server: &Server) -> Vec<String> {
        let (sender, mut lines) = mpsc::channel(100);
        let listening = Arc::new(Mutex::new(Listening::new(Vec::new(), Vec::new(), 0)));
        in_runtime(reload_once(server.clone(), listening, vec![Reply(sender)]));
        std::iter::from_fn(|| lines.try_recv().ok())
            .map(|line| line["line"].as_str().map_or_else(|| line.to_string(), str::to_owned))
            .collect()
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
        let server = thread::spawn(move || serve_idle(server, reloaded, orders));
        (0..2).for_each(|_| events.recv().expect("a worker starts"));
        order.blocking_send(Order::Reload(None)).expect("it listens");
        events.recv().expect("a good file is swapped in");
        assert_eq!(engine.reloads.load(Ordering::SeqCst), 1);
        order.blocking_send(Order::Stop).expect("it listens");
        server.join().expect("no panic").expect("an orderly stop is no failure");
    }

    #[test]
    fn a_reload_tells_how_it_went() {
        const ZONE: &str = "$TTL 1h\n@ SOA ns hostmaster 1 1d 2h 4w 1h\n@ NS ns\nns A 192.0.2.1\n";
        let scratch = Scratch::new();
        let config = scratch.write("cairn.toml", "[server]\nworkers = 2\n");
        scratch.write("zones/a.example.zone", ZONE);
        let engine = Arc::new(Idle::default());
        let options = StartOptions { config: Some(config.clone()), ..StartOptions::default() };
        let server = server(engine.clone(), options);
        assert_eq!(reloaded(&server), ["reloaded: 1 zone", "{\"good\":true}"]);
        scratch.write("cairn.toml", "[server]\nworkers = 4\nallow = ['10.0.0.0/8']\n");
        scratch.write("zones/d..e.zone", ZONE);
        let told = reloaded(&server);
        assert_eq!(told[0], "server.workers: in force: 2, after a restart: 4");
        assert!(told[1].starts_with("not read: ") && told[1].contains("d..e.zone"), "{told:?}");
        assert_eq!(told[2..], ["reloaded: 1 zone", "{\"good\":false}"]);
        assert_eq!(engine.reloads.load(Ordering::SeqCst), 2);
        scratch.write("cairn.toml", "[server]\nworkers = 0\n");
        let told = reloaded(&server);
        assert!(told[0].contains("cairn.toml:2:11: server.workers"), "{told:?}");
        assert_eq!(told[1..], ["not reloaded: the running configuration and zones are unchanged", "{\"good\":false}"]);
        let status = server.life.status(serde_json::Map::new());
        assert_eq!(status["last-reload"]["good"], false);
        assert_eq!(status["after-restart"][0]["key"], "server.workers");
        assert_eq!(engine.reloads.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn a_reload_without_one_of_its_lists_is_not_good() {
        let scratch = Scratch::new();
        scratch.write("zones/notes", "");
        let options = StartOptions { config: Some(scratch.write("cairn.toml", "")), ..StartOptions::default() };
        let of = |swapped| reloaded(&server(Arc::new(Idle { swapped, ..Idle::default() }), options.clone()));
        let (unread, fetched) = ("list far: it is not read".to_owned(), "list web: not fetched yet".to_owned());
        assert_eq!(
            of(Swapped { warnings: vec![fetched.clone()], ..Swapped::default() }),
            [&fetched, "reloaded: 0 zones", "{\"good\":true}"]
        );
        assert_eq!(
            of(Swapped { unread_lists: vec![unread.clone()], ..Swapped::default() }),
            [&unread, "reloaded: 0 zones", "{\"good\":false}"]
        );
    }

    /// What was read at the start and is gone at a reload is no wish for the defaults.
    #[test]
    fn files_that_have_gone_are_a_mistake() {
        let scratch = Scratch::new();
        let config = scratch.write("cairn.toml", "");
        scratch.write("zones/notes", "");
        let options = StartOptions { config: Some(config.clone()), ..StartOptions::default() };
        let first = Sources::read(&options).expect("all is right");
        let server = server(Arc::new(Idle::default()), first.read_again(&options));
        std::fs::remove_dir_all(scratch.path().join("zones")).expect("it is there");
        assert!(
            reloaded(&server)[0]
                .ends_with("zones: this folder of zone files was there before, and is not now; make an empty one to serve no zone")
        );
        std::fs::remove_file(config).expect("it is there");
        assert!(reloaded(&server)[0].ends_with("cairn.toml: there is no such file or folder"));
    }

    #[test]
    fn a_worker_that_fails_ends_the_server() {
        let engine = Arc::new(Idle { fails: true, ..Idle::default() });
        let (_order, orders) = mpsc::channel(1);
        let scratch = Scratch::new();
        let config = Some(scratch.write("cairn.toml", ""));
        let outcome = serve_idle(engine, StartOptions { config, ..StartOptions::default() }, orders);
        assert!(matches!(outcome, Err(RunError::WorkerEnded(_))), "{outcome:?}");
    }
}
