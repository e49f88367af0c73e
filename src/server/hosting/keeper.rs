//! The loop that keeps secondary zones and sends NOTIFY: it performs what `authority::Secondary` and `authority::Notifies` say
//! is due, and tells them what came of it.
//!
//! ```text
//! orders, NOTIFY heard, answers of tasks, time ─► what is due ─► tasks: a check of one zone, one NOTIFY
//! ```

use std::cell::Cell;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::spawn_local;
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use super::catalogs::Catalogs;
use super::check::{Check, Checked, install, timers_of, withdraw};
use super::copies;
use super::order::Order;
use super::primary;
use super::shown::{SecondaryShown, Shown};
use super::turns::Turns;
use super::versions::Versions;
use crate::answer::Service;
use crate::authority::{Notifies, Secondary, Target, cds_notify_message, is_notify_reply, notify_message, sign_request};
use crate::config::{AddressEntry, ZoneSettings};
use crate::env::{BootTime, Net, Random};
use crate::limits::server::{
    CHECKS_PER_PRIMARY_MAX, CHECKS_UNDER_WAY_MAX, KEEPER_TURN_MIN, NOTIFIES_PER_SERVER_MAX, NOTIFIES_UNDER_WAY_MAX, NOTIFY_WAIT_MAX,
};
use crate::record::{Name, Rtype};
use crate::server::command::Reply;
use crate::zone::Zone;

/// The longest sleep: clocks that run on in suspend are looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

pub(super) struct Keeper {
    service: Arc<Service>,
    folder: Option<PathBuf>,
    shown: Arc<Shown>,
    versions: Arc<Versions>,
    notifies: Notifies,
    /// The zones of the configuration.
    configured: Vec<ZoneSettings>,
    catalogs: Catalogs,
    /// The zones of the configuration, and the members of catalogs.
    settings: BTreeMap<Name, ZoneSettings>,
    /// The serial that the other servers of each zone were told of last.
    told: BTreeMap<Name, u32>,
    secondaries: BTreeMap<Name, Kept>,
}

/// A secondary zone.
struct Kept {
    machine: Secondary,
    /// It holds the rules of an `[[rpz]]`, which stay in force when it expires.
    is_policy: bool,
    primaries: Vec<AddressEntry>,
    /// The primary that is asked first: the one that answered last, or sent NOTIFY.
    first: usize,
    path: Option<PathBuf>,
    /// The data, kept also after it has expired.
    held: Option<Arc<Zone>>,
    /// The next check transfers the whole zone.
    is_forced: bool,
    /// Operators who wait for the result of a check.
    waiting: Vec<Reply>,
    has_expired: bool,
    last_good: Option<(BootTime, String)>,
    last_error: Option<String>,
    is_catalog: bool,
    /// The catalog that has the zone as a member.
    member_of: Option<Name>,
}

/// What a task has found out.
enum Event {
    Answered(Target, u32),
    Checked { zone: Name, outcome: Result<Checked, String> },
}

/// What the tasks need.
struct Tools {
    net: Rc<dyn Net>,
    random: Rc<Random>,
    events: mpsc::UnboundedSender<Event>,
    checks: Rc<Turns>,
    sockets: Rc<Turns>,
    /// Octets of transfers that are not complete yet.
    incoming: Rc<Cell<usize>>,
}

impl Keeper {
    pub(super) fn new(service: Arc<Service>, folder: Option<PathBuf>, shown: Arc<Shown>, versions: Arc<Versions>) -> Keeper {
        let (notifies, catalogs) = (Notifies::default(), Catalogs::default());
        let (configured, settings, told, secondaries) = (Vec::new(), BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Keeper { service, folder, shown, versions, notifies, configured, catalogs, settings, told, secondaries }
    }

    pub(super) async fn run(mut self, net: Rc<dyn Net>, random: Rc<Random>, mut orders: mpsc::UnboundedReceiver<Order>) {
        let (events, mut heard) = mpsc::unbounded_channel();
        let checks = Rc::new(Turns::new(CHECKS_UNDER_WAY_MAX, CHECKS_PER_PRIMARY_MAX));
        let sockets = Rc::new(Turns::new(NOTIFIES_UNDER_WAY_MAX, NOTIFIES_PER_SERVER_MAX));
        let tools = Tools { net, random, events, checks, sockets, incoming: Rc::default() };
        let service = self.service.clone();
        let mut turn = Instant::now();
        loop {
            tokio::time::sleep_until(turn).await;
            self.perform(&tools);
            turn = Instant::now() + KEEPER_TURN_MIN;
            let now = self.now();
            let next = self.secondaries.values().filter_map(|kept| kept.machine.next()).chain(self.notifies.next()).min();
            let wait = next.map_or(LOOK_AGAIN, |next| next.since(now).min(LOOK_AGAIN));
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    Some(order) => self.obey(order),
                    None => return,
                },
                Some(event) = heard.recv() => self.take(event, &tools.random),
                zones = service.notified.take() => zones.into_iter().for_each(|(zone, from)| self.notified(&zone, from)),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    fn now(&self) -> BootTime {
        self.service.resolve.clock.boot()
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Configured(zones) => self.take_over(zones),
            Order::Changed => self.tell_of_changes(),
            Order::CdsChanged(zone, servers) => self.notifies.cds_changed(&zone, &servers, self.now()),
            Order::Retransfer(zone, reply) => {
                let now = self.now();
                match self.secondaries.get_mut(&zone) {
                    Some(kept) => {
                        kept.is_forced = true;
                        kept.waiting.push(reply);
                        kept.machine.heard(now);
                    }
                    None => {
                        reply.error(format!("{zone} is not a secondary zone of this server: a [[zone]] with `primaries` makes it one"));
                    }
                }
            }
            Order::Notify(zone, reply) => {
                let told = self.settings.get(&zone).map(ZoneSettings::told_of_changes).unwrap_or_default();
                match self.service.snapshot().zones.get(zone.as_wire()) {
                    Some(served) if !told.is_empty() => {
                        self.notifies.changed(&zone, served.serial(), &told, self.now());
                        let servers: Vec<String> = told.iter().map(ToString::to_string).collect();
                        reply.line(json!({ "line": format!("NOTIFY of serial {} goes to {}", served.serial(), servers.join(", ")) }));
                    }
                    Some(_) => {
                        reply.error(format!("nobody is told of {zone}: write `notify` or `transfer` with addresses in its [[zone]]"));
                    }
                    None => {
                        reply.error(format!("{zone} is not served here"));
                    }
                }
            }
        }
    }

    /// A configuration is in force.
    pub(super) fn take_over(&mut self, configured: Vec<ZoneSettings>) {
        self.configured = configured;
        self.keep_zones();
        self.follow_catalogs();
        self.tell_of_changes();
    }

    /// Serves what the catalogs list now.
    fn follow_catalogs(&mut self) {
        // Of an expired catalog too: its members stay until another version comes.
        let held = |name: &Name| self.secondaries.get(name).and_then(|kept| kept.held.clone());
        let Some(followup) = self.catalogs.follow(&self.configured, held) else { return };
        let members = self.catalogs.members(&self.configured);
        self.versions.change().serve_members(&self.service, members, &followup.reset);
        for name in &followup.reset {
            info!("zone {name}: its catalog lists it anew, so that it is transferred anew");
            if let Some(path) = self.secondaries.remove(name).and_then(|kept| kept.path) {
                remove_copy(name, &path);
            }
        }
        self.keep_zones();
    }

    /// Begins and ends what the configuration and the catalogs say.
    fn keep_zones(&mut self) {
        let zones = [&self.configured[..], &self.catalogs.members(&self.configured)].concat();
        let now = self.now();
        for settings in zones.iter().filter(|settings| settings.is_secondary()) {
            let path = copies::path_of(settings, self.folder.as_deref());
            if path.is_none() && !self.secondaries.contains_key(&settings.name) {
                warn!("zone {}: its copy is not kept over a restart: set `state-dir`, or `file` in its [[zone]]", settings.name);
            }
            match self.secondaries.get_mut(&settings.name) {
                Some(kept) => {
                    if kept.primaries != settings.primaries {
                        (kept.primaries, kept.first) = (settings.primaries.clone(), 0);
                        kept.machine.heard(now);
                    }
                    (kept.path, kept.is_policy) = (path, settings.is_policy);
                    (kept.is_catalog, kept.member_of) = (settings.is_consumed_catalog(), settings.member_of.clone());
                }
                None => {
                    let kept = self.begun(settings, path, now);
                    self.secondaries.insert(settings.name.clone(), kept);
                }
            }
        }
        self.settings = zones.into_iter().map(|settings| (settings.name.clone(), settings)).collect();
        let settings = &self.settings;
        let is_secondary = |name: &Name| settings.get(name).is_some_and(ZoneSettings::is_secondary);
        for (name, kept) in self.secondaries.extract_if(.., |name, _| !is_secondary(name)) {
            // What a person takes out of the configuration may come back; what a catalog drops is gone.
            let is_dropped = kept.member_of.is_some_and(|catalog| settings.get(&catalog).is_some_and(ZoneSettings::is_consumed_catalog));
            if let Some(path) = kept.path.filter(|_| is_dropped && !settings.contains_key(&name)) {
                info!("zone {name}: no longer in its catalog, no longer served");
                remove_copy(&name, &path);
            }
        }
        self.shown.keep(|name| self.secondaries.contains_key(name));
        let names: Vec<Name> = self.secondaries.keys().cloned().collect();
        names.iter().for_each(|name| self.show(name));
    }

    /// A zone that is a secondary from now on, with the copy of an earlier run if it has not expired.
    fn begun(&self, settings: &ZoneSettings, path: Option<PathBuf>, now: BootTime) -> Kept {
        let mut kept = Kept {
            machine: Secondary::new(now),
            is_policy: settings.is_policy,
            primaries: settings.primaries.clone(),
            first: 0,
            path,
            held: None,
            is_forced: false,
            waiting: Vec::new(),
            has_expired: false,
            last_good: None,
            last_error: None,
            is_catalog: settings.is_consumed_catalog(),
            member_of: settings.member_of.clone(),
        };
        let read = kept.path.as_ref().map(|path| copies::read(path, &settings.name));
        match read {
            Some(Ok(Some((zone, checked)))) => {
                let age = Duration::from_secs(self.service.resolve.clock.wall().0.saturating_sub(checked.0));
                let zone = Arc::new(zone);
                if let Some(timers) = timers_of(&zone) {
                    info!("zone {}: copy with serial {}, last checked {} s ago", settings.name, zone.serial(), age.as_secs());
                    kept.machine = Secondary::with_copy(timers, age, now);
                    kept.has_expired = kept.machine.expire(now);
                    if !kept.has_expired || kept.is_policy {
                        install(&self.service, &self.versions, &zone);
                    }
                    kept.held = Some(zone);
                }
            }
            Some(Err(why)) => warn!("zone {}: its copy is not used: {why}", settings.name),
            Some(Ok(None)) | None => {}
        }
        kept
    }

    fn notified(&mut self, zone: &Name, from: std::net::IpAddr) {
        let now = self.now();
        if let Some(kept) = self.secondaries.get_mut(zone) {
            let is_from = |entry: &AddressEntry| entry.host().is_some_and(|host| host.ip().to_canonical() == from.to_canonical());
            if let Some(first) = kept.primaries.iter().position(is_from) {
                kept.first = first;
            }
            kept.machine.heard(now);
        }
    }

    fn take(&mut self, event: Event, random: &Random) {
        match event {
            Event::Answered(target, serial) => self.notifies.answered(&target, serial),
            Event::Checked { zone, outcome } => self.checked(&zone, outcome, random.u16()),
        }
    }

    fn checked(&mut self, zone: &Name, outcome: Result<Checked, String>, chance: u16) {
        let (now, wall) = (self.now(), self.service.resolve.clock.wall());
        let Some(kept) = self.secondaries.get_mut(zone) else { return };
        // Who asked for a transfer during this check waits for the next one.
        let waiting = if kept.is_forced { Vec::new() } else { std::mem::take(&mut kept.waiting) };
        match outcome {
            Ok(Checked { primary, timers, new, errors }) => {
                kept.machine.succeeded(timers, now, chance);
                let server = kept.primaries.get(primary).map(ToString::to_string).unwrap_or_default();
                (kept.first, kept.last_good) = (primary, Some((now, server.clone())));
                kept.last_error = errors.last().cloned();
                let serial = new.as_ref().or(kept.held.as_ref()).map(|zone| zone.serial()).unwrap_or_default();
                for reply in waiting {
                    reply.line(json!({ "line": format!("transferred from {server}: serial {serial}") }));
                }
                match new {
                    Some(new) => {
                        info!("zone {zone}: serial {serial} from {server}, {} records", new.record_count());
                        kept.held = Some(new);
                    }
                    None => {
                        if let Some(Err(error)) = kept.path.as_ref().map(|path| copies::touch(path, zone, wall)) {
                            warn!("zone {zone}: its copy cannot be kept: {error}");
                        }
                        if let Some(held) = kept.held.clone().filter(|_| kept.has_expired) {
                            install(&self.service, &self.versions, &held);
                        }
                    }
                }
                kept.has_expired = false;
            }
            Err(why) => {
                kept.machine.failed(now, chance);
                if kept.last_error.as_ref() != Some(&why) {
                    warn!("zone {zone}: no primary has given an answer that can be used: {why}");
                }
                for reply in waiting {
                    reply.error(why.clone());
                }
                kept.last_error = Some(why);
            }
        }
        let is_catalog = kept.is_catalog;
        self.show(zone);
        self.tell_of_change(zone);
        if is_catalog {
            self.follow_catalogs();
            self.show(zone);
        }
    }

    /// Starts what is due.
    fn perform(&mut self, tools: &Tools) {
        let now = self.now();
        let names: Vec<Name> = self.secondaries.keys().cloned().collect();
        for name in names {
            let Some(kept) = self.secondaries.get_mut(&name) else { continue };
            let mut has_changed = false;
            if kept.machine.expire(now) {
                (kept.has_expired, has_changed) = (true, true);
                let why = "no primary has answered for as long as its SOA allows";
                if kept.is_policy {
                    warn!("response policy zone {name}: expired, its last rules stay in force: {why}");
                } else {
                    warn!("zone {name}: expired, its names get SERVFAIL: {why}");
                    withdraw(&self.service, &self.versions, &name);
                }
            }
            if kept.machine.is_due(now) {
                kept.machine.begin(now);
                has_changed = true;
                let is_forced = std::mem::take(&mut kept.is_forced);
                let check = Check {
                    service: self.service.clone(),
                    versions: self.versions.clone(),
                    zone: name.clone(),
                    primaries: kept.primaries.clone(),
                    first: kept.first,
                    held: kept.held.clone(),
                    path: kept.path.clone(),
                    is_forced,
                    has_expired: kept.has_expired,
                    is_catalog: kept.is_catalog,
                };
                let (net, random, events, checks) = (tools.net.clone(), tools.random.clone(), tools.events.clone(), tools.checks.clone());
                let incoming = tools.incoming.clone();
                spawn_local(async move {
                    let zone = check.zone.clone();
                    let outcome = check.run(&*net, &random, &checks, &incoming).await;
                    let _ = events.send(Event::Checked { zone, outcome });
                });
            }
            if has_changed {
                self.show(&name);
            }
        }
        for (target, serial) in self.notifies.due(now) {
            let (service, net, random) = (self.service.clone(), tools.net.clone(), tools.random.clone());
            let (events, sockets) = (tools.events.clone(), tools.sockets.clone());
            spawn_local(async move {
                let _turn = sockets.with(target.server.ip()).await;
                match notify(&service, &*net, &random, &target).await {
                    Ok(()) => {
                        let _ = events.send(Event::Answered(target, serial));
                    }
                    Err(why) => tracing::debug!(zone = %target.zone, server = %target.server, "NOTIFY is not answered: {why}"),
                }
            });
        }
    }

    /// Zones whose serial is not the one that was told last.
    fn tell_of_changes(&mut self) {
        let names: Vec<Name> = self.settings.keys().cloned().collect();
        names.iter().for_each(|name| self.tell_of_change(name));
        let settings = &self.settings;
        self.told.retain(|name, _| settings.contains_key(name));
        self.notifies.keep(|name| settings.contains_key(name));
    }

    fn tell_of_change(&mut self, name: &Name) {
        let snapshot = self.service.snapshot();
        let Some((settings, zone)) = self.settings.get(name).zip(snapshot.zones.get(name.as_wire())) else { return };
        if self.told.insert(name.clone(), zone.serial()) != Some(zone.serial()) {
            self.notifies.changed(name, zone.serial(), &settings.told_of_changes(), self.now());
        }
    }

    fn show(&self, name: &Name) {
        let Some(kept) = self.secondaries.get(name) else { return };
        let served = kept.held.as_ref().filter(|_| !kept.has_expired);
        let shown = SecondaryShown {
            primaries: kept.primaries.iter().map(ToString::to_string).collect(),
            served: served.map(|zone| (zone.serial(), zone.record_count())),
            next_check: kept.machine.next_check(),
            expires: kept.machine.expires(),
            has_expired: kept.has_expired,
            last_good: kept.last_good.clone(),
            last_error: kept.last_error.clone(),
            copy: kept.path.clone(),
            member_of: kept.member_of.clone(),
            catalog: self.catalogs.shown(name),
        };
        self.shown.set(name, shown);
    }
}

fn remove_copy(zone: &Name, path: &Path) {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        warn!("zone {zone}: its copy cannot be removed: {}: {error}", path.display());
    }
}

/// Sends one NOTIFY and waits for its answer.
async fn notify(service: &Service, net: &dyn Net, random: &Random, target: &Target) -> Result<(), String> {
    let snapshot = service.snapshot();
    let zone = snapshot.zones.get(target.zone.as_wire()).ok_or_else(|| "the zone has no data".to_owned())?;
    let id = random.u16();
    let mut packet = if target.about == Rtype::CDS { cds_notify_message(&target.zone, id) } else { notify_message(zone, id) };
    let mut verifier = match &target.key {
        Some(name) => {
            let key = snapshot.keyring.get(name).ok_or_else(|| format!("the key {name} has no secret"))?;
            Some(sign_request(key, &mut packet, service.resolve.clock.wall()))
        }
        None => None,
    };
    drop(snapshot);
    let exchange = async {
        let flow = primary::open(net, random, target.server).map_err(|error| error.to_string())?;
        flow.send(&packet).map_err(|error| error.to_string())?;
        let mut space = vec![0; 4_096];
        loop {
            let len = poll_fn(|cx| flow.poll_recv(cx, &mut space)).await.map_err(|error| error.to_string())?;
            let reply = space.get(..len).unwrap_or_default();
            let reply = match &mut verifier {
                Some(verifier) => match verifier.verify(reply, service.resolve.clock.wall()) {
                    Ok(reply) => reply,
                    Err(distrust) => return Err(distrust.to_string()),
                },
                None => reply.to_vec(),
            };
            if is_notify_reply(&reply, &target.zone, target.about, id) {
                return Ok(());
            }
        }
    };
    timeout(NOTIFY_WAIT_MAX, exchange).await.map_err(|_| "no answer".to_owned())?
}
