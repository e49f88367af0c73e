//! The engine in service, and one query explained in this process.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;
use serde_json::{Map, Value, json};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::LocalSet;

use super::busy_time::BusyTime;
use super::command::{Command, Opened, Reply};
use super::encrypted::{self, CertificateKeeper};
use super::engine::{BrokenZoneServed, Engine, Entries, ListEntry, Swapped, ZoneEntry};
use super::hosting::{Changing, Hosting, Order, RealDisk, Versions, made_catalogs};
use super::lists::ListKeeper;
use super::load::{CertificateFiles, LoadedZone, Sources};
use super::ports::WorkerSockets;
use super::records;
use super::resident::resident_bytes;
use super::serials::unraised_serials;
use super::signing::{self, Signing, not_signed};
use super::tap_reader::TapReader;
use super::views::{ViewKeeper, moment_at};
use super::web::is_ready;
use super::{cache_file, dnstap, notify, pages, passed_file, priority, query_log, rlimit, state, trust};
use crate::answer::{Explain, Explained, Parts, RecentFailure, Service, Worker};
use crate::cache::{Cache, Family, FamilyStanding, LoadError, Loaded};
use crate::config::{DnstapSettings, QueryLogSettings, ZoneSettings};
use crate::env::{Clock, NetworkChange, Random, RealClock, RealNet, TimeZone};
use crate::explain::{self, Event, Line};
use crate::limits::Limits;
use crate::limits::server::TAP_READER_STOP_MAX;
use crate::listen::{
    self, Admission, Bounds, Encrypted, EncryptedAddr, Encryption, ListenerChanges, LiveBounds, SocketChanges, Sockets, Tls,
};
use crate::metrics::{self, Distribution, Row};
use crate::policy::{EncryptedService, ResponsePolicies, Rules};
use crate::record::Name;
use crate::zone::{Zone, ZoneWithoutData, Zones};

/// How soon after its last use a replaced configuration is freed.
const RETIRE_CHECK_EVERY: Duration = Duration::from_millis(100);

/// The engine of a server that listens on `addrs`.
pub fn build(mut sources: Sources, addrs: &[SocketAddr], limits: Limits) -> Result<Arc<dyn Engine>, String> {
    let workers = sources.settings.server.worker_count();
    let state_folder = sources.state_folder.clone();
    made_catalogs::add(&mut sources, state_folder.as_deref(), RealClock.wall());
    let zones = zone_states(&sources, &Zones::default());
    let zone_settings = sources.settings.zones.clone();
    let list_settings = sources.settings.lists.clone();
    let dnstap_settings = sources.settings.dnstap.clone();
    let query_log_settings = sources.settings.query_log.clone();
    let (view_settings, time_zone) = (sources.settings.views.clone(), sources.time_zone.clone().unwrap_or(TimeZone::UTC));
    let (certificate_files, certificate) = (CertificateFiles::of(&sources.settings), sources.certificate.take());
    let uris = encrypted::uris(&sources.settings.server);
    let signing = Arc::new(Signing::new(Arc::new(RealClock), state_folder.clone()));
    signing.configure(&zone_settings);
    let versions = Arc::new(Versions::new(Arc::new(RealDisk), state_folder.clone(), Some(signing.clone())));
    let mut changing = versions.change();
    changing.configure(&zone_settings);
    let service = service_of(sources, &mut changing, addrs, limits)?;
    service.restore_histories(changing.take_histories(|zone| !signing.signs(zone) && !versions.aliases.has(zone)));
    drop(changing);
    let admission = Admission {
        bounds: LiveBounds::new(Bounds::share(&limits, workers)),
        in_flight: service.in_flight.clone(),
        limit_log: service.limit_log.clone(),
    };
    let encrypted_admission = Admission { bounds: LiveBounds::new(Bounds::share_encrypted(&limits, workers)), ..admission.clone() };
    let seed = Random::from_system().map_err(|error| format!("no randomness from the system: {error}"))?.u64();
    let encryption = Encryption {
        tls: Tls::new(seed).map_err(|error| format!("TLS cannot be set up: {error}"))?,
        uris: Arc::new(ArcSwap::from_pointee(uris)),
        handshakes: LiveBounds::new(Bounds::share_handshakes(&limits, workers)),
    };
    let named = service.clone();
    let on_change = Box::new(move |name: Option<&Name>| named.set_certificate_name(name));
    let certificates = CertificateKeeper::new(encryption.tls.clone(), Arc::new(RealClock), on_change);
    certificates.configure(certificate_files, certificate);
    trust::restore(&service, state_folder.as_deref());
    let views = ViewKeeper::start(service.clone(), versions.clone(), Arc::new(RealClock), time_zone, &view_settings)?;
    let query_log = query_log::start(service.query_tap.clone(), Arc::new(RealClock), &query_log_settings)?;
    let dnstap = dnstap::start(service.message_tap.clone(), Arc::new(RealClock), &dnstap_settings)?;
    let lists = ListKeeper::start(service.clone(), versions.clone(), state_folder.clone(), &list_settings)?;
    let hosting = Hosting::start(service.clone(), versions.clone(), state_folder.clone(), zone_settings);
    let hosting = hosting.map_err(|error| format!("no thread for secondary zones: {error}"))?;
    let tell = hosting.teller();
    let tending = signing::tend(signing.clone(), versions, service.clone(), tell);
    let tending = tending.map_err(|error| format!("no thread for the signatures of zones: {error}"))?;
    let beats = (0..workers).map(|_| AtomicU64::new(0)).collect();
    let trust_changed =
        trust::keep(service.clone(), state_folder.clone()).map_err(|error| format!("no thread for the trust anchors: {error}"))?;
    Ok(Arc::new(Server {
        service,
        trust_changed,
        clock: Arc::new(RealClock),
        admission,
        encrypted_admission,
        encryption,
        certificates,
        generation: AtomicU64::new(1),
        zones: Mutex::new(zones),
        hosting,
        state_folder,
        signing,
        tending,
        lists,
        views,
        query_log,
        dnstap,
        busy: BusyTime::default(),
        beats,
    }))
}

/// The service with an empty cache.
pub(super) fn service_of(
    sources: Sources,
    changing: &mut Changing<'_>,
    addrs: &[SocketAddr],
    limits: Limits,
) -> Result<Arc<Service>, String> {
    let random = Random::from_system().map_err(|error| format!("no randomness from the system: {error}"))?;
    Ok(Service::new(parts(sources, changing, &Zones::default(), addrs, 1), limits, Arc::new(RealClock), &random))
}

/// Explains one query in this process, without a server.
pub fn explain(sources: Sources, query: &Explain, each: &mut dyn FnMut(Line)) -> Result<(), String> {
    let settings = sources.config_file.as_ref().map_or_else(|| "the default settings".to_owned(), |file| file.display().to_string());
    each(Line::new(Event::OwnProcess(explain::OwnProcess { settings })));
    let state_folder = state::place(&sources.settings.server);
    let limits = rlimit::limits(1, &sources.settings.limits);
    let time_zone = sources.time_zone.clone().unwrap_or(TimeZone::UTC);
    let service = service_of(sources, &mut Versions::new(Arc::new(RealDisk), None, None).change(), &[], limits)?;
    service.set_moment(moment_at(RealClock.wall(), &time_zone));
    trust::restore(&service, state_folder.as_deref());
    explain::lines(&walk(&service, query)?).into_iter().for_each(each);
    Ok(())
}

struct Server {
    service: Arc<Service>,
    /// Wakes the thread that saves trust anchors.
    trust_changed: Arc<Notify>,
    clock: Arc<dyn Clock>,
    admission: Admission,
    /// The same for encrypted transports.
    encrypted_admission: Admission,
    encryption: Encryption,
    certificates: Arc<CertificateKeeper>,
    /// Generation of the zones.
    generation: AtomicU64,
    /// As they were loaded, or could not be.
    zones: Mutex<Vec<ZoneState>>,
    /// Speaks with other servers of the zones.
    hosting: Hosting,
    /// Where what outlives a restart is kept.
    state_folder: Option<PathBuf>,
    /// Zones with `dnssec = true`.
    signing: Arc<Signing>,
    /// The thread that tends them.
    tending: mpsc::UnboundedSender<signing::Order>,
    /// Reads the lists of names.
    lists: ListKeeper,
    /// Looks at the clock for them.
    views: ViewKeeper,
    query_log: TapReader<QueryLogSettings>,
    dnstap: TapReader<DnstapSettings>,
    busy: BusyTime,
    /// Each worker counts on, where a service manager watches whether all are alive.
    beats: Arc<[AtomicU64]>,
}

/// A zone that this server is to serve, for `cairn status`.
struct ZoneState {
    name: Name,
    file: PathBuf,
    /// Serial and number of records of the data that is served; `None`: there is none.
    served: Option<(u32, usize)>,
    /// What is wrong with the file.
    problem: Option<String>,
    /// A catalog that is made here.
    is_made: bool,
}

/// `before`: the zones in force.
fn zone_states(sources: &Sources, before: &Zones) -> Vec<ZoneState> {
    let figures = |zone: &Zone| (zone.serial(), zone.record_count());
    let loaded = sources.zones.iter().map(|loaded| ZoneState {
        name: loaded.file.name.clone(),
        file: loaded.file.path.clone(),
        served: Some(figures(&loaded.zone)),
        problem: None,
        is_made: sources.settings.zones.iter().any(|zone| zone.is_made_catalog() && zone.name == loaded.file.name),
    });
    let broken = sources.broken_zones.iter().map(|broken| ZoneState {
        name: broken.name.clone(),
        file: broken.path.clone(),
        served: before.get(broken.name.as_wire()).map(|zone| figures(zone)),
        problem: broken.problems.first().map(ToString::to_string),
        is_made: false,
    });
    let mut states: Vec<ZoneState> = loaded.chain(broken).collect();
    states.sort_by(|one, other| one.name.cmp(&other.name));
    states
}

impl Engine for Server {
    fn work(&self, worker: usize, sockets: WorkerSockets, changes: SocketChanges, stop: watch::Receiver<bool>) {
        let sockets = Sockets { udp: sockets.udp, tcp: sockets.tcp };
        let (service, busy) = (self.service.clone(), &self.busy);
        let beats = self.beats.clone();
        let make = || {
            busy.is_of(worker.to_string());
            if let Some(interval) = notify::watchdog_interval() {
                tokio::task::spawn_local(beat(beats, worker, interval / 8));
            }
            Ok(Worker::new(service, Rc::new(RealNet::default()), Random::from_system()?))
        };
        if let Err(error) = listen::run_worker(make, sockets, changes, self.clock.clone(), self.admission.clone(), stop) {
            tracing::error!(%error, worker, "a worker could not start");
        }
    }

    fn work_encrypted(&self, thread: usize, changes: ListenerChanges, stop: watch::Receiver<bool>) {
        if let Err(error) = priority::stand_behind_workers() {
            tracing::debug!(%error, "TLS has the priority of workers");
        }
        let (service, busy) = (self.service.clone(), &self.busy);
        let make = || {
            busy.is_of(format!("encrypted-{thread}"));
            Ok(Worker::new(service, Rc::new(RealNet::default()), Random::from_system()?))
        };
        let (encryption, admission) = (self.encryption.clone(), self.encrypted_admission.clone());
        if let Err(error) = listen::run_encrypted(make, encryption, changes, self.clock.clone(), admission, stop) {
            tracing::error!(%error, thread, "a thread for encrypted transports could not start");
        }
    }

    fn reload(&self, mut sources: Sources, addrs: &[SocketAddr]) -> Swapped {
        let generation = self.generation.fetch_add(1, Ordering::Relaxed) + 1;
        made_catalogs::add(&mut sources, self.state_folder.as_deref(), self.clock.wall());
        let zone_settings = sources.settings.zones.clone();
        let list_settings = sources.settings.lists.clone();
        self.query_log.configure(&sources.settings.query_log);
        self.dnstap.configure(&sources.settings.dnstap);
        self.views.configure(sources.time_zone.clone().unwrap_or(TimeZone::UTC), &sources.settings.views);
        self.certificates.configure(CertificateFiles::of(&sources.settings), sources.certificate.take());
        self.encryption.uris.store(Arc::new(encrypted::uris(&sources.settings.server)));
        let mut changing = self.hosting.versions.change();
        self.signing.configure(&zone_settings);
        sources.settings.zones = changing.configure(&zone_settings);
        let before = self.service.snapshot().zones.clone();
        let broken = sources.broken_zones.iter().map(|broken| BrokenZoneServed {
            name: broken.name.clone(),
            why: broken.problems.first().map(ToString::to_string).unwrap_or_default(),
            serial: before.get(broken.name.as_wire()).map(|zone| zone.serial()),
        });
        let broken = broken.collect();
        let is_policy = |name: &Name| sources.settings.zones.iter().any(|zone| zone.is_policy && zone.name == *name);
        let aliases = &self.hosting.versions.aliases;
        let is_raised_here =
            |name: &Name| takes_updates(&sources, name) || self.signing.signs(name) || aliases.has(name) || is_policy(name);
        let mut warnings = unraised_serials(sources.zones.iter(), &before, is_raised_here);
        let zones = zone_states(&sources, &before);
        let limits = rlimit::limits(self.beats.len(), &sources.settings.limits);
        let held_back = sources.settings.limits.held_back(&limits);
        warnings.extend(held_back.iter().map(ToString::to_string));
        self.admission.bounds.set(Bounds::share(&limits, self.beats.len()));
        self.encrypted_admission.bounds.set(Bounds::share_encrypted(&limits, self.beats.len()));
        self.encryption.handshakes.set(Bounds::share_handshakes(&limits, self.beats.len()));
        let retired = self.service.reload_within(parts(sources, &mut changing, &before, addrs, generation), limits);
        drop(changing);
        let lists = self.lists.configure(&list_settings);
        warnings.extend(lists.of_urls);
        self.hosting.order(Order::Configured(zone_settings));
        let _ = self.tending.send(signing::Order::Look);
        *self.zones.lock().unwrap_or_else(PoisonError::into_inner) = zones;
        // That thread forgets data of names that changed hands a second time.
        self.trust_changed.notify_one();
        in_background("retire", move || {
            while !retired.is_unused() {
                thread::sleep(RETIRE_CHECK_EVERY);
            }
            drop(retired);
            pages::give_back_now();
        });
        Swapped { broken, warnings, unread_lists: lists.of_files }
    }

    fn serves_encrypted(&self, open: &[EncryptedAddr]) {
        let uris = self.encryption.uris.load_full();
        let service = |at: &EncryptedAddr| match at.over {
            Encrypted::Tls => EncryptedService::over_tls(at.addr),
            Encrypted::Https => EncryptedService::over_https(at.addr, uris.path.clone()),
        };
        self.service.set_encrypted_services(&open.iter().map(service).collect::<Vec<_>>());
    }

    fn status(&self) -> Map<String, Value> {
        let zones = self.zones.lock().unwrap_or_else(PoisonError::into_inner);
        let snapshot = self.service.snapshot();
        let of_files = zones.iter().map(|zone| (zone.name.clone(), zone.shown(&snapshot.zones, &self.hosting, &self.signing)));
        let mut zones: Vec<(Name, Value)> = of_files.chain(self.hosting.shown.lines(self.clock.boot())).collect();
        zones.sort_by(|one, other| one.0.cmp(&other.0));
        zones.iter_mut().for_each(|(name, shown)| show_rules(&snapshot.policies, name, shown));
        let zones: Vec<Value> = zones.into_iter().map(|(_, shown)| shown).collect();
        let (now, cache) = (self.clock.boot(), self.service.cache());
        let is_online = !self.service.resolve.is_offline();
        let family = |family: Family, configured: Option<bool>| match cache.servers().families().standing(family, now) {
            _ if configured == Some(false) => "off",
            // What worked before says nothing now.
            _ if !is_online => "unknown",
            FamilyStanding::Works => "works",
            FamilyStanding::Doubtful => "doubtful",
            FamilyStanding::Broken => "broken",
        };
        let recursion = &snapshot.routes.recursion;
        let interception: Vec<String> = self
            .service
            .resolve
            .interception()
            .iter()
            .map(|(server, how)| format!("the reply from {server} is not that of a root server, {how}"))
            .collect();
        let network = json!({
            "online": is_online,
            "interception": interception,
            "without-route": self.service.resolve.is_without_route(),
            "nat64-prefix": snapshot.routes.nat64_prefix.or_else(|| self.service.resolve.nat64_prefix()).map(|prefix| prefix.to_string()),
            "ipv4": family(Family::V4, recursion.ipv4),
            "ipv6": family(Family::V6, recursion.ipv6),
        });
        let stats = cache.stats();
        let cache = json!({
            "bytes": stats.bytes, "limit-bytes": cache.limits().bytes,
            "record-sets": stats.sets, "denials": stats.denials, "answers": stats.answers, "failures": stats.failures,
        });
        let blocked = snapshot.block_counts.rows();
        let mut lists = self.lists.status();
        for list in &mut lists {
            let count = blocked.iter().find(|(name, _)| list["name"] == **name).map_or(0, |(_, count)| *count);
            list["answers-blocked"] = json!(count);
        }
        [
            ("zones", json!(zones)),
            ("lists", json!(lists)),
            ("network", network),
            ("cache", cache),
            ("certificate", self.certificates.status()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into_iter()
        .collect()
    }

    fn stats(&self) -> Value {
        let mut rows = serde_json::Map::new();
        let mut put = |name: &str, value: u64| {
            let sum = rows.get(name).and_then(Value::as_u64).unwrap_or(0) + value;
            rows.insert(name.to_owned(), json!(sum));
        };
        let trust = trust::rows(&self.service).into_iter().map(|(name, value)| (name.to_owned(), value));
        for (name, value) in self.service.rows().into_iter().chain(trust) {
            put(&name, value);
        }
        let of = |name: &str| rows.get(name).and_then(Value::as_u64).unwrap_or(0) as f64;
        let (hits, asked) = (of("cache-hits"), of("cache-hits") + of("cache-misses"));
        if asked > 0.0 {
            rows.insert("cache-hit-ratio".to_owned(), json!(hits / asked));
        }
        rows.extend(self.service.latencies().into_iter().map(|(name, value)| (name, json!(value))));
        Value::Object(rows)
    }

    fn failing(&self) -> Vec<Value> {
        let now = self.clock.boot();
        let shown = |failure: Arc<RecentFailure>| {
            json!({
                "name": failure.question.name.to_string(), "type": failure.question.rtype.to_string(),
                "ede": failure.reason.as_ref().map(|ede| ede.code.0), "meaning": failure.reason.as_ref().map(|ede| ede.code.meaning()),
                "reason": failure.reason.as_ref().map(|ede| &ede.text), "count": failure.count,
                "first-ago": now.since(failure.first).as_secs(), "last-ago": now.since(failure.last).as_secs(),
            })
        };
        self.service.failures.all().into_iter().map(shown).collect()
    }

    fn measured(&self) -> (Vec<Row>, Vec<Distribution>) {
        let mut rows = self.service.metrics.rows();
        rows.extend(self.service.state());
        let left_out = |name, help, value| Row { name, help, kind: metrics::Kind::Counter, labels: Vec::new(), value };
        rows.extend(self.busy.rows());
        rows.extend(resident_bytes().map(|bytes| Row {
            name: "memory-resident-bytes",
            help: "Memory of this process that the kernel holds for it now",
            kind: metrics::Kind::Gauge,
            labels: Vec::new(),
            value: bytes,
        }));
        rows.push(left_out("query-log-dropped", "Answered queries that the query log had no room for", self.query_log.left_out()));
        rows.push(left_out("dnstap-dropped", "Messages that dnstap had no room for", self.dnstap.left_out()));
        (rows, self.service.metrics.histograms())
    }

    fn entries(&self, zones_max: usize) -> Entries {
        let snapshot = self.service.snapshot();
        let zones = self.zones.lock().unwrap_or_else(PoisonError::into_inner);
        let of_files = zones.iter().take(zones_max).map(|zone| (zone.name.clone(), zone.figures(&snapshot.zones)));
        let mut zones: Vec<(Name, Option<(u32, usize)>)> = of_files.chain(self.hosting.shown.served(zones_max)).collect();
        zones.sort_by(|one, other| one.0.cmp(&other.0));
        zones.truncate(zones_max);
        let blocked = snapshot.block_counts.rows();
        let answers_blocked = |list: &str| blocked.iter().find(|(name, _)| **name == *list).map_or(0, |(_, count)| *count);
        let lists = self.lists.figures().into_iter().map(|(name, names, lines_skipped)| {
            let answers_blocked = answers_blocked(&name);
            ListEntry { name, names, lines_skipped, answers_blocked }
        });
        Entries {
            zones: zones.into_iter().map(|(name, served)| ZoneEntry { name: name.to_string(), served }).collect(),
            lists: lists.collect(),
            certificate_ends: self.certificates.ends().map(|at| at.0),
        }
    }

    fn finish(&self) {
        self.query_log.end();
        self.dnstap.end();
        let until = self.clock.boot() + TAP_READER_STOP_MAX;
        self.query_log.ended_within(TAP_READER_STOP_MAX);
        self.dnstap.ended_within(until.since(self.clock.boot()));
    }

    fn is_ready(&self) -> Result<(), &'static str> {
        is_ready(&self.service)
    }

    fn are_workers_alive(&self) -> bool {
        // Each has to count again before the next time.
        let beats: Vec<u64> = self.beats.iter().map(|beats| beats.swap(0, Ordering::Relaxed)).collect();
        beats.iter().all(|beats| *beats > 0)
    }

    fn network_changed(&self, change: NetworkChange) {
        self.service.network_changed(change == NetworkChange::Connectivity);
        self.lists.network_changed();
    }

    fn command(&self, command: Command, reply: Reply) {
        match command {
            Command::Explain(query) => {
                let (service, placing) = (self.service.clone(), self.lists.placing(query.client, query.at));
                let source = explain::Server { process: std::process::id(), cached_sets: service.cache().stats().sets };
                reply.line(json!(Line::new(Event::Server(source))));
                // A walk waits, which the control thread must not do.
                let spawned = thread::Builder::new().name("explain".to_owned()).spawn(move || match walk(&service, &query) {
                    Ok(explained) => explain::lines(&explained).into_iter().all(|mut line| {
                        placing(&mut line.event);
                        reply.line_blocking(json!(line))
                    }),
                    Err(error) => {
                        reply.error(error);
                        false
                    }
                });
                if let Err(error) = spawned {
                    tracing::warn!(%error, "could not start a thread for an explanation");
                }
            }
            Command::Flush { name, subtree } => {
                let count = self.flush(&name, subtree);
                reply.line(json!({ "flushed": count, "name": name.to_string() }));
            }
            Command::Dump => {
                let (service, now) = (self.service.clone(), self.clock.boot());
                let spawned = thread::Builder::new().name("dump".to_owned()).spawn(move || {
                    let mut wanted = true;
                    service.cache().dump(now, |entry| {
                        wanted = wanted && records::dumped(&entry).into_iter().all(|line| reply.line_blocking(json!({ "line": line })));
                    });
                });
                if let Err(error) = spawned {
                    tracing::warn!(%error, "could not start a thread for a dump of the cache");
                }
            }
            Command::Save { file, opened } => self.beside("save", move |service| match save(service.cache(), &file, opened) {
                Ok(count) => reply.line(json!({ "saved": count, "file": file.display().to_string() })),
                Err(error) => reply.error(format!("{}: {error}", file.display())),
            }),
            Command::Load { file, opened } => self.beside("load", move |service| match load(service.cache(), &file, opened) {
                Ok(loaded) => reply.line(json!({ "line": cache_file::told(&loaded) })),
                Err(error) => reply.error(format!("{}: {error}", file.display())),
            }),
            Command::Stats => {
                reply.line(self.stats());
            }
            Command::Status | Command::Settings | Command::Reload => {
                reply.error("this is answered by whoever runs the engine");
            }
            Command::Trust => trust::anchor_lines(&self.service).into_iter().for_each(|line| {
                reply.line(line);
            }),
            Command::NegativeList => trust::negative_lines(&self.service).into_iter().for_each(|line| {
                reply.line(line);
            }),
            Command::NegativeAdd { name, seconds } => match trust::add_negative(&self.service, &name, seconds) {
                Ok(negative) => {
                    tracing::info!("negative trust anchor set: no DNSSEC validation at and below {negative}");
                    reply.line(json!({ "line": format!("signatures are not checked at and below {negative}") }));
                    self.trust_changed.notify_one();
                }
                Err(what) => {
                    reply.error(what);
                }
            },
            Command::NegativeRemove { name } => match self.service.resolve.remove_negative_anchor(&name) {
                true => {
                    tracing::info!("negative trust anchor removed: DNSSEC validation again at and below {name}");
                    reply.line(json!({ "line": format!("signatures are checked again at and below {name}") }));
                    self.trust_changed.notify_one();
                }
                false => {
                    reply
                        .error(format!("no negative trust anchor was set for {name} while running; `cairn trust negative list` shows all"));
                }
            },
            Command::ZoneRetransfer { name } => {
                self.hosting.order(Order::Retransfer(name, reply));
            }
            Command::ZoneSignStatus { name } => {
                match self.signing.status(&name) {
                    Some(status) => reply.line(status),
                    None => reply.error(not_signed(&name)),
                };
            }
            Command::ZoneSignRoll { name, what } => {
                if let Err(refused) = self.tending.send(signing::Order::Roll { zone: name, what, reply })
                    && let signing::Order::Roll { reply, .. } = refused.0
                {
                    reply.error("the thread that tends signed zones has ended");
                }
            }
            Command::ListStatus => self.views.status().into_iter().chain(self.lists.status()).for_each(|line| {
                reply.line(line);
            }),
            Command::ListPause { view, length } => self.views.pause(view, length, reply),
            Command::ListResume { view } => self.views.resume(view, reply),
            Command::ListUpdate { name, accept } => self.lists.update(name, accept, reply),
            Command::ListWhich { name, rtype, client, at } => {
                let which = self.lists.which(&name, rtype, client, at);
                in_background("which", move || {
                    reply.line_blocking(which());
                });
            }
            Command::ZoneNotify { name } => {
                self.hosting.order(Order::Notify(name, reply));
            }
        }
    }

    fn cache(&self) -> Option<&Cache> {
        Some(self.service.cache())
    }
}

impl Server {
    fn beside(&self, name: &'static str, work: impl FnOnce(&Service) -> bool + Send + 'static) {
        let service = self.service.clone();
        in_background(name, move || {
            work(&service);
        });
    }

    fn flush(&self, name: &Name, subtree: bool) -> usize {
        self.service.forget(name, subtree)
    }
}

impl ZoneState {
    /// Serial and number of records of the data that is served.
    fn figures(&self, zones: &Zones) -> Option<(u32, usize)> {
        self.served.and_then(|_| zones.get(self.name.as_wire())).map(|zone| (zone.serial(), zone.record_count()))
    }

    /// `zones`: those in force. An update may have changed the zone since its file was read.
    fn shown(&self, zones: &Zones, hosting: &Hosting, signing: &Signing) -> Value {
        let journal = hosting.shown.primary(&self.name);
        let served = self.figures(zones);
        // A file with mistakes that was noticed since.
        let problem = self.problem.clone().or_else(|| journal.why_unwritten.clone().filter(|_| !journal.is_unwritten));
        let state = match (served, &problem) {
            (Some(_), None) => "served",
            (Some(_), Some(_)) => "served-as-read-before",
            (None, _) => "not-served",
        };
        let (serial, records) = served.unzip();
        json!({
            "name": self.name.to_string(), "role": "primary", "state": state, "serial": serial, "records": records,
            // Whole: whoever reads it is in another folder.
            "file": std::path::absolute(&self.file).unwrap_or_else(|_| self.file.clone()).display().to_string(),
            "made": self.is_made, "signed-file": signing.copy_path(&self.name).map(|path| path.display().to_string()),
            "alias": hosting.versions.aliases.shown(&self.name), "signing-problem": signing.status(&self.name).map(|status| status["problem"].clone()), "problem": problem, "unwritten": journal.is_unwritten,
            "unwritten-because": journal.why_unwritten.clone().filter(|_| journal.is_unwritten),
        })
    }
}

/// Adds what a zone holds as a response policy zone.
fn show_rules(policies: &ResponsePolicies, name: &Name, shown: &mut Value) {
    let Some(rules) = policies.zones().iter().find(|policy| policy.name == *name).map(|policy| policy.rules.as_deref()) else { return };
    shown["rules"] = json!(rules.map_or(0, Rules::count));
    shown["skipped"] = json!(rules.map_or(0, |rules| rules.skipped().count));
    shown["skipped-examples"] = json!(rules.map_or(&[][..], |rules| &rules.skipped().examples));
}

async fn beat(beats: Arc<[AtomicU64]>, worker: usize, interval: Duration) {
    loop {
        if let Some(beats) = beats.get(worker) {
            beats.fetch_add(1, Ordering::Relaxed);
        }
        tokio::time::sleep(interval).await;
    }
}

fn save(cache: &Cache, file: &Path, opened: Option<Opened>) -> io::Result<usize> {
    match opened {
        Some(opened) => cache_file::save_into(cache, &mut &*opened.0, &|| false),
        None => cache_file::save(cache, file, &|| false),
    }
}

fn load(cache: &Cache, file: &Path, opened: Option<Opened>) -> Result<Loaded, LoadError> {
    match opened {
        Some(opened) => cache_file::load_brought(cache, &*opened.0),
        None => cache_file::load_brought(cache, passed_file::open(file)?),
    }
}

/// Runs long, unhurried work on a thread of its own.
fn in_background(name: &'static str, work: impl FnOnce() + Send + 'static) {
    let spawned = thread::Builder::new().name(name.to_owned()).spawn(|| {
        let _ = priority::give_way();
        work();
    });
    if let Err(error) = spawned {
        tracing::warn!(%error, name, "could not start a thread for work in the background");
    }
}

/// Whether updates change the zone: its serial is raised here then.
fn takes_updates(sources: &Sources, zone: &Name) -> bool {
    sources.settings.zones.iter().any(|settings| settings.name == *zone && !settings.update.is_empty())
}

/// Zones that this server keeps from others.
fn secondaries(sources: &Sources) -> impl Iterator<Item = &Name> {
    sources.settings.zones.iter().filter(|zone| zone.is_secondary()).map(|zone| &zone.name)
}

/// `before`: the zones in force. A zone whose file is broken now is served as it was read last, a secondary as it was transferred.
fn parts(sources: Sources, changing: &mut Changing<'_>, before: &Zones, addrs: &[SocketAddr], generation: u64) -> Parts {
    let missing = sources.broken_zones.iter().map(|broken| ZoneWithoutData { apex: broken.name.clone(), why: broken.why() });
    let no_copy = |name: &Name| ZoneWithoutData { apex: name.clone(), why: "no primary of the zone has answered yet".to_owned() };
    let missing: Vec<ZoneWithoutData> = missing.chain(secondaries(&sources).map(no_copy)).collect();
    let kept: Vec<Arc<Zone>> = missing.iter().filter_map(|zone| before.get(zone.apex.as_wire()).cloned()).collect();
    let settings: HashMap<&Name, &ZoneSettings> = sources.settings.zones.iter().map(|zone| (&zone.name, zone)).collect();
    let read = |loaded: LoadedZone| changing.next_of_file(loaded.zone, &loaded.file.path, settings.get(&loaded.file.name).copied());
    let read: Vec<Arc<Zone>> = sources.zones.into_iter().map(read).collect();
    let zones: Vec<Arc<Zone>> = read.into_iter().chain(kept).collect();
    let policies: Vec<Name> = sources.settings.zones.iter().filter(|zone| zone.is_policy).map(|zone| zone.name.clone()).collect();
    let hosted: HashSet<&Name> = zones.iter().map(|zone| zone.apex()).collect();
    changing.keep(|name| hosted.contains(name));
    Parts {
        zones: Arc::new(Zones::new(zones, generation).holding_apart(policies).with_missing(missing)),
        settings: sources.settings,
        hints: sources.root_hints,
        anchors: Arc::new(sources.trust_anchors),
        own_addresses: addrs.to_vec(),
    }
}

/// One walk on a runtime of its own, with the service's cache.
pub(super) fn walk(service: &Arc<Service>, query: &Explain) -> Result<Explained, String> {
    let told = |error: std::io::Error| error.to_string();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(told)?;
    let random = Random::from_system().map_err(told)?;
    LocalSet::new().block_on(&runtime, async {
        let worker = Worker::new(service.clone(), Rc::new(RealNet::default()), random);
        Ok(worker.explain(query).await)
    })
}
